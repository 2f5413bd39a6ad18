//! The vectors behind a matrix: right-hand sides, where to start solvers, and solutions.
//!
//! These are full arrays, one after the other, of a column for each right-hand side (guide of 1992, the data
//! format). An array is one list of numbers; some programs start each of its columns on a new line.

use super::header::{Behind, RightHandSides};
use super::{HarwellBoeing, Header, read_values};
use crate::dense;
use crate::error::{Error, Result};
use crate::fault::{Fault, settle};
use crate::files::{Description, Field, check_length, check_sizes, require_field};
use crate::source::Source;
use dolmen_core::{Layout, MultiVector, Scalar};
use std::path::Path;
use std::result::Result as StdResult;

/// The vectors of the systems that a file states, each with a column for each right-hand side.
#[derive(Debug)]
#[non_exhaustive]
pub struct SystemVectors<T: Scalar> {
    /// The right-hand sides.
    pub right_hand_sides: MultiVector<T>,
    /// Initial guesses, if the file has them.
    pub guesses: Option<MultiVector<T>>,
    /// The exact solutions, if the file has them.
    pub solutions: Option<MultiVector<T>>,
}

/// Reads the right-hand sides that stand behind the matrix, as vectors on `rows`.
///
/// # Collective
/// Rank 0 reads the file.
///
/// # Errors
/// As [`read_matrix`](super::read_matrix); a file without right-hand sides, or of another length than the
/// layout's.
pub fn read_vectors<T: Scalar>(path: impl AsRef<Path>, rows: &Layout) -> Result<(MultiVector<T>, Description)> {
    let source = Source::open(rows.comm(), path.as_ref())?;
    let file = HarwellBoeing::open(rows.comm(), &source)?;
    let description = file.description();
    Ok((file.vectors(rows)?, description))
}

/// Reads the right-hand sides and the guesses and solutions that belong to them, as vectors on `rows`.
///
/// # Collective
/// Rank 0 reads the file.
///
/// # Errors
/// As [`read_vectors`]; guesses or solutions for a matrix that is not square, of which the format does not say
/// how long they are.
pub fn read_system_vectors<T: Scalar>(
    path: impl AsRef<Path>,
    rows: &Layout,
) -> Result<(SystemVectors<T>, Description)> {
    let source = Source::open(rows.comm(), path.as_ref())?;
    let file = HarwellBoeing::open(rows.comm(), &source)?;
    let description = file.description();
    let sides = file.right_hand_sides()?;
    if sides.arrays() > 1 && description.rows != description.columns {
        let (rows, columns) = (description.rows, description.columns);
        let what = format!(
            "has guesses or solutions for a matrix of {rows} by {columns}, which are of no known length; read its \
             {} right-hand sides alone",
            sides.count
        );
        return Err(Error::argument(source.path(), what));
    }
    let mut arrays = file.read_arrays(rows, sides.arrays())?.into_iter();
    let right_hand_sides = arrays.next().expect("invariant: the first of at least one");
    let guesses = if sides.has_guesses { arrays.next() } else { None };
    Ok((SystemVectors { right_hand_sides, guesses, solutions: arrays.next() }, description))
}

impl RightHandSides {
    /// Returns the number of arrays.
    fn arrays(&self) -> u64 {
        1 + u64::from(self.has_guesses) + u64::from(self.has_solutions)
    }
}

impl HarwellBoeing<'_> {
    fn right_hand_sides(&self) -> Result<RightHandSides> {
        let what = match &self.header.behind {
            Behind::Vectors(sides) => return Ok(sides.clone()),
            Behind::Nothing => "has no right-hand sides; read its matrix",
            Behind::SparseVectors => {
                "its right-hand sides are of type M, stored like the matrix, and are not read; convert them to type F"
            }
        };
        Err(Error::argument(self.source.path(), what))
    }

    /// # Collective
    pub(crate) fn vectors<T: Scalar>(self, rows: &Layout) -> Result<MultiVector<T>> {
        self.right_hand_sides()?;
        Ok(self.read_arrays(rows, 1)?.remove(0))
    }

    /// Sets the first arrays behind the matrix.
    ///
    /// # Collective
    fn read_arrays<T: Scalar>(mut self, rows: &Layout, count: u64) -> Result<Vec<MultiVector<T>>> {
        let path = self.source.path();
        let columns = self.right_hand_sides()?.count;
        check_length(path, self.header.rows, rows)?;
        require_field::<T>(path, self.header.field)?;
        let elsewhere = || Ok((0..count).map(|_| Vec::new()).collect());
        let read = if self.comm.rank() == 0 { self.parse_arrays(count) } else { elsewhere() };
        let arrays: Vec<Vec<T>> = settle(&self.comm, path, read)?;
        let columns = usize::try_from(columns).expect("invariant: bounded by the length of the file");
        Ok(arrays.iter().map(|values| dense::place_columns(rows, columns, [(0, &values[..])].into_iter())).collect())
    }

    /// Returns the values of the first arrays, column after column.
    fn parse_arrays<T: Scalar>(&mut self, count: u64) -> StdResult<Vec<Vec<T>>, Fault> {
        self.skip_matrix()?;
        let mut next = || -> StdResult<Vec<T>, Fault> {
            let mut found = Vec::new();
            self.each_value(|re, im| found.push(T::from_parts(re, im)))?;
            Ok(found)
        };
        (0..count).map(|_| next()).collect()
    }

    /// Passes over the matrix, from the end of the header on.
    fn skip_matrix(&mut self) -> StdResult<(), Fault> {
        let Header { columns, entries, field, ref pointers, ref indices, ref values, .. } = self.header;
        let value_count = entries.saturating_mul(1 + u64::from(field == Field::Complex));
        let skipped = [
            pointers.lines(columns.saturating_add(1)),
            indices.lines(entries),
            values.as_ref().map_or(0, |format| format.lines(value_count)),
        ];
        for _ in 0..skipped.iter().fold(0, |sum: u64, lines| sum.saturating_add(*lines)) {
            if self.lines.next_line()?.is_none() {
                return Err(Fault::line(self.lines.number, "the file ends before the right-hand sides"));
            }
        }
        Ok(())
    }

    /// Gives the values of the next array to `take`.
    fn each_value(&mut self, mut take: impl FnMut(f64, f64)) -> StdResult<(), Fault> {
        let Header { rows, field, ref behind, .. } = self.header;
        let Behind::Vectors(RightHandSides { count, format, .. }) = behind else { return Ok(()) };
        let count = *count;
        let total = rows
            .checked_mul(count)
            .ok_or_else(|| Fault::line(5, "the right-hand sides have more than 2^64 - 1 entries"))?;
        let mut each = |re, im| {
            take(re, im);
            Ok(())
        };
        read_values(&mut self.lines, format, "values of right-hand sides", total, rows, field, &mut each)?;
        check_sizes(rows, count, self.lines.bytes).map_err(|what| Fault::line(5, what))
    }

    /// Reads all arrays whose length is known, behind the matrix, to see whether they are whole.
    pub(super) fn check_vectors(&mut self) -> StdResult<(), Fault> {
        let Header { rows, columns, ref behind, .. } = self.header;
        let arrays = match behind {
            Behind::Vectors(sides) if rows == columns => sides.arrays(),
            Behind::Vectors(_) => 1,
            Behind::Nothing | Behind::SparseVectors => 0,
        };
        (0..arrays).try_for_each(|_| self.each_value(|_, _| ()))
    }
}
