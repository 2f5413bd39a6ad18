//! Block Jacobi with one block a rank: each solves with its own rows and columns, by any
//! [`LocalSolver`]. No messages in an application; the blocks, hence the preconditioner, are others on
//! other numbers of ranks.

use dolmen_core::{
    AdjointOperator, CsrMatrix, Layout, LinearOperator, Result as CoreResult, Scalar, SerialCsr, Vector,
};

use crate::error::{Error, Result};
use crate::precond::local::{LocalSolver, agree};

/// The local solvers of the diagonal blocks of all ranks.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{BlockJacobi, Ic, Ilut, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let incomplete_cholesky = BlockJacobi::new(a, Ic::new)?;
/// let with_settings = BlockJacobi::new(a, |block| Ilut::new(block, 1e-3, 10))?;
/// # Ok(()) }
/// ```
pub struct BlockJacobi<S> {
    layout: Layout,
    solver: S,
}

impl<S> BlockJacobi<S> {
    /// Creates the preconditioner with `make` from the block of own rows and columns, on each rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NotSquare`], rows and columns on different layouts, or what `make` returns on the
    /// first rank where it fails, with the global number of the row; the same on all ranks.
    pub fn new<T: Scalar>(a: &CsrMatrix<T>, make: impl FnOnce(&SerialCsr<T>) -> Result<S>) -> Result<BlockJacobi<S>>
    where
        S: LocalSolver<T>,
    {
        require_square("block Jacobi", a)?;
        let layout = a.range().clone();
        let solver = agree(layout.comm(), make(&a.local_block()), |row| row + layout.range().start)?;
        Ok(BlockJacobi { layout, solver })
    }

    /// Returns the solver of this rank.
    pub fn solver(&self) -> &S {
        &self.solver
    }

    /// Takes new values of the matrix, keeping what depends on its pattern only.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](dolmen_core::Error::LayoutMismatch), or as [`LocalSolver::refill`]; the same
    /// on all ranks.
    pub fn refill<T: Scalar>(&mut self, a: &CsrMatrix<T>) -> Result<()>
    where
        S: LocalSolver<T>,
    {
        self.layout.require_same(a.range(), "refill of block Jacobi")?;
        self.layout.require_same(a.domain(), "refill of block Jacobi")?;
        agree(self.layout.comm(), self.solver.refill(&a.local_block()), |row| row + self.layout.range().start)
    }
}

/// Refuses a matrix that does not map vectors of a layout to vectors of the same.
pub(crate) fn require_square<T: Scalar>(method: &'static str, a: &CsrMatrix<T>) -> Result<()> {
    let (rows, columns) = (a.range().global_len(), a.domain().global_len());
    if rows != columns {
        return Err(Error::NotSquare { method, rows, columns });
    }
    Ok(a.range().require_same(a.domain(), method)?)
}

impl<T: Scalar, S: LocalSolver<T>> LinearOperator<T> for BlockJacobi<S> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.solver.solve_from(x.owned(), y.owned_mut());
        Ok(())
    }
}

impl<T: Scalar, S: LocalSolver<T>> AdjointOperator<T> for BlockJacobi<S> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        y.copy_from(x)?;
        self.solver.solve_adjoint(y.owned_mut());
        Ok(())
    }
}
