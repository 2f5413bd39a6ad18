//! Reading a file of whatever format.

use super::fits_columns::FitsColumn;
use super::hdf5_objects::Hdf5Object;
use super::wanted::Wanted;
use super::{Description, Entry, Format, Location};
use crate::error::{Error, Result};
use crate::harwell_boeing::HarwellBoeing;
use crate::matrix_market::MatrixMarket;
use crate::npz::Npz;
use crate::petsc::PetscFile;
use crate::source::Source;
use dolmen_core::{Comm, CsrMatrix, Layout, MultiVector, Vector};

/// A file of a known format whose header is read, or one object of it.
pub(super) enum Opened<'s> {
    MatrixMarket(MatrixMarket<'s>),
    HarwellBoeing(HarwellBoeing<'s>),
    Npz(Npz<'s>),
    Petsc(PetscFile<'s>),
    Hdf5(Hdf5Object),
    Fits(FitsColumn),
}

/// Opens a file and gives it to `read`.
///
/// # Collective
pub(super) fn with_file<R>(
    comm: &Comm,
    from: &Location,
    wanted: Wanted,
    read: impl FnOnce(Opened<'_>) -> Result<R>,
) -> Result<R> {
    let format = Format::of(comm, &from.file);
    match format {
        Some(Format::Hdf5) => return read(Opened::Hdf5(Hdf5Object::open(comm, from, wanted)?)),
        Some(Format::Fits) => return read(Opened::Fits(FitsColumn::open(comm, from, wanted)?)),
        _ => {}
    }
    from.require_no_object()?;
    let source = Source::open(comm, &from.file)?;
    read(match format {
        Some(Format::MatrixMarket) => Opened::MatrixMarket(MatrixMarket::open(comm, &source)?),
        Some(Format::HarwellBoeing) => Opened::HarwellBoeing(HarwellBoeing::open(comm, &source)?),
        Some(Format::ScipyNpz | Format::NumpyNpy) => Opened::Npz(Npz::open(comm, &source)?),
        Some(Format::PetscBinary) => Opened::Petsc(PetscFile::open(comm, &source)?),
        _ => {
            let known =
                "MatrixMarket, Harwell-Boeing, Rutherford-Boeing, SciPy npz, NumPy npy, PETSc binary, HDF5, FITS";
            return Err(Error::argument(source.path(), format!("is not a file of a known format ({known})")));
        }
    })
}

impl Opened<'_> {
    pub(super) fn description(&self) -> Description {
        match self {
            Opened::MatrixMarket(file) => file.description(),
            Opened::HarwellBoeing(file) => file.description(),
            Opened::Npz(file) => file.description(),
            Opened::Petsc(file) => file.description(),
            Opened::Hdf5(object) => object.description().clone(),
            Opened::Fits(column) => column.description(),
        }
    }

    /// Refuses NaN and infinity while the file is read, where that is how to say in which line they are.
    pub(super) fn require_finite(&mut self) {
        if let Opened::MatrixMarket(file) = self {
            file.require_finite();
        }
    }

    /// # Collective
    pub(super) fn matrix<T: Entry>(self) -> Result<CsrMatrix<T>> {
        match self {
            Opened::MatrixMarket(file) => file.matrix(),
            Opened::HarwellBoeing(file) => file.matrix(),
            Opened::Npz(file) => file.matrix(),
            Opened::Petsc(file) => file.matrix(),
            Opened::Hdf5(object) => object.matrix(),
            Opened::Fits(column) => Err(column.no_matrix()),
        }
    }

    /// # Collective
    pub(super) fn vectors<T: Entry>(self, rows: &Layout) -> Result<MultiVector<T>> {
        match self {
            Opened::MatrixMarket(file) => file.vectors(rows),
            Opened::HarwellBoeing(file) => file.vectors(rows),
            Opened::Npz(file) => file.vectors(rows),
            Opened::Petsc(file) => file.vectors(rows),
            Opened::Hdf5(object) => object.vectors(rows),
            Opened::Fits(column) => column.vectors(rows),
        }
    }
}

/// Describes what a file of any known format holds, by its header alone.
///
/// # Collective
///
/// # Errors
/// A file that cannot be read, of no known format, or with a malformed header; one of several objects that is not
/// named.
pub fn describe(comm: &Comm, from: impl Into<Location>) -> Result<Description> {
    with_file(comm, &from.into(), Wanted::Any, |file| Ok(file.description()))
}

/// Reads a matrix from a file of any known format.
///
/// The contents tell the format, not the name. Rows and columns are spread evenly; those of a square matrix
/// alike. Symmetry is expanded, repeated entries are summed, values of a pattern are 1.
///
/// ```no_run
/// # fn read(comm: &dolmen_core::Comm) -> dolmen_io::Result<()> {
/// let a = dolmen_io::read_matrix::<f64>(comm, "system.h5::A")?;
/// # Ok(())
/// # }
/// ```
///
/// # Collective
///
/// # Errors
/// A file that cannot be read, is of no known format, is malformed, or does not hold a matrix; complex numbers
/// where `T` is real.
pub fn read_matrix<T: Entry>(comm: &Comm, from: impl Into<Location>) -> Result<CsrMatrix<T>> {
    with_file(comm, &from.into(), Wanted::Matrix, |file| file.matrix())
}

/// Reads vectors on the layout `rows` from a file of any known format: its columns. [`describe`] tells how long
/// they are.
///
/// # Collective
///
/// # Errors
/// As [`read_matrix`]; vectors of another length than the layout's.
pub fn read_vectors<T: Entry>(from: impl Into<Location>, rows: &Layout) -> Result<MultiVector<T>> {
    with_file(rows.comm(), &from.into(), Wanted::Vectors, |file| file.vectors(rows))
}

/// Reads the only vector of a file of any known format, on the layout `rows`.
///
/// # Collective
///
/// # Errors
/// As [`read_vectors`]; several vectors.
pub fn read_vector<T: Entry>(from: impl Into<Location>, rows: &Layout) -> Result<Vector<T>> {
    let from = from.into();
    let vectors = read_vectors(&from, rows)?;
    if vectors.columns() != 1 {
        return Err(from.error(format!("has {} columns, not one; read them with read_vectors", vectors.columns())));
    }
    let mut vector = Vector::zeros(rows);
    vectors.copy_column_to(0, &mut vector)?;
    Ok(vector)
}
