//! IDR(s) (Sonneveld and van Gijzen, SIAM J. Sci. Comput. 31 (2008) 1035) in the biorthogonal form
//! (van Gijzen and Sonneveld, ACM TOMS 38 (2011) 5, algorithm 913), preconditioned from the right, for
//! any `A`. Memory and work do not grow, as with BiCGStab, which IDR(1) nearly is; with `s` of 4 or
//! more it takes fewer products.
//!
//! An iteration is one product; `s` of them make a cycle that ends with one more. Stops when
//! `|r| <= max(rtol |b|, atol)`.
//!
//! Two reductions an iteration, one more in a cycle; the inner products with the shadow space are one
//! reduction, and biorthogonality follows from them. Traffic of step `k` of a cycle beside operator and
//! preconditioner, in vectors of `n` entries: `2 (s - k) + 2 k + s + 13` reads and 7 writes.

use dolmen_core::random::Philox;
use dolmen_core::{Real, Scalar, Vector};

use crate::error::Result;
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::settings::require;

/// The dimension of the shadow space, unless another one is given.
pub(crate) const SHADOW_DIMENSION: usize = 4;

square_solver! {
    /// IDR(s), for any operator.
    pub struct Idr: "IDR(s)" {
        /// The dimension `s` of the shadow space, 4 by default; three vectors are kept for each.
        shadow_dimension: usize = SHADOW_DIMENSION;
    }
}

const SEED: u64 = 0x1d25;
/// Below this cosine the minimizing step is enlarged (section 4.3 of the paper).
const KAPPA: f64 = 0.7;

/// Refuses an empty shadow space.
pub(crate) fn require_shadow_dimension(method: &'static str, s: usize) -> Result<()> {
    require(method, "shadow_dimension", s as f64, s > 0, "one or more")
}

impl<T: Scalar> Idr<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<IdrState<T>> {
        problem.require_true_norm();
        let s = self.shadow_dimension;
        problem.compare("shadow_dimension", &s);
        problem.require(require_shadow_dimension(problem.method, s));
        let vectors = || -> Vec<Vector<T>> { (0..s).map(|_| problem.zeros()).collect() };
        let mut shadow = vectors();
        let random = Philox::new(SEED);
        for (stream, vector) in (0..).zip(&mut shadow) {
            vector.fill_normal(&random, stream);
            problem.project(vector)?;
        }
        let zeros = || vec![T::Double::ZERO; s];
        Ok(IdrState {
            shadow,
            g: vectors(),
            u: vectors(),
            v: problem.zeros(),
            z: problem.zeros(),
            m: vec![T::Double::ZERO; s * s],
            f: zeros(),
            c: zeros(),
            factors: vec![T::ZERO; s],
            omega: T::Double::ONE,
            k: 0,
        })
    }
}

struct IdrState<T: Scalar> {
    /// The shadow space, `P` in the paper.
    shadow: Vec<Vector<T>>,
    g: Vec<Vector<T>>,
    u: Vec<Vector<T>>,
    v: Vector<T>,
    z: Vector<T>,
    /// `P^H G`, lower triangular, by columns.
    m: Vec<T::Double>,
    /// `P^H r`.
    f: Vec<T::Double>,
    c: Vec<T::Double>,
    factors: Vec<T>,
    omega: T::Double,
    /// Place in the cycle.
    k: usize,
}

impl<T: Scalar> IdrState<T> {
    /// Solves the part of `M c = f` from `k` on.
    fn solve(&mut self) {
        let s = self.f.len();
        for i in self.k..s {
            let mut sum = self.f[i];
            for j in self.k..i {
                sum -= self.m[j * s + i] * self.c[j];
            }
            self.c[i] = sum / self.m[i * s + i];
        }
    }

