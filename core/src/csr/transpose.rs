//! The transpose, by counting: no sort, since rows of lower ranks come before own ones.
//!
//! An entry of a ghost column is sent to the rank that owns the column. Row `j` of the transpose
//! then takes what lower ranks sent, own entries and what higher ranks sent, each by ascending
//! rows, which are its columns: ascending altogether. New values follow the same way once more.
//!
//! Most matrices have a pattern that is symmetric. Their values are put where the pattern of the matrix has the
//! entries of the transpose, and compared with it on the way; where all are there, on all ranks, the transpose shares
//! pattern and plan, and takes memory for its values only.

use std::rc::Rc;

use crate::csr::assembly::routing::{Place, Routing};
use crate::csr::assembly::sorted_rows::{Entries, Rows};
use crate::csr::ghost_columns::{ColumnCodes, Columns};
use crate::csr::kernels::LocalCsr;
use crate::csr::matrix::{CsrMatrix, Pattern, Shape};
use crate::error::{Error, Result};
use crate::index::{Lid, at, to_lid};
use crate::layout::Layout;
use crate::memory;
use crate::profile;
use crate::scalar::Scalar;
use crate::simd::prefetch;

/// Number of alike rows that are handled at once, so that they stay in cache.
const AT_ONCE: usize = 256;

/// Rows after which places are needed that are prefetched. Flat between 4 and 16 on Zen 4, and a fifth of the time.
const ROWS_AHEAD: usize = 8;

/// Plan that moves the values of a matrix into its transpose; made by [`CsrMatrix::plan_transpose`].
///
/// Memory: 12 bytes for each entry of a ghost column, given or received.
pub struct TransposePlan {
    target: Pattern,
    source: Pattern,
    routing: Routing,
    /// Number of sending ranks below this one.
    lower: usize,
    /// Rows of the transpose of what other ranks send, by ascending rank.
    received: Vec<Vec<Lid>>,
}

/// Data that a rank needs, besides its own rows, to make its rows of the transpose.
struct Foreign<T> {
    columns: Columns,
    routing: Routing,
    lower: usize,
    received: Vec<Entries<T>>,
}

impl<T: Scalar> CsrMatrix<T> {
    /// Computes the plain transpose (not conjugated; see [`CsrMatrix::adjoint`]) as a matrix of its own.
    ///
    /// # Collective
    /// Entries of ghost columns are sent to the owners of the columns.
    ///
    /// # Errors
    /// More than 2^32 - 1 columns of the transpose on one rank.
    pub fn transpose(&self) -> Result<CsrMatrix<T>> {
        self.transposed(|value| value)
    }

    /// Computes the transpose with `change` of each value.
    pub(super) fn transposed(&self, change: impl Fn(T) -> T) -> Result<CsrMatrix<T>> {
        let _event = profile::operation("MatTranspose");
        let foreign = self.foreign()?;
        if let Some(values) = self.symmetric_values(&foreign, &change) {
            return Ok(CsrMatrix::assembled(Rc::clone(&self.shape), self.local.with_values(values)));
        }
        let rows = foreign.rows(&self.local, change);
        CsrMatrix::from_numbered(&self.shape.domain, &self.shape.range, foreign.columns, rows)
    }

    /// Returns the values of the transpose, stored as this matrix's own, if the pattern is symmetric on all ranks.
    ///
    /// # Collective
    /// A reduction, if rows and columns are distributed alike.
    fn symmetric_values(&self, foreign: &Foreign<T>, change: impl Fn(T) -> T) -> Option<Vec<T>> {
        let Shape { range, domain, columns, .. } = &*self.shape;
        if range != domain {
            return None;
        }
        let ghosts_alike = foreign.columns.ghosts() == columns.ghosts();
        let values = ghosts_alike.then(|| foreign.values(&self.local, change)).flatten();
        let mut missing = [u64::from(values.is_none())];
        self.comm().all_reduce_max(&mut missing);
        values.filter(|_| missing[0] == 0)
    }

    /// Plans to refill this matrix with transposes of matrices that have the pattern of `source`.
    ///
    /// # Collective
    /// Entries of ghost columns are sent to the owners of the columns.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::PatternMismatch`] if this matrix has not the pattern
    /// of the transpose, on any rank.
    pub fn plan_transpose(&self, source: &CsrMatrix<T>) -> Result<TransposePlan> {
        self.shape.range.require_same(&source.shape.domain, "plan of a transpose")?;
        self.shape.domain.require_same(&source.shape.range, "plan of a transpose")?;
        let foreign = source.foreign()?;
        let rows = foreign.rows(&source.local, |value| value);
        let same = foreign.columns.ghosts() == self.shape.columns.ghosts() && self.local.has_pattern(&rows);
        let same = same.then_some(()).ok_or(Error::PatternMismatch { operation: "plan of a transpose" });
        self.comm().agree(same)?;
        let Foreign { routing, lower, received, .. } = foreign;
        let received = received.into_iter().map(|part| part.rows).collect();
        Ok(TransposePlan { target: Pattern::of(self), source: Pattern::of(source), routing, lower, received })
    }

