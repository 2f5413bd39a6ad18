//! Many small square matrices of one order, factored and solved together.
//!
//! Blocks follow each other in memory, each by columns. Orders 1 to 4 have unrolled kernels; larger
//! ones run the same code with loops. A batch is the diagonal blocks of one matrix, and that is how
//! rows are counted in errors.

use std::collections::BTreeMap;

use crate::dense::small::{self, unrolled};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::scaling::{Equilibration, bring_near_one};
use crate::simd;

/// Square blocks of one order: the pixels of a map, the diagonal of a block matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct SmallBlocks<T> {
    order: usize,
    entries: Vec<T>,
}

impl<T: Scalar> SmallBlocks<T> {
    /// Creates `count` blocks of zeros.
    pub fn zeros(order: usize, count: usize) -> SmallBlocks<T> {
        SmallBlocks { order, entries: vec![T::ZERO; order * order * count] }
    }

    /// Creates blocks from a function of block, row and column.
    pub fn from_fn(order: usize, count: usize, mut entry: impl FnMut(usize, usize, usize) -> T) -> SmallBlocks<T> {
        let places = (0..count).flat_map(|b| (0..order).flat_map(move |j| (0..order).map(move |i| (b, i, j))));
        SmallBlocks { order, entries: places.map(|(block, i, j)| entry(block, i, j)).collect() }
    }

    /// Creates blocks from all entries, block after block, each by columns.
    ///
    /// # Errors
    /// [`Error::Shape`] if they are not whole blocks.
    pub fn from_entries(order: usize, entries: Vec<T>) -> Result<SmallBlocks<T>> {
        let len = order * order;
        if entries.is_empty() || (len > 0 && entries.len().is_multiple_of(len)) {
            return Ok(SmallBlocks { order, entries });
        }
        let (expected, found) = ((len as u64, entries.len().div_ceil(len.max(1)) as u64), (entries.len() as u64, 1));
        Err(Error::Shape { operation: "entries of small blocks", expected, found })
    }

    /// Returns the rows of a block.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Returns the number of blocks; those of order zero do not count.
    pub fn len(&self) -> usize {
        self.entries.len() / (self.order * self.order).max(1)
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns all entries, block after block, each by columns.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// Returns all entries for modification.
    pub fn entries_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }

    /// Returns one block, by columns.
    ///
    /// # Panics
    /// If there is no such block, as indexing a slice does.
    pub fn block(&self, block: usize) -> &[T] {
        let len = self.order * self.order;
        &self.entries[block * len..][..len]
    }

    /// Returns one block, by columns, for modification.
    ///
    /// # Panics
    /// If there is no such block, as indexing a slice does.
    pub fn block_mut(&mut self, block: usize) -> &mut [T] {
        let len = self.order * self.order;
        &mut self.entries[block * len..][..len]
    }

    /// Computes `y = A x`, block by block. Every row is summed in ascending columns.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if a vector has not one entry for each row.
    pub fn multiply(&self, x: &[T], y: &mut [T]) -> Result<()> {
        self.require_rows("operand of small blocks", x.len())?;
        self.require_rows("result of small blocks", y.len())?;
        simd::dispatch(
            #[inline(always)]
            || unrolled!(self.order, |order| multiply_blocks(order, &self.entries, x, y)),
        );
        Ok(())
    }

    /// Computes `y = A^H x`, block by block. Every row of the adjoint is summed in ascending columns.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if a vector has not one entry for each row.
    pub fn multiply_adjoint(&self, x: &[T], y: &mut [T]) -> Result<()> {
        self.require_rows("operand of small blocks", x.len())?;
        self.require_rows("result of small blocks", y.len())?;
        let n = self.order.max(1);
        for ((block, x), y) in self.entries.chunks_exact(n * n).zip(x.chunks_exact(n)).zip(y.chunks_exact_mut(n)) {
            for (y, column) in y.iter_mut().zip(block.chunks_exact(n)) {
                *y = column.iter().zip(x).fold(T::ZERO, |sum, (a, &x)| sum + a.conj() * x);
            }
        }
        Ok(())
    }

