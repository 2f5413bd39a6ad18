//! Dense matrices on one rank: factorizations by LAPACK, and kernels of our own for small blocks.
//!
//! A dense matrix is an `ndarray` array; what is returned is column-major, which LAPACK and
//! [`MultiVector`](crate::MultiVector) read without copying. Each factorization is a type of its own,
//! made by `factor` and used by `solve` on any number of right-hand sides, column after column.
//! Triangular factors ([`Cholesky`], [`Lu`], [`BandedCholesky`]) solve in place and allocate nothing;
//! [`Qr`], [`HermitianEigen`] and [`Svd`] return the solutions. Nothing here communicates: a
//! distributed caller ends its factorizations in [`Comm::agree`](crate::Comm::agree).
//!
//! | type | matrix | stands for |
//! |---|---|---|
//! | [`Cholesky`] | Hermitian positive definite | `A = L L^H` |
//! | [`Lu`] | square | `P A = L U` |
//! | [`Qr`] | no more columns than rows | `A = Q R`, least squares |
//! | [`HermitianEigen`] | Hermitian | `A = V diag(w) V^H` |
//! | [`GeneralizedEigen`] | Hermitian A, Hermitian positive definite B | `A V = B V diag(w)` |
//! | [`Schur`] | square, complex | `A = Q T Q^H`, eigenvalues of any matrix |
//! | [`Svd`] | any | `A = U diag(s) V^H`, least squares of least norm |
//! | [`BandedCholesky`] | Hermitian positive definite, [banded](HermitianBanded) | `A = L L^H` |
//!
//! LAPACK is the wrong tool for blocks of a handful of rows, where the call costs more than the
//! arithmetic: [`SmallBlocks`] holds many of one size, and [`small`] has the kernels.
//!
//! A factorization of the same matrix has the same bits on every rank of a machine. Other versions
//! of OpenBLAS, or other processors, may round otherwise; the kernels of [`small`] may not.

mod banded;
mod batch;
mod cholesky;
mod eigen;
mod generalized;
mod lu;
mod qr;
mod schur;
pub mod small;
mod svd;

use ndarray::{Array2, ArrayView2, ShapeBuilder};

use crate::blas::MAX_DIMENSION;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

pub use banded::{BandedCholesky, HermitianBanded};
pub use batch::{BatchedCholesky, BatchedLu, SmallBlocks};
pub use cholesky::Cholesky;
pub use eigen::HermitianEigen;
pub use generalized::GeneralizedEigen;
pub use lu::Lu;
pub use qr::Qr;
pub use schur::Schur;
pub use svd::Svd;

/// Returns the entries of a matrix column by column, if LAPACK can count and factor them.
fn entries<T: Scalar>(operation: &'static str, a: ArrayView2<'_, T>) -> Result<Vec<T>> {
    let size = a.nrows().max(a.ncols()) as u64;
    if size > MAX_DIMENSION {
        return Err(Error::TooLarge { what: "rows of a dense matrix", size, limit: MAX_DIMENSION });
    }
    let entries: Vec<T> = a.reversed_axes().iter().copied().collect();
    match entries.iter().position(|entry| !entry.is_finite()) {
        None => Ok(entries),
        Some(at) => {
            let (row, column) = (at % a.nrows(), at / a.nrows());
            Err(Error::NotFinite { operation, row: row as u64, column: column as u64 })
        }
    }
}

/// Works like [`entries`], of a square matrix, with its order.
fn square_entries<T: Scalar>(operation: &'static str, a: ArrayView2<'_, T>) -> Result<(usize, Vec<T>)> {
    let (rows, columns) = (a.nrows() as u64, a.ncols() as u64);
    if rows != columns {
        return Err(Error::Shape { operation, expected: (rows, rows), found: (rows, columns) });
    }
    Ok((a.nrows(), entries(operation, a)?))
}

/// Checks that an array is whole columns of `n` numbers.
fn require_columns(operation: &'static str, n: usize, len: usize) -> Result<()> {
    if len == 0 || (n > 0 && len.is_multiple_of(n)) {
        return Ok(());
    }
    let count = len.div_ceil(n.max(1)) as u64;
    Err(Error::Shape { operation, expected: (n as u64, count), found: (len as u64, 1) })
}

/// Returns a matrix of column-major entries.
fn matrix<T: Scalar>(rows: usize, columns: usize, entries: Vec<T>) -> Array2<T> {
    Array2::from_shape_vec((rows, columns).f(), entries).expect("invariant: the entries fill the shape")
}

/// Creates the identity, column-major.
fn identity<T: Scalar>(n: usize) -> Vec<T> {
    let mut entries = vec![T::ZERO; n * n];
    entries.iter_mut().step_by(n + 1).for_each(|entry| *entry = T::ONE);
    entries
}

#[cfg(test)]
mod scales;
#[cfg(test)]
mod tests;
