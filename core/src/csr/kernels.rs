//! The sparse matrix of one rank and its product.
//!
//! Storage is plain CSR. A row's sum runs over its entries in
//! stored order, `((0 + a0 x0) + a1 x1) + ...`, every product and every sum
//! rounded, never fused: the bits depend on neither the CPU nor the kernel, and
//! if rows are stored by ascending global column, not on the number of ranks.
//!
//! Short rows of plain CSR reach half of what memory gives, for four reasons,
//! each answered without a second copy of the matrix:
//!
//! - the next cache lines of many short runs are asked for too late: their kernels prefetch
//!   values a fixed distance ahead;
//! - a row's sum is a chain: where each row has the columns of the row above,
//!   moved by one (a *run*: the lines of any grid, bands, stencils of any
//!   shape), the kernel puts one row in each SIMD lane, transposes values in
//!   registers, loads `x` contiguously and reads columns once a run: 8 bytes an
//!   entry instead of 12;
//! - nobody knows where a row ends: rows that are not in a run are stored by length within windows
//!   ([`order`]), so that most end where the row before did;
//! - the same values again: where all rows of a run also hold equal values
//!   (constant coefficients, unit weights), values too are read once a run.
//!
//! The list of runs is found when the matrix is made; it takes 12 bytes a run.
//! A new set of values only rechecks which runs are uniform.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;
mod boundary;
mod clip;
mod interior;
mod order;
mod run;
mod scalar;

pub(crate) use order::ENTRIES_AHEAD;

use std::ops::Range;
use std::sync::Arc;

use crate::csr::assembly::sorted_rows::Rows;
use crate::csr::parts::serial::SerialCsr;
use crate::index::{Lid, at, to_lid};
use crate::scalar::Scalar;
use crate::simd::prefetch;
use crate::threads;
use order::{Order, WINDOW, sort_rows};
use run::{Kind, Run, find_runs, min_run};
use scalar::Table;

/// Update of the result vector by a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    /// `y = A x`
    Overwrite,
    /// `y = y + A x`; each row is summed from zero before it is added.
    Add,
}

/// Rows of one rank in CSR; columns are local: owned ones first, then ghosts.
///
/// Invariants, established by [`LocalCsr::new`] and relied on by unchecked
/// kernels: `starts` has one more element than rows, does not decrease and ends
/// at `columns.len() == values.len()`; every column is below `owned + ghosts`,
/// and below `owned` in rows of `interior`; `interior` and `boundary` together
/// hold every row once; the kinds of runs are true; `order` moves rows within windows of general runs only.
///
/// The arrays are shared with whoever takes the matrix as it is ([`LocalCsr::shared`]), and values are
/// copied when they change while somebody else still has them.
#[derive(Clone, Debug)]
pub(super) struct LocalCsr<T> {
    owned: usize,
    ghosts: usize,
    pattern: Stored,
    values: Arc<Vec<T>>,
    interior: Vec<Run>,
    boundary: Vec<Run>,
}

/// Row starts, columns and values.
pub(super) type Arrays<'m, T> = (&'m Arc<Vec<usize>>, &'m Arc<Vec<Lid>>, &'m Arc<Vec<T>>);

/// Columns of a rank's rows.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// By places, which are the numbers of the rows where there is no order.
    starts: Arc<Vec<usize>>,
    columns: Arc<Vec<u32>>,
    order: Option<Arc<Order>>,
}

impl Stored {
    /// Returns the positions of a row's entries.
    #[inline(always)]
    pub(super) fn entries(&self, row: usize) -> Range<usize> {
        let place = self.order.as_ref().map_or(row, |order| order.place(row));
        self.starts[place]..self.starts[place + 1]
    }

    /// Returns the columns of a row.
    #[inline(always)]
    pub(super) fn columns(&self, row: usize) -> &[Lid] {
        &self.columns[self.entries(row)]
    }
}

impl<T: Scalar> LocalCsr<T> {
    /// Takes row starts, columns and values, checks them and finds the runs.
    ///
    /// Columns below `owned` refer to the owned part of `x`, the next `ghosts`
    /// to its ghost part. Rows keep the order of entries they are given in.
    ///
    /// # Panics
    /// If the arrays are not a CSR matrix of this shape, which is a bug of the assembly.
    pub(super) fn new(
        owned: usize,
        ghosts: usize,
        mut starts: Vec<usize>,
        mut columns: Vec<Lid>,
        mut values: Vec<T>,
    ) -> Self {
        assert_eq!(columns.len(), values.len(), "invariant: a column for each value");
        let ends = (starts.first(), starts.last());
        assert_eq!(ends, (Some(&0), Some(&columns.len())), "invariant: row starts cover the entries");
        assert!(starts.is_sorted(), "invariant: row starts do not decrease");
        let fits = |count| to_lid("local matrix", count).is_ok();
        assert!(fits(starts.len() - 1) && fits(owned + ghosts), "invariant: rows and columns are counted in u32");
        let largest = columns.iter().fold(0, |largest, &column| column.max(largest));
        let inside = columns.is_empty() || at(largest) < owned + ghosts;
        assert!(inside, "invariant: columns lie in the matrix");
        let (interior, boundary) = find_runs(&starts, &columns, owned, min_run::<T>());
        let order = sort_rows([&interior, &boundary], &mut starts, &mut columns, &mut values).map(Arc::new);
        let pattern = Stored { starts: Arc::new(starts), columns: Arc::new(columns), order };
        let mut matrix = Self { owned, ghosts, pattern, values: Arc::new(values), interior, boundary };
        matrix.find_uniform();
        matrix
    }

