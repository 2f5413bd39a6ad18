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
//! On other matrices the processor does not know where a row ends, and guessing wrong takes longer than a row. Where
//! rows of different lengths follow each other, they are therefore filled with zeros up to whole groups of four
//! entries: most rows of a mesh then have one group. One thread of a Zen 5, both triangles: 4.5 instead of
//! 9.3 ms on a 2-D mesh of 600 000 rows, 3.3 instead of 4.4 on a 3-D mesh of 200 000.
//!
//! Traffic of a solve: a value and a 4-byte column for each entry of both triangles, 8 bytes and a value
//! for each row of each, the inverse diagonal, and `x` read and written twice.

use std::ops::Range;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, memory};

/// Entries of a row that are multiplied together where rows are padded.
const GROUP: usize = 4;
/// Entries of padding that cost as much as one end of a row that was not foreseen.
const SURPRISE: usize = 8;

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
    /// Rows are filled up to whole groups, with zeros in the column of the diagonal, which a strict triangle has not.
    padded: bool,
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
        Triangle { half, padded: false, starts, columns, values, near, linked }
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
        let others: usize = (0..self.near.len()).map(|row| self.others(row).len()).sum();
        others + self.linked.iter().filter(|linked| **linked).count()
    }

    /// Returns the positions of a row's entries, but for the one next to the diagonal.
    #[inline(always)]
    fn others(&self, row: usize) -> Range<usize> {
        let Range { start, mut end } = self.starts[row]..self.starts[row + 1];
        if self.padded {
            while end > start && at(self.columns[end - 1]) == row {
                end -= 1;
            }
        }
        start..end
    }

    /// Pads the rows where that makes a solve faster. No row can be added afterwards.
    fn pad(&mut self) {
        let lens = || self.starts.windows(2).map(|bounds| bounds[1] - bounds[0]);
        let padding: usize = lens().map(|len| len.next_multiple_of(GROUP) - len).sum();
        let surprises = lens().zip(lens().skip(1)).filter(|(one, next)| one != next).count();
        if self.padded || padding >= SURPRISE * surprises {
            return;
        }
        let entries = self.columns.len() + padding;
        let (mut columns, mut values) = (memory::with_capacity(entries), memory::with_capacity(entries));
        let mut first = 0;
        let last = Lid::try_from(self.near.len()).expect("invariant: rows are counted in 32 bits");
        for (row, end) in (0..last).zip(&mut self.starts[1..]) {
            columns.extend_from_slice(&self.columns[first..*end]);
            values.extend_from_slice(&self.values[first..*end]);
            let padding = (*end - first).next_multiple_of(GROUP) - (*end - first);
            columns.extend(std::iter::repeat_n(row, padding));
            values.extend(std::iter::repeat_n(T::ZERO, padding));
            first = std::mem::replace(end, columns.len());
        }
        (self.columns, self.values, self.padded) = (columns, values, true);
    }

    /// Columns and values of a row, in the order in which they were given.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (Lid, T)> {
        let others = self.others(row);
        let others = self.columns[others.clone()].iter().copied().zip(self.values[others].iter().copied());
        others.chain(self.linked[row].then(|| (self.beside_number(row), self.near[row])))
    }

    fn beside_number(&self, row: usize) -> Lid {
        Lid::try_from(self.beside(row)).expect("invariant: it was a column before")
    }

    /// Sets the values of a row, in the order in which they were given.
    #[inline(always)]
    pub(super) fn update(&mut self, row: usize, mut value: impl FnMut(Lid) -> T) {
        let others = self.others(row);
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
        for row in 0..rows {
            self.columns[self.others(row)].iter().for_each(|&column| starts[at(column) + 2] += 1);
        }
        (2..rows + 2).for_each(|row| starts[row] += starts[row - 1]);
        let (mut columns, mut values) = (memory::zeros(starts[rows + 1]), memory::zeros(starts[rows + 1]));
        let last = Lid::try_from(rows).expect("invariant: rows are counted in 32 bits");
        for number in (0..last).rev() {
            let entries = self.others(at(number));
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
        Triangle { half: Half::Upper, padded: false, starts, columns, values, near, linked }
    }

    /// Returns `start` minus the product of a row, but for the entry next to the diagonal, with `x`.
    #[inline(always)]
    fn remainder<const PADDED: bool>(&self, row: usize, start: T, x: &[T]) -> T {
        let others = self.starts[row]..self.starts[row + 1];
        let (columns, values) = (&self.columns[others.clone()], &self.values[others]);
        let subtract = |rest, (&column, &value): (&Lid, &T)| rest - value * x[at(column)];
        if !PADDED {
            return columns.iter().zip(values).fold(start, subtract);
        }
        let groups = columns.as_chunks::<GROUP>().0.iter().zip(values.as_chunks::<GROUP>().0);
        groups.fold(start, |rest, (columns, values)| columns.iter().zip(values).fold(rest, subtract))
    }

    /// Computes `x = (triangle)^-1 start(x)`, where `start` is given a row and its entry of `x`.
    #[inline(always)]
    fn solve(&self, x: &mut [T], start: impl Fn(usize, T) -> T) {
        if self.padded { self.solve_rows::<true>(x, start) } else { self.solve_rows::<false>(x, start) }
    }

    #[inline(always)]
    fn solve_rows<const PADDED: bool>(&self, x: &mut [T], start: impl Fn(usize, T) -> T) {
        let mut last = T::ZERO;
        let mut solve_row = |row: usize| {
            last = self.remainder::<PADDED>(row, start(row, x[row]), x) - self.near[row] * last;
            x[row] = last;
        };
        match self.half {
            Half::Lower => (0..self.near.len()).for_each(&mut solve_row),
            Half::Upper => (0..self.near.len()).rev().for_each(&mut solve_row),
        }
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

    /// Prepares for solves, once all rows are there.
    pub(super) fn settle(&mut self) {
        self.lower.pad();
        self.upper.pad();
    }

    /// Computes `x = (L D U)^-1 x`.
    pub(super) fn solve(&self, x: &mut [T]) {
        let Ldu { lower, inverse, upper } = self;
        assert_eq!(x.len(), inverse.len(), "invariant: an entry for each row");
        lower.solve(x, |_, x| x);
        upper.solve(x, |row, x| x * inverse[row]);
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
    fn padding_changes_no_solution() {
        // 0, 1, ... 5 entries besides those next to the diagonal, again and again.
        let (count, value) = (40, |row: Lid, column: Lid| f64::from((row * 7 + column * 3) % 11) / 8.0 - 0.5);
        let mut plain = Ldu::with_capacity(count, 0);
        for row in 0..40 {
            let few = row % 6;
            plain
                .lower
                .push_row((0..row).filter(|column| row - column <= few + 1).map(|column| (column, value(row, column))));
            plain.upper.push_row(
                (row + 1..40).rev().filter(|column| column - row <= few + 1).map(|column| (column, value(row, column))),
            );
            plain.inverse.push(1.0 + f64::from(few));
        }
        let mut padded = plain.clone();
        padded.settle();
        assert!(padded.lower.padded && padded.upper.padded);
        assert_eq!(padded.entries(), plain.entries());
        let b: Vec<f64> = (0..40).map(|row| 1.0 / (1.0 + f64::from(row))).collect();
        let (mut x, mut y) = (b.clone(), b.clone());
        plain.solve(&mut x);
        padded.solve(&mut y);
        assert_eq!(x, y);
        plain.solve_adjoint(&mut x);
        padded.solve_adjoint(&mut y);
        assert_eq!(x, y);
        for row in 0..count {
            assert!(plain.lower.row(row).eq(padded.lower.row(row)) && plain.upper.row(row).eq(padded.upper.row(row)));
            assert!(plain.lower.adjoint().row(row).eq(padded.lower.adjoint().row(row)));
            padded.lower.update(row, |_| 2.0);
        }
        assert!(padded.lower.row(5).all(|(_, value)| value == 2.0) && padded.lower.values.contains(&0.0));
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
