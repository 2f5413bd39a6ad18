//! Block operators: a grid of operators between stacked vectors.
//!
//! A block vector is an ordinary [`Vector`] on a stacked layout, in which every rank stores its entries
//! of the first block, then of the second, and so on. So all that works on vectors, every solver
//! included, works on block vectors unchanged; callers that want a block by itself ask the
//! [`BlockLayout`] for its slice. Global numbers run through the first block whole, then through the
//! second, whatever the number of ranks: sums have the same bits, random entries are the same, and files
//! hold the blocks one after the other. The price: each block is copied when an operator of the grid
//! reads or writes it, which needs a vector of its own.

use std::cell::RefCell;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// Layouts stacked to one: how block vectors are spread over the ranks.
#[derive(Clone, Debug)]
pub struct BlockLayout {
    stacked: Layout,
    blocks: Vec<Layout>,
}

impl BlockLayout {
    /// Stacks layouts of one communicator. A block may be a stacked layout itself: its blocks then follow
    /// each other in the new one.
    ///
    /// # Errors
    /// [`Error::Shape`] without any, [`Error::LayoutMismatch`] if communicators differ, or
    /// [`Error::Offsets`] if the lengths add up to more than 64 bits; on all ranks alike.
    pub fn new(blocks: &[&Layout]) -> Result<BlockLayout> {
        let operation = "stacked layouts";
        let Some(first) = blocks.first() else {
            return Err(Error::Shape { operation, expected: (1, 1), found: (0, 1) });
        };
        if let Some(other) = blocks.iter().find(|block| block.comm() != first.comm()) {
            first.require_same(other, operation)?;
        }
        let stacked = Layout::stacked(first, &blocks[1..])?;
        Ok(BlockLayout { stacked, blocks: blocks.iter().map(|&block| block.clone()).collect() })
    }

    /// Returns the layout of block vectors.
    pub fn stacked(&self) -> &Layout {
        &self.stacked
    }

    /// Returns the layouts of the blocks.
    pub fn blocks(&self) -> &[Layout] {
        &self.blocks
    }

    /// Returns the owned entries of a block.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    ///
    /// # Panics
    /// If there is no such block, as indexing a slice does.
    pub fn block<'v, T: Scalar>(&self, x: &'v Vector<T>, block: usize) -> Result<&'v [T]> {
        self.stacked.require_same(x.layout(), "block of a vector")?;
        Ok(&x.owned()[self.span(block)])
    }

    /// Returns the owned entries of a block for modification.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    ///
    /// # Panics
    /// If there is no such block, as indexing a slice does.
    pub fn block_mut<'v, T: Scalar>(&self, x: &'v mut Vector<T>, block: usize) -> Result<&'v mut [T]> {
        self.stacked.require_same(x.layout(), "block of a vector")?;
        Ok(&mut x.owned_mut()[self.span(block)])
    }

    /// Joins vectors on the blocks to one vector.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are not as many vectors as blocks, or [`Error::LayoutMismatch`].
    pub fn join<T: Scalar>(&self, parts: &[&Vector<T>]) -> Result<Vector<T>> {
        let mut joined = Vector::zeros(&self.stacked);
        if parts.len() != self.blocks.len() {
            let (expected, found) = ((self.blocks.len() as u64, 1), (parts.len() as u64, 1));
            return Err(Error::Shape { operation: "join of blocks", expected, found });
        }
        for (block, part) in parts.iter().enumerate() {
            self.blocks[block].require_same(part.layout(), "join of blocks")?;
            joined.owned_mut()[self.span(block)].copy_from_slice(part.owned());
        }
        Ok(joined)
    }

    /// Splits a vector into vectors on the blocks.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn split<T: Scalar>(&self, x: &Vector<T>) -> Result<Vec<Vector<T>>> {
        let mut parts = self.vectors();
        for (block, part) in parts.iter_mut().enumerate() {
            part.owned_mut().copy_from_slice(self.block(x, block)?);
        }
        Ok(parts)
    }

    fn span(&self, block: usize) -> Range<usize> {
        let start = self.blocks[..block].iter().map(Layout::local_len).sum();
        start..start + self.blocks[block].local_len()
    }

    fn vectors<T: Scalar>(&self) -> Vec<Vector<T>> {
        self.blocks.iter().map(Vector::zeros).collect()
    }
}

/// A grid of operators as one operator between block vectors; `None` is a block of zeros.
///
/// With different kinds of operators in one grid `A` is `Box<dyn LinearOperator<T>>` or
/// `&dyn AdjointOperator<T>`.
pub struct BlockOperator<T, A> {
    domain: BlockLayout,
    range: BlockLayout,
    /// By block row.
    grid: Vec<Vec<Option<A>>>,
    work: RefCell<Work<T>>,
}

