//! Reasons for which a nonlinear solve stops, and what to try next.

/// Reason for which a nonlinear solve stopped; the same on all ranks.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonlinearReason {
    /// `|F(x)|`, computed afresh, meets the tolerance.
    Converged,
    /// The iteration limit was reached first.
    IterationLimit,
    /// The limit of evaluations of the function was reached first.
    EvaluationLimit,
    /// `|F(x)|` grew beyond the divergence limit.
    Diverged,
    /// Steps no longer change `x` beyond rounding, and `|F(x)|` is above the tolerance.
    Stagnated,
    /// No step along the direction makes `|F(x)|` smaller, or the slope along it vanish.
    LineSearchFailed,
    /// No step within a radius near rounding makes `|F(x)|` smaller.
    TrustRegionFailed,
    /// The preconditioner could not be made of the Jacobian, which is singular, for instance; the report has the error.
    PreconditionerFailed,
    /// The linear solve made nothing of the residual of `J d = -F`.
    LinearSolveFailed,
    /// `F` is NaN or infinite at the initial guess, or wherever steps led.
    NotFinite,
    /// The direction is none of descent: the preconditioner is not positive definite, or `F` is no gradient.
    NotDescent,
    /// The monitor of some rank asked to stop.
    Requested,
}

impl NonlinearReason {
    /// Explains what happened, and what to try next.
    pub fn explain(self) -> &'static str {
        match self {
            NonlinearReason::Converged => "converged: |F(x)|, computed afresh, meets the tolerance",
            NonlinearReason::IterationLimit => {
                "stopped at the iteration limit; allow more iterations, or start nearer to the solution"
            }
            NonlinearReason::EvaluationLimit => {
                "stopped at the limit of evaluations; allow more, or start nearer to the solution"
            }
            NonlinearReason::Diverged => {
                "diverged; use Newton's method with a line search or a trust region, damp the steps, or start nearer to \
                 the solution"
            }
            NonlinearReason::Stagnated => {
                "steps no longer change x, so |F(x)| is as small as rounding allows, or the Jacobian is wrong; set atol to \
                 the rounding errors of F, or compare the Jacobian with one by colored differences"
            }
            NonlinearReason::LineSearchFailed => {
                "no step along the direction makes |F(x)| smaller; compare the Jacobian with one by colored differences, \
                 start elsewhere if |F| has a local minimum here, or approach the problem in steps of a parameter"
            }
            NonlinearReason::TrustRegionFailed => {
                "no step near x makes |F(x)| smaller; compare the Jacobian with one by colored differences, or start \
                 elsewhere: |F| has a local minimum here if the Jacobian is right"
            }
            NonlinearReason::PreconditionerFailed => {
                "the preconditioner could not be made of the Jacobian; use another one if the Jacobian is regular here, and if it \
                 is singular start elsewhere, or keep steps small by a line search or a trust region"
            }
            NonlinearReason::LinearSolveFailed => {
                "the linear solve reduced nothing; use a better preconditioner or \"direct\", make it more often (lag), or \
                 start elsewhere if the Jacobian is singular here"
            }
            NonlinearReason::NotFinite => {
                "F is NaN or infinite; start where it is finite, and check it for overflow and arguments outside of its domain"
            }
            NonlinearReason::NotDescent => {
                "the direction does not descend; check that F is the gradient of something with a minimum and the \
                 preconditioner positive definite, or use Newton's method"
            }
            NonlinearReason::Requested => "stopped because a monitor requested it",
        }
    }
}
