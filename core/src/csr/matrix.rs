//! `CsrMatrix` itself: its parts, its shape and its entries row by row.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use crate::csr::assembly::sorted_rows::{Duplicates, Rows};
use crate::csr::ghost_columns::{ColumnCodes, Columns};
use crate::csr::kernels::LocalCsr;
use crate::error::Result;
use crate::exchange::ExchangePlan;
use crate::index::{Gid, Lid};
use crate::layout::Layout;
use crate::scalar::Scalar;

/// A sparse matrix whose rows are spread over the ranks, from vectors on the
/// [`domain`](crate::LinearOperator::domain) to vectors on the [`range`](crate::LinearOperator::range).
///
/// Made by [`CsrMatrix::from_rows`], [`CsrMatrix::from_triplets`], [`CsrBuilder`](crate::CsrBuilder)
/// or [`CsrMatrix::from_local_parts`]; the pattern is then fixed, the values are not. Each rank
/// holds the entries of the rows that it owns: a value and 4 bytes an entry, 8 bytes a row. The
/// first adjoint or transposed product, column sum or 1-norm adds the adjoint matrix, which is kept until the
/// values change: as large again, or its values only where the pattern is symmetric.
pub struct CsrMatrix<T> {
    pub(super) shape: Rc<Shape>,
    pub(super) local: LocalCsr<T>,
    /// Made when it is first needed.
    pub(super) adjoint: OnceCell<Box<CsrMatrix<T>>>,
    /// Conjugates of an operand, for transposed products of complex matrices.
    pub(super) conjugates: RefCell<Vec<T>>,
}

/// Data that matrices of one pattern share.
pub(crate) struct Shape {
    pub(crate) range: Layout,
    pub(crate) domain: Layout,
    pub(crate) columns: Columns,
    pub(crate) plan: ExchangePlan,
    pub(crate) entries: u64,
}

impl Shape {
    /// Plans the product of a matrix with this number of entries in this rank's rows.
    ///
    /// # Collective
    pub(crate) fn new(range: &Layout, domain: &Layout, columns: Columns, local_entries: usize) -> Result<Shape> {
        let plan = ExchangePlan::new(domain, columns.ghosts())?;
        let mut entries = [local_entries as u64];
        range.comm().all_reduce_sum(&mut entries);
        Ok(Shape { range: range.clone(), domain: domain.clone(), columns, plan, entries: entries[0] })
    }

    /// Position of an entry among this rank's, if its row is owned and it is stored. `local_row`
    /// gives where a local row starts and its columns.
    pub(crate) fn slot<'m>(
        &self,
        row: Gid,
        column: Gid,
        local_row: impl FnOnce(usize) -> (usize, &'m [Lid]),
    ) -> Option<usize> {
        let row = self.range.global_to_owned(row)?;
        let columns = &self.columns;
        let wanted = columns.rank_of(columns.to_local(column)?);
        let (start, numbers) = local_row(row);
        let position = numbers.binary_search_by_key(&wanted, |&number| columns.rank_of(number)).ok()?;
        Some(start + position)
    }
}

/// Pattern of a matrix as a plan keeps it, to recognize other matrices with the same pattern.
pub(super) struct Pattern {
    shape: Rc<Shape>,
    print: [u64; 2],
}

impl Pattern {
    pub(super) fn of<T: Scalar>(matrix: &CsrMatrix<T>) -> Pattern {
        Pattern { shape: Rc::clone(&matrix.shape), print: matrix.local.pattern_print() }
    }

    /// Returns true if this rank's rows of a matrix have the pattern. Clones share it; a matrix assembled anew
    /// is compared by its layouts, its ghosts and a hash of its rows.
    pub(super) fn is_of<T: Scalar>(&self, matrix: &CsrMatrix<T>) -> bool {
        let (mine, other) = (&self.shape, &matrix.shape);
        Rc::ptr_eq(mine, other)
            || (mine.range == other.range
                && mine.domain == other.domain
                && mine.columns.ghosts() == other.columns.ghosts()
                && self.print == matrix.local.pattern_print())
    }
}

impl<T: Scalar> Clone for CsrMatrix<T> {
    fn clone(&self) -> CsrMatrix<T> {
        CsrMatrix::assembled(Rc::clone(&self.shape), self.local.clone())
    }
}

impl<T: Scalar> std::fmt::Debug for CsrMatrix<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shape { range, domain, entries, .. } = &*self.shape;
        write!(f, "CsrMatrix<{}>({} x {}, {entries} entries)", T::NAME, range.global_len(), domain.global_len())
    }
}

impl<T: Scalar> CsrMatrix<T> {
    pub(super) fn assembled(shape: Rc<Shape>, local: LocalCsr<T>) -> CsrMatrix<T> {
        CsrMatrix { shape, local, adjoint: OnceCell::new(), conjugates: RefCell::default() }
    }

