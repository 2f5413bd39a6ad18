//! Whole matrices on one rank or on all, and back.

use std::sync::Arc;

use ndarray::Array2;

use crate::csr::assembly::sorted_rows::Duplicates;
use crate::csr::matrix::CsrMatrix;
use crate::csr::parts::serial::SerialCsr;
use crate::error::{Error, Result};
use crate::index::{Gid, Lid, local, to_len, to_lid};
use crate::layout::Layout;
use crate::scalar::Scalar;

impl<T: Scalar> CsrMatrix<T> {
    /// Gathers the whole matrix on rank `root`; returns `None` elsewhere. [`SerialCsr::to_dense`] makes it dense.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NoSuchRank`]; more than 2^32 - 1 columns.
    pub fn gather(&self, root: usize) -> Result<Option<SerialCsr<T>>> {
        let comm = self.comm();
        if root >= comm.size() {
            return Err(Error::NoSuchRank { operation: "gather of a matrix", rank: root, size: comm.size() });
        }
        let columns = to_len("columns of a gathered matrix", self.shape.domain.global_len())?;
        to_lid("columns of a gathered matrix", columns)?;
        let lens: Vec<u64> = self.rows().map(|row| row.values().len() as u64).collect();
        let number = |column: Gid| to_lid("columns", local(column)).expect("invariant: all columns were counted");
        let numbers: Vec<Lid> = self.rows().flat_map(|row| row.columns().map(number)).collect();
        let values: Vec<T> = self.rows().flat_map(|row| row.values()).copied().collect();
        let gathered = (comm.gather(root, &lens), comm.gather(root, &numbers), comm.gather(root, &values));
        let (Some(lens), Some(numbers), Some(values)) = gathered else { return Ok(None) };
        let mut offsets = Vec::with_capacity(local(self.shape.range.global_len()) + 1);
        offsets.push(0);
        let ends = lens.concat().into_iter().scan(0, |end, len| {
            *end += local(len);
            Some(*end)
        });
        offsets.extend(ends);
        let (numbers, values) = (Arc::new(numbers.concat()), Arc::new(values.concat()));
        Ok(Some(SerialCsr::from_arrays(columns, Arc::new(offsets), numbers, values)))
    }

    /// Gathers the whole matrix on every rank.
    ///
    /// # Collective
    /// Gathered on one rank and broadcast.
    ///
    /// # Errors
    /// More than 2^32 - 1 columns.
    pub fn gather_all(&self) -> Result<SerialCsr<T>> {
        let (comm, columns) = (self.comm(), to_len("columns", self.shape.domain.global_len())?);
        let (mut offsets, mut numbers, mut values) = match self.gather(0)? {
            Some(all) => {
                let offsets = all.row_offsets().iter().map(|&offset| offset as u64).collect();
                (offsets, all.column_indices().to_vec(), all.values().to_vec())
            }
            None => (Vec::new(), Vec::new(), Vec::new()),
        };
        comm.broadcast(0, &mut offsets);
        comm.broadcast(0, &mut numbers);
        comm.broadcast(0, &mut values);
        SerialCsr::new(columns, offsets.into_iter().map(local).collect(), numbers, values)
    }

    /// Spreads the matrix that rank `root` has over the owners of its rows. What the other ranks
    /// give is not looked at.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NoSuchRank`]; [`Error::Shape`], agreed over the ranks, if it does not fit the layouts;
    /// as [`CsrBuilder::build`](crate::CsrBuilder::build).
    pub fn scatter(
        range: &Layout,
        domain: &Layout,
        root: usize,
        matrix: Option<&SerialCsr<T>>,
    ) -> Result<CsrMatrix<T>> {
        let comm = range.comm();
        if root >= comm.size() {
            return Err(Error::NoSuchRank { operation: "scatter of a matrix", rank: root, size: comm.size() });
        }
        let matrix = matrix.filter(|_| comm.rank() == root);
        let found = matrix.map_or((0, 0), |matrix| (matrix.rows() as u64, matrix.columns() as u64));
        let expected = (range.global_len(), domain.global_len());
        let fits = comm.rank() != root || found == expected;
        let wrong = Error::Shape { operation: "scatter of a matrix", expected, found };
        comm.agree(fits.then_some(()).ok_or(wrong))?;
        let rows = matrix.into_iter().flat_map(|matrix| (0..matrix.rows()).map(|row| (row as u64, matrix.row(row))));
        let triplets = rows.flat_map(|(row, (columns, values))| {
            columns.iter().zip(values).map(move |(&column, &value)| (row, Gid::from(column), value))
        });
        CsrMatrix::from_triplets(range, domain, triplets, Duplicates::Add)
    }

    /// Creates a matrix from the nonzero entries of a dense one, which is the same on all ranks.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Shape`], agreed over the ranks, if it does not fit the layouts; as
    /// [`CsrBuilder::build`](crate::CsrBuilder::build).
    pub fn from_dense(range: &Layout, domain: &Layout, dense: &Array2<T>) -> Result<CsrMatrix<T>> {
        let (expected, found) = ((range.global_len(), domain.global_len()), dense.dim());
        let found = (found.0 as u64, found.1 as u64);
        let wrong = Error::Shape { operation: "matrix from a dense one", expected, found };
        range.comm().agree((found == expected).then_some(()).ok_or(wrong))?;
        CsrMatrix::from_rows(range, domain, |row, entries| {
            let row = dense.row(local(row));
            let stored = (0..).zip(row).filter(|(_, value)| **value != T::ZERO);
            stored.for_each(|(column, &value)| entries.push(column, value));
        })
    }
}
