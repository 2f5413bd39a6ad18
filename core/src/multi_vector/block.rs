//! Products of tall matrices with small ones, and sums over rows.
//!
//! BLAS-3 kernels choose their order of summation by the number of rows at hand, so the last bits of
//! a product change with the number of ranks. The default here therefore is a kernel of our own that
//! sums in one order, a cache block of rows at a time; [`Reduction::Fast`] asks for BLAS.

use ndarray::{Array2, ArrayView2, ShapeBuilder};

use crate::blas::MAX_DIMENSION;
use crate::comm::disagreement::Disagreement;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::multi_vector::MultiVector;
use crate::powers_of_two::inverse_power_of_two;
use crate::profile::entrywise;
use crate::reduce::{Form, Reduction, Summation, add_ranks, dot_sums, gram_sums, real_sums};
use crate::scalar::{Real, Scalar};
use crate::scaling::SAFE_SQUARES;
use crate::simd;
use crate::vector::{abs_sqr, larger, largest_of};

/// Rows that are handled at once, so that a piece of each column stays in cache.
pub(super) const ROWS_AT_ONCE: usize = 512;

impl<T: Scalar> MultiVector<T> {
    /// Computes `self = alpha x b + beta self`, for a small matrix `b` that every rank gives alike, one row
    /// for each column of `x` and one column for each of `self`. With `beta` zero the old entries do
    /// not count, NaN included.
    ///
    /// Reproducible: every entry is summed in the order of the columns of `x`. Fast: one `gemm`.
    /// No communication.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], [`Error::Shape`], or, for the fast product,
    /// [`Error::TooLarge`] above 2^31 - 1 rows on a rank.
    pub fn multiply_add(
        &mut self,
        alpha: T,
        x: &MultiVector<T>,
        b: ArrayView2<'_, T>,
        beta: T,
        reduction: Reduction,
    ) -> Result<()> {
        let operation = "block product";
        self.layout.require_same(&x.layout, operation)?;
        require_shape(operation, b.dim(), (x.columns, self.columns))?;
        let (products, moved) = (x.columns * self.columns, x.columns + self.columns);
        let _event = entrywise::<T>("MVMult", self.layout.local_len(), products, products, moved);
        if reduction == Reduction::Fast {
            require_blas_size(&self.layout)?;
            let shape = [self.layout.local_len(), self.columns, x.columns];
            let transposed = b.reversed_axes();
            let by_columns = transposed.as_standard_layout();
            let b = by_columns.as_slice().expect("invariant: the standard layout is one slice");
            T::gemm(false, shape, alpha, &x.owned, b, beta, &mut self.owned);
            return Ok(());
        }
        let mut sums = [T::ZERO; ROWS_AT_ONCE];
        let rows = self.layout.local_len();
        for start in (0..rows).step_by(ROWS_AT_ONCE) {
            let len = ROWS_AT_ONCE.min(rows - start);
            for (column, factors) in b.columns().into_iter().enumerate() {
                let sums = &mut sums[..len];
                sums.fill(T::ZERO);
                for (&factor, x) in factors.iter().zip(x.owned.chunks_exact(rows)) {
                    simd::dispatch(|| sums.iter_mut().zip(&x[start..]).for_each(|(sum, &x)| *sum += x * factor));
                }
                let ys = &mut self.column_mut(column)[start..][..len];
                if beta == T::ZERO {
                    ys.iter_mut().zip(sums).for_each(|(y, sum)| *y = alpha * *sum);
                } else {
                    ys.iter_mut().zip(sums).for_each(|(y, sum)| *y = alpha * *sum + beta * *y);
                }
            }
        }
        Ok(())
    }

    /// Computes the matrix of inner products `self^H y`, on every rank: entry `(i, j)` is the inner product
    /// of column `i` of `self` and column `j` of `y`.
    ///
    /// # Collective
    /// One reduction of as many sums as there are entries. The reproducible sums are inner
    /// products column by column, bound by cache; the fast ones are a `gemm`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], [`Error::RanksDisagree`] if the ranks have different numbers of columns, or, for the
    /// fast product, [`Error::TooLarge`] above 2^31 - 1 rows on a rank.
    pub fn gram(&self, y: &MultiVector<T>, reduction: Reduction) -> Result<Array2<T>> {
        self.layout.require_same(&y.layout, "Gram matrix")?;
        let mut sums = vec![T::ZERO; self.columns * y.columns];
        self.gram_sums(y, reduction, &mut sums)?;
        let shape = (self.columns, y.columns).f();
        Ok(Array2::from_shape_vec(shape, sums).expect("invariant: a sum for each entry"))
    }

