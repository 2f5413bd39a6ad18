//! Richardson's iteration, `x = x + omega M (b - A x)` (Saad, "Iterative Methods for Sparse Linear
//! Systems", 2nd ed., section 4.2.1): what a preconditioner does by itself.
//!
//! Converges when all eigenvalues of `omega M A` lie within one of one. Stops when
//! `|r| <= max(rtol |b|, atol)`.
//!
//! One reduction an iteration. Traffic of an iteration beside operator and preconditioner, in
//! vectors of `n` entries: 6 reads and 2 writes.

use dolmen_core::scaling::scaled;
use dolmen_core::{Scalar, Vector};

use crate::error::Result;
use crate::krylov::context::Context;
use crate::krylov::iteration::{Archive, Iteration, Step};
use crate::settings::{require, square_solver};

/// The factor of a correction, unless another one is given.
pub(crate) const DAMPING: f64 = 1.0;

square_solver! {
    /// Richardson's iteration.
    pub struct Richardson: "Richardson" {
        /// The factor `omega` of each correction, one by default.
        damping: f64 = DAMPING;
    }
}

/// Refuses a factor that makes no correction.
pub(crate) fn require_damping(method: &'static str, omega: f64) -> Result<()> {
    require(method, "damping", omega, omega.is_finite() && omega != 0.0, "a number other than zero")
}

impl<T: Scalar> Richardson<'_, T> {
    fn iteration(&self, cx: &Context<'_, T>) -> Result<Run<T>> {
        let omega = self.damping;
        cx.compare("damping", &omega);
        require_damping(cx.method, omega)?;
        Ok(Run { z: cx.zeros(), image: cx.zeros(), omega })
    }
}

struct Run<T> {
    /// `M r`.
    z: Vector<T>,
    image: Vector<T>,
    /// The requested damping.
    omega: f64,
}

impl<T: Scalar> Iteration<T> for Run<T> {
    fn start(&mut self, cx: &Context<'_, T>, r: &Vector<T>) -> Result<()> {
        cx.precondition(r, &mut self.z)?;
        // Where this converges, `omega M A` is near one.
        cx.assume_operator_preconditioned(1.0 / self.omega.abs());
        Ok(())
    }

    fn step(&mut self, cx: &Context<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        let omega = T::from_parts(scaled(self.omega, cx.product_power()), 0.0);
        x.axpy(omega, &self.z)?;
        cx.apply_projected(&self.z, &mut self.image)?;
        r.axpy(-omega, &self.image)?;
        cx.precondition(r, &mut self.z)?;
        Step::next(cx.residual_norm(r, &self.z)?)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("z", &mut self.z);
    }
}
