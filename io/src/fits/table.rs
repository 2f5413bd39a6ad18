//! Columns of binary tables (FITS Standard 4.0, section 7.3).

use super::file::{FitsFile, Hdu};
use super::header::{Header, Value};
use crate::error::{Error, Result};
use dolmen_core::profile;
use std::ops::Range;

/// Rows are read in blocks of about this many bytes.
const READ_BYTES: u64 = 4 << 20;

/// The type of a column's elements as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnType {
    /// `L`: true, false or null.
    Logical,
    /// `B`: an unsigned byte.
    Byte,
    /// `I`: a 16-bit integer.
    Int16,
    /// `J`: a 32-bit integer.
    Int32,
    /// `K`: a 64-bit integer.
    Int64,
    /// `E`: a 32-bit floating-point number.
    Float32,
    /// `D`: a 64-bit floating-point number.
    Float64,
    /// A type that is not read: bits, characters, complex numbers, arrays of
    /// variable length. The letter is that of TFORM.
    Unsupported(char),
}

/// A column of a binary table.
#[derive(Clone, Debug)]
pub struct Column {
    /// TTYPE, or empty.
    pub name: String,
    /// TUNIT, or empty.
    pub unit: String,
    /// The type of its elements.
    pub kind: ColumnType,
    /// The number of elements in a row.
    pub repeat: u64,
    offset: u64,
    width: u64,
    scale: f64,
    zero: f64,
    /// TZERO, where the stored integers are only shifted by a whole number: the
    /// convention for unsigned integers.
    whole_zero: Option<i128>,
    null: Option<i64>,
}

/// Reads the column descriptions of a table whose rows have `row_bytes` bytes.
pub(super) fn parse_columns(header: &Header, row_bytes: u64) -> std::result::Result<Vec<Column>, String> {
    let fields = header.integer("TFIELDS").ok_or("TFIELDS is missing or not an integer")?;
    let mut columns = Vec::new();
    let mut offset = 0_u64;
    for number in 1..=fields {
        let column = parse_column(header, number, offset)?;
        offset = offset
            .checked_add(column.width)
            .filter(|end| *end <= row_bytes)
            .ok_or_else(|| format!("column {number} ends beyond the row of {row_bytes} bytes"))?;
        columns.push(column);
    }
    Ok(columns)
}

fn parse_column(header: &Header, number: i64, offset: u64) -> std::result::Result<Column, String> {
    let keyword = |root: &str| format!("{root}{number}");
    let text = |root: &str| header.text(&keyword(root)).unwrap_or_default().to_owned();
    let real = |root: &str, default: f64| match header.get(&keyword(root)) {
        None => Ok(default),
        Some(_) => (header.real(&keyword(root))).ok_or_else(|| format!("{} is not a number", keyword(root))),
    };
    let form = text("TFORM");
    let (kind, repeat, width) =
        parse_form(&form).ok_or_else(|| format!("TFORM{number} = {form:?} is not a column format"))?;
    let null = match header.get(&keyword("TNULL")) {
        None => None,
        Some(Value::Integer(null)) => Some(*null),
        Some(_) => return Err(format!("TNULL{number} is not an integer")),
    };
    let (scale, zero) = (real("TSCAL", 1.0)?, real("TZERO", 0.0)?);
    // Unsigned 64-bit integers have 2^63. The formatting is exact and spares a cast that
    // could truncate.
    let whole_zero =
        (scale == 1.0 && zero.fract() == 0.0 && zero.abs() < 1e19).then(|| format!("{zero:.0}").parse().ok()).flatten();
    Ok(Column { name: text("TTYPE"), unit: text("TUNIT"), kind, repeat, offset, width, scale, zero, whole_zero, null })
}

