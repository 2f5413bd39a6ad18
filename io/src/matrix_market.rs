//! MatrixMarket files: text, one entry a line.
//!
//! Format: R. Boisvert, R. Pozo, K. Remington, *The Matrix Market Exchange Formats: Initial
//! Design*, NISTIR 5935 (1996). Both layouts, `coordinate` and `array`, are read with all fields and
//! symmetries, plain or packed by gzip. Where the format leaves room, this is what happens:
//!
//! - repeated entries are summed, as SciPy sums them; the sum does not depend on their order;
//! - blank lines and comments may stand anywhere below the first line; lines may end in CR LF;
//!   letters of the header may be of either case;
//! - `inf` and `nan` are read as such, but a number too large for the type is an error;
//! - exponents may be marked by D, as Fortran does;
//! - whole numbers above 2^53 are refused, because `f64` does not hold them all;
//! - a symmetric file of the upper triangle is read with a warning, one with entries on both sides of the diagonal is
//!   refused, since mirror images would count twice; an entry on the diagonal of a skew-symmetric matrix is kept with
//!   a warning, as SciPy keeps it, one that is not real on that of a Hermitian matrix is refused;
//! - blanks before the first line are passed over with a warning, as SciPy passes over them; comments may be of any
//!   length;
//! - NaNs are written without their payload.

mod array;
mod body;
mod coordinate;
mod header;
mod number;
mod write;

pub use write::{write_matrix, write_vectors};

use crate::error::Result;
use crate::fault::{Fault, require_same, settle};
use crate::files::{Description, Format, Storage, Symmetry, check_length, check_sizes, require_field};
use crate::source::Source;
use crate::text::Lines;
use crate::{budget, dense};
use array::Values;
use body::{Entries, Passed, Start};
use coordinate::Triplets;
use dolmen_core::text::shown;
use dolmen_core::{Comm, CsrBuilder, CsrMatrix, Duplicates, Layout, MultiVector, Scalar};
use header::Header;
use std::io::{BufReader, Read};
use std::path::Path;

/// Returns true if a file starts as a MatrixMarket file does.
pub(crate) fn is_matrix_market(head: &[u8]) -> bool {
    head.trim_ascii_start().get(..14).is_some_and(|head| head.eq_ignore_ascii_case(b"%%MatrixMarket"))
}

/// Reads a matrix, on uniform layouts.
///
/// Real numbers may be read as complex ones, but not the other way round. Symmetry is expanded,
/// repeated entries are summed.
///
/// # Collective
/// Each rank parses its share of a plain file; rank 0 unpacks a gzip file and hands out its text.
///
/// # Errors
/// A file that cannot be read or is malformed; complex numbers where `T` is real.
pub fn read_matrix<T: Scalar>(comm: &Comm, path: impl AsRef<Path>) -> Result<(CsrMatrix<T>, Description)> {
    let source = Source::open(comm, path.as_ref())?;
    let file = MatrixMarket::open(comm, &source)?;
    let description = file.description();
    Ok((file.matrix()?, description))
}

/// Reads the columns of a file as vectors on `rows`.
///
/// # Collective
/// As [`read_matrix`].
///
/// # Errors
/// As [`read_matrix`]; columns of another length than the layout's.
pub fn read_vectors<T: Scalar>(path: impl AsRef<Path>, rows: &Layout) -> Result<(MultiVector<T>, Description)> {
    let source = Source::open(rows.comm(), path.as_ref())?;
    let file = MatrixMarket::open(rows.comm(), &source)?;
    let description = file.description();
    Ok((file.vectors(rows)?, description))
}

/// A file whose header is read.
pub(crate) struct MatrixMarket<'s> {
    comm: Comm,
    source: &'s Source,
    header: Header,
    /// The contents behind the header.
    text: Box<dyn Read + 's>,
}

impl<'s> MatrixMarket<'s> {
    /// # Collective
    pub(crate) fn open(comm: &Comm, source: &'s Source) -> Result<Self> {
        let mut lines = Lines::with_comments(BufReader::new(source.contents()), b'%');
        let header = settle(comm, source.path(), Header::read(&mut lines))?;
        require_same(comm, source.path(), &header)?;
        Ok(Self { comm: comm.clone(), source, header, text: Box::new(lines.reader) })
    }

    pub(crate) fn description(&self) -> Description {
        let Header { storage, field, symmetry, rows, columns, entries, .. } = self.header;
        let (right_hand_sides, block_size) = (0, 1);
        let format = Format::MatrixMarket;
        Description { format, storage, field, symmetry, rows, columns, entries, right_hand_sides, block_size }
    }

    /// Refuses NaN and infinity in what is read.
    pub(crate) fn require_finite(&mut self) {
        self.header.finite = true;
    }

    /// # Collective
    pub(crate) fn matrix<T: Scalar>(mut self) -> Result<CsrMatrix<T>> {
        require_field::<T>(self.source.path(), self.header.field)?;
        let header = self.header.clone();
        let range = Layout::uniform(&self.comm, header.rows);
        let domain = Layout::uniform(&self.comm, header.columns);
        if header.storage == Storage::Coordinate {
            let mut triplets = Triplets::new(&header, &range, &domain);
            self.read(&mut triplets)?;
            triplets.triangles.settle(&self.comm, self.source.path())?;
            return Ok(triplets.builder.build()?);
        }
        let mut values = Values::new(&header);
        self.read(&mut values)?;
        let mut builder = CsrBuilder::new(&range, &domain, Duplicates::Add);
        let pushed = values.push_to(&mut builder);
        drop(values);
        settle(&self.comm, self.source.path(), pushed.map_err(|what| Fault::new("array", what)))?;
        Ok(builder.build()?)
    }

    /// # Collective
    pub(crate) fn vectors<T: Scalar>(mut self, rows: &Layout) -> Result<MultiVector<T>> {
        let path = self.source.path();
        check_length(path, self.header.rows, rows)?;
        require_field::<T>(self.source.path(), self.header.field)?;
        let header = self.header.clone();
        if header.storage == Storage::Array && header.symmetry == Symmetry::General {
            let mut values = Values::new(&header);
            self.read(&mut values)?;
            let columns = usize::try_from(header.columns).expect("invariant: bounded by the length of the file");
            return Ok(dense::place_columns(rows, columns, values.runs()));
        }
        let bytes = self.source.length();
        dense::columns_of(path, &self.matrix()?, rows, bytes)
    }

    /// Reads the body and checks its size against the header.
    ///
    /// # Collective
    fn read(&mut self, entries: &mut impl Entries) -> Result<()> {
        let Header { rows, columns, entries: announced, lines, bytes, .. } = self.header;
        let start = Start { bytes, lines };
        if self.header.is_indented && self.comm.rank() == 0 {
            tracing::warn!("{}: has blanks before its first line, %%MatrixMarket ...", shown(self.source.path()));
        }
        let Passed { entries: found, bytes } = if self.source.is_gzip() {
            let room = budget::require_entries(announced, self.comm.size(), self.source.length());
            self.comm.agree(room.map_err(|what| Fault::line(lines, what).of(self.source.path())))?;
            body::read_gzip(&self.comm, self.source, start, &mut self.text, announced, entries)?
        } else {
            body::read_plain(&self.comm, self.source, start, entries)?
        };
        let sizes = if found == announced {
            check_sizes(rows, columns, bytes)
        } else {
            Err(format!("announces {announced} entries, but the file holds {found}"))
        };
        sizes.map_err(|what| Fault::line(lines, what).of(self.source.path()))
    }
}
