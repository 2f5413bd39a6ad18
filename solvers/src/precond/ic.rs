//! Incomplete Cholesky factorization without fill, IC(0), of Hermitian positive definite matrices
//! (Meijerink and van der Vorst, Math. Comp. 31, 1977; Saad, "Iterative Methods for Sparse Linear
//! Systems", 2nd ed., section 10.3.2), as `L D L^H` with unit `L`.
//!
//! Unlike the complete factorization, it can meet a pivot that is not positive though the matrix is
//! positive definite. Then the diagonal is multiplied by `1 + shift` and the factorization begun
//! again, the shift starting at 0.001 and doubling, until all pivots are positive (Manteuffel, "An
//! incomplete factorization technique for positive definite linear systems", Math. Comp. 34, 1980,
//! who proves that there is such a shift; start and growth are those of Lin and Moré, SIAM J. Sci.
//! Comput. 21, 1999).

use dolmen_core::index::at;
use dolmen_core::scaling::{exponent, largest, scaled};
use dolmen_core::{Lid, Real, Scalar, SerialCsr, memory};

use crate::error::{Defect, Result};
use crate::precond::local::{LocalSolver, diagonal, require_finite, require_square, unfit};
use crate::precond::triangular::{Half, Ldu, Triangle};

const METHOD: &str = "IC(0)";
const FIRST_SHIFT: f64 = 1e-3;
/// With it off-diagonal entries are rounding errors beside the diagonal.
const LAST_SHIFT: f64 = 1e20;
/// Far above the smallest square that has all its digits, in single precision too.
const SMALLEST_SQUARE: f64 = 1e-30;

/// The factor of an incomplete Cholesky factorization.
///
/// Memory: a value and 4 bytes for each entry of the matrix off its diagonal, since the factor is
/// kept by rows and by columns; up to 36 bytes and 3 values for each row.
#[derive(Clone, Debug)]
pub struct Ic<T> {
    factors: Ldu<T>,
    shift: f64,
}

impl<T: Scalar> Ic<T> {
    /// Factors the Hermitian matrix of which `a` has the lower triangle; entries above the diagonal
    /// and imaginary parts on it are not looked at.
    ///
    /// # Errors
    /// [`Error::NotSquare`](crate::Error::NotSquare), or [`Error::Unfit`](crate::Error::Unfit) for a
    /// diagonal entry that is not stored or not positive, or a number that is not finite.
    pub fn new(a: &SerialCsr<T>) -> Result<Ic<T>> {
        require_square(METHOD, a)?;
        let mut lower = Triangle::with_capacity(Half::Lower, a.rows(), a.values().len() / 2);
        let mut inverse = memory::with_capacity(a.rows());
        let (mut work, mut failed) = (memory::zeros(a.rows()), None);
        for row in 0..a.rows() {
            let (columns, values, diagonal) = lower_part(a, row)?;
            // Once a pivot has failed, only the pattern is still wanted.
            let pivot = if failed.is_none() {
                columns.iter().zip(values).for_each(|(&column, &value)| work[at(column)] = value);
                reduce(&mut work, columns.iter().copied(), diagonal, &lower, &inverse)
            } else {
                diagonal
            };
            if !is_positive::<T>(pivot, diagonal) {
                failed = Some(row);
            }
            lower.push_row(columns.iter().map(|&column| (column, work[at(column)] * inverse[at(column)])));
            columns.iter().for_each(|&column| work[at(column)] = T::ZERO);
            inverse.push(T::ONE.quotient(T::from_parts(pivot, 0.0)));
        }
        let upper = Triangle::with_capacity(Half::Upper, 0, 0);
        let mut ic = Ic { factors: Ldu { lower, inverse, upper }, shift: 0.0 };
        ic.finish(a, failed)?;
        Ok(ic)
    }

    /// Returns the shift of the diagonal, relative to it, that made all pivots positive; zero if none was needed.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// Tries shifts, if without one the pivot of a row failed, until one gives a factor.
    fn finish(&mut self, a: &SerialCsr<T>, mut failed: Option<usize>) -> Result<()> {
        self.shift = 0.0;
        while let Some(row) = failed {
            self.shift = if self.shift == 0.0 { FIRST_SHIFT } else { 2.0 * self.shift };
            if self.shift > LAST_SHIFT {
                return Err(unfit(METHOD, row, Defect::NotPositive));
            }
            failed = self.numeric(a)?;
        }
        self.factors.upper = self.factors.lower.adjoint();
        self.factors.settle();
        Ok(())
    }