    /// Replaces all values by those of the transpose of `source`.
    ///
    /// # Collective
    /// Values of ghost columns are sent to the owners of the columns.
    ///
    /// # Errors
    /// [`Error::PatternMismatch`] if the plan was made for other patterns, on any rank; the matrix
    /// is then unchanged.
    pub fn refill_transpose(&mut self, plan: &TransposePlan, source: &CsrMatrix<T>) -> Result<()> {
        let planned = plan.target.is_of(self) && plan.source.is_of(source);
        let planned = planned.then_some(()).ok_or(Error::PatternMismatch { operation: "refill of a transpose" });
        self.comm().agree(planned)?;
        let _event = profile::operation("MatTranspose");
        let values = source.ghost_entries().1;
        let received = plan.routing.send(self.comm(), &values, 1);
        let parts: Vec<(&[Lid], Vec<T>)> =
            plan.received.iter().map(Vec::as_slice).zip(received.into_iter().map(|(_, values)| values)).collect();
        let rows = self.local.rows();
        self.local_mut().update(|pattern, values| {
            let mut next: Vec<usize> = (0..rows).map(|row| pattern.entries(row).start).collect();
            let foreign = |parts: &[(&[Lid], Vec<T>)], next: &mut [usize], values: &mut [T]| {
                let entries = parts.iter().flat_map(|(rows, values)| rows.iter().zip(values));
                entries.for_each(|(&row, &value)| values[taken(next, row)] = value);
            };
            let (lower, higher) = parts.split_at(plan.lower);
            foreign(lower, &mut next, values);
            let first = values.as_ptr();
            each_own(
                &source.local,
                &mut next,
                |slot| prefetch(first.wrapping_add(slot), 1, 0),
                |slot, _, value| {
                    values[slot] = value;
                    true
                },
            );
            foreign(higher, &mut next, values);
        });
        Ok(())
    }

    /// Sends entries of ghost columns on their way and numbers what arrives.
    fn foreign(&self) -> Result<Foreign<T>> {
        let Shape { range, domain, .. } = &*self.shape;
        let comm = self.comm();
        let (places, values) = self.ghost_entries();
        let routing = Routing::new(domain.blocks(), &places, 0..places.len());
        let routing = routing.expect("invariant: columns of a matrix lie in its domain");
        let received = routing.send(comm, &places, 1).into_iter().zip(routing.send(comm, &values, 1));
        let owned = to_lid("rows", range.local_len()).expect("invariant: rows were counted");
        let mut codes = ColumnCodes::new(range.range().start, owned, range.global_len());
        let mut lower = 0;
        let numbered: Result<Vec<Entries<T>>> = received
            .map(|((rank, places), (_, values))| {
                lower += usize::from(rank < comm.rank());
                numbered(domain, &places, values, &mut codes)
            })
            .collect();
        let mut received = comm.agree(numbered)?;
        let (columns, renumbered) = codes.finish();
        for number in received.iter_mut().flat_map(|part| &mut part.columns) {
            *number = renumbered[at(*number - owned)];
        }
        Ok(Foreign { columns, routing, lower, received })
    }

    /// Places of the entries of ghost columns in the transpose, and their values, by own rows.
    fn ghost_entries(&self) -> (Vec<Place>, Vec<T>) {
        let Shape { range, columns, .. } = &*self.shape;
        let (mut places, mut ghost_values) = (Vec::new(), Vec::new());
        for row in self.local.boundary_rows() {
            let (numbers, values) = self.local.row(row);
            for (&number, &value) in numbers.iter().zip(values).filter(|(number, _)| at(**number) >= columns.owned()) {
                places.push([columns.to_global(number), range.range().start + row as u64]);
                ghost_values.push(value);
            }
        }
        (places, ghost_values)
    }
}

/// Entries of another rank: local rows of the transpose, codes of its columns, values.
fn numbered<T>(rows: &Layout, places: &[Place], values: Vec<T>, codes: &mut ColumnCodes) -> Result<Entries<T>> {
    let row = |row| to_lid("rows", rows.global_to_owned(row).expect("invariant: sent to its owner"));
    let columns = places.iter().map(|&[_, column]| codes.code(column)).collect::<Result<_>>()?;
    Ok(Entries { rows: places.iter().map(|place| row(place[0])).collect::<Result<_>>()?, columns, values })
}

/// Returns the next place in a row.
#[inline(always)]
fn taken(next: &mut [usize], row: Lid) -> usize {
    let slot = next[at(row)];
    next[at(row)] = slot + 1;
    slot
}

