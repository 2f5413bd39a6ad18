//! Point-block Jacobi: division by small blocks on the diagonal, for several unknowns in each point of
//! a mesh (PETSc's `pbjacobi`). No messages, and the same bits on any number of ranks.

use dolmen_core::dense::SmallBlocks;
use dolmen_core::{BlockDiagonal, CsrMatrix, Error as CoreError, Gid, LinearOperator, Scalar};

use crate::error::{Defect, Error, Result};
use crate::precond::block_jacobi::require_square;
use crate::precond::forward::forward;
use crate::precond::local::{agree, unfit};
use crate::settings::require;

const METHOD: &str = "point-block Jacobi";

/// The inverses of the blocks of `order` rows and columns along the diagonal of a matrix.
///
/// A [`BlockCsrMatrix`](dolmen_core::BlockCsrMatrix) has its own:
/// [`block_diagonal`](dolmen_core::BlockCsrMatrix::block_diagonal), of which
/// [`BlockDiagonal::inverse`] is this preconditioner.
pub struct PointBlockJacobi<T> {
    order: usize,
    inverse: BlockDiagonal<T>,
}

impl<T: Scalar> PointBlockJacobi<T> {
    /// Inverts the blocks, each by LU factors with partial pivoting. Entries that are not stored are
    /// zeros.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NotSquare`], rows and columns on different layouts, an order of zero, a block that would
    /// belong to two ranks, or the first row of a rank that makes its block singular or is not finite;
    /// the same on all ranks.
    pub fn new(a: &CsrMatrix<T>, order: usize) -> Result<PointBlockJacobi<T>> {
        require_square(METHOD, a)?;
        a.range().comm().agree(require_order(order))?;
        let points = a.range().coarsened(order)?;
        let first = a.range().range().start;
        let blocks = SmallBlocks::from_fn(order, points.local_len(), |block, i, j| {
            let corner = first + (block * order) as Gid;
            a.get(corner + i as Gid, corner + j as Gid).unwrap_or(T::ZERO)
        });
        let inverse = agree(a.range().comm(), inverted(&blocks), |row| first + row)?;
        Ok(PointBlockJacobi { order, inverse: BlockDiagonal::new(&points, inverse)? })
    }

    /// Takes the blocks of a matrix whose values have changed.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`PointBlockJacobi::new`]; this preconditioner is then unchanged.
    pub fn refill(&mut self, a: &CsrMatrix<T>) -> Result<()> {
        *self = PointBlockJacobi::new(a, self.order)?;
        Ok(())
    }
}

/// Refuses blocks without rows.
pub(crate) fn require_order(order: usize) -> Result<()> {
    require(METHOD, "order", order as f64, order > 0, "one or more")
}

/// Returns the inverses of blocks, or the first row that has none.
fn inverted<T: Scalar>(blocks: &SmallBlocks<T>) -> Result<SmallBlocks<T>> {
    let order = blocks.order();
    if let Some(entry) = blocks.entries().iter().position(|entry| !entry.is_finite()) {
        let row = entry / (order * order) * order + entry % order;
        return Err(unfit(METHOD, row, Defect::NotFinite));
    }
    match blocks.lu() {
        Ok(factors) => Ok(factors.inverse()),
        Err(CoreError::Singular { row, .. }) => Err(Error::Unfit { method: METHOD, row, defect: Defect::ZeroPivot }),
        Err(other) => Err(other.into()),
    }
}

forward!(PointBlockJacobi to inverse);
