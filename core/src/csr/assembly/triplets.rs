//! Destinations of triplets: rows of this rank, or rows of other ranks, to which they are sent once.
//!
//! The caller decides if a triplet holds a value or a block of values beside its place: an assembly
//! keeps the values for other ranks in an array, in the order of the triplets.

use bytemuck::Pod;

use crate::csr::assembly::routing::{Place, Routing};
use crate::csr::assembly::sorted_rows::{Duplicates, Entries};
use crate::csr::ghost_columns::ColumnCodes;
use crate::error::{Error, Result};
use crate::index::{Gid, Lid, to_lid};
use crate::layout::Layout;
use crate::memory;

/// Column codes of a rank, for a matrix with these layouts.
///
/// # Errors
/// Layouts on different communicators, or stacked ones; more rows or columns than a rank can count.
pub(crate) fn codes(range: &Layout, domain: &Layout) -> Result<ColumnCodes> {
    range.require_contiguous("rows of a matrix")?;
    domain.require_contiguous("columns of a matrix")?;
    if range.comm() != domain.comm() {
        return Err(Error::LayoutMismatch {
            operation: "rows and columns of a matrix",
            left: range.global_len(),
            right: domain.global_len(),
        });
    }
    to_lid("rows of the matrix on one rank", range.local_len())?;
    let owned = to_lid("columns of the matrix on one rank", domain.local_len())?;
    Ok(ColumnCodes::new(domain.range().start, owned, domain.global_len()))
}

/// Adds the row to an error about a column.
#[cold]
pub(crate) fn in_row(row: Gid, error: Error) -> Error {
    match error {
        Error::IndexOutOfRange { index: column, bound: columns, .. } => Error::NoSuchColumn { row, column, columns },
        other => other,
    }
}

/// Whose row a triplet belongs to.
pub(crate) enum Side {
    /// This rank's: the local row and the code of the column.
    Own(Lid, Lid),
    /// Another rank's; its place is kept.
    Foreign,
    /// Nobody's; the first such triplet is reported by [`Places::exchange`].
    Refused,
}

/// The places of triplets that are collected on this rank.
pub(crate) struct Places {
    pub(crate) range: Layout,
    pub(crate) domain: Layout,
    pub(crate) codes: ColumnCodes,
    first_row: Gid,
    rows: Lid,
    foreign: Vec<Place>,
    valid: Result<()>,
}

impl Places {
    pub(crate) fn new(range: &Layout, domain: &Layout) -> Places {
        let (codes, valid) = match codes(range, domain) {
            Ok(codes) => (codes, Ok(())),
            Err(error) => (ColumnCodes::new(0, 0, 0), Err(error)),
        };
        Places {
            range: range.clone(),
            domain: domain.clone(),
            codes,
            first_row: range.runs()[0].rows.start,
            rows: to_lid("rows", range.local_len()).unwrap_or(0),
            foreign: Vec::new(),
            valid,
        }
    }

    /// Whose a triplet is.
    #[inline]
    pub(crate) fn sort(&mut self, row: Gid, column: Gid) -> Side {
        match Lid::try_from(row.wrapping_sub(self.first_row)) {
            Ok(offset) if offset < self.rows => match self.codes.code(column) {
                Ok(code) => Side::Own(offset, code),
                Err(error) => self.refuse(in_row(row, error)),
            },
            _ => self.sort_foreign(row, column),
        }
    }

    fn sort_foreign(&mut self, row: Gid, column: Gid) -> Side {
        let bound = self.domain.global_len();
        if column >= bound {
            return self.refuse(Error::NoSuchColumn { row, column, columns: bound });
        }
        memory::push(&mut self.foreign, [row, column]);
        Side::Foreign
    }

    #[cold]
    pub(crate) fn refuse(&mut self, error: Error) -> Side {
        if self.valid.is_ok() {
            self.valid = Err(error);
        }
        Side::Refused
    }

    /// Sends foreign triplets, which hold `width` of `values` each, to their owners. What comes to
    /// this rank, by ascending rank, has its values one after the other.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An entry that was refused on any rank; a row past the end; more columns than a rank can count.
    pub(crate) fn exchange<E: Pod>(&mut self, values: &[E], width: usize) -> Result<Vec<(usize, Entries<E>)>> {
        let comm = self.range.comm().clone();
        let valid = std::mem::replace(&mut self.valid, Ok(()));
        let positions = 0..self.foreign.len();
        let routing = valid.and_then(|()| Routing::new(self.range.blocks(), &self.foreign, positions));
        let routing = comm.agree(routing)?;
        let places = routing.send(&comm, &self.foreign, 1);
        let values = routing.send(&comm, values, width);
        let received = places.into_iter().zip(values);
        let coded = received.map(|((rank, places), (_, values))| Ok((rank, self.coded(places, values)?))).collect();
        comm.agree::<_, Error>(coded)
    }

    fn coded<E: Pod>(&mut self, places: Vec<Place>, values: Vec<E>) -> Result<Entries<E>> {
        let mut rows = memory::with_capacity(places.len());
        let mut columns = memory::with_capacity(places.len());
        for [row, column] in places {
            let row = self.range.global_to_owned(row).expect("invariant: sent to its owner");
            rows.push(to_lid("rows", row)?);
            columns.push(self.codes.code(column)?);
        }
        Ok(Entries { rows, columns, values })
    }
}

/// Own and received entries in the order in which they are combined.
pub(crate) fn in_order<E: Pod + Send + Sync>(
    rank: usize,
    duplicates: Duplicates,
    own: Entries<E>,
    received: Vec<(usize, Entries<E>)>,
) -> Entries<E> {
    match duplicates {
        // The order of summands does not matter, so the many own ones stay where they are.
        Duplicates::Add => received.into_iter().fold(own, |all, (_, part)| joined(all, part)),
        Duplicates::Insert => {
            let at = received.partition_point(|&(from, _)| from < rank);
            let mut parts: Vec<_> = received.into_iter().map(|(_, part)| part).collect();
            parts.insert(at, own);
            parts.into_iter().reduce(joined).expect("invariant: the rank's own part is there")
        }
    }
}

fn joined<E: Pod + Send + Sync>(mut all: Entries<E>, part: Entries<E>) -> Entries<E> {
    all.append(part);
    all
}
