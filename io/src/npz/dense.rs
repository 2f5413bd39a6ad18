//! Vectors as one dense array, whose columns they are.

use super::Npz;
use super::write::{array_header, write_values};
use crate::error::Result;
use crate::fault::{Fault, settle};
use crate::files::require_field;
use crate::positioned::{PositionedWriter, write_staged};
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
        let read = self.owned_columns(rows);
        let (columns, values) = settle(&self.comm, path, read)?;
        let local = rows.local_len();
        let mut vectors = MultiVector::zeros(rows, columns);
        for column in 0..columns {
            let (first, step) = if self.data.by_columns { (column * local, 1) } else { (column, columns) };
            let entries = values.iter().skip(first).step_by(step);
            vectors.column_mut(column).iter_mut().zip(entries).for_each(|(slot, &entry)| *slot = entry);
        }
        Ok(vectors)
    }

    /// Returns the number of columns, and the values of this rank's rows in the order of the file.
    fn owned_columns<T: Scalar>(&self, rows: &Layout) -> std::result::Result<(usize, Vec<T>), Fault> {
        let count = usize::try_from(self.columns).map_err(|_| self.data.fault("has too many columns"))?;
        let mut all = Vec::new();
        let mut add = |part: Range<u64>| -> std::result::Result<(), Fault> {
            let values = self.data.values::<T>(self.source, part)?;
            if all.is_empty() {
                all = values;
            } else {
                all.extend(values);
            }
            Ok(())
        };
        let owned = || rows.runs().iter().map(|run| &run.rows);
        if self.data.by_columns {
            for first in (0..self.columns).map(|column| column * self.rows) {
                owned().try_for_each(|rows| add(first + rows.start..first + rows.end))?;
            }
        } else {
            owned().try_for_each(|rows| add(rows.start * self.columns..rows.end * self.columns))?;
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
        for run in layout.runs() {
            let mut writer = PositionedWriter::new(file, start + run.rows.start * row_bytes);
            run.positions.clone().step_by(ROWS).try_for_each(|first| {
                write_values(&mut writer, &by_rows(vectors, first..(first + ROWS).min(run.positions.end)))
            })?;
            writer.flush()?;
        }
        Ok(())
    })
}

fn by_rows<T: Scalar>(vectors: &MultiVector<T>, rows: Range<usize>) -> Vec<T> {
    rows.flat_map(|row| (0..vectors.columns()).map(move |column| vectors.column(column)[row])).collect()
}
