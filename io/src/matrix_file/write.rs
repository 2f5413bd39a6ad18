//! Writing in the format of the file's extension.

use super::{Matrix, Symmetry, Vectors};
use crate::error::{Error, Result};
use crate::petsc::{self, IndexWidth};
use crate::{matrix_market, npz};
use dolmen_core::{CsrMatrix, LinearOperator, MultiVector, Scalar};
use std::path::Path;

/// What the end of a file's name asks for.
enum Target {
    MatrixMarket,
    Npz,
    Npy,
    Petsc,
}

impl Target {
    fn of(path: &Path) -> Result<Target> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if name.ends_with(".mtx") || name.ends_with(".mtx.gz") {
            return Ok(Target::MatrixMarket);
        }
        match name.rsplit_once('.') {
            Some((_, "npz")) => Ok(Target::Npz),
            Some((_, "npy")) => Ok(Target::Npy),
            Some((_, "petsc")) => Ok(Target::Petsc),
            _ => {
                let what = "has no known extension to write to; use .mtx, .mtx.gz, .npz, .npy or .petsc; the command \
                            dolmen also writes .h5, .hdf5 and .fits";
                Err(Error::argument(path, what))
            }
        }
    }

    fn write_matrix<T: Scalar>(&self, path: &Path, matrix: &CsrMatrix<T>) -> Result<()> {
        match self {
            Target::MatrixMarket => matrix_market::write_matrix(path, matrix, Symmetry::General),
            Target::Npz => npz::write_matrix(path, matrix),
            Target::Npy => Err(no_matrices(path)),
            Target::Petsc => {
                let most = matrix.global_entries().max(matrix.domain().global_len()).max(matrix.range().global_len());
                petsc::write_matrix(path, matrix, IndexWidth::for_numbers(most), 1)
            }
        }
    }

    fn write_vectors<T: Scalar>(&self, path: &Path, vectors: &MultiVector<T>) -> Result<()> {
        match self {
            Target::MatrixMarket => matrix_market::write_vectors(path, vectors),
            Target::Npz => Err(no_vectors(path)),
            Target::Npy => npz::write_vectors(path, vectors),
            Target::Petsc => {
                petsc::write_vectors(path, vectors, IndexWidth::for_numbers(vectors.layout().global_len()))
            }
        }
    }
}

/// Writes a matrix in the format of the file's extension: `.mtx`, `.mtx.gz`, `.npz` or `.petsc`.
///
/// Reading it again gives the same bits. The file appears under its name when it is complete.
///
/// # Collective
///
/// # Errors
/// An unknown extension, or one whose format has no sparse matrices; a file that cannot be written.
pub fn write_matrix(path: impl AsRef<Path>, matrix: &Matrix) -> Result<()> {
    let path = path.as_ref();
    let target = Target::of(path)?;
    match matrix {
        Matrix::Real(matrix) => target.write_matrix(path, matrix),
        Matrix::Complex(matrix) => target.write_matrix(path, matrix),
    }
}

/// Refuses a path that [`write_matrix`] would refuse for its extension, before there is anything to write.
///
/// # Errors
/// An unknown extension, or one whose format has no sparse matrices.
pub fn require_matrix_extension(path: impl AsRef<Path>) -> Result<()> {
    match Target::of(path.as_ref())? {
        Target::Npy => Err(no_matrices(path.as_ref())),
        Target::MatrixMarket | Target::Npz | Target::Petsc => Ok(()),
    }
}

/// Refuses a path that [`write_vectors`] would refuse for its extension, before there is anything to
/// write.
///
/// # Errors
/// An unknown extension, or one whose format has no vectors.
pub fn require_vectors_extension(path: impl AsRef<Path>) -> Result<()> {
    match Target::of(path.as_ref())? {
        Target::Npz => Err(no_vectors(path.as_ref())),
        Target::MatrixMarket | Target::Npy | Target::Petsc => Ok(()),
    }
}

fn no_matrices(path: &Path) -> Error {
    Error::argument(path, "npy files hold dense arrays; write a matrix to .npz")
}

fn no_vectors(path: &Path) -> Error {
    Error::argument(path, "npz files hold sparse matrices; write vectors to .npy")
}

/// Writes vectors in the format of the file's extension: `.mtx`, `.mtx.gz`, `.npy` or `.petsc`.
///
/// Reading them again gives the same bits. The file appears under its name when it is complete.
///
/// # Collective
///
/// # Errors
/// An unknown extension, or one whose format has no vectors; a file that cannot be written.
pub fn write_vectors(path: impl AsRef<Path>, vectors: &Vectors) -> Result<()> {
    let path = path.as_ref();
    let target = Target::of(path)?;
    match vectors {
        Vectors::Real(vectors) => target.write_vectors(path, vectors),
        Vectors::Complex(vectors) => target.write_vectors(path, vectors),
    }
}
