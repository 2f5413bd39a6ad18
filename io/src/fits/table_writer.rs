//! Writing binary tables, every rank its own rows (FITS Standard 4.0, section 7.3).
//!
//! Items are what is distributed: the rows of a table, or the pixels of a map, of which a row holds
//! many. All offsets are known beforehand, so nothing is gathered: rank 0 writes the header, and each
//! rank its items by position.

use super::header::{BLOCK, Header};
use crate::error::{Error, Result};
use crate::staged::StagedFile;
use dolmen_core::{Complex32, Complex64, Layout, profile};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Whole rows are collected up to about this many bytes before they are written.
const WRITE_BYTES: usize = 4 << 20;

/// A column of a table: this rank's rows.
#[derive(Clone, Copy, Debug)]
pub struct TableColumn<'a> {
    /// TTYPE; the same on all ranks.
    pub name: &'a str,
    /// TUNIT; empty for none; the same on all ranks.
    pub unit: &'a str,
    /// Elements in a row; the same on all ranks.
    pub repeat: usize,
    /// `repeat` elements for each row of this rank, row after row; the same type on all ranks.
    pub data: ColumnData<'a>,
}

/// The elements of a column, stored in the type they come in.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ColumnData<'a> {
    /// Stored as `L`.
    Logical(&'a [bool]),
    /// Stored as `B`.
    U8(&'a [u8]),
    /// Stored as `I`.
    I16(&'a [i16]),
    /// Stored as `J`.
    I32(&'a [i32]),
    /// Stored as `K`.
    I64(&'a [i64]),
    /// Stored as `E`.
    F32(&'a [f32]),
    /// Stored as `D`.
    F64(&'a [f64]),
    /// Stored as `C`.
    Complex32(&'a [Complex32]),
    /// Stored as `M`.
    Complex64(&'a [Complex64]),
    /// Stored as `A`: a row has one string, of at most `repeat` printable ASCII characters.
    Text(&'a [&'a str]),
}

/// Storage of an element.
trait Element: Copy {
    fn push(self, bytes: &mut Vec<u8>);
}

macro_rules! big_endian {
    ($($kind:ty),*) => {$(
        impl Element for $kind {
            fn push(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}

big_endian!(u8, i16, i32, i64, f32, f64);

impl Element for bool {
    fn push(self, bytes: &mut Vec<u8>) {
        bytes.push(if self { b'T' } else { b'F' });
    }
}

impl Element for Complex32 {
    fn push(self, bytes: &mut Vec<u8>) {
        [self.re, self.im].into_iter().for_each(|part| part.push(bytes));
    }
}

impl Element for Complex64 {
    fn push(self, bytes: &mut Vec<u8>) {
        [self.re, self.im].into_iter().for_each(|part| part.push(bytes));
    }
}

impl ColumnData<'_> {
    /// Returns the letter in TFORM and the bytes of an element.
    fn form(&self) -> (char, u64) {
        match self {
            Self::Logical(_) => ('L', 1),
            Self::U8(_) => ('B', 1),
            Self::I16(_) => ('I', 2),
            Self::I32(_) => ('J', 4),
            Self::I64(_) => ('K', 8),
            Self::F32(_) => ('E', 4),
            Self::F64(_) => ('D', 8),
            Self::Complex32(_) => ('C', 8),
            Self::Complex64(_) => ('M', 16),
            Self::Text(_) => ('A', 1),
        }
    }

    fn len(&self, repeat: usize) -> usize {
        match self {
            Self::Logical(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Complex32(values) => values.len(),
            Self::Complex64(values) => values.len(),
            Self::Text(values) => values.len() * repeat,
        }
    }

    /// Appends the elements of some items.
    fn append(&self, items: &Range<usize>, repeat: usize, bytes: &mut Vec<u8>) {
        fn all<T: Element>(values: &[T], elements: Range<usize>, bytes: &mut Vec<u8>) {
            values[elements].iter().for_each(|value| value.push(bytes));
        }
        let elements = items.start * repeat..items.end * repeat;
        match self {
            Self::Logical(values) => all(values, elements, bytes),
            Self::U8(values) => all(values, elements, bytes),
            Self::I16(values) => all(values, elements, bytes),
            Self::I32(values) => all(values, elements, bytes),
            Self::I64(values) => all(values, elements, bytes),
            Self::F32(values) => all(values, elements, bytes),
            Self::F64(values) => all(values, elements, bytes),
            Self::Complex32(values) => all(values, elements, bytes),
            Self::Complex64(values) => all(values, elements, bytes),
            Self::Text(values) => values[items.clone()].iter().for_each(|text| {
                let end = bytes.len() + repeat;
                bytes.extend_from_slice(text.as_bytes());
                bytes.resize(end, b' ');
            }),
        }
    }
}

/// Writes a file of one binary table, its rows distributed by a layout. `cards` go into the table's
/// header after those that describe its columns. The file appears under its name when it is complete
/// and on disk.
///
/// # Collective
///
/// All ranks of the layout, with the same path, cards and columns (names, units, repeats, types).
///
/// # Errors
///
/// The same on all ranks: a column is not of this rank's rows, a string does not fit, a name does not
/// fit a header card, or the file cannot be written. Then there is no new file, and an old one of that
/// name is untouched.
pub fn write_table(rows: &Layout, path: impl AsRef<Path>, cards: &Header, columns: &[TableColumn<'_>]) -> Result<()> {
    write_items(rows, path.as_ref(), 1, cards, columns)
}

/// Writes a table whose rows hold `items_per_row` of the layout's items each, column after column.
///
/// # Collective
pub(super) fn write_items(
    items: &Layout,
    path: &Path,
    items_per_row: u64,
    cards: &Header,
    columns: &[TableColumn<'_>],
) -> Result<()> {
    items.require_contiguous("rows of a FITS table")?;
    let comm = items.comm();
    let plan = comm.agree(Plan::new(path, items, items_per_row, cards, columns))?;
    let _event = profile::event("FitsWrite").bytes(plan.item_bytes * items.local_len() as u64);
    let staged = StagedFile::create(comm, path)?;
    staged.reserve(comm, plan.file_bytes)?;
    comm.agree(plan.write(&staged, columns, comm.rank() == 0))?;
    staged.sync(comm)?;
    staged.publish(comm)
}

/// Positions of all parts.
struct Plan {
    head: Vec<u8>,
    items: Range<u64>,
    items_per_row: u64,
    item_bytes: u64,
    file_bytes: u64,
}

impl Plan {
    fn new(
        path: &Path,
        items: &Layout,
        items_per_row: u64,
        cards: &Header,
        columns: &[TableColumn<'_>],
    ) -> Result<Self> {
        let refuse = |column: &TableColumn<'_>, what: String| {
            Err(Error::argument(path, format!("column {}: {what}", column.name)))
        };
        let mut item_bytes = 0;
        for column in columns {
            let (found, expected) = (column.data.len(column.repeat), items.local_len() * column.repeat);
            if found != expected {
                return refuse(column, format!("expected {expected} elements on this rank, found {found}"));
            }
            if let Some(text) = unfit_text(column) {
                return refuse(
                    column,
                    format!("{text:?} is not of at most {} printable ASCII characters", column.repeat),
                );
            }
            item_bytes += column.data.form().1 * column.repeat as u64;
        }
        let too_large = || Error::argument(path, "the table is larger than 2^63 bytes");
        let table_bytes =
            item_bytes.checked_mul(items.global_len()).filter(|bytes| *bytes < 1 << 62).ok_or_else(too_large)?;
        let rows = items.global_len() / items_per_row;
        let head = head(cards, columns, items_per_row, item_bytes * items_per_row, rows);
        let head = head.map_err(|what| Error::argument(path, what))?;
        let file_bytes = (head.len() as u64 + table_bytes).next_multiple_of(BLOCK as u64);
        Ok(Self { head, items: items.range(), items_per_row, item_bytes, file_bytes })
    }

    /// Writes this rank's part of the file.
    fn write(&self, staged: &StagedFile, columns: &[TableColumn<'_>], with_header: bool) -> Result<()> {
        let (file, path) = (staged.file(), staged.temporary());
        if with_header {
            write_at(file, path, &self.head, 0)?;
            // What no rank writes, the padding, is then zero, as it has to be.
            file.set_len(self.file_bytes).map_err(|error| Error::io(path, "extend", error))?;
        }
        self.write_rows(file, path, columns)
    }

    fn write_rows(&self, file: &File, path: &Path, columns: &[TableColumn<'_>]) -> Result<()> {
        let mut bytes = Vec::new();
        let mut bytes_at = 0;
        let mut item = self.items.start;
        while item < self.items.end {
            let row = item / self.items_per_row;
            let part = item..((row + 1) * self.items_per_row).min(self.items.end);
            let row_at = self.head.len() as u64 + row * self.items_per_row * self.item_bytes;
            if part.end - part.start == self.items_per_row {
                if bytes.is_empty() {
                    bytes_at = row_at;
                }
                for column in columns {
                    column.data.append(&self.local(&part), column.repeat, &mut bytes);
                }
                if bytes.len() >= WRITE_BYTES {
                    write_at(file, path, &bytes, bytes_at)?;
                    bytes.clear();
                }
            } else {
                self.write_part_of_row(file, path, columns, &part, row_at)?;
            }
            item = part.end;
        }
        write_at(file, path, &bytes, bytes_at)
    }

    /// A row shared with another rank: one write for each column.
    fn write_part_of_row(
        &self,
        file: &File,
        path: &Path,
        columns: &[TableColumn<'_>],
        part: &Range<u64>,
        row_at: u64,
    ) -> Result<()> {
        let mut cell_at = row_at;
        for column in columns {
            let mut bytes = Vec::new();
            column.data.append(&self.local(part), column.repeat, &mut bytes);
            let width = column.data.form().1 * column.repeat as u64;
            write_at(file, path, &bytes, cell_at + part.start % self.items_per_row * width)?;
            cell_at += self.items_per_row * width;
        }
        Ok(())
    }

    fn local(&self, items: &Range<u64>) -> Range<usize> {
        let local = |item: u64| usize::try_from(item - self.items.start).expect("invariant: within this rank's slice");
        local(items.start)..local(items.end)
    }
}

/// Returns the first string that does not fit its column.
fn unfit_text<'a>(column: &TableColumn<'a>) -> Option<&'a str> {
    let ColumnData::Text(texts) = column.data else { return None };
    let fits = |text: &str| text.len() <= column.repeat && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    texts.iter().copied().find(|text| !fits(text))
}

fn write_at(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
    file.write_all_at(bytes, offset).map_err(|error| {
        let action = format!("write {} bytes at {offset}", bytes.len());
        Error::io(path, action, error)
    })
}

/// Returns the primary header and that of the table.
fn head(
    cards: &Header,
    columns: &[TableColumn<'_>],
    items_per_row: u64,
    row_bytes: u64,
    rows: u64,
) -> std::result::Result<Vec<u8>, String> {
    let integer = |value: u64| i64::try_from(value).map_err(|_| format!("{value} exceeds 2^63"));
    let mut primary = Header::new();
    primary.push("SIMPLE", true, "conforms to FITS standard");
    primary.push("BITPIX", 8, "array data type");
    primary.push("NAXIS", 0, "number of array dimensions");
    primary.push("EXTEND", true, "");

    let mut table = Header::new();
    table.push("XTENSION", "BINTABLE", "binary table extension");
    table.push("BITPIX", 8, "array data type");
    table.push("NAXIS", 2, "number of array dimensions");
    table.push("NAXIS1", integer(row_bytes)?, "bytes in a row");
    table.push("NAXIS2", integer(rows)?, "rows");
    table.push("PCOUNT", 0, "number of group parameters");
    table.push("GCOUNT", 1, "number of groups");
    table.push("TFIELDS", integer(columns.len() as u64)?, "number of columns");
    for (column, number) in columns.iter().zip(1..) {
        table.push(&format!("TTYPE{number}"), column.name, "");
        let letter = column.data.form().0;
        let form = match items_per_row * column.repeat as u64 {
            1 => letter.to_string(),
            repeat => format!("{repeat}{letter}"),
        };
        table.push(&format!("TFORM{number}"), form.as_str(), "");
        if !column.unit.is_empty() {
            table.push(&format!("TUNIT{number}"), column.unit, "");
        }
    }
    let mut bytes = primary.to_bytes()?;
    bytes.extend(table.followed_by(cards).to_bytes()?);
    Ok(bytes)
}
