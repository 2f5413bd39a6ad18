//! Entries with their indices, into a matrix.

use super::body::Entries;
use super::header::Header;
use super::number::Words;
use crate::symmetry::{Triangles, push};
use dolmen_core::{CsrBuilder, Duplicates, Layout, Scalar};

/// Collects the entries of a coordinate file, and the mirror images that its symmetry implies.
pub(super) struct Triplets<'h, T> {
    header: &'h Header,
    pub(super) builder: CsrBuilder<T>,
    pub(super) triangles: Triangles,
    taken: u64,
}

impl<'h, T: Scalar> Triplets<'h, T> {
    pub(super) fn new(header: &'h Header, range: &Layout, domain: &Layout) -> Self {
        let triangles = Triangles::new(header.symmetry);
        Self { header, builder: CsrBuilder::new(range, domain, Duplicates::Add), triangles, taken: 0 }
    }
}

impl<T: Scalar> Entries for Triplets<'_, T> {
    #[inline]
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let Header { rows, columns, field, symmetry, .. } = *self.header;
        let mut words = Words(line);
        let (row, column) = (words.index("row", rows)?, words.index("column", columns)?);
        let (re, im) = words.value(field, size_of::<T::Real>() == 4)?;
        words.end()?;
        self.header.check_finite((re, im))?;
        self.triangles.note(row, column, (re, im))?;
        push(&mut self.builder, symmetry, row, column, T::from_parts(re, im));
        self.taken += 1;
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.taken
    }

    fn place(&mut self, _first: u64) {}
}
