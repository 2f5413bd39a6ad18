//! BiCGStab (van der Vorst, SIAM J. Sci. Stat. Comput. 13 (1992) 631; Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed., algorithm 7.7), preconditioned from the right, for any `A`.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. The residual of the recurrence loses touch with the true
//! one when it grows large on the way; the driver finds out and starts again. So it does when
//! the method divides by zero.
//!
//! Three reductions and two products an iteration. Traffic of an iteration beside operator and
//! preconditioner, in vectors of `n` entries, a line for each pass:
//!
//! | pass | preconditioned | unpreconditioned |
//! |---|---|---|
//! | `shadow* v`, `v* v` | 2 reads | 2 reads |
//! | `s = r - alpha v` | 2 reads, 1 write | 2 reads, 1 write |
//! | `t* s`, `t* t` | 2 reads | 2 reads |
//! | `x += alpha M p + omega M s`, `r = s - omega t`, `shadow* r`, `r* r` | 6 reads, 2 writes | 5 reads, 2 writes |
//! | `p = r + beta (p - omega v)` | 3 reads, 1 write | 3 reads, 1 write |
//! | together | 15 reads, 4 writes | 14 reads, 4 writes |

use dolmen_core::{Real, Scalar, Vector, update};

use crate::error::Result;
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;

square_solver! {
    /// BiCGStab, for any operator.
    pub struct BiCgStab: "BiCGStab" {}
}

impl<T: Scalar> BiCgStab<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<BiCgStabState<T>> {
        problem.require_true_norm();
        let [shadow, p, v, t] = std::array::from_fn(|_| problem.zeros());
        Ok(BiCgStabState {
            shadow,
            p,
            v,
            y: problem.room(),
            z: problem.room(),
            t,
            rho: T::Double::ZERO,
            size: 0.0,
            shadow_size: 0.0,
        })
    }
}

struct BiCgStabState<T: Scalar> {
    /// The first residual.
    shadow: Vector<T>,
    p: Vector<T>,
    /// `A M p`.
    v: Vector<T>,
    /// `M p`, unless that is `p`.
    y: Option<Vector<T>>,
    /// `M s`, unless that is `s`.
    z: Option<Vector<T>>,
    /// `A M s`.
    t: Vector<T>,
    /// `shadow* r`.
    rho: T::Double,
    /// `|r|^2`.
    size: f64,
    shadow_size: f64,
}

impl<T: Scalar> BiCgStabState<T> {
    /// Returns true if a product of vectors with these squares is zero to working precision.
    fn vanishes(product: T::Double, left: f64, right: f64) -> bool {
        product.abs() <= T::Real::EPSILON.to_f64().powi(2) * (left * right).sqrt()
    }

    /// `x += alpha M p + omega M s`, and `r = s - omega t`, with its products with the shadow and itself.
    fn advance(
        &self,
        problem: &Problem<'_, T>,
        x: &mut Vector<T>,
        r: &mut Vector<T>,
        [alpha, omega]: [T; 2],
    ) -> Result<[T::Double; 2]> {
        let BiCgStabState { shadow, t, p, .. } = self;
        match (&self.y, &self.z) {
            (Some(y), Some(z)) => problem.update_dots([x, r], [y, z, t, shadow], |[x, s], [y, z, t, shadow]| {
                let r = s - omega * t;
                ([x + alpha * y + omega * z, r], [(shadow, r), (r, r)])
            }),
            _ => problem.update_dots([x, r], [p, t, shadow], |[x, s], [p, t, shadow]| {
                let r = s - omega * t;
                ([x + alpha * p + omega * s, r], [(shadow, r), (r, r)])
            }),
        }
    }
}

impl<T: Scalar> Iteration<T> for BiCgStabState<T> {
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.shadow.copy_from(r)?;
        self.p.copy_from(r)?;
        self.size = problem.square_of(r)?;
        self.shadow_size = self.size;
        self.rho = T::Double::from_parts(self.size, 0.0);
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if Self::vanishes(self.rho, self.shadow_size, self.size) {
            return Ok(Step::Breakdown);
        }
        problem.apply_projected(problem.preconditioned(&self.p, &mut self.y)?, &mut self.v)?;
        let [energy, square] = problem.dots([(&self.shadow, &self.v), (&self.v, &self.v)])?;
        if Self::vanishes(energy, self.shadow_size, square.re()) {
            return Ok(Step::Breakdown);
        }
        let alpha = self.rho / energy;
        // From here on r is s.
        r.axpy(-T::from_double(alpha), &self.v)?;
        problem.apply_projected(problem.preconditioned(r, &mut self.z)?, &mut self.t)?;
        let [along, square] = problem.dots([(&self.t, r), (&self.t, &self.t)])?;
        // A residual that vanished half-way leaves nothing to minimize.
        let omega = if square.re() > 0.0 { along / square } else { T::Double::ZERO };
        let previous = self.rho;
        let [rho, size] = self.advance(problem, x, r, [alpha, omega].map(T::from_double))?;
        (self.rho, self.size) = (rho, size.re());
        if omega == T::Double::ZERO && self.size > 0.0 {
            self.rho = T::Double::ZERO;
        } else {
            let [beta, omega] = [rho / previous * (alpha / omega), omega].map(T::from_double);
            update([&mut self.p], [r, &self.v], |[p], [r, v]| [r + beta * (p - omega * v)])?;
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
