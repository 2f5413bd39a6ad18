//! Reading a file of whatever format.

use super::{Description, Field, Matrix, Vectors};
use crate::error::{Error, Result};
use crate::harwell_boeing::{self, HarwellBoeing};
use crate::matrix_market::{self, MatrixMarket};
use crate::npz::{self, Npz};
use crate::petsc::{self, PetscFile};
use crate::source::Source;
use dolmen_core::{Comm, CsrMatrix, Layout, MultiVector, Scalar};
use std::path::Path;

/// Formats that one reader reads.
enum Family {
    MatrixMarket,
    HarwellBoeing,
    Npz,
    Petsc,
}

impl Family {
    /// What the first bytes of a file are of.
    fn of(head: &[u8]) -> Option<Family> {
        if matrix_market::is_matrix_market(head) {
            Some(Family::MatrixMarket)
        } else if npz::is_zip(head) || npz::is_npy(head) {
            Some(Family::Npz)
        } else if petsc::is_petsc(head) {
            Some(Family::Petsc)
        } else if harwell_boeing::is_harwell_boeing(head) {
            Some(Family::HarwellBoeing)
        } else {
            None
        }
    }
}

/// Whether [`read_matrix`] or [`read_vectors`] know the format of a file, by its contents; not so if it cannot be
/// read. Not collective.
pub fn is_known(path: impl AsRef<Path>) -> bool {
    Source::open_here(path.as_ref()).is_ok_and(|source| Family::of(&source.head()).is_some())
}

/// A file of a known format whose header is read.
enum Opened<'s> {
    MatrixMarket(MatrixMarket<'s>),
    HarwellBoeing(HarwellBoeing<'s>),
    Npz(Npz<'s>),
    Petsc(PetscFile<'s>),
}

impl<'s> Opened<'s> {
    /// # Collective
    fn open(comm: &Comm, source: &'s Source) -> Result<Opened<'s>> {
        match Family::of(&source.shared_head(comm)) {
            Some(Family::MatrixMarket) => Ok(Opened::MatrixMarket(MatrixMarket::open(comm, source)?)),
            Some(Family::HarwellBoeing) => Ok(Opened::HarwellBoeing(HarwellBoeing::open(comm, source)?)),
            Some(Family::Npz) => Ok(Opened::Npz(Npz::open(comm, source)?)),
            Some(Family::Petsc) => Ok(Opened::Petsc(PetscFile::open(comm, source)?)),
            None => {
                let known = "MatrixMarket, Harwell-Boeing, Rutherford-Boeing, SciPy npz, NumPy npy, PETSc binary";
                Err(Error::argument(source.path(), format!("is not a file of a known format ({known})")))
            }
        }
    }

    fn description(&self) -> Description {
        match self {
            Opened::MatrixMarket(file) => file.description(),
            Opened::HarwellBoeing(file) => file.description(),
            Opened::Npz(file) => file.description(),
            Opened::Petsc(file) => file.description(),
        }
    }

    /// # Collective
    fn matrix<T: Scalar>(self) -> Result<CsrMatrix<T>> {
        match self {
            Opened::MatrixMarket(file) => file.matrix(),
            Opened::HarwellBoeing(file) => file.matrix(),
            Opened::Npz(file) => file.matrix(),
            Opened::Petsc(file) => file.matrix(),
        }
    }

    /// # Collective
    fn vectors<T: Scalar>(self, rows: &Layout) -> Result<MultiVector<T>> {
        match self {
            Opened::MatrixMarket(file) => file.vectors(rows),
            Opened::HarwellBoeing(file) => file.vectors(rows),
            Opened::Npz(file) => file.vectors(rows),
            Opened::Petsc(file) => file.vectors(rows),
        }
    }
}

/// What a file of any known format holds, by its header alone.
///
/// # Collective
///
/// # Errors
/// A file that cannot be read, of no known format, or with a malformed header.
pub fn describe(comm: &Comm, path: impl AsRef<Path>) -> Result<Description> {
    let source = Source::open(comm, path.as_ref())?;
    Ok(Opened::open(comm, &source)?.description())
}

/// Reads a matrix from a file of any known format.
///
/// The format is told by the contents, not by the name. Rows and columns are spread evenly; those
/// of a square matrix alike. Symmetry is expanded, repeated entries are summed.
///
/// # Collective
///
/// # Errors
/// A file that cannot be read, is of no known format, is malformed, or does not hold a matrix.
pub fn read_matrix(comm: &Comm, path: impl AsRef<Path>) -> Result<(Matrix, Description)> {
    let source = Source::open(comm, path.as_ref())?;
    let file = Opened::open(comm, &source)?;
    let description = file.description();
    let matrix = match description.field {
        Field::Complex => Matrix::Complex(file.matrix()?),
        _ => Matrix::Real(file.matrix()?),
    };
    Ok((matrix, description))
}

/// Reads vectors on the layout `rows` from a file of any known format. [`describe`] tells how long
/// they are.
///
/// # Collective
///
/// # Errors
/// As [`read_matrix`]; vectors of another length than the layout's.
pub fn read_vectors(path: impl AsRef<Path>, rows: &Layout) -> Result<(Vectors, Description)> {
    let source = Source::open(rows.comm(), path.as_ref())?;
    let file = Opened::open(rows.comm(), &source)?;
    let description = file.description();
    let vectors = match description.field {
        Field::Complex => Vectors::Complex(file.vectors(rows)?),
        _ => Vectors::Real(file.vectors(rows)?),
    };
    Ok((vectors, description))
}
