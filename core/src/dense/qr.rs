//! QR factorization of a matrix with no more columns than rows, for least squares.

use ndarray::{Array2, ArrayView2};

use crate::dense::{entries, matrix, require_columns};
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::scaling::{bring_near_one, largest, scaled};

/// `A = Q R` with orthonormal columns of Q and R upper triangular (LAPACK `geqrf`, `ungqr`).
#[derive(Clone, Debug)]
pub struct Qr<T> {
    rows: usize,
    columns: usize,
    q: Vec<T>,
    /// `R` divided by a power of two, so that no norm of a column leaves the range of numbers.
    r: Vec<T>,
    exponent: i32,
}

impl<T: Scalar> Qr<T> {
    /// Factors a matrix with no more columns than rows; they may depend on each other.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are more columns than rows; [`Error::NotFinite`].
    pub fn factor(a: ArrayView2<'_, T>) -> Result<Qr<T>> {
        let operation = "QR factorization";
        let (rows, columns) = a.dim();
        if columns > rows {
            let (rows, columns) = (rows as u64, columns as u64);
            return Err(Error::Shape { operation, expected: (rows, rows), found: (rows, columns) });
        }
        let mut q = entries(operation, a)?;
        let exponent = bring_near_one(&mut q);
        let mut tau = vec![T::ZERO; columns];
        T::geqrf(rows, columns, &mut q, &mut tau);
        let mut r = vec![T::ZERO; columns * columns];
        for j in 0..columns {
            r[j * columns..][..=j].copy_from_slice(&q[j * rows..][..=j]);
        }
        T::ungqr(rows, &mut q, &tau);
        Ok(Qr { rows, columns, q, r, exponent })
    }

    /// Returns the orthonormal columns Q.
    pub fn q(&self) -> Array2<T> {
        matrix(self.rows, self.columns, self.q.clone())
    }

    /// Returns the upper triangle R.
    pub fn r(&self) -> Array2<T> {
        let entries = self.r.iter().map(|&entry| scaled(entry, self.exponent)).collect();
        matrix(self.columns, self.columns, entries)
    }

    /// Computes the `x` with the least `|A x - b|` for each of the right-hand sides, which follow each other
    /// column after column, as the solutions do.
    ///
    /// # Errors
    /// [`Error::Singular`], naming the first column that depends on those before it to working
    /// precision; [`Error::Shape`] if `b` is not whole columns.
    pub fn solve(&self, b: &[T]) -> Result<Vec<T>> {
        let operation = "least squares by QR";
        require_columns(operation, self.rows, b.len())?;
        if b.is_empty() || self.columns == 0 {
            return Ok(Vec::new());
        }
        let noise = T::Real::EPSILON.to_f64() * self.rows as f64;
        for (j, column) in self.r.chunks_exact(self.columns).enumerate() {
            // Beside the largest, so that no square leaves the range of numbers.
            let largest = largest(column);
            let parts = T::parts(column).iter().map(|part| (part.to_f64() / largest).powi(2));
            if column[j].abs().to_f64() / largest <= noise * parts.sum::<f64>().sqrt() || largest == 0.0 {
                return Err(Error::Singular { operation, row: j as u64 });
            }
        }
        let count = b.len() / self.rows;
        let mut x = vec![T::ZERO; self.columns * count];
        T::gemm(true, [self.columns, count, self.rows], T::ONE, &self.q, b, T::ZERO, &mut x);
        T::trtrs(self.columns, &self.r, &mut x).expect("invariant: no pivot is zero");
        x.iter_mut().for_each(|x| *x = scaled(*x, -self.exponent));
        Ok(x)
    }
}
