//! Assembly: triplets from any rank, a closure for each row, or rows that are there already.
//!
//! All three write 32-bit column numbers into the arrays that become the matrix, so that the fast
//! path, entries of own rows in order, costs one pass over its input. Only triplets for rows of
//! other ranks are kept apart and sent, once, when the matrix is built.

use crate::csr::assembly::sorted_rows::{Duplicates, Entries, Rows};
use crate::csr::assembly::triplets::{Places, Side, codes, in_order, in_row};
use crate::csr::ghost_columns::ColumnCodes;
use crate::csr::matrix::CsrMatrix;
use crate::error::{Error, Result};
use crate::index::{Gid, Lid};
use crate::layout::Layout;
use crate::memory;
use crate::profile;
use crate::scalar::Scalar;

/// Number of parts of the rows. The memory for the whole is estimated after the first part: an array that
/// grows repeatedly is moved repeatedly, out of its huge pages.
const SAMPLE: usize = 16;

/// Collects triplets on all ranks and builds a [`CsrMatrix`] of them.
///
/// Any rank may give entries of any row. Nothing is preallocated, and nothing is sent before
/// [`CsrBuilder::build`]. Memory until then: 8 bytes and a value for each triplet of an own row,
/// 16 bytes and a value for each of another rank's.
pub struct CsrBuilder<T> {
    duplicates: Duplicates,
    places: Places,
    own: Entries<T>,
    foreign_values: Vec<T>,
}

impl<T: Scalar> CsrBuilder<T> {
    /// Creates an empty matrix from vectors on `domain` to vectors on `range`.
    ///
    /// Not collective; what is wrong with the layouts is reported by [`CsrBuilder::build`].
    pub fn new(range: &Layout, domain: &Layout, duplicates: Duplicates) -> CsrBuilder<T> {
        let own = Entries { rows: Vec::new(), columns: Vec::new(), values: Vec::new() };
        CsrBuilder { duplicates, places: Places::new(range, domain), own, foreign_values: Vec::new() }
    }

    /// Reserves memory for this number of additional triplets of own rows.
    pub fn reserve(&mut self, additional: usize) {
        self.own.reserve(additional);
    }

    /// Adds one triplet, by global row and column. An index past the end is reported by
    /// [`CsrBuilder::build`].
    #[inline]
    pub fn push(&mut self, row: Gid, column: Gid, value: T) {
        match self.places.sort(row, column) {
            Side::Own(row, code) => self.own.push(row, code, value),
            Side::Foreign => memory::push(&mut self.foreign_values, value),
            Side::Refused => {}
        }
    }

    /// Sends the triplets to the owners of their rows and builds the matrix.
    ///
    /// # Collective
    /// Two sparse exchanges of the triplets for other ranks' rows, and the plan of the product.
    ///
    /// # Errors
    /// A row or column past the end of its layout, given on any rank; stacked layouts, or layouts on
    /// different communicators; more than 2^32 - 1 rows or columns on one rank.
    pub fn build(self) -> Result<CsrMatrix<T>> {
        let _event = profile::operation("MatAssembly");
        let CsrBuilder { duplicates, mut places, own, foreign_values } = self;
        let received = places.exchange(&foreign_values, 1)?;
        let all = in_order(places.range.comm().rank(), duplicates, own, received);
        let rows = all.into_rows(places.range.local_len());
        let Places { range, domain, codes, .. } = places;
        CsrMatrix::from_coded(&range, &domain, codes, rows, duplicates)
    }
}

/// Takes the entries of one row; see [`CsrMatrix::from_rows`].
pub struct RowBuilder<'a, T> {
    row: Gid,
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
            Err(error) if self.valid.is_ok() => *self.valid = Err(in_row(self.row, error)),
            Err(_) => {}
        }
    }
}

impl<T: Scalar> CsrMatrix<T> {
    /// Creates a matrix from triplets (global row, global column, value) given on any rank; see [`CsrBuilder`].
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

    /// Creates a matrix row by row: `row(i, entries)` gives the entries of each global row `i` that this rank owns,
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
        let _event = profile::operation("MatAssembly");
        let mut codes = range.comm().agree(codes(range, domain))?;
        let count = range.local_len();
        let mut starts = memory::with_capacity(count + 1);
        let (mut columns, mut values, mut valid) = (Vec::new(), Vec::new(), Ok(()));
        starts.push(0);
        for i in range.range() {
            let (codes, columns, values) = (&mut codes, &mut columns, &mut values);
            row(i, &mut RowBuilder { row: i, codes, columns, values, valid: &mut valid });
            starts.push(columns.len());
            if starts.len() == count / SAMPLE {
                memory::reserve(columns, SAMPLE * columns.len());
                memory::reserve(values, SAMPLE * columns.len());
            }
        }
        range.comm().agree(valid)?;
        CsrMatrix::from_coded(range, domain, codes, Rows { starts, columns, values }, Duplicates::Add)
    }

    /// Creates a matrix from this rank's rows in compressed form: entries of its `i`-th row are
    /// `starts[i]..starts[i + 1]` of global `columns` and `values`, in any order; entries of the
    /// same column are summed. Columns are integers of any type.
    ///
    /// # Collective
    ///
    /// # Errors
    /// Arrays that do not describe this rank's rows, and as [`CsrBuilder::build`].
    pub fn from_local_parts<C: Copy + TryInto<Gid>>(
        range: &Layout,
        domain: &Layout,
        starts: Vec<usize>,
        columns: &[C],
        values: Vec<T>,
    ) -> Result<CsrMatrix<T>> {
        let _event = profile::operation("MatAssembly");
        let mut codes = range.comm().agree(codes(range, domain))?;
        let coded = check_parts(range.local_len(), &starts, columns.len(), values.len())
            .and_then(|()| coded_rows(range.range().start, &starts, columns, &mut codes));
        let columns = range.comm().agree(coded)?;
        CsrMatrix::from_coded(range, domain, codes, Rows { starts, columns, values }, Duplicates::Add)
    }
}

/// Codes of the columns of rows from global row `first` on.
fn coded_rows<C: Copy + TryInto<Gid>>(
    first: Gid,
    starts: &[usize],
    columns: &[C],
    codes: &mut ColumnCodes,
) -> Result<Vec<Lid>> {
    let mut coded = memory::with_capacity(columns.len());
    for (row, bounds) in (first..).zip(starts.windows(2)) {
        for &column in &columns[bounds[0]..bounds[1]] {
            // A negative column is as far out of range as any can be.
            let column = column.try_into().unwrap_or(Gid::MAX);
            coded.push(codes.code(column).map_err(|error| in_row(row, error))?);
        }
    }
    Ok(coded)
}

fn check_parts(rows: usize, starts: &[usize], columns: usize, values: usize) -> Result<()> {
    let require = |what, expected, found| {
        if expected == found { Ok(()) } else { Err(Error::LocalLength { what, expected, found }) }
    };
    require("row starts (one more than rows)", rows + 1, starts.len())?;
    require("values (one for each column)", columns, values)?;
    require("entries before the first row", 0, starts[0])?;
    if let Some(row) = starts.windows(2).position(|pair| pair[0] > pair[1]) {
        let reason = format!("entries of local row {row} would be {}..{}", starts[row], starts[row + 1]);
        return Err(Error::NotRows { reason });
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
        named(&[0, 4, 3], 3, 3, "compressed rows of a matrix: entries of local row 1 would be 4..3");
        named(&[0, 1, 2], 3, 3, "end of the last row: expected 3");
    }
}
