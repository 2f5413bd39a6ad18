//! Pipelined conjugate gradients (Ghysels and Vanroose, Parallel Computing 40 (2014) 224, algorithm
//! 4) for Hermitian positive definite `A` and `M`.
//!
//! All inner products of an iteration are one reduction, where plain conjugate gradients have two
//! that wait for each other: less waiting on many ranks, for more vectors and more rounding. Because of
//! the latter `r`, `M r`, `A M r` and their like are computed afresh every 50 iterations (residual
//! replacement, Cools and others, SIAM J. Matrix Anal. Appl. 39 (2018) 426).
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. All recurrences and the inner products of what comes out
//! of them are one pass over memory. Traffic of an iteration beside operator and preconditioner, in
//! vectors of `n` entries: 10 reads and 8 writes; four products and three preconditionings more every
//! 50 iterations.

use dolmen_core::{Scalar, Vector, update};

use crate::error::Result;
use crate::krylov::cg::refuse_energy;
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::krylov::symmetry::Needs;
use crate::norm::Norm;
use crate::stop_reason::StopReason;

square_solver! {
    /// Pipelined conjugate gradients, for Hermitian positive definite operators and preconditioners.
    pub struct PipelinedCg: "pipelined CG" {}
}

/// Iterations between replacements.
const REPLACEMENT: usize = 50;

impl<T: Scalar> PipelinedCg<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<PipelinedCgState<T>> {
        let [u, w, m, n, p, s, q, z] = std::array::from_fn(|_| problem.zeros());
        Ok(PipelinedCgState { u, w, m, n, p, s, q, z, gamma: 0.0, delta: 0.0, before: None, age: 0 })
    }
}

/// The vectors have their names in the paper.
struct PipelinedCgState<T> {
    /// `M r`.
    u: Vector<T>,
    /// `A u`.
    w: Vector<T>,
    /// `M w`.
    m: Vector<T>,
    /// `A m`.
    n: Vector<T>,
    p: Vector<T>,
    /// `A p`.
    s: Vector<T>,
    /// `M s`.
    q: Vector<T>,
    /// `A q`.
    z: Vector<T>,
    /// `r* u`.
    gamma: f64,
    /// `u* w`.
    delta: f64,
    /// `gamma` and `alpha` of the last iteration, unless this is the first.
    before: Option<[f64; 2]>,
    /// Iterations since the start or a replacement.
    age: usize,
}

impl<T: Scalar> PipelinedCgState<T> {
    /// Returns the sums of the next iteration; the norm of the residual.
    fn sums(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<f64> {
        let other = if problem.norm == Norm::Preconditioned { &self.u } else { r };
        let sums = problem.dots([(r, &self.u), (&self.w, &self.u), (other, other)])?;
        Ok(self.take(problem.norm, sums))
    }

    /// Takes `r* u`, `w* u` and the square that the norm needs; the norm of the residual.
    fn take(&mut self, norm: Norm, [gamma, delta, square]: [T::Double; 3]) -> f64 {
        (self.gamma, self.delta) = (gamma.re(), delta.re());
        if norm == Norm::Natural { self.gamma.abs().sqrt() } else { square.re().sqrt() }
    }

    /// All recurrences, and the sums of the next iteration; the norm of the residual.
    fn advance(
        &mut self,
        problem: &Problem<'_, T>,
        x: &mut Vector<T>,
        r: &mut Vector<T>,
        [alpha, beta]: [T; 2],
    ) -> Result<f64> {
        let of_u = problem.norm == Norm::Preconditioned;
        let PipelinedCgState { u, w, m, n, p, s, q, z, .. } = self;
        let sums = problem.update_dots([x, r, u, w, p, s, q, z], [m, n], |[x, r, u, w, p, s, q, z], [m, n]| {
            let [p, s, q, z] = [u + beta * p, w + beta * s, m + beta * q, n + beta * z];
            let [x, r, u, w] = [x + alpha * p, r - alpha * s, u - alpha * q, w - alpha * z];
            ([x, r, u, w, p, s, q, z], [(r, u), (w, u), if of_u { (u, u) } else { (r, r) }])
        })?;
        Ok(self.take(problem.norm, sums))
    }

    /// Takes a step, and computes afresh what the recurrences have been carrying along; the norm of the
    /// residual.
    fn replace(
        &mut self,
        problem: &Problem<'_, T>,
        x: &mut Vector<T>,
        r: &mut Vector<T>,
        [alpha, beta]: [T; 2],
    ) -> Result<f64> {
        update([x, &mut self.p], [&self.u], |[x, p], [u]| {
            let p = u + beta * p;
            [x + alpha * p, p]
        })?;
        problem.residual(x, r)?;
        problem.precondition(r, &mut self.u)?;
        problem.apply(&self.u, &mut self.w)?;
        problem.apply(&self.p, &mut self.s)?;
        problem.precondition(&self.s, &mut self.q)?;
        problem.apply(&self.q, &mut self.z)?;
        self.sums(problem, r)
    }
}

impl<T: Scalar> Iteration<T> for PipelinedCgState<T> {
    const NEEDS: Needs = Needs::Both;

    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        problem.precondition(r, &mut self.u)?;
        problem.apply(&self.u, &mut self.w)?;
        self.before = None;
        self.age = 0;
        self.sums(problem, r)?;
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if let Some(reason) = refuse_energy(problem, self.gamma) {
            return Ok(Step::Stop(reason));
        }
        let (beta, energy) = match self.before {
            None => (0.0, self.delta),
            Some([gamma, alpha]) => {
                let beta = self.gamma / gamma;
                (beta, self.delta - beta * self.gamma / alpha)
            }
        };
        if !energy.is_finite() {
            return Ok(Step::Stop(StopReason::NotFinite));
        }
        if energy <= 0.0 {
            // In a recurrence that drifted this may be rounding; the plain energy does not lie.
            let indefinite = self.delta <= 0.0;
            return Ok(if indefinite { Step::Stop(StopReason::IndefiniteOperator) } else { Step::Breakdown });
        }
        let alpha = self.gamma / energy;
        self.before = Some([self.gamma, alpha]);
        let factors = [alpha, beta].map(|factor| T::from_parts(factor, 0.0));
        self.age += 1;
        if self.age == REPLACEMENT {
            self.age = 0;
            return Step::next(self.replace(problem, x, r, factors)?);
        }
        problem.precondition(&self.w, &mut self.m)?;
        problem.apply(&self.m, &mut self.n)?;
        Step::next(self.advance(problem, x, r, factors)?)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        for (name, vector) in [
            ("u", &mut self.u),
            ("w", &mut self.w),
            ("p", &mut self.p),
            ("s", &mut self.s),
            ("q", &mut self.q),
            ("z", &mut self.z),
        ] {
            archive.vector(name, vector);
        }
        archive.real("gamma", &mut self.gamma);
        archive.real("delta", &mut self.delta);
        let mut has_before = self.before.is_some();
        let mut before = self.before.unwrap_or_default();
        archive.flag("has a step before", &mut has_before);
        archive.reals("gamma and alpha before", &mut before);
        self.before = has_before.then_some(before);
        archive.integer("age", &mut self.age);
    }
}
