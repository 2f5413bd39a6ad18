//! Eigenvalues and eigenvectors of a Hermitian (real: symmetric) matrix.

use ndarray::{Array2, ArrayView2};

use crate::dense::{matrix, require_columns, square_entries};
use crate::error::{Error, Result};
use crate::lapack::{Info, require_eigen_size};
use crate::scalar::{Real, Scalar};

/// `A = V diag(w) V^H` with V unitary (LAPACK `heevd`: divide and conquer).
#[derive(Clone, Debug)]
pub struct HermitianEigen<T: Scalar> {
    values: Vec<T::Real>,
    vectors: Vec<T>,
}

impl<T: Scalar> HermitianEigen<T> {
    /// Finds all eigenvalues and eigenvectors of a matrix of which the lower triangle is read.
    ///
    /// # Errors
    /// [`Error::NoConvergence`]; [`Error::Shape`] if the matrix is not square; [`Error::NotFinite`];
    /// [`Error::TooLarge`] above 32 766 rows, for which LAPACK cannot count its workspace.
    pub fn factor(a: ArrayView2<'_, T>) -> Result<HermitianEigen<T>> {
        let operation = "eigenvalues";
        require_eigen_size(a.nrows())?;
        let (n, mut vectors) = square_entries(operation, a)?;
        let missing = |Info(count)| Error::NoConvergence { operation, count: count as u64 };
        let values = if n > 0 { T::heevd(n, &mut vectors).map_err(missing)? } else { Vec::new() };
        Ok(HermitianEigen { values: values.into_iter().map(T::Real::from_f64).collect(), vectors })
    }

    /// Returns the eigenvalues, ascending.
    pub fn values(&self) -> &[T::Real] {
        &self.values
    }

    /// Returns the orthonormal eigenvectors, as columns in the order of the values.
    pub fn vectors(&self) -> Array2<T> {
        matrix(self.values.len(), self.values.len(), self.vectors.clone())
    }

    /// Computes `V diag(w) V^H` with other values `w` in place of the eigenvalues: a function of the matrix.
    ///
    /// # Panics
    /// If there are not as many values as eigenvalues.
    pub fn with_values(&self, values: &[T::Real]) -> Array2<T> {
        let n = self.values.len();
        assert_eq!(values.len(), n, "one value for each eigenvalue");
        if n == 0 {
            return matrix(0, 0, Vec::new());
        }
        let mut scaled = self.vectors.clone();
        for (column, &value) in scaled.chunks_exact_mut(n).zip(values) {
            column.iter_mut().for_each(|entry| *entry = entry.scale(value));
        }
        let mut adjoint = vec![T::ZERO; n * n];
        for (k, column) in self.vectors.chunks_exact(n).enumerate() {
            column.iter().enumerate().for_each(|(i, entry)| adjoint[i * n + k] = entry.conj());
        }
        let mut product = vec![T::ZERO; n * n];
        T::gemm(false, [n, n, n], T::ONE, &scaled, &adjoint, T::ZERO, &mut product);
        matrix(n, n, product)
    }

    /// Computes the solutions of `A x = b` for right-hand sides that follow each other column after column,
    /// as the solutions do.
    ///
    /// # Errors
    /// [`Error::ZeroEigenvalue`], naming the first eigenvalue that is zero to working precision;
    /// [`Error::Shape`] if `b` is not whole columns.
    pub fn solve(&self, b: &[T]) -> Result<Vec<T>> {
        let operation = "solve by eigenvectors";
        let n = self.values.len();
        require_columns(operation, n, b.len())?;
        if b.is_empty() {
            return Ok(Vec::new());
        }
        let largest = self.values.iter().fold(0.0f64, |largest, value| largest.max(value.to_f64().abs()));
        let noise = T::Real::EPSILON.to_f64() * n as f64 * largest;
        if let Some(index) = self.values.iter().position(|value| value.to_f64().abs() <= noise) {
            return Err(Error::ZeroEigenvalue { operation, index: index as u64 });
        }
        let count = b.len() / n;
        let mut parts = vec![T::ZERO; b.len()];
        T::gemm(true, [n, count, n], T::ONE, &self.vectors, b, T::ZERO, &mut parts);
        for part in parts.chunks_exact_mut(n) {
            part.iter_mut().zip(&self.values).for_each(|(part, &value)| *part = part.scale(T::Real::ONE / value));
        }
        let mut x = vec![T::ZERO; b.len()];
        T::gemm(false, [n, count, n], T::ONE, &self.vectors, &parts, T::ZERO, &mut x);
        Ok(x)
    }
}
