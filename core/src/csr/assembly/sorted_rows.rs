//! From entries in any order to sorted rows without repetitions.
//!
//! Entries that already come row by row, in ascending columns and without repetition stay where
//! they are: nothing is moved, and the arrays they were collected in become the matrix. Otherwise
//! a counting sort brings them into rows, and only rows that need it are sorted.
//!
//! The sum of repeated entries must not depend on which rank gave them or in what order. Two
//! numbers commute; three or more are added in ascending size (and, at the same size, the
//! negative one first), which is an order of the numbers themselves.

use std::cmp::Ordering;

use bytemuck::Pod;

use crate::csr::ghost_columns::{ColumnCodes, Columns};
use crate::index::{Lid, at};
use crate::memory;
use crate::scalar::{Real, Scalar};
use crate::threads::{self, Split};

/// Rows up to this length are sorted by insertion, which suits rows that are sorted but for a few
/// entries from elsewhere.
const SHORT: usize = 32;

/// Treatment of several triplets for one entry of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// They are summed. The bits of the sum depend on the numbers only, not on the ranks that gave
    /// them nor on their order.
    Add,
    /// The last one counts: that of the highest rank, and of one rank the one given last.
    Insert,
}

impl Duplicates {
    /// Returns the value of an entry from its contributions, in order of ranks; they may be reordered.
    #[inline]
    pub(crate) fn combine<T: Scalar>(self, contributions: &mut [T]) -> T {
        match (self, &mut *contributions) {
            (_, []) => T::ZERO,
            (Duplicates::Insert, [.., last]) => *last,
            (_, [one]) => *one,
            (_, [one, other]) => *one + *other,
            (Duplicates::Add, many) => sum(many),
        }
    }
}

/// Computes the sum of numbers, in an order that does not depend on theirs: real and imaginary parts by
/// ascending size.
fn sum<T: Scalar>(values: &mut [T]) -> T {
    values.sort_unstable_by(|a, b| by_size(a.re(), b.re()));
    let re = values.iter().fold(0.0, |sum, value| rounded::<T>(sum + value.re().to_f64()));
    if !T::COMPLEX {
        return T::from_parts(re, 0.0);
    }
    values.sort_unstable_by(|a, b| by_size(a.im(), b.im()));
    let im = values.iter().fold(0.0, |sum, value| rounded::<T>(sum + value.im().to_f64()));
    T::from_parts(re, im)
}

/// To the precision of `T` (single-precision sums rounded through double have the same bits).
fn rounded<T: Scalar>(value: f64) -> f64 {
    T::Real::from_f64(value).to_f64()
}

fn by_size<R: Real>(a: R, b: R) -> Ordering {
    let (a, b) = (a.to_f64(), b.to_f64());
    a.abs().total_cmp(&b.abs()).then(a.total_cmp(&b))
}

/// Entries of one rank in order of arrival: local rows, numbers of columns, and what an entry
/// holds, a value or the place of a block of values.
#[derive(Default)]
pub(crate) struct Entries<T> {
    pub(crate) rows: Vec<Lid>,
    pub(crate) columns: Vec<Lid>,
    pub(crate) values: Vec<T>,
}

impl<T: Pod + Send + Sync> Entries<T> {
    #[inline(always)]
    pub(crate) fn push(&mut self, row: Lid, column: Lid, value: T) {
        memory::push(&mut self.rows, row);
        memory::push(&mut self.columns, column);
        memory::push(&mut self.values, value);
    }

    pub(crate) fn reserve(&mut self, additional: usize) {
        memory::reserve(&mut self.rows, additional);
        memory::reserve(&mut self.columns, additional);
        memory::reserve(&mut self.values, additional);
    }

    pub(crate) fn append(&mut self, mut other: Entries<T>) {
        self.rows.append(&mut other.rows);
        self.columns.append(&mut other.columns);
        self.values.append(&mut other.values);
    }

