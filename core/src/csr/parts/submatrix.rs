//! Submatrices by global indices.
//!
//! New numbers of columns are kept by the owners of the columns, who can see a repetition, and reach
//! the other ranks like the entries of a vector: along the plan of the product.

use crate::csr::matrix::CsrMatrix;
use crate::error::{Error, Result};
use crate::exchange::ExchangePlan;
use crate::index::{Gid, at, local};
use crate::index_map::IndexMap;
use crate::layout::Layout;
use crate::profile;
use crate::scalar::Scalar;

/// The new number of a column that is left out.
const NONE: Gid = Gid::MAX;

impl<T: Scalar> CsrMatrix<T> {
    /// Computes the matrix of some rows and columns, as PETSc's `MatCreateSubMatrix` makes it: this rank's
    /// rows of the result are `rows`, its columns `columns`, in the order given; the ranks' lists
    /// follow each other. Rows may be any rank's and may be repeated, columns any rank's but not
    /// repeated.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An index past the end, or a column that is given twice, on any rank.
    pub fn submatrix(&self, rows: &[Gid], columns: &[Gid]) -> Result<CsrMatrix<T>> {
        let _event = profile::operation("MatCreateSubMatrix");
        let comm = self.comm();
        let bound = self.shape.range.global_len();
        let map = match rows.iter().find(|row| **row >= bound) {
            Some(&index) => Err(Error::IndexOutOfRange { what: "row of a submatrix", index, bound }),
            None => IndexMap::new(rows.to_vec()),
        };
        let map = comm.agree(map)?;
        let range = Layout::from_local_len(comm, rows.len())?;
        let domain = Layout::from_local_len(comm, columns.len())?;
        let new = self.new_numbers(columns, domain.range().start)?;
        let wanted = ExchangePlan::new(&self.shape.range, &map)?.import_rows(|row, columns, values| {
            let (numbers, entries) = self.local.row(row);
            for (&number, &value) in numbers.iter().zip(entries).filter(|(number, _)| new[at(**number)] != NONE) {
                columns.push(new[at(number)]);
                values.push(value);
            }
        });
        CsrMatrix::from_rows(&range, &domain, |row, entries| {
            let row = map.global_to_local(rows[local(row - range.range().start)]);
            let row = at(row.expect("invariant: the map holds all rows"));
            for entry in wanted.starts[row]..wanted.starts[row + 1] {
                entries.push(wanted.columns[entry], wanted.values[entry]);
            }
        })
    }

    /// New numbers of the local columns; this rank's list of global ones is numbered from `first`.
    ///
    /// # Collective
    fn new_numbers(&self, columns: &[Gid], first: Gid) -> Result<Vec<Gid>> {
        let domain = &self.shape.domain;
        let mut messages: Vec<(usize, Vec<[Gid; 2]>)> = Vec::new();
        let mut valid = Ok(());
        let mut sorted: Vec<(Gid, Gid)> = columns.iter().copied().zip(first..).collect();
        sorted.sort_unstable();
        for (column, number) in sorted {
            match domain.blocks().owner(column) {
                Some(owner) => match messages.last_mut().filter(|(last, _)| *last == owner) {
                    Some((_, list)) => list.push([column, number]),
                    None => messages.push((owner, vec![[column, number]])),
                },
                None => {
                    let bound = domain.global_len();
                    valid = Err(Error::IndexOutOfRange { what: "column of a submatrix", index: column, bound });
                }
            }
        }
        self.comm().agree(valid)?;
        let mut new = vec![NONE; domain.local_len()];
        let mut repeated = Ok(());
        for [column, number] in self.comm().sparse_exchange(&messages).into_iter().flat_map(|(_, list)| list) {
            let position = domain.global_to_owned(column).expect("invariant: sent to its owner");
            if std::mem::replace(&mut new[position], number) != NONE {
                repeated = Err(Error::Repeated { what: "column of a submatrix", index: column });
            }
        }
        self.comm().agree(repeated)?;
        let ghosts = self.shape.plan.start_import(&new, 1).finish();
        new.extend_from_slice(&ghosts);
        Ok(new)
    }
}
