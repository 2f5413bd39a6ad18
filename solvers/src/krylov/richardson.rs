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
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::settings::require;

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
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<RichardsonState<T>> {
        let omega = self.damping;
        problem.compare("damping", &omega);
        problem.require(require_damping(problem.method, omega));
        Ok(RichardsonState { z: problem.zeros(), image: problem.zeros(), omega })
    }
}

struct RichardsonState<T> {
    /// `M r`.
    z: Vector<T>,
    image: Vector<T>,
    /// The requested damping.
    omega: f64,
}

impl<T: Scalar> Iteration<T> for RichardsonState<T> {
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        problem.precondition(r, &mut self.z)?;
        // Where this converges, `omega M A` is near one.
        problem.assume_operator_preconditioned(1.0 / self.omega.abs());
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        let omega = T::from_parts(scaled(self.omega, problem.product_power()), 0.0);
        x.axpy(omega, &self.z)?;
        problem.apply_projected(&self.z, &mut self.image)?;
        r.axpy(-omega, &self.image)?;
        problem.precondition(r, &mut self.z)?;
        Step::next(problem.residual_norm(r, &self.z)?)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("z", &mut self.z);
    }
}
