//! `ColumnBlockMatrix`: a sparse matrix of small rectangular blocks that lie where their columns are owned.
//!
//! Made for matrices that sum up data where the data are. In map-making the pointing matrix of compressed
//! timelines, `P^T W F`, has a block of Stokes by one sums for each pixel that a baseline meets: baselines are where
//! their samples were read, and any rank can meet any pixel. A product and its adjoint read one copy of the blocks,
//! row by row, so that rows stream and columns stay in cache; with values in single precision a block of 3 by 1 takes
//! 16 bytes.
//!
//! A product adds over the ranks. So that its bits depend on neither their number nor their order, the terms of a
//! row's sum are rounded to multiples of one power of two, which is so large that the sum of all is exact: 2^-51
//! times a bound of the sum (the largest entry of the operand times the largest of the row times the number of
//! terms). A sum of n terms is off by at most n / 2 units, some ten times as much as a plain sum in double precision.
//! Adding 1.5 2^52 units to a number, and subtracting them, rounds it to units. The adjoint product needs none of
//! that: all blocks of a column are on one rank, and are added by ascending rows.

mod kernel;

use std::cell::RefCell;

use crate::column_blocks::kernel::Blocks;
pub use crate::column_blocks::kernel::Stored;
use crate::error::{Error, Result};
use crate::exchange::{Combine, ExchangePlan};
use crate::index::{Gid, Lid, to_lid};
use crate::index_map::IndexMap;
use crate::layout::Layout;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::profile::{self, Event};
use crate::scaling::{exponent, scaled};
use crate::vector::Vector;

/// Operation that errors name.
const OPERATION: &str = "matrix of blocks by columns";
/// Exponent of the unit of a sum, from that of its bound.
const UNIT: i32 = -51;
/// Most rows, and columns, of a block.
const LARGEST: usize = 6;

/// A sparse matrix of blocks of up to 6 by 6 numbers, each stored by the owner of its columns, in `f32` or `f64`,
/// that multiplies vectors in double precision.
///
/// Block rows and block columns are numbered by two layouts; vectors live on these
/// [refined](Layout::refined) by the rows and columns of a block. A rank holds 4 bytes and the values of each block,
/// and for each row of a block row that it has a block in 16 bytes, besides 8 and the exchange plan for the block row.
pub struct ColumnBlockMatrix<S> {
    range: Layout,
    domain: Layout,
    blocks: Blocks<S>,
    rows: IndexMap,
    plan: ExchangePlan,
    /// For each row of this rank's blocks 1.5 2^52 units of its sum, for an operand whose largest entry has exponent 0.
    rounding: Vec<f64>,
    /// Sums of this rank's blocks, unless they are those of its own rows.
    sums: RefCell<Vec<f64>>,
    /// True if one rank has all columns, and blocks in all rows: nothing is exchanged.
    alone: bool,
}

impl<S: Stored> std::fmt::Debug for ColumnBlockMatrix<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([r, c], rows, columns) = (self.blocks.shape, self.range.global_len(), self.domain.global_len());
        write!(f, "ColumnBlockMatrix<{}>({rows} x {columns}, blocks of {r} x {c})", S::NAME)
    }
}

impl<S: Stored> ColumnBlockMatrix<S> {
    /// Creates the matrix from blocks in the columns that this rank owns: for each its global block row, its global
    /// block column and its values, by columns. Blocks at the same place add up; where the rows ascend, nothing is
    /// copied.
    ///
    /// # Collective
    ///
    /// # Errors
    /// On all ranks alike: [`Error::Shape`] for blocks of other shapes than 1 by 1 to 6 by 6,
    /// [`Error::RanksDisagree`] if ranks give different ones, [`Error::LocalLength`] if the three lists do not
    /// fit together, [`Error::IndexOutOfRange`] for a row outside the layout and [`Error::ForeignColumn`]
    /// for a column that this rank does not own, [`Error::NotFinite`] for a value that is not finite.
    pub fn new(
        rows: &Layout,
        columns: &Layout,
        shape: [usize; 2],
        row_ids: Vec<Gid>,
        column_ids: &[Gid],
        values: Vec<S>,
    ) -> Result<ColumnBlockMatrix<S>> {
        Self::agreed(rows, columns, shape, || gathered(rows, columns, shape, row_ids, column_ids, values))
    }

