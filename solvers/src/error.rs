//! What can go wrong in a solver. Not converging is a report, not an error.

/// An error of a solver.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A failure in the operator, the preconditioner or a vector operation.
    #[error(transparent)]
    Core(#[from] dolmen_core::Error),
    /// A setting outside its range.
    #[error("{method}: {setting} is {value}, expected {expected}")]
    Setting {
        /// The solver.
        method: &'static str,
        /// The setting's name.
        setting: &'static str,
        /// The value that was given.
        value: f64,
        /// What would be accepted.
        expected: &'static str,
    },
    /// [`SolveReport::require_converged`](crate::SolveReport::require_converged) on a solve that
    /// did not converge.
    #[error("{0}")]
    NotConverged(String),
}

/// Result of a solve.
pub type Result<T, E = Error> = std::result::Result<T, E>;
