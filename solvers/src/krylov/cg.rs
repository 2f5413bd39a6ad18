//! Preconditioned conjugate gradients (Hestenes and Stiefel 1952; Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed., algorithm 9.1) for Hermitian positive (semi-)definite `A`.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`, in the norm of the residual itself unless another one is
//! asked for.
//!
//! Two reductions an iteration: one for `p* A p`, one for `r* z` and `r* r` together. Traffic of
//! an iteration beside the operator and the preconditioner, in vectors of `n` entries: 10 reads
//! and 3 writes.

use dolmen_core::{Scalar, Vector};

use crate::error::Result;
use crate::krylov::context::Context;
use crate::krylov::iteration::{Archive, Iteration, Step};
use crate::report::StopReason;
use crate::settings::{Norm, Settings, square_solver};

/// Conjugate gradients, for Hermitian positive definite operators and preconditioners.
///
/// ```no_run
/// # use dolmen_core::{Diagonal, LinearOperator, Vector};
/// # use dolmen_solvers::{Cg, Result};
/// # fn f(a: &Diagonal<f64>, m: &Diagonal<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
/// let report = Cg::new().rtol(1e-8).preconditioner(m).solve(a, b, x)?.require_converged()?;
/// # Ok(()) }
/// ```
pub struct Cg<'a, T> {
    settings: Settings<'a, T>,
}

impl<'a, T: Scalar> From<Settings<'a, T>> for Cg<'a, T> {
    fn from(settings: Settings<'a, T>) -> Self {
        Cg { settings }
    }
}

square_solver!(Cg, "CG");

impl<T: Scalar> Cg<'_, T> {
    fn iteration(&self, cx: &Context<'_, T>) -> Result<Run<T>> {
        Ok(Run { z: cx.zeros(), p: cx.zeros(), q: cx.zeros(), rho: 0.0 })
    }
}

struct Run<T> {
    z: Vector<T>,
    p: Vector<T>,
    /// `A p`.
    q: Vector<T>,
    /// `r* z`.
    rho: f64,
}

impl<T: Scalar> Run<T> {
    /// `z = M r`, `rho = r* z`; the norm of the residual.
    fn precondition(&mut self, cx: &Context<'_, T>, r: &Vector<T>) -> Result<f64> {
        cx.precondition(r, &mut self.z)?;
        let other = if cx.norm == Norm::Preconditioned { &self.z } else { r };
        let [rho, square] = cx.dots([(r, &self.z), (other, other)])?;
        self.rho = rho.re();
        Ok(if cx.norm == Norm::Natural { self.rho.abs().sqrt() } else { square.re().sqrt() })
    }
}

impl<T: Scalar> Iteration<T> for Run<T> {
    fn start(&mut self, cx: &Context<'_, T>, r: &Vector<T>) -> Result<()> {
        self.precondition(cx, r)?;
        Ok(self.p.copy_from(&self.z)?)
    }

    fn step(&mut self, cx: &Context<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if let Some(reason) = refuse_energy(cx, self.rho) {
            return Ok(Step::Stop(reason));
        }
        cx.apply(&self.p, &mut self.q)?;
        let [energy] = cx.dots([(&self.p, &self.q)])?;
        let energy = energy.re();
        if !energy.is_finite() {
            return Ok(Step::Stop(StopReason::NotFinite));
        }
        if energy <= 0.0 {
            return Ok(Step::Stop(StopReason::IndefiniteOperator));
        }
        let alpha = T::from_parts(self.rho / energy, 0.0);
        x.axpy(alpha, &self.p)?;
        r.axpy(-alpha, &self.q)?;
        let previous = self.rho;
        let residual = self.precondition(cx, r)?;
        self.p.axpby(T::ONE, &self.z, T::from_parts(self.rho / previous, 0.0))?;
        Step::next(residual)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("p", &mut self.p);
        archive.real("rho", &mut self.rho);
    }
}

/// Why no step can be made with `rho = r* M r`.
pub(crate) fn refuse_energy<T: Scalar>(cx: &Context<'_, T>, rho: f64) -> Option<StopReason> {
    if !rho.is_finite() {
        Some(StopReason::NotFinite)
    } else if rho < 0.0 || (rho == 0.0 && cx.is_preconditioned()) {
        Some(StopReason::IndefinitePreconditioner)
    } else {
        // Squares so small that they underflow: no step can be computed from them.
        (rho == 0.0).then_some(StopReason::Stagnated)
    }
}
