//! Matrices and vectors in the field's file formats, told apart by their contents.
//!
//! Every reader gives the same types, whatever the format: a matrix in full, its symmetry expanded,
//! on uniform layouts; vectors on the caller's layout; and what the file itself says of them. What
//! a file claims is believed only as far as it has the bytes: a matrix may have no more rows and
//! columns than [`most_rows`] of the text's length, so that memory is bounded by the file.

mod read;
mod write;

pub use read::{describe, is_known, read_matrix, read_vectors};
pub use write::{require_matrix_extension, require_vectors_extension, write_matrix, write_vectors};

use crate::error::{Error, Result};
use dolmen_core::{Comm, Complex64, CsrMatrix, Layout, LinearOperator, MultiVector, Scalar};
use std::fmt;
use std::path::Path;

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

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// MatrixMarket text, plain or gzip.
    MatrixMarket,
    /// Harwell-Boeing text, plain or gzip.
    HarwellBoeing,
    /// Rutherford-Boeing text, plain or gzip.
    RutherfordBoeing,
    /// A sparse matrix of SciPy in a zip of NumPy arrays, or one array in a zip.
    ScipyNpz,
    /// An array of NumPy.
    NumpyNpy,
    /// PETSc's binary format.
    PetscBinary,
}

/// How a file lays out the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// Each entry with its row and column.
    Coordinate,
    /// All entries, none with indices.
    Array,
    /// Rows, each with the columns of its entries.
    CompressedRows,
    /// Columns, each with the rows of its entries.
    CompressedColumns,
    /// Rows of dense blocks.
    BlockRows,
    /// Diagonals.
    Diagonals,
}

/// The kind of numbers that a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Real numbers.
    Real,
    /// Whole numbers.
    Integer,
    /// Complex numbers.
    Complex,
    /// No numbers: which entries there are.
    Pattern,
}

/// What part of a matrix a file stores, and what follows from it for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symmetry {
    /// All of it.
    General,
    /// The lower triangle; the upper one has the same entries.
    Symmetric,
    /// What is below the diagonal; above are the negated entries.
    SkewSymmetric,
    /// The lower triangle; the upper one has the conjugated entries.
    Hermitian,
}

impl Symmetry {
    /// The value opposite of one below the diagonal.
    pub(crate) fn mirrored<T: Scalar>(self, value: T) -> T {
        match self {
            Symmetry::General | Symmetry::Symmetric => value,
            Symmetry::SkewSymmetric => -value,
            Symmetry::Hermitian => value.conj(),
        }
    }
}

/// What a file says of what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The format of the file.
    pub format: Format,
    /// How entries are laid out.
    pub storage: Storage,
    /// The kind of numbers.
    pub field: Field,
    /// What part of the matrix is stored.
    pub symmetry: Symmetry,
    /// Number of rows.
    pub rows: u64,
    /// Number of columns.
    pub columns: u64,
    /// Entries as stored in the file: symmetry is not expanded, repeated entries are counted each.
    pub entries: u64,
    /// Vectors that stand behind the matrix, in formats that can have both.
    pub right_hand_sides: u64,
    /// Rows and columns of the blocks that the matrix was stored as, or of the points that a vector
    /// was; 1 where there are none.
    pub block_size: u64,
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
        })
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Storage::Coordinate => "coordinate",
            Storage::Array => "array",
            Storage::CompressedRows => "compressed rows",
            Storage::CompressedColumns => "compressed columns",
            Storage::BlockRows => "block rows",
            Storage::Diagonals => "diagonals",
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Real => "real",
            Field::Integer => "integer",
            Field::Complex => "complex",
            Field::Pattern => "pattern",
        })
    }
}

impl fmt::Display for Symmetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Symmetry::General => "general",
            Symmetry::Symmetric => "symmetric",
            Symmetry::SkewSymmetric => "skew-symmetric",
            Symmetry::Hermitian => "Hermitian",
        })
    }
}

impl Matrix {
    /// The ranks that hold it.
    pub fn comm(&self) -> &Comm {
        match self {
            Matrix::Real(matrix) => matrix.range().comm(),
            Matrix::Complex(matrix) => matrix.range().comm(),
        }
    }

    /// Number of stored entries over all ranks, symmetry expanded and repetitions summed.
    pub fn global_entries(&self) -> u64 {
        match self {
            Matrix::Real(matrix) => matrix.global_entries(),
            Matrix::Complex(matrix) => matrix.global_entries(),
        }
    }
}

/// The most rows or columns that a matrix of a file may have, by the bytes of its (decoded)
/// contents. Many rows may be empty, but a row costs memory whether it is or not.
pub(crate) fn most_rows(bytes: u64) -> u64 {
    (1 << 20) + bytes.saturating_mul(8)
}

/// Says what is wrong with sizes that memory would have to be found for, but that the file is too
/// short to need.
pub(crate) fn check_sizes(rows: u64, columns: u64, bytes: u64) -> std::result::Result<(), String> {
    let most = most_rows(bytes);
    if rows.max(columns) <= most {
        return Ok(());
    }
    Err(format!(
        "a matrix of {rows} by {columns} is too large for a file of {bytes} bytes: nearly all of its rows or columns \
         would be empty, and each costs memory; at most {most} are read"
    ))
}

/// Refuses vectors that are not as long as the layout they are read to.
pub(crate) fn check_length(path: &Path, rows: u64, layout: &Layout) -> Result<()> {
    let (found, expected) = (rows, layout.global_len());
    if found == expected { Ok(()) } else { Err(Error::Length { path: path.to_owned(), found, expected }) }
}

/// Refuses complex numbers where `T` is real.
pub(crate) fn require_field<T: Scalar>(path: &Path, field: Field) -> Result<()> {
    if field != Field::Complex || T::COMPLEX {
        return Ok(());
    }
    let what = format!("holds complex numbers, which {} cannot; read it as Complex64 or Complex32", T::NAME);
    Err(Error::argument(path, what))
}
