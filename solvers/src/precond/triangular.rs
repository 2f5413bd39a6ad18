//! Triangular factors and the solves with them: what an application of ILU, IC or SSOR costs.
//!
//! All of them are kept as `L D U` with unit triangles. Rows of `L` have ascending columns, rows of `U` descending ones,
//! and the division by the pivot, a multiplication with its inverse, meets the right-hand side before other rows do.
//! Triangles whose rows are alike are solved row after row ([`chain`]), others level by level ([`levels`]); the
//! bits are the same.
//!
//! Traffic of a solve: a value and a 4-byte column for each entry of both triangles, 6 bytes for each row of each, or 8
//! bytes and a value in a chain, the inverse diagonal, the right-hand side read once, and `x` read once and written twice.

mod chain;
mod levels;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, SerialCsr, memory};

use chain::Chain;
use levels::{Levels, Pattern};

/// One row in so many has another number of entries than the one before where a triangle is ordered by levels.
const SURPRISING: usize = 4;

/// Which triangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Lower,
    Upper,
}

impl Half {
    /// Returns the column next to the diagonal; one past all columns if there is none.
    fn beside(self, row: usize) -> usize {
        match self {
            Half::Lower => row.wrapping_sub(1),
            Half::Upper => row + 1,
        }
    }

    /// [`Half::beside`] of a row that has an entry there.
    fn beside_number(self, row: usize) -> Lid {
        Lid::try_from(self.beside(row)).expect("invariant: it was a column before")
    }
}

/// Returns true if rows of these lengths are better ordered by levels.
fn are_irregular(lens: impl Iterator<Item = usize> + Clone) -> bool {
    let surprises = lens.clone().zip(lens.clone().skip(1)).filter(|(one, next)| one != next).count();
    surprises * SURPRISING > lens.count()
}

/// A strict triangle of a matrix, whose rows have the diagonal at these positions.
struct OfMatrix<'a, T> {
    half: Half,
    a: &'a SerialCsr<T>,
    diagonals: &'a [usize],
}

impl<T: Scalar> Pattern for OfMatrix<'_, T> {
    fn half(&self) -> Half {
        self.half
    }

    fn rows(&self) -> usize {
        self.a.rows()
    }

    fn entries(&self) -> usize {
        let below: usize = self.diagonals.iter().sum();
        match self.half {
            Half::Lower => below,
            Half::Upper => self.a.values().len() - self.a.rows() - below,
        }
    }

    #[inline(always)]
    fn columns(&self, row: usize) -> impl ExactSizeIterator<Item = Lid> {
        let (columns, diagonal) = (self.a.row(row).0, self.diagonals[row]);
        let backwards = self.half == Half::Upper;
        let columns = if backwards { &columns[diagonal + 1..] } else { &columns[..diagonal] };
        let len = columns.len();
        (0..len).map(move |k| columns[if backwards { len - 1 - k } else { k }])
    }
}

impl<T: Scalar> Pattern for Chain<T> {
    fn half(&self) -> Half {
        self.half()
    }

    fn rows(&self) -> usize {
        self.rows()
    }

    fn entries(&self) -> usize {
        self.entries()
    }

    #[inline(always)]
    fn columns(&self, row: usize) -> impl ExactSizeIterator<Item = Lid> {
        let (others, _, near) = self.row(row);
        let beside = near.map_or(Lid::MAX, |_| self.half().beside_number(row));
        (0..others.len() + usize::from(near.is_some())).map(move |k| others.get(k).copied().unwrap_or(beside))
    }
}

/// A strict triangle.
#[derive(Clone, Debug)]
pub(super) enum Triangle<T> {
    /// Rows in their order, to which others can be added.
    Chain(Chain<T>),
    /// Rows in the order of a solve.
    Levels(Levels<T>),
}

impl<T: Scalar> Triangle<T> {
    /// Without rows, with room for some.
    pub(super) fn with_capacity(half: Half, rows: usize, entries: usize) -> Triangle<T> {
        Triangle::Chain(Chain::with_capacity(half, rows, entries))
    }

    /// Adds a row: ascending columns to a lower triangle, descending ones to an upper one.
    #[inline(always)]
    pub(super) fn push_row(&mut self, entries: impl Iterator<Item = (Lid, T)>) {
        match self {
            Triangle::Chain(chain) => chain.push_row(entries),
            Triangle::Levels(_) => panic!("invariant: rows are added before they are ordered"),
        }
    }

