//! Matrices and vectors of the numbers that a file has.

use super::read::with_file;
use super::wanted::Wanted;
use super::{Description, Field, Location, write_matrix, write_vectors};
use crate::error::Result;
use dolmen_core::{Comm, Complex64, CsrMatrix, Layout, LinearOperator, MultiVector, Scalar};

/// A matrix read from a file.
#[derive(Clone, Debug)]
pub enum Matrix {
    /// With real values; those of a pattern are 1.
    Real(CsrMatrix<f64>),
    /// With complex values.
    Complex(CsrMatrix<Complex64>),
}

/// Vectors read from a file, one or more columns.
#[derive(Clone, Debug)]
pub enum Vectors {
    /// With real entries.
    Real(MultiVector<f64>),
    /// With complex entries.
    Complex(MultiVector<Complex64>),
}

impl Matrix {
    /// Reads a matrix of real or of complex numbers, whichever the file has; see
    /// [`read_matrix`](super::read_matrix).
    ///
    /// # Collective
    ///
    /// # Errors
    /// A file that cannot be read, is of no known format, is malformed, or does not hold a matrix.
    pub fn read(comm: &Comm, from: impl Into<Location>) -> Result<(Matrix, Description)> {
        with_file(comm, &from.into(), Wanted::Matrix, |file| {
            let description = file.description();
            let matrix = match description.field {
                Field::Complex => Matrix::Complex(file.matrix()?),
                _ => Matrix::Real(file.matrix()?),
            };
            Ok((matrix, description))
        })
    }

    /// Writes the matrix; see [`write_matrix`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`write_matrix`].
    pub fn write(&self, to: impl Into<Location>) -> Result<()> {
        match self {
            Matrix::Real(matrix) => write_matrix(matrix, to),
            Matrix::Complex(matrix) => write_matrix(matrix, to),
        }
    }

    /// Returns its communicator.
    pub fn comm(&self) -> &Comm {
        self.range().comm()
    }

    /// Returns the layout of its rows.
    pub fn range(&self) -> &Layout {
        match self {
            Matrix::Real(matrix) => matrix.range(),
            Matrix::Complex(matrix) => matrix.range(),
        }
    }

    /// Returns the number of stored entries over all ranks, symmetry expanded and repetitions summed.
    pub fn global_entries(&self) -> u64 {
        match self {
            Matrix::Real(matrix) => matrix.global_entries(),
            Matrix::Complex(matrix) => matrix.global_entries(),
        }
    }
}

impl Vectors {
    /// Reads vectors of real or of complex numbers, whichever the file has, on the layout `rows`; see
    /// [`read_vectors`](super::read_vectors).
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`Matrix::read`]; vectors of another length than the layout's.
    pub fn read(from: impl Into<Location>, rows: &Layout) -> Result<(Vectors, Description)> {
        with_file(rows.comm(), &from.into(), Wanted::Vectors, |file| {
            let description = file.description();
            let vectors = match description.field {
                Field::Complex => Vectors::Complex(file.vectors(rows)?),
                _ => Vectors::Real(file.vectors(rows)?),
            };
            Ok((vectors, description))
        })
    }

    /// Writes the vectors; see [`write_vectors`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`write_vectors`].
    pub fn write(&self, to: impl Into<Location>) -> Result<()> {
        match self {
            Vectors::Real(vectors) => write_vectors(vectors, to),
            Vectors::Complex(vectors) => write_vectors(vectors, to),
        }
    }

    /// Makes the matrix whose columns are the vectors, with all entries stored.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The layout is stacked.
    pub fn to_matrix(&self) -> Result<Matrix> {
        Ok(match self {
            Vectors::Real(vectors) => Matrix::Real(dense(vectors)?),
            Vectors::Complex(vectors) => Matrix::Complex(dense(vectors)?),
        })
    }
}

fn dense<T: Scalar>(vectors: &MultiVector<T>) -> Result<CsrMatrix<T>> {
    let columns = vectors.columns() as u64;
    let rows = vectors.layout();
    let domain = if rows.global_len() == columns { rows.clone() } else { Layout::uniform(rows.comm(), columns) };
    let mut local = 0..rows.local_len();
    Ok(CsrMatrix::from_rows(rows, &domain, |_, entries| {
        let row = local.next().expect("invariant: as many rows");
        (0..vectors.columns()).zip(0..).for_each(|(column, gid)| entries.push(gid, vectors.column(column)[row]));
    })?)
}
