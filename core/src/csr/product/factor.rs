//! The right factor of a product: own rows where they lie, and rows of other ranks.

use std::ops::Range;

use crate::csr::assembly::sorted_rows::Rows;
use crate::csr::ghost_columns::Numbers;
use crate::csr::kernels::LocalCsr;
use crate::index::{Lid, at};
use crate::memory;
use crate::scalar::Scalar;

/// Rows of a matrix by the local columns of the left factor. Columns have numbers of their own,
/// owned ones first, in which own ghosts and those of other ranks' rows are ghosts together.
pub(super) struct Factor<'m, T> {
    own: &'m LocalCsr<T>,
    numbers: &'m Numbers,
    imported: &'m Rows<T>,
    /// The rows' entries, if each has exactly one.
    singles: Option<Vec<(Lid, T)>>,
}

impl<'m, T: Scalar> Factor<'m, T> {
    pub(super) fn new(own: &'m LocalCsr<T>, numbers: &'m Numbers, imported: &'m Rows<T>) -> Factor<'m, T> {
        Factor { own, numbers, imported, singles: None }
    }

    /// Creates the same for a factor that may have one entry in each row, which is then read faster.
    pub(super) fn with_singles(own: &'m LocalCsr<T>, numbers: &'m Numbers, imported: &'m Rows<T>) -> Factor<'m, T> {
        let mut factor = Factor::new(own, numbers, imported);
        if own.has_single_entries() && imported.starts.windows(2).all(|pair| pair[1] - pair[0] == 1) {
            let (_, columns, values) = own.in_order().expect("invariant: rows of one entry are not moved");
            let mut singles = memory::with_capacity(own.rows() + imported.values.len());
            singles.extend(columns.iter().zip(values.iter()).map(|(&column, &value)| (numbers.of(column), value)));
            singles.extend(imported.columns.iter().copied().zip(imported.values.iter().copied()));
            factor.singles = Some(singles);
        }
        factor
    }

    /// Returns the only entry of each row, if this was requested and each row has one.
    #[inline(always)]
    pub(super) fn singles(&self) -> Option<&[(Lid, T)]> {
        self.singles.as_deref()
    }

    /// Own rows.
    pub(super) fn own(&self) -> &'m LocalCsr<T> {
        self.own
    }

    /// No rows yet, with room for those of a product with this factor: for as many as it has summands,
    /// within reason, since room that is not filled costs nothing. Of rows that are alike it is
    /// enough to give the first one and their number.
    pub(super) fn room(&self, left: &LocalCsr<T>, rows: impl Iterator<Item = (Range<usize>, usize)>) -> Rows<T> {
        let summands = |row: usize| self.summands(left, row);
        let all = rows.map(|(rows, times)| times * rows.map(summands).sum::<usize>()).sum::<usize>();
        let room = all.min(8 * (left.values().len() + self.own.values().len()));
        let mut product = Rows::empty();
        product.starts.reserve(left.rows());
        memory::reserve(&mut product.columns, room);
        memory::reserve(&mut product.values, room);
        product
    }

    /// Returns the number of summands of a row of a product with this factor.
    fn summands(&self, left: &LocalCsr<T>, row: usize) -> usize {
        let len = |row: &Lid| match at(*row).checked_sub(self.own.rows()) {
            None => self.own.row(at(*row)).0.len(),
            Some(ghost) => self.imported.row(ghost).0.len(),
        };
        left.row(row).0.iter().map(len).sum()
    }

    /// Operations of a product with this factor: a product and a sum for each summand.
    pub(super) fn flops(&self, left: &LocalCsr<T>) -> u64 {
        let summands: usize = (0..left.rows()).map(|row| self.summands(left, row)).sum();
        (summands * if T::COMPLEX { 8 } else { 2 }) as u64
    }

    /// Calls `entry(column, value)` for the entries of a row, in stored order.
    #[inline(always)]
    pub(super) fn each(&self, row: Lid, mut entry: impl FnMut(Lid, T)) {
        let row = at(row);
        if row < self.own.rows() {
            let (columns, values) = self.own.row(row);
            columns.iter().zip(values).for_each(|(&column, &value)| entry(self.numbers.of(column), value));
        } else {
            let (columns, values) = self.imported.row(row - self.own.rows());
            columns.iter().zip(values).for_each(|(&column, &value)| entry(column, value));
        }
    }
}