    pub(super) fn entries(&self) -> usize {
        match self {
            Triangle::Chain(chain) => chain.entries(),
            Triangle::Levels(levels) => levels.entries(),
        }
    }

    fn half(&self) -> Half {
        match self {
            Triangle::Chain(chain) => chain.half(),
            Triangle::Levels(levels) => levels.half(),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Triangle::Chain(chain) => chain.rows(),
            Triangle::Levels(levels) => levels.rows(),
        }
    }

    /// Orders the rows where that makes a solve faster. No row can be added afterwards.
    fn settle(&mut self) {
        if let Triangle::Chain(chain) = self
            && are_irregular(chain.lens())
            && let Some(levels) = Levels::new(chain)
        {
            let mut ordered = Triangle::Levels(levels);
            for row in 0..chain.rows() {
                let (_, others, near) = chain.row(row);
                let mut values = others.iter().copied().chain(near);
                ordered.update(row, |_| values.next().expect("invariant: a value for each column"));
            }
            *self = ordered;
        }
    }

    /// Columns and values of a row, but for the entry next to the diagonal where that stands apart, and that one.
    #[inline(always)]
    fn parts(&self, row: usize) -> (&[Lid], &[T], Option<T>) {
        match self {
            Triangle::Chain(chain) => chain.row(row),
            Triangle::Levels(levels) => {
                let (columns, values) = levels.row(row);
                (columns, values, None)
            }
        }
    }

