//! Sums by column, for one row at a time.

use crate::csr::memory;
use crate::index::{Lid, at};
use crate::scalar::Scalar;

/// A dense array of sums, of which a row touches few. A stamp says whether a sum belongs to the
/// present row, so that nothing is cleared between rows.
pub(super) struct Accumulator<T> {
    sums: Vec<(Lid, T)>,
    row: Lid,
    touched: Vec<Lid>,
}

impl<T: Scalar> Accumulator<T> {
    /// For columns below `width`.
    pub(super) fn new(width: usize) -> Accumulator<T> {
        let mut sums = Vec::new();
        memory::reserve(&mut sums, width);
        sums.resize(width, (0, T::ZERO));
        Accumulator { sums, row: 0, touched: Vec::new() }
    }

    /// Starts another row, with no sums.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.touched.clear();
        if self.row == Lid::MAX {
            self.sums.iter_mut().for_each(|sum| sum.0 = 0);
            self.row = 0;
        }
        self.row += 1;
    }

    /// Adds to the sum of a column.
    #[inline(always)]
    pub(super) fn add(&mut self, column: Lid, value: T) {
        let sum = &mut self.sums[at(column)];
        if sum.0 == self.row {
            sum.1 += value;
        } else {
            *sum = (self.row, T::ZERO + value);
            self.touched.push(column);
        }
    }

    /// The sum of a column, if anything was added to it.
    #[inline(always)]
    pub(super) fn get(&self, column: Lid) -> Option<T> {
        let (row, sum) = self.sums[at(column)];
        (row == self.row).then_some(sum)
    }

    /// Columns with a sum, in order of their first summands.
    pub(super) fn touched(&self) -> &[Lid] {
        &self.touched
    }

    /// The sums, in the same order.
    #[inline(always)]
    pub(super) fn values(&self) -> impl Iterator<Item = T> {
        self.touched.iter().map(|&column| self.sums[at(column)].1)
    }

    /// Appends the sums of the row, in ascending `key` of their columns.
    pub(super) fn append_sorted(&mut self, key: impl Fn(Lid) -> Lid, columns: &mut Vec<Lid>, values: &mut Vec<T>) {
        self.touched.sort_unstable_by_key(|&column| key(column));
        self.append(columns, values);
    }

    /// Appends the sums of the row.
    pub(super) fn append(&self, columns: &mut Vec<Lid>, values: &mut Vec<T>) {
        if columns.capacity() - columns.len() < self.touched.len() {
            memory::reserve(columns, self.touched.len());
            memory::reserve(values, self.touched.len());
        }
        columns.extend_from_slice(&self.touched);
        values.extend(self.values());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_see_each_other() {
        let mut sums = Accumulator::<f64>::new(4);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        // The second row is the last before stamps start again.
        for (first, row) in [(1, 0), (2, Lid::MAX - 1), (3, Lid::MAX)] {
            sums.row = row;
            sums.begin();
            [(3, 1.0), (first, 2.0), (3, 4.0)].into_iter().for_each(|(column, value)| sums.add(column, value));
            sums.append_sorted(|column| column, &mut columns, &mut values);
            assert_eq!(sums.get(0), None);
        }
        assert_eq!(columns, [1, 3, 2, 3, 3]);
        assert_eq!(values, [2.0, 5.0, 2.0, 5.0, 7.0]);
    }

    #[test]
    fn the_key_orders_columns() {
        let mut sums = Accumulator::<f64>::new(4);
        sums.begin();
        (0..4).for_each(|column| sums.add(column, -0.0));
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        sums.append_sorted(|column| column ^ 2, &mut columns, &mut values);
        assert_eq!(columns, [2, 3, 0, 1]);
        assert!(values.iter().all(|value| value.is_sign_positive()), "sums start from zero");
    }
}
