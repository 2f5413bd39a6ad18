//! What can go wrong in a solver. Not converging is a report, not an error.

use crate::settings::Norm;

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
    /// A vector or an operator that does not fit the system.
    #[error(
        "{method}: {what}: the operands live on different layouts ({left} and {right} global entries, or split differently over the ranks); build both from one Layout"
    )]
    Layout {
        /// The solver.
        method: &'static str,
        /// What does not fit.
        what: &'static str,
        /// Global length that was expected.
        left: u64,
        /// Global length that was given.
        right: u64,
    },
    /// A norm of the residual that the method's recurrence does not know.
    #[error("{method} cannot measure residuals in the {norm:?} norm; use Norm::True")]
    Norm {
        /// The solver.
        method: &'static str,
        /// The norm that was asked for.
        norm: Norm,
    },
    /// A setting of square systems in [`Settings`](crate::Settings) that became a least-squares method.
    #[error(
        "{method} takes no {setting} from common settings; its preconditioner needs an adjoint: set it on the method"
    )]
    NotForLeastSquares {
        /// The solver.
        method: &'static str,
        /// The setting's name.
        setting: &'static str,
    },
    /// A snapshot of another method.
    #[error("{method} cannot resume from a snapshot of {found}; use the method and the settings it was taken with")]
    SnapshotMethod {
        /// The solver.
        method: &'static str,
        /// The method that the snapshot names.
        found: String,
    },
    /// A snapshot without something that the method needs, or with a vector on another layout.
    #[error("{method}: the snapshot has no fitting \"{name}\"; use the settings and the layout it was taken with")]
    Snapshot {
        /// The solver.
        method: String,
        /// What is missing or does not fit.
        name: String,
    },
    /// [`SolveReport::require_converged`](crate::SolveReport::require_converged) on a solve that
    /// did not converge.
    #[error("{0}")]
    NotConverged(String),
}

/// Result of a solve.
pub type Result<T, E = Error> = std::result::Result<T, E>;
