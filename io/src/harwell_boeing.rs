//! Harwell-Boeing and Rutherford-Boeing files: compressed columns in Fortran's formats.
//!
//! Formats: I. Duff, R. Grimes, J. Lewis, *Users' Guide for the Harwell-Boeing Sparse Matrix
//! Collection* (1992); I. Duff, R. Grimes, J. Lewis, *The Rutherford-Boeing Sparse Matrix Collection*,
//! RAL-TR-97-031 (1997). Assembled matrices of all fields and symmetries are read, and full
//! right-hand sides with their guesses and solutions; elemental matrices are refused. Right-hand sides stored like a
//! matrix (type M) are passed over, with a warning.
//! Symmetric files store one triangle, the lower one by the format; the upper one is read with a warning.
//!
//! Rank 0 reads the text, plain or gzip, and sends entries to their owners. These are collections
//! of small matrices; large ones come as MatrixMarket or binary files.

mod field;
mod fortran;
mod header;
mod vectors;

pub(crate) use header::is_harwell_boeing;
pub use vectors::{SystemVectors, read_system_vectors, read_vectors};

use crate::budget;
use crate::error::Result;
use crate::fault::{Fault, require_same, settle};
use crate::files::{Description, Field, Storage, check_sizes, require_field};
use crate::source::Source;
use crate::symmetry::{Triangles, push};
use crate::text::Lines;
use dolmen_core::text::shown;
use dolmen_core::{Comm, CsrBuilder, CsrMatrix, Duplicates, Layout, Scalar};
use fortran::FortranFormat;
use header::{Behind, Header};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::result::Result as StdResult;

/// Reads a matrix, on uniform layouts. Symmetry is expanded, repeated entries are summed.
///
/// # Collective
/// Rank 0 reads the file.
///
/// # Errors
/// A file that cannot be read, is malformed or elemental; complex numbers where `T` is real.
pub fn read_matrix<T: Scalar>(comm: &Comm, path: impl AsRef<Path>) -> Result<(CsrMatrix<T>, Description)> {
    let source = Source::open(comm, path.as_ref())?;
    let file = HarwellBoeing::open(comm, &source)?;
    let description = file.description();
    Ok((file.matrix()?, description))
}

/// A file whose header is read.
pub(crate) struct HarwellBoeing<'s> {
    comm: Comm,
    source: &'s Source,
    header: Header,
    lines: Lines<BufReader<Box<dyn Read + 's>>>,
}

impl<'s> HarwellBoeing<'s> {
    /// # Collective
    pub(crate) fn open(comm: &Comm, source: &'s Source) -> Result<Self> {
        let mut lines = Lines::new(BufReader::new(source.contents()));
        let header = settle(comm, source.path(), Header::read(&mut lines))?;
        require_same(comm, source.path(), &header)?;
        Ok(Self { comm: comm.clone(), source, header, lines })
    }

    pub(crate) fn description(&self) -> Description {
        let Header { format, field, symmetry, rows, columns, entries, .. } = self.header;
        let right_hand_sides = if let Behind::Vectors(sides) = &self.header.behind { sides.count } else { 0 };
        let storage = Storage::CompressedColumns;
        Description { format, storage, field, symmetry, rows, columns, entries, right_hand_sides, block_size: 1 }
    }

    /// # Collective
    pub(crate) fn matrix<T: Scalar>(mut self) -> Result<CsrMatrix<T>> {
        require_field::<T>(self.source.path(), self.header.field)?;
        let Header { rows, columns, .. } = self.header;
        let (range, domain) = (Layout::uniform(&self.comm, rows), Layout::uniform(&self.comm, columns));
        let mut builder = CsrBuilder::new(&range, &domain, Duplicates::Add);
        let mut triangles = Triangles::new(self.header.symmetry);
        let is_reader = self.comm.rank() == 0;
        let read = if is_reader { self.read_matrix(&mut builder, &mut triangles) } else { Ok(()) };
        settle(&self.comm, self.source.path(), read)?;
        triangles.settle(&self.comm, self.source.path())?;
        if is_reader && matches!(self.header.behind, Behind::SparseVectors) {
            let path = shown(self.source.path());
            tracing::warn!("{path}: its right-hand sides are of type M, stored like the matrix, and are not read");
        }
        Ok(builder.build()?)
    }

