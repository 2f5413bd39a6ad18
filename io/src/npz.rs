//! Sparse matrices of SciPy and pydata/sparse (their `save_npz`), zips of NumPy arrays; and single dense arrays of
//! NumPy.
//!
//! All that SciPy writes is read: `csr`, `csc`, `coo`, `bsr` and `dia`, packed or not, with real,
//! complex, whole and boolean numbers of either byte order. Whole numbers that `f64` does not hold
//! are refused. So are matrices of pydata/sparse (`COO` and `GCXS`) with a fill value other than zero. Repeated
//! entries are summed; zeros that a `dia` array stores are no entries, as in SciPy. An array of one or two
//! dimensions that `numpy.save` has written, or `numpy.savez` alone in a file, is vectors: its columns. Formats of
//! files: PKWARE's APPNOTE 6.3.10 (with zip64), NumPy's NEP 1.
//!
//! Each rank reads its share of arrays that are not packed; packed ones have no positions, and
//! every rank unpacks them from their start, keeping its share. Checksums are verified. Written are
//! `csr` matrices that are not packed, and vectors as `.npy`, by all ranks side by side.

mod array;
mod dense;
mod matrix;
mod write;
mod zip;

pub(crate) use array::is_npy;
pub use dense::write_vectors;
pub use write::write_matrix;
pub(crate) use zip::is_zip;

use crate::budget;
use crate::dense::columns_of;
use crate::error::Result;
use crate::fault::{Fault, require_same, settle};
use crate::files::{Description, Format, Symmetry, check_length, check_sizes, require_field};
use crate::source::Source;
use array::Array;
use dolmen_core::{Comm, CsrBuilder, CsrMatrix, Duplicates, Layout, MultiVector, Scalar};
use matrix::Layouts;
use std::path::Path;

/// Reads a matrix, on uniform layouts.
///
/// # Collective
///
/// # Errors
/// A file that cannot be read, is malformed or holds something else; complex numbers where `T` is
/// real.
pub fn read_matrix<T: Scalar>(comm: &Comm, path: impl AsRef<Path>) -> Result<(CsrMatrix<T>, Description)> {
    let source = Source::open(comm, path.as_ref())?;
    let file = Npz::open(comm, &source)?;
    let description = file.description();
    Ok((file.matrix()?, description))
}

/// A file whose arrays are found.
pub(crate) struct Npz<'s> {
    comm: Comm,
    source: &'s Source,
    rows: u64,
    columns: u64,
    /// The values, and how the other arrays place them.
    data: Array,
    layouts: Layouts,
}

impl<'s> Npz<'s> {
    /// # Collective
    pub(crate) fn open(comm: &Comm, source: &'s Source) -> Result<Self> {
        source.require_plain()?;
        let found = settle(comm, source.path(), matrix::find(source))?;
        require_same(comm, source.path(), &found)?;
        let (rows, columns, data, layouts) = found;
        Ok(Self { comm: comm.clone(), source, rows, columns, data, layouts })
    }

    pub(crate) fn description(&self) -> Description {
        Description {
            format: if is_npy(&self.source.head()) { Format::NumpyNpy } else { Format::ScipyNpz },
            storage: self.layouts.storage(),
            field: self.data.field(),
            symmetry: Symmetry::General,
            rows: self.rows,
            columns: self.columns,
            entries: self.data.count(),
            right_hand_sides: 0,
            block_size: self.layouts.block_size(),
        }
    }

    /// # Collective
    pub(crate) fn matrix<T: Scalar>(self) -> Result<CsrMatrix<T>> {
        let path = self.source.path();
        require_field::<T>(path, self.data.field())?;
        self.check_sizes()?;
        for array in self.layouts.arrays().chain([&self.data]) {
            array.verify(&self.comm, self.source)?;
        }
        let (range, domain) = (Layout::uniform(&self.comm, self.rows), Layout::uniform(&self.comm, self.columns));
        let mut builder = CsrBuilder::new(&range, &domain, Duplicates::Add);
        let pushed = self.layouts.push_to(&self.comm, self.source, &self.data, (self.rows, self.columns), &mut builder);
        settle(&self.comm, path, pushed)?;
        Ok(builder.build()?)
    }

    fn check_sizes(&self) -> Result<()> {
        let place = if matches!(self.layouts, Layouts::Dense) { "array" } else { "member shape.npy" };
        let packed: u64 =
            self.layouts.arrays().chain([&self.data]).filter(|array| array.is_packed()).map(Array::bytes).sum();
        // Each rank keeps its share.
        let checked = budget::require(packed.div_ceil(self.comm.size() as u64));
        let checked = checked.and_then(|()| check_sizes(self.rows, self.columns, self.data_bytes()));
        self.comm.agree(checked.map_err(|what| Fault::new(place, what).of(self.source.path())))
    }

    /// Bytes of all arrays, unpacked.
    fn data_bytes(&self) -> u64 {
        self.layouts.arrays().chain([&self.data]).map(Array::bytes).sum()
    }

    /// # Collective
    pub(crate) fn vectors<T: Scalar>(self, rows: &Layout) -> Result<MultiVector<T>> {
        let path = self.source.path();
        check_length(path, self.rows, rows)?;
        if matches!(self.layouts, Layouts::Dense) {
            return self.dense_vectors(rows);
        }
        let bytes = self.data_bytes();
        columns_of(path, &self.matrix()?, rows, bytes)
    }
}
