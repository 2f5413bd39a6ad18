//! LU factorization of a square matrix.

use std::ffi::c_int;

use ndarray::{Array2, ArrayView2};

use crate::dense::{identity, matrix, require_columns, square_entries};
use crate::error::{Error, Result};
use crate::lapack::Info;
use crate::scalar::{Real, Scalar};
use crate::scaling::Equilibration;

/// `P R A C = L U` with partial pivoting (LAPACK `getrf`), where `R` and `C` bring the largest entry of
/// each row and column near one by powers of two, so that rows in other units are no reason for other
/// pivots.
#[derive(Clone, Debug)]
pub struct Lu<T> {
    n: usize,
    scaling: Equilibration,
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
        let scaling = Equilibration::of_dense(n, &mut factors);
        let mut pivots = vec![0; n];
        if n > 0 {
            let singular = |Info(at)| Error::Singular { operation, row: at as u64 - 1 };
            T::getrf(n, &mut factors, &mut pivots).map_err(singular)?;
        }
        Ok(Lu { n, scaling, factors, pivots })
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
        require_columns("LU solve", self.n, b.len())?;
        self.scaling.solve_columns(b, |x| T::getrs(self.n, &self.factors, &self.pivots, x));
        Ok(())
    }

    /// Computes the inverse matrix.
    pub fn inverse(&self) -> Array2<T> {
        let mut inverse = identity(self.n);
        self.solve(&mut inverse).expect("invariant: as many rows as columns");
        matrix(self.n, self.n, inverse)
    }

    /// Computes the determinant as a number of absolute value one (a sign, if real) and the natural
    /// logarithm of its absolute value, which neither overflows nor underflows.
    pub fn determinant(&self) -> (T, f64) {
        let mut phase = T::ONE;
        let mut log = -self.scaling.log2_determinant() * std::f64::consts::LN_2;
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