/// Splits TFORM into type, repeat count and width in bytes.
fn parse_form(form: &str) -> Option<(ColumnType, u64, u64)> {
    let form = form.trim();
    let letter_at = form.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = form.split_at(letter_at);
    let repeat: u64 = match digits {
        "" => 1,
        digits => digits.parse().ok()?,
    };
    let letter = rest.chars().next()?;
    let (kind, bytes) = match letter {
        'L' => (ColumnType::Logical, 1),
        'B' => (ColumnType::Byte, 1),
        'I' => (ColumnType::Int16, 2),
        'J' => (ColumnType::Int32, 4),
        'K' => (ColumnType::Int64, 8),
        'E' => (ColumnType::Float32, 4),
        'D' => (ColumnType::Float64, 8),
        'X' => return Some((ColumnType::Unsupported('X'), repeat, repeat.div_ceil(8))),
        'A' => (ColumnType::Unsupported('A'), 1),
        'C' | 'P' => (ColumnType::Unsupported(letter), 8),
        'M' | 'Q' => (ColumnType::Unsupported(letter), 16),
        _ => return None,
    };
    Some((kind, repeat, repeat.checked_mul(bytes)?))
}

impl FitsFile {
    /// The position of a column, by its name; the case of letters only matters
    /// where two names differ in nothing else.
    ///
    /// # Errors
    ///
    /// There is no such column.
    pub fn column_index(&self, hdu: &Hdu, name: &str) -> Result<usize> {
        let columns = hdu.columns();
        let exact = columns.iter().position(|column| column.name == name);
        exact.or_else(|| (columns.iter()).position(|column| column.name.eq_ignore_ascii_case(name))).ok_or_else(|| {
            let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            let what = format!("no column {name}; there are: {}", names.join(", "));
            Error::fits(self.path(), format!("HDU {}", hdu.index), what)
        })
    }

    /// Reads rows of a numeric column as doubles: scaled by TSCAL and TZERO, null
    /// as NaN, true and false as 1 and 0. The values of a row follow each other.
    ///
    /// # Errors
    ///
    /// There is no such column or row, or the type is not numeric, or the file
    /// cannot be read.
    pub fn read_column_f64(&self, hdu: &Hdu, name: &str, rows: Range<u64>) -> Result<Vec<f64>> {
        self.read_f64(hdu, self.column_index(hdu, name)?, rows)
    }

    /// Reads rows of an integer column exactly, unsigned conventions applied; a
    /// null is returned as its stored value (TNULL).
    ///
    /// # Errors
    ///
    /// As [`FitsFile::read_column_f64`]; also if the column holds or scales to
    /// other than integers, or a value does not fit.
    pub fn read_column_i64(&self, hdu: &Hdu, name: &str, rows: Range<u64>) -> Result<Vec<i64>> {
        self.read_i64(hdu, self.column_index(hdu, name)?, rows)
    }

    pub(super) fn read_f64(&self, hdu: &Hdu, index: usize, rows: Range<u64>) -> Result<Vec<f64>> {
        let column = &hdu.columns[index];
        let mut values = Vec::with_capacity(self.value_count(hdu, column, &rows)?);
        self.for_each_cell(hdu, column, rows, |cell| {
            decode_f64(column, cell, &mut values);
            Ok(())
        })?;
        Ok(values)
    }

    pub(super) fn read_i64(&self, hdu: &Hdu, index: usize, rows: Range<u64>) -> Result<Vec<i64>> {
        let column = &hdu.columns[index];
        let mut values = Vec::with_capacity(self.value_count(hdu, column, &rows)?);
        let zero = (column.whole_zero)
            .filter(|_| !matches!(column.kind, ColumnType::Float32 | ColumnType::Float64))
            .ok_or_else(|| self.column_error(hdu, column, "does not hold integers"))?;
        self.for_each_cell(hdu, column, rows, |cell| {
            let mut fits = true;
            for_each_integer(column.kind, cell, |raw| {
                let value = raw.map(|raw| i64::try_from(i128::from(raw) + zero));
                match value {
                    Some(Ok(value)) => values.push(value),
                    _ => fits = false,
                }
            });
            if fits {
                return Ok(());
            }
            let what = format!("value {} is null or exceeds 64 bits", values.len());
            Err(self.column_error(hdu, column, &what))
        })?;
        Ok(values)
    }

    fn column_error(&self, hdu: &Hdu, column: &Column, what: &str) -> Error {
        let place = format!("HDU {}, column {}", hdu.index, column.name);
        Error::fits(self.path(), place, what)
    }

