//! A block-diagonal operator: small dense blocks along the diagonal.
//!
//! Each block belongs to one rank, so that nothing is communicated, and its rows are summed in
//! ascending columns, so that the bits do not depend on the number of ranks.

use crate::dense::SmallBlocks;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// A matrix of square blocks of one order along the diagonal, as block Jacobi inverts and as the
/// pixels of a map have.
#[derive(Clone, Debug)]
pub struct BlockDiagonal<T> {
    layout: Layout,
    blocks: SmallBlocks<T>,
}

impl<T: Scalar> BlockDiagonal<T> {
    /// Creates the operator from a layout of block rows and this rank's blocks; vectors live on the layout
    /// [refined](Layout::refined) by the order of the blocks.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LocalLength`], agreed over the ranks, if a rank has not a block for each block row;
    /// [`Error::StackedLayout`]; [`Error::Offsets`] if there are more rows than 64 bits can count. The order must be
    /// the same on all ranks, also those without blocks.
    pub fn new(block_rows: &Layout, blocks: SmallBlocks<T>) -> Result<BlockDiagonal<T>> {
        block_rows.require_contiguous("block-diagonal matrix")?;
        let layout = block_rows.refined(blocks.order())?;
        let (expected, found) = (block_rows.local_len(), blocks.len());
        let what = "blocks of a block-diagonal matrix";
        let fits = if expected == found { Ok(()) } else { Err(Error::LocalLength { what, expected, found }) };
        block_rows.comm().agree(fits)?;
        Ok(BlockDiagonal { layout, blocks })
    }

    /// Blocks that fill the rows of this rank.
    pub(crate) fn on_layout(layout: Layout, blocks: SmallBlocks<T>) -> BlockDiagonal<T> {
        BlockDiagonal { layout, blocks }
    }

    /// Returns this rank's blocks.
    pub fn blocks(&self) -> &SmallBlocks<T> {
        &self.blocks
    }

    /// Computes the inverse, block by block, through LU factors with partial pivoting.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Singular`], agreed over the ranks, which names the row of the first zero pivot of the
    /// first rank that has one.
    pub fn inverse(&self) -> Result<BlockDiagonal<T>> {
        self.inverted(self.blocks.lu().map(|factors| factors.inverse()))
    }

    /// Computes the inverse of Hermitian positive definite blocks, of which the lower triangles are read,
    /// through Cholesky factors. It is exactly Hermitian.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`], agreed over the ranks, which names the row of the first pivot
    /// that is not positive of the first rank that has one.
    pub fn inverse_definite(&self) -> Result<BlockDiagonal<T>> {
        self.inverted(self.blocks.cholesky().map(|factors| factors.inverse()))
    }

    fn inverted(&self, inverse: Result<SmallBlocks<T>>) -> Result<BlockDiagonal<T>> {
        let inverse = inverse.map_err(|error| in_matrix(error, self.layout.range().start));
        let blocks = self.layout.comm().agree(inverse)?;
        Ok(BlockDiagonal { layout: self.layout.clone(), blocks })
    }
}

/// Returns the error of a factorization with rows counted from `first`.
pub(super) fn in_matrix(error: Error, first: u64) -> Error {
    match error {
        Error::NotPositiveDefinite { operation, row } => Error::NotPositiveDefinite { operation, row: first + row },
        Error::Singular { operation, row } => Error::Singular { operation, row: first + row },
        Error::NotFinite { operation, row, column } => {
            Error::NotFinite { operation, row: first + row, column: first + column }
        }
        other => other,
    }
}

impl<T: Scalar> LinearOperator<T> for BlockDiagonal<T> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.blocks.multiply(x.owned(), y.owned_mut())
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        let n = self.blocks.order();
        let mut diagonal = Vector::zeros(&self.layout);
        let entries = self.blocks.entries().chunks_exact((n * n).max(1)).flat_map(|block| block.iter().step_by(n + 1));
        diagonal.owned_mut().iter_mut().zip(entries).for_each(|(slot, &entry)| *slot = entry);
        Some(diagonal)
    }
}

impl<T: Scalar> AdjointOperator<T> for BlockDiagonal<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.blocks.multiply_adjoint(x.owned(), y.owned_mut())
    }
}
