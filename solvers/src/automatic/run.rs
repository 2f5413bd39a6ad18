//! One attempt: makes the preconditioner of a plan and runs its method.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use dolmen_core::{AdjointOperator, CsrMatrix, LinearOperator, Scalar, Snapshot, Vector};

use crate::automatic::plan::Plan;
use crate::automatic::reduced::Reduced;
use crate::automatic::resume::Progressed;
use crate::error::Result;
use crate::monitor::{Monitor, Progress, Request};
use crate::null_space::NullSpace;
use crate::report::SolveReport;
use crate::settings::Settings;

/// A plan with the settings of its solve.
pub(super) struct Run<'p, 'm, T: Scalar> {
    pub(super) plan: &'p Plan,
    pub(super) rtol: f64,
    pub(super) atol: f64,
    pub(super) limit: usize,
    pub(super) monitor: Option<&'p RefCell<&'m mut dyn Monitor<T>>>,
    pub(super) resume: Option<&'p Snapshot<T>>,
    pub(super) progressed: Progressed<'p, T>,
    pub(super) reduced: Option<&'p Reduced<T>>,
}

/// A monitor that is lent to one attempt after the other, with what was before.
struct Lent<'p, 'm, T: Scalar> {
    monitor: &'p RefCell<&'m mut dyn Monitor<T>>,
    progressed: Progressed<'p, T>,
    reduced: Option<&'p Reduced<T>>,
}

impl<T: Scalar> Monitor<T> for Lent<'_, '_, T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        self.monitor.borrow_mut().progress(progress)
    }

    fn snapshot(&mut self, snapshot: Snapshot<T>) -> Result<()> {
        let mut snapshot = match self.reduced {
            Some(reduced) => reduced.whole_snapshot(&snapshot)?,
            None => snapshot,
        };
        self.progressed.save(&mut snapshot);
        self.monitor.borrow_mut().snapshot(snapshot)
    }

    fn meet(&mut self) -> Result<()> {
        self.monitor.borrow_mut().meet()
    }
}

/// The time it took to make the preconditioner; the report, or why there is no preconditioner.
type Outcome = (Duration, Result<SolveReport>);

impl<'p, 'm, T: Scalar> Run<'p, 'm, T> {
    /// Runs the plan.
    ///
    /// # Collective
    pub(super) fn solve(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Outcome> {
        if self.plan.negated {
            let (mut a, mut b) = (a.clone(), b.clone());
            a.scale(-T::ONE);
            b.scale(-T::ONE);
            return self.preconditioned(&a, &b, x);
        }
        self.preconditioned(a, b, x)
    }

    fn preconditioned(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Outcome> {
        let start = Instant::now();
        let m = self.plan.preconditioner.make(a);
        let setup = start.elapsed();
        let outcome = match m {
            Ok(m) if self.plan.method.method().is_least_squares() => Ok(self.least_squares(a, m.as_deref(), b, x)?),
            Ok(m) => Ok(self.square(a, m.as_deref(), b, x)?),
            Err(error) => Err(error),
        };
        Ok((setup, outcome))
    }

    fn square(
        &self,
        a: &CsrMatrix<T>,
        m: Option<&dyn AdjointOperator<T>>,
        b: &Vector<T>,
        x: &mut Vector<T>,
    ) -> Result<SolveReport> {
        let constants = self.plan.projected.then(|| NullSpace::constants(a.domain())).transpose()?;
        let mut monitor = self.lent();
        let mut settings = self.settings(&mut monitor);
        if let Some(m) = m {
            settings = settings.preconditioner(m);
        }
        if let Some(constants) = &constants {
            settings = settings.projection(constants);
        }
        self.plan.method.solver(settings)?.solve(a, b, x)
    }

    fn least_squares(
        &self,
        a: &CsrMatrix<T>,
        m: Option<&dyn AdjointOperator<T>>,
        b: &Vector<T>,
        x: &mut Vector<T>,
    ) -> Result<SolveReport> {
        let mut monitor = self.lent();
        let settings = self.settings(&mut monitor);
        self.plan.method.least_squares(settings, m)?.solve(a, b, x)
    }

    fn lent(&self) -> Option<Lent<'p, 'm, T>> {
        self.monitor.map(|monitor| Lent { monitor, progressed: self.progressed, reduced: self.reduced })
    }

    fn settings<'s, M: Monitor<T>>(&'s self, monitor: &'s mut Option<M>) -> Settings<'s, T> {
        let mut settings = Settings::new().rtol(self.rtol).atol(self.atol).max_iterations(self.limit);
        settings = self.resume.into_iter().fold(settings, Settings::resume);
        match monitor {
            Some(monitor) => settings.monitor(monitor),
            None => settings,
        }
    }
}
