//! Result of an automatic solve: every attempt, successful or not.

use std::time::Duration;

use crate::analysis::Analysis;
use crate::choice::{MethodSettings, PreconditionerSettings};
use crate::error::Error;
use crate::report::SolveReport;
use crate::stop_reason::StopReason;

/// One way that was tried to solve a system.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The method with its settings.
    pub method: MethodSettings,
    /// The preconditioner with its settings.
    pub preconditioner: PreconditionerSettings,
    /// Reason for which it was tried.
    pub reason: String,
    /// Wall time on this rank to make the preconditioner.
    pub setup: Duration,
    /// The report of the solve, or why the preconditioner could not be made.
    pub outcome: Result<SolveReport, Error>,
    /// `|b - A x| / |b|` of the solution and the system that was given; `|b - A x|` where `b` is zero.
    pub true_relative_residual: f64,
    /// Rows in which `A` is zero and `b` is not: no `x` solves these.
    pub unsolvable_rows: u64,
    /// True if the solution is as good as requested: the report says converged, and the true residual
    /// meets the tolerance. With more rows than columns, or damping, no `x` need do that, and the report is enough: then
    /// `|A^H r| <= rtol |A| |r|`, of the columns scaled to one length where they were.
    pub solved: bool,
}

impl Attempt {
    /// Describes the outcome in one line.
    pub fn summary(&self) -> String {
        match &self.outcome {
            Ok(report) if report.converged() && !self.solved => {
                let SolveReport { method, iterations, .. } = report;
                let residual = self.true_relative_residual;
                let rows = self.unsolvable_rows;
                let proven = match report.normal_residual {
                    _ if rows > 0 => &format!(
                        "b is not zero in {rows} rows where A is zero, so no x solves them; x minimizes |b - Ax| in the others"
                    ),
                    Some(_) => {
                        "x minimizes |b - Ax| by the test of a small |A*r|, but |b - Ax| does not meet the tolerance"
                    }
                    None => {
                        "b - Ax with constants projected out meets the tolerance, b - Ax does not: b has a mean, which no A x \
                         has; subtract it from b"
                    }
                };
                format!("{method}: {iterations} iterations; |b - Ax| / |b| = {residual:.2e}; {proven}")
            }
            Ok(report) => report.outcome(),
            Err(Error::NotMade { .. }) => {
                "the preconditioner could not be made in the solve that was resumed".to_owned()
            }
            // Which rank met it is of no interest.
            Err(error) => format!("the preconditioner could not be made: {}", error.message()),
        }
    }

    /// Returns true if a method of least squares was tried.
    fn is_least_squares(&self) -> bool {
        self.method.method().is_least_squares()
    }

    /// Returns true if its solution is better than those of `others`.
    pub(super) fn is_better_than_all(&self, others: &[Attempt]) -> bool {
        // NaN is worse than any number.
        let residual = |attempt: &Attempt| {
            let residual = attempt.true_relative_residual;
            if residual.is_nan() { f64::INFINITY } else { residual }
        };
        self.solved || others.iter().all(|other| residual(self) < residual(other))
    }

    /// Returns true if no other attempt follows: the solution is one of least squares, or a monitor wants no
    /// more.
    pub(super) fn is_final(&self) -> bool {
        matches!(&self.outcome, Ok(report) if report.converged() || report.reason == StopReason::Requested)
    }
}

/// The outcome of an [`Automatic`](crate::Automatic) solve.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The facts about the matrix. If it has rows or columns of zeros, attempts are chosen by those about the rest.
    pub analysis: Analysis,
    /// All attempts in their order, at least one.
    pub attempts: Vec<Attempt>,
    /// The requested relative tolerance.
    pub rtol: f64,
}

impl Solution {
    /// Returns true if the last attempt solved the system.
    pub fn solved(&self) -> bool {
        self.attempts.last().is_some_and(|last| last.solved)
    }

    /// Returns a sentence for each property of the system that makes the residual a poor measure of the error.
    pub fn warnings(&self) -> Vec<String> {
        let Analysis { smallest_row, norm_inf, smallest_column, norm_one, .. } = self.analysis;
        let by_columns = self.kept().is_least_squares() && self.kept().preconditioner == PreconditionerSettings::None;
        let invisible = |smallest: f64, largest: f64| smallest < self.rtol * largest;
        let unscaled = |what: &str, smallest: f64, largest: f64, said: &str| {
            let (ratio, rtol) = (largest / smallest, self.rtol);
            format!(
                "the {what} of A differ in size by {ratio:.0e}: {said} {rtol:.0e} says nothing about the smallest; scale them, or ask \
             for a smaller tolerance"
            )
        };
        let rows = invisible(smallest_row, norm_inf).then(|| unscaled("rows", smallest_row, norm_inf, "a residual of"));
        let columns = (by_columns && invisible(smallest_column, norm_one))
            .then(|| unscaled("columns", smallest_column, norm_one, "that |A*r| is small to"));
        [rows, columns].into_iter().flatten().collect()
    }

    /// Returns the attempt whose solution was kept: the one that solved the system, or else the one with the
    /// smallest true residual.
    pub fn kept(&self) -> &Attempt {
        let kept = |at: &usize| self.attempts[*at].is_better_than_all(&self.attempts[..*at]);
        let last = (0..self.attempts.len()).rev().find(kept);
        &self.attempts[last.expect("invariant: nothing comes before the first attempt")]
    }
}
