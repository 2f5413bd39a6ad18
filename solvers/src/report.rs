//! Report of a solve.

use std::fmt;
use std::time::Duration;

use crate::advice::explain;
use crate::error::{Error, Result};
use crate::norm::Norm;
use crate::stop_reason::StopReason;

/// The outcome of a solve.
#[derive(Clone, Debug, PartialEq)]
pub struct SolveReport {
    /// The method.
    pub method: &'static str,
    /// Reason for which it stopped.
    pub reason: StopReason,
    /// Iterations made.
    pub iterations: usize,
    /// Residual norms: the initial one and one for each iteration. They are the recurrence's, and the
    /// true ones at the start and wherever the recurrence claimed convergence.
    pub history: Vec<f64>,
    /// The norm of `history` and `target`.
    pub norm: Norm,
    /// Norm of the right-hand side (of its projected part, where the solve had a projection).
    pub rhs_norm: f64,
    /// The residual norm at or below which the solve was to stop.
    pub target: f64,
    /// `|b - A x|`, computed afresh at the end (of its projected part, where the solve had a projection).
    pub true_residual: f64,
    /// In least squares, `|A^H (b - A x)|`, computed afresh at the end; with a preconditioner that of
    /// the preconditioned problem, `|M^H A^H (b - A x)|`.
    pub normal_residual: Option<f64>,
    /// In least squares, the damping: `true_residual` is then `(|b - A x|^2 + damp^2 |x|^2)^(1/2)`, and `normal_residual`
    /// `|A^H (b - A x) - damp^2 x|`. Zero otherwise.
    pub damp: f64,
    /// True if equations of least squares had weights: `b - A x` and `b` are then `W^(1/2) (b - A x)` and `W^(1/2) b`.
    pub weighted: bool,
    /// Applications of the operator, and of its adjoint.
    pub applications: usize,
    /// Applications of the preconditioner, and of its adjoint.
    pub preconditionings: usize,
    /// Wall time on this rank.
    pub time: Duration,
}

impl SolveReport {
    /// Returns true if the true residual meets the tolerance in the requested norm.
    pub fn converged(&self) -> bool {
        self.reason == StopReason::Converged
    }

    /// Returns `|b - A x| / |b|`, with the terms of least squares in both, or `|b - A x|` where `b` is zero.
    pub fn relative_residual(&self) -> f64 {
        if self.rhs_norm > 0.0 { self.true_residual / self.rhs_norm } else { self.true_residual }
    }

