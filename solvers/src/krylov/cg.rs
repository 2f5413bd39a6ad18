//! Preconditioned conjugate gradients (Hestenes and Stiefel 1952; Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed., algorithm 9.1) for Hermitian positive (semi-)definite `A`.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`, in the norm of the residual itself, not of the
//! preconditioned one. The recurrence drifts away from the true residual in rounding, so its word
//! is only taken after `b - A x` has been computed: if that is too large, the iteration goes on
//! from it with a fresh direction. Each such restart should gain at least half; two in a row that
//! do not end as [`StopReason::Stagnated`]. One alone may be a guess that was nearly good enough.
//!
//! For a singular `A` with a projection `P` onto the complement of its null space, `r` and `b` in
//! all of this are `P r` and `P b`: the parts that any `x` can influence.
//!
//! Two reductions an iteration: one for `p* A p`, one for `r* z` and `r* r` together. Traffic of
//! an iteration beside the operator and the preconditioner, in vectors of `n` entries: 10 reads
//! and 3 writes.

use std::time::Instant;

use dolmen_core::{LinearOperator, Reduction, Scalar, Vector, dots, profile};

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

    /// Divergence limit, 1e5 by default: give up at `|r| > dtol max(|b|, |r0|)`.
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

    /// For a singular `A`: the orthogonal projection onto the complement of its null space. Right-hand
    /// side, true residuals and preconditioned residuals are projected, so that an initial guess of
    /// zero leads to the least-squares solution without a null-space component. A null-space
    /// component of the initial guess stays as it is.
    #[must_use]
    pub fn projection(mut self, projection: &'a dyn LinearOperator<T>) -> Self {
        self.projection = Some(projection);
        self
    }

    /// Called on every rank with the initial residual and after each iteration, before it is decided
    /// whether to go on.
    #[must_use]
    pub fn monitor(mut self, monitor: &'a mut dyn FnMut(&Progress)) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Solves `A x = b`; `x` holds the initial guess and becomes the solution. For `b = 0` it
    /// becomes zero, whatever the guess.
    ///
    /// # Collective
    /// All ranks have the same settings.
    ///
    /// # Errors
    /// Mismatched layouts, a setting out of range, or a failure in an operator; the same on all
    /// ranks. Not converging is not an error but a [`StopReason`].
    pub fn solve(mut self, a: &dyn LinearOperator<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<SolveReport> {
        self.check(a, b, x)?;
        let _event = profile::event(METHOD);
        let start = Instant::now();
        let mut run = Run::new(&self, a, b, x)?;
        run.begin(x)?;
        let reason = loop {
            run.report.history.push(run.residual);
            if let Some(monitor) = &mut self.monitor {
                let SolveReport { iterations: iteration, target, .. } = run.report;
                monitor(&Progress { iteration, residual: run.residual, target });
            }
            if let Some(reason) = run.verdict() {
                break reason;
            }
            if let Some(reason) = run.step(x)? {
                break reason;
            }
        };
        let mut report = run.conclude(reason, x)?;
        report.time = start.elapsed();
        Ok(report)
    }

    fn check(&self, a: &dyn LinearOperator<T>, b: &Vector<T>, x: &Vector<T>) -> Result<()> {
        let settings = [("rtol", self.rtol, 0.0), ("atol", self.atol, 0.0), ("dtol", self.dtol, 1.0)];
        for (setting, value, least) in settings {
            if value.is_nan() || value < least {
                let expected = if least > 0.0 { "one or more" } else { "zero or more" };
                return Err(Error::Setting { method: METHOD, setting, value, expected });
            }
        }
        a.domain().require_same(a.range(), "CG: operator")?;
        a.range().require_same(b.layout(), "CG: right-hand side")?;
        a.domain().require_same(x.layout(), "CG: initial guess")?;
        for inner in [self.preconditioner, self.projection].into_iter().flatten() {
            a.range().require_same(inner.domain(), "CG: preconditioner or projection")?;
            a.domain().require_same(inner.range(), "CG: preconditioner or projection")?;
        }
        Ok(())
    }
}

/// Entries of the history for which there is room beforehand, so that an ordinary solve does not
/// allocate while it iterates.
const RESERVED: usize = 10_000;
/// Restarts in a row that may gain less than half.
const PATIENCE: usize = 2;

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
    /// The residual above which the solve has diverged.
    limit: f64,
    /// Restarts in a row that gained less than half.
    idle: usize,
    report: SolveReport,
}