    fn read_matrix<T: Scalar>(
        &mut self,
        builder: &mut CsrBuilder<T>,
        triangles: &mut Triangles,
    ) -> StdResult<(), Fault> {
        let Header { rows, columns, entries, symmetry, field, .. } = self.header;
        if self.source.is_gzip() {
            // Here all are read by one rank.
            let room = budget::require_entries(entries.saturating_add(columns), 1, self.source.length());
            room.map_err(|what| Fault::line(3, what))?;
        }
        let starts = self.pointers()?;
        let mut row_of = Vec::new();
        self.header.indices.read(&mut self.lines, "row indices", entries, |field| match field.index()? {
            row if (1..=rows).contains(&row) => {
                row_of.push(row - 1);
                Ok(())
            }
            row => Err(format!("row {row} is outside 1 to {rows}; indices count from 1")),
        })?;
        let column_of =
            (0..columns).zip(starts.windows(2)).flat_map(|(column, ends)| (ends[0]..ends[1]).map(move |_| column));
        let mut places = row_of.into_iter().zip(column_of);
        let mut add = |re: f64, im: f64| {
            let (row, column) = places.next().expect("invariant: the pointers count the entries");
            triangles.note(row, column, (re, im))?;
            push(builder, symmetry, row, column, T::from_parts(re, im));
            Ok(())
        };
        match &self.header.values {
            Some(format) => read_values(&mut self.lines, format, "values", entries, entries, field, &mut add)?,
            None => {
                (0..entries).try_for_each(|_| add(1.0, 0.0)).map_err(|what| Fault::line(self.lines.number, what))?
            }
        }
        self.end()?;
        check_sizes(rows, columns, self.lines.bytes).map_err(|what| Fault::line(3, what))
    }

    /// Reads the start of each column among the entries, from 1, and the end of the last one.
    fn pointers(&mut self) -> StdResult<Vec<u64>, Fault> {
        let Header { columns, entries, ref pointers, .. } = self.header;
        let count = columns.checked_add(1).ok_or_else(|| Fault::line(3, "has 2^64 - 1 columns"))?;
        let mut starts: Vec<u64> = Vec::new();
        pointers.read(&mut self.lines, "column pointers", count, |field| {
            let (start, last) = (field.index()?, starts.last().copied());
            let last_one = starts.len() as u64 == columns;
            if start < last.unwrap_or(1) || (last.is_none() && start != 1) || start - 1 > entries {
                let column = starts.len() + 1;
                return Err(format!("the pointer of column {column} is {start}; they ascend from 1 to {entries} + 1"));
            }
            if last_one && start - 1 != entries {
                return Err(format!("the last pointer is {start}, but {entries} entries are announced"));
            }
            starts.push(start);
            Ok(())
        })?;
        Ok(starts)
    }

    /// Reads the vectors behind the matrix, if there are any, and refuses more lines than were announced.
    fn end(&mut self) -> StdResult<(), Fault> {
        match self.header.behind {
            Behind::Nothing => {}
            Behind::Vectors(_) => return self.check_vectors(),
            Behind::SparseVectors => return Ok(()),
        }
        while let Some(line) = self.lines.next_line()? {
            if !line.trim_ascii().is_empty() {
                return Err(Fault::line(self.lines.number, "follows the last number of the matrix"));
            }
        }
        Ok(())
    }
}

/// Reads this number of values, complex ones as pairs of numbers; each vector of `each` may start on a new line.
fn read_values(
    lines: &mut Lines<impl BufRead>,
    format: &FortranFormat,
    what: &str,
    count: u64,
    each: u64,
    field: Field,
    take: &mut impl FnMut(f64, f64) -> StdResult<(), String>,
) -> StdResult<(), Fault> {
    if field != Field::Complex {
        return format.read_vectors(lines, what, count, each, |number| take(number.value()?, 0.0));
    }
    let numbers = count.checked_mul(2).ok_or_else(|| Fault::line(3, "announces more than 2^64 - 1 numbers"))?;
    let mut re = None;
    format.read_vectors(lines, what, numbers, each.saturating_mul(2), |number| {
        let value = number.value()?;
        match re.take() {
            Some(re) => take(re, value),
            None => {
                re = Some(value);
                Ok(())
            }
        }
    })
}
