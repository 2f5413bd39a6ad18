//! BiCGStab (van der Vorst, SIAM J. Sci. Stat. Comput. 13 (1992) 631; Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed., algorithm 7.7), preconditioned from the right, for any `A`.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. The residual of the recurrence loses touch with the true
//! one when it grows large on the way; the driver finds out and starts again. So it does when
//! the method divides by zero.
//!
//! Three reductions and two products an iteration. Traffic of an iteration beside operator and
//! preconditioner, in vectors of `n` entries: 20 reads and 5 writes.

use dolmen_core::{Real, Scalar, Vector};

use crate::error::Result;
use crate::krylov::context::Context;
use crate::krylov::iteration::{Archive, Iteration, Step};
use crate::settings::{Settings, square_solver};

/// BiCGStab, for any operator.
pub struct BiCgStab<'a, T> {
    settings: Settings<'a, T>,
}

impl<'a, T: Scalar> From<Settings<'a, T>> for BiCgStab<'a, T> {
    fn from(settings: Settings<'a, T>) -> Self {
        BiCgStab { settings }
    }
}

square_solver!(BiCgStab, "BiCGStab");

impl<T: Scalar> BiCgStab<'_, T> {
    fn iteration(&self, cx: &Context<'_, T>) -> Result<Run<T>> {
        cx.require_true_norm()?;
        let [shadow, p, v, z, t] = std::array::from_fn(|_| cx.zeros());
        Ok(Run { shadow, p, v, z, t, rho: T::Double::ZERO, size: 0.0, shadow_size: 0.0 })
    }
}

struct Run<T: Scalar> {
    /// The first residual.
    shadow: Vector<T>,
    p: Vector<T>,
    /// `A M p`.
    v: Vector<T>,
    /// `M p`, `M s`.
    z: Vector<T>,
    /// `A M s`.
    t: Vector<T>,
    /// `shadow* r`.
    rho: T::Double,
    /// `|r|^2`.
    size: f64,
    shadow_size: f64,
}

impl<T: Scalar> Run<T> {
    /// Whether a product of vectors with these squares is zero for all practical purposes.
    fn vanishes(product: T::Double, left: f64, right: f64) -> bool {
        product.abs() <= T::Real::EPSILON.to_f64().powi(2) * (left * right).sqrt()
    }
}

impl<T: Scalar> Iteration<T> for Run<T> {
    fn start(&mut self, cx: &Context<'_, T>, r: &Vector<T>) -> Result<()> {
        self.shadow.copy_from(r)?;
        self.p.copy_from(r)?;
        self.size = cx.square_of(r)?;
        self.shadow_size = self.size;
        self.rho = T::Double::from_parts(self.size, 0.0);
        Ok(())
    }

    fn step(&mut self, cx: &Context<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if Self::vanishes(self.rho, self.shadow_size, self.size) {
            return Ok(Step::Breakdown);
        }
        cx.precondition(&self.p, &mut self.z)?;
        cx.apply_projected(&self.z, &mut self.v)?;
        let [energy, square] = cx.dots([(&self.shadow, &self.v), (&self.v, &self.v)])?;
        if Self::vanishes(energy, self.shadow_size, square.re()) {
            return Ok(Step::Breakdown);
        }
        let alpha = self.rho / energy;
        x.axpy(T::from_double(alpha), &self.z)?;
        // From here on r is s.
        r.axpy(-T::from_double(alpha), &self.v)?;
        cx.precondition(r, &mut self.z)?;
        cx.apply_projected(&self.z, &mut self.t)?;
        let [along, square] = cx.dots([(&self.t, r), (&self.t, &self.t)])?;
        // A residual that vanished half-way leaves nothing to minimise.
        let omega = if square.re() > 0.0 { along / square } else { T::Double::ZERO };
        x.axpy(T::from_double(omega), &self.z)?;
        r.axpy(-T::from_double(omega), &self.t)?;
        let previous = self.rho;
        let [rho, size] = cx.dots([(&self.shadow, r), (r, r)])?;
        (self.rho, self.size) = (rho, size.re());
        if omega == T::Double::ZERO && self.size > 0.0 {
            self.rho = T::Double::ZERO;
        } else {
            let beta = rho / previous * (alpha / omega);
            self.p.axpy(-T::from_double(omega), &self.v)?;
            self.p.axpby(T::ONE, r, T::from_double(beta))?;
        }
        Step::next(self.size.sqrt())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("shadow", &mut self.shadow);
        archive.vector("p", &mut self.p);
        archive.double("rho", &mut self.rho);
        archive.real("size", &mut self.size);
        archive.real("shadow size", &mut self.shadow_size);
    }
}
