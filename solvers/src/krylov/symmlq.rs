//! Preconditioned SYMMLQ (Paige and Saunders, SIAM J. Numer. Anal. 12 (1975) 617) for consistent
//! systems with Hermitian `A`, definite or not, and Hermitian positive definite `M`.
//!
//! The iterate moves on LQ points, whose error falls in every step; from each of them the CG point, whose
//! residual is usually smaller, is one axpy away and its residual is known. The smaller of the two
//! is the estimate, and where the method stops. Residuals are known in the natural norm; in the true
//! norm, with a preconditioner, that of the LQ point is replaced by a bound.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. Two reductions an iteration, three in the true norm with a
//! preconditioner. Traffic of an iteration beside operator and preconditioner, in vectors of `n`
//! entries: 14 reads and 6 writes.

use dolmen_core::{Scalar, Vector};

use crate::error::{Error, Result};
use crate::krylov::method::{Iteration, Step};
use crate::krylov::minres::Lanczos;
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::krylov::symmetry::Needs;
use crate::norm::Norm;

square_solver! {
    /// SYMMLQ, for consistent systems with Hermitian operators.
    pub struct Symmlq: "SYMMLQ" {}
}

impl<T: Scalar> Symmlq<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<SymmlqState<T>> {
        if problem.norm == Norm::Preconditioned && problem.is_preconditioned() {
            return Err(Error::Norm { method: problem.method, norm: problem.norm });
        }
        let measures = problem.is_preconditioned() && problem.norm == Norm::True;
        Ok(SymmlqState { lanczos: Lanczos::new(problem), w: problem.zeros(), scalars: Scalars::default(), measures })
    }
}

struct SymmlqState<T> {
    lanczos: Lanczos<T>,
    /// The direction from the LQ point to the CG point.
    w: Vector<T>,
    scalars: Scalars,
    /// True if Euclidean norms of Lanczos vectors are needed.
    measures: bool,
}

/// The quantities of the paper that live from one iteration to the next.
#[derive(Clone, Copy, Default)]
struct Scalars {
    /// Entries of the factor `L` that the next rotation changes.
    gamma_bar: f64,
    delta_bar: f64,
    /// The right-hand side of the triangular system, this row and the next.
    rhs: [f64; 2],
    /// The first right-hand side times all sines.
    product: f64,
    /// Euclidean norms of Lanczos vectors of natural norm one, newest first.
    sizes: [f64; 2],
    /// Steps since the start.
    steps: f64,
    /// The length of the step to the CG point; zero to stay at the LQ point.
    to_cg: f64,
}

impl<T: Scalar> SymmlqState<T> {
    /// Returns the smaller residual of the two points, given the norm of the newest Lanczos vector.
    fn estimate(&mut self, beta: f64) -> f64 {
        let now = &mut self.scalars;
        let lq = match self.measures {
            false => (now.rhs[0].powi(2) + now.rhs[1].powi(2)).sqrt(),
            true => (now.rhs[0] * now.sizes[1]).abs() + (now.rhs[1] * now.sizes[0]).abs(),
        };
        let cg = (now.product * beta / now.gamma_bar).abs() * now.sizes[0];
        let better = cg <= lq && now.gamma_bar != 0.0;
        now.to_cg = if better { now.rhs[0] / now.gamma_bar } else { 0.0 };
        if better { cg } else { lq }
    }

    /// Returns the Euclidean size of the newest Lanczos vector.
    fn measure(&self, problem: &Problem<'_, T>) -> Result<f64> {
        if !self.measures || self.lanczos.gamma[0] == 0.0 {
            return Ok(1.0);
        }
        Ok(problem.square_of(&self.lanczos.v[0])?.sqrt() / self.lanczos.gamma[0])
    }
}

impl<T: Scalar> Iteration<T> for SymmlqState<T> {
    const NEEDS: Needs = Needs::Both;

    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.lanczos.start(problem, r)?;
        let norm = self.lanczos.gamma[0];
        let size = self.measure(problem)?;
        self.scalars = Scalars { rhs: [norm, 0.0], product: norm, sizes: [size, 1.0], ..Scalars::default() };
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, _r: &mut Vector<T>) -> Result<Step> {
        if let Some(reason) = self.lanczos.refuse() {
            return Ok(Step::Stop(reason));
        }
        let before = self.lanczos.gamma[0];
        if before == 0.0 {
            return Ok(Step::Breakdown);
        }
        let alpha = self.lanczos.expand(problem)?;
        let now = &mut self.scalars;
        let z = &self.lanczos.z;
        if now.steps == 0.0 {
            self.w.copy_from(z)?;
            now.gamma_bar = alpha;
            self.lanczos.advance(problem, alpha)?;
            now.delta_bar = self.lanczos.gamma[0];
        } else {
            let gamma = (now.gamma_bar * now.gamma_bar + before * before).sqrt();
            let (c, s) = (now.gamma_bar / gamma, before / gamma);
            let delta = c * now.delta_bar + s * alpha;
            now.gamma_bar = s * now.delta_bar - c * alpha;
            let zeta = now.rhs[0] / gamma;
            x.axpy(T::from_parts(zeta * c, 0.0), &self.w)?;
            x.axpy(T::from_parts(zeta * s, 0.0), z)?;
            self.w.axpby(T::from_parts(-c, 0.0), z, T::from_parts(s, 0.0))?;
            self.lanczos.advance(problem, alpha)?;
            let beta = self.lanczos.gamma[0];
            now.delta_bar = -c * beta;
            now.product *= s;
            now.rhs = [now.rhs[1] - delta * zeta, -s * beta * zeta];
        }
        self.scalars.steps += 1.0;
        let size = self.measure(problem)?;
        self.scalars.sizes = [size, self.scalars.sizes[0]];
        let beta = self.lanczos.gamma[0];
        Step::next(self.estimate(beta))
    }

    fn finish(&mut self, _cx: &Problem<'_, T>, x: &mut Vector<T>) -> Result<()> {
        if self.scalars.to_cg != 0.0 {
            x.axpy(T::from_parts(self.scalars.to_cg, 0.0), &self.w)?;
        }
        Ok(())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.lanczos.archive(archive);
        archive.vector("w", &mut self.w);
        let Scalars { gamma_bar, delta_bar, rhs, product, sizes, steps, to_cg } = self.scalars;
        let mut all = [gamma_bar, delta_bar, rhs[0], rhs[1], product, sizes[0], sizes[1], steps, to_cg];
        archive.reals("scalars", &mut all);
        let [gamma_bar, delta_bar, rhs0, rhs1, product, size0, size1, steps, to_cg] = all;
        let (rhs, sizes) = ([rhs0, rhs1], [size0, size1]);
        self.scalars = Scalars { gamma_bar, delta_bar, rhs, product, sizes, steps, to_cg };
    }
}
