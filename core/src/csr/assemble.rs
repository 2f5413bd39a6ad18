//! Assembly: triplets from any rank, a closure for each row, or rows that are there already.
//!
//! All three write 32-bit column numbers into the arrays that become the matrix, so that the fast
//! path, entries of own rows in order, costs one pass over its input. Only triplets for rows of
//! other ranks are kept apart and sent, once, when the matrix is built.

use crate::comm::Comm;
use crate::csr::columns::ColumnCodes;
use crate::csr::matrix::CsrMatrix;
use crate::csr::rows::{Duplicates, Entries, Rows};
use crate::csr::transfer::{Place, Routing};
use crate::error::{Error, Result};
use crate::index::{Gid, Lid, to_lid};
use crate::layout::Layout;
use crate::memory;
use crate::profile;
use crate::scalar::Scalar;

/// From the first of so many parts of the rows it is guessed how much room the rest will take: to
/// grow again and again moves what is there, out of its huge pages.
const SAMPLE: usize = 16;

/// Column codes of a rank, for a matrix with these layouts.
///
/// # Errors
/// Layouts on different communicators; more rows or columns than a rank can count.
fn codes(range: &Layout, domain: &Layout) -> Result<ColumnCodes> {
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

/// Collects triplets on all ranks and builds a [`CsrMatrix`] of them.
///
/// Any rank may give entries of any row. Nothing is preallocated, and nothing is sent before
/// [`CsrBuilder::build`]. Memory until then: 8 bytes and a value for each triplet of an own row,
/// 16 bytes and a value for each of another rank's.
pub struct CsrBuilder<T> {
    range: Layout,
    domain: Layout,
    duplicates: Duplicates,
    codes: ColumnCodes,
    first_row: Gid,
    rows: Lid,
    own: Entries<T>,
    foreign: Vec<Place>,
    foreign_values: Vec<T>,
    valid: Result<()>,
}

impl<T: Scalar> CsrBuilder<T> {
    /// An empty matrix from vectors on `domain` to vectors on `range`.
    ///
    /// Not collective; what is wrong with the layouts is reported by [`CsrBuilder::build`].
    pub fn new(range: &Layout, domain: &Layout, duplicates: Duplicates) -> CsrBuilder<T> {
        let (codes, valid) = match codes(range, domain) {
            Ok(codes) => (codes, Ok(())),
            Err(error) => (ColumnCodes::new(0, 0, 0), Err(error)),
        };
        CsrBuilder {
            range: range.clone(),
            domain: domain.clone(),
            duplicates,
            codes,
            first_row: range.range().start,
            rows: to_lid("rows", range.local_len()).unwrap_or(0),
            own: Entries { rows: Vec::new(), columns: Vec::new(), values: Vec::new() },
            foreign: Vec::new(),
            foreign_values: Vec::new(),
            valid,
        }
    }

    /// Makes room for so many more triplets of own rows.
    pub fn reserve(&mut self, additional: usize) {
        self.own.reserve(additional);
    }

    /// Adds one triplet, by global row and column. An index past the end is reported by
    /// [`CsrBuilder::build`].
    #[inline]
    pub fn push(&mut self, row: Gid, column: Gid, value: T) {
        match Lid::try_from(row.wrapping_sub(self.first_row)) {
            Ok(offset) if offset < self.rows => match self.codes.code(column) {
                Ok(code) => self.own.push(offset, code, value),
                Err(error) => self.refuse(error),
            },
            _ => self.push_foreign(row, column, value),
        }
    }

    fn push_foreign(&mut self, row: Gid, column: Gid, value: T) {
        let bound = self.domain.global_len();
        if column >= bound {
            self.refuse(Error::IndexOutOfRange { what: "matrix column", index: column, bound });
        } else {
            self.foreign.push([row, column]);
            self.foreign_values.push(value);
        }
    }

    #[cold]
    fn refuse(&mut self, error: Error) {
        if self.valid.is_ok() {
            self.valid = Err(error);
        }
    }

    /// Sends the triplets to the owners of their rows and builds the matrix.
    ///
    /// # Collective
    /// Two sparse exchanges of the triplets for other ranks' rows, and the plan of the product.
    ///
    /// # Errors
    /// A row or column past the end of its layout, given on any rank; layouts on different
    /// communicators; more than 2^32 - 1 rows or columns on one rank.
    pub fn build(mut self) -> Result<CsrMatrix<T>> {
        let _event = profile::event("MatAssembly");
        let comm = self.range.comm().clone();
        let valid = std::mem::replace(&mut self.valid, Ok(()));
        let positions = 0..self.foreign.len();
        let routing = valid.and_then(|()| Routing::new(self.range.blocks(), &self.foreign, positions));
        let routing = comm.agree(routing)?;
        let received = self.receive(&comm, &routing);
        let received = comm.agree(received)?;
        let rank = comm.rank();
        self.own = match self.duplicates {
            // The order of summands does not matter, so the many own ones stay where they are.
            Duplicates::Add => received.into_iter().fold(self.own, |all, (_, part)| joined(all, part)),
            Duplicates::Insert => {
                let at = received.partition_point(|&(from, _)| from < rank);
                let mut parts: Vec<_> = received.into_iter().map(|(_, part)| part).collect();
                parts.insert(at, self.own);
                parts.into_iter().reduce(joined).expect("invariant: the rank's own part is there")
            }
        };
        let rows = self.own.into_rows(self.range.local_len());
        CsrMatrix::from_coded(&self.range, &self.domain, self.codes, rows, self.duplicates)
    }

    /// Triplets of this rank's rows from other ranks, by ascending rank.
    fn receive(&mut self, comm: &Comm, routing: &Routing) -> Result<Vec<(usize, Entries<T>)>> {
        let places = routing.send(comm, &self.foreign);
        let values = routing.send(comm, &self.foreign_values);
        let mut received = Vec::with_capacity(places.len());
        for ((rank, places), (_, values)) in places.into_iter().zip(values) {
            let mut rows = Vec::with_capacity(places.len());
            let mut columns = Vec::with_capacity(places.len());
            for [row, column] in places {
                rows.push(to_lid("rows", self.range.global_to_owned(row).expect("invariant: sent to its owner"))?);
                columns.push(self.codes.code(column)?);
            }
            received.push((rank, Entries { rows, columns, values }));
        }
        Ok(received)
    }
}

fn joined<T: Scalar>(mut all: Entries<T>, part: Entries<T>) -> Entries<T> {
    all.append(part);
    all
}

/// Takes the entries of one row; see [`CsrMatrix::from_rows`].
pub struct RowBuilder<'a, T> {
    codes: &'a mut ColumnCodes,
    columns: &'a mut Vec<Lid>,
    values: &'a mut Vec<T>,
    valid: &'a mut Result<()>,
}

