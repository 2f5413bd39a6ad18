//! Eigenvalues and eigenvectors of a Hermitian matrix beside a Hermitian positive definite one.

use ndarray::{Array2, ArrayView2};

use crate::dense::{matrix, square_entries};
use crate::error::{Error, Result};
use crate::lapack::{Info, require_eigen_size};
use crate::scalar::{Real, Scalar};

/// `A V = B V diag(w)` with `V^H B V = I` (LAPACK `hegvd`).
#[derive(Clone, Debug)]
pub struct GeneralizedEigen<T: Scalar> {
    values: Vec<T::Real>,
    vectors: Vec<T>,
}

impl<T: Scalar> GeneralizedEigen<T> {
    /// Finds all eigenvalues and eigenvectors of two matrices of which the lower triangles are read.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`], naming the row of `b`; [`Error::NoConvergence`]; [`Error::Shape`] if the matrices
    /// are not square and of one size; [`Error::NotFinite`]; [`Error::TooLarge`] as
    /// [`HermitianEigen`](crate::dense::HermitianEigen).
    pub fn factor(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) -> Result<GeneralizedEigen<T>> {
        let operation = "generalized eigenvalues";
        require_eigen_size(a.nrows())?;
        let (n, mut vectors) = square_entries(operation, a)?;
        let (order, mut mass) = square_entries(operation, b)?;
        if order != n {
            let [expected, found] = [n, order].map(|n| (n as u64, n as u64));
            return Err(Error::Shape { operation, expected, found });
        }
        if n == 0 {
            return Ok(GeneralizedEigen { values: Vec::new(), vectors });
        }
        let values = T::hegvd(n, &mut vectors, &mut mass).map_err(|Info(at)| match at.checked_sub(n) {
            None | Some(0) => Error::NoConvergence { operation, count: at as u64 },
            Some(pivot) => Error::NotPositiveDefinite { operation, row: pivot as u64 - 1 },
        })?;
        Ok(GeneralizedEigen { values: values.into_iter().map(T::Real::from_f64).collect(), vectors })
    }

    /// Returns the eigenvalues, ascending.
    pub fn values(&self) -> &[T::Real] {
        &self.values
    }

    /// Returns the eigenvectors, orthonormal in the inner product of B, as columns in the order of the values.
    pub fn vectors(&self) -> Array2<T> {
        matrix(self.values.len(), self.values.len(), self.vectors.clone())
    }
}
