//! Eigenpairs and singular triplets that were found, and the report about them.

use std::fmt;
use std::time::Duration;

use dolmen_core::{MultiVector, Scalar};

use crate::error::{Error, Result};
use crate::stop_reason::StopReason;

/// Eigenvalues of a Hermitian problem, most wanted first, with their eigenvectors.
#[derive(Debug)]
pub struct Eigenpairs<T: Scalar> {
    /// The eigenvalues.
    pub values: Vec<f64>,
    /// The eigenvectors as columns, orthonormal; in the inner product of the mass matrix if there is one.
    pub vectors: MultiVector<T>,
    /// Account of the search, with the residuals.
    pub report: EigenReport,
}

/// Singular values, in the wanted order, with their vectors: `A v = s u`.
#[derive(Debug)]
pub struct SingularTriplets<T: Scalar> {
    /// The singular values.
    pub values: Vec<f64>,
    /// The left singular vectors as orthonormal columns.
    pub u: MultiVector<T>,
    /// The right singular vectors as orthonormal columns.
    pub v: MultiVector<T>,
    /// Account of the search, with the residuals.
    pub report: EigenReport,
}

/// Outcome of a search for eigenvalues or singular values; the same on all ranks, but for the time.
#[derive(Clone, Debug, PartialEq)]
pub struct EigenReport {
    /// The method.
    pub method: &'static str,
    /// Reason for which it stopped. [`StopReason::Converged`] only if every residual meets the tolerance.
    pub reason: StopReason,
    /// Iterations, or restarts of methods that restart.
    pub iterations: usize,
    /// For each value `|A v - w M v| / |w M v|`, computed afresh at the end. For singular values the length of
    /// `(A v - s u, A^H u - s v)`, divided by `s`.
    pub residuals: Vec<f64>,
    /// The value or values that are converged: the residual is at most `tolerance`, or at most the rounding errors of
    /// products with the operators.
    pub is_converged: Vec<bool>,
    /// The tolerance that was asked for.
    pub tolerance: f64,
    /// Products with the matrices and with what stands for their inverses.
    pub applications: usize,
    /// Wall time on this rank.
    pub time: Duration,
}

impl EigenReport {
    /// A report on values with these relative residuals, each with the verdict on it. A search that says that it has
    /// converged, which a residual contradicts, has stagnated. Iterations and time are still to be said.
    pub(super) fn new(
        method: &'static str,
        reason: StopReason,
        found: Vec<(f64, bool)>,
        tolerance: f64,
        applications: usize,
    ) -> EigenReport {
        let (residuals, is_converged): (Vec<f64>, Vec<bool>) = found.into_iter().unzip();
        let is_contradicted = reason == StopReason::Converged && is_converged.contains(&false);
        let reason = if is_contradicted { StopReason::Stagnated } else { reason };
        let (iterations, time) = (0, Duration::ZERO);
        EigenReport { method, reason, iterations, residuals, is_converged, tolerance, applications, time }
    }

    /// Returns true if all values are converged.
    pub fn converged(&self) -> bool {
        self.reason == StopReason::Converged
    }

    /// Explains what happened, and what to try next.
    pub fn explain(&self) -> &'static str {
        match self.reason {
            StopReason::Converged => "converged: the residuals, computed afresh, meet the tolerance",
            StopReason::IterationLimit if self.is_converged.iter().all(|good| *good) => {
                "but the search for what may be wanted more did not end within the iterations; allow more"
            }
            StopReason::IterationLimit => {
                "not converged within the iterations; allow more, use a larger basis, a preconditioner, or shift and invert"
            }
            StopReason::Requested => "stopped by request; a later run resumes from the snapshot",
            StopReason::Stagnated => "the residuals do not become smaller: the tolerance is below what rounding allows",
            _ => "not converged",
        }
    }

    /// Describes the outcome without times: the same on every run.
    pub fn outcome(&self) -> String {
        let (found, all) = (self.is_converged.iter().filter(|good| **good).count(), self.is_converged.len());
        let worst = self.residuals.iter().fold(0.0f64, |worst, &residual| worst.max(residual));
        let (method, iterations) = (self.method, self.iterations);
        format!(
            "{method}: {found} of {all} values converged in {iterations} iterations; largest relative residual \
             {worst:.2e}; {}",
            self.explain()
        )
    }

    /// Returns the report, or an error if not all values are converged.
    ///
    /// # Errors
    /// [`Error::NotConverged`] with the report's text.
    pub fn require_converged(self) -> Result<EigenReport> {
        if self.converged() { Ok(self) } else { Err(Error::NotConverged(self.outcome())) }
    }
}

/// The outcome and, on a further line, its price.
impl fmt::Display for EigenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        write!(f, "{}\n  {} products with operators in {seconds:.3} s", self.outcome(), self.applications)
    }
}
