//! Hermitian band matrices and their Cholesky factorization.
//!
//! Storage is LAPACK's lower band: column `j` holds the diagonal entry and the `width` below it, so
//! that the matrix of a stationary process of `n` samples takes `n (width + 1)` numbers and its
//! factorization `n width^2` operations. A stationary process has a Toeplitz matrix, given by its
//! autocovariances alone ([`HermitianBanded::toeplitz`]).

use crate::blas::MAX_DIMENSION;
use crate::dense::cholesky::not_positive;
use crate::dense::require_columns;
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::simd;

/// A Hermitian (real: symmetric) matrix with zeros further than `width` from the diagonal.
#[derive(Clone, Debug, PartialEq)]
pub struct HermitianBanded<T> {
    width: usize,
    n: usize,
    /// Column by column, `width + 1` each: the diagonal entry and those below it. Places past the
    /// last row are zero.
    band: Vec<T>,
}

impl<T: Scalar> HermitianBanded<T> {
    /// Creates a matrix from a function of the row and column of each entry in and below the diagonal, `column <=
    /// row <= column + width`; the imaginary part of the diagonal is dropped.
    pub fn from_fn(n: usize, width: usize, mut entry: impl FnMut(usize, usize) -> T) -> HermitianBanded<T> {
        let mut band = vec![T::ZERO; n * (width + 1)];
        for (j, column) in band.chunks_exact_mut(width + 1).enumerate() {
            column.iter_mut().zip(j..n).for_each(|(slot, i)| *slot = entry(i, j));
            column[0] = T::from_real(column[0].re());
        }
        HermitianBanded { width, n, band }
    }

    /// Creates the matrix with `first_column[k]` in all places `k` below the diagonal. An empty list gives
    /// zeros.
    pub fn toeplitz(n: usize, first_column: &[T]) -> HermitianBanded<T> {
        let width = first_column.len().saturating_sub(1);
        HermitianBanded::from_fn(n, width, |i, j| first_column.get(i - j).copied().unwrap_or(T::ZERO))
    }

    /// Returns the number of rows.
    pub fn order(&self) -> usize {
        self.n
    }

    /// Returns the number of subdiagonals.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the entry at a row and a column; zero outside the band.
    ///
    /// # Panics
    /// If there is no such row or column, as indexing a slice does.
    pub fn get(&self, row: usize, column: usize) -> T {
        assert!(row.max(column) < self.n, "entry ({row}, {column}) of {} rows", self.n);
        let distance = row.abs_diff(column);
        if distance > self.width {
            return T::ZERO;
        }
        let entry = self.band[row.min(column) * (self.width + 1) + distance];
        if row < column { entry.conj() } else { entry }
    }

    /// Adds one number to each diagonal entry, as a weight for each sample does to a prior.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if there is not one number for each row.
    pub fn add_to_diagonal(&mut self, numbers: &[T::Real]) -> Result<()> {
        if numbers.len() != self.n {
            let what = "numbers for the diagonal of a band matrix";
            return Err(Error::LocalLength { what, expected: self.n, found: numbers.len() });
        }
        for (column, &number) in self.band.chunks_exact_mut(self.width + 1).zip(numbers) {
            column[0] += T::from_real(number);
        }
        Ok(())
    }

    /// Computes `y = A x`. Every row is summed in ascending columns.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if a vector has another length.
    pub fn multiply(&self, x: &[T], y: &mut [T]) -> Result<()> {
        for (what, found) in [("operand of a band matrix", x.len()), ("result of a band matrix", y.len())] {
            if found != self.n {
                return Err(Error::LocalLength { what, expected: self.n, found });
            }
        }
        // By columns: row `i` gets its products left of the diagonal while columns before `i` are
        // handled, and the rest when column `i` is.
        y.fill(T::ZERO);
        for (j, column) in self.band.chunks_exact(self.width + 1).enumerate() {
            let below = self.width.min(self.n - 1 - j);
            let (done, rest) = y[j..][..=below].split_first_mut().expect("invariant: the diagonal is there");
            *done += column[0] * x[j];
            for ((y, &entry), &x_below) in rest.iter_mut().zip(&column[1..]).zip(&x[j + 1..]) {
                *done += entry.conj() * x_below;
                *y += entry * x[j];
            }
        }
        Ok(())
    }
}