    /// Creates the matrix from this rank's rows: the block rows in which it has blocks, ascending; the first block of
    /// each, and the number of all blocks; for each block the number of its column among those that this rank owns,
    /// and its values, by columns. Blocks at the same place add up; nothing is copied.
    ///
    /// # Collective
    ///
    /// # Errors
    /// On all ranks alike, those of [`ColumnBlockMatrix::new`], and [`Error::NotRows`] if rows or first blocks do not
    /// ascend.
    pub fn from_rows(
        rows: &Layout,
        columns: &Layout,
        shape: [usize; 2],
        row_ids: Vec<Gid>,
        starts: Vec<usize>,
        column_numbers: Vec<Lid>,
        values: Vec<S>,
    ) -> Result<ColumnBlockMatrix<S>> {
        Self::agreed(rows, columns, shape, || {
            require_rows(&row_ids, &starts, column_numbers.len())?;
            require_last(&row_ids, rows)?;
            let bound = columns.local_len() as u64;
            if let Some(&index) = column_numbers.iter().find(|&&number| u64::from(number) >= bound) {
                return Err(Error::IndexOutOfRange { what: "column of a block", index: index.into(), bound });
            }
            require_length("values of the blocks of a matrix", column_numbers.len() * shape[0] * shape[1], &values)?;
            let blocks = Blocks::new(shape, starts, column_numbers, values);
            if let Some(at) = not_finite_at(blocks.values()) {
                let (block, part) = (at / (shape[0] * shape[1]), at % (shape[0] * shape[1]));
                let row = row_ids[blocks.starts.partition_point(|&start| start <= block) - 1];
                return Err(not_finite(shape, row, columns.range().start + u64::from(blocks.columns[block]), part));
            }
            Ok((IndexMap::new(row_ids)?, blocks))
        })
    }

    /// Finishes a matrix whose blocks one function gives.
    fn agreed(
        layout: &Layout,
        columns: &Layout,
        shape: [usize; 2],
        blocks: impl FnOnce() -> Result<(IndexMap, Blocks<S>)>,
    ) -> Result<ColumnBlockMatrix<S>> {
        let comm = layout.comm();
        let [r, c] = shape;
        comm.compare(|| format!("blocks of a matrix by columns: {r} x {c}"));
        let (rows, blocks) = comm.agree(check(layout, columns, shape).and_then(|()| blocks()))?;
        let [range, domain] = [layout.refined(r)?, columns.refined(c)?];
        let plan = ExchangePlan::new(layout, &rows)?;
        let alone = comm.size() == 1 && rows.len() == layout.local_len();
        let sums = RefCell::new(vec![0.0; if alone { 0 } else { plan.copies_len() * r }]);
        let mut matrix = ColumnBlockMatrix { range, domain, blocks, rows, plan, rounding: Vec::new(), sums, alone };
        matrix.rounding = matrix.rounding();
        Ok(matrix)
    }

    /// Returns the rows and the columns of a block.
    pub fn block_shape(&self) -> [usize; 2] {
        self.blocks.shape
    }

    /// Returns the number of blocks on this rank.
    pub fn local_blocks(&self) -> usize {
        self.blocks.columns.len()
    }

    /// Returns the block rows in which this rank has blocks, ascending.
    pub fn block_rows(&self) -> &[Gid] {
        self.rows.gids()
    }

