//! Vectors as one dense array, whose columns they are.

use super::Npz;
use super::write::{array_header, write_values};
use crate::error::Result;
use crate::fault::{Fault, settle};
use crate::matrix_file::require_field;
use crate::positioned::{PositionedWriter, write_staged};
use crate::source::Source;
use dolmen_core::{Layout, MultiVector, Scalar};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// Rows that are written at once.
const ROWS: usize = 4096;

impl Npz<'_> {
    /// # Collective
    pub(super) fn dense_vectors<T: Scalar>(self, rows: &Layout) -> Result<MultiVector<T>> {
        let path = self.source.path();
        require_field::<T>(path, self.data.field())?;
        self.check_sizes()?;
        self.data.verify(&self.comm, self.source)?;
        let read = self.owned_columns(rows.range());
        let (columns, values) = settle(&self.comm, path, read)?;
        let (first, local) = (rows.range().start, rows.local_len());
        let place = |row: usize, column: usize| {
            if self.data.by_columns { column * local + row } else { row * columns + column }
        };
        Ok(MultiVector::from_fn(rows, columns, |row, column| {
            values[place(usize::try_from(row - first).expect("invariant: an owned row"), column)]
        }))
    }

    /// The number of columns, and the values of some rows in the order of the file.
    fn owned_columns<T: Scalar>(&self, owned: Range<u64>) -> std::result::Result<(usize, Vec<T>), Fault> {
        let count = usize::try_from(self.columns).map_err(|_| self.data.fault("has too many columns"))?;
        let values = |source: &Source, part: Range<u64>| self.data.values::<T>(source, part);
        if !self.data.by_columns {
            return Ok((count, values(self.source, owned.start * self.columns..owned.end * self.columns)?));
        }
        let mut all = Vec::new();
        for first in (0..self.columns).map(|column| column * self.rows) {
            all.extend(values(self.source, first + owned.start..first + owned.end)?);
        }
        Ok((count, all))
    }
}

/// Writes vectors as `numpy.save` does: one as an array of one dimension, several as the columns of one of two.
///
/// The file appears under its name when it is complete.
///
/// # Collective
///
/// # Errors
/// A file that cannot be written.
pub fn write_vectors<T: Scalar>(path: impl AsRef<Path>, vectors: &MultiVector<T>) -> Result<()> {
    let (layout, columns) = (vectors.layout(), vectors.columns());
    let kind = format!("<{}{}", if T::COMPLEX { "c" } else { "f" }, size_of::<T>());
    let rows = layout.global_len();
    let header = array_header(&kind, &if columns == 1 { format!("{rows},") } else { format!("{rows}, {columns}") });
    let row_bytes = (columns * size_of::<T>()) as u64;
    let start = header.len() as u64;
    write_staged(layout.comm(), path.as_ref(), start + rows * row_bytes, |file| {
        if layout.comm().rank() == 0 {
            let mut writer = PositionedWriter::new(file, 0);
            writer.write_all(&header)?;
            writer.flush()?;
        }
        let mut writer = PositionedWriter::new(file, start + layout.range().start * row_bytes);
        (0..layout.local_len()).step_by(ROWS).try_for_each(|first| {
            write_values(&mut writer, &by_rows(vectors, first..(first + ROWS).min(layout.local_len())))
        })?;
        writer.flush()
    })
}

fn by_rows<T: Scalar>(vectors: &MultiVector<T>, rows: Range<usize>) -> Vec<T> {
    rows.flat_map(|row| (0..vectors.columns()).map(move |column| vectors.column(column)[row])).collect()
}
