//! Vectors in FITS files: the columns of binary tables, HEALPix maps among them.

use std::ops::Range;

use dolmen_core::{Comm, Complex64, Layout, Vector};
use dolmen_io::fits::{Column, ColumnData, ColumnType, FitsFile, Hdu, Header, TableColumn, write_table};
use dolmen_io::{Vectors, open_on_all_ranks};

use crate::error::{Error, Result};
use crate::input::{Description, require_length, single};
use crate::location::Location;

const FORMAT: &str = "FITS";
/// The name of a column that is written where none is given.
const COLUMN: &str = "VALUE";

/// Opens the file on every rank.
///
/// # Collective
pub(crate) fn open(comm: &Comm, location: &Location) -> Result<FitsFile> {
    open_on_all_ranks(comm, &location.file)?;
    Ok(comm.agree(FitsFile::open(&location.file))?)
}

/// The column that a location names, or the only one.
fn choose<'f>(location: &Location, file: &'f FitsFile) -> Result<(&'f Hdu, &'f Column)> {
    let columns = || file.hdus().iter().flat_map(|hdu| hdu.columns().iter().map(move |column| (hdu, column)));
    let list = || columns().map(|(_, column)| column.name.as_str()).collect::<Vec<&str>>().join(", ");
    let Some(name) = &location.object else {
        let mut all = columns();
        return match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(location.error("holds no binary table, and so no column to read as a vector")),
            _ => {
                Err(location
                    .error(format!("holds several columns; choose one with FILE::COLUMN; there are {}", list())))
            }
        };
    };
    let mut found = with_column(file, name);
    let column = match name.split_once('/') {
        Some((unit, column)) if found.is_empty() => {
            found = with_column(file, column);
            found.retain(|hdu| hdu.index().to_string() == unit || hdu.header().text("EXTNAME") == Some(unit));
            column
        }
        _ => name,
    };
    match found[..] {
        [hdu] => Ok((hdu, &hdu.columns()[file.column_index(hdu, column)?])),
        [] => Err(location.error(format!("has no column {name}; there are {}", list()))),
        _ => {
            let units: Vec<String> = found.iter().map(|hdu| format!("{}/{column}", hdu.index())).collect();
            let what = format!(
                "has a column {column} in several HDUs; choose one with FILE::HDU/COLUMN; there are {}",
                units.join(", ")
            );
            Err(location.error(what))
        }
    }
}

/// The units that have a column of a name.
fn with_column<'f>(file: &'f FitsFile, name: &str) -> Vec<&'f Hdu> {
    file.hdus().iter().filter(|hdu| file.column_index(hdu, name).is_ok()).collect()
}

/// The number of values in a column that can be read as a vector.
fn values(location: &Location, hdu: &Hdu, column: &Column) -> Result<u64> {
    let refused = |what: &str| {
        let what = format!("HDU {}, column {}: {what} is no vector", hdu.index(), column.name);
        Err(location.error(what))
    };
    match column.kind {
        ColumnType::Text => refused("text"),
        _ if column.repeat == 0 => refused("what has another number of elements in each row"),
        _ => Ok(hdu.rows().saturating_mul(column.repeat)),
    }
}

fn is_complex(column: &Column) -> bool {
    matches!(column.kind, ColumnType::Complex32 | ColumnType::Complex64)
}

/// What is at a location.
///
/// # Collective
pub(crate) fn describe(comm: &Comm, location: &Location) -> Result<Description> {
    let file = open(comm, location)?;
    let (hdu, column) = choose(location, &file)?;
    let rows = values(location, hdu, column)?;
    Ok(Description::full(FORMAT, "column of a table", is_complex(column), [rows, 1]))
}

/// Reads a column, the values of a row after each other.
///
/// # Collective
pub(crate) fn read_vectors(location: &Location, rows: &Layout) -> Result<(Vectors, Description)> {
    let file = open(rows.comm(), location)?;
    let (hdu, column) = choose(location, &file)?;
    let length = values(location, hdu, column)?;
    require_length(location, &format!("column {} ", column.name), length, rows)?;
    let description = Description::full(FORMAT, "column of a table", is_complex(column), [length, 1]);
    let table_rows = rows.range().start / column.repeat..rows.range().end.div_ceil(column.repeat);
    let skip = rows.range().start - table_rows.start * column.repeat;
    let vectors = if is_complex(column) {
        let read = file.read_column_complex(hdu, &column.name, table_rows);
        Vectors::Complex(single(&cut::<Complex64>(rows, skip, rows.comm().agree(read)?)?)?)
    } else {
        let read = file.read_column_f64(hdu, &column.name, table_rows);
        Vectors::Real(single(&cut(rows, skip, rows.comm().agree(read)?)?)?)
    };
    Ok((vectors, description))
}

/// This rank's values out of those of whole rows.
fn cut<T: dolmen_core::Scalar>(rows: &Layout, skip: u64, values: Vec<T>) -> Result<Vector<T>> {
    let skip = usize::try_from(skip).expect("invariant: less than a row, which is in memory");
    Ok(Vector::from_owned(rows, values.into_iter().skip(skip).take(rows.local_len()).collect())?)
}

/// Reads all of a column in pieces, to see whether it is valid; what no one reads is not looked at.
pub(crate) fn examine(file: &FitsFile, hdu: &Hdu, column: &Column, rows: Range<u64>) -> dolmen_io::Result<()> {
    const VALUES: u64 = 1 << 20;
    let step = (VALUES / column.repeat.max(1)).max(1);
    let mut start = rows.start;
    while start < rows.end {
        let piece = start..rows.end.min(start.saturating_add(step));
        start = piece.end;
        match column.kind {
            ColumnType::Text => drop(file.read_column_text(hdu, &column.name, piece)?),
            ColumnType::Complex32 | ColumnType::Complex64 => {
                drop(file.read_column_complex(hdu, &column.name, piece)?)
            }
            // Any 64 bits are valid, also where f64 does not hold the number.
            ColumnType::Int64 => drop(file.read_column_lengths(hdu, &column.name, piece)?),
            _ => drop(file.read_column_f64(hdu, &column.name, piece)?),
        }
    }
    Ok(())
}

/// Writes a table with a column for each vector.
///
/// # Collective
pub(crate) fn write_vectors(location: &Location, vectors: &Vectors) -> Result<()> {
    let (rows, count) = match vectors {
        Vectors::Real(vectors) => (vectors.layout(), vectors.columns()),
        Vectors::Complex(vectors) => (vectors.layout(), vectors.columns()),
    };
    require_plain(location)?;
    let name = location.object.as_deref().unwrap_or(COLUMN);
    let names: Vec<String> = match count {
        1 => vec![name.to_owned()],
        _ => (1..=count).map(|number| format!("{name}{number}")).collect(),
    };
    let data = |column: usize| match vectors {
        Vectors::Real(vectors) => ColumnData::F64(vectors.column(column)),
        Vectors::Complex(vectors) => ColumnData::Complex64(vectors.column(column)),
    };
    let column = |(at, name)| TableColumn { name, unit: "", repeat: 1, data: data(at) };
    let columns: Vec<TableColumn<'_>> = names.iter().map(String::as_str).enumerate().map(column).collect();
    Ok(write_table(rows, &location.file, &Header::new(), &columns)?)
}

/// Refuses the name of a packed file.
pub(crate) fn require_plain(location: &Location) -> Result<(), Error> {
    if location.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
        return Err(location.error("FITS is written unpacked; use .fits"));
    }
    Ok(())
}
