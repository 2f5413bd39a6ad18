//! Reasons for which a solve stops.

/// Reason for which a solve stopped; the same on all ranks.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The true residual, computed afresh, meets the tolerance in the requested norm.
    Converged,
    /// The iteration limit was reached first.
    IterationLimit,
    /// The residual grew beyond the divergence limit.
    Diverged,
    /// The operator has a direction of zero or negative energy, `p* A p <= 0`.
    IndefiniteOperator,
    /// The preconditioner has a direction of zero or negative energy, `r* M r <= 0`.
    IndefinitePreconditioner,
    /// The operator is not Hermitian, as the method needs it: `<A u, v>` and `<u, A v>` were computed and differ.
    NotHermitian,
    /// The preconditioner is not Hermitian, as the method needs it.
    PreconditionerNotHermitian,
    /// The operator takes the residual to zero: it is singular, and a solution, if there is any, so large that
    /// rounding would hide it.
    Inconsistent,
    /// A NaN or an infinity turned up.
    NotFinite,
    /// The recurrence says converged, the true residual does not, and restarting from it no
    /// longer helps: the tolerance is below what rounding allows. Or restarts gain nothing.
    Stagnated,
    /// The recurrence divides by zero, and starting again from the true residual does not help.
    Breakdown,
    /// The monitor of some rank asked to stop.
    Requested,
}