impl<T: Scalar> RowBuilder<'_, T> {
    /// Adds an entry of the row, by global column; entries of the same column are summed. Ascending
    /// columns are fastest.
    #[inline]
    pub fn push(&mut self, column: Gid, value: T) {
        match self.codes.code(column) {
            Ok(code) => {
                memory::push(self.columns, code);
                memory::push(self.values, value);
            }
            Err(error) if self.valid.is_ok() => *self.valid = Err(error),
            Err(_) => {}
        }
    }
}

impl<T: Scalar> CsrMatrix<T> {
    /// From triplets (global row, global column, value) given on any rank; see [`CsrBuilder`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`CsrBuilder::build`].
    pub fn from_triplets(
        range: &Layout,
        domain: &Layout,
        triplets: impl IntoIterator<Item = (Gid, Gid, T)>,
        duplicates: Duplicates,
    ) -> Result<CsrMatrix<T>> {
        let triplets = triplets.into_iter();
        let mut builder = CsrBuilder::new(range, domain, duplicates);
        builder.reserve(triplets.size_hint().0);
        triplets.for_each(|(row, column, value)| builder.push(row, column, value));
        builder.build()
    }

    /// Row by row: `row(i, entries)` gives the entries of each global row `i` that this rank owns,
    /// in ascending order of rows.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`CsrBuilder::build`].
    pub fn from_rows(
        range: &Layout,
        domain: &Layout,
        mut row: impl FnMut(Gid, &mut RowBuilder<'_, T>),
    ) -> Result<CsrMatrix<T>> {
        let _event = profile::event("MatAssembly");
        let mut codes = range.comm().agree(codes(range, domain))?;
        let count = range.local_len();
        let mut starts = memory::with_capacity(count + 1);
        let (mut columns, mut values, mut valid) = (Vec::new(), Vec::new(), Ok(()));
        starts.push(0);
        for i in range.range() {
            let (codes, columns, values) = (&mut codes, &mut columns, &mut values);
            row(i, &mut RowBuilder { codes, columns, values, valid: &mut valid });
            starts.push(columns.len());
            if starts.len() == count / SAMPLE {
                memory::reserve(columns, SAMPLE * columns.len());
                memory::reserve(values, SAMPLE * columns.len());
            }
        }
        range.comm().agree(valid)?;
        CsrMatrix::from_coded(range, domain, codes, Rows { starts, columns, values }, Duplicates::Add)
    }

    /// From this rank's rows in compressed form: entries of its `i`-th row are
    /// `starts[i]..starts[i + 1]` of global `columns` and `values`, in any order; entries of the
    /// same column are summed.
    ///
    /// # Collective
    ///
    /// # Errors
    /// Arrays that do not describe this rank's rows, and as [`CsrBuilder::build`].
    pub fn from_local_parts(
        range: &Layout,
        domain: &Layout,
        starts: Vec<usize>,
        columns: &[Gid],
        values: Vec<T>,
    ) -> Result<CsrMatrix<T>> {
        let _event = profile::event("MatAssembly");
        let mut codes = range.comm().agree(codes(range, domain))?;
        let coded = check_parts(range.local_len(), &starts, columns.len(), values.len())
            .and_then(|()| columns.iter().map(|&column| codes.code(column)).collect::<Result<_>>());
        let columns = range.comm().agree(coded)?;
        CsrMatrix::from_coded(range, domain, codes, Rows { starts, columns, values }, Duplicates::Add)
    }
}

fn check_parts(rows: usize, starts: &[usize], columns: usize, values: usize) -> Result<()> {
    let require = |what, expected, found| {
        if expected == found { Ok(()) } else { Err(Error::LocalLength { what, expected, found }) }
    };
    require("row starts (one more than rows)", rows + 1, starts.len())?;
    require("values (one for each column)", columns, values)?;
    require("entries before the first row", 0, starts[0])?;
    if let Some(row) = starts.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(Error::Offsets {
            reason: format!("local row {row} would be {}..{}", starts[row], starts[row + 1]),
        });
    }
    require("entries up to the end of the last row", columns, starts[rows])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_not_rows_are_named() {
        let message = |starts: &[usize], columns, values| {
            check_parts(2, starts, columns, values).err().map(|error| error.to_string())
        };
        assert_eq!(message(&[0, 2, 3], 3, 3), None);
        let named = |starts: &[usize], columns, values, part: &str| {
            assert!(message(starts, columns, values).unwrap().contains(part));
        };
        named(&[0, 3], 3, 3, "expected 3 local entries, found 2");
        named(&[0, 2, 3], 3, 4, "values (one for each column): expected 3");
        named(&[1, 2, 3], 3, 3, "before the first row");
        named(&[0, 4, 3], 3, 3, "local row 1 would be 4..3");
        named(&[0, 1, 2], 3, 3, "end of the last row: expected 3");
    }
}