    fn require_rows(&self, what: &'static str, found: usize) -> Result<()> {
        let expected = self.len() * self.order;
        if found == expected { Ok(()) } else { Err(Error::LocalLength { what, expected, found }) }
    }

    /// Computes the Cholesky factors of Hermitian positive definite blocks, whose lower triangles are read.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`], naming the first row without a positive pivot.
    pub fn cholesky(&self) -> Result<BatchedCholesky<T>> {
        let mut factors = self.clone();
        let failed = simd::dispatch(
            #[inline(always)]
            || {
                unrolled!(self.order, |order| first_failure(self.order, &mut factors.entries, |_, block| {
                    small::factor_cholesky(order, block)
                }))
            },
        );
        let operation = "batched Cholesky factorization";
        match failed {
            None => Ok(BatchedCholesky { factors }),
            Some(row) => Err(Error::NotPositiveDefinite { operation, row: row as u64 }),
        }
    }

    /// Computes the LU factors of any blocks that have inverses.
    ///
    /// # Errors
    /// [`Error::Singular`], naming the first row whose pivot is zero.
    pub fn lu(&self) -> Result<BatchedLu<T>> {
        let n = self.order;
        let mut factors = self.clone();
        let mut pivots = vec![0; self.len() * n];
        let mut scalings = BTreeMap::new();
        let failed = simd::dispatch(
            #[inline(always)]
            || {
                unrolled!(n, |order| first_failure(n, &mut factors.entries, |at, block| {
                    small::equilibrate(order, block).into_iter().for_each(|scaling| _ = scalings.insert(at, scaling));
                    small::factor_lu(order, block, &mut pivots[at * n..][..n])
                }))
            },
        );
        match failed {
            None => Ok(BatchedLu { factors, pivots, scalings }),
            Some(row) => Err(Error::Singular { operation: "batched LU factorization", row: row as u64 }),
        }
    }

    /// Computes the smallest over largest eigenvalue of each block, zero if it is not positive definite; see
    /// [`small::hermitian_rcond`].
    pub fn hermitian_rcond(&self) -> Vec<T::Real> {
        let mut work = vec![T::ZERO; self.order * self.order];
        self.each(|block| {
            work.copy_from_slice(block);
            unrolled!(self.order, |order| small::rcond_jacobi(order, &mut work))
        })
    }

    /// Computes the reciprocal condition number of each block in the 1-norm, zero if it is singular.
    pub fn rcond(&self) -> Vec<T::Real> {
        let mut lu = vec![T::ZERO; self.order * self.order];
        let mut inverse = lu.clone();
        let mut pivots = vec![0; self.order];
        let mut near_one = lu.clone();
        self.each(|block| {
            near_one.copy_from_slice(block);
            bring_near_one(&mut near_one);
            lu.copy_from_slice(&near_one);
            unrolled!(self.order, |order| {
                if small::factor_lu(order, &mut lu, &mut pivots).is_err() {
                    return T::Real::default();
                }
                small::invert_lu(order, &lu, &pivots, &mut inverse);
                small::rcond_of_inverse(order, &near_one, &inverse)
            })
        })
    }

    fn each<R>(&self, of: impl FnMut(&[T]) -> R) -> Vec<R> {
        self.entries.chunks_exact((self.order * self.order).max(1)).map(of).collect()
    }
}

/// Multiplies diagonal blocks, which are `entries`, by `x`.
#[inline(always)]
fn multiply_blocks<T: Scalar>(order: impl small::Order, entries: &[T], x: &[T], y: &mut [T]) {
    let n = order.get().max(1);
    for ((block, x), y) in entries.chunks_exact(n * n).zip(x.chunks_exact(n)).zip(y.chunks_exact_mut(n)) {
        y.fill(T::ZERO);
        for (column, &x) in block.chunks_exact(n).zip(x) {
            y.iter_mut().zip(column).for_each(|(y, &a)| *y += a * x);
        }
    }
}

/// Factors block after block; the row of the batch at which one fails.
#[inline(always)]
fn first_failure<T: Scalar>(
    n: usize,
    entries: &mut [T],
    mut factor: impl FnMut(usize, &mut [T]) -> Result<(), usize>,
) -> Option<usize> {
    let mut blocks = entries.chunks_exact_mut((n * n).max(1)).enumerate();
    blocks.find_map(|(at, block)| factor(at, block).err().map(|row| at * n + row))
}

