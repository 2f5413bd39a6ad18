//! Entries with their indices, into a matrix.

use super::body::Entries;
use super::header::Header;
use super::number::Words;
use crate::matrix_file::Symmetry;
use dolmen_core::{CsrBuilder, Duplicates, Layout, Scalar};
use std::cmp::Ordering;

/// Collects the entries of a coordinate file, and the mirror images that its symmetry implies.
pub(super) struct Triplets<'h, T> {
    header: &'h Header,
    pub(super) builder: CsrBuilder<T>,
    taken: u64,
}

impl<'h, T: Scalar> Triplets<'h, T> {
    pub(super) fn new(header: &'h Header, range: &Layout, domain: &Layout) -> Self {
        Self { header, builder: CsrBuilder::new(range, domain, Duplicates::Add), taken: 0 }
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
        check_place(symmetry, row, column, (re, im))?;
        push(&mut self.builder, symmetry, row, column, T::from_parts(re, im));
        self.taken += 1;
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.taken
    }

    fn place(&mut self, _first: u64) {}
}

/// Adds an entry and its mirror image.
#[inline]
pub(crate) fn push<T: Scalar>(to: &mut CsrBuilder<T>, symmetry: Symmetry, row: u64, column: u64, value: T) {
    to.push(row, column, value);
    if row != column && symmetry != Symmetry::General {
        to.push(column, row, symmetry.mirrored(value));
    }
}

/// Refuses what a file of this symmetry does not store. An entry above the diagonal may be the
/// mirror image of one below, and would then count twice.
#[inline]
pub(crate) fn check_place(symmetry: Symmetry, row: u64, column: u64, (re, im): (f64, f64)) -> Result<(), String> {
    let place = || format!("({}, {})", row + 1, column + 1);
    match (symmetry, column.cmp(&row)) {
        (Symmetry::General, _) | (_, Ordering::Less) | (Symmetry::Symmetric, Ordering::Equal) => Ok(()),
        (_, Ordering::Greater) => {
            Err(format!("entry {} is above the diagonal; a {symmetry} file stores those below it only", place()))
        }
        (Symmetry::SkewSymmetric, Ordering::Equal) if re == 0.0 && im == 0.0 => Ok(()),
        (Symmetry::Hermitian, Ordering::Equal) if im == 0.0 => Ok(()),
        (Symmetry::SkewSymmetric, Ordering::Equal) => {
            Err(format!("entry {} is on the diagonal, where a skew-symmetric matrix is zero", place()))
        }
        (Symmetry::Hermitian, Ordering::Equal) => {
            Err(format!("entry {} is on the diagonal, where a Hermitian matrix is real", place()))
        }
    }
}