    /// Returns the factor of the shifted matrix on the pattern that is there, row by row, or the row whose pivot
    /// is not positive.
    fn numeric(&mut self, a: &SerialCsr<T>) -> Result<Option<usize>> {
        let mut work = memory::zeros(a.rows());
        let Ldu { lower, inverse, .. } = &mut self.factors;
        for row in 0..a.rows() {
            let (columns, values, diagonal) = lower_part(a, row)?;
            if !has_all(lower.row(row), columns) {
                return Err(unfit(METHOD, row, Defect::NotInPattern));
            }
            columns.iter().zip(values).for_each(|(&column, &value)| work[at(column)] = value);
            let shifted = diagonal * (1.0 + self.shift);
            let pivot = reduce(&mut work, lower.row(row).map(|(column, _)| column), shifted, lower, inverse);
            if !is_positive::<T>(pivot, diagonal) {
                return Ok(Some(row));
            }
            lower.update(row, |column| std::mem::take(&mut work[at(column)]) * inverse[at(column)]);
            inverse[row] = T::ONE.quotient(T::from_parts(pivot, 0.0));
        }
        Ok(None)
    }
}

/// Returns true if a row has entries in all of these columns; both ascend.
fn has_all<T>(mut row: impl Iterator<Item = (Lid, T)>, columns: &[Lid]) -> bool {
    columns.iter().all(|&column| row.any(|(known, _)| known == column))
}

/// Subtracts what the rows above explain of a row, by ascending columns; gives what is left of its
/// diagonal. `work` has the entries of the row at their columns and is zero elsewhere, so that nobody asks which are
/// there: the answer would not be foreseen.
#[inline(always)]
fn reduce<T: Scalar>(
    work: &mut [T],
    columns: impl Iterator<Item = Lid>,
    diagonal: f64,
    lower: &Triangle<T>,
    inverse: &[T],
) -> f64 {
    columns.fold(diagonal, |pivot, column| {
        let product: T = lower.row(at(column)).map(|(other, factor)| work[at(other)] * factor.conj()).sum();
        work[at(column)] -= product;
        pivot - explained(work[at(column)], inverse[at(column)])
    })
}

/// Returns `|entry|^2` times the inverse of a pivot, which has the size of a diagonal entry though the square may
/// leave the range of numbers.
#[inline(always)]
fn explained<T: Scalar>(entry: T, inverse: T) -> f64 {
    let square = entry.abs_sqr();
    if square.to_f64() > SMALLEST_SQUARE && square.is_finite() {
        return (square * inverse.re()).to_f64();
    }
    let size = exponent(largest(&[entry]));
    let product = scaled(entry, -size).abs_sqr() * scaled(inverse.re(), size);
    scaled(product.to_f64(), size)
}

/// Returns true if a pivot is more than a rounding error of the diagonal; NaN is not.
fn is_positive<T: Scalar>(pivot: f64, diagonal: f64) -> bool {
    pivot > T::Real::EPSILON.to_f64() * diagonal
}

/// Columns and values below the diagonal, and the diagonal, of a row whose diagonal is positive.
#[inline(always)]
fn lower_part<T: Scalar>(a: &SerialCsr<T>, row: usize) -> Result<(&[Lid], &[T], f64)> {
    let (columns, values) = a.row(row);
    let below = diagonal(METHOD, row, columns)?;
    let (columns, values, diagonal) = (&columns[..below], &values[..below], values[below].re().to_f64());
    require_finite(METHOD, row, values)?;
    require_finite(METHOD, row, &[diagonal])?;
    if diagonal > 0.0 { Ok((columns, values, diagonal)) } else { Err(unfit(METHOD, row, Defect::NotPositive)) }
}

impl<T: Scalar> LocalSolver<T> for Ic<T> {
    fn solve(&self, x: &mut [T]) {
        self.factors.solve(x);
    }

    fn solve_from(&self, b: &[T], x: &mut [T]) {
        self.factors.solve_from(b, x);
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        self.factors.solve(x);
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        require_square(METHOD, a)?;
        if a.rows() != self.factors.inverse.len() {
            return Err(unfit(METHOD, a.rows().min(self.factors.inverse.len()), Defect::NotInPattern));
        }
        self.shift = 0.0;
        let failed = self.numeric(a)?;
        self.finish(a, failed)
    }
}
