//! Vectors in FITS files: the columns of binary tables, HEALPix maps among them.

use super::checks::{check_object_length, require_field};
use super::wanted::Wanted;
use super::{Description, Entry, Field, Format, Location, Storage};
use crate::error::{Error, Result};
use crate::fits::{Column, ColumnData, ColumnType, FitsFile, Hdu, HduKind, Header, TableColumn, write_table};
use bytemuck::cast_slice;
use dolmen_core::{Comm, Layout, MultiVector, Real, Scalar, Vector};
use std::path::Path;

/// The name of a column that is written where none is given.
const COLUMN: &str = "VALUE";

/// The column that a location names, in an open file.
pub(super) struct FitsColumn {
    file: FitsFile,
    /// Its unit, and its place among the columns there.
    place: (usize, usize),
    /// Number of values.
    length: u64,
}

impl FitsColumn {
    /// # Collective
    pub(super) fn open(comm: &Comm, from: &Location, wanted: Wanted) -> Result<FitsColumn> {
        if wanted == Wanted::Matrix {
            return Err(no_matrix(&from.file));
        }
        let file = FitsFile::open_on_all_ranks(comm, &from.file)?;
        let place = choose(from, &file)?;
        let hdu = &file.hdus()[place.0];
        let length = values(from, hdu, &hdu.columns()[place.1])?;
        Ok(FitsColumn { file, place, length })
    }

    fn hdu(&self) -> &Hdu {
        &self.file.hdus()[self.place.0]
    }

    fn column(&self) -> &Column {
        &self.hdu().columns()[self.place.1]
    }

    pub(super) fn description(&self) -> Description {
        let is_complex = matches!(self.column().kind, ColumnType::Complex32 | ColumnType::Complex64);
        let field = if is_complex { Field::Complex } else { Field::Real };
        Description::full(Format::Fits, Storage::TableColumn, field, [self.length, 1])
    }

    pub(super) fn no_matrix(&self) -> Error {
        no_matrix(self.file.path())
    }

    /// Reads the column, the values of a row after each other.
    ///
    /// # Collective
    pub(super) fn vectors<T: Entry>(self, rows: &Layout) -> Result<MultiVector<T>> {
        let (hdu, column) = (self.hdu(), self.column());
        let field = self.description().field;
        check_object_length(self.file.path(), Some(format!("column {}", column.name)), self.length, rows)?;
        require_field::<T>(self.file.path(), field)?;
        let table_rows = rows.range().start / column.repeat..rows.range().end.div_ceil(column.repeat);
        let skip = rows.range().start - table_rows.start * column.repeat;
        let read: Result<Vec<T>> = match field {
            Field::Complex => (self.file.read_column_complex(hdu, &column.name, table_rows))
                .map(|values| values.into_iter().map(|value| T::from_parts(value.re, value.im)).collect()),
            _ => (self.file.read_column_f64(hdu, &column.name, table_rows))
                .map(|values| values.into_iter().map(|value| T::from_parts(value, 0.0)).collect()),
        };
        let skip = usize::try_from(skip).expect("invariant: less than a row, which is in memory");
        let owned = rows.comm().agree(read)?.into_iter().skip(skip).take(rows.local_len()).collect();
        Ok(MultiVector::from_vectors(rows, &[&Vector::from_owned(rows, owned)?])?)
    }
}

fn no_matrix(path: &Path) -> Error {
    Error::argument(path, "is FITS, which holds no sparse matrices")
}

