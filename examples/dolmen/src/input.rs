//! Matrices and vectors from files of any kind.

use std::fmt::Display;

use dolmen_core::{Comm, CsrMatrix, Layout, LinearOperator, MultiVector, Scalar, Vector};
use dolmen_io::{Matrix, Storage, Vectors};

use crate::error::{Error, Result};
use crate::location::{Kind, Location};
use crate::{fits_file, hdf5_file};

/// What a file says of a matrix, or of vectors.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) format: String,
    /// How entries are laid out.
    pub(crate) storage: String,
    pub(crate) field: String,
    pub(crate) symmetry: String,
    pub(crate) rows: u64,
    pub(crate) columns: u64,
    /// Entries as they are stored.
    pub(crate) entries: u64,
    pub(crate) is_vectors: bool,
    /// Vectors that stand behind the matrix in the same file.
    pub(crate) right_hand_sides: u64,
}

impl From<dolmen_io::Description> for Description {
    fn from(file: dolmen_io::Description) -> Description {
        Description {
            format: file.format.to_string(),
            storage: file.storage.to_string(),
            field: file.field.to_string(),
            symmetry: file.symmetry.to_string(),
            rows: file.rows,
            columns: file.columns,
            entries: file.entries,
            is_vectors: file.storage == Storage::Array,
            right_hand_sides: file.right_hand_sides,
        }
    }
}

impl Description {
    /// Of what is stored in full, as HDF5 and FITS do it.
    pub(crate) fn full(
        format: &str,
        storage: impl Display,
        is_complex: bool,
        [rows, columns]: [u64; 2],
    ) -> Description {
        Description {
            format: format.to_owned(),
            storage: storage.to_string(),
            field: if is_complex { "complex" } else { "real" }.to_owned(),
            symmetry: "general".to_owned(),
            rows,
            columns,
            entries: rows.saturating_mul(columns),
            is_vectors: true,
            right_hand_sides: 0,
        }
    }

    /// That there are right-hand sides behind the matrix, which are read only if they are asked for.
    pub(crate) fn right_hand_sides_text(&self) -> Option<String> {
        match self.right_hand_sides {
            0 => None,
            1 => Some("the file has a right-hand side as well; --rhs FILE reads it".to_owned()),
            count => Some(format!("the file has {count} right-hand sides as well; --rhs FILE reads a file of one")),
        }
    }
}

/// What is at a location.
///
/// # Collective
pub(crate) fn describe(comm: &Comm, location: &Location) -> Result<Description> {
    match location.kind(comm) {
        Kind::Hdf5 => hdf5_file::describe(comm, location),
        Kind::Fits => fits_file::describe(comm, location),
        Kind::Single => {
            location.require_no_object()?;
            Ok(dolmen_io::describe(comm, &location.file)?.into())
        }
    }
}

/// Reads a matrix.
///
/// # Collective
pub(crate) fn read_matrix(comm: &Comm, location: &Location) -> Result<(Matrix, Description)> {
    match location.kind(comm) {
        Kind::Hdf5 => hdf5_file::read_matrix(comm, location),
        Kind::Fits => Err(location.error("is FITS, which holds no sparse matrices")),
        Kind::Single => {
            location.require_no_object()?;
            let (matrix, file) = dolmen_io::read_matrix(comm, &location.file)?;
            Ok((matrix, file.into()))
        }
    }
}

/// Reads vectors on a layout.
///
/// # Collective
pub(crate) fn read_vectors(location: &Location, rows: &Layout) -> Result<(Vectors, Description)> {
    match location.kind(rows.comm()) {
        Kind::Hdf5 => hdf5_file::read_vectors(location, rows),
        Kind::Fits => fits_file::read_vectors(location, rows),
        Kind::Single => {
            location.require_no_object()?;
            let (vectors, file) = dolmen_io::read_vectors(&location.file, rows).map_err(|error| match error {
                dolmen_io::Error::Length { found, .. } => wrong_length(location, "", found, rows),
                other => other.into(),
            })?;
            Ok((vectors, file.into()))
        }
    }
}

/// Refuses vectors, named by the part of the file that has them, without one entry for each row of the
/// matrix.
pub(crate) fn require_length(location: &Location, part: &str, found: u64, rows: &Layout) -> Result<()> {
    if found == rows.global_len() { Ok(()) } else { Err(wrong_length(location, part, found, rows)) }
}

fn wrong_length(location: &Location, part: &str, found: u64, rows: &Layout) -> Error {
    let rows = rows.global_len();
    location.error(format!(
        "{part}has {found} rows, but the matrix has {rows}; a right-hand side needs one entry for each row of the matrix"
    ))
}

/// Reads a matrix, or vectors as one.
///
/// # Collective
pub(crate) fn read_any(comm: &Comm, location: &Location) -> Result<(Matrix, Description)> {
    let file = describe(comm, location)?;
    if !file.is_vectors {
        return read_matrix(comm, location);
    }
    let rows = Layout::uniform(comm, file.rows);
    let (vectors, file) = read_vectors(location, &rows)?;
    let matrix = match &vectors {
        Vectors::Real(vectors) => Matrix::Real(dense(vectors)?),
        Vectors::Complex(vectors) => Matrix::Complex(dense(vectors)?),
    };
    Ok((matrix, file))
}

/// The matrix of which vectors are the columns.
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

/// One vector as vectors.
pub(crate) fn single<T: Scalar>(vector: &Vector<T>) -> Result<MultiVector<T>> {
    Ok(MultiVector::from_vectors(vector.layout(), &[vector])?)
}

/// The layouts of the rows and columns of a matrix: one where it is square.
pub(crate) fn layouts(comm: &Comm, [rows, columns]: [u64; 2]) -> [Layout; 2] {
    let range = Layout::uniform(comm, rows);
    let domain = if rows == columns { range.clone() } else { Layout::uniform(comm, columns) };
    [range, domain]
}

/// The rows of a matrix.
pub(crate) fn range(matrix: &Matrix) -> &Layout {
    match matrix {
        Matrix::Real(matrix) => matrix.range(),
        Matrix::Complex(matrix) => matrix.range(),
    }
}