/// A vector on every block of the domain and the range, and one more on each of them.
struct Work<T> {
    domain: Vec<[Vector<T>; 2]>,
    range: Vec<[Vector<T>; 2]>,
}

impl<T: Scalar, A: LinearOperator<T>> BlockOperator<T, A> {
    /// Creates the operator of `grid`, given by block rows: one for each block of `range`, each with one
    /// place for each block of `domain`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the grid does not fit the blocks, or [`Error::LayoutMismatch`] if an
    /// operator does not fit its place.
    pub fn new(domain: &BlockLayout, range: &BlockLayout, grid: Vec<Vec<Option<A>>>) -> Result<BlockOperator<T, A>> {
        let operation = "grid of operators";
        let expected = (range.blocks.len() as u64, domain.blocks.len() as u64);
        let fits = |row: &&Vec<Option<A>>| row.len() == domain.blocks.len();
        if grid.len() != range.blocks.len() || !grid.iter().all(|row| fits(&row)) {
            let width = grid.iter().map(Vec::len).find(|&len| len != domain.blocks.len());
            let found = (grid.len() as u64, width.unwrap_or(domain.blocks.len()) as u64);
            return Err(Error::Shape { operation, expected, found });
        }
        for (row, row_layout) in grid.iter().zip(&range.blocks) {
            for (a, column_layout) in row.iter().zip(&domain.blocks) {
                let Some(a) = a else { continue };
                row_layout.require_same(a.range(), operation)?;
                column_layout.require_same(a.domain(), operation)?;
            }
        }
        let pairs = |layout: &BlockLayout| layout.vectors().into_iter().map(|v| [v.clone(), v]).collect();
        let work = RefCell::new(Work { domain: pairs(domain), range: pairs(range) });
        Ok(BlockOperator { domain: domain.clone(), range: range.clone(), grid, work })
    }

    /// Returns the blocks of vectors in the operator's domain.
    pub fn domain_blocks(&self) -> &BlockLayout {
        &self.domain
    }

    /// Returns the blocks of vectors in the operator's range.
    pub fn range_blocks(&self) -> &BlockLayout {
        &self.range
    }
}

/// Computes the blocks of `y` from those of `x`: the sum over `j` of what `multiply(i, j, x, y)`
/// gives, in ascending order; it says whether there is an operator at this place.
fn combine<T: Scalar>(
    [from, to]: [&BlockLayout; 2],
    [inputs, outputs]: [&mut [[Vector<T>; 2]]; 2],
    x: &Vector<T>,
    y: &mut Vector<T>,
    multiply: impl Fn(usize, usize, &Vector<T>, &mut Vector<T>) -> Result<bool>,
) -> Result<()> {
    for (j, [input, _]) in inputs.iter_mut().enumerate() {
        input.owned_mut().copy_from_slice(from.block(x, j)?);
    }
    for (i, [sum, term]) in outputs.iter_mut().enumerate() {
        sum.fill(T::ZERO);
        for (j, [input, _]) in inputs.iter().enumerate() {
            if multiply(i, j, input, term)? {
                sum.axpy(T::ONE, term)?;
            }
        }
        to.block_mut(y, i)?.copy_from_slice(sum.owned());
    }
    Ok(())
}

impl<T: Scalar, A: LinearOperator<T>> LinearOperator<T> for BlockOperator<T, A> {
    fn domain(&self) -> &Layout {
        &self.domain.stacked
    }

    fn range(&self) -> &Layout {
        &self.range.stacked
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let Work { domain, range } = &mut *self.work.borrow_mut();
        combine([&self.domain, &self.range], [domain, range], x, y, |i, j, x, y| match &self.grid[i][j] {
            Some(a) => a.compute(x, y).map(|()| true),
            None => Ok(false),
        })
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        if self.domain.blocks != self.range.blocks {
            return None;
        }
        let mut diagonal = Vector::zeros(&self.range.stacked);
        for (i, row) in self.grid.iter().enumerate() {
            if let Some(a) = &row[i] {
                diagonal.owned_mut()[self.range.span(i)].copy_from_slice(a.diagonal()?.owned());
            }
        }
        Some(diagonal)
    }
}

impl<T: Scalar, A: AdjointOperator<T>> AdjointOperator<T> for BlockOperator<T, A> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let Work { domain, range } = &mut *self.work.borrow_mut();
        combine([&self.range, &self.domain], [range, domain], x, y, |i, j, x, y| match &self.grid[j][i] {
            Some(a) => a.compute_adjoint(x, y).map(|()| true),
            None => Ok(false),
        })
    }
}
