//! One attempt: makes the preconditioner of a plan and runs its method.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use dolmen_core::{AdjointOperator, CsrMatrix, LinearOperator, Scalar, Snapshot, Vector};

use crate::automatic::named::COLUMN_SCALING;
use crate::automatic::plan::Plan;
use crate::error::Result;
use crate::krylov::by_name::{LEAST_SQUARES_SOLVERS, preconditioned_least_squares_by_name, solver_by_name};
use crate::monitor::{Monitor, Progress, Request};
use crate::null_space::NullSpace;
use crate::precond::{ColumnScaling, preconditioner_by_name};
use crate::report::SolveReport;
use crate::settings::Settings;

/// A plan with the settings of its solve.
pub(super) struct Run<'p, 'm, T> {
    pub(super) plan: &'p Plan,
    pub(super) rtol: f64,
    pub(super) atol: f64,
    pub(super) limit: usize,
    pub(super) monitor: Option<&'p RefCell<&'m mut dyn Monitor<T>>>,
}

/// A monitor that is lent to one attempt after the other.
struct Lent<'p, 'm, T>(&'p RefCell<&'m mut dyn Monitor<T>>);

impl<T: Scalar> Monitor<T> for Lent<'_, '_, T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        self.0.borrow_mut().progress(progress)
    }

    fn snapshot(&mut self, snapshot: &Snapshot<T>) -> Result<()> {
        self.0.borrow_mut().snapshot(snapshot)
    }
}

/// The time it took to make the preconditioner; the report, or why there is no preconditioner.
type Outcome = (Duration, Result<SolveReport>);

impl<T: Scalar> Run<'_, '_, T> {
    /// Runs the plan.
    ///
    /// # Collective
    pub(super) fn solve(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Outcome> {
        if LEAST_SQUARES_SOLVERS.contains(&self.plan.method) {
            return self.least_squares(a, b, x);
        }
        if self.plan.negated {
            let (mut a, mut b) = (a.clone(), b.clone());
            a.scale(-T::ONE);
            b.scale(-T::ONE);
            return self.square(&a, &b, x);
        }
        self.square(a, b, x)
    }

    fn square(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Outcome> {
        let start = Instant::now();
        let m = match preconditioner_by_name(self.plan.preconditioner, a).transpose() {
            Ok(m) => m,
            Err(error) => return Ok((start.elapsed(), Err(error))),
        };
        let setup = start.elapsed();
        let constants = self.plan.projected.then(|| NullSpace::constants(a.domain())).transpose()?;
        let mut monitor = self.monitor.map(Lent);
        let mut settings = self.settings(&mut monitor);
        if let Some(m) = &m {
            settings = settings.preconditioner(&**m);
        }
        if let Some(constants) = &constants {
            settings = settings.projection(constants);
        }
        let solver = solver_by_name(self.plan.method, settings).expect("invariant: plans name methods");
        Ok((setup, Ok(solver.solve(a, b, x)?)))
    }

    fn least_squares(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Outcome> {
        let start = Instant::now();
        let scaling = (self.plan.preconditioner == COLUMN_SCALING).then(|| ColumnScaling::new(a)).transpose()?;
        let setup = start.elapsed();
        let m = scaling.as_ref().map(|m| m as &dyn AdjointOperator<T>);
        let mut monitor = self.monitor.map(Lent);
        let settings = self.settings(&mut monitor);
        let solver = preconditioned_least_squares_by_name(self.plan.method, settings, m);
        let solver = solver.expect("invariant: plans name methods");
        Ok((setup, Ok(solver.solve(a, b, x)?)))
    }

    fn settings<'s, M: Monitor<T>>(&self, monitor: &'s mut Option<M>) -> Settings<'s, T> {
        let settings = Settings::new().rtol(self.rtol).atol(self.atol).max_iterations(self.limit);
        match monitor {
            Some(monitor) => settings.monitor(monitor),
            None => settings,
        }
    }
}
