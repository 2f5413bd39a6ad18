//! `Automatic`: a method and a preconditioner chosen from the matrix, and others if they fail.
//!
//! No analysis of a matrix that is cheaper than solving can tell which method will work, so the choice
//! is a list: what the facts speak for comes first, and what needs less of the matrix and more time
//! follows. Each attempt starts from the initial guess, and is told with its reason and its
//! outcome.

mod named;
mod plan;
mod run;
mod solution;

use std::cell::RefCell;

use dolmen_core::{CsrMatrix, LinearOperator, Scalar, Vector};

use crate::analysis::Analysis;
use crate::error::{Defect, Error, Result};
use crate::monitor::Monitor;
use plan::Plan;
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
}

impl<T: Scalar> Default for Automatic<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, T: Scalar> Automatic<'a, T> {
    /// Relative tolerance 1e-8, no absolute one; method and preconditioner to be chosen.
    pub fn new() -> Self {
        Automatic { solver: None, preconditioner: None, rtol: 1e-8, atol: 0.0, max_iterations: None, monitor: None }
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

    /// Called after each iteration of each attempt; see [`Settings::monitor`]. A stop ends all attempts.
    #[must_use]
    pub fn monitor(mut self, monitor: &'a mut dyn Monitor<T>) -> Self {
        self.monitor = Some(RefCell::new(monitor));
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
    /// of range, mismatched layouts, an entry of the matrix that is not finite; the same on all ranks. Not
    /// converging, and a preconditioner that cannot be made, are not errors but attempts that failed.
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
        Ok(Solution { analysis, attempts, rtol: self.rtol })
    }

    /// Makes attempts until one succeeds or no other can; `x` becomes the best solution.
    fn attempts(&self, plans: &[Plan], a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Vec<Attempt>> {
        let (guess, size) = (x.clone(), b.norm2());
        let mut attempts: Vec<Attempt> = Vec::with_capacity(plans.len());
        for plan in plans {
            let mut solution = guess.clone();
            let attempt = self.attempt(plan, a, b, &mut solution)?;
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

    fn attempt(&self, plan: &Plan, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<Attempt> {
        let limit = self.max_iterations.unwrap_or(plan.limit);
        let run = Run { plan, rtol: self.rtol, atol: self.atol, limit, monitor: self.monitor.as_ref() };
        let (setup, outcome) = run.solve(a, b, x)?;
        // Of the system that was given, whatever the method made of it.
        let mut r = Vector::zeros(a.range());
        a.apply(x, &mut r)?;
        r.axpby(T::ONE, b, -T::ONE)?;
        let (residual, size) = (r.norm2(), b.norm2());
        let meets = residual <= (self.rtol * size).max(self.atol);
        let is_square = a.range().global_len() == a.domain().global_len();
        let converged = matches!(&outcome, Ok(report) if report.converged());
        Ok(Attempt {
            method: plan.method,
            preconditioner: plan.preconditioner,
            reason: plan.reason.clone(),
            setup,
            true_relative_residual: if size > 0.0 { residual / size } else { residual },
            solved: converged && (meets || !is_square),
            outcome,
        })
    }
}
