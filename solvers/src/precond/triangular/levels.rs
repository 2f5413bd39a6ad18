//! A strict triangle whose rows are solved level by level within windows.
//!
//! A chain of rows that differ is slow for two reasons: a row waits for those before, and the processor does not
//! know where it ends; each wrong guess takes as long as ten entries. So the rows of a window of [`WINDOW`] rows are
//! stored in levels: a row's level is one above the highest of the rows in the window that it needs (Saad,
//! "Iterative Methods for Sparse Linear Systems", 2nd ed., section 11.6.3). Rows of a level do not wait for each other, and
//! stand by length, so that most end where the one before did; a row of an odd number of entries begins with a
//! zero in its first column, which halves the number of lengths. Each row is summed in its own order, so the bits are
//! those of any other way.
//!
//! Windows are small, so that what a level reads of `x` stays in the first-level cache, and follow each other in the order
//! in which they are solved, so that entries are one stream. The hardware reads it ahead less well than
//! it could, since rows are short: entries are asked for [`AHEAD`] before their use, which takes a fifth off.
//!
//! One thread of a Zen 4, ms for the lower triangle of a 2-D mesh of 600 000 rows and of a 3-D one of 200 000, with loops
//! that do not check columns (checks add a tenth):
//!
//! ```text
//!                                                  2-D     3-D
//! row after row                                    4.2     2.4
//! the same, padded to groups of four               2.5     1.6
//! levels in windows of 512 rows                    1.9     1.5
//! the same, padded to pairs                        1.8     1.4
//! the same, with prefetch                          1.7     1.2
//! windows of 65536 rows, all else the same         2.0     1.6
//! to read the arrays and do nothing                1.3     0.9
//! ```
//!
//! Four or eight rows of a level side by side in SIMD lanes take as long as pairs.

use std::ops::Range;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, memory};

use super::Half;

/// Rows of a window. Flat between 256 and 1024.
const WINDOW: usize = 512;
/// Entries that are multiplied together.
const PAIR: usize = 2;
/// Distance in entries at which they are prefetched. Flat between 64 and 512.
const AHEAD: usize = 256;
/// Rows that a level has at least on average; with fewer the chain is as fast.
const WIDE: usize = 3;
/// Pairs of a row from which on lengths count as equal.
const LONG: usize = 255;

/// The rows of a strict triangle in the order in which they are solved.
#[derive(Clone, Debug)]
pub(in crate::precond) struct Levels<T> {
    half: Half,
    /// Rows by their places, from the first of the window.
    rows: Vec<u16>,
    /// First entry of rows by their numbers, from the first of the window and without a zero that makes them even, and
    /// their numbers of entries.
    spans: Vec<[u32; 2]>,
    /// First entry of each window in the order in which they are solved.
    windows: Vec<usize>,
    /// Ends of rows by their places, from the first entry of the window.
    ends: Vec<u32>,
    columns: Vec<Lid>,
    values: Vec<T>,
}

/// The columns of the rows of a strict triangle, in the order in which a row is summed.
pub(super) trait Pattern {
    fn half(&self) -> Half;
    fn rows(&self) -> usize;
    /// Returns the number of all entries.
    fn entries(&self) -> usize;
    fn columns(&self, row: usize) -> impl ExactSizeIterator<Item = Lid>;
}

impl<T: Scalar> Levels<T> {
    /// Orders the rows of a triangle, all of whose entries are zero; `None` if most wait for each other, or a window has too
    /// many entries to count.
    pub(super) fn new(pattern: &impl Pattern) -> Option<Levels<T>> {
        let (half, count) = (pattern.half(), pattern.rows());
        let (mut rows, mut spans) = (memory::with_capacity(count), memory::zeros(count));
        let (mut windows, mut ends) = (Vec::new(), memory::with_capacity(count));
        let mut columns = memory::with_capacity(pattern.entries() + count);
        let (mut sorter, mut levels) = (Sorter::default(), 0);
        for window in solved(half, count) {
            levels += sorter.sort(pattern, window.clone());
            let first = columns.len();
            windows.push(first);
            for &offset in &sorter.rows {
                let row = window.start + usize::from(offset);
                let len = push_even(&mut columns, pattern.columns(row));
                let [end, len] = [columns.len() - first, len].map(u32::try_from);
                let (end, len) = (end.ok()?, len.ok()?);
                spans[row] = [end - len, len];
                ends.push(end);
            }
            rows.extend_from_slice(&sorter.rows);
        }
        let values = memory::zeros(columns.len());
        (levels * WIDE <= count).then_some(Levels { half, rows, spans, windows, ends, columns, values })
    }

    pub(super) fn half(&self) -> Half {
        self.half
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn entries(&self) -> usize {
        self.spans.iter().map(|[_, len]| at(*len)).sum()
    }

    /// Returns the positions of a row's entries, without a zero that makes them even.
    #[inline(always)]
    fn positions(&self, row: usize) -> Range<usize> {
        let ([from, len], number) = (self.spans[row].map(at), row / WINDOW);
        let start =
            from + self.windows[if self.half == Half::Lower { number } else { self.windows.len() - 1 - number }];
        start..start + len
    }

    /// Returns the columns and values of a row.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> (&[Lid], &[T]) {
        let entries = self.positions(row);
        (&self.columns[entries.clone()], &self.values[entries])
    }