    /// Computes `y = A^T D A x` with a matrix `D` of which `middle` multiplies the diagonal blocks: it is given the
    /// number of a block row among those that this rank owns, and the entries of `A x` in it, which it replaces. `work`
    /// is a vector of the range. Where one rank has all, each block is read from memory once instead of twice. The
    /// result has the bits that products one after the other have.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if a vector is on another layout, on all ranks alike.
    pub fn multiply_through(
        &self,
        x: &Vector<f64>,
        middle: impl Fn(usize, &mut [f64]),
        work: &mut Vector<f64>,
        y: &mut Vector<f64>,
    ) -> Result<()> {
        let operation = "product through a matrix of blocks by columns";
        self.domain.require_same(x.layout(), operation)?;
        self.domain.require_same(y.layout(), operation)?;
        self.range.require_same(work.layout(), operation)?;
        let size = x.norm_inf();
        if self.alone && size.is_finite() {
            let _event = self.event("MatMultThrough");
            y.fill(0.0);
            self.blocks.multiply_through(x.owned(), &self.rounding, scaled(1.0, exponent(size)), middle, y.owned_mut());
            return Ok(());
        }
        self.compute(x, work)?;
        work.owned_mut().chunks_exact_mut(self.blocks.shape[0]).enumerate().for_each(|(row, sums)| middle(row, sums));
        self.compute_adjoint(work, y)
    }

    /// Computes the numbers that round terms, from the largest terms and their number over all ranks.
    ///
    /// # Collective
    fn rounding(&self) -> Vec<f64> {
        let (r, owned) = (self.blocks.shape[0], self.range.local_len());
        let (largest, terms) = self.blocks.largest();
        let (mut all_largest, mut all_terms) = (vec![0.0; owned], vec![0; owned]);
        self.plan.start_export(&largest, r).finish(Combine::Max, &mut all_largest);
        self.plan.start_export(&terms, r).finish(Combine::Add, &mut all_terms);
        // The sum is below 2^bound, as an operand is below 2 and a term's factor below twice its power of two.
        let number = |(&largest, &terms): (&f64, &i64)| {
            let bound = exponent(largest) + exponent(terms as f64) + 3;
            if largest == 0.0 { 0.0 } else { scaled(1.5, bound + UNIT + 52) }
        };
        let numbers: Vec<f64> = all_largest.iter().zip(&all_terms).map(number).collect();
        self.plan.start_import(&numbers, r).finish().to_vec()
    }

    fn event(&self, name: &'static str) -> Event {
        let (blocks, [r, c]) = (self.local_blocks(), self.blocks.shape);
        let vectors = self.plan.copies_len() * r + self.domain.local_len();
        let bytes = blocks * (4 + r * c * size_of::<S>()) + 8 * (vectors + self.plan.copies_len());
        profile::operation(name).flops((2 * blocks * r * c) as u64).bytes(bytes as u64)
    }
}

fn check(rows: &Layout, columns: &Layout, [r, c]: [usize; 2]) -> Result<()> {
    rows.require_same_comm(columns, OPERATION)?;
    columns.require_contiguous(OPERATION)?;
    if !(1..=LARGEST).contains(&r) || !(1..=LARGEST).contains(&c) {
        let expected = (r.clamp(1, LARGEST) as u64, c.clamp(1, LARGEST) as u64);
        return Err(Error::Shape { operation: "block of a matrix by columns", expected, found: (r as u64, c as u64) });
    }
    Ok(())
}

fn require_length<T>(what: &'static str, expected: usize, found: &[T]) -> Result<()> {
    let found = found.len();
    if found == expected { Ok(()) } else { Err(Error::LocalLength { what, expected, found }) }
}

/// Refuses rows outside the layout.
fn require_last(row_ids: &[Gid], rows: &Layout) -> Result<()> {
    let bound = rows.global_len();
    let outside = row_ids.iter().find(|&&row| row >= bound);
    outside.map_or(Ok(()), |&index| Err(Error::IndexOutOfRange { what: "row of a block", index, bound }))
}

/// Refuses rows that do not ascend, and first blocks that do not.
fn require_rows(row_ids: &[Gid], starts: &[usize], blocks: usize) -> Result<()> {
    let what = if !row_ids.is_sorted_by(|one, next| one < next) {
        "the block rows do not ascend"
    } else if starts.len() != row_ids.len() + 1 || !starts.is_sorted() {
        "the first blocks of rows do not ascend, one for each row and their end"
    } else if starts[0] != 0 || starts[row_ids.len()] != blocks {
        "the first blocks of rows do not run from 0 to the number of blocks"
    } else {
        return Ok(());
    };
    Err(Error::NotRows { reason: what.into() })
}