    /// Columns and values of a row, in the order in which they were given.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (Lid, T)> {
        let (columns, values, near) = self.parts(row);
        let near = near.map(|near| (self.half().beside_number(row), near));
        columns.iter().copied().zip(values.iter().copied()).chain(near)
    }

    /// Sets the values of a row, in the order in which they were given.
    #[inline(always)]
    pub(super) fn update(&mut self, row: usize, mut value: impl FnMut(Lid) -> T) {
        let half = self.half();
        let (columns, values, near) = match self {
            Triangle::Chain(chain) => chain.row_mut(row),
            Triangle::Levels(levels) => {
                let (columns, values) = levels.row_mut(row);
                (columns, values, None)
            }
        };
        columns.iter().zip(values).for_each(|(&column, entry)| *entry = value(column));
        if let Some(near) = near {
            *near = value(half.beside_number(row));
        }
    }

    /// Computes the conjugate transpose of a lower triangle.
    pub(super) fn adjoint(&self) -> Triangle<T> {
        let rows = self.rows();
        // Until all entries are in place, start `row + 1` is where the next entry of the row goes.
        let (mut starts, mut near, mut linked) = (memory::zeros(rows + 2), memory::zeros(rows), vec![false; rows]);
        let is_near = |row: usize, column: Lid| at(column) + 1 == row;
        for row in 0..rows {
            let others = self.parts(row).0.iter().filter(|column| !is_near(row, **column));
            others.for_each(|&column| starts[at(column) + 2] += 1);
        }
        (2..rows + 2).for_each(|row| starts[row] += starts[row - 1]);
        let (mut columns, mut values) = (memory::zeros(starts[rows + 1]), memory::zeros(starts[rows + 1]));
        let last = Lid::try_from(rows).expect("invariant: rows are counted in 32 bits");
        for number in (0..last).rev() {
            self.row(at(number)).for_each(|(column, value)| {
                let row = at(column);
                if is_near(at(number), column) {
                    (near[row], linked[row]) = (value.conj(), true);
                } else {
                    let slot = &mut starts[row + 1];
                    (columns[*slot], values[*slot]) = (number, value.conj());
                    *slot += 1;
                }
            });
        }
        starts.pop();
        Triangle::Chain(Chain::from_arrays(Half::Upper, starts, columns, values, near, linked))
    }

    /// Computes `x = (triangle)^-1 b`, where `start` is given a row and `x` so far and returns the entry of `b`.
    #[inline(always)]
    fn solve(&self, x: &mut [T], start: impl Fn(usize, &[T]) -> T) {
        match self {
            Triangle::Chain(chain) => chain.solve(x, start),
            Triangle::Levels(levels) => levels.solve(x, start),
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

    /// Returns triangles of zeros in the pattern of a matrix, ordered for solves, if that makes them faster.
    pub(super) fn ordered(a: &SerialCsr<T>, diagonals: &[usize]) -> Option<Ldu<T>> {
        if !are_irregular(a.row_offsets().windows(2).map(|bounds| bounds[1] - bounds[0])) {
            return None;
        }
        let triangle = |half| Levels::new(&OfMatrix { half, a, diagonals }).map(Triangle::Levels);
        let inverse = memory::with_capacity(a.rows());
        Some(Ldu { lower: triangle(Half::Lower)?, inverse, upper: triangle(Half::Upper)? })
    }

    /// Entries of both triangles and the diagonal.
    pub(super) fn entries(&self) -> usize {
        self.lower.entries() + self.inverse.len() + self.upper.entries()
    }

    /// Prepares for solves, once all rows are there.
    pub(super) fn settle(&mut self) {
        self.lower.settle();
        self.upper.settle();
    }

    /// Computes `x = (L D U)^-1 x`.
    pub(super) fn solve(&self, x: &mut [T]) {
        assert_eq!(x.len(), self.inverse.len(), "invariant: an entry for each row");
        self.lower.solve(x, |row, x| x[row]);
        self.upper.solve(x, |row, x| x[row] * self.inverse[row]);
    }

    /// Computes `x = (L D U)^-1 b`, whatever `x` holds.
    pub(super) fn solve_from(&self, b: &[T], x: &mut [T]) {
        let lengths = [b.len(), x.len()];
        assert_eq!(lengths, [self.inverse.len(); 2], "invariant: an entry for each row");
        self.lower.solve(x, |row, _| b[row]);
        self.upper.solve(x, |row, x| x[row] * self.inverse[row]);
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

    /// Columns below the diagonal of rows of different lengths, few of which need each other.
    fn below(row: Lid) -> impl DoubleEndedIterator<Item = Lid> {
        let near = (row % 5 == 4).then(|| row - 1);
        (1..=row % 6).rev().filter_map(move |step| row.checked_sub(7 * step)).chain(near)
    }

    #[test]
    fn levels_change_no_solution() {
        // More than two windows.
        let (count, value) = (1100, |row: Lid, column: Lid| f64::from((row * 7 + column * 3) % 11) / 8.0 - 0.5);
        let mut chain = Ldu::with_capacity(at(count), 0);
        for row in 0..count {
            chain.lower.push_row(below(row).map(|column| (column, value(row, column))));
            // The same pattern from the other end.
            let above = below(count - 1 - row).map(|column| count - 1 - column);
            chain.upper.push_row(above.map(|column| (column, value(row, column))));
            chain.inverse.push(1.0 / (1.0 + f64::from(row % 6)));
        }
        let mut levels = chain.clone();
        levels.settle();
        assert!(matches!((&levels.lower, &levels.upper), (Triangle::Levels(_), Triangle::Levels(_))));
        assert_eq!(levels.entries(), chain.entries());
        let adjoints = [chain.lower.adjoint(), levels.lower.adjoint()];
        for row in 0..at(count) {
            assert!(chain.lower.row(row).eq(levels.lower.row(row)) && chain.upper.row(row).eq(levels.upper.row(row)));
            assert!(adjoints[0].row(row).eq(adjoints[1].row(row)));
        }
        let b: Vec<f64> = (0..count).map(|row| 1.0 / (1.0 + f64::from(row))).collect();
        for _ in 0..2 {
            let [mut x, mut y, mut z] = [b.clone(), b.clone(), vec![f64::NAN; b.len()]];
            chain.solve(&mut x);
            levels.solve(&mut y);
            levels.solve_from(&b, &mut z);
            assert!(x == y && x == z && x.iter().all(|x| x.is_finite()));
            chain.solve_adjoint(&mut x);
            levels.solve_adjoint(&mut y);
            assert_eq!(x, y);
            for row in 0..count {
                chain.lower.update(at(row), |column| value(column, row));
                levels.lower.update(at(row), |column| value(column, row));
            }
        }
    }

    #[test]
    fn rows_that_wait_for_each_other_stay_a_chain() {
        let mut ldu = Ldu::with_capacity(100, 0);
        for row in 0..100 {
            ldu.lower.push_row((row - row.min(1 + row % 4)..row).map(|column| (column, 0.5)));
            ldu.upper.push_row((row + 1..row + 2 + row % 4).rev().filter(|&c| c < 100).map(|column| (column, 0.5)));
        }
        ldu.settle();
        assert!(matches!((ldu.lower, ldu.upper), (Triangle::Chain(_), Triangle::Chain(_))));
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
