//! From and to matrices without blocks.

use crate::block_csr::matrix::BlockCsrMatrix;
use crate::csr::{CsrMatrix, MatrixRow};
use crate::error::Result;
use crate::index::{Gid, local};
use crate::operator::LinearOperator;
use crate::scalar::Scalar;

impl<T: Scalar> BlockCsrMatrix<T> {
    /// Converts `a` to blocks of `order` rows: those with a stored entry; their other entries become zeros.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Offsets`](crate::Error::Offsets) if a block would belong to two ranks, or the rows or
    /// columns are not whole blocks; on all ranks alike.
    pub fn from_csr(order: usize, a: &CsrMatrix<T>) -> Result<BlockCsrMatrix<T>> {
        let (rows, columns) = (a.range().coarsened(order)?, a.domain().coarsened(order)?);
        let wide = order as u64;
        let (mut present, mut blocks): (Vec<Gid>, Vec<T>) = (Vec::new(), Vec::new());
        BlockCsrMatrix::from_rows(order, &rows, &columns, |block_row, entries| {
            let rows = || (0..order).filter_map(|i| Some((i, a.row(block_row * wide + i as u64)?)));
            present.clear();
            present.extend(rows().flat_map(|(_, row)| row.columns().map(|column| column / wide)));
            present.sort_unstable();
            present.dedup();
            blocks.clear();
            blocks.resize(present.len() * order * order, T::ZERO);
            for (i, row) in rows() {
                scatter(row, i, order, &present, &mut blocks);
            }
            for (&column, block) in present.iter().zip(blocks.chunks_exact(order * order)) {
                entries.push(column, block);
            }
        })
    }

    /// Converts the matrix to one without blocks; zeros inside blocks are stored.
    ///
    /// # Collective
    ///
    /// # Errors
    /// More than 2^32 - 1 rows or columns on one rank.
    pub fn to_csr(&self) -> Result<CsrMatrix<T>> {
        let order = self.order();
        let mut rows = self.rows();
        let mut current = None;
        CsrMatrix::from_rows(self.range(), self.domain(), |row, entries| {
            let inside = local(row % order as u64);
            if inside == 0 {
                current = rows.next();
            }
            let blocks = current.iter().flat_map(|row| row.blocks());
            for (block_column, block) in blocks {
                for (column, &value) in (block_column * order as u64..).zip(block[inside..].iter().step_by(order)) {
                    entries.push(column, value);
                }
            }
        })
    }
}

/// Writes row `i` of the blocks at the block columns `present`.
fn scatter<T: Scalar>(row: MatrixRow<'_, T>, i: usize, order: usize, present: &[Gid], blocks: &mut [T]) {
    let mut at = 0;
    for (column, value) in row.entries() {
        let block_column = column / order as u64;
        at += present[at..].partition_point(|&other| other < block_column);
        let j = local(column % order as u64);
        blocks[(at * order + j) * order + i] = value;
    }
}
