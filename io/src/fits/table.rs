//! Reading binary tables (FITS Standard 4.0, section 7.3).

use super::column::{Column, ColumnType, Storage};
use super::file::{FitsFile, Hdu};
use crate::EXACT;
use crate::error::{Error, Result};
use dolmen_core::{Complex64, profile};
use std::ops::Range;

/// Rows are read in blocks of about this many bytes.
const READ_BYTES: u64 = 4 << 20;

/// Types that have numbers to read; bits and logical values are 0 and 1.
const NUMBERS: &str = "LXBIJKED";

impl FitsFile {
    /// Returns the position of a column, by its name; the case of letters only matters
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
    /// as NaN, bits and true and false as 1 and 0. The values of a row follow each
    /// other; [`FitsFile::read_column_lengths`] says how many each row has where that
    /// varies.
    ///
    /// # Errors
    ///
    /// There is no such column or row, or the type is not numeric, or the file
    /// cannot be read. A whole number beyond 2^53, of a column that is not scaled.
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

    /// Reads rows of a column of complex numbers.
    ///
    /// # Errors
    ///
    /// As [`FitsFile::read_column_f64`]; also if the column is scaled, for which
    /// complex numbers have no rule that programs agree on.
    pub fn read_column_complex(&self, hdu: &Hdu, name: &str, rows: Range<u64>) -> Result<Vec<Complex64>> {
        let column = &hdu.columns[self.column_index(hdu, name)?];
        let mut values = Vec::with_capacity(self.value_count(hdu, column, &rows, "CM")?);
        if column.scale != 1.0 || column.zero != 0.0 {
            return Err(self.column_error(hdu, column, "scaled complex numbers are not supported"));
        }
        self.for_each_cell(hdu, column, rows, |cell, _| {
            if column.kind == ColumnType::Complex32 {
                let parts = cell.as_chunks().0.iter().map(|bytes| f64::from(f32::from_be_bytes(*bytes)));
                push_pairs(parts, &mut values);
            } else {
                push_pairs(cell.as_chunks().0.iter().map(|bytes| f64::from_be_bytes(*bytes)), &mut values);
            }
            Ok(())
        })?;
        Ok(values)
    }

    /// Reads rows of a column of characters: a string for each row, up to a NUL
    /// and without blanks at its end.
    ///
    /// # Errors
    ///
    /// As [`FitsFile::read_column_f64`]; also if a string is not of printable ASCII.
    pub fn read_column_text(&self, hdu: &Hdu, name: &str, rows: Range<u64>) -> Result<Vec<String>> {
        let column = &hdu.columns[self.column_index(hdu, name)?];
        self.value_count(hdu, column, &rows, "A")?;
        let mut texts = Vec::new();
        self.for_each_cell(hdu, column, rows.clone(), |cell, _| {
            let text = cell.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii_end();
            let readable =
                str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            let Some(readable) = readable else {
                let what = format!("row {} has bytes that are not printable ASCII", rows.start + texts.len() as u64);
                return Err(self.column_error(hdu, column, &what));
            };
            texts.push(readable.to_owned());
            Ok(())
        })?;
        Ok(texts)
    }

    /// Returns the number of elements in each of the rows.
    ///
    /// # Errors
    ///
    /// There is no such column or row, or the file cannot be read.
    pub fn read_column_lengths(&self, hdu: &Hdu, name: &str, rows: Range<u64>) -> Result<Vec<u64>> {
        let column = &hdu.columns[self.column_index(hdu, name)?];
        self.value_count(hdu, column, &rows, "LXBIJKAEDCM")?;
        let mut lengths = Vec::new();
        self.for_each_cell(hdu, column, rows, |_, length| {
            lengths.push(length as u64);
            Ok(())
        })?;
        Ok(lengths)
    }

    pub(super) fn read_f64(&self, hdu: &Hdu, index: usize, rows: Range<u64>) -> Result<Vec<f64>> {
        let column = &hdu.columns[index];
        let mut values = Vec::with_capacity(self.value_count(hdu, column, &rows, NUMBERS)?);
        self.for_each_cell(hdu, column, rows, |cell, length| {
            let inexact = decode_f64(column, cell, length, &mut values);
            inexact.map_or(Ok(()), |value| {
                let what = format!("holds {value}, beyond 2^53, where f64 cannot hold every integer");
                Err(self.column_error(hdu, column, &what))
            })
        })?;
        Ok(values)
    }

