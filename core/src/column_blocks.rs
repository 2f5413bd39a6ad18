//! `ColumnBlockMatrix`: a sparse matrix of small rectangular blocks that lie where their columns are owned.
//!
//! Made for matrices that sum up data where the data are. In map-making the pointing matrix of compressed
//! timelines, `P^T W F`, has a block of Stokes by one sums for each pixel that a baseline meets: baselines are where
//! their samples were read, and any rank can meet any pixel. A product and its adjoint read one copy of the blocks,
//! row by row, so that rows stream and columns stay in cache; with values in single precision a block of 3 by 1 takes
//! 16 bytes.
//!
//! A product adds over the ranks. So that its bits depend on neither their number nor their order, its terms are
//! cut to multiples of one power of two and added as 64-bit integers. The unit is 2^-60 times a bound of
//! every row's sum (the largest entry of the operand times the largest sum of magnitudes of a row), so that no sum
//! overflows, and a sum of n terms is off by at most n units. The adjoint product needs none of that: all
//! blocks of a column are on one rank, and are added by ascending rows.

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

/// Units of a sum in fixed point: its bound and the operand are each below twice the power of two of their
/// exponents, and a rounded bound may be passed by a little, so that sums stay below 2^63.
const BITS: i32 = 60;
/// Most rows, and columns, of a block.
const LARGEST: usize = 6;

/// A sparse matrix of blocks of up to 6 by 6 numbers, each stored by the owner of its columns, in `f32` or `f64`,
/// that multiplies vectors in double precision.
///
/// Block rows and block columns are numbered by two layouts; vectors live on these
/// [refined](Layout::refined) by the rows and columns of a block. A rank holds 4 bytes and the values of each block,
/// and 8 bytes for each block row that it has a block in.
pub struct ColumnBlockMatrix<S> {
    range: Layout,
    domain: Layout,
    blocks: Blocks<S>,
    rows: IndexMap,
    plan: ExchangePlan,
    /// Largest sum of magnitudes of a row.
    bound: f64,
    work: RefCell<Work>,
}

/// Buffers of a product.
#[derive(Default)]
struct Work {
    /// The operand in units of the sums.
    operand: Vec<f64>,
    /// Sums of this rank's blocks, and of all ranks' in the rows that it owns.
    sums: [Vec<i64>; 2],
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
        let comm = rows.comm();
        let [r, c] = shape;
        comm.compare(|| format!("blocks of a matrix by columns: {r} x {c}"));
        let gathered =
            check(rows, columns, shape).and_then(|()| gathered(rows, columns, shape, row_ids, column_ids, values));
        let layout = rows;
        let (rows, blocks) = comm.agree(gathered)?;
        let [range, domain] = [layout.refined(r)?, columns.refined(c)?];
        let plan = ExchangePlan::new(layout, &rows)?;
        let mut matrix = ColumnBlockMatrix { range, domain, blocks, rows, plan, bound: 0.0, work: RefCell::default() };
        matrix.bound = matrix.largest_row();
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

    /// Computes the largest sum of magnitudes of a row, over all ranks.
    ///
    /// # Collective
    fn largest_row(&self) -> f64 {
        let mut sums = vec![0.0; self.range.local_len()];
        self.plan.start_export(&self.blocks.magnitudes(), self.blocks.shape[0]).finish(Combine::Add, &mut sums);
        let mut largest = [sums.into_iter().fold(0.0, f64::max)];
        self.range.comm().all_reduce_max(&mut largest);
        largest[0]
    }

    fn event(&self, name: &'static str) -> Event {
        let (blocks, [r, c]) = (self.local_blocks(), self.blocks.shape);
        let vectors = self.plan.copies_len() * r + self.domain.local_len();
        let bytes = blocks * (4 + r * c * size_of::<S>()) + 8 * (vectors + self.plan.copies_len());
        profile::operation(name).flops((2 * blocks * r * c) as u64).bytes(bytes as u64)
    }
}

