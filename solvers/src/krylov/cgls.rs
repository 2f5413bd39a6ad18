//! CGLS: conjugate gradients on the normal equations, without forming them (Hestenes and Stiefel
//! 1952, section 10; Bjorck, "Numerical Methods for Least Squares Problems", algorithm 7.4.1).
//!
//! Stops when `|r| <= max(rtol |b|, atol)` or `|M^H A^H r| <= rtol |A M| |r|`.
//!
//! Two reductions an iteration, one on the range and one on the domain: the norm of the new residual
//! follows from products with the old one. Traffic of an iteration beside operator and
//! preconditioner, in vectors: on the range 4 reads and 1 write, on the domain 6 and 2.

use dolmen_core::{AdjointOperator, Scalar, Vector};

use crate::error::Result;
use crate::krylov::least_squares::{Terms, least_squares_solver};
use crate::krylov::method::{Estimate, Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::settings::Settings;

/// CGLS, for least-squares problems of any shape and rank.
pub struct Cgls<'a, T> {
    settings: Settings<'a, T>,
    preconditioner: Option<&'a dyn AdjointOperator<T>>,
    terms: Terms<'a, T>,
}

least_squares_solver!(Cgls, "CGLS");

impl<T: Scalar> Cgls<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<CglsState<T>> {
        let [s, p, t] = std::array::from_fn(|_| problem.zeros());
        Ok(CglsState { s, p, t, q: Vector::zeros(problem.a.range()), gamma: 0.0 })
    }
}

struct CglsState<T> {
    /// `M^H A^H r`.
    s: Vector<T>,
    p: Vector<T>,
    /// `M p`.
    t: Vector<T>,
    /// `A M p`.
    q: Vector<T>,
    /// `|s|^2`.
    gamma: f64,
}

impl<T: Scalar> Iteration<T> for CglsState<T> {
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        problem.apply_adjoint(r, &mut self.s)?;
        self.gamma = problem.square_of(&self.s)?;
        Ok(self.p.copy_from(&self.s)?)
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        problem.precondition(&self.p, &mut self.t)?;
        problem.apply(&self.t, &mut self.q)?;
        let [square, along, size] = problem.dots([(&self.q, &self.q), (&self.q, r), (r, r)])?;
        let (square, along, size) = (square.re(), along.re(), size.re());
        if square == 0.0 {
            return Ok(Step::Breakdown);
        }
        let alpha = self.gamma / square;
        x.axpy(T::from_parts(alpha, 0.0), &self.t)?;
        r.axpy(T::from_parts(-alpha, 0.0), &self.q)?;
        problem.apply_adjoint(r, &mut self.s)?;
        let before = self.gamma;
        self.gamma = problem.square_of(&self.s)?;
        self.p.axpby(T::ONE, &self.s, T::from_parts(self.gamma / before, 0.0))?;
        let rest = size - alpha * (2.0 * along - alpha * square);
        // A difference that rounding has eaten is not a residual of zero, but nearly.
        let residual = rest.max(f64::EPSILON * f64::EPSILON * size).sqrt();
        Ok(Step::Next(Estimate { residual, normal: self.gamma.sqrt() }))
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("p", &mut self.p);
        archive.real("gamma", &mut self.gamma);
    }
}