    pub(super) fn read_i64(&self, hdu: &Hdu, index: usize, rows: Range<u64>) -> Result<Vec<i64>> {
        let column = &hdu.columns[index];
        let mut values = Vec::with_capacity(self.value_count(hdu, column, &rows, NUMBERS)?);
        let zero = (column.whole_zero)
            .filter(|_| !matches!(column.kind, ColumnType::Float32 | ColumnType::Float64))
            .ok_or_else(|| self.column_error(hdu, column, "does not hold integers"))?;
        self.for_each_cell(hdu, column, rows, |cell, length| {
            let mut fits = true;
            for_each_integer(column.kind, cell, length, |raw| {
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

    /// Checks that rows of a column can be read as one of some types; how many values they have, if
    /// that does not vary.
    fn value_count(&self, hdu: &Hdu, column: &Column, rows: &Range<u64>, letters: &str) -> Result<usize> {
        let letter = column.kind.letter();
        if !letters.contains(letter) {
            let known: Vec<String> = letters.chars().map(String::from).collect();
            let what = format!("its type {letter} is not one of {}", known.join(", "));
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

    /// Visits the bytes of each row's elements and their number.
    fn for_each_cell(
        &self,
        hdu: &Hdu,
        column: &Column,
        rows: Range<u64>,
        mut visit: impl FnMut(&[u8], usize) -> Result<()>,
    ) -> Result<()> {
        let to_usize = |bytes: u64| usize::try_from(bytes).expect("invariant: within a file that was measured");
        if column.width == 0 {
            return (rows.start..rows.end).try_for_each(|_| visit(&[], 0));
        }
        let row_bytes = to_usize(hdu.row_bytes);
        let cell = to_usize(column.offset)..to_usize(column.offset + column.width);
        let block = (READ_BYTES / hdu.row_bytes).max(1);
        let _event = profile::event("FitsRead").bytes((rows.end - rows.start) * hdu.row_bytes);
        let (mut buffer, mut elements, mut taken) = (Vec::new(), Vec::new(), 0);
        let mut row = rows.start;
        while row < rows.end {
            let count = block.min(rows.end - row);
            buffer.resize(to_usize(count * hdu.row_bytes), 0);
            self.read_exact_at(&mut buffer, hdu.data.start + row * hdu.row_bytes)?;
            for row in buffer.chunks_exact(row_bytes) {
                if column.storage == Storage::Row {
                    visit(&row[cell.clone()], to_usize(column.repeat))?;
                } else {
                    let length = self.read_heap(hdu, column, &row[cell.clone()], &mut elements, &mut taken)?;
                    visit(&elements, length)?;
                }
            }
            row += count;
        }
        Ok(())
    }

    /// Reads what a row has in the heap; its number of elements. Together the rows cannot have more
    /// than the heap (`taken` counts it), so that memory is bounded by the file.
    fn read_heap(
        &self,
        hdu: &Hdu,
        column: &Column,
        descriptor: &[u8],
        elements: &mut Vec<u8>,
        taken: &mut u64,
    ) -> Result<usize> {
        let mut parts = [0_i64; 2];
        if column.storage == Storage::Heap32 {
            let found = descriptor.as_chunks().0.iter().map(|bytes| i32::from_be_bytes(*bytes).into());
            parts.iter_mut().zip(found).for_each(|(part, found)| *part = found);
        } else {
            let found = descriptor.as_chunks().0.iter().map(|bytes| i64::from_be_bytes(*bytes));
            parts.iter_mut().zip(found).for_each(|(part, found)| *part = found);
        }
        let size = hdu.heap.end - hdu.heap.start;
        let place = || -> Option<(u64, u64, u64)> {
            let [length, start] = [u64::try_from(parts[0]).ok()?, u64::try_from(parts[1]).ok()?];
            let bytes = column.kind.bytes(length)?;
            start.checked_add(bytes).filter(|end| *end <= size || length == 0)?;
            Some((length, start, bytes))
        };
        let Some((length, start, bytes)) = place() else {
            let what = format!("{} elements at byte {} of a heap of {size} bytes", parts[0], parts[1]);
            return Err(self.column_error(hdu, column, &what));
        };
        *taken += bytes;
        if *taken > size {
            return Err(self.column_error(hdu, column, "the arrays of its rows overlap in the heap"));
        }
        let fits = |count: u64| usize::try_from(count).expect("invariant: within a file that was measured");
        elements.resize(fits(bytes), 0);
        if length > 0 {
            self.read_exact_at(elements, hdu.heap.start + start)?;
        }
        Ok(fits(length))
    }
}

/// Visits the stored integers of a cell; `None` is a logical null.
fn for_each_integer(kind: ColumnType, cell: &[u8], length: usize, mut visit: impl FnMut(Option<i64>)) {
    match kind {
        ColumnType::Logical => cell.iter().for_each(|byte| {
            visit(match byte {
                b'T' => Some(1),
                b'F' => Some(0),
                _ => None,
            });
        }),
        // The first element is the most significant bit.
        ColumnType::Bit => (0..length).for_each(|bit| visit(Some((cell[bit / 8] >> (7 - bit % 8) & 1).into()))),
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
        ColumnType::Text
        | ColumnType::Float32
        | ColumnType::Float64
        | ColumnType::Complex32
        | ColumnType::Complex64 => unreachable!("invariant: only called for integer columns"),
    }
}

/// Adds the values of a cell; returns one that is a whole number which `f64` may not hold.
fn decode_f64(column: &Column, cell: &[u8], length: usize, values: &mut Vec<f64>) -> Option<i128> {
    let mut inexact = None;
    let scaled = |value: f64| value * column.scale + column.zero;
    match column.kind {
        ColumnType::Float32 => {
            values.extend((cell.as_chunks().0.iter()).map(|bytes| scaled(f32::from_be_bytes(*bytes).into())))
        }
        ColumnType::Float64 => {
            values.extend((cell.as_chunks().0.iter()).map(|bytes| scaled(f64::from_be_bytes(*bytes))))
        }
        kind => {
            for_each_integer(kind, cell, length, |raw| {
                values.push(match (raw.filter(|raw| Some(*raw) != column.null), column.whole_zero) {
                    (None, _) => f64::NAN,
                    (Some(raw), Some(zero)) => {
                        let value = i128::from(raw) + zero;
                        inexact = inexact.or((value.unsigned_abs() > u128::from(EXACT)).then_some(value));
                        value as f64
                    }
                    (Some(raw), None) => scaled(raw as f64),
                });
            });
        }
    }
    inexact
}

fn push_pairs(parts: impl Iterator<Item = f64>, values: &mut Vec<Complex64>) {
    let mut parts = parts;
    while let (Some(re), Some(im)) = (parts.next(), parts.next()) {
        values.push(Complex64::new(re, im));
    }
}
