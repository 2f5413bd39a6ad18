//! `BlockCsrMatrix` itself: its parts, its layouts and its blocks row by row.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Mutex;

use crate::block_csr::local::LocalBlocks;
use crate::csr::assembly::sorted_rows::{Duplicates, Rows};
use crate::csr::ghost_columns::{ColumnCodes, Columns};
use crate::csr::matrix::Shape;
use crate::error::{Error, Result};
use crate::index::{Gid, Lid};
use crate::layout::Layout;
use crate::memory;
use crate::scalar::Scalar;

/// A sparse matrix of square blocks of one order, whose block rows are spread over the ranks.
///
/// Made by [`BlockCsrMatrix::from_rows`], [`BlockCsrMatrix::from_triplets`],
/// [`BlockCsrBuilder`](crate::BlockCsrBuilder) or [`BlockCsrMatrix::from_csr`]; the pattern is then
/// fixed, the values are not. Blocks are numbered by layouts of block rows and block columns; the
/// vectors of a product live on these layouts [refined](Layout::refined) by the order. Each rank
/// holds the blocks of the rows that it owns: `order^2` values and 4 bytes a block, 8 bytes a block
/// row. The first adjoint product adds the adjoint matrix, as large again, which is kept until the
/// values change.
pub struct BlockCsrMatrix<T> {
    pub(super) range: Layout,
    pub(super) domain: Layout,
    /// Of block rows and columns.
    pub(super) shape: Rc<Shape>,
    pub(super) local: LocalBlocks<T>,
    /// Made when it is first needed.
    pub(super) adjoint: OnceCell<Box<BlockCsrMatrix<T>>>,
}

impl<T: Scalar> Clone for BlockCsrMatrix<T> {
    fn clone(&self) -> BlockCsrMatrix<T> {
        BlockCsrMatrix {
            range: self.range.clone(),
            domain: self.domain.clone(),
            shape: Rc::clone(&self.shape),
            local: self.local.clone(),
            adjoint: OnceCell::new(),
        }
    }
}

impl<T: Scalar> std::fmt::Debug for BlockCsrMatrix<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rows, columns, blocks) = (self.range.global_len(), self.domain.global_len(), self.shape.entries);
        write!(f, "BlockCsrMatrix<{}>({rows} x {columns}, {blocks} blocks of order {})", T::NAME, self.order())
    }
}

/// Returns the layouts of vectors for these of block rows and block columns.
///
/// # Errors
/// An order of zero, or too many rows; on all ranks alike.
pub(super) fn vector_layouts(order: usize, rows: &Layout, columns: &Layout) -> Result<[Layout; 2]> {
    if order == 0 {
        return Err(Error::Shape { operation: "order of a block matrix", expected: (1, 1), found: (0, 0) });
    }
    let range = rows.refined(order)?;
    Ok([range.clone(), if rows == columns { range } else { columns.refined(order)? }])
}

impl<T: Scalar> BlockCsrMatrix<T> {
    /// Sorts and numbers rows whose entries are positions of blocks among `blocks`, and plans the
    /// product.
    ///
    /// # Collective
    pub(super) fn from_coded(
        [range, domain]: [Layout; 2],
        block_layouts: [&Layout; 2],
        codes: ColumnCodes,
        mut rows: Rows<usize>,
        mut blocks: Vec<T>,
        duplicates: Duplicates,
        order: usize,
    ) -> Result<BlockCsrMatrix<T>> {
        let len = order * order;
        // Repetitions are rare, and only they wait for each other.
        let sums = Mutex::new((&mut blocks, Vec::new()));
        let columns = rows.number(codes, |positions| {
            if positions.len() == 1 {
                return positions[0];
            }
            let (blocks, same) = &mut *sums.lock().expect("invariant: nothing panics that holds it");
            for part in 0..len {
                same.clear();
                same.extend(positions.iter().map(|position| blocks[position * len + part]));
                blocks[positions[0] * len + part] = duplicates.combine(same);
            }
            positions[0]
        });
        let Rows { starts, columns: mut numbers, values: positions } = rows;
        numbers.shrink_to_fit();
        let values = in_order(blocks, &positions, len);
        let shape = Shape::new(block_layouts[0], block_layouts[1], columns, numbers.len())?;
        let local = LocalBlocks::new(order, shape.columns.owned(), starts, numbers, values);
        Ok(BlockCsrMatrix { range, domain, shape: Rc::new(shape), local, adjoint: OnceCell::new() })
    }

    /// Returns the number of rows, and of columns, of a block.
    pub fn order(&self) -> usize {
        self.local.order()
    }

    /// Returns the distribution of block rows over the ranks.
    pub fn block_range(&self) -> &Layout {
        &self.shape.range
    }

    /// Returns the distribution of block columns over the ranks.
    pub fn block_domain(&self) -> &Layout {
        &self.shape.domain
    }

    /// Returns the number of stored blocks over all ranks.
    pub fn global_blocks(&self) -> u64 {
        self.shape.entries
    }

    /// Returns the number of stored blocks of this rank's rows.
    pub fn local_blocks(&self) -> usize {
        self.local.blocks()
    }

    /// Returns the block columns of this rank's rows that other ranks own, which a product receives.
    pub fn ghost_columns(&self) -> &[Gid] {
        self.shape.columns.ghosts().gids()
    }

    /// Returns this rank's block rows in ascending order.
    pub fn rows(&self) -> impl Iterator<Item = BlockRow<'_, T>> {
        self.shape.range.range().enumerate().map(|(local, row)| {
            let (start, numbers) = self.local.row(local);
            BlockRow { row, columns: &self.shape.columns, numbers, start, local: &self.local }
        })
    }

    /// Returns a stored block, by columns; `None` if it is not stored or another rank owns its row.
    pub fn get(&self, row: Gid, column: Gid) -> Option<&[T]> {
        self.slot(row, column).map(|slot| self.local.block(slot))
    }

    /// Position of a block among this rank's, if its row is owned and it is stored.
    pub(super) fn slot(&self, row: Gid, column: Gid) -> Option<usize> {
        self.shape.slot(row, column, |row| self.local.row(row))
    }
}

/// Blocks of `len` values in the order of `positions`. Where they lie in order nothing is moved.
fn in_order<T: Scalar>(mut blocks: Vec<T>, positions: &[usize], len: usize) -> Vec<T> {
    if positions.iter().enumerate().all(|(slot, &position)| slot == position) {
        blocks.truncate(positions.len() * len);
        blocks.shrink_to_fit();
        return blocks;
    }
    let mut ordered = Vec::new();
    memory::reserve(&mut ordered, positions.len() * len);
    positions.iter().for_each(|position| ordered.extend_from_slice(&blocks[position * len..][..len]));
    ordered
}

/// A block row of a [`BlockCsrMatrix`]: its stored blocks in ascending columns.
#[derive(Clone, Copy)]
pub struct BlockRow<'a, T> {
    row: Gid,
    columns: &'a Columns,
    numbers: &'a [Lid],
    start: usize,
    local: &'a LocalBlocks<T>,
}

impl<'a, T: Scalar> BlockRow<'a, T> {
    /// Returns the global block row.
    pub fn index(&self) -> Gid {
        self.row
    }

    /// Returns the global block columns, ascending, with their blocks, each by columns.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = (Gid, &'a [T])> + use<'a, T> {
        let BlockRow { columns, start, local, .. } = *self;
        self.numbers.iter().enumerate().map(move |(k, &number)| (columns.to_global(number), local.block(start + k)))
    }
}
