//! The blocks of one rank and their product.
//!
//! The rows of a block are summed side by side, in lanes of a register: a column of a block is
//! loaded as it lies and multiplied by one number. A register has 1, 2 or 4 lanes; where a block has
//! fewer rows the lanes behind them read the start of the next column, and are dropped, so that
//! there are a few numbers of padding behind the last block. Larger blocks take four rows at a time.

use std::ops::Range;

use crate::dense::small::{Fixed, Order};
use crate::index::{Lid, at};
use crate::scalar::Scalar;
use crate::simd;
use crate::simd::{AHEAD, prefetch};

/// Numbers behind the last block that lanes may read.
const PADDING: usize = 3;

/// Block rows of one rank; block columns are local: owned ones first, then ghosts.
#[derive(Clone, Debug)]
pub(super) struct LocalBlocks<T> {
    order: usize,
    owned: usize,
    starts: Vec<usize>,
    columns: Vec<Lid>,
    values: Vec<T>,
    /// Rows without a ghost column.
    interior: Vec<Range<usize>>,
    boundary: Vec<Range<usize>>,
}

impl<T: Scalar> LocalBlocks<T> {
    /// Takes row starts, columns and blocks, each by columns.
    pub(super) fn new(
        order: usize,
        owned: usize,
        starts: Vec<usize>,
        columns: Vec<Lid>,
        mut values: Vec<T>,
    ) -> LocalBlocks<T> {
        assert_eq!(columns.len() * order * order, values.len(), "invariant: a column for each block");
        assert_eq!(starts.last(), Some(&columns.len()), "invariant: row starts cover the blocks");
        values.reserve_exact(PADDING);
        values.extend([T::ZERO; PADDING]);
        let (mut interior, mut boundary) = (Vec::new(), Vec::new());
        for (row, bounds) in starts.windows(2).enumerate() {
            let inside = columns[bounds[0]..bounds[1]].iter().all(|&column| at(column) < owned);
            let rows: &mut Vec<Range<usize>> = if inside { &mut interior } else { &mut boundary };
            match rows.last_mut() {
                Some(last) if last.end == row => last.end = row + 1,
                _ => rows.push(row..row + 1),
            }
        }
        LocalBlocks { order, owned, starts, columns, values, interior, boundary }
    }

    /// Returns the number of rows, and of columns, of a block.
    pub(super) fn order(&self) -> usize {
        self.order
    }

    /// Returns the first position of a block row, and its columns.
    pub(super) fn row(&self, row: usize) -> (usize, &[Lid]) {
        (self.starts[row], &self.columns[self.starts[row]..self.starts[row + 1]])
    }

    /// Returns a block, by columns.
    pub(super) fn block(&self, slot: usize) -> &[T] {
        let len = self.order * self.order;
        &self.values[slot * len..][..len]
    }

    /// Returns the number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.columns.len()
    }

    /// Returns all values for modification.
    pub(super) fn values_mut(&mut self) -> &mut [T] {
        let len = self.columns.len() * self.order * self.order;
        &mut self.values[..len]
    }

    /// Multiplies the block rows without ghost columns; other rows of `y` are left alone.
    ///
    /// # Panics
    /// If an operand is too short, which is a bug of the caller.
    pub(super) fn multiply_interior(&self, x: &[T], y: &mut [T]) {
        self.multiply(
            &self.interior,
            y,
            #[inline(always)]
            |n, column| &x[column * n..][..n],
        );
    }

    /// Multiplies the block rows with ghost columns; other rows of `y` are left alone.
    ///
    /// # Panics
    /// If an operand is too short, which is a bug of the caller.
    pub(super) fn multiply_boundary(&self, x: &[T], ghosts: &[T], y: &mut [T]) {
        let owned = self.owned;
        self.multiply(
            &self.boundary,
            y,
            #[inline(always)]
            |n, column| if column < owned { &x[column * n..][..n] } else { &ghosts[(column - owned) * n..][..n] },
        );
    }

    /// Multiplies block rows; `operand(n, column)` gives the `n` entries of `x` for a block column.
    fn multiply<'x>(&self, runs: &[Range<usize>], y: &mut [T], operand: impl Fn(usize, usize) -> &'x [T]) {
        simd::dispatch(
            #[inline(always)]
            || {
                for rows in runs {
                    let rows = rows.clone();
                    match self.order {
                        1 => self.multiply_rows::<1>(Fixed::<1>, rows, y, &operand),
                        2 => self.multiply_rows::<2>(Fixed::<2>, rows, y, &operand),
                        3 => self.multiply_rows::<4>(Fixed::<3>, rows, y, &operand),
                        4 => self.multiply_rows::<4>(Fixed::<4>, rows, y, &operand),
                        n => self.multiply_rows::<4>(n, rows, y, &operand),
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn multiply_rows<'x, const LANES: usize>(
        &self,
        order: impl Order,
        rows: Range<usize>,
        y: &mut [T],
        operand: &impl Fn(usize, usize) -> &'x [T],
    ) {
        let n = order.get();
        for row in rows {
            let (start, columns) = self.row(row);
            let blocks = &self.values[start * n * n..];
            let y = &mut y[row * n..][..n];
            for first in (0..n).step_by(LANES) {
                let sums = sum::<T, LANES>(order, first, blocks, columns, operand);
                y[first..].iter_mut().zip(sums).for_each(|(y, sum)| *y = sum);
            }
        }
    }
}

/// Sums of `LANES` rows of blocks, from row `first` of each.
#[inline(always)]
fn sum<'x, T: Scalar, const LANES: usize>(
    order: impl Order,
    first: usize,
    blocks: &[T],
    columns: &[Lid],
    operand: &impl Fn(usize, usize) -> &'x [T],
) -> [T; LANES] {
    let n = order.get();
    let mut sums = [T::ZERO; LANES];
    for (&column, from) in columns.iter().zip((first..).step_by(n * n)) {
        let x = operand(n, at(column));
        // To the last lane of the last column.
        let block = &blocks[from..][..n * (n - 1) + LANES];
        prefetch(block.as_ptr(), n * n, AHEAD);
        for (j, &x) in x.iter().enumerate() {
            let lanes = &block[j * n..][..LANES];
            for (sum, &a) in sums.iter_mut().zip(lanes) {
                *sum += a * x;
            }
        }
    }
    sums
}
