//! Rows sorted by length, so that each ends where the processor expects it.
//!
//! Of rows that have nothing in common the processor does not know the ends, and each wrong guess costs as much as
//! ten entries. The rows of a general run are therefore stored by length within windows of [`WINDOW`] rows, every other
//! window longest first, so that the last length of one is the first of the next. Shorter runs, such as the
//! ends of the lines of a grid, stay as they are. A row stays one slice with its entries in their order; two bytes a
//! row say where it went.
//!
//! One thread of a Zen 5, ms a product, the kernel of one row at a time:
//!
//! ```text
//!                                             as given   sorted   sliced ELL of 8 rows, AVX2 gathers
//! 2-D mesh, 600 000 rows, 7.0 entries a row     5.4       3.5        3.5
//! 3-D mesh, 200 000 rows, 16.5 entries a row    3.3       2.5        2.6
//! ```
//!
//! Sliced ELL pads a tenth and has no row in one piece. Columns as 16-bit differences from the row made both
//! slower, transposing four rows of different lengths in registers gained half as much, and windows of more
//! than 128 rows scatter the result.

use super::run::{Kind, Run};
use crate::memory;
use crate::scalar::Scalar;

/// Rows that are sorted together: those of a run whose numbers divided by this are equal. At most 128, so that
/// distances fit 8 bits.
pub(super) const WINDOW: usize = 128;

/// Rows longer than this on average are left alone: they end too seldom for it to matter.
const LONG: usize = 48;

/// Distance in entries at which they are prefetched where rows are read by their numbers: a window or two. Flat between
/// 2000 and 5000 on Zen 4.
pub(crate) const ENTRIES_AHEAD: usize = 4096;

/// Rows up to this length are sorted by counting.
const COUNTED: usize = 255;

/// Places of rows in storage, as distances from their numbers.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// From the place of a row to its number.
    rows: Vec<i8>,
    /// From the number of a row to its place.
    places: Vec<i8>,
}

impl Order {
    /// Returns the place of a row.
    #[inline(always)]
    pub(super) fn place(&self, row: usize) -> usize {
        row.wrapping_add_signed(self.places[row].into())
    }

    /// Distances from the place of each row to its number.
    pub(super) fn rows(&self) -> &[i8] {
        &self.rows
    }
}

/// Sorts the rows of long general runs; `None` if each is at its place already.
pub(super) fn sort_rows<T: Scalar>(
    runs: [&[Run]; 2],
    starts: &mut [usize],
    columns: &mut [u32],
    values: &mut [T],
) -> Option<Order> {
    let mut order: Option<Order> = None;
    let mut sorter = Sorter::default();
    for run in runs.into_iter().flatten().filter(|run| run.kind == Kind::General) {
        let rows = run.range();
        if rows.len() < WINDOW || starts[rows.end] - starts[rows.start] > LONG * rows.len() {
            continue;
        }
        let mut first = rows.start;
        while first < rows.end {
            let end = rows.end.min((first / WINDOW + 1) * WINDOW);
            if sorter.sort(first, &starts[first..=end]) {
                let rows = starts.len() - 1;
                let order =
                    order.get_or_insert_with(|| Order { rows: memory::zeros(rows), places: memory::zeros(rows) });
                sorter.note(first, order);
                sorter.reorder(&starts[first..=end], columns);
                sorter.reorder(&starts[first..=end], values);
                sorter.restart(&mut starts[first..=end]);
            }
            first = end;
        }
    }
    order
}

/// The order of one window.
#[derive(Default)]
struct Sorter {
    /// Length and old place of each row, by new places.
    rows: Vec<(usize, usize)>,
}

impl Sorter {
    /// Sorts the rows whose starts and end are given; returns true if one moves.
    fn sort(&mut self, first: usize, starts: &[usize]) -> bool {
        let lengths = || starts.windows(2).map(|bounds| bounds[1] - bounds[0]);
        let longest_first = (first / WINDOW).is_multiple_of(2);
        self.rows.clear();
        if lengths().all(|len| len <= COUNTED) {
            self.sort_by_counting(lengths(), longest_first);
        } else {
            self.rows.extend(lengths().zip(0..));
            self.rows.sort_by_key(|&(len, _)| if longest_first { usize::MAX - len } else { len });
        }
        self.rows.iter().enumerate().any(|(new, &(_, old))| new != old)
    }

    /// Sorts by lengths of at most [`COUNTED`]; those that are equal stay in order.
    fn sort_by_counting(&mut self, lengths: impl ExactSizeIterator<Item = usize> + Clone, longest_first: bool) {
        let mut next = [0; COUNTED + 1];
        lengths.clone().for_each(|len| next[len] += 1);
        let mut before = 0;
        let mut start = |count: &mut usize| before += std::mem::replace(count, before);
        if longest_first {
            next.iter_mut().rev().for_each(&mut start);
        } else {
            next.iter_mut().for_each(&mut start);
        }
        self.rows.resize(lengths.len(), (0, 0));
        for (old, len) in lengths.enumerate() {
            self.rows[next[len]] = (len, old);
            next[len] += 1;
        }
    }

    fn note(&self, first: usize, order: &mut Order) {
        let narrow = |place: usize| i8::try_from(place).expect("invariant: places in a window are below 128");
        for (new, &(_, old)) in self.rows.iter().enumerate() {
            order.rows[first + new] = narrow(old) - narrow(new);
            order.places[first + old] = narrow(new) - narrow(old);
        }
    }

    /// Brings what the rows hold to their new places.
    fn reorder<U: Copy>(&self, starts: &[usize], entries: &mut [U]) {
        let entries = &mut entries[starts[0]..starts[self.rows.len()]];
        let old = entries.to_vec();
        let mut rest = entries;
        for &(len, place) in &self.rows {
            let (row, after) = rest.split_at_mut(len);
            let from = starts[place] - starts[0];
            row.copy_from_slice(&old[from..from + len]);
            rest = after;
        }
    }

    /// Sets the new starts.
    fn restart(&self, starts: &mut [usize]) {
        for (place, &(len, _)) in self.rows.iter().enumerate() {
            starts[place + 1] = starts[place] + len;
        }
    }
}

/// Number of the row at a place, given [`Order::rows`], or nothing where rows are at their places.
#[inline(always)]
pub(super) fn row_at(rows: &[i8], place: usize) -> usize {
    rows.get(place).map_or(place, |&distance| place.wrapping_add_signed(distance.into()))
}