/// `A = L L^H` with L lower triangular and as narrow as A (LAPACK `pbtrf`).
#[derive(Clone, Debug)]
pub struct BandedCholesky<T> {
    width: usize,
    n: usize,
    factor: Vec<T>,
}

impl<T: Scalar> BandedCholesky<T> {
    /// Factors a band matrix.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`], naming the first row whose pivot is not positive;
    /// [`Error::NotFinite`]; [`Error::TooLarge`] above 2^31 - 1 rows.
    pub fn factor(a: &HermitianBanded<T>) -> Result<BandedCholesky<T>> {
        let operation = "banded Cholesky factorization";
        let (n, width) = (a.n, a.width);
        let size = n.max(width + 1) as u64;
        if size > MAX_DIMENSION {
            return Err(Error::TooLarge { what: "rows of a band matrix", size, limit: MAX_DIMENSION });
        }
        if let Some(at) = a.band.iter().position(|entry| !entry.is_finite()) {
            let (column, below) = (at / (width + 1), at % (width + 1));
            return Err(Error::NotFinite { operation, row: (column + below) as u64, column: column as u64 });
        }
        let mut factor = a.band.clone();
        if n > 0 {
            T::pbtrf(width, &mut factor).map_err(|info| not_positive(operation, &info))?;
        }
        Ok(BandedCholesky { width, n, factor })
    }

    /// Returns the number of rows.
    pub fn order(&self) -> usize {
        self.n
    }

    /// Replaces right-hand sides, column after column, by the solutions of `A x = b`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `b` is not whole columns.
    pub fn solve(&self, b: &mut [T]) -> Result<()> {
        require_columns("banded Cholesky solve", self.n, b.len())?;
        if !b.is_empty() {
            T::pbtrs(self.width, &self.factor, b);
        }
        Ok(())
    }

    /// Replaces right-hand sides, of which `b` has the first entries of all, then the second and so on, by the solutions
    /// of `A x = b`. Several take little longer than one. The bits of one do not depend on the others.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if `b` has another number of rows.
    pub fn solve_beside<const K: usize>(&self, b: &mut [[T; K]]) -> Result<()> {
        if b.len() != self.n {
            return Err(Error::LocalLength { what: "rows beside each other", expected: self.n, found: b.len() });
        }
        simd::dispatch(
            #[inline(always)]
            || {
                for j in 0..self.n {
                    let column = self.column(j);
                    let (pivot, below) = b[j..][..column.len()].split_first_mut().expect("invariant: the diagonal");
                    pivot.iter_mut().for_each(|entry| *entry /= column[0]);
                    for (row, &factor) in below.iter_mut().zip(&column[1..]) {
                        row.iter_mut().zip(&*pivot).for_each(|(entry, &solved)| *entry -= factor * solved);
                    }
                }
                for j in (0..self.n).rev() {
                    let column = self.column(j);
                    let (pivot, below) = b[j..][..column.len()].split_first_mut().expect("invariant: the diagonal");
                    for (row, &factor) in below.iter().zip(&column[1..]) {
                        pivot.iter_mut().zip(row).for_each(|(entry, &solved)| *entry -= factor.conj() * solved);
                    }
                    pivot.iter_mut().for_each(|entry| *entry /= column[0]);
                }
            },
        );
        Ok(())
    }

    /// The diagonal entry of a column of the factor, and those below it.
    fn column(&self, j: usize) -> &[T] {
        &self.factor[j * (self.width + 1)..][..(self.width + 1).min(self.n - j)]
    }

    /// Computes the natural logarithm of the determinant, which is positive.
    pub fn log_determinant(&self) -> f64 {
        self.factor.iter().step_by(self.width + 1).map(|pivot| 2.0 * pivot.re().to_f64().ln()).sum()
    }
}