    /// Checks that rows of a column can be read; how many values they have.
    fn value_count(&self, hdu: &Hdu, column: &Column, rows: &Range<u64>) -> Result<usize> {
        if let ColumnType::Unsupported(letter) = column.kind {
            let what = format!("its type {letter} is not one of L, B, I, J, K, E, D");
            return Err(self.column_error(hdu, column, &what));
        }
        if rows.start > rows.end || rows.end > hdu.rows {
            let what = format!("rows {}..{} asked for, {} present", rows.start, rows.end, hdu.rows);
            return Err(self.column_error(hdu, column, &what));
        }
        let count = (rows.end - rows.start).checked_mul(column.repeat);
        count
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| self.column_error(hdu, column, "too many values for the memory"))
    }

    fn for_each_cell(
        &self,
        hdu: &Hdu,
        column: &Column,
        rows: Range<u64>,
        mut visit: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if column.width == 0 {
            return Ok(());
        }
        let to_usize = |bytes: u64| usize::try_from(bytes).expect("invariant: within a file that was measured");
        let row_bytes = to_usize(hdu.row_bytes);
        let cell = to_usize(column.offset)..to_usize(column.offset + column.width);
        let block = (READ_BYTES / hdu.row_bytes).max(1);
        let _event = profile::event("FitsRead").bytes((rows.end - rows.start) * hdu.row_bytes);
        let mut buffer = Vec::new();
        let mut row = rows.start;
        while row < rows.end {
            let count = block.min(rows.end - row);
            buffer.resize(to_usize(count * hdu.row_bytes), 0);
            self.read_exact_at(&mut buffer, hdu.data.start + row * hdu.row_bytes)?;
            for row in buffer.chunks_exact(row_bytes) {
                visit(&row[cell.clone()])?;
            }
            row += count;
        }
        Ok(())
    }
}

/// Visits the stored integers of a cell; `None` is a logical null.
fn for_each_integer(kind: ColumnType, cell: &[u8], mut visit: impl FnMut(Option<i64>)) {
    match kind {
        ColumnType::Logical => cell.iter().for_each(|byte| {
            visit(match byte {
                b'T' => Some(1),
                b'F' => Some(0),
                _ => None,
            });
        }),
        ColumnType::Byte => cell.iter().for_each(|byte| visit(Some((*byte).into()))),
        ColumnType::Int16 => {
            (cell.as_chunks().0.iter()).for_each(|bytes| visit(Some(i16::from_be_bytes(*bytes).into())))
        }
        ColumnType::Int32 => {
            (cell.as_chunks().0.iter()).for_each(|bytes| visit(Some(i32::from_be_bytes(*bytes).into())))
        }
        ColumnType::Int64 => {
            (cell.as_chunks().0.iter()).for_each(|bytes| visit(Some(i64::from_be_bytes(*bytes))));
        }
        ColumnType::Float32 | ColumnType::Float64 | ColumnType::Unsupported(_) => {
            unreachable!("invariant: only called for integer columns")
        }
    }
}

fn decode_f64(column: &Column, cell: &[u8], values: &mut Vec<f64>) {
    let scaled = |value: f64| value * column.scale + column.zero;
    match column.kind {
        ColumnType::Float32 => {
            values.extend((cell.as_chunks().0.iter()).map(|bytes| scaled(f32::from_be_bytes(*bytes).into())))
        }
        ColumnType::Float64 => {
            values.extend((cell.as_chunks().0.iter()).map(|bytes| scaled(f64::from_be_bytes(*bytes))))
        }
        kind => {
            for_each_integer(kind, cell, |raw| {
                values.push(match (raw.filter(|raw| Some(*raw) != column.null), column.whole_zero) {
                    (None, _) => f64::NAN,
                    // One rounding for 64-bit unsigned integers, not two.
                    (Some(raw), Some(zero)) => (i128::from(raw) + zero) as f64,
                    (Some(raw), None) => scaled(raw as f64),
                });
            });
        }
    }
}