    /// Returns the entries by rows, those of one row in order of arrival.
    pub(crate) fn into_rows(self, count: usize) -> Rows<T> {
        let starts = row_starts(&self.rows, count);
        if self.rows.is_sorted() {
            return Rows { starts, columns: self.columns, values: self.values };
        }
        let mut columns = memory::zeros::<Lid>(self.columns.len());
        let mut values = memory::zeros::<T>(self.values.len());
        let parts = threads::parts(values.len());
        let bounds = row_parts(&starts, parts);
        let cut = |part: usize| starts[bounds[part]];
        // Each thread looks at all entries and takes those of its rows.
        threads::for_parts(parts, (&mut columns[..], &mut values[..]), &cut, &|part, (columns, values)| {
            let rows = bounds[part]..bounds[part + 1];
            let mut next: Vec<usize> = starts[rows.clone()].iter().map(|start| start - cut(part)).collect();
            for ((&row, &column), &value) in self.rows.iter().zip(&self.columns).zip(&self.values) {
                let Some(next) = at(row).checked_sub(rows.start).and_then(|row| next.get_mut(row)) else {
                    continue;
                };
                columns[*next] = column;
                values[*next] = value;
                *next += 1;
            }
        });
        Rows { starts, columns, values }
    }
}

/// Returns the start of each of `count` rows when entries of `rows` are grouped by row.
pub(crate) fn row_starts(rows: &[Lid], count: usize) -> Vec<usize> {
    let mut starts = memory::zeros::<usize>(count + 1);
    for &row in rows {
        starts[at(row) + 1] += 1;
    }
    for row in 0..count {
        starts[row + 1] += starts[row];
    }
    starts
}

/// Compressed rows: entries of row `i` are `starts[i]..starts[i + 1]`.
pub(crate) struct Rows<T> {
    pub(crate) starts: Vec<usize>,
    pub(crate) columns: Vec<Lid>,
    pub(crate) values: Vec<T>,
}

/// Returns the first row of each part, with about as many entries in each, and the end of the last.
fn row_parts(starts: &[usize], parts: usize) -> Vec<usize> {
    let rows = starts.len() - 1;
    let entry = |part| threads::equal_part(part, parts, starts[rows], 1).start;
    let first = |part| starts[..rows].partition_point(|&start| start < entry(part));
    (0..parts).map(first).chain([rows]).collect()
}

impl<T: Pod + Send + Sync> Rows<T> {
    /// No rows yet.
    pub(crate) fn empty() -> Rows<T> {
        Rows { starts: vec![0], columns: Vec::new(), values: Vec::new() }
    }

    /// Columns and values of a row, in stored order.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> (&[Lid], &[T]) {
        let entries = self.starts[row]..self.starts[row + 1];
        (&self.columns[entries.clone()], &self.values[entries])
    }

    /// Sorts each row by `key` of its columns and combines entries of the same column, which are
    /// given in order of arrival.
    fn normalize(&mut self, key: impl Fn(Lid) -> Lid + Sync, combine: impl Fn(&mut [T]) -> T + Sync) {
        let parts = threads::parts(self.columns.len());
        let bounds = row_parts(&self.starts, parts);
        let entries: Vec<usize> = bounds.iter().map(|&row| self.starts[row]).collect();
        let Rows { starts, columns, values } = self;
        let whole = Piece { first: 0, ends: &mut starts[1..], columns, values };
        threads::for_parts(parts, whole, &|part| bounds[part], &|_, piece| piece.normalize(&key, &combine));
        // Parts that have become shorter leave gaps.
        let mut end = 0;
        for (rows, &from) in bounds.windows(2).zip(&entries) {
            let to = if rows[0] < rows[1] { starts[rows[1]] } else { from };
            if from != end {
                columns.copy_within(from..to, end);
                values.copy_within(from..to, end);
                starts[rows[0] + 1..=rows[1]].iter_mut().for_each(|row_end| *row_end -= from - end);
            }
            end += to - from;
        }
        columns.truncate(end);
        values.truncate(end);
    }

    /// Replaces codes of columns by their final numbers, and sorts and combines the entries of each
    /// row by global column.
    pub(crate) fn number(&mut self, codes: ColumnCodes, combine: impl Fn(&mut [T]) -> T + Sync) -> Columns {
        let (columns, renumbered) = codes.finish();
        if columns.ghosts().is_empty() {
            self.normalize(|number| number, combine);
        } else {
            for number in self.columns.iter_mut().filter(|number| at(**number) >= columns.owned()) {
                *number = renumbered[at(*number) - columns.owned()];
            }
            self.normalize(|number| columns.rank_of(number), combine);
        }
        columns
    }
}