    /// Makes the newest image orthogonal to the first `k` shadow vectors; its products with the others
    /// become a column of `M`.
    fn biorthogonalize(&mut self, problem: &Problem<'_, T>) -> Result<()> {
        let (k, s) = (self.k, self.f.len());
        problem.multi_dot(&self.g[k], &self.shadow, &mut self.c)?;
        for i in 0..k {
            let alpha = self.c[i] / self.m[i * s + i];
            for j in i + 1..s {
                let product = self.m[i * s + j] * alpha;
                self.c[j] -= product;
            }
            self.factors[i] = -T::from_double(alpha);
        }
        for vectors in [&mut self.g, &mut self.u] {
            let (known, new) = vectors.split_at_mut(k);
            new[0].multi_axpy(&self.factors[..k], known)?;
        }
        self.m[k * s + k..(k + 1) * s].copy_from_slice(&self.c[k..]);
        Ok(())
    }

    /// Returns a step in the space, one of `s`.
    fn inner(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        let (k, s) = (self.k, self.f.len());
        self.solve();
        for i in k..s {
            self.factors[i] = -T::from_double(self.c[i]);
        }
        self.v.copy_from(r)?;
        self.v.multi_axpy(&self.factors[k..], &self.g[k..])?;
        problem.precondition(&self.v, &mut self.z)?;
        self.factors[k..].iter_mut().for_each(|factor| *factor = -*factor);
        let (newest, others) = self.u[k..].split_first_mut().expect("invariant: k is below s");
        newest.axpby(T::from_double(self.omega), &self.z, self.factors[k])?;
        newest.multi_axpy(&self.factors[k + 1..], others)?;
        problem.apply_projected(newest, &mut self.g[k])?;
        self.biorthogonalize(problem)?;
        let pivot = self.m[k * s + k];
        if pivot == T::Double::ZERO {
            return Ok(Step::Breakdown);
        }
        let beta = self.f[k] / pivot;
        r.axpy(-T::from_double(beta), &self.g[k])?;
        x.axpy(T::from_double(beta), &self.u[k])?;
        for i in k + 1..s {
            let product = self.m[k * s + i] * beta;
            self.f[i] -= product;
        }
        self.k += 1;
        Step::next(problem.square_of(r)?.sqrt())
    }

    /// Computes the step to the next, smaller space.
    fn outer(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        problem.precondition(r, &mut self.z)?;
        problem.apply_projected(&self.z, &mut self.v)?;
        let [along, square, size] = problem.dots([(&self.v, r), (&self.v, &self.v), (r, r)])?;
        let lengths = (square.re() * size.re()).sqrt();
        if along.abs() <= T::Real::EPSILON.to_f64().powi(2) * lengths {
            return Ok(Step::Breakdown);
        }
        self.omega = along.scale(1.0 / square.re());
        let cosine = along.abs() / lengths;
        if cosine < KAPPA {
            self.omega = self.omega.scale(KAPPA / cosine);
        }
        x.axpy(T::from_double(self.omega), &self.z)?;
        r.axpy(-T::from_double(self.omega), &self.v)?;
        self.k = 0;
        Step::next(problem.square_of(r)?.sqrt())
    }
}

impl<T: Scalar> Iteration<T> for IdrState<T> {
    fn start(&mut self, _cx: &Problem<'_, T>, _r: &Vector<T>) -> Result<()> {
        let s = self.f.len();
        self.g.iter_mut().chain(&mut self.u).for_each(|vector| vector.fill(T::ZERO));
        self.m.fill(T::Double::ZERO);
        self.m.iter_mut().step_by(s + 1).for_each(|entry| *entry = T::Double::ONE);
        self.omega = T::Double::ONE;
        self.k = 0;
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if self.k == self.f.len() {
            return self.outer(problem, x, r);
        }
        if self.k == 0 {
            problem.multi_dot(r, &self.shadow, &mut self.f)?;
        }
        self.inner(problem, x, r)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vectors("g", &mut self.g);
        archive.vectors("u", &mut self.u);
        archive.doubles("m", &mut self.m);
        archive.doubles("f", &mut self.f);
        archive.double("omega", &mut self.omega);
        archive.integer("place in cycle", &mut self.k);
        self.k = self.k.min(self.f.len());
    }
}
