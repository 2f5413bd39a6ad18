//! Powers of two that bring the large entries of a sparse matrix near one.
//!
//! Of all ways to choose an entry in each row and column, take one whose product is the largest. Then
//! there are factors of rows and columns with which the chosen entries are one and no other is larger
//! (Olschowka and Neumaier, Linear Algebra Appl. 240, 1996; Duff and Koster, SIAM J. Matrix Anal. Appl.
//! 22, 2001: MC64). Which entries are chosen does not depend on factors that rows and columns had
//! before, so a matrix in any units is scaled alike, which division by the largest entries of rows and
//! columns does not achieve.
//!
//! It is an assignment problem, solved by shortest augmenting paths. Costs are exponents, so they are
//! whole numbers, and the chosen entries end between one and two.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dolmen_core::index::at;
use dolmen_core::scaling::{Equilibration, exponent, largest, scaled};
use dolmen_core::{Lid, Scalar, SerialCsr};

/// Not matched, not reached.
const NONE: usize = usize::MAX;
const FAR: i64 = i64::MAX;

/// Factors with which the largest entries of a square matrix are near one, or a row that is left over
/// however entries are chosen, so that the matrix is singular whatever its values.
pub(super) fn equilibration<T: Scalar>(a: &SerialCsr<T>) -> Result<Equilibration, usize> {
    let mut matching = Matching::new(a);
    for row in 0..a.rows() {
        if matching.column_of[row] == NONE && !matching.augment(row) {
            return Err(row);
        }
    }
    let narrow = |power: i64| i32::try_from(power).unwrap_or(if power < 0 { i32::MIN / 4 } else { i32::MAX / 4 });
    let rows = matching.rows.iter().map(|&power| narrow(power)).collect();
    Ok(Equilibration { rows, columns: matching.columns.iter().map(|&power| narrow(power)).collect() })
}

/// Returns the matrix `R A C`.
pub(super) fn multiplied<T: Scalar>(a: &SerialCsr<T>, scaling: &Equilibration) -> SerialCsr<T> {
    let (mut result, starts) = (a.clone(), a.row_offsets());
    let (values, columns) = (result.values_mut(), a.column_indices());
    for (entries, power) in starts.windows(2).zip(&scaling.rows) {
        for (value, &column) in values[entries[0]..entries[1]].iter_mut().zip(&columns[entries[0]..entries[1]]) {
            *value = scaled(*value, power + scaling.columns[at(column)]);
        }
    }
    result
}

/// Chosen entries, and exponents of factors with which no entry is two or more, and chosen ones are one or
/// more.
struct Matching<'a> {
    starts: &'a [usize],
    numbers: &'a [Lid],
    /// The exponent of each entry; `None` of zeros.
    sizes: Vec<Option<i64>>,
    rows: Vec<i64>,
    columns: Vec<i64>,
    column_of: Vec<usize>,
    row_of: Vec<usize>,
    /// Length of the shortest path to each column, and the row before it, while a path is sought.
    distances: Vec<i64>,
    before: Vec<usize>,
}