/// Cholesky factors of [`SmallBlocks`].
#[derive(Clone, Debug)]
pub struct BatchedCholesky<T> {
    factors: SmallBlocks<T>,
}

impl<T: Scalar> BatchedCholesky<T> {
    /// Replaces a right-hand side by the solution, block by block.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if it has not one entry for each row.
    pub fn solve(&self, b: &mut [T]) -> Result<()> {
        let SmallBlocks { order: n, entries } = &self.factors;
        self.factors.require_rows("right-hand side of small blocks", b.len())?;
        let blocks = entries.chunks_exact((n * n).max(1)).zip(b.chunks_exact_mut((*n).max(1)));
        simd::dispatch(
            #[inline(always)]
            || unrolled!(*n, |order| blocks.for_each(|(l, b)| small::solve_cholesky(order, l, b))),
        );
        Ok(())
    }

    /// Computes the inverse blocks, exactly Hermitian.
    pub fn inverse(&self) -> SmallBlocks<T> {
        let SmallBlocks { order: n, entries } = &self.factors;
        let mut inverse = SmallBlocks::zeros(*n, self.factors.len());
        let len = (n * n).max(1);
        let blocks = entries.chunks_exact(len).zip(inverse.entries.chunks_exact_mut(len));
        simd::dispatch(
            #[inline(always)]
            || unrolled!(*n, |order| blocks.for_each(|(l, inverse)| small::invert_cholesky(order, l, inverse))),
        );
        inverse
    }
}

/// LU factors of [`SmallBlocks`].
#[derive(Clone, Debug)]
pub struct BatchedLu<T> {
    factors: SmallBlocks<T>,
    pivots: Vec<usize>,
    /// Of blocks whose entries are far from one, by their place.
    scalings: BTreeMap<usize, Equilibration>,
}

impl<T: Scalar> BatchedLu<T> {
    /// Replaces a right-hand side by the solution, block by block.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if it has not one entry for each row.
    pub fn solve(&self, b: &mut [T]) -> Result<()> {
        self.factors.require_rows("right-hand side of small blocks", b.len())?;
        let columns = b.chunks_exact_mut(self.factors.order.max(1));
        let blocks = self.blocks().zip(columns);
        simd::dispatch(
            #[inline(always)]
            || {
                unrolled!(self.factors.order, |order| {
                    blocks.for_each(|((lu, pivots, scaling), b)| {
                        through(scaling, b, |b| small::solve_lu(order, lu, pivots, b));
                    });
                });
            },
        );
        Ok(())
    }

    /// Computes the inverse blocks.
    pub fn inverse(&self) -> SmallBlocks<T> {
        let n = self.factors.order;
        let mut inverse = SmallBlocks::zeros(n, self.factors.len());
        let blocks = self.blocks().zip(inverse.entries.chunks_exact_mut((n * n).max(1)));
        simd::dispatch(
            #[inline(always)]
            || {
                unrolled!(n, |order| {
                    blocks.for_each(|((lu, pivots, scaling), inverse)| {
                        let solve = |x: &mut [T]| small::solve_lu(order, lu, pivots, x);
                        small::unit_columns(n, inverse, |x| through(scaling, x, solve));
                    });
                });
            },
        );
        inverse
    }

    /// Factors, pivots and scaling of each block.
    fn blocks(&self) -> impl Iterator<Item = (&[T], &[usize], Option<&Equilibration>)> {
        let n = self.factors.order.max(1);
        let factors = self.factors.entries.chunks_exact(n * n).zip(self.pivots.chunks_exact(n)).enumerate();
        factors.map(|(at, (lu, pivots))| (lu, pivots, self.scalings.get(&at)))
    }
}

/// Solves with a block that may have been scaled.
#[inline(always)]
fn through<T: Scalar>(scaling: Option<&Equilibration>, x: &mut [T], solve: impl FnOnce(&mut [T])) {
    match scaling {
        None => solve(x),
        Some(scaling) => scaling.solve(false, x, solve),
    }
}