/// Calls `put(place, row, value)` for the entries of owned columns, those of each column by ascending rows, where the
/// first place of each column is given, and `soon(place)` some time before. Stops soon after a call of `put` returned
/// false, and returns true if none did.
///
/// Rows that are alike are taken column by column, the last one first: then neighboring calls are
/// for neighboring columns, and none waits for what the one before has done to its column.
#[inline(always)]
fn each_own<T: Scalar>(
    local: &LocalCsr<T>,
    next: &mut [usize],
    soon: impl Fn(usize),
    mut put: impl FnMut(usize, Lid, T) -> bool,
) -> bool {
    let narrow = |row: usize| to_lid("rows", row).expect("invariant: rows were counted");
    let mut go_on = true;
    for (rows, alike) in local.runs() {
        if alike {
            for first in rows.clone().step_by(AT_ONCE) {
                let numbers = local.row(first).0;
                let (row, count) = (narrow(first), AT_ONCE.min(rows.end - first));
                let values = &local.values()[local.entries(first).start..][..count * numbers.len()];
                for (place, &number) in numbers.iter().enumerate().rev() {
                    let values = values[place..].iter().step_by(numbers.len());
                    (0..narrow(count)).zip(values).for_each(|(step, &value)| {
                        go_on &= put(taken(next, number + step), row + step, value);
                    });
                }
            }
        } else {
            for row in rows.clone() {
                local.prefetch_after(row);
                if row + ROWS_AHEAD < rows.end {
                    let numbers = local.row(row + ROWS_AHEAD).0;
                    numbers.iter().filter_map(|&number| next.get(at(number))).for_each(|&place| soon(place));
                }
                let (numbers, values) = local.row(row);
                let own = numbers.iter().zip(values).filter(|(number, _)| at(**number) < local.owned());
                own.for_each(|(&number, &value)| go_on &= put(taken(next, number), narrow(row), value));
                if !go_on {
                    return false;
                }
            }
        }
    }
    go_on
}

/// As [`each_own`], for entries of other ranks.
fn each_received<T: Scalar>(
    parts: &[Entries<T>],
    next: &mut [usize],
    mut put: impl FnMut(usize, Lid, T) -> bool,
) -> bool {
    let mut entries = parts.iter().flat_map(|part| part.rows.iter().zip(&part.columns).zip(&part.values));
    entries.all(|((&row, &column), &value)| put(taken(next, row), column, value))
}

/// Returns a function that prefetches a place in both arrays.
fn prefetched<T>(columns: &[Lid], values: &[T]) -> impl Fn(usize) + use<T> {
    let (columns, values) = (columns.as_ptr(), values.as_ptr());
    move |place| {
        prefetch(columns.wrapping_add(place), 1, 0);
        prefetch(values.wrapping_add(place), 1, 0);
    }
}

impl<T: Scalar> Foreign<T> {
    /// Returns the values of the transpose as the matrix stores its own, if both have the same pattern here. Ghosts
    /// are the same.
    fn values(&self, own: &LocalCsr<T>, change: impl Fn(T) -> T) -> Option<Vec<T>> {
        let mut next: Vec<usize> = memory::with_capacity(own.rows());
        next.extend((0..own.rows()).map(|row| own.entries(row).start));
        let columns = own.stored_columns();
        let mut values = memory::zeros::<T>(columns.len());
        let soon = prefetched(columns, &values);
        // A row with too many entries ends in the next one. Its end tells.
        let mut put = |slot: usize, column: Lid, value| match (columns.get(slot), values.get_mut(slot)) {
            (Some(found), Some(place)) => {
                *place = change(value);
                *found == column
            }
            _ => false,
        };
        let (lower, higher) = self.received.split_at(self.lower);
        let same = each_received(lower, &mut next, &mut put)
            && each_own(own, &mut next, soon, &mut put)
            && each_received(higher, &mut next, &mut put);
        let whole = same && next.iter().enumerate().all(|(row, &next)| next == own.entries(row).end);
        whole.then_some(values)
    }

    /// Returns the rows of the transpose: a counting sort of all entries.
    fn rows(&self, own: &LocalCsr<T>, change: impl Fn(T) -> T) -> Rows<T> {
        let mut starts = memory::zeros::<usize>(own.owned() + 1);
        let received = self.received.iter().flat_map(|part| &part.rows);
        received.for_each(|&row| starts[at(row) + 1] += 1);
        let counts = &mut starts[1..];
        own.stored_columns().iter().for_each(|&column| {
            // Ghosts come after the owned columns, and are others' rows.
            if let Some(count) = counts.get_mut(at(column)) {
                *count += 1;
            }
        });
        for row in 1..starts.len() {
            starts[row] += starts[row - 1];
        }
        let mut next = starts.clone();
        let entries = starts[own.owned()];
        let (mut columns, mut values) = (memory::zeros::<Lid>(entries), memory::zeros::<T>(entries));
        let soon = prefetched(&columns, &values);
        let mut put = |slot: usize, column, value| {
            columns[slot] = column;
            values[slot] = change(value);
            true
        };
        let (lower, higher) = self.received.split_at(self.lower);
        each_received(lower, &mut next, &mut put);
        each_own(own, &mut next, soon, &mut put);
        each_received(higher, &mut next, &mut put);
        Rows { starts, columns, values }
    }
}
