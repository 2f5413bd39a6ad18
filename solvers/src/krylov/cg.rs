//! Preconditioned conjugate gradients (Hestenes and Stiefel 1952; Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed., algorithm 9.1) for Hermitian positive (semi-)definite `A`.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`, in the norm of the residual itself, not of the
//! preconditioned one. The recurrence drifts away from the true residual in rounding, so its word
//! is only taken after `b - A x` has been computed: if that is too large, the iteration goes on
//! from it with a fresh direction, and a restart that gains less than half ends as
//! [`StopReason::Stagnated`].
//!
//! Two reductions an iteration: one for `p* A p`, one for `r* z` and `r* r` together. Traffic of
//! an iteration beside the operator and the preconditioner, in vectors of `n` entries: 10 reads
//! and 3 writes.

use std::time::Instant;

use dolmen_core::{LinearOperator, Real, Reduction, Scalar, Vector, dots};

use crate::error::{Error, Result};
use crate::monitor::Progress;
use crate::report::{SolveReport, StopReason};

const METHOD: &str = "CG";

/// Settings of a conjugate-gradient solve.
///
/// ```no_run
/// # use dolmen_core::{Diagonal, LinearOperator, Vector};
/// # use dolmen_solvers::{Cg, Result};
/// # fn f(a: &Diagonal<f64>, m: &Diagonal<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
/// let report = Cg::new().rtol(1e-8).preconditioner(m).solve(a, b, x)?.require_converged()?;
/// # Ok(()) }
/// ```
pub struct Cg<'a, T> {
    rtol: f64,
    atol: f64,
    dtol: f64,
    max_iterations: usize,
    reduction: Reduction,
    preconditioner: Option<&'a dyn LinearOperator<T>>,
    projection: Option<&'a dyn LinearOperator<T>>,
    monitor: Option<&'a mut dyn FnMut(&Progress)>,
}

impl<T: Scalar> Default for Cg<'_, T> {
    fn default() -> Self {
        Cg {
            rtol: 1e-8,
            atol: 0.0,
            dtol: 1e5,
            max_iterations: 10_000,
            reduction: Reduction::Reproducible,
            preconditioner: None,
            projection: None,
            monitor: None,
        }
    }
}

impl<'a, T: Scalar> Cg<'a, T> {
    /// Relative tolerance 1e-8, no absolute one, at most 10 000 iterations, no preconditioner.
    pub fn new() -> Self {
        Self::default()
    }

    /// Relative tolerance: stop at `|r| <= rtol |b|`.
    #[must_use]
    pub fn rtol(mut self, rtol: f64) -> Self {
        self.rtol = rtol;
        self
    }

    /// Absolute tolerance: stop at `|r| <= atol`.
    #[must_use]
    pub fn atol(mut self, atol: f64) -> Self {
        self.atol = atol;
        self
    }

    /// Divergence limit: give up at `|r| > dtol |r0|`.
    #[must_use]
    pub fn dtol(mut self, dtol: f64) -> Self {
        self.dtol = dtol;
        self
    }

    /// Largest number of iterations.
    #[must_use]
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = max_iterations;
        self
    }

    /// How inner products are summed over the ranks.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// An operator that approximates the inverse of `A`; Hermitian positive definite.
    #[must_use]
    pub fn preconditioner(mut self, preconditioner: &'a dyn LinearOperator<T>) -> Self {
        self.preconditioner = Some(preconditioner);
        self
    }

    /// For a singular `A`: the orthogonal projection onto the complement of its null space.
    /// Residuals and preconditioned residuals are projected, so that an initial guess of zero
    /// leads to the solution without a null-space component.
    #[must_use]
    pub fn projection(mut self, projection: &'a dyn LinearOperator<T>) -> Self {
        self.projection = Some(projection);
        self
    }

    /// Called on every rank with the initial residual and after each iteration.
    #[must_use]
    pub fn monitor(mut self, monitor: &'a mut dyn FnMut(&Progress)) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Solves `A x = b`; `x` holds the initial guess and becomes the solution.
    ///
    /// # Collective
    ///
    /// # Errors
    /// Mismatched layouts, a setting out of range, or a failure in an operator; the same on all
    /// ranks. Not converging is not an error but a [`StopReason`].
    pub fn solve(mut self, a: &dyn LinearOperator<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<SolveReport> {
        self.check(a)?;
        let start = Instant::now();
        let rhs_norm = b.norm2().to_f64();
        let mut run = Run::new(&self, a, b, x);
        run.report.rhs_norm = rhs_norm;
        run.report.target = (self.rtol * rhs_norm).max(self.atol);
        run.restart(x)?;
        let initial = run.residual;
        let reason = loop {
            let iteration = run.report.iterations;
            run.report.history.push(run.residual);
            if let Some(monitor) = &mut self.monitor {
                monitor(&Progress { iteration, residual: run.residual, target: run.report.target });
            }
            if let Some(reason) = run.verdict(x, initial)? {
                break reason;
            }
            if let Some(reason) = run.step(x)? {
                break reason;
            }
        };
        if !run.residual_is_true {
            run.true_residual(x)?;
        }
        run.report.reason = reason;
        run.report.time = start.elapsed();
        Ok(run.report)
    }

    fn check(&self, a: &dyn LinearOperator<T>) -> Result<()> {
        let settings = [("rtol", self.rtol), ("atol", self.atol), ("dtol", self.dtol)];
        for (setting, value) in settings {
            if value.is_nan() || value < 0.0 {
                return Err(Error::Setting { method: METHOD, setting, value, expected: "zero or more" });
            }
        }
        a.domain().require_same(a.range(), "CG: operator")?;
        for inner in [self.preconditioner, self.projection].into_iter().flatten() {
            a.range().require_same(inner.domain(), "CG: preconditioner or projection")?;
            a.domain().require_same(inner.range(), "CG: preconditioner or projection")?;
        }
        Ok(())
    }
}

/// The vectors and scalars of a solve under way.
struct Run<'s, T> {
    a: &'s dyn LinearOperator<T>,
    b: &'s Vector<T>,
    preconditioner: Option<&'s dyn LinearOperator<T>>,
    projection: Option<&'s dyn LinearOperator<T>>,
    reduction: Reduction,
    dtol: f64,
    max_iterations: usize,
    r: Vector<T>,
    z: Vector<T>,
    p: Vector<T>,
    /// `A p`; also the work space of projections and true residuals.
    q: Vector<T>,
    /// `r* z`.
    rho: f64,
    /// `|r|`.
    residual: f64,
    /// Whether `r` has just been computed as `b - A x`.
    residual_is_true: bool,
    report: SolveReport,
}