    /// Returns a matrix with the same pattern, which both share, and other values.
    pub(super) fn with_values(&self, values: Vec<T>) -> Self {
        assert_eq!(values.len(), self.values.len(), "invariant: a value for each column");
        let mut matrix = Self { values: Arc::new(values), ..self.clone() };
        matrix.find_uniform();
        matrix
    }

    /// Returns the number of rows.
    pub(super) fn rows(&self) -> usize {
        self.pattern.starts.len() - 1
    }

    /// Returns the number of columns, owned and ghost.
    pub(super) fn columns(&self) -> usize {
        self.owned + self.ghosts
    }

    /// Columns and values of a row, in stored order.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> (&[u32], &[T]) {
        let entries = self.pattern.entries(row);
        (&self.pattern.columns[entries.clone()], &self.values[entries])
    }

    /// Returns the rows' starts, columns and values if they are stored one row after the other.
    pub(super) fn in_order(&self) -> Option<Arrays<'_, T>> {
        let Stored { starts, columns, order } = &self.pattern;
        order.is_none().then_some((starts, columns, &self.values))
    }

    /// Returns the matrix itself, without a copy, if no column is a ghost and no row is moved.
    pub(super) fn shared(&self) -> Option<SerialCsr<T>> {
        let (starts, columns, values) = self.in_order()?;
        let shared = || SerialCsr::from_arrays(self.owned, starts.clone(), columns.clone(), values.clone());
        (self.ghosts == 0).then(shared)
    }

    /// Returns all values; those of a row are at [`Stored::entries`].
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    /// Returns the bytes that a product reads: columns of a run of shifted rows once, and values of a uniform one too.
    pub(super) fn bytes_read(&self) -> usize {
        let starts = &self.pattern.starts;
        let of_run = |run: &Run| {
            let Range { start: first, end } = run.range();
            let (all, first_row) = (starts[end] - starts[first], starts[first + 1] - starts[first]);
            match run.kind {
                Kind::General => all * (size_of::<T>() + size_of::<Lid>()) + run.range().len() * size_of::<usize>(),
                Kind::Shifted => all * size_of::<T>() + first_row * size_of::<Lid>(),
                Kind::Uniform => first_row * (size_of::<T>() + size_of::<Lid>()),
            }
        };
        let order = self.pattern.order.as_ref().map_or(0, |order| order.rows().len());
        self.interior.iter().chain(&self.boundary).map(of_run).sum::<usize>() + order
    }

    /// Returns true if each row has exactly one entry.
    pub(super) fn has_single_entries(&self) -> bool {
        self.pattern.starts.windows(2).all(|bounds| bounds[1] - bounds[0] == 1)
    }

    /// Returns two hashes of row starts and columns, which other patterns have by an accident of 1 in 2^128
    /// only. Each step is one-to-one (Knuth, TAOCP 3, 6.4), so that one difference always shows.
    pub(super) fn pattern_print(&self) -> [u64; 2] {
        const FACTORS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93];
        let Stored { starts, columns, .. } = &self.pattern;
        let mut print = [starts.len() as u64, columns.len() as u64];
        let words = starts.iter().map(|&start| start as u64).chain(columns.iter().map(|&c| u64::from(c)));
        for word in words {
            for (hash, factor) in print.iter_mut().zip(FACTORS) {
                *hash = (*hash ^ word).wrapping_mul(factor).rotate_left(29);
            }
        }
        print
    }

    /// Returns the positions of a row's entries among all.
    pub(super) fn entries(&self, row: usize) -> Range<usize> {
        self.pattern.entries(row)
    }

    /// Returns the number of owned columns.
    pub(super) fn owned(&self) -> usize {
        self.owned
    }

    /// Rows with a ghost column, ascending.
    pub(super) fn boundary_rows(&self) -> impl Iterator<Item = usize> {
        self.boundary.iter().flat_map(Run::range)
    }

    /// Returns the columns of all entries, as they are stored.
    pub(super) fn stored_columns(&self) -> &[Lid] {
        &self.pattern.columns
    }

    /// Returns this rank's rows, ascending, in ranges; the second item is true for rows that are alike, as
    /// [`LocalCsr::alike`] says.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Range<usize>, bool)> {
        let (mut interior, mut boundary) = (&self.interior[..], &self.boundary[..]);
        std::iter::from_fn(move || {
            let of_boundary = match (interior.first(), boundary.first()) {
                (Some(one), Some(other)) => other.first < one.first,
                (one, _) => one.is_none(),
            };
            let run = if of_boundary { &mut boundary } else { &mut interior }.split_off_first()?;
            Some((run.range(), run.kind != Kind::General))
        })
    }

    /// Asks for entries that are stored a fixed distance behind the place of a row. Rows that are read by their numbers
    /// jump within a window of storage, so that the processor does not foresee what is next.
    #[inline(always)]
    pub(super) fn prefetch_after(&self, row: usize) {
        let Stored { starts, columns, .. } = &self.pattern;
        let (from, count) = (starts[row] + ENTRIES_AHEAD, (starts[row + 1] - starts[row]).min(ENTRIES_AHEAD));
        prefetch(columns.as_ptr().wrapping_add(from), count, 0);
        prefetch(self.values.as_ptr().wrapping_add(from), count, 0);
    }

    /// Counts the rows from `row` on that are alike, that is, have the columns of the row above plus one
    /// and no ghost column; the second item is true if they have its values too. Few alike rows count as one.
    pub(super) fn alike(&self, row: usize) -> (usize, bool) {
        let after = self.interior.partition_point(|run| at(run.first) <= row);
        match after.checked_sub(1).map(|last| self.interior[last]) {
            Some(run) if run.kind != Kind::General && run.range().contains(&row) => {
                (run.range().end - row, run.kind == Kind::Uniform)
            }
            _ => (1, false),
        }
    }

    /// Returns true if `rows` has the same columns as these rows.
    pub(super) fn has_pattern(&self, rows: &Rows<T>) -> bool {
        match self.in_order() {
            Some((starts, columns, _)) => **starts == rows.starts && **columns == rows.columns,
            None => {
                rows.starts.len() == self.rows() + 1
                    && (0..self.rows()).all(|row| self.pattern.columns(row) == rows.row(row).0)
            }
        }
    }

    /// Lets `change` write new values over the same pattern, given all values.
    pub(super) fn update_values(&mut self, change: impl FnOnce(&mut [T])) {
        self.update(|_, values| change(values));
    }

    /// Lets `change` write new values row by row, given the row, its columns and its values.
    pub(super) fn update_rows(&mut self, mut change: impl FnMut(usize, &[Lid], &mut [T])) {
        let rows = self.rows();
        self.update(|pattern, values| {
            for row in 0..rows {
                change(row, pattern.columns(row), &mut values[pattern.entries(row)]);
            }
        });
    }

    /// Lets `change` write new values over the same pattern, given that and all values.
    pub(super) fn update(&mut self, change: impl FnOnce(&Stored, &mut [T])) {
        // Should `change` panic, no run claims what is no longer true.
        for run in self.interior.iter_mut().filter(|run| run.kind == Kind::Uniform) {
            run.kind = Kind::Shifted;
        }
        change(&self.pattern, Arc::make_mut(&mut self.values).as_mut_slice());
        self.find_uniform();
    }

    /// Returns the arrays as the kernels take them.
    fn table(&self) -> Table<'_, T> {
        let Stored { starts, columns, order } = &self.pattern;
        let rows = order.as_ref().map_or(&[][..], |order| order.rows());
        Table { starts, columns, values: &self.values, rows }
    }

    /// Runs `multiply` on ranges of rows with about as many entries each, each on a thread, with the
    /// rows' pieces of `y`.
    fn for_rows<const K: usize>(&self, y: [&mut [T]; K], multiply: impl Fn(Range<usize>, [&mut [T]; K]) + Sync) {
        let (rows, entries) = (self.rows(), self.values.len());
        let parts = threads::parts(entries * K);
        let cut = |part: usize| match threads::equal_part(part, parts, entries, 1).start {
            _ if part == parts => rows,
            // Windows stay whole, since their rows are moved.
            entry => self.pattern.starts[..rows].partition_point(|&start| start < entry) / WINDOW * WINDOW,
        };
        threads::for_parts(parts, y, &cut, &|part, y| multiply(cut(part)..cut(part + 1), y));
    }

    fn check_lengths<const K: usize>(&self, x: &[&[T]; K], y: &[&mut [T]; K]) {
        assert!(x.iter().all(|x| x.len() == self.owned), "invariant: x lies on the matrix's domain");
        assert!(y.iter().all(|y| y.len() == self.rows()), "invariant: y lies on the matrix's range");
    }

    /// Sets which runs are uniform; stops reading a run at its first differing value.
    fn find_uniform(&mut self) {
        let starts = &self.pattern.starts;
        for run in self.interior.iter_mut().filter(|run| run.kind != Kind::General) {
            let Range { start: first, end } = run.range();
            let values: &[u8] = bytemuck::cast_slice(&self.values[starts[first]..starts[end]]);
            let width = values.len() / (end - first);
            let uniform = values[width..] == values[..values.len() - width];
            run.kind = if uniform { Kind::Uniform } else { Kind::Shifted };
        }
    }
}

#[cfg(test)]
mod tests;