    /// Explains what happened, and what to try next with this method.
    pub fn explain(&self) -> &'static str {
        explain(self.reason, self.method, self.preconditionings > 0)
    }

    /// Describes the outcome and what to try, without times: the same on every run.
    pub fn outcome(&self) -> String {
        let (method, iterations) = (self.method, self.iterations);
        let residual = self.relative_residual();
        let (objective, legend) = (self.objective(), self.legend());
        let least_squares = self.normal_residual.is_some() && self.true_residual > self.target;
        let explanation = match (self.converged(), self.norm) {
            (true, _) if least_squares => {
                let (gradient, operator) = self.normal_equations();
                let distance = self.distance_to_half().map(|distance| format!("; {distance}")).unwrap_or_default();
                &format!(
                    "converged: |{gradient}| <= rtol |{operator}| |r|, so x minimizes {objective} with {operator} \
                     changed by at most rtol |{operator}|{legend}{distance}"
                )
            }
            (true, Norm::Preconditioned) => "converged: the true residual, preconditioned, meets the tolerance",
            (true, Norm::Natural) => "converged: the true residual meets the tolerance in the preconditioner's norm",
            _ => self.explain(),
        };
        let size = if self.weighted { "|W^(1/2) b|" } else { "|b|" };
        format!("{method}: {iterations} iterations; {objective} / {size} = {residual:.2e}; {explanation}")
    }

    /// Returns the expression that is minimized.
    fn objective(&self) -> &'static str {
        match (self.weighted, self.damp != 0.0) {
            (false, false) => "|b - Ax|",
            (true, false) => "|W^(1/2) (b - Ax)|",
            (false, true) => "(|b - Ax|^2 + damp^2 |x|^2)^(1/2)",
            (true, true) => "(|W^(1/2) (b - Ax)|^2 + damp^2 |x|^2)^(1/2)",
        }
    }

    /// Returns the names of the expression that vanishes where the objective is least, and of the operator; in least
    /// squares preconditioned from the right. With damping and weights `A` is `[W^(1/2) A; damp I]`.
    fn normal_equations(&self) -> (&'static str, &'static str) {
        match (self.preconditionings > 0, self.weighted || self.damp != 0.0) {
            (false, false) => ("A*r", "A"),
            (true, false) => ("M*A*r", "AM"),
            (false, true) => ("B*r", "B"),
            (true, true) => ("M*B*r", "BM"),
        }
    }

    /// Says what `B` is, where [`SolveReport::normal_equations`] has it.
    fn legend(&self) -> &'static str {
        match (self.weighted, self.damp != 0.0) {
            (false, false) => "",
            (true, false) => ", B = W^(1/2) A",
            (false, true) => ", B = [A; damp I]",
            (true, true) => ", B = [W^(1/2) A; damp I]",
        }
    }

    /// Bounds from below the distance to an `x'` that halves the residual of least squares: for any other `x'`,
    /// `|r| (|r| - |r'|) <= |A^H r| |x - x'|`.
    fn distance_to_half(&self) -> Option<String> {
        let normal = self.normal_residual.filter(|normal| *normal > 0.0)?;
        let distance = self.true_residual / normal * self.true_residual / 2.0;
        let measure = if self.preconditionings > 0 { ", of the preconditioned problem" } else { "" };
        let objective = self.objective();
        Some(format!("an x that halves {objective} is at least {distance:.0e} away{measure}"))
    }

    /// Returns the report, or an error if the solve did not converge.
    ///
    /// # Errors
    /// [`Error::NotConverged`] with the report's text.
    pub fn require_converged(self) -> Result<SolveReport> {
        if self.converged() { Ok(self) } else { Err(Error::NotConverged(self.outcome())) }
    }
}

/// The outcome and, on further lines, the request and what it took.
impl fmt::Display for SolveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.outcome())?;
        let (last, norm) = (self.history.last().copied().unwrap_or(f64::NAN), self.norm);
        let norm = match norm {
            Norm::True => "|r|",
            Norm::Preconditioned => "|M r|",
            Norm::Natural => "(r*Mr)^(1/2)",
        };
        write!(f, "  {norm} = {last:.3e}, to be at most {:.3e}", self.target)?;
        if let Some(normal) = self.normal_residual {
            write!(f, "; |{}| = {normal:.3e}", self.normal_equations().0)?;
        }
        write!(f, "\n  {} products with the operator", self.applications)?;
        if self.preconditionings > 0 {
            write!(f, ", {} with the preconditioner", self.preconditionings)?;
        }
        write!(f, " in {:.3} s", self.time.as_secs_f64())
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
            norm: Norm::True,
            rhs_norm: 2.0,
            target: 2e-8,
            true_residual: 1e-9,
            normal_residual: None,
            damp: 0.0,
            weighted: false,
            applications: 14,
            preconditionings: 13,
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
    fn a_report_reads_well() {
        let expected = "CG: 12 iterations; |b - Ax| / |b| = 5.00e-10; converged: the true residual meets the tolerance\n  \
                        |r| = 1.000e-9, to be at most 2.000e-8\n  \
                        14 products with the operator, 13 with the preconditioner in 1.500 s";
        assert_eq!(report(StopReason::Converged).to_string(), expected);
    }

    #[test]
    fn convergence_is_said_of_the_norm_that_was_asked_for() {
        for (norm, expected) in [
            (Norm::True, "; converged: the true residual meets the tolerance"),
            (Norm::Preconditioned, "; converged: the true residual, preconditioned, meets the tolerance"),
            (Norm::Natural, "; converged: the true residual meets the tolerance in the preconditioner's norm"),
        ] {
            let text = SolveReport { norm, ..report(StopReason::Converged) }.outcome();
            assert!(text.ends_with(expected), "{text}");
        }
    }

    #[test]
    fn a_zero_right_hand_side_has_an_absolute_residual() {
        let zero = SolveReport { rhs_norm: 0.0, ..report(StopReason::Converged) };
        assert_eq!(zero.relative_residual(), 1e-9);
    }
}
