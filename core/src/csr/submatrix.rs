//! Submatrices and permutations, by global indices.
//!
//! New numbers of columns are kept by the owners of the columns, who can see a repetition, and reach
//! the other ranks like the entries of a vector: along the plan of the product.

use crate::csr::matrix::CsrMatrix;
use crate::csr::rows::Duplicates;
use crate::error::{Error, Result};
use crate::exchange::ExchangePlan;
use crate::index::{Gid, at, local};
use crate::index_map::IndexMap;
use crate::layout::Layout;
use crate::scalar::Scalar;

/// The new number of a column that is left out.
const NONE: Gid = Gid::MAX;

impl<T: Scalar> CsrMatrix<T> {
    /// The matrix of some rows and columns, as PETSc's `MatCreateSubMatrix` makes it: this rank's
    /// rows of the result are `rows`, its columns `columns`, in the order given; the ranks' lists
    /// follow each other. Rows may be any rank's and may be repeated, columns any rank's but not
    /// repeated.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An index past the end, or a column that is given twice, on any rank.
    pub fn submatrix(&self, rows: &[Gid], columns: &[Gid]) -> Result<CsrMatrix<T>> {
        let comm = self.comm();
        let map = IndexMap::new(rows.to_vec());
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

    /// The symmetric permutation `B`, with `b_(new(i), new(j)) = a_ij`, on `layout`; `new` gives the
    /// new number of each own row and column.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the matrix is not square or `layout` has another length;
    /// [`Error::LocalLength`], [`Error::IndexOutOfRange`] or [`Error::Repeated`] if `new` is not a
    /// permutation, on any rank.
    pub fn permute(&self, new: &[Gid], layout: &Layout) -> Result<CsrMatrix<T>> {
        let range = &self.shape.range;
        range.require_same(&self.shape.domain, "permutation")?;
        if range.comm() != layout.comm() || range.global_len() != layout.global_len() {
            range.require_same(layout, "permutation")?;
        }
        self.comm().agree(check_numbers(range, new))?;
        let messages: Vec<(usize, Vec<Gid>)> = by_owner(layout, new);
        let mut seen = vec![false; layout.local_len()];
        let mut repeated = Ok(());
        for index in self.comm().sparse_exchange(&messages).into_iter().flat_map(|(_, list)| list) {
            let position = layout.global_to_owned(index).expect("invariant: sent to its owner");
            if std::mem::replace(&mut seen[position], true) {
                repeated = Err(Error::Repeated { what: "new row of a permutation", index });
            }
        }
        self.comm().agree(repeated)?;
        let ghosts = self.shape.plan.start_import(new, 1).finish();
        let number = |number: u32| new.get(at(number)).copied().unwrap_or_else(|| ghosts[at(number) - new.len()]);
        let triplets = new.iter().enumerate().flat_map(|(row, &new_row)| {
            let (columns, values) = self.local.row(row);
            columns.iter().zip(values).map(move |(&column, &value)| (new_row, number(column), value))
        });
        CsrMatrix::from_triplets(layout, layout, triplets, Duplicates::Add)
    }
}

fn check_numbers(rows: &Layout, new: &[Gid]) -> Result<()> {
    let (expected, found) = (rows.local_len(), new.len());
    if expected != found {
        return Err(Error::LocalLength { what: "new rows of a permutation", expected, found });
    }
    let bound = rows.global_len();
    match new.iter().find(|&&index| index >= bound) {
        Some(&index) => Err(Error::IndexOutOfRange { what: "new row of a permutation", index, bound }),
        None => Ok(()),
    }
}

/// Indices grouped by their owners.
fn by_owner(layout: &Layout, indices: &[Gid]) -> Vec<(usize, Vec<Gid>)> {
    let mut sorted = indices.to_vec();
    sorted.sort_unstable();
    let owner = |index: Gid| layout.blocks().owner(index).expect("invariant: indices were checked");
    sorted.chunk_by(|&a, &b| owner(a) == owner(b)).map(|group| (owner(group[0]), group.to_vec())).collect()
}
