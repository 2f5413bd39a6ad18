//! Values without indices, column after column: a dense matrix, or vectors.
//!
//! The place of a value is known only when the values before it are counted, so they are kept as
//! runs: values that follow each other in the file, and the number of the first.

use super::body::Entries;
use super::header::Header;
use super::number::Words;
use crate::files::Symmetry;
use crate::symmetry::{Triangles, push};
use dolmen_core::{CsrBuilder, Real, Scalar};

/// Collects the values of an array file.
pub(super) struct Values<'h, T> {
    header: &'h Header,
    values: Vec<T>,
    /// The number in the file, and the position in `values`, of the first value of each run.
    runs: Vec<(u64, usize)>,
    /// Number of values in runs.
    placed: usize,
}

impl<'h, T: Scalar> Values<'h, T> {
    pub(super) fn new(header: &'h Header) -> Self {
        Self { header, values: Vec::new(), runs: Vec::new(), placed: 0 }
    }

    /// Values that follow each other, with the number of the first.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, &[T])> {
        let ends = self.runs.iter().skip(1).map(|&(_, start)| start).chain([self.values.len()]);
        self.runs.iter().zip(ends).map(|(&(first, start), end)| (first, &self.values[start..end]))
    }

    /// Adds all entries to a matrix; says which of them its symmetry does not allow.
    pub(super) fn push_to(&self, builder: &mut CsrBuilder<T>) -> Result<(), String> {
        let Header { rows, symmetry, .. } = *self.header;
        let mut triangles = Triangles::new(symmetry);
        for (first, values) in self.runs() {
            let (mut row, mut column) = position(first, rows, symmetry);
            for &value in values {
                triangles.note(row, column, parts(value))?;
                push(builder, symmetry, row, column, value);
                row += 1;
                if row == rows {
                    column += 1;
                    row = top(column, symmetry);
                }
            }
        }
        Ok(())
    }
}

impl<T: Scalar> Entries for Values<'_, T> {
    #[inline]
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let mut words = Words(line);
        let (re, im) = words.value(self.header.field, size_of::<T::Real>() == 4)?;
        words.end()?;
        self.header.check_finite((re, im))?;
        self.values.push(T::from_parts(re, im));
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.values.len() as u64
    }

    fn place(&mut self, first: u64) {
        self.runs.push((first, self.placed));
        self.placed = self.values.len();
    }
}

fn parts<T: Scalar>(value: T) -> (f64, f64) {
    (value.re().to_f64(), value.im().to_f64())
}

/// Returns the first row that a column stores.
fn top(column: u64, symmetry: Symmetry) -> u64 {
    match symmetry {
        Symmetry::General => 0,
        Symmetry::Symmetric | Symmetry::Hermitian => column,
        Symmetry::SkewSymmetric => column + 1,
    }
}

/// Row and column of a value by its number in the file.
fn position(number: u64, rows: u64, symmetry: Symmetry) -> (u64, u64) {
    if rows == 0 {
        return (0, 0);
    }
    if symmetry == Symmetry::General {
        return (number % rows, number / rows);
    }
    // Columns before `column` store rows - top(0) + rows - top(1) + ... values: the last column
    // with no more of them than `number` holds it.
    let longest = u128::from(rows - top(0, symmetry));
    let before = |column: u128| column * longest - column * column.saturating_sub(1) / 2;
    let (mut low, mut high) = (0, u128::from(rows));
    while high - low > 1 {
        let middle = u128::midpoint(low, high);
        if before(middle) <= u128::from(number) { low = middle } else { high = middle }
    }
    let narrow = |value: u128| u64::try_from(value).expect("invariant: a position in the array");
    let column = narrow(low);
    (top(column, symmetry) + (number - narrow(before(low))), column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_places() {
        for symmetry in [Symmetry::General, Symmetry::Symmetric, Symmetry::SkewSymmetric] {
            for rows in 0..6 {
                let places = (0..rows).flat_map(|column| (top(column, symmetry)..rows).map(move |row| (row, column)));
                for (number, place) in (0..).zip(places) {
                    assert_eq!(position(number, rows, symmetry), place, "{symmetry}, {rows} rows, value {number}");
                }
            }
        }
    }
}
