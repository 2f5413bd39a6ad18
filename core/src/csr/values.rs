//! Reading and changing the values of a matrix whose pattern is fixed.

use std::rc::Rc;

use crate::csr::assembly::sorted_rows::Duplicates;
use crate::csr::matrix::CsrMatrix;
use crate::error::{Error, Result};
use crate::index::{Gid, at};
use crate::memory;
use crate::scalar::Scalar;
use crate::vector::Vector;

impl<T: Scalar> CsrMatrix<T> {
    /// Returns the value of a stored entry; `None` if it is not stored or its row is another rank's.
    pub fn get(&self, row: Gid, column: Gid) -> Option<T> {
        self.slot(row, column).map(|slot| self.local.values()[slot])
    }

    /// Sets stored entries (global row, global column, value) of this rank's rows; of several
    /// values for one entry the last counts.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An entry, given on any rank, that is not stored there; the matrix is then unchanged.
    pub fn set(&mut self, entries: impl IntoIterator<Item = (Gid, Gid, T)>) -> Result<()> {
        let found: Result<Vec<(usize, T)>> = entries
            .into_iter()
            .map(|(row, column, value)| match self.slot(row, column) {
                Some(slot) => Ok((slot, value)),
                None if self.shape.range.global_to_owned(row).is_none() => Err(Error::ForeignRow { row }),
                None => Err(Error::NotStored { row, column }),
            })
            .collect();
        let found = self.shape.range.comm().agree(found)?;
        self.local_mut().update_values(|values| found.into_iter().for_each(|(slot, value)| values[slot] = value));
        Ok(())
    }

    /// Adds to stored entries by triplets (global row, global column, value), given on any rank. Several values for one
    /// entry are summed first, independently of their order and rank. For many additions at the same places
    /// [`CsrMatrix::plan_refill`] is faster.
    ///
    /// # Collective
    /// A sparse exchange of the triplets for other ranks' rows.
    ///
    /// # Errors
    /// A triplet outside the matrix or not in its pattern; the matrix is then unchanged.
    pub fn add_entries(&mut self, entries: impl IntoIterator<Item = (Gid, Gid, T)>) -> Result<()> {
        let (places, values): (Vec<_>, Vec<T>) =
            entries.into_iter().map(|(row, column, value)| ((row, column), value)).unzip();
        let plan = self.plan_refill(places, Duplicates::Add)?;
        let received = plan.exchange(&self.shape, &values, 1)?;
        let mut sums = memory::zeros::<T>(self.local_entries());
        plan.contributions().fill([&values, &received], 1, 0, &mut sums);
        self.local_mut().update_values(|values| {
            // Adding zero would change the sign of a negative one.
            let added = values.iter_mut().zip(&sums).filter(|(_, sum)| **sum != T::ZERO);
            added.for_each(|(value, &sum)| *value += sum);
        });
        Ok(())
    }

    /// Multiplies every entry by `factor`.
    ///
    /// # Collective
    /// No messages.
    pub fn scale(&mut self, factor: T) {
        self.local_mut().update_values(|values| values.iter_mut().for_each(|value| *value *= factor));
    }

    /// Multiplies row `i` by `factors[i]`: `diag(factors) A`.
    ///
    /// # Collective
    /// No messages.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if `factors` is not on the range.
    pub fn scale_rows(&mut self, factors: &Vector<T>) -> Result<()> {
        self.shape.range.require_same(factors.layout(), "row scaling")?;
        let factors = factors.owned();
        self.local_mut().update_rows(|row, _, values| values.iter_mut().for_each(|value| *value *= factors[row]));
        Ok(())
    }

    /// Multiplies column `j` by `factors[j]`: `A diag(factors)`.
    ///
    /// # Collective
    /// Neighbors exchange ghost entries of the factors.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if `factors` is not on the domain.
    pub fn scale_columns(&mut self, factors: &Vector<T>) -> Result<()> {
        self.shape.domain.require_same(factors.layout(), "column scaling")?;
        let shape = Rc::clone(&self.shape);
        let ghosts = shape.plan.start_import(factors.owned(), 1).finish();
        let (factors, owned) = (factors.owned(), shape.columns.owned());
        self.local_mut().update_rows(|_, columns, values| {
            for (value, column) in values.iter_mut().zip(columns.iter().map(|&column| at(column))) {
                *value *= if column < owned { factors[column] } else { ghosts[column - owned] };
            }
        });
        Ok(())
    }
}
