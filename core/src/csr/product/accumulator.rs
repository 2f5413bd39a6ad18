//! Sums by column, for one row at a time.
//!
//! Both kinds are dense arrays of which a row touches few entries, and neither branches on what it
//! finds there: which summand is the first of its column is as good as random to a CPU.

use bytemuck::Zeroable;

use crate::csr::assembly::sorted_rows::Rows;
use crate::csr::ghost_columns::{Columns, Numbers};
use crate::index::{Lid, at, to_lid};
use crate::memory;
use crate::scalar::Scalar;

/// Sums of a row whose columns are not known before. A stamp says whether a sum belongs to the
/// present row, so that nothing is cleared between rows.
pub(super) struct Accumulator<T> {
    sums: Vec<Sum<T>>,
    row: Lid,
    /// Columns with a sum, in order of their first summands; room for one more.
    touched: Vec<Lid>,
    count: usize,
    order: Order,
}

/// The sum of a column in the row that its stamp names.
#[derive(Clone, Copy, Zeroable)]
struct Sum<T> {
    row: Lid,
    value: T,
}

impl<T: Scalar> Accumulator<T> {
    /// For columns below `width`. What no row touches takes no memory.
    pub(super) fn new(width: usize) -> Accumulator<T> {
        let (sums, touched) = (bytemuck::zeroed_vec(width), memory::zeros(width + 1));
        Accumulator { sums, row: 0, touched, count: 0, order: Order::new(width) }
    }

    /// Starts another row, with no sums.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.count = 0;
        if self.row == Lid::MAX {
            self.sums.iter_mut().for_each(|sum| sum.row = 0);
            self.row = 0;
        }
        self.row += 1;
    }

    /// Adds to the sum of a column.
    #[inline(always)]
    pub(super) fn add(&mut self, column: Lid, value: T) {
        let sum = &mut self.sums[at(column)];
        let fresh = sum.row != self.row;
        *sum = Sum { row: self.row, value: if fresh { T::ZERO } else { sum.value } + value };
        self.touched[self.count] = column;
        self.count += usize::from(fresh);
    }

    /// Returns true if anything was added to a column.
    #[inline(always)]
    pub(super) fn has(&self, column: Lid) -> bool {
        self.sums[at(column)].row == self.row
    }

    /// Columns with a sum, in order of their first summands.
    pub(super) fn touched(&self) -> &[Lid] {
        &self.touched[..self.count]
    }

    /// Returns the sums, in the same order.
    #[inline(always)]
    pub(super) fn values(&self) -> impl Iterator<Item = T> {
        self.touched().iter().map(|&column| self.sums[at(column)].value)
    }

    /// Appends the row, in ascending global columns.
    pub(super) fn append_sorted(&mut self, columns: &Columns, rows: &mut Rows<T>) {
        let touched = &mut self.touched[..self.count];
        if columns.ghosts().is_empty() {
            self.order.sort(touched);
        } else {
            touched.iter_mut().for_each(|column| *column = columns.rank_of(*column));
            self.order.sort(touched);
            touched.iter_mut().for_each(|rank| *rank = columns.at_rank(*rank));
        }
        self.append(rows);
    }

    /// Appends the row.
    pub(super) fn append(&self, rows: &mut Rows<T>) {
        if rows.columns.capacity() - rows.columns.len() < self.count {
            memory::reserve(&mut rows.columns, self.count);
            memory::reserve(&mut rows.values, self.count);
        }
        rows.columns.extend_from_slice(self.touched());
        rows.values.extend(self.values());
        rows.starts.push(rows.columns.len());
    }
}

/// Sums of a row whose columns are known: zero between rows, so that summands are just added.
pub(super) struct Sums<T>(Vec<T>);

impl<T: Scalar> Sums<T> {
    /// For columns below `width`.
    pub(super) fn new(width: usize) -> Sums<T> {
        Sums(memory::zeros(width))
    }

    /// Adds to the sum of a column, which has to be taken before the next row.
    #[inline(always)]
    pub(super) fn add(&mut self, column: Lid, value: T) {
        self.0[at(column)] += value;
    }

    /// Takes the sum of a column.
    #[inline(always)]
    pub(super) fn take(&mut self, column: Lid) -> T {
        std::mem::replace(&mut self.0[at(column)], T::ZERO)
    }

    /// Takes the sums of a row whose columns have other numbers here.
    #[inline(always)]
    pub(super) fn take_row(&mut self, numbers: &Numbers, columns: &[Lid], values: &mut [T]) {
        values.iter_mut().zip(columns).for_each(|(value, &column)| *value = self.take(numbers.of(column)));
    }
}

