//! Incomplete Cholesky factorisation without fill, IC(0), of Hermitian positive definite matrices
//! (Meijerink and van der Vorst, Math. Comp. 31, 1977; Saad, "Iterative Methods for Sparse Linear
//! Systems", 2nd ed., section 10.3.2), as `L D L^H` with unit `L`.
//!
//! Unlike the complete factorisation, it can meet a pivot that is not positive though the matrix is
//! positive definite. Then the diagonal is multiplied by `1 + shift` and the factorisation begun
//! again, the shift starting at 0.001 and doubling, until all pivots are positive (Manteuffel, "An
//! incomplete factorization technique for positive definite linear systems", Math. Comp. 34, 1980,
//! who proves that there is such a shift; start and growth are those of Lin and Moré, SIAM J. Sci.
//! Comput. 21, 1999).

use dolmen_core::index::at;
use dolmen_core::{Lid, Real, Scalar, SerialCsr};

use crate::error::{Defect, Result};
use crate::precond::local::{LocalSolver, check, unfit};
use crate::precond::triangular::{Half, Ldu, Triangle};

const METHOD: &str = "IC(0)";
/// No row.
const NONE: Lid = Lid::MAX;
const FIRST_SHIFT: f64 = 1e-3;
/// With it off-diagonal entries are rounding errors beside the diagonal.
const LAST_SHIFT: f64 = 1e20;

/// The factor of an incomplete Cholesky factorisation.
///
/// Memory: a value and 4 bytes for each entry of the matrix off its diagonal, since the factor is
/// kept by rows and by columns; 18 bytes and 3 values for each row.
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
        check(METHOD, a)?;
        let mut lower = Triangle::with_capacity(Half::Lower, a.rows(), a.values().len() / 2);
        for row in 0..a.rows() {
            let below = a.row(row).0.iter().take_while(|column| at(**column) < row);
            lower.push_row(below.map(|&column| (column, T::ZERO)));
        }
        let empty = Triangle::with_capacity(Half::Upper, 0, 0);
        let mut ic = Ic { factors: Ldu { lower, inverse: vec![T::ZERO; a.rows()], upper: empty }, shift: 0.0 };
        ic.factor(a)?;
        Ok(ic)
    }

    /// What was added to the diagonal, relative to it, to make all pivots positive; zero if nothing.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// Tries shifts until one gives a factor.
    fn factor(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let diagonal = (0..a.rows()).map(|row| positive_diagonal(a, row)).collect::<Result<Vec<_>>>()?;
        self.shift = 0.0;
        while let Err(row) = self.numeric(a, &diagonal)? {
            self.shift = if self.shift == 0.0 { FIRST_SHIFT } else { 2.0 * self.shift };
            if self.shift > LAST_SHIFT {
                return Err(unfit(METHOD, row, Defect::NotPositive));
            }
        }
        self.factors.upper = self.factors.lower.adjoint();
        Ok(())
    }

    /// The factor of the shifted matrix, row by row, or the row whose pivot is not positive.
    fn numeric(&mut self, a: &SerialCsr<T>, diagonal: &[f64]) -> Result<Result<(), usize>> {
        let (mut work, mut last, mut own) = (vec![T::ZERO; a.rows()], vec![NONE; a.rows()], Vec::new());
        let Ldu { lower, inverse, .. } = &mut self.factors;
        for (row, number) in (0..a.rows()).zip(0..) {
            own.clear();
            own.extend(lower.row(row).map(|(column, _)| column));
            own.iter().for_each(|&column| (work[at(column)], last[at(column)]) = (T::ZERO, number));
            let (columns, values) = a.row(row);
            for (&column, &value) in columns.iter().zip(values).take_while(|(column, _)| at(**column) < row) {
                if last[at(column)] != number {
                    return Err(unfit(METHOD, row, Defect::NotInPattern));
                }
                work[at(column)] = value;
            }
            let mut pivot = diagonal[row] * (1.0 + self.shift);
            for column in own.iter().map(|&column| at(column)) {
                let known = lower.row(column).filter(|(other, _)| last[at(*other)] == number);
                let product: T = known.map(|(other, factor)| work[at(other)] * factor.conj()).sum();
                work[column] -= product;
                pivot -= (work[column].abs_sqr() * inverse[column].re()).to_f64();
            }
            lower.update(row, |column| work[at(column)] * inverse[at(column)]);
            // NaN is not positive either.
            if pivot.partial_cmp(&(T::Real::EPSILON.to_f64() * diagonal[row])) != Some(std::cmp::Ordering::Greater) {
                return Ok(Err(row));
            }
            inverse[row] = T::ONE / T::from_parts(pivot, 0.0);
        }
        Ok(Ok(()))
    }
}

fn positive_diagonal<T: Scalar>(a: &SerialCsr<T>, row: usize) -> Result<f64> {
    let (columns, values) = a.row(row);
    let position = columns.partition_point(|&column| at(column) < row);
    match columns.get(position) {
        Some(&column) if at(column) == row => match values[position].re().to_f64() {
            diagonal if diagonal > 0.0 => Ok(diagonal),
            _ => Err(unfit(METHOD, row, Defect::NotPositive)),
        },
        _ => Err(unfit(METHOD, row, Defect::MissingDiagonal)),
    }
}

impl<T: Scalar> LocalSolver<T> for Ic<T> {
    fn solve(&self, x: &mut [T]) {
        self.factors.solve(x);
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        self.factors.solve(x);
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        check(METHOD, a)?;
        if a.rows() != self.factors.inverse.len() {
            return Err(unfit(METHOD, a.rows().min(self.factors.inverse.len()), Defect::NotInPattern));
        }
        self.factor(a)
    }
}
