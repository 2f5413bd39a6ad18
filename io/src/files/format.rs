//! Formats of files, and their extensions.

use std::fmt;
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

impl Format {
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