impl<'s, T: Scalar> Run<'s, T> {
    fn new<'c: 's>(cg: &Cg<'c, T>, a: &'s dyn LinearOperator<T>, b: &'s Vector<T>, x: &Vector<T>) -> Self {
        let zeros = || Vector::zeros(x.layout());
        let report = SolveReport {
            method: METHOD,
            reason: StopReason::IterationLimit,
            iterations: 0,
            history: Vec::new(),
            rhs_norm: 0.0,
            target: 0.0,
            true_residual: f64::INFINITY,
            applications: 0,
            time: std::time::Duration::ZERO,
        };
        Run {
            a,
            b,
            preconditioner: cg.preconditioner,
            projection: cg.projection,
            reduction: cg.reduction,
            dtol: cg.dtol,
            max_iterations: cg.max_iterations,
            r: zeros(),
            z: zeros(),
            p: zeros(),
            q: zeros(),
            rho: 0.0,
            residual: 0.0,
            residual_is_true: false,
            report,
        }
    }

    /// `r = b - A x`, and its norm.
    fn true_residual(&mut self, x: &Vector<T>) -> Result<()> {
        self.a.apply(x, &mut self.q)?;
        self.report.applications += 1;
        self.r.copy_from(self.b)?;
        self.r.axpy(-T::ONE, &self.q)?;
        if let Some(projection) = self.projection {
            projection.apply(&self.r, &mut self.q)?;
            std::mem::swap(&mut self.r, &mut self.q);
        }
        self.report.true_residual = self.r.norm2().to_f64();
        self.residual_is_true = true;
        Ok(())
    }

    /// Starts from the true residual with the steepest-descent direction.
    fn restart(&mut self, x: &Vector<T>) -> Result<()> {
        self.true_residual(x)?;
        self.precondition()?;
        self.p.copy_from(&self.z)?;
        Ok(())
    }

    /// `z = M r`, `rho = r* z` and `|r|`, in one reduction.
    fn precondition(&mut self) -> Result<()> {
        match self.preconditioner {
            Some(m) => m.apply(&self.r, &mut self.z)?,
            None => self.z.copy_from(&self.r)?,
        }
        if let Some(projection) = self.projection {
            projection.apply(&self.z, &mut self.q)?;
            std::mem::swap(&mut self.z, &mut self.q);
        }
        let [rho, sqr] = dots([(&self.r, &self.z), (&self.r, &self.r)], self.reduction)?;
        self.rho = rho.re().to_f64();
        self.residual = sqr.re().to_f64().sqrt();
        Ok(())
    }

    /// Whether to stop before the next step.
    fn verdict(&mut self, x: &Vector<T>, initial: f64) -> Result<Option<StopReason>> {
        if !self.residual.is_finite() || !self.rho.is_finite() {
            return Ok(Some(StopReason::NotFinite));
        }
        if self.residual <= self.report.target {
            let before = self.report.true_residual;
            let already_true = self.residual_is_true;
            if !already_true {
                self.restart(x)?;
            }
            if self.report.true_residual <= self.report.target {
                return Ok(Some(StopReason::Converged));
            }
            if !already_true && self.report.true_residual > before / 2.0 {
                return Ok(Some(StopReason::Stagnated));
            }
        }
        if self.residual > self.dtol * initial {
            return Ok(Some(StopReason::Diverged));
        }
        if self.rho < 0.0 {
            return Ok(Some(StopReason::IndefinitePreconditioner));
        }
        Ok((self.report.iterations >= self.max_iterations).then_some(StopReason::IterationLimit))
    }

    /// One iteration.
    fn step(&mut self, x: &mut Vector<T>) -> Result<Option<StopReason>> {
        self.a.apply(&self.p, &mut self.q)?;
        self.report.applications += 1;
        let [energy] = dots([(&self.p, &self.q)], self.reduction)?;
        let energy = energy.re().to_f64();
        if !energy.is_finite() {
            return Ok(Some(StopReason::NotFinite));
        }
        if energy <= 0.0 {
            return Ok(Some(StopReason::IndefiniteOperator));
        }
        let alpha = T::from_parts(self.rho / energy, 0.0);
        x.axpy(alpha, &self.p)?;
        self.r.axpy(-alpha, &self.q)?;
        self.residual_is_true = false;
        let previous = self.rho;
        self.precondition()?;
        self.p.axpby(T::ONE, &self.z, T::from_parts(self.rho / previous, 0.0))?;
        self.report.iterations += 1;
        Ok(None)
    }
}