/// Returns the column that a location names, or the only one.
fn choose(from: &Location, file: &FitsFile) -> Result<(usize, usize)> {
    let hdus = || file.hdus().iter().enumerate();
    let columns = || hdus().flat_map(|(unit, hdu)| (0..hdu.columns().len()).map(move |column| (unit, column)));
    let list = || {
        let names = columns().map(|(unit, column)| file.hdus()[unit].columns()[column].name.as_str());
        names.collect::<Vec<&str>>().join(", ")
    };
    let Some(name) = &from.object else {
        let mut all = columns();
        return match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(from.error("holds no binary table, so there is no column to read as a vector")),
            _ => Err(from.error(format!("holds several columns; choose one with FILE::COLUMN; there are {}", list()))),
        };
    };
    let with_column = |name: &str| -> Vec<(usize, usize)> {
        hdus().filter_map(|(unit, hdu)| Some((unit, file.column_index(hdu, name).ok()?))).collect()
    };
    let (mut found, mut column) = (with_column(name), name.as_str());
    if let (true, Some((unit, rest))) = (found.is_empty(), name.split_once('/')) {
        (found, column) = (with_column(rest), rest);
        let is_named = |hdu: &Hdu| hdu.index().to_string() == unit || hdu.header().text("EXTNAME") == Some(unit);
        found.retain(|(unit, _)| is_named(&file.hdus()[*unit]));
    }
    match found[..] {
        [only] => Ok(only),
        [] => Err(from.error(format!("has no column {name}; there are {}", list()))),
        _ => {
            let units = found.iter().map(|(unit, _)| format!("{}/{column}", file.hdus()[*unit].index()));
            let units = units.collect::<Vec<String>>().join(", ");
            let advice = format!("choose one with FILE::HDU/COLUMN; there are {units}");
            Err(from.error(format!("has a column {column} in several HDUs; {advice}")))
        }
    }
}

/// Returns the number of values in a column that can be read as a vector.
fn values(from: &Location, hdu: &Hdu, column: &Column) -> Result<u64> {
    let refused = |what: &str| {
        let what = format!("HDU {}, column {}: {what} is not a vector", hdu.index(), column.name);
        Err(from.error(what))
    };
    match column.kind {
        ColumnType::Text => refused("text"),
        _ if column.repeat == 0 => refused("an array of varying length"),
        _ => Ok(hdu.rows().saturating_mul(column.repeat)),
    }
}

/// Writes a table with a column for each vector.
///
/// # Collective
pub(super) fn write_vectors<T: Entry>(vectors: &MultiVector<T>, to: &Location) -> Result<()> {
    require_plain(to)?;
    let name = to.object.as_deref().unwrap_or(COLUMN);
    let names: Vec<String> = match vectors.columns() {
        1 => vec![name.to_owned()],
        count => (1..=count).map(|number| format!("{name}{number}")).collect(),
    };
    let columns: Vec<TableColumn<'_>> = (0..vectors.columns())
        .zip(&names)
        .map(|(at, name)| TableColumn { name, unit: "", repeat: 1, data: column_data(vectors.column(at)) })
        .collect();
    write_table(vectors.layout(), &to.file, &Header::new(), &columns)
}

fn column_data<T: Scalar>(values: &[T]) -> ColumnData<'_> {
    match (T::COMPLEX, T::Real::EPSILON.to_f64() == f64::EPSILON) {
        (false, false) => ColumnData::F32(cast_slice(values)),
        (false, true) => ColumnData::F64(cast_slice(values)),
        (true, false) => ColumnData::Complex32(cast_slice(values)),
        (true, true) => ColumnData::Complex64(cast_slice(values)),
    }
}

/// Refuses the name of a packed file.
pub(super) fn require_plain(to: &Location) -> Result<()> {
    if to.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
        return Err(to.error("FITS is written unpacked; use .fits"));
    }
    Ok(())
}

/// Names what a FITS file holds beside a column.
///
/// # Collective
pub(super) fn others(comm: &Comm, location: &Location, name: &str) -> Result<Vec<String>> {
    let file = FitsFile::open_on_all_ranks(comm, &location.file)?;
    let columns = file.hdus().iter().flat_map(Hdu::columns).map(|column| column.name.clone());
    let is_image = |hdu: &&Hdu| hdu.kind() != HduKind::BinaryTable && hdu.header().integer("NAXIS") != Some(0);
    let images = file.hdus().iter().filter(is_image).map(|hdu| format!("HDU {}", hdu.index()));
    Ok(columns.filter(|other| !other.eq_ignore_ascii_case(name)).chain(images).collect())
}
