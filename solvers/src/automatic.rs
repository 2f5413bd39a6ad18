//! `Automatic`: a method and a preconditioner chosen from the matrix, and others if they fail.
//!
//! No analysis of a matrix that is cheaper than solving can tell which method will work, so the choice
//! is a list: what the facts speak for comes first, and what needs less of the matrix and more time
//! follows. Each attempt starts from the initial guess, and is told with its reason and its
//! outcome.

mod named;
mod plan;
mod resume;
mod run;
mod solution;

use std::cell::RefCell;

use dolmen_core::{CsrMatrix, LinearOperator, Scalar, Snapshot, Vector};

use crate::analysis::Analysis;
use crate::error::{Defect, Error, Result};
use crate::monitor::Monitor;
use plan::Plan;
use resume::Progressed;
use run::Run;
pub use solution::{Attempt, Solution};

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
    solver: Option<&'a str>,
    preconditioner: Option<&'a str>,
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
    /// Relative tolerance 1e-8, no absolute one; method and preconditioner to be chosen.
    pub fn new() -> Self {
        let (solver, preconditioner, max_iterations, monitor, resume) = (None, None, None, None, None);
        Automatic { solver, preconditioner, rtol: 1e-8, atol: 0.0, max_iterations, monitor, resume }
    }

    /// The names that [`solver`](Automatic::solver) takes: those of all methods, and `direct`.
    pub fn solvers() -> Vec<&'static str> {
        named::solvers()
    }

    /// The names that [`preconditioner`](Automatic::preconditioner) takes: those of
    /// [`PRECONDITIONERS`](crate::PRECONDITIONERS), `column-scaling` for least squares, and `none`.
    pub fn preconditioners() -> Vec<&'static str> {
        named::preconditioners()
    }

    /// The method, one of [`Automatic::solvers`]; then it is the only one that is tried. `direct` is GMRES
    /// with a complete factorisation, whose solution it refines.
    #[must_use]
    pub fn solver(mut self, name: &'a str) -> Self {
        self.solver = Some(name);
        self
    }

    /// The preconditioner, one of [`Automatic::preconditioners`]; then it is the only one that is tried.
    #[must_use]
    pub fn preconditioner(mut self, name: &'a str) -> Self {
        self.preconditioner = Some(name);
        self
    }

    /// Relative tolerance: stop at `|b - A x| <= rtol |b|`.
    #[must_use]
    pub fn rtol(mut self, rtol: f64) -> Self {
        self.rtol = rtol;
        self
    }

    /// Absolute tolerance: stop at `|b - A x| <= atol`.
    #[must_use]
    pub fn atol(mut self, atol: f64) -> Self {
        self.atol = atol;
        self
    }

    /// Largest number of iterations of each attempt; without it 10 000, and 1000 of an attempt that a complete
    /// factorisation or least squares may follow.
    #[must_use]
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = Some(max_iterations);
        self
    }

    /// Called after each iteration of each attempt; see [`Settings::monitor`](crate::Settings::monitor). A
    /// stop ends all attempts. The snapshots that it is handed have the attempts before with them, and the
    /// number of the attempt under way, from one, as the integer `attempt`.
    #[must_use]
    pub fn monitor(mut self, monitor: &'a mut dyn Monitor<T>) -> Self {
        self.monitor = Some(RefCell::new(monitor));
        self
    }

    /// Goes on from a snapshot that the monitor of an automatic solve was handed. Attempts that had failed
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
    /// An unknown name, a method and a preconditioner or a matrix that do not go together, a setting out
    /// of range, mismatched layouts, an entry of the matrix that is not finite, a snapshot of a solve for
    /// which other attempts were chosen; the same on all ranks. Not converging, and a preconditioner that cannot be made, are not errors but attempts that failed.
    pub fn solve(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Solution> {
        a.range().require_same(b.layout(), "right-hand side of an automatic solve")?;
        a.domain().require_same(x.layout(), "solution of an automatic solve")?;
        let analysis = Analysis::new(a)?;
        if let Some(row) = analysis.not_finite {
            return Err(Error::Unfit { method: "automatic solve", row, defect: Defect::NotFinite });
        }
        let plans = match (self.solver, self.preconditioner) {
            (None, None) => plan::plans(&analysis),
            (solver, preconditioner) => vec![named::plan(&analysis, solver, preconditioner)?],
        };
        let attempts = self.attempts(&plans, a, b, x)?;
        if let Some(monitor) = &self.monitor {
            let ended = monitor.borrow_mut().end();
            b.comm().agree(ended)?;
        }
        Ok(Solution { analysis, attempts, rtol: self.rtol })
    }

    /// Makes attempts until one succeeds or no other can; `x` becomes the best solution.
    fn attempts(&self, plans: &[Plan], a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Vec<Attempt>> {
        let (guess, size) = (x.clone(), b.norm2());
        let earlier = self.resume.map(|snapshot| resume::load(snapshot, plans, x)).transpose()?;
        let mut attempts = earlier.unwrap_or_default();
        let mut snapshot = self.resume;
        for number in attempts.len() + 1..=plans.len() {
            let mut solution = guess.clone();
            let progressed = Progressed { plans: &plans[..number], attempts: &attempts, best: x };
            let attempt = self.attempt(progressed, snapshot.take(), a, b, &mut solution)?;
            if attempt.is_better_than_all(&attempts) {
                x.copy_from(&solution)?;
            }
            // Where b is not finite nothing can be solved.
            let last = attempt.solved || attempt.is_final() || !size.is_finite();
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
        a: &CsrMatrix<T>,
        b: &Vector<T>,
        x: &mut Vector<T>,
    ) -> Result<Attempt> {
        let plan = progressed.plans.last().expect("invariant: an attempt has a plan");
        if let Some(snapshot) = resume.take_if(|s| !resume::is_same_attempt(s, progressed.plans.len(), plan, x)) {
            x.copy_from(resume::reached(snapshot, x)?)?;
        }
        let limit = self.max_iterations.unwrap_or(plan.limit);
        let monitor = self.monitor.as_ref();
        let run = Run { plan, rtol: self.rtol, atol: self.atol, limit, monitor, resume, progressed };
        let (setup, outcome) = run.solve(a, b, x)?;
        // Of the system that was given, whatever the method made of it.
        let mut r = Vector::zeros(a.range());
        a.apply(x, &mut r)?;
        r.axpby(T::ONE, b, -T::ONE)?;
        let (residual, size) = (r.norm2(), b.norm2());
        let meets = residual <= (self.rtol * size).max(self.atol);
        // No x need meet the tolerance where there are more equations than unknowns.
        let is_tall = a.range().global_len() > a.domain().global_len();
        let converged = matches!(&outcome, Ok(report) if report.converged());
        Ok(Attempt {
            method: plan.method,
            preconditioner: plan.preconditioner,
            reason: plan.reason.clone(),
            setup,
            true_relative_residual: if size > 0.0 { residual / size } else { residual },
            solved: converged && (meets || is_tall),
            outcome,
        })
    }
}