/// Consecutive rows: where each ends, counted from the first entry of all rows, and their entries,
/// the first of which is number `first` of all.
struct Piece<'r, T> {
    first: usize,
    ends: &'r mut [usize],
    columns: &'r mut [Lid],
    values: &'r mut [T],
}

impl<T: Send> Split for Piece<'_, T> {
    fn split(self, at: usize) -> (Self, Self) {
        let (ends, ends_rest) = self.ends.split_at_mut(at);
        let cut = ends.last().map_or(0, |end| end - self.first);
        let (columns, columns_rest) = self.columns.split_at_mut(cut);
        let (values, values_rest) = self.values.split_at_mut(cut);
        let rest = Piece { first: self.first + cut, ends: ends_rest, columns: columns_rest, values: values_rest };
        (Piece { first: self.first, ends, columns, values }, rest)
    }
}

impl<T: Pod> Piece<'_, T> {
    /// [`Rows::normalize`]; what is left of the entries moves to the front.
    fn normalize(self, key: &impl Fn(Lid) -> Lid, combine: &impl Fn(&mut [T]) -> T) {
        let Piece { first, ends, columns, values } = self;
        let mut row = Vec::new();
        let mut same = Vec::new();
        let (mut from, mut end) = (0, 0);
        for row_end in ends {
            let to = *row_end - first;
            let sorted = is_ascending(&columns[from..to], key)
                || to - from <= SHORT && {
                    sort_short(&mut columns[from..to], &mut values[from..to], key);
                    is_ascending(&columns[from..to], key)
                };
            if sorted {
                if from != end {
                    columns.copy_within(from..to, end);
                    values.copy_within(from..to, end);
                }
                end += to - from;
            } else {
                row.clear();
                row.extend((from..to).map(|entry| (key(columns[entry]), columns[entry], values[entry])));
                row.sort_by_key(|&(key, ..)| key);
                for group in row.chunk_by(|one, other| one.0 == other.0) {
                    same.clear();
                    same.extend(group.iter().map(|&(.., value)| value));
                    columns[end] = group[0].1;
                    values[end] = combine(&mut same);
                    end += 1;
                }
            }
            *row_end = first + end;
            from = to;
        }
    }
}

/// Sorts by insertion, in place: entries of one column keep their order.
#[inline(always)]
fn sort_short<T: Copy>(columns: &mut [Lid], values: &mut [T], key: impl Fn(Lid) -> Lid) {
    for i in 1..columns.len() {
        let (column, value) = (columns[i], values[i]);
        let mut slot = i;
        while slot > 0 && key(columns[slot - 1]) > key(column) {
            columns[slot] = columns[slot - 1];
            values[slot] = values[slot - 1];
            slot -= 1;
        }
        columns[slot] = column;
        values[slot] = value;
    }
}