impl<'s, T: Scalar> Run<'s, T> {
    fn new<'c: 's>(cg: &Cg<'c, T>, a: &'s dyn LinearOperator<T>, b: &'s Vector<T>, x: &Vector<T>) -> Result<Self> {
        let zeros = || Vector::zeros(x.layout());
        let mut q = zeros();
        let rhs_norm = match cg.projection {
            Some(projection) => {
                projection.apply(b, &mut q)?;
                q.norm2()
            }
            None => b.norm2(),
        };
        let report = SolveReport {
            method: METHOD,
            reason: StopReason::IterationLimit,
            iterations: 0,
            history: Vec::with_capacity(cg.max_iterations.min(RESERVED) + 1),
            rhs_norm,
            target: (cg.rtol * rhs_norm).max(cg.atol),
            true_residual: f64::INFINITY,
            applications: 0,
            time: std::time::Duration::ZERO,
        };
        Ok(Run {
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
            q,
            rho: 0.0,
            residual: 0.0,
            residual_is_true: false,
            limit: f64::INFINITY,
            idle: 0,
            report,
        })
    }

    /// The first residual and direction.
    fn begin(&mut self, x: &mut Vector<T>) -> Result<()> {
        if self.report.rhs_norm == 0.0 {
            x.fill(T::ZERO);
        }
        self.restart(x)?;
        // A guess better than zero may lose some of its lead on the way.
        self.limit = self.dtol * self.residual.max(self.report.rhs_norm);
        Ok(())
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
        self.report.true_residual = self.r.norm2();
        self.residual_is_true = true;
        Ok(())
    }

    /// Takes the true residual, and the direction of steepest descent if it is still too large.
    fn restart(&mut self, x: &Vector<T>) -> Result<()> {
        self.true_residual(x)?;
        if self.report.true_residual > self.report.target {
            self.precondition()?;
            self.p.copy_from(&self.z)?;
        }
        self.residual = self.report.true_residual;
        Ok(())
    }

    /// `z = M r`, `rho = r* z` and `|r|`, in one reduction.
    fn precondition(&mut self) -> Result<()> {
        match self.preconditioner {
            Some(m) => {
                let _event = profile::event("PCApply");
                m.apply(&self.r, &mut self.z)?;
            }
            None => self.z.copy_from(&self.r)?,
        }
        if let Some(projection) = self.projection {
            projection.apply(&self.z, &mut self.q)?;
            std::mem::swap(&mut self.z, &mut self.q);
        }
        let [rho, sqr] = dots([(&self.r, &self.z), (&self.r, &self.r)], self.reduction)?;
        self.rho = rho.re();
        self.residual = sqr.re().sqrt();
        Ok(())
    }

    /// Whether to stop before the next step.
    fn verdict(&self) -> Option<StopReason> {
        if !self.residual.is_finite() {
            return Some(StopReason::NotFinite);
        }
        if self.residual_is_true && self.residual <= self.report.target {
            return Some(StopReason::Converged);
        }
        if !self.rho.is_finite() {
            return Some(StopReason::NotFinite);
        }
        if self.idle >= PATIENCE {
            return Some(StopReason::Stagnated);
        }
        if self.residual > self.limit {
            return Some(StopReason::Diverged);
        }
        if self.rho < 0.0 || (self.rho == 0.0 && self.preconditioner.is_some()) {
            return Some(StopReason::IndefinitePreconditioner);
        }
        if self.rho == 0.0 {
            // Squares so small that they underflow: no step can be computed from them.
            return Some(StopReason::Stagnated);
        }
        (self.report.iterations >= self.max_iterations).then_some(StopReason::IterationLimit)
    }

    /// One iteration.
    fn step(&mut self, x: &mut Vector<T>) -> Result<Option<StopReason>> {
        self.a.apply(&self.p, &mut self.q)?;
        self.report.applications += 1;
        let [energy] = dots([(&self.p, &self.q)], self.reduction)?;
        let energy = energy.re();
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
        if self.residual <= self.report.target {
            self.verify(x)?;
        }
        Ok(None)
    }

    /// Replaces a recurrence that claims convergence by the truth.
    fn verify(&mut self, x: &Vector<T>) -> Result<()> {
        let before = self.report.true_residual;
        self.restart(x)?;
        self.idle = if self.residual > before / 2.0 { self.idle + 1 } else { 0 };
        Ok(())
    }

    /// The report of a solve that ends for `reason`. Whatever ended it, a true residual that meets
    /// the tolerance is convergence.
    fn conclude(mut self, reason: StopReason, x: &Vector<T>) -> Result<SolveReport> {
        if !self.residual_is_true {
            self.true_residual(x)?;
        }
        let met = self.report.true_residual.is_finite() && self.report.true_residual <= self.report.target;
        self.report.reason = if met { StopReason::Converged } else { reason };
        Ok(self.report)
    }
}
