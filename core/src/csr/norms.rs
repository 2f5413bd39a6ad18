//! Sums over rows and columns, and norms, with the same bits on any number of ranks.
//!
//! A row is summed in ascending columns; a column is a row of the adjoint, so it is summed in
//! ascending rows. Largest values do not depend on their order.

use crate::comm::Comm;
use crate::csr::matrix::CsrMatrix;
use crate::error::Result;
use crate::reduce::BinnedSum;
use crate::scalar::{Real, Scalar};
use crate::scaling::{SAFE_SQUARES, exponent, scaled};
use crate::vector::Vector;

impl<T: Scalar> CsrMatrix<T> {
    /// Computes the sum of each row, in ascending columns: `A 1`.
    pub fn row_sums(&self) -> Vector<T> {
        self.each_row(|values| values.iter().fold(T::ZERO, |sum, &value| sum + value))
    }

    /// Computes the sum of each column, in ascending rows: `A^T 1`. Makes the [adjoint](CsrMatrix::adjoint).
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`CsrMatrix::adjoint`].
    pub fn column_sums(&self) -> Result<Vector<T>> {
        let mut sums = self.adjoint()?.row_sums();
        sums.owned_mut().iter_mut().for_each(|sum| *sum = sum.conj());
        Ok(sums)
    }

    /// Computes the Frobenius norm `sqrt(sum |a_ij|^2)`.
    ///
    /// Entries whose squares would leave the range of double precision are scaled by a power of two first,
    /// so that only a norm that is itself too large overflows.
    ///
    /// # Collective
    /// One reduction; two more for entries that need scaling.
    pub fn norm_frobenius(&self) -> f64 {
        let parts = T::parts(self.local.values());
        let squares = self.sum_of_squares(parts);
        if SAFE_SQUARES.contains(&squares) {
            return squares.sqrt();
        }
        let largest = largest(self.comm(), parts.iter().map(|part| part.to_f64().abs()));
        if largest == 0.0 || !largest.is_finite() {
            return largest;
        }
        let size = exponent(largest);
        let near_one: Vec<f64> = parts.iter().map(|part| scaled(part.to_f64(), -size)).collect();
        scaled(self.sum_of_squares(&near_one).sqrt(), size)
    }

    fn sum_of_squares<R: Real>(&self, parts: &[R]) -> f64 {
        let (mut sum, mut total) = (BinnedSum::default(), [BinnedSum::default()]);
        sum.add_products(parts, parts);
        self.comm().all_reduce_merge(&[sum], &mut total);
        total[0].value()
    }

    /// Computes the infinity norm: the largest row sum of absolute values, NaN if any entry is.
    ///
    /// # Collective
    /// One reduction.
    pub fn norm_inf(&self) -> f64 {
        let size = |value: &T| match T::COMPLEX {
            true => value.re().to_f64().hypot(value.im().to_f64()),
            false => value.re().to_f64().abs(),
        };
        let sums = (0..self.local.rows()).map(|row| self.local.row(row).1.iter().map(size).sum());
        largest(self.comm(), sums)
    }

    /// Computes the 1-norm: the largest column sum of absolute values, NaN if any entry is. Makes the
    /// [adjoint](CsrMatrix::adjoint).
    ///
    /// # Collective
    /// One reduction.
    ///
    /// # Errors
    /// As [`CsrMatrix::adjoint`].
    pub fn norm_one(&self) -> Result<f64> {
        Ok(self.adjoint()?.norm_inf())
    }

    pub(super) fn comm(&self) -> &Comm {
        self.shape.range.comm()
    }

    fn each_row(&self, mut of: impl FnMut(&[T]) -> T) -> Vector<T> {
        let mut result = Vector::zeros(&self.shape.range);
        for (row, entry) in result.owned_mut().iter_mut().enumerate() {
            *entry = of(self.local.row(row).1);
        }
        result
    }
}

/// Computes the largest of all ranks' numbers, none of which is negative; NaN if any is, zero if there are none.
fn largest(comm: &Comm, numbers: impl Iterator<Item = f64>) -> f64 {
    let mut found = [0.0f64; 2];
    for number in numbers {
        if number.is_nan() {
            found[1] = 1.0;
        } else {
            found[0] = found[0].max(number);
        }
    }
    comm.all_reduce_max(&mut found);
    if found[1] > 0.0 { f64::NAN } else { found[0] }
}
