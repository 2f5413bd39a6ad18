//! What a solver tells while it runs.

/// The state of a solve after an iteration.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Iterations made so far.
    pub iteration: usize,
    /// Residual norm, as in [`SolveReport::history`](crate::SolveReport::history).
    pub residual: f64,
    /// The residual norm to be reached.
    pub target: f64,
}
