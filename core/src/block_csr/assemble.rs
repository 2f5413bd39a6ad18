//! Assembly: triplets of blocks from any rank, or a closure for each block row.
//!
//! Sorting moves the positions of blocks; blocks themselves are moved at most once, and not at all
//! if they are given in ascending rows and columns.

use crate::block_csr::matrix::{BlockCsrMatrix, vector_layouts};
use crate::csr::assembly::sorted_rows::{Duplicates, Entries, Rows};
use crate::csr::assembly::triplets::{Places, Side, codes, in_order, in_row};
use crate::csr::ghost_columns::ColumnCodes;
use crate::error::{Error, Result};
use crate::index::{Gid, Lid};
use crate::layout::Layout;
use crate::memory;
use crate::profile;
use crate::scalar::Scalar;

/// Collects triplets of blocks on all ranks and builds a [`BlockCsrMatrix`] of them.
///
/// Any rank may give blocks of any block row; nothing is sent before [`BlockCsrBuilder::build`].
pub struct BlockCsrBuilder<T> {
    order: usize,
    duplicates: Duplicates,
    places: Places,
    /// Positions among `blocks`.
    own: Entries<usize>,
    blocks: Vec<T>,
    foreign: Vec<T>,
}

/// Checks that a block has `order^2` entries.
fn require_block(order: usize, found: usize) -> Result<()> {
    if found == order * order {
        return Ok(());
    }
    let expected = (order as u64, order as u64);
    Err(Error::Shape { operation: "block of a block matrix", expected, found: (found as u64, 1) })
}

impl<T: Scalar> BlockCsrBuilder<T> {
    /// Creates an empty matrix of blocks of `order` rows, by layouts of block rows and block columns.
    ///
    /// Not collective; what is wrong with the layouts is reported by [`BlockCsrBuilder::build`].
    pub fn new(order: usize, rows: &Layout, columns: &Layout, duplicates: Duplicates) -> BlockCsrBuilder<T> {
        let own = Entries { rows: Vec::new(), columns: Vec::new(), values: Vec::new() };
        let places = Places::new(rows, columns);
        BlockCsrBuilder { order, duplicates, places, own, blocks: Vec::new(), foreign: Vec::new() }
    }

    /// Reserves memory for this number of additional blocks of own rows.
    pub fn reserve(&mut self, additional: usize) {
        self.own.reserve(additional);
        memory::reserve(&mut self.blocks, additional * self.order * self.order);
    }

    /// Adds one block, given by columns, by global block row and column. An index past the end, or
    /// a block of another order, is reported by [`BlockCsrBuilder::build`].
    #[inline]
    pub fn push(&mut self, row: Gid, column: Gid, block: &[T]) {
        if let Err(error) = require_block(self.order, block.len()) {
            self.places.refuse(error);
            return;
        }
        match self.places.sort(row, column) {
            Side::Own(row, code) => {
                self.own.push(row, code, self.own.values.len());
                memory::extend(&mut self.blocks, block);
            }
            Side::Foreign => memory::extend(&mut self.foreign, block),
            Side::Refused => {}
        }
    }

    /// Sends the blocks to the owners of their rows and builds the matrix.
    ///
    /// # Collective
    /// Two sparse exchanges of the blocks for other ranks' rows, and the plan of the product.
    ///
    /// # Errors
    /// A block row or column past the end of its layout, or a block that has not `order^2` entries,
    /// given on any rank; an order of zero; layouts on different communicators; more than 2^32 - 1
    /// block rows or columns on one rank.
    pub fn build(self) -> Result<BlockCsrMatrix<T>> {
        let _event = profile::operation("MatAssembly");
        let BlockCsrBuilder { order, duplicates, mut places, own, mut blocks, foreign } = self;
        let layouts = vector_layouts(order, &places.range, &places.domain)?;
        let received = places.exchange(&foreign, order * order)?;
        let mut end = own.values.len();
        let placed = received.into_iter().map(|(rank, Entries { rows, columns, values })| {
            memory::extend(&mut blocks, &values);
            let first = end;
            end += rows.len();
            (rank, Entries { rows, columns, values: (first..end).collect() })
        });
        let placed = placed.collect();
        let all = in_order(places.range.comm().rank(), duplicates, own, placed);
        let rows = all.into_rows(places.range.local_len());
        let Places { range, domain, codes, .. } = places;
        BlockCsrMatrix::from_coded(layouts, [&range, &domain], codes, rows, blocks, duplicates, order)
    }
}

/// Takes the blocks of one block row; see [`BlockCsrMatrix::from_rows`].
pub struct BlockRowBuilder<'a, T> {
    row: Gid,
    order: usize,
    codes: &'a mut ColumnCodes,
    columns: &'a mut Vec<Lid>,
    blocks: &'a mut Vec<T>,
    valid: &'a mut Result<()>,
}

impl<T: Scalar> BlockRowBuilder<'_, T> {
    /// Adds a block of the row, given by columns, by global block column; blocks of the same column
    /// are summed. Ascending columns are fastest.
    #[inline]
    pub fn push(&mut self, column: Gid, block: &[T]) {
        match require_block(self.order, block.len()).and_then(|()| self.codes.code(column)) {
            Ok(code) => {
                memory::push(self.columns, code);
                memory::extend(self.blocks, block);
            }
            Err(error) if self.valid.is_ok() => *self.valid = Err(in_row(self.row, error)),
            Err(_) => {}
        }
    }
}

impl<T: Scalar> BlockCsrMatrix<T> {
    /// Creates a block matrix from triplets (global block row, global block column, block by columns) given on any
    /// rank; see [`BlockCsrBuilder`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`BlockCsrBuilder::build`].
    pub fn from_triplets<B: AsRef<[T]>>(
        order: usize,
        rows: &Layout,
        columns: &Layout,
        triplets: impl IntoIterator<Item = (Gid, Gid, B)>,
        duplicates: Duplicates,
    ) -> Result<BlockCsrMatrix<T>> {
        let mut builder = BlockCsrBuilder::new(order, rows, columns, duplicates);
        triplets.into_iter().for_each(|(row, column, block)| builder.push(row, column, block.as_ref()));
        builder.build()
    }

    /// Creates a matrix block row by block row: `row(i, blocks)` gives the blocks of each global block row `i` that
    /// this rank owns, in ascending order of rows.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`BlockCsrBuilder::build`].
    pub fn from_rows(
        order: usize,
        rows: &Layout,
        columns: &Layout,
        mut row: impl FnMut(Gid, &mut BlockRowBuilder<'_, T>),
    ) -> Result<BlockCsrMatrix<T>> {
        let _event = profile::operation("MatAssembly");
        let layouts = vector_layouts(order, rows, columns)?;
        let mut codes = rows.comm().agree(codes(rows, columns))?;
        let mut starts = Vec::with_capacity(rows.local_len() + 1);
        let (mut numbers, mut blocks, mut valid) = (Vec::new(), Vec::new(), Ok(()));
        starts.push(0);
        for i in rows.range() {
            let (codes, columns, blocks) = (&mut codes, &mut numbers, &mut blocks);
            row(i, &mut BlockRowBuilder { row: i, order, codes, columns, blocks, valid: &mut valid });
            starts.push(numbers.len());
        }
        rows.comm().agree(valid)?;
        let found = Rows { starts, values: (0..numbers.len()).collect(), columns: numbers };
        BlockCsrMatrix::from_coded(layouts, [rows, columns], codes, found, blocks, Duplicates::Add, order)
    }
}
