//! The part of a matrix that one rank factors or relaxes by itself: its diagonal block, alone or
//! with a border of rows that overlaps with other ranks' parts (additive Schwarz).

use std::ops::Range;
use std::sync::Arc;

use crate::csr::kernels::LocalCsr;
use crate::csr::matrix::CsrMatrix;
use crate::csr::parts::serial::SerialCsr;
use crate::error::Result;
use crate::exchange::{ExchangePlan, ImportedRows};
use crate::index::{Gid, Lid, at};
use crate::index_map::IndexMap;
use crate::memory;
use crate::scalar::Scalar;

/// Rows of a diagonal block, as they are copied.
struct Block<T> {
    offsets: Vec<usize>,
    numbers: Vec<Lid>,
    values: Vec<T>,
}

impl<T: Scalar> Block<T> {
    fn with_room(rows: usize, entries: usize) -> Block<T> {
        let mut offsets = memory::with_capacity(rows + 1);
        offsets.push(0);
        Block { offsets, numbers: memory::with_capacity(entries), values: memory::with_capacity(entries) }
    }

    /// Appends rows without ghost columns.
    fn copy(&mut self, local: &LocalCsr<T>, rows: Range<usize>) {
        let Some((starts, numbers, values)) = local.in_order() else {
            return rows.for_each(|row| {
                let (numbers, values) = local.row(row);
                self.numbers.extend_from_slice(numbers);
                self.values.extend_from_slice(values);
                self.offsets.push(self.values.len());
            });
        };
        let (dropped, entries) = (starts[rows.start] - self.values.len(), starts[rows.start]..starts[rows.end]);
        self.offsets.extend(starts[rows.start + 1..=rows.end].iter().map(|start| start - dropped));
        self.numbers.extend_from_slice(&numbers[entries.clone()]);
        self.values.extend_from_slice(&values[entries]);
    }

    /// Appends the entries of a row in owned columns.
    fn copy_owned(&mut self, local: &LocalCsr<T>, row: usize, owned: usize) {
        let (columns, entries) = local.row(row);
        let own = columns.iter().zip(entries).filter(|(column, _)| at(**column) < owned);
        own.for_each(|(&column, &value)| {
            self.numbers.push(column);
            self.values.push(value);
        });
        self.offsets.push(self.values.len());
    }
}

impl<T: Scalar> CsrMatrix<T> {
    /// Returns the owned rows and columns, both numbered from zero: the diagonal block of this rank. It shares the
    /// arrays of the matrix where that has no ghost columns and its rows are stored in order, as those of a grid
    /// are; elsewhere it is a copy.
    pub fn local_block(&self) -> SerialCsr<T> {
        if let Some(block) = self.local.shared() {
            return block;
        }
        let (local, owned) = (&self.local, self.shape.columns.owned());
        let mut block = Block::with_room(local.rows(), local.values().len());
        // Rows between two with ghosts are copied at once.
        let mut first = 0;
        for row in local.boundary_rows().chain([local.rows()]) {
            block.copy(local, first..row);
            if row < local.rows() {
                block.copy_owned(local, row, owned);
                first = row + 1;
            }
        }
        let Block { offsets, numbers, values } = block;
        SerialCsr::from_arrays(owned, Arc::new(offsets), Arc::new(numbers), Arc::new(values))
    }

    /// Returns the owned rows and those within `levels` steps of them in the graph of the matrix, and the same
    /// columns (PETSc's `MatIncreaseOverlap` and `MatCreateSubMatrices`). The map says which global
    /// row and column each local one is; zero levels give the [local block](CsrMatrix::local_block). All ranks give
    /// the same `levels`.
    ///
    /// # Collective
    /// For each level, rows are sent to the ranks that they are new to.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if rows and columns are laid out
    /// differently; more than 2^32 - 1 rows of a block.
    pub fn overlapping_block(&self, levels: usize) -> Result<(IndexMap, SerialCsr<T>)> {
        let range = &self.shape.range;
        range.require_same(&self.shape.domain, "overlapping block")?;
        let mut layers: Vec<(IndexMap, ImportedRows<T>)> = Vec::with_capacity(levels);
        let mut all: Vec<Gid> = range.range().collect();
        let mut near: Vec<Gid> = self.ghost_columns().to_vec();
        for _ in 0..levels {
            let known = IndexMap::new(std::mem::take(&mut all));
            let new = known.and_then(|known| {
                near.retain(|&row| known.global_to_local(row).is_none());
                all.extend_from_slice(known.gids());
                IndexMap::new(std::mem::take(&mut near))
            });
            let new = self.comm().agree(new)?;
            let rows = self.rows_of(&new)?;
            all.extend_from_slice(new.gids());
            near.extend_from_slice(&rows.columns);
            layers.push((new, rows));
        }
        let map = self.comm().agree(IndexMap::new(all))?;
        let rows = map.gids().iter().map(|&row| {
            let entries: Vec<(Gid, T)> = match self.row(row) {
                Some(row) => row.entries().collect(),
                None => foreign_row(&layers, row),
            };
            let local = |(column, value)| Some((map.global_to_local(column)?, value));
            entries.into_iter().filter_map(local)
        });
        let block = SerialCsr::from_rows(map.len(), self.local_entries(), rows);
        Ok((map, block))
    }

    /// Rows of any rank with their global columns, in order of the map.
    ///
    /// # Collective
    fn rows_of(&self, rows: &IndexMap) -> Result<ImportedRows<T>> {
        Ok(self.rows_along(&ExchangePlan::new(&self.shape.range, rows)?))
    }

    /// Rows that a plan wants here, with their global columns.
    ///
    /// # Collective
    pub(in crate::csr) fn rows_along(&self, plan: &ExchangePlan) -> ImportedRows<T> {
        plan.import_rows(|row, columns, values| {
            let (numbers, entries) = self.local.row(row);
            columns.extend(numbers.iter().map(|&number| self.shape.columns.to_global(number)));
            values.extend_from_slice(entries);
        })
    }

    /// Returns the values of rows that [`CsrMatrix::rows_along`] brought before, where they start there.
    ///
    /// # Collective
    pub(in crate::csr) fn row_values_along(&self, plan: &ExchangePlan, starts: &[usize]) -> Vec<T> {
        plan.import_row_values(starts, |row, values| values.extend_from_slice(self.local.row(row).1))
    }
}

/// Returns a row that another rank owns, from the layer that brought it.
fn foreign_row<T: Scalar>(layers: &[(IndexMap, ImportedRows<T>)], row: Gid) -> Vec<(Gid, T)> {
    let found = layers.iter().find_map(|(map, rows)| Some((map.global_to_local(row)?, rows)));
    let (position, rows) = found.expect("invariant: every row of the block is own or was brought");
    let entries = rows.starts[at(position)]..rows.starts[at(position) + 1];
    rows.columns[entries.clone()].iter().copied().zip(rows.values[entries].iter().copied()).collect()
}
