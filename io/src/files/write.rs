//! Writing in the format of the file's extension.

use super::{Entry, Format, Location, Symmetry, fits_columns, hdf5_objects};
use crate::error::Result;
use crate::petsc::{self, IndexWidth};
use crate::{matrix_market, npz, require_writable};
use dolmen_core::{Comm, CsrMatrix, LinearOperator, MultiVector, Vector};
use std::path::PathBuf;

/// Returns the format that the extension names.
fn format(to: &Location) -> Result<Format> {
    let format = Format::by_extension(&to.file).ok_or_else(|| {
        to.error("has no known extension; use .mtx, .mtx.gz, .npz, .npy, .petsc, .h5, .hdf5 or .fits")
    })?;
    if !format.has_objects() {
        to.require_no_object()?;
    }
    Ok(format)
}

/// Writes a matrix in the format of the file's extension: `.mtx`, `.mtx.gz`, `.npz`, `.petsc`, `.h5` or `.hdf5`.
///
/// Reading it again gives the same bits. The file appears under its name when it is complete, and holds this matrix
/// alone; in HDF5 it is called `matrix` if no name is given.
///
/// # Collective
///
/// # Errors
/// An unknown extension, or one whose format has no sparse matrices; a file that cannot be written.
pub fn write_matrix<T: Entry>(matrix: &CsrMatrix<T>, to: impl Into<Location>) -> Result<()> {
    let to = to.into();
    let path = &to.file;
    match matrix_format(&to)? {
        Format::ScipyNpz => npz::write_matrix(path, matrix),
        Format::PetscBinary => {
            let most = matrix.global_entries().max(matrix.domain().global_len()).max(matrix.range().global_len());
            petsc::write_matrix(path, matrix, IndexWidth::for_numbers(most), 1)
        }
        Format::Hdf5 => hdf5_objects::write_matrix(matrix, &to),
        _ => matrix_market::write_matrix(path, matrix, Symmetry::General),
    }
}

/// Writes vectors in the format of the file's extension: `.mtx`, `.mtx.gz`, `.npy`, `.petsc`, `.h5`, `.hdf5` or
/// `.fits`.
///
/// Reading them again gives the same bits. The file appears under its name when it is complete, and holds these
/// vectors alone. If no name is given they are called `vectors` in HDF5 and `VALUE` in FITS, where several are
/// `VALUE1`, `VALUE2`, ...
///
/// # Collective
///
/// # Errors
/// An unknown extension, or one whose format has no vectors; a file that cannot be written.
pub fn write_vectors<T: Entry>(vectors: &MultiVector<T>, to: impl Into<Location>) -> Result<()> {
    let to = to.into();
    let path = &to.file;
    match vectors_format(&to)? {
        Format::NumpyNpy => npz::write_vectors(path, vectors),
        Format::PetscBinary => {
            petsc::write_vectors(path, vectors, IndexWidth::for_numbers(vectors.layout().global_len()))
        }
        Format::Hdf5 => hdf5_objects::write_vectors(vectors, &to),
        Format::Fits => fits_columns::write_vectors(vectors, &to),
        _ => matrix_market::write_vectors(path, vectors),
    }
}

/// Writes one vector; see [`write_vectors`].
///
/// # Collective
///
/// # Errors
/// As [`write_vectors`].
pub fn write_vector<T: Entry>(vector: &Vector<T>, to: impl Into<Location>) -> Result<()> {
    write_vectors(&MultiVector::from_vectors(vector.layout(), &[vector])?, to)
}

/// Returns the format for a matrix.
fn matrix_format(to: &Location) -> Result<Format> {
    match format(to)? {
        Format::NumpyNpy => Err(to.error("npy files hold dense arrays; write a matrix to .npz")),
        Format::Fits => Err(to.error("FITS holds no sparse matrices; use .mtx, .npz, .petsc or .h5")),
        format => Ok(format),
    }
}

/// Returns the format for vectors.
fn vectors_format(to: &Location) -> Result<Format> {
    match format(to)? {
        Format::ScipyNpz => Err(to.error("npz files hold sparse matrices; write vectors to .npy")),
        Format::Fits => fits_columns::require_plain(to).map(|()| Format::Fits),
        format => Ok(format),
    }
}

/// Refuses a location that [`write_matrix`] could not write to, before there is anything to write: of an unknown
/// extension, in a folder that does not exist or cannot be written, or with objects that would be lost.
///
/// # Collective
///
/// # Errors
/// The location is none to write a matrix to.
pub fn require_matrix_destination(comm: &Comm, to: &Location) -> Result<()> {
    require_place(comm, to, matrix_format(to)?)
}

/// Works like [`require_matrix_destination`], for [`write_vectors`].
///
/// # Collective
///
/// # Errors
/// The location is none to write vectors to.
pub fn require_vectors_destination(comm: &Comm, to: &Location) -> Result<()> {
    require_place(comm, to, vectors_format(to)?)
}

/// Refuses a file that cannot be made, or one with other objects than the one that is to be written.
///
/// # Collective
fn require_place(comm: &Comm, to: &Location, format: Format) -> Result<()> {
    require_writable(comm, &to.file)?;
    let mut exists = [u64::from(comm.rank() == 0 && to.file.exists())];
    comm.all_reduce_max(&mut exists);
    let Some(name) = to.object.as_deref().filter(|_| exists == [1]) else { return Ok(()) };
    let others = match format {
        Format::Hdf5 => hdf5_objects::others(comm, to, name)?,
        Format::Fits => fits_columns::others(comm, to, name)?,
        _ => Vec::new(),
    };
    if others.is_empty() {
        return Ok(());
    }
    let others = others.join(", ");
    Err(to.error(format!("would be replaced as a whole, and {others} in it would be lost; name another file")))
}

impl Location {
    /// Returns the files that are written or removed where an object is written here.
    #[must_use]
    pub fn written_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.file.clone()];
        if Format::by_extension(&self.file) == Some(Format::PetscBinary) {
            files.push(petsc::info_path(&self.file));
        }
        files
    }
}
