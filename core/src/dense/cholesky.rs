//! Cholesky factorization of a Hermitian positive definite matrix.

use ndarray::{Array2, ArrayView2};

use crate::dense::{identity, matrix, require_columns, square_entries};
use crate::error::{Error, Result};
use crate::lapack::Info;
use crate::scalar::{Real, Scalar};

/// `A = L L^H` with L lower triangular (LAPACK `potrf`).
#[derive(Clone, Debug)]
pub struct Cholesky<T> {
    n: usize,
    /// L in and below the diagonal; what is above is not used.
    factor: Vec<T>,
}

impl<T: Scalar> Cholesky<T> {
    /// Factors a matrix of which the lower triangle is read.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`], naming the first row whose pivot is not positive;
    /// [`Error::Shape`] if the matrix is not square; [`Error::NotFinite`].
    pub fn factor(a: ArrayView2<'_, T>) -> Result<Cholesky<T>> {
        let operation = "Cholesky factorization";
        let (n, mut factor) = square_entries(operation, a)?;
        if n > 0 {
            T::potrf(n, &mut factor).map_err(|info| not_positive(operation, &info))?;
        }
        Ok(Cholesky { n, factor })
    }

    /// Returns the number of rows.
    pub fn order(&self) -> usize {
        self.n
    }

    /// Returns the lower triangle L.
    pub fn l(&self) -> Array2<T> {
        Array2::from_shape_fn((self.n, self.n), |(i, j)| if i < j { T::ZERO } else { self.factor[j * self.n + i] })
    }

    /// Replaces right-hand sides, column after column, by the solutions of `A x = b`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `b` is not whole columns.
    pub fn solve(&self, b: &mut [T]) -> Result<()> {
        require_columns("Cholesky solve", self.n, b.len())?;
        if !b.is_empty() {
            T::potrs(self.n, &self.factor, b);
        }
        Ok(())
    }

    /// Computes the inverse matrix.
    pub fn inverse(&self) -> Array2<T> {
        let mut inverse = identity(self.n);
        self.solve(&mut inverse).expect("invariant: as many rows as columns");
        matrix(self.n, self.n, inverse)
    }

    /// Computes the natural logarithm of the determinant, which is positive.
    pub fn log_determinant(&self) -> f64 {
        self.factor.iter().step_by(self.n + 1).map(|pivot| 2.0 * pivot.re().to_f64().ln()).sum()
    }
}

/// Returns the failure of a Cholesky factorization.
pub(super) fn not_positive(operation: &'static str, &Info(at): &Info) -> Error {
    Error::NotPositiveDefinite { operation, row: at as u64 - 1 }
}
