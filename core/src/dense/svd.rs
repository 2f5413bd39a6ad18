//! Singular values and vectors of any matrix, and least squares without a condition on it.

use ndarray::{Array2, ArrayView2};

use crate::dense::{entries, matrix, require_columns};
use crate::error::{Error, Result};
use crate::lapack::{Info, require_svd_size};
use crate::scalar::{Real, Scalar};

/// `A = U diag(s) V^H`, thin: as many columns of U and V as the smaller side has (LAPACK `gesdd`).
#[derive(Clone, Debug)]
pub struct Svd<T: Scalar> {
    rows: usize,
    columns: usize,
    values: Vec<T::Real>,
    u: Vec<T>,
    vh: Vec<T>,
}

impl<T: Scalar> Svd<T> {
    /// Finds the singular values and vectors of a matrix.
    ///
    /// # Errors
    /// [`Error::NoConvergence`] or [`Error::NotFinite`]; [`Error::TooLarge`] where LAPACK cannot count
    /// its workspace: if both sides are above 23 169, of complex matrices 18 918.
    pub fn factor(a: ArrayView2<'_, T>) -> Result<Svd<T>> {
        let operation = "singular values";
        let (rows, columns) = a.dim();
        let k = rows.min(columns);
        require_svd_size(k, T::COMPLEX)?;
        let mut entries = entries(operation, a)?;
        let (mut u, mut vh) = (vec![T::ZERO; rows * k], vec![T::ZERO; k * columns]);
        let missing = |Info(count)| Error::NoConvergence { operation, count: count as u64 };
        let values = match k {
            0 => Vec::new(),
            _ => T::gesdd([rows, columns], &mut entries, &mut u, &mut vh).map_err(missing)?,
        };
        Ok(Svd { rows, columns, values: values.into_iter().map(T::Real::from_f64).collect(), u, vh })
    }

    /// Returns the singular values, descending.
    pub fn values(&self) -> &[T::Real] {
        &self.values
    }

    /// Returns the left singular vectors, as columns in the order of the values.
    pub fn u(&self) -> Array2<T> {
        matrix(self.rows, self.values.len(), self.u.clone())
    }

    /// Returns the adjoint of the right singular vectors: rows in the order of the values.
    pub fn vh(&self) -> Array2<T> {
        matrix(self.values.len(), self.columns, self.vh.clone())
    }

    /// Returns the number of singular values above `rtol` times the largest.
    pub fn rank(&self, rtol: f64) -> usize {
        let Some(largest) = self.values.first() else { return 0 };
        let least = rtol * largest.to_f64();
        self.values.iter().take_while(|value| value.to_f64() > least).count()
    }

    /// Computes the shortest `x` with the least `|A x - b|` for each right-hand side, column after column;
    /// singular values of at most `rtol` times the largest count as zero.
    ///
    /// # Errors
    /// [`Error::Shape`] if `b` is not whole columns.
    pub fn solve(&self, b: &[T], rtol: f64) -> Result<Vec<T>> {
        let (rows, columns, k) = (self.rows, self.columns, self.values.len());
        require_columns("least squares by SVD", rows, b.len())?;
        let rank = self.rank(rtol);
        let count = b.len() / rows.max(1);
        let mut x = vec![T::ZERO; columns * count];
        if rank == 0 || count == 0 {
            return Ok(x);
        }
        let mut parts = vec![T::ZERO; k * count];
        T::gemm(true, [k, count, rows], T::ONE, &self.u, b, T::ZERO, &mut parts);
        for part in parts.chunks_exact_mut(k) {
            part[rank..].fill(T::ZERO);
            part.iter_mut().zip(&self.values[..rank]).for_each(|(part, &s)| *part = part.scale(T::Real::ONE / s));
        }
        T::gemm(true, [columns, count, k], T::ONE, &self.vh, &parts, T::ZERO, &mut x);
        Ok(x)
    }
}
