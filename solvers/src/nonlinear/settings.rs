//! Tolerances and limits that all nonlinear methods have, and the test that ends a solve.

use std::cell::RefCell;
use std::time::Instant;

use dolmen_core::{Comm, Real, Scalar};

use crate::error::Result;
use crate::monitor::Progress;
use crate::nonlinear::evaluation::Evaluation;
use crate::nonlinear::reason::NonlinearReason;
use crate::nonlinear::report::NonlinearReport;
use crate::settings::require;

/// Called after each iteration; true to stop.
pub(super) type Watch<'a> = RefCell<&'a mut dyn FnMut(&Progress) -> bool>;

/// Settings of all nonlinear methods.
pub(super) struct Common<'a> {
    pub(super) rtol: f64,
    pub(super) atol: f64,
    pub(super) dtol: f64,
    pub(super) max_iterations: usize,
    pub(super) max_evaluations: usize,
    pub(super) monitor: Option<Watch<'a>>,
}

impl Common<'_> {
    pub(super) fn new(max_iterations: usize) -> Self {
        Common { rtol: 1e-8, atol: 0.0, dtol: 1e5, max_iterations, max_evaluations: usize::MAX, monitor: None }
    }

    /// Lets the next reduction compare the settings over the ranks; `own` are those of the method.
    pub(super) fn compare(&self, method: &'static str, comm: &Comm, own: impl FnOnce() -> String) {
        let Common { rtol, atol, dtol, max_iterations, max_evaluations, monitor } = self;
        let monitor = if monitor.is_some() { "given" } else { "none" };
        comm.compare(|| {
            format!(
                "method {method}\nrtol {rtol:?}\natol {atol:?}\ndtol {dtol:?}\nmax_iterations {max_iterations}\n\
                 max_evaluations {max_evaluations}\nmonitor {monitor}\n{}",
                own()
            )
        });
    }

    /// Refuses values out of range.
    pub(super) fn check(&self, method: &'static str) -> Result<()> {
        for (setting, value) in [("rtol", self.rtol), ("atol", self.atol)] {
            require(method, setting, value, value >= 0.0 && value.is_finite(), "zero or more, and finite")?;
        }
        require(method, "dtol", self.dtol, self.dtol >= 1.0, "one or more")
    }
}

/// Setters that all nonlinear methods have.
macro_rules! common_setters {
    ($solver:ident) => {
        impl<'a, T: dolmen_core::Scalar> $solver<'a, T> {
            /// Relative tolerance, 1e-8 by default: stop at `|F(x)| <= rtol |F(x0)|`.
            #[must_use]
            pub fn rtol(mut self, rtol: f64) -> Self {
                self.common.rtol = rtol;
                self
            }

            /// Absolute tolerance, zero by default: stop at `|F(x)| <= atol`.
            #[must_use]
            pub fn atol(mut self, atol: f64) -> Self {
                self.common.atol = atol;
                self
            }

            /// Divergence limit, 1e5 by default: give up at `|F(x)| > dtol |F(x0)|`. It may be infinite.
            #[must_use]
            pub fn dtol(mut self, dtol: f64) -> Self {
                self.common.dtol = dtol;
                self
            }

            /// Maximum number of iterations.
            #[must_use]
            pub fn max_iterations(mut self, max_iterations: usize) -> Self {
                self.common.max_iterations = max_iterations;
                self
            }

            /// Maximum number of evaluations of the function, those for differences included; no limit by default. It is
            /// looked at before each iteration.
            #[must_use]
            pub fn max_evaluations(mut self, max_evaluations: usize) -> Self {
                self.common.max_evaluations = max_evaluations;
                self
            }

            /// Sets a function that is called on all ranks with `|F(x)|` at the initial guess and after each iteration.
            /// The solve stops if it returns true on any rank.
            #[must_use]
            pub fn monitor(mut self, monitor: &'a mut dyn FnMut(&crate::monitor::Progress) -> bool) -> Self {
                self.common.monitor = Some(std::cell::RefCell::new(monitor));
                self
            }
        }
    };
}
pub(super) use common_setters;

/// The state that all methods share: when to stop, and what is reported.
pub(super) struct Run<'s, 'a> {
    common: &'s Common<'a>,
    start: Instant,
    pub(super) report: NonlinearReport,
}

impl<'s, 'a> Run<'s, 'a> {
    /// Begins with `|F(x0)|`.
    pub(super) fn new(method: &'static str, common: &'s Common<'a>, start: Instant, residual: f64) -> Run<'s, 'a> {
        let report = NonlinearReport {
            method,
            reason: NonlinearReason::IterationLimit,
            iterations: 0,
            history: vec![residual],
            target: (common.rtol * residual).max(common.atol),
            residual,
            last_step: 0.0,
            evaluations: 0,
            jacobians: 0,
            preconditioners: 0,
            linear_iterations: 0,
            linear_failures: 0,
            failure: None,
            time: std::time::Duration::ZERO,
        };
        Run { common, start, report }
    }

    /// Returns the last `|F(x)|`.
    pub(super) fn residual(&self) -> f64 {
        self.report.history[self.report.history.len() - 1]
    }

    /// Notes an iteration.
    pub(super) fn made(&mut self, residual: f64, step: f64) {
        self.report.iterations += 1;
        self.report.last_step = step;
        self.report.history.push(residual);
    }

    /// Returns the reason to stop before the next iteration, if any.
    ///
    /// # Collective
    /// One reduction if there is a monitor.
    pub(super) fn verdict(&self, evaluations: usize, comm: &Comm) -> Result<Option<NonlinearReason>> {
        let (residual, first) = (self.residual(), self.report.history[0]);
        let mut stop = [0_u64];
        if let Some(monitor) = &self.common.monitor {
            let (iteration, limit) = (self.report.iterations, self.common.max_iterations);
            let progress = Progress { iteration, residual, target: self.report.target, limit };
            stop[0] = u64::from((*monitor.borrow_mut())(&progress));
            comm.all_reduce_max(&mut stop);
        }
        Ok(if !residual.is_finite() {
            Some(NonlinearReason::NotFinite)
        } else if residual <= self.report.target {
            Some(NonlinearReason::Converged)
        } else if residual > self.common.dtol * first {
            Some(NonlinearReason::Diverged)
        } else if stop[0] > 0 {
            Some(NonlinearReason::Requested)
        } else if self.report.iterations >= self.common.max_iterations {
            Some(NonlinearReason::IterationLimit)
        } else if evaluations >= self.common.max_evaluations {
            Some(NonlinearReason::EvaluationLimit)
        } else {
            None
        })
    }

    /// Evaluates the function at the solution once more and completes the report: whatever ended the solve, a residual
    /// that meets the tolerance is convergence, and no other is.
    ///
    /// # Collective
    pub(super) fn conclude<T: Scalar>(
        mut self,
        reason: NonlinearReason,
        evaluation: &Evaluation<'_, T>,
        x: &dolmen_core::Vector<T>,
        work: &mut dolmen_core::Vector<T>,
    ) -> Result<NonlinearReport> {
        self.report.residual = evaluation.evaluate(x, work)?;
        let met = self.report.residual <= self.report.target;
        self.report.reason = match reason {
            _ if met => NonlinearReason::Converged,
            // A function that does not return the same twice.
            NonlinearReason::Converged => NonlinearReason::Stagnated,
            other => other,
        };
        self.report.evaluations = evaluation.count();
        self.report.time = self.start.elapsed();
        Ok(self.report)
    }
}

/// Returns the relative rounding error of a number type.
pub(super) fn epsilon<T: Scalar>() -> f64 {
    T::Real::EPSILON.to_f64()
}
