//! Triangular factors and the solves with them: what an application of ILU, IC or SSOR costs.
//!
//! All of them are kept as `L D U` with unit triangles. A solve with rows in natural order is a chain:
//! row `i` waits for `x[i - 1]`, and where it finds it in memory, that takes longer than all else. So
//! the entry next to the diagonal is stored apart and multiplied last, with the number that has just
//! been computed and still is in a register; with a unit diagonal the chain then is one
//! multiplication and one subtraction a row. On the lines of a grid this takes half of the time of a
//! plain loop over rows. Rows of `L` have ascending columns, rows of `U` descending ones, and the
//! division by the pivot, a multiplication with its inverse, meets the right-hand side before the
//! chain does.
//!
//! Traffic of a solve: a value and a 4-byte column for each entry of both triangles, 8 bytes and a value
//! for each row of each, the inverse diagonal, and `x` read and written twice.

use std::ops::Range;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, memory};

/// Which triangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Lower,
    Upper,
}

/// The rows of a strict triangle, one after the other; entries next to the diagonal apart.
#[derive(Clone, Debug)]
pub(super) struct Triangle<T> {
    half: Half,
    starts: Vec<usize>,
    columns: Vec<Lid>,
    values: Vec<T>,
    /// The entry next to the diagonal, zero if it is not stored.
    near: Vec<T>,
    /// True if it is stored.
    linked: Vec<bool>,
}

impl<T: Scalar> Triangle<T> {
    /// Without rows, with room for some.
    pub(super) fn with_capacity(half: Half, rows: usize, entries: usize) -> Triangle<T> {
        let mut starts = memory::with_capacity(rows + 1);
        starts.push(0);
        let (columns, values) = (memory::with_capacity(entries), memory::with_capacity(entries));
        let (near, linked) = (memory::with_capacity(rows), memory::with_capacity(rows));
        Triangle { half, starts, columns, values, near, linked }
    }

    /// Adds a row: ascending columns to a lower triangle, descending ones to an upper one.
    #[inline(always)]
    pub(super) fn push_row(&mut self, entries: impl Iterator<Item = (Lid, T)>) {
        let beside = self.beside(self.near.len());
        let mut near = None;
        entries.for_each(|(column, value)| {
            if at(column) == beside {
                near = Some(value);
            } else {
                self.columns.push(column);
                self.values.push(value);
            }
        });
        self.starts.push(self.columns.len());
        self.near.push(near.unwrap_or(T::ZERO));
        self.linked.push(near.is_some());
    }

    /// Returns the column next to the diagonal; one past all columns if there is none.
    fn beside(&self, row: usize) -> usize {
        match self.half {
            Half::Lower => row.wrapping_sub(1),
            Half::Upper => row + 1,
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.columns.len() + self.linked.iter().filter(|linked| **linked).count()
    }

    /// Columns and values of a row, in the order in which they were given.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (Lid, T)> {
        let others = self.starts[row]..self.starts[row + 1];
        let others = self.columns[others.clone()].iter().copied().zip(self.values[others].iter().copied());
        others.chain(self.linked[row].then(|| (self.beside_number(row), self.near[row])))
    }

    fn beside_number(&self, row: usize) -> Lid {
        Lid::try_from(self.beside(row)).expect("invariant: it was a column before")
    }

    /// Sets the values of a row, in the order in which they were given.
    #[inline(always)]
    pub(super) fn update(&mut self, row: usize, mut value: impl FnMut(Lid) -> T) {
        let others = self.starts[row]..self.starts[row + 1];
        for (&column, entry) in self.columns[others.clone()].iter().zip(&mut self.values[others]) {
            *entry = value(column);
        }
        if self.linked[row] {
            self.near[row] = value(self.beside_number(row));
        }
    }

    /// Computes the conjugate transpose of a lower triangle.
    pub(super) fn adjoint(&self) -> Triangle<T> {
        let rows = self.near.len();
        // Until all entries are in place, start `row + 1` is where the next entry of the row goes.
        let mut starts = memory::zeros(rows + 2);
        self.columns.iter().for_each(|&column| starts[at(column) + 2] += 1);
        (2..rows + 2).for_each(|row| starts[row] += starts[row - 1]);
        let (mut columns, mut values) = (memory::zeros(self.columns.len()), memory::zeros(self.columns.len()));
        let last = Lid::try_from(rows).expect("invariant: rows are counted in 32 bits");
        for (bounds, number) in self.starts.windows(2).rev().zip((0..last).rev()) {
            let entries = bounds[0]..bounds[1];
            for (&column, value) in self.columns[entries.clone()].iter().zip(&self.values[entries]) {
                let slot = &mut starts[at(column) + 1];
                (columns[*slot], values[*slot]) = (number, value.conj());
                *slot += 1;
            }
        }
        starts.pop();
        // Entry (i, i - 1) becomes entry (i - 1, i).
        let near = self.near.iter().skip(1).map(|value| value.conj()).chain([T::ZERO]).take(rows).collect();
        let linked = self.linked.iter().skip(1).copied().chain([false]).take(rows).collect();
        Triangle { half: Half::Upper, starts, columns, values, near, linked }
    }

