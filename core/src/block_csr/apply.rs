//! Products: start the import, multiply the interior, finish, multiply the boundary.

use crate::block_csr::assemble::BlockCsrBuilder;
use crate::block_csr::matrix::BlockCsrMatrix;
use crate::csr::assembly::sorted_rows::Duplicates;
use crate::dense::SmallBlocks;
use crate::error::Result;
use crate::index::{Lid, local};
use crate::layout::Layout;
use crate::operator::{AdjointOperator, BlockDiagonal, LinearOperator};
use crate::profile::{self, Event};
use crate::scalar::Scalar;
use crate::vector::Vector;

impl<T: Scalar> LinearOperator<T> for BlockCsrMatrix<T> {
    fn domain(&self) -> &Layout {
        &self.domain
    }

    fn range(&self) -> &Layout {
        &self.range
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let _event = self.product_event();
        let halo = self.shape.plan.start_import(x.owned(), self.order());
        self.local.multiply_interior(x.owned(), y.owned_mut());
        self.local.multiply_boundary(x.owned(), &halo.finish(), y.owned_mut());
        Ok(())
    }

    /// Zero where no block is stored.
    fn diagonal(&self) -> Option<Vector<T>> {
        let order = self.order() as u64;
        (self.range == self.domain).then(|| {
            Vector::from_fn(&self.range, |row| {
                let inside = local(row % order) * (self.order() + 1);
                self.get(row / order, row / order).map_or(T::ZERO, |block| block[inside])
            })
        })
    }
}

/// The same bits on any number of ranks: row sums of [`BlockCsrMatrix::adjoint`], which is made by
/// the first call after a change of values.
impl<T: Scalar> AdjointOperator<T> for BlockCsrMatrix<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let _event = profile::operation("MatMultTranspose");
        self.adjoint()?.compute(x, y)
    }
}

impl<T: Scalar> BlockCsrMatrix<T> {
    fn product_event(&self) -> Event {
        let (blocks, entries) = (self.local_blocks(), self.local_blocks() * self.order() * self.order());
        let block_rows = self.shape.range.local_len();
        let columns = (self.shape.columns.owned() + self.ghost_columns().len()) * self.order();
        let flops = entries * if T::COMPLEX { 8 } else { 2 };
        let values = entries + self.range.local_len() + columns;
        let bytes = values * size_of::<T>() + blocks * size_of::<Lid>() + block_rows * size_of::<usize>();
        profile::operation("MatMult").flops(flops as u64).bytes(bytes as u64)
    }

    /// Returns the blocks on the diagonal, zero where none is stored; `None` where the domain is not the range.
    pub fn block_diagonal(&self) -> Option<BlockDiagonal<T>> {
        if self.range != self.domain {
            return None;
        }
        let mut blocks = SmallBlocks::zeros(self.order(), self.shape.range.local_len());
        for (at, row) in self.shape.range.range().enumerate() {
            if let Some(block) = self.get(row, row) {
                blocks.block_mut(at).copy_from_slice(block);
            }
        }
        Some(BlockDiagonal::on_layout(self.range.clone(), blocks))
    }

    /// Computes the adjoint (conjugate transpose) as a matrix of its own, kept until values change.
    ///
    /// # Collective
    /// The first call after a change of values: blocks of rows that other ranks own are sent.
    ///
    /// # Errors
    /// More than 2^32 - 1 block columns of the adjoint on one rank.
    pub fn adjoint(&self) -> Result<&BlockCsrMatrix<T>> {
        if let Some(adjoint) = self.adjoint.get() {
            return Ok(adjoint);
        }
        let n = self.order();
        let mut builder = BlockCsrBuilder::new(n, &self.shape.domain, &self.shape.range, Duplicates::Add);
        builder.reserve(self.local_blocks());
        let mut turned = vec![T::ZERO; n * n];
        for row in self.rows() {
            for (column, block) in row.blocks() {
                for (at, entry) in turned.iter_mut().enumerate() {
                    *entry = block[at % n * n + at / n].conj();
                }
                builder.push(column, row.index(), &turned);
            }
        }
        let adjoint = builder.build()?;
        Ok(self.adjoint.get_or_init(|| Box::new(adjoint)))
    }
}