    /// Sorts and numbers rows whose columns are codes, and plans the product.
    ///
    /// # Collective
    pub(super) fn from_coded(
        range: &Layout,
        domain: &Layout,
        codes: ColumnCodes,
        mut rows: Rows<T>,
        duplicates: Duplicates,
    ) -> Result<CsrMatrix<T>> {
        let columns = rows.number(codes, |same| duplicates.combine(same));
        CsrMatrix::from_numbered(range, domain, columns, rows)
    }

    /// From rows in ascending global columns, given by their local numbers, and plans the product.
    ///
    /// # Collective
    pub(super) fn from_numbered(
        range: &Layout,
        domain: &Layout,
        columns: Columns,
        rows: Rows<T>,
    ) -> Result<CsrMatrix<T>> {
        let Rows { starts, columns: mut numbers, mut values } = rows;
        numbers.shrink_to_fit();
        values.shrink_to_fit();
        let shape = Shape::new(range, domain, columns, numbers.len())?;
        let columns = &shape.columns;
        let local = LocalCsr::new(columns.owned(), columns.ghosts().len(), starts, numbers, values);
        Ok(CsrMatrix::assembled(Rc::new(shape), local))
    }

    /// Returns the number of stored entries over all ranks.
    pub fn global_entries(&self) -> u64 {
        self.shape.entries
    }

    /// Returns the number of stored entries of this rank's rows.
    pub fn local_entries(&self) -> usize {
        self.local.values().len()
    }

    /// Returns the bytes of this rank's rows that a product reads, each once. Rows whose columns are those of the row
    /// above plus one share columns, and values too where these are equal.
    pub fn product_bytes(&self) -> usize {
        self.local.bytes_read()
    }

    /// Returns the columns of this rank's rows that other ranks own, which a product receives.
    pub fn ghost_columns(&self) -> &[Gid] {
        self.shape.columns.ghosts().gids()
    }

    /// Returns this rank's rows in ascending order.
    pub fn rows(&self) -> impl Iterator<Item = MatrixRow<'_, T>> {
        self.shape.range.range().enumerate().map(|(local, row)| {
            let (numbers, values) = self.local.row(local);
            MatrixRow { row, columns: &self.shape.columns, numbers, values }
        })
    }

    /// Returns one of this rank's rows; `None` if another rank owns it.
    pub fn row(&self, row: Gid) -> Option<MatrixRow<'_, T>> {
        let (numbers, values) = self.local.row(self.shape.range.global_to_owned(row)?);
        Some(MatrixRow { row, columns: &self.shape.columns, numbers, values })
    }

    /// Position of an entry among this rank's values, if its row is owned and it is stored.
    pub(super) fn slot(&self, row: Gid, column: Gid) -> Option<usize> {
        self.shape.slot(row, column, |row| (self.local.entries(row).start, self.local.row(row).0))
    }

    /// Returns the rows of this rank for modification; everything derived from the old values is discarded.
    ///
    /// # Collective
    /// No messages, but all ranks have to drop it together.
    pub(super) fn local_mut(&mut self) -> &mut LocalCsr<T> {
        self.adjoint.take();
        &mut self.local
    }
}

/// A row of a [`CsrMatrix`]: its stored entries in ascending columns.
#[derive(Clone, Copy)]
pub struct MatrixRow<'a, T> {
    row: Gid,
    columns: &'a Columns,
    numbers: &'a [Lid],
    values: &'a [T],
}

impl<'a, T: Scalar> MatrixRow<'a, T> {
    /// Returns the global row.
    pub fn index(&self) -> Gid {
        self.row
    }

    /// Returns the global columns, ascending.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = Gid> + use<'a, T> {
        let columns = self.columns;
        self.numbers.iter().map(|&number| columns.to_global(number))
    }

    /// Returns the values, in the order of the columns.
    pub fn values(&self) -> &'a [T] {
        self.values
    }

    /// Returns the global columns with their values.
    pub fn entries(&self) -> RowEntries<'a, T> {
        (*self).into_iter()
    }
}

/// Iterates over global columns, ascending, with their values: `for (column, value) in row`.
impl<'a, T: Scalar> IntoIterator for MatrixRow<'a, T> {
    type Item = (Gid, T);
    type IntoIter = RowEntries<'a, T>;

    fn into_iter(self) -> RowEntries<'a, T> {
        RowEntries { columns: self.columns, entries: self.numbers.iter().zip(self.values) }
    }
}

/// Entries of a [`MatrixRow`]: global columns with their values.
pub struct RowEntries<'a, T> {
    columns: &'a Columns,
    entries: std::iter::Zip<std::slice::Iter<'a, Lid>, std::slice::Iter<'a, T>>,
}

impl<T: Scalar> Iterator for RowEntries<'_, T> {
    type Item = (Gid, T);

    fn next(&mut self) -> Option<(Gid, T)> {
        self.entries.next().map(|(&number, &value)| (self.columns.to_global(number), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<T: Scalar> ExactSizeIterator for RowEntries<'_, T> {}
