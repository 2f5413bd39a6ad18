//! Incomplete LU factorization by level of fill, ILU(k) (Saad, "Iterative Methods for Sparse Linear
//! Systems", 2nd ed., sections 10.3.1 and 10.3.3).
//!
//! An entry of the matrix has level 0; the entry that eliminating `a_ik` with row `k` creates or
//! changes at `(i, j)` has level `lev(i, k) + lev(k, j) + 1`, the least over all `k`. Entries of a
//! level above `k` are left out; on those kept, the product of the factors equals the matrix for
//! `k = 0`. The pattern is found once (`symbolic`), the values at each refill (`numeric`); without
//! fill there is no pattern to be found (`without_fill`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, SerialCsr};

use crate::error::{Defect, Result};
use crate::precond::local::{LocalSolver, Pivots, check, diagonal, require_finite, require_square, unfit};
use crate::precond::scattered::Scattered;
use crate::precond::triangular::{Ldu, Triangle};

const METHOD: &str = "ILU(k)";
/// No row and no level.
const NONE: Lid = Lid::MAX;

/// The factors of an incomplete LU factorization without pivoting.
///
/// Memory: a value and 4 bytes for each entry kept, up to 36 bytes and 3 values for each row.
#[derive(Clone, Debug)]
pub struct Ilu<T> {
    factors: Ldu<T>,
}

impl<T: Scalar> Ilu<T> {
    /// Factors `a`, keeping fill up to `level`: 0 keeps the pattern of the matrix, as many levels as
    /// rows everything.
    ///
    /// # Errors
    /// [`Error::NotSquare`](crate::Error::NotSquare), or [`Error::Unfit`](crate::Error::Unfit) for a
    /// diagonal entry that is not stored, a pivot that is zero to working precision, or a number
    /// that is not finite.
    pub fn new(a: &SerialCsr<T>, level: usize) -> Result<Ilu<T>> {
        if level == 0 {
            return Ok(Ilu { factors: without_fill(a)? });
        }
        check(METHOD, a)?;
        let mut factors = symbolic(a, level)?;
        numeric(&mut factors, a)?;
        Ok(Ilu { factors })
    }

    /// Returns the number of entries of both factors, the diagonal counted once.
    pub fn entries(&self) -> usize {
        self.factors.entries()
    }
}

impl<T: Scalar> LocalSolver<T> for Ilu<T> {
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
        numeric(&mut self.factors, a)
    }
}

/// Factors on the pattern of the matrix: each row is checked and eliminated with the rows above while it is at hand.
fn without_fill<T: Scalar>(a: &SerialCsr<T>) -> Result<Ldu<T>> {
    require_square(METHOD, a)?;
    let diagonals = (0..a.rows()).map(|row| diagonal(METHOD, row, a.row(row).0)).collect::<Result<Vec<usize>>>()?;
    let Some(mut factors) = Ldu::ordered(a, &diagonals) else { return in_rows(a, &diagonals) };
    let Ldu { lower, inverse: inverses, upper } = &mut factors;
    let (mut work, pivots) = (Scattered::new(a.rows()), Pivots::new(a));
    for (row, &diagonal) in diagonals.iter().enumerate() {
        let (columns, values) = a.row(row);
        require_finite(METHOD, row, values)?;
        work.set_all(columns, values);
        lower.update(row, |pivot| eliminate(&mut work, pivot, upper) * inverses[at(pivot)]);
        let inverse = inverse_pivot(&pivots, row, work.get(columns[diagonal]))?;
        upper.update(row, |column| work.get(column) * inverse);
        inverses.push(inverse);
    }
    Ok(factors)
}

/// [`without_fill`], where rows are stored one after the other.
fn in_rows<T: Scalar>(a: &SerialCsr<T>, diagonals: &[usize]) -> Result<Ldu<T>> {
    let mut factors = Ldu::with_capacity(a.rows(), a.values().len() / 2);
    let Ldu { lower, inverse: inverses, upper } = &mut factors;
    let (mut work, pivots) = (Scattered::new(a.rows()), Pivots::new(a));
    for (row, &diagonal) in diagonals.iter().enumerate() {
        let (columns, values) = a.row(row);
        require_finite(METHOD, row, values)?;
        work.set_all(columns, values);
        let below = columns[..diagonal].iter();
        lower.push_row(below.map(|&pivot| (pivot, eliminate(&mut work, pivot, upper) * inverses[at(pivot)])));
        let inverse = inverse_pivot(&pivots, row, work.get(columns[diagonal]))?;
        let above = columns[diagonal + 1..].iter().rev();
        upper.push_row(above.map(|&column| (column, work.get(column) * inverse)));
        inverses.push(inverse);
    }
    factors.settle();
    Ok(factors)
}

