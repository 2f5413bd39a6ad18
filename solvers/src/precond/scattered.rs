//! A row of a factorization under way, spread out over all columns, so that elimination finds an
//! entry in one step.

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, memory};

/// The entries of one row at a time; the next one replaces them without touching them.
pub(super) struct Scattered<T> {
    values: Vec<T>,
    /// The row, counted from one, that each column was last set in.
    rows: Vec<Lid>,
    row: Lid,
}

impl<T: Scalar> Scattered<T> {
    /// For rows of a square matrix, each begun once.
    pub(super) fn new(columns: usize) -> Scattered<T> {
        Scattered { values: memory::zeros(columns), rows: memory::zeros(columns), row: 0 }
    }

    /// Begins the next row, which has no entries yet.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.row += 1;
    }

    /// Sets an entry.
    #[inline(always)]
    pub(super) fn set(&mut self, column: Lid, value: T) {
        (self.values[at(column)], self.rows[at(column)]) = (value, self.row);
    }

    /// Sets the entries of a row that has none yet.
    #[inline(always)]
    pub(super) fn set_all(&mut self, columns: &[Lid], values: &[T]) {
        columns.iter().zip(values).for_each(|(&column, &value)| self.set(column, value));
    }

    /// True if there is such an entry.
    #[inline(always)]
    pub(super) fn has(&self, column: Lid) -> bool {
        self.rows[at(column)] == self.row
    }

    /// Returns the value of an entry that is there.
    #[inline(always)]
    pub(super) fn get(&self, column: Lid) -> T {
        self.values[at(column)]
    }

    /// Subtracts from an entry. One that is not there may become anything, for it is set before it is read: to ask first
    /// takes longer, since the answer is not foreseen.
    #[inline(always)]
    pub(super) fn subtract(&mut self, column: Lid, value: T) {
        self.values[at(column)] -= value;
    }
}
