//! Matrices and vectors in the field's file formats, told apart by their contents.
//!
//! Every reader gives the same types, whatever the format: a matrix in full, its symmetry expanded,
//! on uniform layouts; vectors on the caller's layout; and what the file itself says of them. What
//! a file claims is believed only as far as it has the bytes: a matrix may have no more rows and
//! columns than [`most_rows`] of the text's length, so that memory is bounded by the file.

use crate::error::{Error, Result};
use crate::matrix_market::{self, MatrixMarket};
use crate::source::Source;
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
}

/// How a file lays out the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// Each entry with its row and column.
    Coordinate,
    /// All entries, none with indices.
    Array,
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
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::MatrixMarket => "MatrixMarket",
        })
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Storage::Coordinate => "coordinate",
            Storage::Array => "array",
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

/// Says what is wrong with vectors that are not as long as the layout they are read to.
pub(crate) fn check_length(path: &Path, rows: u64, layout: &Layout) -> Result<()> {
    if rows == layout.global_len() {
        return Ok(());
    }
    let what = format!("its vectors have {rows} entries, the layout they are read to has {}", layout.global_len());
    Err(Error::argument(path, what))
}

/// A file of a known format whose header is read.
enum Opened<'s> {
    MatrixMarket(MatrixMarket<'s>),
}

impl<'s> Opened<'s> {
    /// # Collective
    fn open(comm: &Comm, source: &'s Source) -> Result<Opened<'s>> {
        if matrix_market::is_matrix_market(&source.head()) {
            return Ok(Opened::MatrixMarket(MatrixMarket::open(comm, source)?));
        }
        Err(Error::argument(source.path(), "is not a file of a known format (MatrixMarket)"))
    }

    fn description(&self) -> Description {
        match self {
            Opened::MatrixMarket(file) => file.description(),
        }
    }

    /// # Collective
    fn matrix<T: Scalar>(self) -> Result<CsrMatrix<T>> {
        match self {
            Opened::MatrixMarket(file) => file.matrix(),
        }
    }

    /// # Collective
    fn vectors<T: Scalar>(self, rows: &Layout) -> Result<MultiVector<T>> {
        match self {
            Opened::MatrixMarket(file) => file.vectors(rows),
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

/// What the end of a file's name asks for.
enum Target {
    MatrixMarket,
}

impl Target {
    fn of(path: &Path) -> Result<Target> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match name.strip_suffix(".gz").unwrap_or(&name).rsplit_once('.') {
            Some((_, "mtx")) => Ok(Target::MatrixMarket),
            _ => Err(Error::argument(path, "has no known extension to write to; use .mtx or .mtx.gz")),
        }
    }
}

/// Writes a matrix in the format of the file's extension: `.mtx` or `.mtx.gz`.
///
/// Reading it again gives the same bits. The file appears under its name when it is complete.
///
/// # Collective
///
/// # Errors
/// An unknown extension; a file that cannot be written.
pub fn write_matrix(path: impl AsRef<Path>, matrix: &Matrix) -> Result<()> {
    let path = path.as_ref();
    match Target::of(path)? {
        Target::MatrixMarket => match matrix {
            Matrix::Real(matrix) => matrix_market::write_matrix(path, matrix, Symmetry::General),
            Matrix::Complex(matrix) => matrix_market::write_matrix(path, matrix, Symmetry::General),
        },
    }
}

/// Writes vectors in the format of the file's extension: `.mtx` or `.mtx.gz`.
///
/// Reading them again gives the same bits. The file appears under its name when it is complete.
///
/// # Collective
///
/// # Errors
/// An unknown extension; a file that cannot be written.
pub fn write_vectors(path: impl AsRef<Path>, vectors: &Vectors) -> Result<()> {
    let path = path.as_ref();
    match Target::of(path)? {
        Target::MatrixMarket => match vectors {
            Vectors::Real(vectors) => matrix_market::write_vectors(path, vectors),
            Vectors::Complex(vectors) => matrix_market::write_vectors(path, vectors),
        },
    }
}
