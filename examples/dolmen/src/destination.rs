//! Places to write to, looked at before any work is done.

use std::path::Path;

use dolmen_common::files::keep_inputs;
use dolmen_core::Comm;
use dolmen_io::fits::{Hdu, HduKind};
use dolmen_io::{
    Matrix, Vectors, require_matrix_extension, require_vectors_extension, require_writable, require_writable_folder,
};

use crate::error::Result;
use crate::location::{Kind, Location};
use crate::{fits_file, hdf5_file};

/// Refuses a file that vectors cannot be written to: of an unknown extension, in a folder that does not
/// exist or cannot be written, one of the inputs, or with objects that would be lost.
///
/// # Collective
pub(crate) fn check_vectors(comm: &Comm, location: &Location, inputs: &[&Location]) -> Result<()> {
    match location.kind_by_name() {
        Kind::Hdf5 => {}
        Kind::Fits => fits_file::require_plain(location)?,
        Kind::Single => {
            location.require_no_object()?;
            require_vectors_extension(&location.file)?;
        }
    }
    check_place(comm, location, inputs)
}

/// Refuses a file that a matrix cannot be written to.
///
/// # Collective
pub(crate) fn check_matrix(comm: &Comm, location: &Location, inputs: &[&Location]) -> Result<()> {
    match location.kind_by_name() {
        Kind::Hdf5 => {}
        Kind::Fits => return Err(location.error("FITS holds no sparse matrices; use .mtx, .npz, .petsc or .h5")),
        Kind::Single => {
            location.require_no_object()?;
            require_matrix_extension(&location.file)?;
        }
    }
    check_place(comm, location, inputs)
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

/// Refuses a file that cannot be made, or in which other objects would be lost.
///
/// # Collective
fn check_place(comm: &Comm, location: &Location, inputs: &[&Location]) -> Result<()> {
    check_file(comm, &location.file, inputs)?;
    require_no_others(comm, location)
}

/// Refuses a file that cannot be made, or that is one of the inputs.
///
/// # Collective
pub(crate) fn check_file(comm: &Comm, path: &Path, inputs: &[&Location]) -> Result<()> {
    let inputs: Vec<&Path> = inputs.iter().map(|input| input.file.as_path()).collect();
    let mut outputs = vec![path.to_owned()];
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("petsc")) {
        // The file of its block size is written or removed.
        outputs.push(path.with_added_extension("info"));
    }
    // First: what is tried makes the temporary file.
    keep_inputs(comm, &inputs, &outputs)?;
    Ok(require_writable(comm, path)?)
}

/// Refuses to replace a file for one object of it, if it holds others.
///
/// # Collective
fn require_no_others(comm: &Comm, location: &Location) -> Result<()> {
    let mut exists = [u64::from(comm.rank() == 0 && location.file.exists())];
    comm.all_reduce_max(&mut exists);
    let Some(name) = location.object.as_deref().filter(|_| exists == [1]) else { return Ok(()) };
    let others = match location.kind_by_name() {
        Kind::Hdf5 => other_objects(comm, location, name)?,
        Kind::Fits => other_columns(comm, location, name)?,
        Kind::Single => Vec::new(),
    };
    if others.is_empty() {
        return Ok(());
    }
    let others = others.join(", ");
    Err(location.error(format!("is written anew, and holds {others}, which would be lost; name another file")))
}

/// What an HDF5 file holds beside an object, the groups around it, and what is in it.
fn other_objects(comm: &Comm, location: &Location, name: &str) -> Result<Vec<String>> {
    let file = hdf5_file::open(comm, &location.file)?;
    let objects = file.objects()?;
    file.close()?;
    let own = format!("/{}", name.trim_matches('/'));
    let is_in = |inner: &str, outer: &str| {
        inner.strip_prefix(outer.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut others: Vec<String> = objects.into_iter().map(|object| object.name).collect();
    others.retain(|other| !is_in(other, &own) && !is_in(&own, other));
    others.dedup_by(|later, group| is_in(later, group));
    Ok(others)
}

/// What a FITS file holds beside a column.
fn other_columns(comm: &Comm, location: &Location, name: &str) -> Result<Vec<String>> {
    let file = fits_file::open(comm, location)?;
    let columns = file.hdus().iter().flat_map(Hdu::columns).map(|column| column.name.clone());
    let is_image = |hdu: &&Hdu| hdu.kind() != HduKind::BinaryTable && hdu.header().integer("NAXIS") != Some(0);
    let images = file.hdus().iter().filter(is_image).map(|hdu| format!("HDU {}", hdu.index()));
    Ok(columns.filter(|other| !other.eq_ignore_ascii_case(name)).chain(images).collect())
}

/// Refuses a folder in which no file can be made.
///
/// # Collective
pub(crate) fn check_folder(comm: &Comm, folder: &Path) -> Result<()> {
    Ok(require_writable_folder(comm, folder)?)
}
