//! Report of a nonlinear solve.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::nonlinear::reason::NonlinearReason;

/// The outcome of a nonlinear solve.
#[derive(Clone, Debug, PartialEq)]
pub struct NonlinearReport {
    /// The method.
    pub method: &'static str,
    /// Reason for which it stopped.
    pub reason: NonlinearReason,
    /// Iterations made.
    pub iterations: usize,
    /// `|F(x)|` at the initial guess and after each iteration.
    pub history: Vec<f64>,
    /// The norm at or below which the solve was to stop.
    pub target: f64,
    /// `|F(x)|` of the solution, computed afresh at the end.
    pub residual: f64,
    /// `|x - x'|` of the last step; zero without any.
    pub last_step: f64,
    /// Evaluations of the function, those for differences included.
    pub evaluations: usize,
    /// Jacobians computed or assembled.
    pub jacobians: usize,
    /// Preconditioners made of a matrix.
    pub preconditioners: usize,
    /// Iterations of all linear solves.
    pub linear_iterations: usize,
    /// Linear solves that ended before their tolerance. Their steps were taken where they reduced the residual.
    pub linear_failures: usize,
    /// The error of a preconditioner that could not be made, which ended the solve.
    pub failure: Option<Error>,
    /// Wall time on this rank.
    pub time: Duration,
}

impl NonlinearReport {
    /// Returns true if `|F(x)|`, computed afresh, meets the tolerance.
    pub fn converged(&self) -> bool {
        self.reason == NonlinearReason::Converged
    }

    /// Explains what happened, and what to try next.
    pub fn explain(&self) -> &'static str {
        self.reason.explain()
    }

    /// Describes the outcome and what to try, without times: the same on every run.
    pub fn outcome(&self) -> String {
        let NonlinearReport { method, iterations, residual, linear_failures, .. } = self;
        let unfinished = match linear_failures {
            0 => String::new(),
            1 => "; a linear solve ended before its tolerance".to_owned(),
            several => format!("; {several} linear solves ended before their tolerances"),
        };
        let failure = self.failure.as_ref().map(|error| format!(" ({})", error.message())).unwrap_or_default();
        format!("{method}: {iterations} iterations; |F(x)| = {residual:.2e}; {}{failure}{unfinished}", self.explain())
    }

    /// Returns the report, or an error if the solve did not converge.
    ///
    /// # Errors
    /// [`Error::NotConverged`] with the report's text.
    pub fn require_converged(self) -> Result<NonlinearReport> {
        if self.converged() { Ok(self) } else { Err(Error::NotConverged(self.outcome())) }
    }
}

/// The outcome and, on further lines, the request and what it took.
impl fmt::Display for NonlinearReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.outcome())?;
        let first = self.history.first().copied().unwrap_or(f64::NAN);
        writeln!(f, "  |F| = {:.3e}, from {first:.3e}, to be at most {:.3e}", self.residual, self.target)?;
        write!(f, "  {} evaluations", self.evaluations)?;
        for (count, what) in [
            (self.jacobians, "Jacobians"),
            (self.preconditioners, "preconditioners"),
            (self.linear_iterations, "linear iterations"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        write!(f, " in {:.3} s", self.time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(reason: NonlinearReason) -> NonlinearReport {
        NonlinearReport {
            method: "Newton",
            reason,
            iterations: 3,
            history: vec![2.0, 1e-3, 1e-9],
            target: 2e-8,
            residual: 1e-9,
            last_step: 1e-5,
            evaluations: 4,
            jacobians: 3,
            preconditioners: 0,
            linear_iterations: 17,
            linear_failures: 1,
            failure: None,
            time: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_report_reads_well() {
        let expected = "Newton: 3 iterations; |F(x)| = 1.00e-9; converged: |F(x)|, computed afresh, meets the tolerance; \
                        a linear solve ended before its tolerance\n  \
                        |F| = 1.000e-9, from 2.000e0, to be at most 2.000e-8\n  \
                        4 evaluations, 3 Jacobians, 17 linear iterations in 1.500 s";
        assert_eq!(report(NonlinearReason::Converged).to_string(), expected);
    }

    #[test]
    fn a_failure_says_what_to_try() {
        let error = report(NonlinearReason::LineSearchFailed).require_converged().unwrap_err();
        assert!(error.to_string().contains("compare the Jacobian"), "{error}");
        assert!(report(NonlinearReason::Converged).require_converged().is_ok());
    }
}