    /// Returns the columns and values of a row, for modification.
    #[inline(always)]
    pub(super) fn row_mut(&mut self, row: usize) -> (&[Lid], &mut [T]) {
        let entries = self.positions(row);
        (&self.columns[entries.clone()], &mut self.values[entries])
    }

    /// Computes `x = (triangle)^-1 b`, where `start` is given a row and `x` so far and returns the entry of `b`.
    #[inline(always)]
    pub(super) fn solve(&self, x: &mut [T], start: impl Fn(usize, &[T]) -> T) {
        let count = self.rows.len();
        for (window, &first) in solved(self.half, count).zip(&self.windows) {
            let places = places(self.half, count, &window);
            let mut from = first;
            for (&offset, &end) in self.rows[places.clone()].iter().zip(&self.ends[places]) {
                let (row, to) = (window.start + usize::from(offset), first + at(end));
                let (columns, values) = (&self.columns[from..to], &self.values[from..to]);
                memory::prefetch(columns.as_ptr().wrapping_add(AHEAD));
                memory::prefetch(values.as_ptr().wrapping_add(AHEAD));
                let pairs = columns.as_chunks::<PAIR>().0.iter().zip(values.as_chunks::<PAIR>().0);
                x[row] = pairs.fold(start(row, x), |rest, (columns, values)| {
                    columns.iter().zip(values).fold(rest, |rest, (&column, &value)| rest - value * x[at(column)])
                });
                from = to;
            }
        }
    }
}

/// Appends columns, the first of them twice if their number is odd; returns the number.
#[inline(always)]
fn push_even(to: &mut Vec<Lid>, mut columns: impl ExactSizeIterator<Item = Lid>) -> usize {
    let len = columns.len();
    if !len.is_multiple_of(PAIR)
        && let Some(first) = columns.next()
    {
        to.extend([first; PAIR]);
    }
    columns.for_each(|column| to.push(column));
    len
}

/// Returns the rows of all windows in the order in which they are solved.
fn solved(half: Half, rows: usize) -> impl Iterator<Item = Range<usize>> {
    let count = rows.div_ceil(WINDOW);
    (0..count).map(move |step| {
        let number = if half == Half::Lower { step } else { count - 1 - step };
        number * WINDOW..rows.min((number + 1) * WINDOW)
    })
}

/// Returns the places of the rows of a window: windows are stored in the order in which they are solved.
#[inline(always)]
fn places(half: Half, rows: usize, window: &Range<usize>) -> Range<usize> {
    match half {
        Half::Lower => window.clone(),
        Half::Upper => rows - window.end..rows - window.start,
    }
}

/// The order of the rows of one window.
#[derive(Default)]
struct Sorter {
    /// Rows in their order, from the first of the window.
    rows: Vec<u16>,
    other: Vec<u16>,
    /// Level of each row, counted from one, and zero for all rows outside.
    levels: Vec<usize>,
    /// Pairs of entries of each row.
    pairs: Vec<usize>,
    starts: Vec<usize>,
}

impl Sorter {
    /// Sorts the rows by level and those of a level by length, every other level longest first, so that the last length of
    /// one is the first of the next; returns the number of levels.
    fn sort(&mut self, pattern: &impl Pattern, window: Range<usize>) -> usize {
        let highest = self.measure(pattern, &window);
        let Sorter { rows, other, levels, pairs, starts } = self;
        let by_length = |row: u16| {
            let (level, pairs) = (levels[usize::from(row)], pairs[usize::from(row)].min(LONG));
            if level.is_multiple_of(2) { LONG - pairs } else { pairs }
        };
        sort_by(rows, other, starts, LONG + 1, by_length);
        sort_by(other, rows, starts, highest + 1, |row| levels[usize::from(row)]);
        highest
    }

    /// Finds levels and lengths, and puts the rows in the order in which a chain is solved; returns the highest level.
    fn measure(&mut self, pattern: &impl Pattern, window: &Range<usize>) -> usize {
        let len = window.len();
        let outside = |column: usize| column.wrapping_sub(window.start).min(len);
        self.levels.clear();
        self.levels.resize(len + 1, 0);
        self.pairs.resize(len, 0);
        self.rows.clear();
        self.rows.extend((0..u16::MAX).take(len));
        if pattern.half() == Half::Upper {
            self.rows.reverse();
        }
        let mut highest = 0;
        for &offset in &self.rows {
            let row = window.start + usize::from(offset);
            let columns = pattern.columns(row);
            self.pairs[usize::from(offset)] = columns.len().div_ceil(PAIR);
            let needed = columns.map(|column| self.levels[outside(at(column))]);
            let level = 1 + needed.fold(0, usize::max);
            self.levels[usize::from(offset)] = level;
            highest = highest.max(level);
        }
        highest
    }
}

/// Sorts rows by a key below `keys`; those of one key stay in order.
fn sort_by(from: &[u16], to: &mut Vec<u16>, starts: &mut Vec<usize>, keys: usize, key: impl Fn(u16) -> usize) {
    starts.clear();
    starts.resize(keys, 0);
    from.iter().for_each(|&row| starts[key(row)] += 1);
    let mut before = 0;
    starts.iter_mut().for_each(|count| before += std::mem::replace(count, before));
    to.resize(from.len(), 0);
    for &row in from {
        let place = &mut starts[key(row)];
        to[*place] = row;
        *place += 1;
    }
}
