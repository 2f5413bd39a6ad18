//! LU factorization of a square matrix.

use std::ffi::c_int;

use ndarray::{Array2, ArrayView2};

use crate::dense::{identity, matrix, require_columns, square_entries};
use crate::error::{Error, Result};
use crate::lapack::Info;
use crate::scalar::{Real, Scalar};

/// `P A = L U` with partial pivoting (LAPACK `getrf`).
#[derive(Clone, Debug)]
pub struct Lu<T> {
    n: usize,
    factors: Vec<T>,
    /// One-based: row `i` changed places with row `pivots[i] - 1`.
    pivots: Vec<c_int>,
}

impl<T: Scalar> Lu<T> {
    /// Factors a square matrix.
    ///
    /// # Errors
    /// [`Error::Singular`], naming the first zero pivot; [`Error::Shape`] if the matrix is not
    /// square; [`Error::NotFinite`].
    pub fn factor(a: ArrayView2<'_, T>) -> Result<Lu<T>> {
        let operation = "LU factorization";
        let (n, mut factors) = square_entries(operation, a)?;
        let mut pivots = vec![0; n];
        if n > 0 {
            let singular = |Info(at)| Error::Singular { operation, row: at as u64 - 1 };
            T::getrf(n, &mut factors, &mut pivots).map_err(singular)?;
        }
        Ok(Lu { n, factors, pivots })
    }

    /// Number of rows.
    pub fn order(&self) -> usize {
        self.n
    }

    /// Replaces right-hand sides, column after column, by the solutions of `A x = b`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `b` is not whole columns.
    pub fn solve(&self, b: &mut [T]) -> Result<()> {
        require_columns("LU solve", self.n, b.len())?;
        if !b.is_empty() {
            T::getrs(self.n, &self.factors, &self.pivots, b);
        }
        Ok(())
    }

    /// The inverse matrix.
    pub fn inverse(&self) -> Array2<T> {
        let mut inverse = identity(self.n);
        self.solve(&mut inverse).expect("invariant: as many rows as columns");
        matrix(self.n, self.n, inverse)
    }

    /// The determinant as a number of absolute value one (a sign, if real) and the natural
    /// logarithm of its absolute value, which neither overflows nor underflows.
    pub fn determinant(&self) -> (T, f64) {
        let mut phase = T::ONE;
        let mut log = 0.0;
        for ((&pivot, &swapped), row) in self.factors.iter().step_by(self.n + 1).zip(&self.pivots).zip(1..) {
            let size = pivot.abs();
            phase *= pivot.scale(T::Real::ONE / size);
            if swapped != row {
                phase = -phase;
            }
            log += size.to_f64().ln();
        }
        (phase, log)
    }
}
