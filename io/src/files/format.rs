//! The format of a file: by its contents when it is read, by its extension when it is written.

use crate::regular_file::open_regular;
use crate::source::Source;
use crate::{harwell_boeing, matrix_market, npz, petsc};
use dolmen_core::Comm;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// MatrixMarket text, plain or gzip.
    MatrixMarket,
    /// Harwell-Boeing text, plain or gzip. [`Format::of`] finds it for Rutherford-Boeing too, which the header
    /// tells from it.
    HarwellBoeing,
    /// Rutherford-Boeing text, plain or gzip.
    RutherfordBoeing,
    /// A sparse matrix of SciPy in a zip of NumPy arrays, or one array in a zip.
    ScipyNpz,
    /// An array of NumPy.
    NumpyNpy,
    /// PETSc's binary format.
    PetscBinary,
    /// HDF5: groups and datasets.
    Hdf5,
    /// FITS: binary tables, plain or gzip.
    Fits,
}

/// The formats that the contents of a file tell apart.
const KNOWN: [Format; 7] = [
    Format::MatrixMarket,
    Format::HarwellBoeing,
    Format::ScipyNpz,
    Format::NumpyNpy,
    Format::PetscBinary,
    Format::Hdf5,
    Format::Fits,
];

impl Format {
    /// Finds the format of a file by its contents as rank 0 sees them. A file that tells none, or cannot be read, is
    /// HDF5 or FITS if its extension says so: the error about it should speak of that format.
    ///
    /// # Collective
    pub fn of(comm: &Comm, path: impl AsRef<Path>) -> Option<Format> {
        let path = path.as_ref();
        let mut place = [0];
        if comm.rank() == 0
            && let Some(found) = Format::by_contents(path)
        {
            place = [KNOWN.iter().zip(1..).find(|(format, _)| **format == found).map_or(0, |(_, place)| place)];
        }
        comm.all_reduce_max(&mut place);
        let known = usize::try_from(place[0]).ok().and_then(|place| KNOWN.get(place.checked_sub(1)?)).copied();
        known.or_else(|| Format::by_extension(path).filter(|format| format.has_objects()))
    }

    /// Finds the format that the extension of a file names.
    #[must_use]
    pub fn by_extension(path: impl AsRef<Path>) -> Option<Format> {
        const EXTENSIONS: [(&str, Format); 10] = [
            (".mtx", Format::MatrixMarket),
            (".mtx.gz", Format::MatrixMarket),
            (".npz", Format::ScipyNpz),
            (".npy", Format::NumpyNpy),
            (".petsc", Format::PetscBinary),
            (".h5", Format::Hdf5),
            (".hdf5", Format::Hdf5),
            (".fits", Format::Fits),
            (".fits.gz", Format::Fits),
            (".fit", Format::Fits),
        ];
        let name = path.as_ref().file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        EXTENSIONS.iter().find(|(extension, _)| name.ends_with(extension)).map(|(_, format)| *format)
    }

    /// Returns whether a file of this format can hold several objects, each with a name.
    #[must_use]
    pub fn has_objects(self) -> bool {
        matches!(self, Format::Hdf5 | Format::Fits)
    }

    fn by_contents(path: &Path) -> Option<Format> {
        if is_hdf5(&open_regular(path).ok()?) {
            return Some(Format::Hdf5);
        }
        let head = Source::open_here(path).ok()?.head();
        if is_fits(&head) {
            Some(Format::Fits)
        } else if matrix_market::is_matrix_market(&head) {
            Some(Format::MatrixMarket)
        } else if npz::is_zip(&head) {
            Some(Format::ScipyNpz)
        } else if npz::is_npy(&head) {
            Some(Format::NumpyNpy)
        } else if petsc::is_petsc(&head) {
            Some(Format::PetscBinary)
        } else {
            harwell_boeing::is_harwell_boeing(&head).then_some(Format::HarwellBoeing)
        }
    }
}

/// Returns whether a file has the signature of HDF5: at its start, or behind a block of the user's such as
/// MATLAB's, whose size is a power of two.
fn is_hdf5(file: &File) -> bool {
    let mut signature = [0; 8];
    [0, 512, 1024, 2048, 4096].into_iter().any(|start| {
        let read = file.read_at(&mut signature, start);
        read.is_ok_and(|count| count == signature.len()) && signature == *b"\x89HDF\r\n\x1a\n"
    })
}

fn is_fits(head: &[u8]) -> bool {
    head.starts_with(b"SIMPLE  =")
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::MatrixMarket => "MatrixMarket",
            Format::HarwellBoeing => "Harwell-Boeing",
            Format::RutherfordBoeing => "Rutherford-Boeing",
            Format::ScipyNpz => "SciPy npz",
            Format::NumpyNpy => "NumPy array",
            Format::PetscBinary => "PETSc binary",
            Format::Hdf5 => "HDF5",
            Format::Fits => "FITS",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_name_formats() {
        for (name, format) in [
            ("a.H5", Some(Format::Hdf5)),
            ("folder.mtx/a.hdf5", Some(Format::Hdf5)),
            ("m.fits.gz", Some(Format::Fits)),
            ("a.MTX.gz", Some(Format::MatrixMarket)),
            ("a.npy.gz", None),
            ("h5", None),
        ] {
            assert_eq!(Format::by_extension(name), format, "{name}");
        }
    }
}
