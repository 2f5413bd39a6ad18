//! Places to write to, looked at before any work is done.

use std::path::Path;

use dolmen_common::files;
use dolmen_core::Comm;
use dolmen_io::{Matrix, Vectors, require_matrix_extension, require_vectors_extension};

use crate::error::{Error, Result};
use crate::location::{Kind, Location};
use crate::{fits_file, hdf5_file};

/// Refuses a file that vectors cannot be written to: of an unknown extension, or in a folder that does not
/// exist or cannot be written.
///
/// # Collective
pub(crate) fn check_vectors(comm: &Comm, location: &Location) -> Result<()> {
    match location.kind_by_name() {
        Kind::Hdf5 => {}
        Kind::Fits => fits_file::require_plain(location)?,
        Kind::Single => {
            location.require_no_object()?;
            require_vectors_extension(&location.file)?;
        }
    }
    check_file(comm, &location.file)
}

/// Refuses a file that a matrix cannot be written to.
///
/// # Collective
pub(crate) fn check_matrix(comm: &Comm, location: &Location) -> Result<()> {
    match location.kind_by_name() {
        Kind::Hdf5 => {}
        Kind::Fits => return Err(location.error("FITS holds no sparse matrices; use .mtx, .npz, .petsc or .h5")),
        Kind::Single => {
            location.require_no_object()?;
            require_matrix_extension(&location.file)?;
        }
    }
    check_file(comm, &location.file)
}

/// Writes vectors in the format of the extension.
///
/// # Collective
pub(crate) fn write_vectors(location: &Location, vectors: &Vectors) -> Result<()> {
    match location.kind_by_name() {
        Kind::Hdf5 => hdf5_file::write_vectors(location, vectors),
        Kind::Fits => fits_file::write_vectors(location, vectors),
        Kind::Single => Ok(dolmen_io::write_vectors(&location.file, vectors)?),
    }
}

/// Writes a matrix in the format of the extension, which is not that of FITS.
///
/// # Collective
pub(crate) fn write_matrix(location: &Location, matrix: &Matrix) -> Result<()> {
    match location.kind_by_name() {
        Kind::Hdf5 => hdf5_file::write_matrix(location, matrix),
        Kind::Fits | Kind::Single => Ok(dolmen_io::write_matrix(&location.file, matrix)?),
    }
}

/// Refuses a file that cannot be made.
///
/// # Collective
pub(crate) fn check_file(comm: &Comm, path: &Path) -> Result<()> {
    agree(comm, path, || files::require_writable(path))
}

/// Refuses a folder in which no file can be made.
///
/// # Collective
pub(crate) fn check_folder(comm: &Comm, folder: &Path) -> Result<()> {
    agree(comm, folder, || files::require_writable_folder(folder))
}

/// Tries on one rank.
fn agree(comm: &Comm, path: &Path, try_out: impl FnOnce() -> std::io::Result<()>) -> Result<()> {
    let tried = if comm.rank() == 0 { try_out() } else { Ok(()) };
    let what = |error| Error::File { path: path.to_owned(), what: format!("cannot write: {error}") };
    Ok(comm.agree(tried.map_err(what))?)
}