#[inline(always)]
fn is_ascending(columns: &[Lid], key: impl Fn(Lid) -> Lid) -> bool {
    columns.windows(2).all(|pair| key(pair[0]) < key(pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Complex32, Complex64};

    /// Returns a 3x4 matrix by hand, its triplets out of order, entry (2, 1) given three times.
    fn entries() -> Entries<f64> {
        let mut entries = Entries::default();
        let triplets = [(2, 1, 4.0), (0, 3, 1.0), (2, 0, 2.0), (2, 1, 8.0), (0, 0, 5.0), (2, 1, -3.0)];
        triplets.into_iter().for_each(|(row, column, value)| entries.push(row, column, value));
        entries
    }

    fn normalized(duplicates: Duplicates, key: impl Fn(Lid) -> Lid + Sync) -> Rows<f64> {
        let mut rows = entries().into_rows(3);
        rows.normalize(key, |same| duplicates.combine(same));
        rows
    }

    #[test]
    fn triplets_become_sorted_rows() {
        let rows = normalized(Duplicates::Add, |column| column);
        assert_eq!(rows.starts, [0, 2, 2, 4]);
        assert_eq!(rows.columns, [0, 3, 0, 1]);
        assert_eq!(rows.values, [5.0, 1.0, 2.0, 9.0]);
    }

    #[test]
    fn the_last_of_several_is_inserted() {
        assert_eq!(normalized(Duplicates::Insert, |column| column).values, [5.0, 1.0, 2.0, -3.0]);
    }

    #[test]
    fn the_key_orders_columns() {
        let rows = normalized(Duplicates::Add, |column| 3 - column);
        assert_eq!(rows.columns, [3, 0, 1, 0]);
        assert_eq!(rows.values, [1.0, 5.0, 9.0, 2.0]);
    }

    #[test]
    fn sorted_entries_stay_where_they_are() {
        let mut entries = Entries::default();
        [(0, 1, 1.0), (0, 2, 2.0), (2, 0, 3.0)].into_iter().for_each(|(r, c, v)| entries.push(r, c, v));
        let place = entries.values.as_ptr();
        let mut rows = entries.into_rows(3);
        rows.normalize(|column| column, |same| Duplicates::Add.combine(same));
        assert_eq!((rows.values.as_ptr(), &rows.starts[..]), (place, &[0, 2, 2, 3][..]));
    }

    #[test]
    fn rows_of_any_length_are_sorted() {
        for len in [1, 2, 3, 31, 32, 33, 100u32] {
            let mut entries = Entries::default();
            // 7 i mod len is a permutation of the columns; each is given twice.
            assert_ne!(len % 7, 0);
            for i in (0..len).chain(0..len) {
                entries.push(0, 7 * i % len, f64::from(7 * i % len));
            }
            let mut rows = entries.into_rows(1);
            rows.normalize(|column| column, |same| Duplicates::Add.combine(same));
            assert_eq!(rows.columns, (0..len).collect::<Vec<_>>());
            assert_eq!(rows.values, (0..len).map(|column| 2.0 * f64::from(column)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_order() {
        let mut numbers = [1e16f64, 1.0, -1e16, 1.0, 0.1, -0.1, 3.0, -0.0];
        let expected = Duplicates::Add.combine(&mut numbers.clone());
        assert!((expected - 5.0).abs() <= 2.0, "{expected}");
        for turn in 0..numbers.len() {
            numbers.rotate_left(turn);
            assert_eq!(Duplicates::Add.combine(&mut numbers.clone()).to_bits(), expected.to_bits());
            let mut complex: Vec<Complex64> = numbers.iter().map(|&n| Complex64::new(n, -n)).collect();
            assert_eq!(Duplicates::Add.combine(&mut complex), Complex64::new(expected, -expected));
        }
    }

    #[test]
    fn single_precision_is_kept() {
        let mut third = [Complex32::new(1.0 / 3.0, 0.1); 3];
        let re: f32 = 1.0 / 3.0 + 1.0 / 3.0 + 1.0 / 3.0;
        let im: f32 = 0.1 + 0.1 + 0.1;
        assert_eq!(Duplicates::Add.combine(&mut third), Complex32::new(re, im));
    }

    #[test]
    fn nan_is_a_value() {
        assert!(Duplicates::Add.combine(&mut [f64::NAN, 1.0, 2.0]).is_nan());
        assert_eq!(Duplicates::Insert.combine(&mut [f64::NAN, 1.0]), 1.0);
    }
}