impl<'a> Matching<'a> {
    /// Factors by the largest entry of each column, then of each row; entries that are the largest of both
    /// are chosen where they are free.
    fn new<T: Scalar>(a: &'a SerialCsr<T>) -> Matching<'a> {
        let n = a.rows();
        let size = |value: &T| (largest(&[*value]) > 0.0).then(|| i64::from(exponent(largest(&[*value]))));
        let mut matching = Matching {
            starts: a.row_offsets(),
            numbers: a.column_indices(),
            sizes: a.values().iter().map(size).collect(),
            rows: vec![0; n],
            columns: vec![FAR; n],
            column_of: vec![NONE; n],
            row_of: vec![NONE; n],
            distances: vec![FAR; n],
            before: vec![NONE; n],
        };
        for row in 0..n {
            let highest = matching.entries(row).map(|(_, size)| size).max().unwrap_or(0);
            matching.rows[row] = -highest;
            for entry in matching.starts[row]..matching.starts[row + 1] {
                let column = &mut matching.columns[at(matching.numbers[entry])];
                *column = matching.sizes[entry].map_or(*column, |size| (highest - size).min(*column));
            }
        }
        for row in 0..n {
            let slack = matching.entries(row).map(|(column, size)| (matching.slack(row, column, size), column));
            let Some((least, _)) = slack.min() else { continue };
            matching.rows[row] += least;
            let tight = |(column, size): (usize, i64)| (matching.slack(row, column, size) == 0).then_some(column);
            let free = matching.entries(row).filter_map(tight).find(|&column| matching.row_of[column] == NONE);
            if let Some(column) = free {
                (matching.column_of[row], matching.row_of[column]) = (column, row);
            }
        }
        matching
    }

    /// Columns and exponents of a row's entries that are not zero.
    fn entries(&self, row: usize) -> impl Iterator<Item = (usize, i64)> {
        let entries = self.starts[row]..self.starts[row + 1];
        let sized = self.numbers[entries.clone()].iter().zip(&self.sizes[entries]);
        sized.filter_map(|(&column, &size)| size.map(|size| (at(column), size)))
    }

    /// By how many powers of two a scaled entry is below one.
    fn slack(&self, row: usize, column: usize, size: i64) -> i64 {
        -(self.rows[row] + self.columns[column] + size)
    }

    /// Finds a place for a row by the shortest path that moves others to other places; whether there is one.
    fn augment(&mut self, start: usize) -> bool {
        let mut pending = BinaryHeap::new();
        let (mut reached, mut done) = (Vec::new(), Vec::new());
        let (mut row, mut length) = (start, 0);
        let (mut end, mut shortest) = (NONE, FAR);
        loop {
            for entry in self.starts[row]..self.starts[row + 1] {
                let (column, Some(size)) = (at(self.numbers[entry]), self.sizes[entry]) else { continue };
                let distance = length + self.slack(row, column, size);
                if distance >= shortest || distance >= self.distances[column] {
                    continue;
                }
                if self.distances[column] == FAR {
                    reached.push(column);
                }
                (self.distances[column], self.before[column]) = (distance, row);
                if self.row_of[column] == NONE {
                    (end, shortest) = (column, distance);
                } else {
                    pending.push(Reverse((distance, column)));
                }
            }
            let next = std::iter::from_fn(|| pending.pop()).find(|Reverse((d, c))| *d == self.distances[*c]);
            match next {
                Some(Reverse((distance, column))) if distance < shortest => {
                    done.push(column);
                    (row, length) = (self.row_of[column], distance);
                }
                _ => break,
            }
        }
        if end != NONE {
            self.shift(start, &done, shortest);
            self.choose(start, end);
        }
        reached.into_iter().for_each(|column| self.distances[column] = FAR);
        end != NONE
    }

    /// Changes factors so that the entries of the path become one and none becomes larger.
    fn shift(&mut self, start: usize, done: &[usize], shortest: i64) {
        self.rows[start] += shortest;
        for &column in done {
            let change = shortest - self.distances[column];
            self.rows[self.row_of[column]] += change;
            self.columns[column] -= change;
        }
    }

    /// Chooses the entries of the path that ends in a free column.
    fn choose(&mut self, start: usize, end: usize) {
        let mut column = end;
        loop {
            let row = self.before[column];
            self.row_of[column] = row;
            column = std::mem::replace(&mut self.column_of[row], column);
            if row == start {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> SerialCsr<f64> {
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in rows {
            for (column, &value) in (0..).zip(*row).filter(|(_, value)| **value != 0.0) {
                columns.push(column);
                values.push(value);
            }
            starts.push(values.len());
        }
        SerialCsr::new(rows.len(), starts, columns, values).unwrap()
    }

    /// Exponents of the scaled entries, `None` of zeros.
    fn exponents(rows: &[&[f64]]) -> Vec<Vec<Option<i32>>> {
        let found = equilibration(&matrix(rows)).unwrap();
        let entry = |i: usize, j: usize, value: f64| scaled(value, found.rows[i] + found.columns[j]);
        let row = |(i, row): (usize, &&[f64])| -> Vec<Option<i32>> {
            let entries = row.iter().enumerate();
            entries.map(|(j, &value)| (value != 0.0).then(|| exponent(entry(i, j, value)))).collect()
        };
        rows.iter().enumerate().map(row).collect()
    }

    #[test]
    fn units_of_rows_and_columns_do_not_matter() {
        let one = Some(0);
        assert_eq!(exponents(&[&[1e-170, 0.0], &[0.0, 1e170]]), [[one, None], [None, one]]);
        assert_eq!(exponents(&[&[1.0, 1e20], &[0.0, 1.0]]), [[one, one], [None, one]]);
        // The largest entries of all rows and columns are one, and yet it is far from scaled.
        let tiny = 2f64.powi(-100);
        let found = exponents(&[&[1.0, 1.0, 1.0], &[1.0, tiny, 1.5 * tiny], &[1.0, 1.5 * tiny, tiny]]);
        assert_eq!(found, [[Some(-100), one, one], [one, one, one], [one, one, one]]);
    }

    #[test]
    fn chosen_entries_are_the_largest() {
        // Each row would choose the first column; the product 4 * 2 * 8 is the largest.
        let rows: [&[f64]; 3] = [&[16.0, 4.0, 1.0], &[16.0, 0.0, 2.0], &[8.0, 1.0, 0.0]];
        let found = exponents(&rows);
        assert!(found.iter().flatten().flatten().all(|&size| size <= 0), "{found:?}");
        for (row, column) in [(0, 1), (1, 2), (2, 0)] {
            assert_eq!(found[row][column], Some(0), "{found:?}");
        }
    }

    #[test]
    fn structurally_singular_matrices_are_refused() {
        assert!(equilibration(&matrix(&[&[1.0, 0.0, 0.0], &[2.0, 0.0, 0.0], &[1.0, 1.0, 1.0]])).is_err());
        assert!(equilibration(&matrix(&[&[0.0]])).is_err());
        assert_eq!(equilibration(&matrix(&[])), Ok(Equilibration::default()));
    }
}