/// Subtracts the multiple of a row above that leaves nothing of an entry; gives that entry.
#[inline(always)]
fn eliminate<T: Scalar>(work: &mut Scattered<T>, pivot: Lid, upper: &Triangle<T>) -> T {
    let factor = work.get(pivot);
    upper.row(at(pivot)).for_each(|(column, value)| work.subtract(column, factor * value));
    factor
}

fn inverse_pivot<T: Scalar>(pivots: &Pivots<'_, T>, row: usize, pivot: T) -> Result<T> {
    pivots.inverse(row, pivot).ok_or_else(|| unfit(METHOD, row, Defect::ZeroPivot))
}

/// Adds a row of zeros at ascending columns.
fn push_row<T: Scalar>(factors: &mut Ldu<T>, lower: &[Lid], upper: &[Lid]) {
    factors.lower.push_row(lower.iter().map(|&column| (column, T::ZERO)));
    factors.upper.push_row(upper.iter().rev().map(|&column| (column, T::ZERO)));
    factors.inverse.push(T::ZERO);
}

/// Factors of the pattern with all fill up to a level, values zero.
fn symbolic<T: Scalar>(a: &SerialCsr<T>, level: usize) -> Result<Ldu<T>> {
    let most = Lid::try_from(level).map_or(NONE - 1, |level| level.min(NONE - 1));
    let mut factors = Ldu::with_capacity(a.rows(), a.values().len());
    // Levels of the upper rows so far, in the order of their columns there.
    let (mut starts, mut upper_levels) = (vec![0], Vec::<Lid>::new());
    let mut levels = vec![NONE; a.rows()];
    let mut pending = BinaryHeap::new();
    for row in 0..a.rows() {
        let own = a.row(row).0;
        diagonal(METHOD, row, own)?;
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        let mut note = |column: Lid, level: Lid, levels: &mut [Lid], pending: &mut BinaryHeap<Reverse<Lid>>| {
            let known = &mut levels[at(column)];
            if *known == NONE && at(column) < row {
                pending.push(Reverse(column));
            } else if *known == NONE && at(column) > row {
                upper.push(column);
            }
            *known = level.min(*known);
        };
        own.iter().for_each(|&column| note(column, 0, &mut levels, &mut pending));
        while let Some(Reverse(pivot)) = pending.pop() {
            lower.push(pivot);
            let left = levels[at(pivot)];
            let span = starts[at(pivot)]..starts[at(pivot) + 1];
            for ((column, _), &right) in factors.upper.row(at(pivot)).zip(&upper_levels[span]) {
                let fill = left.saturating_add(right).saturating_add(1);
                if fill <= most {
                    note(column, fill, &mut levels, &mut pending);
                }
            }
        }
        upper.sort_unstable();
        push_row(&mut factors, &lower, &upper);
        upper_levels.extend(upper.iter().rev().map(|&column| levels[at(column)]));
        starts.push(upper_levels.len());
        lower.iter().chain(&upper).for_each(|&column| levels[at(column)] = NONE);
        levels[row] = NONE;
    }
    Ok(factors)
}

/// The values of the factors on their pattern, row by row (Saad, algorithm 10.3).
fn numeric<T: Scalar>(factors: &mut Ldu<T>, a: &SerialCsr<T>) -> Result<()> {
    if a.rows() != factors.inverse.len() {
        return Err(unfit(METHOD, a.rows().min(factors.inverse.len()), Defect::NotInPattern));
    }
    let (mut work, pivots) = (Scattered::new(a.rows()), Pivots::new(a));
    let Ldu { lower, inverse: inverses, upper } = factors;
    for (row, number) in (0..a.rows()).zip(0..) {
        work.begin();
        work.set(number, T::ZERO);
        lower.row(row).chain(upper.row(row)).for_each(|(column, _)| work.set(column, T::ZERO));
        let (columns, values) = a.row(row);
        if !columns.iter().all(|&column| work.has(column)) {
            return Err(unfit(METHOD, row, Defect::NotInPattern));
        }
        work.set_all(columns, values);
        lower.update(row, |pivot| eliminate(&mut work, pivot, upper) * inverses[at(pivot)]);
        let inverse = inverse_pivot(&pivots, row, work.get(number))?;
        inverses[row] = inverse;
        upper.update(row, |column| work.get(column) * inverse);
    }
    Ok(())
}
