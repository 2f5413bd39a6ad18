//! The description that a file gives of its matrix or vectors.

use super::format::Format;
use dolmen_core::Scalar;
use std::fmt;

/// The order of the entries in a file.
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
    /// A column of a table.
    TableColumn,
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

/// The part of a matrix that a file stores, which says what the rest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symmetry {
    /// All of it.
    General,
    /// The lower triangle; the upper one has the same entries.
    Symmetric,
    /// The entries below the diagonal; those above are the negated ones.
    SkewSymmetric,
    /// The lower triangle; the upper one has the conjugated entries.
    Hermitian,
}

impl Symmetry {
    /// Returns the value opposite of one below the diagonal.
    pub(crate) fn mirrored<T: Scalar>(self, value: T) -> T {
        match self {
            Symmetry::General | Symmetry::Symmetric => value,
            Symmetry::SkewSymmetric => -value,
            Symmetry::Hermitian => value.conj(),
        }
    }
}

/// The size and the kind of a matrix or of vectors, as the file says them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The format of the file.
    pub format: Format,
    /// The order of the entries.
    pub storage: Storage,
    /// The kind of numbers.
    pub field: Field,
    /// The part of the matrix that is stored.
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

impl Description {
    /// Of what is stored in full, as HDF5 and FITS do it.
    pub(super) fn full(format: Format, storage: Storage, field: Field, [rows, columns]: [u64; 2]) -> Description {
        Description {
            format,
            storage,
            field,
            symmetry: Symmetry::General,
            rows,
            columns,
            entries: rows.saturating_mul(columns),
            right_hand_sides: 0,
            block_size: 1,
        }
    }

    /// Returns whether all entries are stored, without indices: as vectors, which are the columns, or a dense matrix.
    #[must_use]
    pub fn is_vectors(&self) -> bool {
        matches!(self.storage, Storage::Array | Storage::TableColumn)
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
            Storage::TableColumn => "column of a table",
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