fn check(rows: &Layout, columns: &Layout, [r, c]: [usize; 2]) -> Result<()> {
    let operation = "matrix of blocks by columns";
    if rows.comm() != columns.comm() {
        let [left, right] = [rows, columns].map(|layout| layout.comm().name().to_owned());
        return Err(Error::CommMismatch { operation, left, right });
    }
    columns.require_contiguous(operation)?;
    if !(1..=LARGEST).contains(&r) || !(1..=LARGEST).contains(&c) {
        let expected = (r.clamp(1, LARGEST) as u64, c.clamp(1, LARGEST) as u64);
        return Err(Error::Shape { operation: "block of a matrix by columns", expected, found: (r as u64, c as u64) });
    }
    Ok(())
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
    for (what, expected, found) in [
        ("columns of the blocks of a matrix", count, column_ids.len()),
        ("values of the blocks of a matrix", count * len, values.len()),
    ] {
        if expected != found {
            return Err(Error::LocalLength { what, expected, found });
        }
    }
    let bound = rows.global_len();
    if let Some(&index) = row_ids.iter().find(|&&row| row >= bound) {
        return Err(Error::IndexOutOfRange { what: "row of a block", index, bound });
    }
    if let Some(at) = values.iter().position(|value| !value.widened().is_finite()) {
        let (block, part) = (at / len, at % len);
        let row = row_ids[block] * shape[0] as u64 + (part % shape[0]) as u64;
        let column = column_ids[block] * shape[1] as u64 + (part / shape[0]) as u64;
        return Err(Error::NotFinite { operation: "matrix of blocks by columns", row, column });
    }
    let number = |&column: &Gid| match columns.global_to_owned(column) {
        Some(number) => to_lid("block columns", number),
        None => Err(Error::ForeignColumn { column }),
    };
    let numbers = column_ids.iter().map(number).collect::<Result<Vec<_>>>()?;
    Ok(if row_ids.is_sorted() {
        in_order(shape, row_ids, numbers, values)?
    } else {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&block| row_ids[block]);
        let rows = order.iter().map(|&block| row_ids[block]).collect();
        let numbers = order.iter().map(|&block| numbers[block]).collect();
        let values = order.iter().flat_map(|&block| &values[block * len..][..len]).copied().collect();
        in_order(shape, rows, numbers, values)?
    })
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
    Ok((IndexMap::new(rows)?, Blocks { shape, starts, columns, values }))
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
        if size == 0.0 || self.bound == 0.0 || !size.is_finite() {
            y.fill(if size.is_finite() { 0.0 } else { f64::NAN });
            return Ok(());
        }
        // Units of the sums, as far as the operand can be counted in them.
        let bits = (BITS - exponent(self.bound) - exponent(size)).min(1022 - exponent(size));
        let Work { operand, sums: [mine, all] } = &mut *self.work.borrow_mut();
        operand.clear();
        operand.extend(x.owned().iter().map(|&x| scaled(x, bits)));
        mine.resize(self.plan.copies_len() * self.blocks.shape[0], 0);
        self.blocks.multiply(operand, mine);
        all.clear();
        all.resize(self.range.local_len(), 0);
        self.plan.start_export(mine, self.blocks.shape[0]).finish(Combine::Add, all);
        y.owned_mut().iter_mut().zip(all).for_each(|(y, &mut sum)| *y = scaled(sum as f64, -bits));
        Ok(())
    }
}

/// The same bits on any number of ranks.
impl<S: Stored> AdjointOperator<f64> for ColumnBlockMatrix<S> {
    fn compute_adjoint(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> Result<()> {
        let _event = self.event("MatMultTranspose");
        let x = self.plan.start_import(x.owned(), self.blocks.shape[0]).finish();
        y.fill(0.0);
        self.blocks.multiply_transposed(&x, y.owned_mut());
        Ok(())
    }
}