/// Finds the first value that is not finite.
fn not_finite_at<S: Stored>(values: &[S]) -> Option<usize> {
    // Without a branch for each value, which almost always all are finite.
    let finite = |values: &[S]| values.iter().fold(true, |all, value| all & value.widened().is_finite());
    if values.chunks(1024).all(finite) {
        return None;
    }
    values.iter().position(|value| !value.widened().is_finite())
}

/// Names the entry of a block.
fn not_finite(shape: [usize; 2], row: Gid, column: Gid, part: usize) -> Error {
    let row = row * shape[0] as u64 + (part % shape[0]) as u64;
    let column = column * shape[1] as u64 + (part / shape[0]) as u64;
    Error::NotFinite { operation: OPERATION, row, column }
}

/// Brings blocks into ascending rows; returns the rows that there are.
fn gathered<S: Stored>(
    rows: &Layout,
    columns: &Layout,
    shape: [usize; 2],
    row_ids: Vec<Gid>,
    column_ids: &[Gid],
    values: Vec<S>,
) -> Result<(IndexMap, Blocks<S>)> {
    let (count, len) = (row_ids.len(), shape[0] * shape[1]);
    require_length("columns of the blocks of a matrix", count, column_ids)?;
    require_length("values of the blocks of a matrix", count * len, &values)?;
    require_last(&row_ids, rows)?;
    if let Some(at) = not_finite_at(&values) {
        let (block, part) = (at / len, at % len);
        return Err(not_finite(shape, row_ids[block], column_ids[block], part));
    }
    let number = |&column: &Gid| match columns.global_to_owned(column) {
        Some(number) => to_lid("block columns", number),
        None => Err(Error::ForeignColumn { column }),
    };
    let numbers = column_ids.iter().map(number).collect::<Result<Vec<_>>>()?;
    if row_ids.is_sorted() {
        return in_order(shape, row_ids, numbers, values);
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&block| row_ids[block]);
    let rows = order.iter().map(|&block| row_ids[block]).collect();
    let numbers = order.iter().map(|&block| numbers[block]).collect();
    let values = order.iter().flat_map(|&block| &values[block * len..][..len]).copied().collect();
    in_order(shape, rows, numbers, values)
}

/// Blocks whose rows ascend.
fn in_order<S: Stored>(
    shape: [usize; 2],
    mut rows: Vec<Gid>,
    columns: Vec<Lid>,
    values: Vec<S>,
) -> Result<(IndexMap, Blocks<S>)> {
    let mut starts = vec![0];
    starts.extend(rows.chunk_by(|a, b| a == b).scan(0, |end, row| {
        *end += row.len();
        Some(*end)
    }));
    rows.dedup();
    Ok((IndexMap::new(rows)?, Blocks::new(shape, starts, columns, values)))
}

impl<S: Stored> LinearOperator<f64> for ColumnBlockMatrix<S> {
    fn domain(&self) -> &Layout {
        &self.domain
    }

    fn range(&self) -> &Layout {
        &self.range
    }

    /// NaN everywhere if the operand holds an infinity or a NaN.
    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> Result<()> {
        let _event = self.event("MatMult");
        let size = x.norm_inf();
        if !size.is_finite() {
            y.fill(f64::NAN);
            return Ok(());
        }
        let scale = scaled(1.0, exponent(size));
        if self.alone {
            self.blocks.multiply(x.owned(), &self.rounding, scale, y.owned_mut());
            return Ok(());
        }
        let mut sums = self.sums.borrow_mut();
        self.blocks.multiply(x.owned(), &self.rounding, scale, &mut sums);
        y.fill(0.0);
        self.plan.start_export(&sums, self.blocks.shape[0]).finish(Combine::Add, y.owned_mut());
        Ok(())
    }
}

/// The same bits on any number of ranks.
impl<S: Stored> AdjointOperator<f64> for ColumnBlockMatrix<S> {
    fn compute_adjoint(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> Result<()> {
        let _event = self.event("MatMultTranspose");
        y.fill(0.0);
        if self.alone {
            self.blocks.multiply_transposed(x.owned(), y.owned_mut());
            return Ok(());
        }
        let x = self.plan.start_import(x.owned(), self.blocks.shape[0]).finish();
        self.blocks.multiply_transposed(&x, y.owned_mut());
        Ok(())
    }
}
