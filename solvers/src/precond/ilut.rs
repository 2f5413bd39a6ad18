//! Incomplete LU factorization with dual threshold, ILUT (Saad, "ILUT: a dual threshold incomplete
//! LU factorization", Numer. Linear Algebra Appl. 1, 1994; "Iterative Methods for Sparse Linear
//! Systems", 2nd ed., algorithm 10.6).
//!
//! Two rules bound the fill of a row: small numbers are dropped, and of the rest only the largest are
//! kept in each triangle. As in SPARSKIT a multiplier is small beside one, and an entry of `U` beside
//! the norm of its row of the matrix, so that a factor of the whole matrix changes nothing; factors of
//! rows and columns do, unless [`Equilibrated`](crate::Equilibrated) takes them away.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dolmen_core::index::at;
use dolmen_core::{Lid, Real, Scalar, SerialCsr};

use crate::error::{Defect, Result};
use crate::precond::local::{LocalSolver, Pivots, check, norm2, unfit};
use crate::precond::triangular::Ldu;
use crate::settings::require;

const METHOD: &str = "ILUT";

/// The factors of an incomplete LU factorization whose fill is chosen by size.
///
/// Memory: a value and 4 bytes for each entry kept, at most `2 fill` of them a row beside the
/// diagonal; up to 36 bytes and 3 values for each row.
#[derive(Clone, Debug)]
pub struct Ilut<T> {
    factors: Ldu<T>,
    drop: f64,
    fill: usize,
}

impl<T: Scalar> Ilut<T> {
    /// Factors `a`. Multipliers below `drop`, and entries of `U` below `drop` times the 2-norm of
    /// their row of `a`, are dropped; of the others the `fill` largest of a row are kept in each
    /// triangle. `drop` zero with as much fill as rows is a complete factorization.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if `drop` is not zero or more; otherwise as [`Ilu::new`](crate::Ilu::new),
    /// but the diagonal need not be stored where fill brings it.
    pub fn new(a: &SerialCsr<T>, drop: f64, fill: usize) -> Result<Ilut<T>> {
        require_drop(drop)?;
        check(METHOD, a)?;
        Ok(Ilut { factors: factor(a, drop, fill)?, drop, fill })
    }

    /// Returns the number of entries of both factors, the diagonal counted once.
    pub fn entries(&self) -> usize {
        self.factors.entries()
    }
}

/// Refuses a threshold that means nothing.
pub(crate) fn require_drop(drop: f64) -> Result<()> {
    require(METHOD, "drop", drop, drop >= 0.0, "zero or more")
}

/// A refill takes any pattern: it depends on the values and is found anew.
impl<T: Scalar> LocalSolver<T> for Ilut<T> {
    fn solve(&self, x: &mut [T]) {
        self.factors.solve(x);
    }

    fn solve_from(&self, b: &[T], x: &mut [T]) {
        self.factors.solve_from(b, x);
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        self.factors.solve_adjoint(x);
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        check(METHOD, a)?;
        self.factors = factor(a, self.drop, self.fill)?;
        Ok(())
    }
}

fn factor<T: Scalar>(a: &SerialCsr<T>, drop: f64, fill: usize) -> Result<Ldu<T>> {
    let (mut factors, pivots) = (Ldu::with_capacity(a.rows(), a.values().len()), Pivots::new(a));
    let mut work = Work { values: vec![T::ZERO; a.rows()], present: vec![false; a.rows()], ..Work::default() };
    for row in 0..a.rows() {
        let (columns, values) = a.row(row);
        columns.iter().zip(values).for_each(|(&column, &value)| work.add(row, column, value));
        work.add(row, number(row), T::ZERO);
        let lower = work.eliminate(row, &factors, drop);
        let upper = work.take_upper(drop * norm2(values));
        let pivot = std::mem::replace(&mut work.values[row], T::ZERO);
        work.present[row] = false;
        let inverse = pivots.inverse(row, pivot).ok_or_else(|| unfit(METHOD, row, Defect::ZeroPivot))?;
        factors.lower.push_row(largest(lower, fill).into_iter());
        let scaled = |(column, value): (Lid, T)| (column, value * inverse);
        factors.upper.push_row(largest(upper, fill).into_iter().rev().map(scaled));
        factors.inverse.push(inverse);
    }
    factors.settle();
    Ok(factors)
}

fn number(row: usize) -> Lid {
    Lid::try_from(row).expect("invariant: a square matrix has rows that number columns")
}

/// The row under way: values and presence by column, and which columns there are.
#[derive(Default)]
struct Work<T> {
    values: Vec<T>,
    present: Vec<bool>,
    lower: BinaryHeap<Reverse<Lid>>,
    upper: Vec<Lid>,
}

impl<T: Scalar> Work<T> {
    fn add(&mut self, row: usize, column: Lid, value: T) {
        self.values[at(column)] += value;
        if !std::mem::replace(&mut self.present[at(column)], true) {
            match at(column) {
                lower if lower < row => self.lower.push(Reverse(column)),
                upper if upper > row => self.upper.push(column),
                _ => (),
            }
        }
    }

    fn take(&mut self, column: Lid) -> T {
        self.present[at(column)] = false;
        std::mem::replace(&mut self.values[at(column)], T::ZERO)
    }

    /// Eliminates the lower part with the rows above; gives the multipliers that are not dropped.
    fn eliminate(&mut self, row: usize, factors: &Ldu<T>, drop: f64) -> Vec<(Lid, T)> {
        let mut multipliers = Vec::new();
        while let Some(Reverse(pivot)) = self.lower.pop() {
            let factor = self.take(pivot);
            let multiplier = factor * factors.inverse[at(pivot)];
            if multiplier == T::ZERO || multiplier.abs().to_f64() < drop {
                continue;
            }
            factors.upper.row(at(pivot)).for_each(|(column, value)| self.add(row, column, -(factor * value)));
            multipliers.push((pivot, multiplier));
        }
        multipliers
    }

    /// Returns the upper part without what is below the threshold.
    fn take_upper(&mut self, threshold: f64) -> Vec<(Lid, T)> {
        let columns = std::mem::take(&mut self.upper);
        let entries = columns.into_iter().map(|column| (column, self.take(column)));
        entries.filter(|(_, value)| *value != T::ZERO && value.abs().to_f64() >= threshold).collect()
    }
}

/// Computes the largest entries by ascending column; of equal ones those of lower columns.
fn largest<T: Scalar>(mut entries: Vec<(Lid, T)>, count: usize) -> Vec<(Lid, T)> {
    if entries.len() > count {
        let size = |value: T| value.abs().to_f64();
        entries.sort_unstable_by(|one, other| size(other.1).total_cmp(&size(one.1)).then(one.0.cmp(&other.0)));
        entries.truncate(count);
    }
    entries.sort_unstable_by_key(|&(column, _)| column);
    entries
}