    /// Returns `start` minus the product of a row, but for the entry next to the diagonal, with `x`.
    #[inline(always)]
    fn remainder(&self, others: Range<usize>, start: T, x: &[T]) -> T {
        let (columns, values) = (&self.columns[others.clone()], &self.values[others]);
        columns.iter().zip(values).fold(start, |rest, (&column, &value)| rest - value * x[at(column)])
    }
}

/// `L D U` of unit triangles, the diagonal inverted.
#[derive(Clone, Debug)]
pub(super) struct Ldu<T> {
    pub(super) lower: Triangle<T>,
    pub(super) inverse: Vec<T>,
    pub(super) upper: Triangle<T>,
}

impl<T: Scalar> Ldu<T> {
    /// With room for triangles of this number of rows and entries.
    pub(super) fn with_capacity(rows: usize, entries: usize) -> Ldu<T> {
        let [lower, upper] = [Half::Lower, Half::Upper].map(|half| Triangle::with_capacity(half, rows, entries));
        Ldu { lower, inverse: memory::with_capacity(rows), upper }
    }

    /// Entries of both triangles and the diagonal.
    pub(super) fn entries(&self) -> usize {
        self.lower.entries() + self.inverse.len() + self.upper.entries()
    }

    /// Computes `x = (L D U)^-1 x`.
    pub(super) fn solve(&self, x: &mut [T]) {
        let Ldu { lower, inverse, upper } = self;
        assert_eq!(x.len(), inverse.len(), "invariant: an entry for each row");
        let mut last = T::ZERO;
        for ((row, others), &near) in lower.starts.windows(2).enumerate().zip(&lower.near) {
            last = lower.remainder(others[0]..others[1], x[row], x) - near * last;
            x[row] = last;
        }
        last = T::ZERO;
        for ((row, others), &near) in upper.starts.windows(2).enumerate().zip(&upper.near).rev() {
            last = upper.remainder(others[0]..others[1], x[row] * inverse[row], x) - near * last;
            x[row] = last;
        }
    }

    /// Computes `x = (L D U)^-H x`, by columns.
    pub(super) fn solve_adjoint(&self, x: &mut [T]) {
        assert_eq!(x.len(), self.inverse.len(), "invariant: an entry for each row");
        for row in 0..x.len() {
            let known = x[row];
            self.upper.row(row).for_each(|(column, value)| x[at(column)] -= value.conj() * known);
            x[row] = known * self.inverse[row].conj();
        }
        for row in (0..x.len()).rev() {
            let known = x[row];
            self.lower.row(row).for_each(|(column, value)| x[at(column)] -= value.conj() * known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes `L = [1 . .; 2 1 .; 3 4 1]`, `D = diag(2, 4, 8)`, `U = [1 5 6; . 1 7; . . 1]`.
    fn by_hand() -> Ldu<f64> {
        let mut ldu = Ldu::with_capacity(3, 3);
        ldu.inverse.extend([0.5, 0.25, 0.125]);
        for row in [&[][..], &[(0, 2.0)], &[(0, 3.0), (1, 4.0)]] {
            ldu.lower.push_row(row.iter().copied());
        }
        for row in [&[(2, 6.0), (1, 5.0)][..], &[(2, 7.0)], &[]] {
            ldu.upper.push_row(row.iter().copied());
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
    fn rows_keep_their_order() {
        let Ldu { mut lower, upper, .. } = by_hand();
        assert_eq!((lower.entries(), upper.entries()), (3, 3));
        assert!(lower.row(2).eq([(0, 3.0), (1, 4.0)]) && upper.row(0).eq([(2, 6.0), (1, 5.0)]));
        assert!(lower.adjoint().row(0).eq([(2, 3.0), (1, 2.0)]));
        assert!(lower.adjoint().row(1).eq([(2, 4.0)]) && lower.adjoint().row(2).next().is_none());
        lower.update(2, |column| if column == 0 { 7.0 } else { 8.0 });
        assert!(lower.row(2).eq([(0, 7.0), (1, 8.0)]));
    }
}
