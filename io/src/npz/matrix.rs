//! Matrices from the arrays of each of SciPy's formats.
//!
//! Each rank takes an even share of the rows, columns, blocks or entries and adds what is there; the
//! builder sends entries to their owners.

use super::array::{Array, is_npy};
use super::zip::{self, Member};
use crate::fault::Fault;
use crate::files::Storage;
use crate::source::Source;
use dolmen_core::{Blocks, Comm, Complex64, CsrBuilder, Scalar};
use std::ops::Range;

/// The arrays beside the values, by the format of the matrix.
#[derive(Debug)]
pub(super) enum Layouts {
    /// `csr` and `csc`.
    Compressed { by_rows: bool, indices: Array, starts: Array },
    /// `bsr`: blocks of this number of rows and columns.
    Blocks { height: u64, width: u64, indices: Array, starts: Array },
    /// `coo`; in pydata/sparse the columns of all entries follow their rows in one array.
    Coordinate { rows: Array, columns: Option<Array> },
    /// `dia`.
    Diagonals { offsets: Array },
    /// A dense array, as NumPy saves it.
    Dense,
}

/// Rows, columns, values and layout of the matrix in a file.
pub(super) fn find(source: &Source) -> Result<(u64, u64, Array, Layouts), Fault> {
    if is_npy(&source.head()) {
        return dense(Array::of(source, &Member::whole(source))?);
    }
    let members = zip::members(source)?;
    if let [member] = &members[..] {
        return dense(Array::of(source, member)?);
    }
    let require = |name: &str, dimensions| Array::require(source, &members, name, dimensions);
    let format = format(source, &members)?;
    let shape = require("shape", 1)?;
    let sizes = if shape.count() == 2 { shape.integers(source, 0..2)? } else { Vec::new() };
    let sizes: Option<Vec<u64>> = sizes.iter().map(|size| u64::try_from(*size).ok()).collect();
    let &[rows, columns] = &sizes.unwrap_or_default()[..] else {
        return Err(shape.fault("does not hold the two sizes of a matrix"));
    };
    shape.verify_alone(source)?;
    let compressed = |dimensions: usize, outer: u64| -> Result<[Array; 3], Fault> {
        let (data, indices, starts) = (require("data", dimensions)?, require("indices", 1)?, require("indptr", 1)?);
        if starts.count() != outer.saturating_add(1) {
            return Err(starts.fault(format!("has {} numbers, not {} + 1", starts.count(), outer)));
        }
        if data.shape[0] != indices.count() {
            return Err(indices.fault(format!("has {} indices for {} values", indices.count(), data.shape[0])));
        }
        Ok([data, indices, starts])
    };
    let (data, layouts) = match format.as_str() {
        "csr" | "csc" => {
            let by_rows = format == "csr";
            let [data, indices, starts] = compressed(1, if by_rows { rows } else { columns })?;
            (data, Layouts::Compressed { by_rows, indices, starts })
        }
        "bsr" => {
            let (height, width) = block_shape(&require("data", 3)?, rows, columns)?;
            let [data, indices, starts] = compressed(3, rows / height)?;
            (data, Layouts::Blocks { height, width, indices, starts })
        }
        // pydata/sparse has one array of places.
        "coo" if Array::find(source, &members, "coords")?.is_some() => {
            require_zero_fill(source, &members)?;
            let (data, places) = (require("data", 1)?, require("coords", 2)?);
            if places.shape[..] != [2, data.count()] {
                let what = format!("has shape {:?}, not 2 by {} for as many values", places.shape, data.count());
                return Err(places.fault(what));
            }
            (data, Layouts::Coordinate { rows: places, columns: None })
        }
        "gcxs" => {
            require_zero_fill(source, &members)?;
            let axes = require("compressed_axes", 1)?;
            let by_rows = match axes.integers(source, 0..axes.count().min(2))?[..] {
                [axis @ (0 | 1)] => axis == 0,
                _ => return Err(axes.fault("is neither 0, for rows, nor 1, for columns")),
            };
            axes.verify_alone(source)?;
            let [data, indices, starts] = compressed(1, if by_rows { rows } else { columns })?;
            (data, Layouts::Compressed { by_rows, indices, starts })
        }
        "coo" => {
            let (data, row, column) = (require("data", 1)?, require("row", 1)?, require("col", 1)?);
            if let Some(short) = [&row, &column].into_iter().find(|indices| indices.count() != data.count()) {
                return Err(short.fault(format!("has {} indices for {} values", short.count(), data.count())));
            }
            (data, Layouts::Coordinate { rows: row, columns: Some(column) })
        }
        "dia" => {
            let (data, offsets) = (require("data", 2)?, require("offsets", 1)?);
            if data.shape[0] != offsets.count() {
                return Err(offsets.fault(format!("has {} offsets for {} diagonals", offsets.count(), data.shape[0])));
            }
            (data, Layouts::Diagonals { offsets })
        }
        other => {
            let what = format!("is '{other}'; only csr, csc, coo, bsr, dia and gcxs are supported");
            return Err(Fault::new("member format.npy", what));
        }
    };
    Ok((rows, columns, data, layouts))
}

