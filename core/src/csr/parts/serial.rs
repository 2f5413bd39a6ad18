//! `SerialCsr`: a sparse matrix of one rank, for what works on such alone.
//!
//! Factorizations, relaxations and direct solvers need no ghosts and no messages, but plain arrays
//! that they may read and keep: three of them, in the order that every library knows. A copy of the
//! matrix shares them until values change.

use std::sync::Arc;

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::index::{Lid, at};
use crate::memory;
use crate::scalar::Scalar;

/// A sparse matrix in compressed rows on this rank alone. Columns of a row ascend.
#[derive(Clone, Debug, PartialEq)]
pub struct SerialCsr<T> {
    columns: usize,
    row_offsets: Arc<Vec<usize>>,
    column_indices: Arc<Vec<Lid>>,
    values: Arc<Vec<T>>,
}

impl<T: Scalar> SerialCsr<T> {
    /// Creates a matrix from the arrays of compressed rows: entries of row `i` are `row_offsets[i]..row_offsets[i +
    /// 1]`.
    ///
    /// # Errors
    /// [`Error::LocalLength`], [`Error::NotRows`] or [`Error::NoSuchColumn`] if the arrays do not
    /// describe rows of ascending columns below `columns`.
    pub fn new(
        columns: usize,
        row_offsets: Vec<usize>,
        column_indices: Vec<Lid>,
        values: Vec<T>,
    ) -> Result<SerialCsr<T>> {
        let entries = column_indices.len();
        if entries != values.len() {
            return Err(Error::LocalLength { what: "values of a matrix", expected: entries, found: values.len() });
        }
        let ends = (row_offsets.first(), row_offsets.last());
        if ends != (Some(&0), Some(&entries)) || !row_offsets.is_sorted() {
            return Err(Error::NotRows { reason: format!("row offsets do not ascend from 0 to {entries}") });
        }
        if let Some(entry) = column_indices.iter().position(|&column| at(column) >= columns) {
            let row = row_offsets.partition_point(|&offset| offset <= entry) as u64 - 1;
            let column = u64::from(column_indices[entry]);
            return Err(Error::NoSuchColumn { row, column, columns: columns as u64 });
        }
        let (row_offsets, column_indices) = (Arc::new(row_offsets), Arc::new(column_indices));
        let matrix = SerialCsr::from_arrays(columns, row_offsets, column_indices, Arc::new(values));
        match (0..matrix.rows()).find(|&row| !matrix.row(row).0.is_sorted_by(|one, next| one < next)) {
            Some(row) => Err(Error::NotRows { reason: format!("the columns of row {row} do not ascend") }),
            None => Ok(matrix),
        }
    }

    /// From row offsets, columns and values that are right by construction.
    pub(in crate::csr) fn from_arrays(
        columns: usize,
        row_offsets: Arc<Vec<usize>>,
        column_indices: Arc<Vec<Lid>>,
        values: Arc<Vec<T>>,
    ) -> SerialCsr<T> {
        SerialCsr { columns, row_offsets, column_indices, values }
    }

    /// Makes a matrix from rows that are valid by construction; the numbers of rows and entries reserve memory.
    pub(in crate::csr) fn from_rows(
        columns: usize,
        entries: usize,
        rows: impl ExactSizeIterator<Item = impl Iterator<Item = (Lid, T)>>,
    ) -> SerialCsr<T> {
        let mut offsets = memory::with_capacity(rows.len() + 1);
        let (mut numbers, mut values) = (memory::with_capacity(entries), memory::with_capacity(entries));
        offsets.push(0);
        for row in rows {
            row.for_each(|(column, value)| {
                memory::push(&mut numbers, column);
                memory::push(&mut values, value);
            });
            offsets.push(values.len());
        }
        SerialCsr::from_arrays(columns, Arc::new(offsets), Arc::new(numbers), Arc::new(values))
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.row_offsets.len() - 1
    }

    /// Returns the number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the start of each row among the entries, and the end of the last one.
    pub fn row_offsets(&self) -> &[usize] {
        &self.row_offsets
    }

    /// Returns the column of each entry, row after row.
    pub fn column_indices(&self) -> &[Lid] {
        &self.column_indices
    }

    /// Returns the value of each entry, row after row.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Returns the values for modification.
    pub fn values_mut(&mut self) -> &mut [T] {
        Arc::make_mut(&mut self.values).as_mut_slice()
    }

    /// Returns the columns and values of a row.
    ///
    /// # Panics
    /// If there is no such row, which is a bug of the caller.
    #[inline]
    pub fn row(&self, row: usize) -> (&[Lid], &[T]) {
        let entries = self.row_offsets[row]..self.row_offsets[row + 1];
        (&self.column_indices[entries.clone()], &self.values[entries])
    }

    /// Converts the matrix to a dense one, zero where no entry is stored.
    pub fn to_dense(&self) -> Array2<T> {
        let mut dense = Array2::from_elem((self.rows(), self.columns), T::ZERO);
        for row in 0..self.rows() {
            let (columns, values) = self.row(row);
            columns.iter().zip(values).for_each(|(&column, &value)| dense[[row, at(column)]] = value);
        }
        dense
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_by_hand() {
        let a = SerialCsr::new(3, vec![0, 2, 2, 3], vec![0, 2, 1], vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!((a.rows(), a.columns()), (3, 3));
        assert_eq!(a.row(0), (&[0, 2][..], &[1.0, 2.0][..]));
        assert_eq!(a.to_dense(), array![[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 3.0, 0.0]]);
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        let message = |offsets: &[usize], columns: &[Lid], values| {
            SerialCsr::new(3, offsets.to_vec(), columns.to_vec(), vec![1.0; values]).unwrap_err().to_string()
        };
        assert!(message(&[0, 1], &[0], 2).contains("expected 1 local entries"));
        assert!(message(&[], &[0], 1).contains("from 0 to 1"));
        assert!(message(&[0, 2, 1], &[0], 1).contains("from 0 to 1"));
        assert!(message(&[0, 0, 1], &[3], 1).contains("matrix entry (1, 3): there are only 3 columns"));
        assert!(message(&[0, 2], &[1, 1], 2).contains("row 0 do not ascend"));
    }
}
