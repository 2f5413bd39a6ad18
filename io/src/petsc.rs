//! PETSc's binary files: matrices and vectors, one after the other, big-endian.
//!
//! Format: PETSc's manual pages of `MatLoad` and `VecLoad`. A matrix is its class number, rows,
//! columns, entries, then the length of each row, the columns of all entries and their values; a
//! dense one says -1 for its entries and stores them row by row; a vector is its class number, length
//! and values. Matrices of blocks (BAIJ) are stored like any other, with the block size in a file
//! `NAME.info`.
//!
//! A file does not say which kind of PETSc wrote it. The width of integers shows in the first
//! bytes; the kind of numbers is the one of `f64`, `Complex64` and `f32` with which the objects fill the
//! file to its end, the first in this order. Single-precision complex numbers look like `f64` and
//! cannot be told from them.
//!
//! Each rank reads and writes its own rows. Vectors of one length are read as columns.

mod objects;
mod read;
mod write;

pub use objects::IndexWidth;
pub(crate) use objects::is_petsc;
pub(crate) use read::PetscFile;
pub use write::{write_matrix, write_vectors};

use crate::error::Result;
use crate::files::Description;
use crate::source::Source;
use dolmen_core::{Comm, CsrMatrix, Layout, MultiVector, Scalar};
use std::path::{Path, PathBuf};

/// Reads the first matrix of a file, on uniform layouts.
///
/// # Collective
///
/// # Errors
/// A file that cannot be read, is malformed or has no matrix; complex numbers where `T` is real.
pub fn read_matrix<T: Scalar>(comm: &Comm, path: impl AsRef<Path>) -> Result<(CsrMatrix<T>, Description)> {
    let source = Source::open(comm, path.as_ref())?;
    let file = PetscFile::open(comm, &source)?;
    let description = file.description();
    Ok((file.matrix()?, description))
}

/// Reads all vectors of a file that have the length of the layout as columns on `rows`; of a file
/// without vectors, the columns of its matrix.
///
/// # Collective
///
/// # Errors
/// As [`read_matrix`]; no vector of the layout's length.
pub fn read_vectors<T: Scalar>(path: impl AsRef<Path>, rows: &Layout) -> Result<(MultiVector<T>, Description)> {
    let source = Source::open(rows.comm(), path.as_ref())?;
    let file = PetscFile::open(rows.comm(), &source)?;
    let description = file.description();
    Ok((file.vectors(rows)?, description))
}

/// Returns the file beside a file that has its block size.
pub(crate) fn info_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".info");
    name.into()
}