/// Returns the name of the format, which older versions of pydata/sparse leave to be told from the arrays.
fn format(source: &Source, members: &[Member]) -> Result<String, Fault> {
    let has = |name: &str| members.iter().any(|member| member.name == name);
    if !has("format.npy") && has("fill_value.npy") {
        return Ok(if has("coords.npy") { "coo" } else { "gcxs" }.to_owned());
    }
    let named = Array::require(source, members, "format", 0)?;
    let format = named.text(source)?;
    named.verify_alone(source)?;
    Ok(format)
}

/// Refuses a matrix of pydata/sparse whose other entries are not zero.
fn require_zero_fill(source: &Source, members: &[Member]) -> Result<(), Fault> {
    let Some(fill) = Array::find(source, members, "fill_value")? else { return Ok(()) };
    let values: Vec<Complex64> = fill.values(source, 0..fill.count().min(1))?;
    fill.verify_alone(source)?;
    if values.iter().all(|value| *value == Complex64::ZERO) {
        return Ok(());
    }
    Err(fill.fault("is not zero, so the matrix is not sparse; subtract it before saving"))
}

/// Returns an array of one column, or of rows and columns.
fn dense(data: Array) -> Result<(u64, u64, Array, Layouts), Fault> {
    match data.shape[..] {
        [rows] => Ok((rows, 1, data, Layouts::Dense)),
        [rows, columns] => Ok((rows, columns, data, Layouts::Dense)),
        _ => Err(data.fault(format!("has {} dimensions, not one or two", data.shape.len()))),
    }
}

fn block_shape(data: &Array, rows: u64, columns: u64) -> Result<(u64, u64), Fault> {
    let (height, width) = (data.shape[1], data.shape[2]);
    if height == 0 || width == 0 || !rows.is_multiple_of(height) || !columns.is_multiple_of(width) {
        return Err(
            data.fault(format!("has blocks of {height} by {width}, which do not tile {rows} by {columns} entries"))
        );
    }
    Ok((height, width))
}

fn share(comm: &Comm, count: u64) -> Range<u64> {
    Blocks::uniform(count, comm.size()).range(comm.rank())
}

/// Numbers as indices below `bound`.
fn indices(array: &Array, source: &Source, part: Range<u64>, bound: u64) -> Result<Vec<u64>, Fault> {
    let first = part.start;
    let found = array.integers(source, part)?.into_iter().enumerate().map(|(place, index)| {
        let valid = u64::try_from(index).ok().filter(|index| *index < bound);
        valid
            .ok_or_else(|| array.fault(format!("number {} is {index}, outside 0 to {bound} - 1", first + place as u64)))
    });
    found.collect()
}

/// Returns the start of the entries of each row in `part`, and the end of the last one.
fn starts(array: &Array, source: &Source, part: &Range<u64>, entries: u64) -> Result<Vec<u64>, Fault> {
    let starts = indices(array, source, part.start..part.end + 1, entries.saturating_add(1))?;
    if part.start == 0 && starts[0] != 0 {
        return Err(array.fault(format!("starts with {}, not with 0", starts[0])));
    }
    match starts.windows(2).position(|ends| ends[0] > ends[1]) {
        Some(place) => Err(array.fault(format!("decreases after number {}", part.start + place as u64))),
        None => Ok(starts),
    }
}

impl Layouts {
    pub(super) fn storage(&self) -> Storage {
        match self {
            Layouts::Compressed { by_rows: true, .. } => Storage::CompressedRows,
            Layouts::Compressed { by_rows: false, .. } => Storage::CompressedColumns,
            Layouts::Blocks { .. } => Storage::BlockRows,
            Layouts::Coordinate { .. } => Storage::Coordinate,
            Layouts::Diagonals { .. } => Storage::Diagonals,
            Layouts::Dense => Storage::Array,
        }
    }