    /// Computes the entries of [`MultiVector::gram`], column after column.
    fn gram_sums(&self, y: &MultiVector<T>, reduction: Reduction, sums: &mut [T]) -> Result<()> {
        let differs = |differ: Disagreement| {
            let call = format_args!("MultiVector::gram of {} and {} columns", self.columns, y.columns);
            differ.error(self.comm(), &call)
        };
        let rows = self.layout.local_len();
        let (products, moved) = (self.columns * y.columns, self.columns + y.columns);
        let _event = entrywise::<T>("MVDot", rows, products, products, moved);
        if reduction == Reduction::Fast {
            require_blas_size(&self.layout)?;
            T::gemm(true, [self.columns, y.columns, rows], T::ONE, &self.owned, &y.owned, T::ZERO, sums);
            return add_ranks(self.comm(), sums).map_err(differs);
        }
        gram_sums(&self.layout, [&self.owned, &y.owned], sums).map_err(differs)
    }

    /// Computes the inner products of columns, in double precision: `out[j]` is that of column `j` of `self` and
    /// column `j` of `y`.
    ///
    /// # Collective
    /// One reduction. All ranks give the same number of riders.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], [`Error::Shape`] if the numbers of columns or of sums differ, or
    /// [`Error::RanksDisagree`] if they differ between the ranks.
    pub fn column_dots<'r>(
        &self,
        y: &MultiVector<T>,
        summation: impl Into<Summation<'r>>,
        out: &mut [T::Double],
    ) -> Result<()> {
        self.require_like(y, "column dots")?;
        self.require_columns(out.len(), "column dots")?;
        let _event = entrywise::<T>("MVDot", self.layout.local_len(), out.len(), out.len(), 2 * out.len());
        let columns = |j| [self.column(j), y.column(j)];
        let summation = summation.into();
        let count = summation.riders();
        dot_sums(&self.layout, summation, Form::Conjugated, out, columns).map_err(|differ| {
            let call = format_args!("MultiVector::column_dots of {} columns, {count} riders", self.columns);
            differ.error(self.comm(), &call)
        })
    }

    /// Computes the Euclidean norms of the columns, in double precision, with the bits of
    /// [`Vector::norm2`](crate::Vector::norm2): columns whose squares leave the range of double precision are scaled
    /// by a power of two.
    ///
    /// # Collective
    /// One reduction; one more if any column is zero or needs scaling, and one for each that needs it.
    ///
    /// # Errors
    /// [`Error::Shape`] if `out` has not one entry for each column, or [`Error::RanksDisagree`] if the ranks
    /// have different numbers of columns.
    pub fn column_norms(&self, reduction: Reduction, out: &mut [f64]) -> Result<()> {
        self.require_columns(out.len(), "column norms")?;
        let _event = entrywise::<T>("MVDot", self.layout.local_len(), out.len(), out.len(), out.len());
        let differs = |differ: Disagreement| {
            differ.error(self.comm(), &format_args!("MultiVector::column_norms of {} columns", self.columns))
        };
        real_sums(&self.layout, reduction, out, |j| self.column(j), |x| abs_sqr(x, 1.0)).map_err(differs)?;
        if out.iter().all(|square| SAFE_SQUARES.contains(square)) {
            out.iter_mut().for_each(|norm| *norm = norm.sqrt());
            return Ok(());
        }
        let largest = self.largest_of_columns();
        for (j, (norm, largest)) in out.iter_mut().zip(largest).enumerate() {
            *norm = if SAFE_SQUARES.contains(norm) {
                norm.sqrt()
            } else if largest == 0.0 || !largest.is_finite() {
                largest
            } else {
                let (scale, mut square) = (inverse_power_of_two(largest), [0.0]);
                real_sums(&self.layout, reduction, &mut square, |_| self.column(j), |x| abs_sqr(x, scale))
                    .map_err(differs)?;
                square[0].sqrt() / scale
            };
        }
        Ok(())
    }

    /// Returns the largest absolute value of each column over all ranks; NaN if any entry is.
    ///
    /// # Collective
    fn largest_of_columns(&self) -> Vec<f64> {
        let sizes = |j| self.column(j).iter().map(|entry| entry.abs().to_f64());
        let mut largest: Vec<[f64; 2]> = (0..self.columns).map(|j| sizes(j).fold([0.0; 2], larger)).collect();
        self.comm().all_reduce_max(largest.as_flattened_mut());
        largest.into_iter().map(largest_of).collect()
    }
}

/// Refuses local blocks that BLAS and LAPACK cannot count, on all ranks alike.
pub(super) fn require_blas_size(layout: &Layout) -> Result<()> {
    let size = layout.longest();
    if size <= MAX_DIMENSION {
        return Ok(());
    }
    Err(Error::TooLarge { what: "rows of a dense block", size, limit: MAX_DIMENSION })
}

fn require_shape(operation: &'static str, found: (usize, usize), expected: (usize, usize)) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let wide = |(rows, columns): (usize, usize)| (rows as u64, columns as u64);
    Err(Error::Shape { operation, expected: wide(expected), found: wide(found) })
}
