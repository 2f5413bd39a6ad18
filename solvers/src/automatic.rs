//! `Automatic`: a method and a preconditioner chosen from the matrix, and others if they fail.
//!
//! No analysis of a matrix that is cheaper than solving can tell which method will work, so the choice
//! is a list: what the facts speak for comes first, and what needs less of the matrix and more time
//! follows. Each attempt starts from the initial guess, and is told with its reason and its
//! outcome.

mod independence;
mod named;
mod plan;
mod reduced;
mod resume;
mod run;
mod solution;
mod system;

use std::borrow::Cow;
use std::cell::RefCell;

use dolmen_core::{CsrMatrix, LinearOperator, Scalar, Snapshot, Vector};

use crate::analysis::Analysis;
use crate::choice::{MethodSettings, PreconditionerSettings, SolverChoice};
use crate::error::{Defect, Error, Result};
use crate::monitor::Monitor;
use named::Named;
use plan::Plan;
use reduced::Reduced;
use resume::Progressed;
use run::Run;
pub use solution::{Attempt, Solution};
use system::System;

/// Returns the adjoint of a matrix; it is kept where least squares need it again.
fn adjoint<T: Scalar>(a: &CsrMatrix<T>) -> Result<Cow<'_, CsrMatrix<T>>> {
    let is_square = a.range().global_len() == a.domain().global_len();
    Ok(if is_square { a.adjoint_once()? } else { Cow::Borrowed(a.adjoint()?) })
}

/// Solves a system in a way that is chosen from its matrix.
///
/// ```no_run
/// # use dolmen_core::{CsrMatrix, Vector};
/// # use dolmen_solvers::{Automatic, Result};
/// # fn f(a: &CsrMatrix<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
/// let solution = Automatic::new().rtol(1e-10).solve(a, b, x)?;
/// println!("{}: {}", solution.kept().reason, solution.kept().summary());
/// # Ok(()) }
/// ```
pub struct Automatic<'a, T> {
    method: Option<MethodSettings>,
    preconditioner: Option<PreconditionerSettings>,
    rtol: f64,
    atol: f64,
    max_iterations: Option<usize>,
    monitor: Option<RefCell<&'a mut dyn Monitor<T>>>,
    resume: Option<&'a Snapshot<T>>,
}