    /// Of square blocks.
    pub(super) fn block_size(&self) -> u64 {
        match self {
            Layouts::Blocks { height, width, .. } if height == width => *height,
            _ => 1,
        }
    }

    /// Returns the arrays beside the values.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        let arrays = match self {
            Layouts::Compressed { indices, starts, .. } | Layouts::Blocks { indices, starts, .. } => {
                vec![indices, starts]
            }
            Layouts::Coordinate { rows, columns } => [rows].into_iter().chain(columns).collect(),
            Layouts::Diagonals { offsets } => vec![offsets],
            Layouts::Dense => Vec::new(),
        };
        arrays.into_iter()
    }

    /// Adds this rank's share of the entries of a matrix of this number of rows and columns.
    pub(super) fn push_to<T: Scalar>(
        &self,
        comm: &Comm,
        source: &Source,
        data: &Array,
        (rows, columns): (u64, u64),
        builder: &mut CsrBuilder<T>,
    ) -> Result<(), Fault> {
        let read = Reader { source, data };
        match self {
            Layouts::Compressed { by_rows, indices, starts } => {
                let (outer, inner) = if *by_rows { (rows, columns) } else { (columns, rows) };
                read.blocks(indices, starts, share(comm, outer), (inner, 1), |outer, inner, value: &[T]| {
                    let (row, column) = if *by_rows { (outer, inner) } else { (inner, outer) };
                    builder.push(row, column, value[0]);
                })
            }
            Layouts::Blocks { height, width, indices, starts } => {
                let (wide, part) = (usize::try_from(*width).unwrap_or(usize::MAX), share(comm, rows / height));
                read.blocks(indices, starts, part, (columns / width, height * width), |outer, inner, block: &[T]| {
                    for (row, values) in (outer * height..).zip(block.chunks_exact(wide)) {
                        (inner * width..).zip(values).for_each(|(column, &value)| builder.push(row, column, value));
                    }
                })
            }
            Layouts::Coordinate { rows: row, columns: column } => {
                let part = share(comm, data.count());
                let behind = part.start + data.count()..part.end + data.count();
                let column = match column {
                    Some(column) => indices(column, source, part.clone(), columns)?,
                    None => indices(row, source, behind, columns)?,
                };
                let row = indices(row, source, part.clone(), rows)?;
                let places = row.into_iter().zip(column);
                places
                    .zip(data.values(source, part)?)
                    .for_each(|((row, column), value)| builder.push(row, column, value));
                Ok(())
            }
            Layouts::Diagonals { offsets } => {
                let part = share(comm, data.count());
                let (offsets, length) = (offsets.integers(source, 0..offsets.count())?, data.shape[1]);
                for (place, value) in part.clone().zip(data.values(source, part)?) {
                    let (diagonal, column) = (place / length, place % length);
                    let offset = offsets[usize::try_from(diagonal).expect("invariant: as many offsets as diagonals")];
                    let row = u64::try_from(i128::from(column) - i128::from(offset)).ok();
                    if let Some(row) = row.filter(|row| *row < rows && column < columns && value != T::ZERO) {
                        builder.push(row, column, value);
                    }
                }
                Ok(())
            }
            Layouts::Dense => {
                let part = share(comm, data.count());
                for (place, value) in part.clone().zip(data.values(source, part)?) {
                    if data.by_columns {
                        builder.push(place % rows, place / rows, value);
                    } else {
                        builder.push(place / columns, place % columns, value);
                    }
                }
                Ok(())
            }
        }
    }
}

struct Reader<'r> {
    source: &'r Source,
    data: &'r Array,
}

impl Reader<'_> {
    /// Gives `take` the entries of compressed rows `part`, each the values of a block of so many, with
    /// its row and its column below `bound`.
    fn blocks<T: Scalar>(
        &self,
        inner: &Array,
        outer: &Array,
        part: Range<u64>,
        (bound, block): (u64, u64),
        mut take: impl FnMut(u64, u64, &[T]),
    ) -> Result<(), Fault> {
        let starts = starts(outer, self.source, &part, inner.count())?;
        let (first, last) = (starts[0], starts[starts.len() - 1]);
        let columns = indices(inner, self.source, first..last, bound)?;
        let values = self.data.values(self.source, first * block..last * block)?;
        let rows = part.zip(starts.windows(2)).flat_map(|(row, ends)| (ends[0]..ends[1]).map(move |_| row));
        let block = usize::try_from(block).unwrap_or(usize::MAX);
        for ((row, column), values) in rows.zip(columns).zip(values.chunks_exact(block)) {
            take(row, column, values);
        }
        Ok(())
    }
}
