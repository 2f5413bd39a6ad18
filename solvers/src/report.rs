//! What a solve says about itself.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};

/// Why a solve stopped; the same on all ranks.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The true residual, computed afresh, meets the tolerance.
    Converged,
    /// The iteration limit was reached first.
    IterationLimit,
    /// The residual grew beyond the divergence limit.
    Diverged,
    /// The operator has a direction of zero or negative energy, `p* A p <= 0`.
    IndefiniteOperator,
    /// The preconditioner has a direction of zero or negative energy, `r* M r <= 0`.
    IndefinitePreconditioner,
    /// A NaN or an infinity turned up.
    NotFinite,
    /// The recurrence says converged, the true residual does not, and restarting from it no
    /// longer helps: the tolerance is below what rounding allows.
    Stagnated,
}

impl StopReason {
    /// What happened, and what to try next.
    pub fn explain(self) -> &'static str {
        match self {
            StopReason::Converged => "converged: the true residual meets the tolerance",
            StopReason::IterationLimit => {
                "stopped at the iteration limit; allow more iterations, or use a better preconditioner"
            }
            StopReason::Diverged => {
                "diverged; check that operator and preconditioner are symmetric, or use a method for general matrices"
            }
            StopReason::IndefiniteOperator => {
                "the operator is not positive definite (p*Ap <= 0); use MINRES, or project out its null space"
            }
            StopReason::IndefinitePreconditioner => {
                "the preconditioner is not positive definite (r*Mr <= 0); check its symmetry and signs"
            }
            StopReason::NotFinite => "a NaN or infinity appeared; check the input for values that are not finite",
            StopReason::Stagnated => {
                "the estimate converged but the true residual did not; ask for a larger tolerance, \
                 or improve the conditioning of the operator"
            }
        }
    }
}

/// The outcome of a solve.
#[derive(Clone, Debug, PartialEq)]
pub struct SolveReport {
    /// The method.
    pub method: &'static str,
    /// Why it stopped.
    pub reason: StopReason,
    /// Iterations made.
    pub iterations: usize,
    /// Residual norms: the initial one and one for each iteration. They are the recurrence's, and the
    /// true ones at the start and wherever the recurrence claimed convergence.
    pub history: Vec<f64>,
    /// Norm of the right-hand side (of its projected part, where the solve had a projection).
    pub rhs_norm: f64,
    /// The residual norm at or below which the solve was to stop.
    pub target: f64,
    /// `|b - A x|`, computed afresh at the end (of its projected part, where the solve had a projection).
    pub true_residual: f64,
    /// Applications of the operator.
    pub applications: usize,
    /// Wall time on this rank.
    pub time: Duration,
}

impl SolveReport {
    /// Whether the true residual meets the tolerance.
    pub fn converged(&self) -> bool {
        self.reason == StopReason::Converged
    }

    /// `|b - A x| / |b|`, or `|b - A x|` where `b` is zero.
    pub fn relative_residual(&self) -> f64 {
        if self.rhs_norm > 0.0 { self.true_residual / self.rhs_norm } else { self.true_residual }
    }

    /// What happened and what to try, without times: the same on every run.
    pub fn outcome(&self) -> String {
        let (method, iterations) = (self.method, self.iterations);
        let residual = self.relative_residual();
        format!("{method}: {iterations} iterations; |b - Ax| / |b| = {residual:.2e}; {}", self.reason.explain())
    }

    /// The report, or an error if the solve did not converge.
    ///
    /// # Errors
    /// [`Error::NotConverged`] with the report's text.
    pub fn require_converged(self) -> Result<SolveReport> {
        if self.converged() { Ok(self) } else { Err(Error::NotConverged(self.outcome())) }
    }
}

impl fmt::Display for SolveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.3} s)", self.outcome(), self.time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(reason: StopReason) -> SolveReport {
        SolveReport {
            method: "CG",
            reason,
            iterations: 12,
            history: vec![2.0, 1e-9],
            rhs_norm: 2.0,
            target: 2e-8,
            true_residual: 1e-9,
            applications: 14,
            time: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_failure_says_what_to_try() {
        let text = report(StopReason::IndefiniteOperator).require_converged().unwrap_err().to_string();
        assert!(text.starts_with("CG: 12 iterations; |b - Ax| / |b| = 5.00e-10; "), "{text}");
        assert!(text.contains("MINRES"), "{text}");
        assert!(report(StopReason::Converged).require_converged().is_ok());
    }

    #[test]
    fn a_zero_right_hand_side_has_an_absolute_residual() {
        let zero = SolveReport { rhs_norm: 0.0, ..report(StopReason::Converged) };
        assert_eq!(zero.relative_residual(), 1e-9);
    }
}
