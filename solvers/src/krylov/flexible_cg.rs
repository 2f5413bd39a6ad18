//! Flexible conjugate gradients (Notay, SIAM J. Sci. Comput. 22 (2000) 1444, FCG(1); Golub and Ye,
//! SIAM J. Sci. Comput. 21 (1999) 1305) for Hermitian positive definite `A` and a preconditioner that
//! may change from step to step, or is not quite symmetric.
//!
//! Each direction is made conjugate to the one before explicitly. Stops when
//! `|r| <= max(rtol |b|, atol)`.
//!
//! Two reductions an iteration, as in plain conjugate gradients. Traffic of an iteration beside
//! operator and preconditioner, in vectors of `n` entries: 2 reads for `p* q`; 2 reads and a write for
//! `r -= alpha q`; 3 reads for the products with `z`; 3 reads and 2 writes for `x += alpha p` and
//! `p = z + beta p` in one pass. Together 10 reads and 3 writes.

use dolmen_core::{Scalar, Vector, update};

use crate::error::Result;
use crate::krylov::cg::{direction_energy, refuse_energy};
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::krylov::symmetry::Needs;

square_solver! {
    /// Flexible conjugate gradients, for Hermitian positive definite operators.
    pub struct FlexibleCg: "flexible CG" {}
}

impl<T: Scalar> FlexibleCg<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<FlexibleCgState<T>> {
        problem.require_true_norm();
        Ok(FlexibleCgState { z: problem.zeros(), p: problem.zeros(), q: problem.zeros(), rho: 0.0 })
    }
}

struct FlexibleCgState<T> {
    z: Vector<T>,
    p: Vector<T>,
    /// `A p`.
    q: Vector<T>,
    /// `r* z`.
    rho: f64,
}

impl<T: Scalar> Iteration<T> for FlexibleCgState<T> {
    const NEEDS: Needs = Needs::Operator;

    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        problem.precondition(r, &mut self.z)?;
        let [rho] = problem.dots([(r, &self.z)])?;
        self.rho = rho.re();
        Ok(self.p.copy_from(&self.z)?)
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if let Some(reason) = refuse_energy(problem, self.rho) {
            return Ok(Step::Stop(reason));
        }
        let energy = match direction_energy(problem, &self.p, &mut self.q)? {
            Ok(energy) => energy,
            Err(reason) => return Ok(Step::Stop(reason)),
        };
        let alpha = T::from_parts(self.rho / energy, 0.0);
        r.axpy(-alpha, &self.q)?;
        problem.precondition(r, &mut self.z)?;
        let [along, rho, square] = problem.dots([(&self.q, &self.z), (r, &self.z), (r, r)])?;
        self.rho = rho.re();
        let beta = T::from_double(-along.scale(1.0 / energy));
        update([x, &mut self.p], [&self.z], |[x, p], [z]| [x + alpha * p, z + beta * p])?;
        Step::next(square.re().sqrt())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("p", &mut self.p);
        archive.real("rho", &mut self.rho);
    }
}
