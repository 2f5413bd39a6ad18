//! Triangular factors and the solves with them: what an application of ILU, IC or SSOR costs.
//!
//! All of them are kept as `L D U` with unit triangles. A solve with rows in natural order is a chain:
//! row `i` waits for `x[i - 1]`. With a unit diagonal the chain is one multiplication and one
//! subtraction a row, since the row above is subtracted last: rows of `L` have ascending columns, rows
//! of `U` descending ones, and the division by the pivot, a multiplication with its inverse, meets
//! the right-hand side before the chain does.
//!
//! Traffic of a solve: a value, a 4-byte column for each entry of both triangles, 8 bytes for each
//! row of each, the inverse diagonal, and `x` read and written twice.

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar};

/// The rows of a strict triangle, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Triangle<T> {
    starts: Vec<usize>,
    columns: Vec<Lid>,
    values: Vec<T>,
}

impl<T: Scalar> Triangle<T> {
    /// Without rows, with room for some.
    pub(super) fn with_capacity(rows: usize, entries: usize) -> Triangle<T> {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Triangle { starts, columns: Vec::with_capacity(entries), values: Vec::with_capacity(entries) }
    }

    /// Adds an entry to the row that [`Triangle::end_row`] will end.
    pub(super) fn push(&mut self, column: Lid, value: T) {
        self.columns.push(column);
        self.values.push(value);
    }

    pub(super) fn end_row(&mut self) {
        self.starts.push(self.columns.len());
    }

    pub(super) fn entries(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn row(&self, row: usize) -> (&[Lid], &[T]) {
        let entries = self.starts[row]..self.starts[row + 1];
        (&self.columns[entries.clone()], &self.values[entries])
    }

    pub(super) fn row_mut(&mut self, row: usize) -> (&[Lid], &mut [T]) {
        let entries = self.starts[row]..self.starts[row + 1];
        (&self.columns[entries.clone()], &mut self.values[entries])
    }

    /// The conjugate transpose of a lower triangle, columns of its rows descending.
    pub(super) fn adjoint(&self) -> Triangle<T> {
        let rows = self.starts.len() - 1;
        let mut starts = vec![0; rows + 1];
        self.columns.iter().for_each(|&column| starts[at(column) + 1] += 1);
        (0..rows).for_each(|row| starts[row + 1] += starts[row]);
        let mut next = starts.clone();
        let (mut columns, mut values) = (vec![0; self.entries()], vec![T::ZERO; self.entries()]);
        let numbered: Vec<(usize, Lid)> = (0..rows).zip(0..).collect();
        for &(row, number) in numbered.iter().rev() {
            let (own, factors) = self.row(row);
            for (&column, value) in own.iter().zip(factors) {
                let slot = next[at(column)];
                next[at(column)] += 1;
                (columns[slot], values[slot]) = (number, value.conj());
            }
        }
        Triangle { starts, columns, values }
    }
}

/// `L D U` of unit triangles, the diagonal inverted; columns of `lower` ascend, those of `upper` descend.
#[derive(Clone, Debug)]
pub(super) struct Ldu<T> {
    pub(super) lower: Triangle<T>,
    pub(super) inverse: Vec<T>,
    pub(super) upper: Triangle<T>,
}

impl<T: Scalar> Ldu<T> {
    /// With room for triangles of so many rows and entries.
    pub(super) fn with_capacity(rows: usize, lower: usize, upper: usize) -> Ldu<T> {
        let (lower, upper) = (Triangle::with_capacity(rows, lower), Triangle::with_capacity(rows, upper));
        Ldu { lower, inverse: Vec::with_capacity(rows), upper }
    }

    /// Entries of both triangles and the diagonal.
    pub(super) fn entries(&self) -> usize {
        self.lower.entries() + self.inverse.len() + self.upper.entries()
    }

    /// `x = (L D U)^-1 x`.
    pub(super) fn solve(&self, x: &mut [T]) {
        assert_eq!(x.len(), self.inverse.len(), "invariant: an entry for each row");
        for (row, bounds) in self.lower.starts.windows(2).enumerate() {
            x[row] = remainder(&self.lower, bounds[0]..bounds[1], x[row], x);
        }
        for (row, bounds) in self.upper.starts.windows(2).enumerate().rev() {
            x[row] = remainder(&self.upper, bounds[0]..bounds[1], x[row] * self.inverse[row], x);
        }
    }

    /// `x = (L D U)^-H x`, by columns.
    pub(super) fn solve_adjoint(&self, x: &mut [T]) {
        assert_eq!(x.len(), self.inverse.len(), "invariant: an entry for each row");
        for row in 0..x.len() {
            eliminate(self.upper.row(row), x[row], x);
            x[row] *= self.inverse[row].conj();
        }
        for row in (0..x.len()).rev() {
            eliminate(self.lower.row(row), x[row], x);
        }
    }
}

/// `start` minus the product of a row with `x`, in stored order.
#[inline(always)]
fn remainder<T: Scalar>(triangle: &Triangle<T>, entries: std::ops::Range<usize>, start: T, x: &[T]) -> T {
    let (columns, values) = (&triangle.columns[entries.clone()], &triangle.values[entries]);
    columns.iter().zip(values).fold(start, |rest, (&column, &value)| rest - value * x[at(column)])
}

/// `x = x - known conj(row)`.
#[inline(always)]
fn eliminate<T: Scalar>((columns, values): (&[Lid], &[T]), known: T, x: &mut [T]) {
    for (&column, value) in columns.iter().zip(values) {
        x[at(column)] -= value.conj() * known;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `L = [1 . .; 2 1 .; 3 4 1]`, `D = diag(2, 4, 8)`, `U = [1 5 6; . 1 7; . . 1]`.
    fn by_hand() -> Ldu<f64> {
        let mut ldu = Ldu::with_capacity(3, 3, 3);
        ldu.inverse.extend([0.5, 0.25, 0.125]);
        for row in [&[][..], &[(0, 2.0)], &[(0, 3.0), (1, 4.0)]] {
            row.iter().for_each(|&(column, value)| ldu.lower.push(column, value));
            ldu.lower.end_row();
        }
        for row in [&[(2, 6.0), (1, 5.0)][..], &[(2, 7.0)], &[]] {
            row.iter().for_each(|&(column, value)| ldu.upper.push(column, value));
            ldu.upper.end_row();
        }
        ldu
    }

    #[test]
    fn solves_by_hand() {
        // L D U = [2 10 12; 4 24 52; 6 46 156], times (1, -1, 2).
        let mut x = [16.0, 84.0, 272.0];
        by_hand().solve(&mut x);
        assert_eq!(x, [1.0, -1.0, 2.0]);
        let mut x = [10.0, 78.0, 272.0];
        by_hand().solve_adjoint(&mut x);
        assert_eq!(x, [1.0, -1.0, 2.0]);
    }

    #[test]
    fn an_adjoint_has_descending_columns() {
        let adjoint = by_hand().lower.adjoint();
        assert_eq!(adjoint.row(0), (&[2, 1][..], &[3.0, 2.0][..]));
        assert_eq!(adjoint.row(1), (&[2][..], &[4.0][..]));
        assert_eq!(adjoint.row(2), (&[][..], &[][..]));
    }
}