/// Sorts different numbers by setting bits: one for each number, and one for each word of those.
struct Order {
    bits: Vec<u64>,
    words: Vec<u64>,
}

/// Fewer numbers are sorted by comparing them.
const FEW: usize = 8;

impl Order {
    /// For numbers below `width`.
    fn new(width: usize) -> Order {
        let words = width / 64 + 1;
        Order { bits: memory::zeros(words), words: memory::zeros(words / 64 + 1) }
    }

    fn sort(&mut self, numbers: &mut [Lid]) {
        let (mut least, mut most) = (usize::MAX, 0);
        for number in numbers.iter().map(|&number| at(number) / 4096) {
            (least, most) = (least.min(number), most.max(number));
        }
        if numbers.len() <= FEW || most - least > 4 * numbers.len() {
            return numbers.sort_unstable();
        }
        for number in numbers.iter().map(|&number| at(number)) {
            self.bits[number / 64] |= 1 << (number % 64);
            self.words[number / 4096] |= 1 << (number / 64 % 64);
        }
        let mut sorted = numbers.iter_mut();
        for place in least..=most {
            for word in ones(64 * place, std::mem::take(&mut self.words[place])) {
                for number in ones(64 * word, std::mem::take(&mut self.bits[word])) {
                    let next = sorted.next().expect("invariant: a bit for each number");
                    *next = to_lid("column", number).expect("invariant: it was a column before");
                }
            }
        }
    }
}

/// Returns `first` plus the places of the bits that are set, ascending.
#[inline(always)]
fn ones(first: usize, mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (word != 0).then(|| first + word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csr::ghost_columns::ColumnCodes;

    #[test]
    fn rows_do_not_see_each_other() {
        let mut sums = Accumulator::<f64>::new(4);
        let (columns, _) = ColumnCodes::new(0, 4, 4).finish();
        let mut rows = Rows { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        // The second row is the last before stamps start again.
        for (first, row) in [(1, 0), (2, Lid::MAX - 1), (3, Lid::MAX)] {
            sums.row = row;
            sums.begin();
            [(3, 1.0), (first, 2.0), (3, 4.0)].into_iter().for_each(|(column, value)| sums.add(column, value));
            assert!(sums.has(first) && !sums.has(0));
            sums.append_sorted(&columns, &mut rows);
        }
        assert_eq!(rows.columns, [1, 3, 2, 3, 3]);
        assert_eq!(rows.values, [2.0, 5.0, 2.0, 5.0, 7.0]);
        assert_eq!(rows.starts, [0, 2, 4, 5]);
    }

    #[test]
    fn ghosts_are_sorted_in_global_order() {
        // Owned are 4 and 5, ghosts 1, 3 and 8.
        let mut codes = ColumnCodes::new(4, 2, 9);
        [1, 3, 8].into_iter().for_each(|column| assert!(codes.code(column).is_ok()));
        let (columns, _) = codes.finish();
        let mut sums = Accumulator::<f64>::new(5);
        let mut rows = Rows { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        sums.begin();
        (0..5).for_each(|column| sums.add(column, -0.0));
        sums.append_sorted(&columns, &mut rows);
        assert_eq!(rows.columns, [2, 3, 0, 1, 4]);
        assert!(rows.values.iter().all(|value| value.is_sign_positive()), "sums start from zero");
    }

    #[test]
    fn known_sums_are_taken_once() {
        let mut sums = Sums::<f64>::new(3);
        sums.add(1, 2.0);
        sums.add(1, 3.0);
        assert_eq!([sums.take(1), sums.take(1), sums.take(2)], [5.0, 0.0, 0.0]);
    }

    #[test]
    fn bits_sort_like_comparisons() {
        for (count, stride, width) in
            [(3, 7, 90), (40, 1, 64), (40, 37, 1500), (200, 613, 200_000), (9, 30_000, 300_000)]
        {
            let mut order = Order::new(width);
            for turn in 0..3 {
                let mut numbers: Vec<Lid> = (0..count).map(|k| (k * 31 + turn) % count * stride).collect();
                let mut expected = numbers.clone();
                expected.sort_unstable();
                expected.dedup();
                numbers.sort_unstable();
                numbers.dedup();
                numbers.reverse();
                order.sort(&mut numbers);
                assert_eq!(numbers, expected);
            }
        }
    }
}