impl<T: Scalar> Default for Automatic<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, T: Scalar> Automatic<'a, T> {
    /// Creates the default settings: relative tolerance 1e-8, no absolute one; method and preconditioner are chosen.
    pub fn new() -> Self {
        let (method, preconditioner, max_iterations, monitor, resume) = (None, None, None, None, None);
        Automatic { method, preconditioner, rtol: 1e-8, atol: 0.0, max_iterations, monitor, resume }
    }

    /// Sets the method, a [`Method`](crate::Method) or its settings; then it is the only one that is tried.
    #[must_use]
    pub fn solver(mut self, method: impl Into<MethodSettings>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Sets the preconditioner, a [`PreconditionerKind`](crate::PreconditionerKind) or its settings; then it is the
    /// only one that is tried.
    #[must_use]
    pub fn preconditioner(mut self, preconditioner: impl Into<PreconditionerSettings>) -> Self {
        self.preconditioner = Some(preconditioner.into());
        self
    }

    /// Sets the method, and the preconditioner if the choice has one.
    #[must_use]
    pub fn choice(mut self, choice: SolverChoice) -> Self {
        self.method = Some(choice.method);
        self.preconditioner = choice.preconditioner.or(self.preconditioner);
        self
    }

    /// Sets the relative tolerance: stop at `|b - A x| <= rtol |b|`.
    #[must_use]
    pub fn rtol(mut self, rtol: f64) -> Self {
        self.rtol = rtol;
        self
    }

    /// Sets the absolute tolerance: stop at `|b - A x| <= atol`.
    #[must_use]
    pub fn atol(mut self, atol: f64) -> Self {
        self.atol = atol;
        self
    }

    /// Sets the maximum number of iterations per attempt. Without it attempts are limited by their work: to some
    /// minutes of one core, and where a complete factorization may follow to one, or to 1000 iterations if the
    /// matrix is small.
    #[must_use]
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = Some(max_iterations);
        self
    }

    /// Sets a monitor, called after each iteration of each attempt; see
    /// [`Settings::monitor`](crate::Settings::monitor). A stop ends all attempts. The snapshots that it is handed
    /// have the attempts before with them, and the number of the attempt under way, from one, as the integer `attempt`.
    #[must_use]
    pub fn monitor(mut self, monitor: &'a mut dyn Monitor<T>) -> Self {
        self.monitor = Some(RefCell::new(monitor));
        self
    }

    /// Resumes from a snapshot that the monitor of an automatic solve was handed. Attempts that had failed
    /// are not made again, but told; with the same system, initial guess and settings, the outcome has the
    /// bits of a solve that was never interrupted. Where the preconditioner is made of the ranks' blocks
    /// and their number has changed, the attempt starts anew from the `x` that it had reached.
    #[must_use]
    pub fn resume(mut self, snapshot: &'a Snapshot<T>) -> Self {
        self.resume = Some(snapshot);
        self
    }

    /// Solves `A x = b`, or `min |b - A x|` for a rectangular `A`; `x` holds the initial guess and becomes the
    /// solution, or the best of all attempts if none solves the system.
    ///
    /// # Collective
    /// All ranks have the same settings.
    ///
    /// # Errors
    /// A method and a preconditioner or a matrix that do not go together, a setting of the method out of range,
    /// mismatched layouts, an entry of the matrix that is not finite, a snapshot of a solve for which other attempts
    /// were chosen; the same on all ranks. Not converging, and a preconditioner that cannot be made, are not errors
    /// but attempts that failed.
    pub fn solve(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Solution> {
        a.range().require_same(b.layout(), "right-hand side of an automatic solve")?;
        a.domain().require_same(x.layout(), "solution of an automatic solve")?;
        let adjoint = adjoint(a)?;
        let analysis = Analysis::with_adjoint(a, &adjoint);
        if let Some(row) = analysis.not_finite {
            return Err(Error::Unfit { method: "automatic solve", row, defect: Defect::NotFinite });
        }
        let rest = self.rest(a, adjoint, &analysis)?;
        let (reduced, facts) = rest.as_ref().map_or((None, &analysis), |(reduced, facts)| (Some(reduced), facts));
        let independence = independence::of_columns(reduced.map_or(a, |reduced| &reduced.matrix), facts)?;
        let mut plans = match self.named() {
            None => plan::plans(facts, independence),
            Some(named) => vec![named.plan(facts, independence)?],
        };
        if reduced.is_some() {
            let Analysis { zero_rows, zero_columns, .. } = analysis;
            let left_out = format!("; {zero_rows} rows and {zero_columns} columns of zeros are left out");
            plans.iter_mut().for_each(|plan| plan.reason += &left_out);
        }
        let system = System::new(a, b, reduced, |size| (self.rtol * size).max(self.atol))?;
        let attempts = self.attempts(&plans, &system, x)?;
        if let Some(monitor) = &self.monitor {
            let ended = monitor.borrow_mut().end();
            b.comm().agree(ended)?;
        }
        Ok(Solution { analysis, attempts, rtol: self.rtol })
    }

    fn named(&self) -> Option<Named> {
        Named::new(self.method, self.preconditioner.as_ref())
    }

    /// Returns the matrix without empty rows and columns, if there are any, with the facts about it. A matrix that
    /// is zero stays, as does one whose rest has another shape than the method that is named needs.
    fn rest(
        &self,
        a: &CsrMatrix<T>,
        adjoint: Cow<'_, CsrMatrix<T>>,
        facts: &Analysis,
    ) -> Result<Option<(Reduced<T>, Analysis)>> {
        let is_empty = facts.zero_rows == facts.rows || facts.zero_columns == facts.columns;
        if is_empty || facts.zero_rows + facts.zero_columns == 0 {
            return Ok(None);
        }
        let Some(reduced) = Reduced::new(a, &adjoint)? else { return Ok(None) };
        drop(adjoint);
        let rest = Analysis::with_adjoint(&reduced.matrix, &*self::adjoint(&reduced.matrix)?);
        let fits = self.named().is_none() || rest.is_square() == facts.is_square();
        Ok(fits.then_some((reduced, rest)))
    }

    /// Makes attempts until one succeeds or no other can; `x` becomes the best solution.
    fn attempts(&self, plans: &[Plan], system: &System<'_, T>, x: &mut Vector<T>) -> Result<Vec<Attempt>> {
        let guess = x.clone();
        let load = |snapshot| resume::load(snapshot, plans, system.unsolvable_rows, x);
        let mut attempts = self.resume.map(load).transpose()?.unwrap_or_default();
        let mut snapshot = match (self.resume, system.reduced()) {
            (Some(whole), Some(reduced)) => Some(Cow::Owned(reduced.snapshot(whole)?)),
            (whole, _) => whole.map(Cow::Borrowed),
        };
        for number in attempts.len() + 1..=plans.len() {
            let mut solution = guess.clone();
            let progressed = Progressed { plans: &plans[..number], attempts: &attempts, best: x };
            let attempt = self.attempt(progressed, snapshot.take().as_deref(), system, &mut solution)?;
            if attempt.is_better_than_all(&attempts) {
                x.copy_from(&solution)?;
            }
            // Where b is not finite nothing can be solved.
            let last = attempt.solved || attempt.is_final() || !system.size.is_finite();
            attempts.push(attempt);
            if last {
                break;
            }
        }
        Ok(attempts)
    }

    /// Carries out the last of the plans.
    fn attempt(
        &self,
        progressed: Progressed<'_, T>,
        mut resume: Option<&Snapshot<T>>,
        system: &System<'_, T>,
        x: &mut Vector<T>,
    ) -> Result<Attempt> {
        let plan = progressed.plans.last().expect("invariant: an attempt has a plan");
        let mut unknowns = system.unknowns(x)?.into_owned();
        if let Some(snapshot) = resume.take_if(|s| !resume::is_same_attempt(s, progressed.plans.len(), plan, &unknowns))
        {
            unknowns.copy_from(resume::reached(snapshot, &unknowns)?)?;
        }
        let (rtol, atol) = (self.rtol * system.share, self.atol * system.share);
        let limit = self.max_iterations.unwrap_or(plan.limit).min(plan.cap);
        let (monitor, reduced) = (self.monitor.as_ref(), system.reduced());
        let run = Run { plan, rtol, atol, limit, monitor, resume, progressed, reduced };
        let (a, b) = system.solved();
        let (setup, outcome) = run.solve(a, b, &mut unknowns)?;
        *x = reduced.map_or(Ok(unknowns.clone()), |reduced| reduced.whole_solution(&unknowns))?;
        // Of the system that was given, whatever the method made of it.
        let mut r = Vector::zeros(system.a.range());
        system.a.apply(x, &mut r)?;
        r.axpby(T::ONE, system.b, -T::ONE)?;
        let residual = r.norm2();
        // No x need meet the tolerance where there are more equations than unknowns.
        let is_tall = system.a.range().global_len() > system.a.domain().global_len();
        let converged = matches!(&outcome, Ok(report) if report.converged());
        Ok(Attempt {
            method: plan.method,
            preconditioner: plan.preconditioner.clone(),
            reason: plan.reason.clone(),
            setup,
            true_relative_residual: if system.size > 0.0 { residual / system.size } else { residual },
            unsolvable_rows: system.unsolvable_rows,
            solved: converged && (residual <= system.target || is_tall || plan.method.damp() != 0.0),
            outcome,
        })
    }
}
