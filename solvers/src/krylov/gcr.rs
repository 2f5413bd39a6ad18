//! GCR(m) (Eisenstat, Elman and Schultz, SIAM J. Numer. Anal. 20 (1983) 345; Saad, "Iterative
//! Methods for Sparse Linear Systems", 2nd ed., algorithm 6.22), preconditioned from the right, for any
//! `A` and a preconditioner that may change from step to step.
//!
//! The residual and the solution are up to date in every iteration, which GMRES has only at the end of a
//! cycle; the price is the memory of flexible GMRES and a breakdown where the residual is
//! orthogonal to its own image.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. Three reductions an iteration, four where a new image loses
//! more than half of its square in the first orthogonalization. Traffic of step `j` of a cycle beside
//! the operator and the preconditioner, in vectors of `n` entries: `3 j + 12` reads and 4 writes;
//! `3 j + 6` and 2 more for a second pass.

use dolmen_core::{Layout, Real, Scalar, Vector};

use crate::error::Result;
use crate::krylov::gmres::{RESTART, cycle};
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;

square_solver! {
    /// Restarted GCR, for any operator and a preconditioner that may vary.
    pub struct Gcr: "GCR" {
        /// Steps before a restart, 30 by default; two vectors are kept for each.
        restart: usize = RESTART;
    }
}

impl<T: Scalar> Gcr<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<GcrState<T>> {
        problem.require_true_norm();
        let cycle = cycle(problem, self.restart);
        let mut run =
            GcrState { p: vec![], q: vec![], squares: vec![], len: 0, cycle, products: vec![], factors: vec![] };
        run.reserve(problem.a.domain(), 1);
        Ok(run)
    }
}

struct GcrState<T: Scalar> {
    p: Vec<Vector<T>>,
    /// `A p`, orthogonal to each other.
    q: Vec<Vector<T>>,
    /// `|q|^2`.
    squares: Vec<f64>,
    len: usize,
    /// Steps that a cycle can have.
    cycle: usize,
    products: Vec<T::Double>,
    factors: Vec<T>,
}

impl<T: Scalar> GcrState<T> {
    /// Reserves memory for this number of directions.
    fn reserve(&mut self, layout: &Layout, directions: usize) {
        while self.p.len() < directions {
            self.p.push(Vector::zeros(layout));
            self.q.push(Vector::zeros(layout));
            self.squares.push(0.0);
            self.products.push(T::Double::ZERO);
            self.factors.push(T::ZERO);
        }
    }

    /// Makes the newest image orthogonal to the others, once; what it keeps of its square.
    fn orthogonalize(&mut self, problem: &Problem<'_, T>) -> Result<f64> {
        let k = self.len;
        let products = &mut self.products[..=k];
        problem.multi_dot(&self.q[k], &self.q[..=k], products)?;
        let mut lost = 0.0;
        for i in 0..k {
            lost += products[i].abs_sqr() / self.squares[i];
            self.factors[i] = -T::from_double(products[i].scale(1.0 / self.squares[i]));
        }
        for vectors in [&mut self.q, &mut self.p] {
            let (known, new) = vectors.split_at_mut(k);
            new[0].multi_axpy(&self.factors[..k], known)?;
        }
        Ok(1.0 - lost / self.products[k].re())
    }
}

impl<T: Scalar> Iteration<T> for GcrState<T> {
    fn start(&mut self, _cx: &Problem<'_, T>, _r: &Vector<T>) -> Result<()> {
        self.len = 0;
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        let k = self.len;
        self.reserve(r.layout(), k + 1);
        problem.precondition(r, &mut self.p[k])?;
        problem.apply_projected(&self.p[k], &mut self.q[k])?;
        if k > 0 && self.orthogonalize(problem)? < 0.5 {
            self.orthogonalize(problem)?;
        }
        let q = &self.q[k];
        let [along, square, size] = problem.dots([(q, r), (q, q), (r, r)])?;
        let (square, size) = (square.re(), size.re());
        if along.abs() <= T::Real::EPSILON.to_f64().powi(2) * (square * size).sqrt() {
            return Ok(Step::Breakdown);
        }
        let alpha = T::from_double(along.scale(1.0 / square));
        x.axpy(alpha, &self.p[k])?;
        r.axpy(-alpha, q)?;
        self.squares[k] = square;
        self.len = if k + 1 == self.cycle { 0 } else { k + 1 };
        Step::next(problem.square_of(r)?.sqrt())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.integer("steps in cycle", &mut self.len);
        if self.len >= self.cycle {
            self.len = 0;
            return archive.refuse("steps in cycle");
        }
        let layout = self.p[0].layout().clone();
        self.reserve(&layout, self.len);
        archive.vectors("p", &mut self.p[..self.len]);
        archive.vectors("q", &mut self.q[..self.len]);
        archive.reals("squares", &mut self.squares[..self.len]);
    }
}
