//! Writing: the places of all rows are known beforehand, so each rank writes its own.

use super::{IndexWidth, info_path};
use crate::error::{Error, Result};
use crate::positioned::{PositionedWriter, parts, write_staged};
use dolmen_core::{Comm, CsrMatrix, LinearOperator, MultiVector, Real, Scalar};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a matrix as PETSc's `MatView` does.
///
/// Numbers keep their precision: a PETSc of the same scalars and indices can read them. A block size
/// above 1 is written into `NAME.info`, so that PETSc loads the matrix as one of blocks; rows of a
/// block should then have the same columns (see
/// [`BlockCsrMatrix::to_csr`](dolmen_core::BlockCsrMatrix::to_csr)). The file appears under its name
/// when it is complete.
///
/// # Collective
///
/// # Errors
/// Sizes that the integers cannot hold; a number of rows or columns that is not a multiple of the
/// block size; a file that cannot be written.
pub fn write_matrix<T: Scalar>(
    path: impl AsRef<Path>,
    matrix: &CsrMatrix<T>,
    width: IndexWidth,
    block_size: u64,
) -> Result<()> {
    let path = path.as_ref();
    let (rows, columns, entries) = (matrix.range().global_len(), matrix.domain().global_len(), matrix.global_entries());
    let comm = matrix.range().comm();
    check_width(path, width, &[rows, columns, entries])?;
    if block_size == 0 || !rows.is_multiple_of(block_size) || !columns.is_multiple_of(block_size) {
        return Err(Error::argument(path, format!("{rows} by {columns} entries are not blocks of {block_size}")));
    }
    let integer = width.bytes();
    let value = size_of::<T>() as u64;
    let (before, _) = parts(comm, 0, matrix.local_entries() as u64);
    let lengths = 4 * integer;
    let indices = lengths + rows * integer;
    let values = indices + entries * integer;
    write_staged(comm, path, values + entries * value, |file| {
        if comm.rank() == 0 {
            write_integers(file, 0, width, [MATRIX, rows, columns, entries])?;
        }
        let first = matrix.range().range().start;
        write_integers(file, lengths + first * integer, width, matrix.rows().map(|row| row.values().len() as u64))?;
        write_integers(file, indices + before * integer, width, matrix.rows().flat_map(|row| row.columns()))?;
        write_values(file, values + before * value, matrix.rows().map(|row| row.values()))
    })?;
    write_info(comm, path, block_size)
}

/// Writes vectors as PETSc's `VecView` does, one after the other.
///
/// # Collective
///
/// # Errors
/// Sizes that the integers cannot hold; a file that cannot be written.
pub fn write_vectors<T: Scalar>(path: impl AsRef<Path>, vectors: &MultiVector<T>, width: IndexWidth) -> Result<()> {
    let path = path.as_ref();
    let (comm, length) = (vectors.comm(), vectors.layout().global_len());
    check_width(path, width, &[length])?;
    if vectors.columns() == 0 {
        return Err(Error::argument(path, "a file without any vector would be empty; there are no columns to write"));
    }
    let header = 2 * width.bytes();
    let stride = header + length * size_of::<T>() as u64;
    write_staged(comm, path, stride * vectors.columns() as u64, |file| {
        for (column, start) in (0..vectors.columns()).zip((0..).step_by(usize::try_from(stride).unwrap_or(usize::MAX)))
        {
            let start: u64 = start;
            if comm.rank() == 0 {
                write_integers(file, start, width, [VECTOR, length])?;
            }
            for run in vectors.layout().runs() {
                let first = run.rows.start * size_of::<T>() as u64;
                write_values(file, start + header + first, [&vectors.column(column)[run.positions.clone()]])?;
            }
        }
        Ok(())
    })?;
    write_info(comm, path, 1)
}

/// Values, and bytes, that are turned over at once.
const AT_ONCE: usize = 1 << 15;
const MATRIX: u64 = 1_211_216;
const VECTOR: u64 = 1_211_214;

fn check_width(path: &Path, width: IndexWidth, sizes: &[u64]) -> Result<()> {
    let limit = if width == IndexWidth::Bits32 { i64::from(i32::MAX) } else { i64::MAX }.unsigned_abs();
    match sizes.iter().find(|size| **size > limit) {
        Some(size) => Err(Error::argument(
            path,
            format!("{size} does not fit into the integers of this file; write 64-bit indices"),
        )),
        None => Ok(()),
    }
}

fn write_integers(
    file: &File,
    position: u64,
    width: IndexWidth,
    integers: impl IntoIterator<Item = u64>,
) -> io::Result<()> {
    let mut writer = PositionedWriter::new(file, position);
    for integer in integers {
        match width {
            IndexWidth::Bits32 => {
                let narrow = u32::try_from(integer).expect("invariant: the sizes were checked");
                writer.write_all(&narrow.to_be_bytes())?;
            }
            IndexWidth::Bits64 => writer.write_all(&integer.to_be_bytes())?,
        }
    }
    writer.flush()
}

fn write_values<'v, T: Scalar>(
    file: &File,
    position: u64,
    values: impl IntoIterator<Item = &'v [T]>,
) -> io::Result<()> {
    let mut writer = PositionedWriter::new(file, position);
    let mut bytes = Vec::new();
    for part in values.into_iter().flat_map(|values| values.chunks(AT_ONCE)) {
        for &part in T::parts(part) {
            if size_of::<T::Real>() == size_of::<f32>() {
                bytes.extend_from_slice(&<f32 as Real>::from_f64(part.to_f64()).to_be_bytes());
            } else {
                bytes.extend_from_slice(&part.to_f64().to_be_bytes());
            }
        }
        if bytes.len() > AT_ONCE {
            writer.write_all(&bytes)?;
            bytes.clear();
        }
    }
    writer.write_all(&bytes)?;
    writer.flush()
}

/// Writes the block size beside the file, or removes what an older file left there.
///
/// # Collective
fn write_info(comm: &Comm, path: &Path, block_size: u64) -> Result<()> {
    let info = info_path(path);
    if block_size > 1 {
        let text = format!("-matload_block_size {block_size}\n");
        return write_staged(comm, &info, text.len() as u64, |mut file| {
            if comm.rank() == 0 { file.write_all(text.as_bytes()) } else { Ok(()) }
        });
    }
    let removed = if comm.rank() == 0 { fs::remove_file(&info) } else { Ok(()) };
    let removed = removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) });
    comm.agree(removed.map_err(|error| Error::io(&info, "remove", error)))
}
