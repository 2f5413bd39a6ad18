//! Direct solution of a distributed system of moderate size: the matrix is gathered on one rank and
//! factored there once; each right-hand side travels there and its solution back.
//!
//! The answer has the same bits on any number of ranks, since one rank computes all of it.

use std::cell::RefCell;

use dolmen_core::{
    AdjointOperator, CsrMatrix, Layout, LinearOperator, Redistribute, Result as CoreResult, Scalar, SerialCsr, Vector,
};

use crate::error::Result;
use crate::precond::block_jacobi::require_square;
use crate::precond::local::{LocalSolver, agree};
use crate::precond::lu::Lu;

const METHOD: &str = "direct solution";
const ROOT: usize = 0;

/// The inverse of a distributed matrix, by a factorization on rank 0.
///
/// ```no_run
/// # use dolmen_core::{CsrMatrix, Vector};
/// # use dolmen_solvers::{Direct, Result};
/// # fn f(a: &CsrMatrix<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
/// let factored = Direct::factor(a)?;
/// let backward_error = factored.solve(b, x)?.unwrap_or(f64::NAN);
/// assert!(backward_error < 1e-14);
/// # Ok(()) }
/// ```
///
/// Memory on rank 0: the matrix (a value and 4 bytes an entry), while it is factored once more, five vectors,
/// and the factors, whose size depends on the ordering of the unknowns that the solver finds: see
/// [`Lu`] and [`Cholesky`](crate::Cholesky).
pub struct Direct<T, S = Lu<T>> {
    layout: Layout,
    to_root: Redistribute,
    /// On rank 0 only.
    solver: Option<S>,
    whole: RefCell<Vector<T>>,
}

impl<T: Scalar> Direct<T> {
    /// Factors any square matrix by [`Lu`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`Direct::factor_with`].
    pub fn factor(a: &CsrMatrix<T>) -> Result<Direct<T>> {
        Direct::factor_with(a, Lu::new)
    }
}

impl<T: Scalar, S: LocalSolver<T>> Direct<T, S> {
    /// Factors the whole matrix with `make`, on rank 0: [`Cholesky`](crate::Cholesky) for Hermitian
    /// positive definite matrices takes half of the time and memory of [`Lu`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NotSquare`](crate::Error::NotSquare), rows and columns on different layouts, or what
    /// `make` returns; the same on all ranks.
    pub fn factor_with(a: &CsrMatrix<T>, make: impl FnOnce(&SerialCsr<T>) -> Result<S>) -> Result<Direct<T, S>> {
        require_square(METHOD, a)?;
        let layout = a.range().clone();
        let solver = a.gather(ROOT)?.map(|whole| make(&whole)).transpose();
        let solver = agree(layout.comm(), solver, |row| row)?;
        let on_root = Layout::on_one_rank(layout.comm(), layout.global_len(), ROOT)?;
        let to_root = Redistribute::new(&layout, &on_root)?;
        Ok(Direct { layout, to_root, solver, whole: RefCell::new(Vector::zeros(&on_root)) })
    }

    /// Computes `x = A^-1 b`, refined with the true residual (see [`LocalSolver::solve_refined`]); gives the
    /// componentwise backward error, the largest `|b - A x|_i / (|A| |x| + |b|)_i`, if the solver
    /// knows it, as [`Lu`] and the other complete factorizations do.
    ///
    /// As an operator, a preconditioner, it is linear and so not refined for each vector.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](dolmen_core::Error::LayoutMismatch).
    pub fn solve(&self, b: &Vector<T>, x: &mut Vector<T>) -> Result<Option<f64>> {
        self.layout.require_same(b.layout(), METHOD)?;
        self.layout.require_same(x.layout(), METHOD)?;
        let mut error = None;
        self.through(b, x, |solver, x| error = solver.solve_refined(x))?;
        // None is below any error, which may be NaN if numbers overflow.
        let mut known = [error.map_or(-1.0, |error| if error.is_nan() { f64::INFINITY } else { error })];
        self.layout.comm().all_reduce_max(&mut known);
        Ok(Some(known[0]).filter(|error| *error >= 0.0))
    }

    /// Returns the factorization; `None` on all ranks but rank 0.
    pub fn solver(&self) -> Option<&S> {
        self.solver.as_ref()
    }

    /// Factors again for new values of the matrix, keeping what depends on its pattern only.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](dolmen_core::Error::LayoutMismatch), or as [`LocalSolver::refill`]; the same
    /// on all ranks.
    pub fn refill(&mut self, a: &CsrMatrix<T>) -> Result<()> {
        self.layout.require_same(a.range(), METHOD)?;
        self.layout.require_same(a.domain(), METHOD)?;
        let whole = a.gather(ROOT)?;
        let result = match (&mut self.solver, &whole) {
            (Some(solver), Some(whole)) => solver.refill(whole),
            _ => Ok(()),
        };
        agree(self.layout.comm(), result, |row| row)
    }

    fn through(&self, x: &Vector<T>, y: &mut Vector<T>, solve: impl FnOnce(&S, &mut [T])) -> CoreResult<()> {
        let whole = &mut *self.whole.borrow_mut();
        self.to_root.apply(x, whole)?;
        if let Some(solver) = &self.solver {
            solve(solver, whole.owned_mut());
        }
        self.to_root.apply_reverse(whole, y)
    }
}

impl<T: Scalar, S: LocalSolver<T>> LinearOperator<T> for Direct<T, S> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.through(x, y, |solver, x| solver.solve(x))
    }
}

impl<T: Scalar, S: LocalSolver<T>> AdjointOperator<T> for Direct<T, S> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.through(x, y, |solver, x| solver.solve_adjoint(x))
    }
}
