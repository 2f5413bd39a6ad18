//! Rows of prescribed unknowns (Dirichlet conditions): equations that say `diagonal x[i] = diagonal value[i]`.
//!
//! Which rows are meant travels along the plans that are there: from the ranks that name them to their owners, and from
//! the owners to the ranks that store entries of these columns.

use std::rc::Rc;

use crate::csr::matrix::CsrMatrix;
use crate::error::{Error, Result};
use crate::exchange::{Combine, ExchangePlan};
use crate::index::{Gid, at};
use crate::index_map::IndexMap;
use crate::profile;
use crate::scalar::Scalar;
use crate::vector::Vector;

impl<T: Scalar> CsrMatrix<T> {
    /// Replaces rows by `diagonal` on the main diagonal and zeros beside it (PETSc `MatZeroRows`). The pattern stays as
    /// it is.
    ///
    /// Each rank names any rows, wherever they live and however often. With `boundary`, values `x` on the domain and a
    /// right-hand side `b` on the range, `b[i]` becomes `diagonal x[i]` in these rows.
    ///
    /// # Collective
    /// A plan between the ranks that name rows and their owners. All ranks give the same `diagonal`.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] for a row past the end, or [`Error::NotStored`] if `diagonal` is not zero and a named
    /// row stores no entry there, on any rank; [`Error::LayoutMismatch`] if the matrix has other rows than columns, or
    /// `boundary` does not fit it; [`Error::RanksDisagree`]. Nothing is changed then.
    ///
    /// # Examples
    /// ```no_run
    /// # use dolmen_core::{CsrMatrix, Result, Vector};
    /// # fn f(a: &mut CsrMatrix<f64>, x: &Vector<f64>, b: &mut Vector<f64>) -> Result<()> {
    /// let last = b.global_len() - 1;
    /// a.zero_rows(&[0, last], 1.0, Some((x, b)))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn zero_rows(
        &mut self,
        rows: &[Gid],
        diagonal: T,
        boundary: Option<(&Vector<T>, &mut Vector<T>)>,
    ) -> Result<()> {
        let marks = self.marked_rows("zero_rows", rows, diagonal, boundary.as_ref())?;
        if let Some((x, b)) = boundary {
            prescribe(&marks, diagonal, x, b);
        }
        let own = self.shape.columns.owned();
        self.local_mut().update_rows(|row, columns, values| {
            if marks[row] {
                clear(row, own, columns, values, diagonal);
            }
        });
        Ok(())
    }

    /// Replaces rows as [`CsrMatrix::zero_rows`] does, and the columns of the same numbers by zeros beside the diagonal
    /// (PETSc `MatZeroRowsColumns`): a symmetric matrix stays symmetric. The pattern stays as it is.
    ///
    /// With `boundary`, values `x` and a right-hand side `b`, the known part `a[i][j] x[j]` of the other equations is
    /// subtracted from `b[i]`, in ascending columns, so that the solution in the other rows is the same as after
    /// [`CsrMatrix::zero_rows`]. Without it, `x` is taken to be zero.
    ///
    /// # Collective
    /// As [`CsrMatrix::zero_rows`]; neighbors exchange ghost entries too.
    ///
    /// # Errors
    /// As [`CsrMatrix::zero_rows`].
    pub fn zero_rows_columns(
        &mut self,
        rows: &[Gid],
        diagonal: T,
        boundary: Option<(&Vector<T>, &mut Vector<T>)>,
    ) -> Result<()> {
        let marks = self.marked_rows("zero_rows_columns", rows, diagonal, boundary.as_ref())?;
        let shape = Rc::clone(&self.shape);
        let own = shape.columns.owned();
        let ghost_marks =
            shape.plan.start_import(&marks.iter().map(|&mark| u8::from(mark)).collect::<Vec<_>>(), 1).finish();
        let is_known = |column: usize| if column < own { marks[column] } else { ghost_marks[column - own] != 0 };
        let mut known = boundary.map(|(x, b)| {
            prescribe(&marks, diagonal, x, b);
            (x.owned(), shape.plan.start_import(x.owned(), 1).finish(), b.owned_mut())
        });
        self.local_mut().update_rows(|row, columns, values| {
            if marks[row] {
                return clear(row, own, columns, values, diagonal);
            }
            for (value, column) in values.iter_mut().zip(columns.iter().map(|&column| at(column))) {
                if !is_known(column) {
                    continue;
                }
                if let Some((x, ghosts, b)) = &mut known {
                    b[row] -= *value * if column < own { x[column] } else { ghosts[column - own] };
                }
                *value = T::ZERO;
            }
        });
        Ok(())
    }

    /// Adds `sigma` to each entry of the main diagonal: `A + sigma I`.
    ///
    /// # Collective
    /// All ranks give the same `sigma`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the matrix has other rows than columns, [`Error::NotStored`] if a row stores no entry
    /// on the diagonal, or [`Error::RanksDisagree`]; nothing is changed then.
    pub fn shift(&mut self, sigma: T) -> Result<()> {
        let (range, comm) = (&self.shape.range, self.comm());
        range.require_same(&self.shape.domain, "shift")?;
        comm.compare(|| format!("sigma {sigma:?}"));
        let slots = range.range().map(|row| self.slot(row, row).ok_or(Error::NotStored { row, column: row })).collect();
        let slots: Vec<usize> = comm.agree::<_, Error>(slots)?;
        self.local_mut().update_values(|values| slots.into_iter().for_each(|slot| values[slot] += sigma));
        Ok(())
    }

    /// Returns this rank's rows that any rank names.
    ///
    /// # Collective
    fn marked_rows(
        &self,
        operation: &'static str,
        rows: &[Gid],
        diagonal: T,
        boundary: Option<&(&Vector<T>, &mut Vector<T>)>,
    ) -> Result<Vec<bool>> {
        let _event = profile::operation("MatZeroRows");
        let (range, domain, comm) = (&self.shape.range, &self.shape.domain, self.comm());
        let bound = range.global_len();
        comm.compare(|| {
            let values = if boundary.is_some() { "given" } else { "none" };
            format!("{operation}: diagonal {diagonal:?}\nboundary values {values}")
        });
        let map = match rows.iter().find(|row| **row >= bound) {
            Some(&index) => Err(Error::IndexOutOfRange { what: operation, index, bound }),
            None => IndexMap::new(rows.to_vec()),
        };
        let map = comm.agree(map)?;
        range.require_same(domain, operation)?;
        if let Some((x, b)) = boundary {
            domain.require_same(x.layout(), operation)?;
            range.require_same(b.layout(), operation)?;
        }
        let mut marks = vec![0_u8; range.local_len()];
        let plan = ExchangePlan::new(range, &map)?;
        plan.start_export(&vec![1_u8; map.len()], 1).finish(Combine::Max, &mut marks);
        let marks: Vec<bool> = marks.into_iter().map(|mark| mark != 0).collect();
        let missing = range.range().zip(&marks).find(|&(row, mark)| *mark && self.slot(row, row).is_none());
        let stored = match missing {
            Some((row, _)) if diagonal != T::ZERO => Err(Error::NotStored { row, column: row }),
            _ => Ok(marks),
        };
        comm.agree(stored)
    }
}

/// Sets `b[i] = diagonal x[i]` in the marked rows.
fn prescribe<T: Scalar>(marks: &[bool], diagonal: T, x: &Vector<T>, b: &mut Vector<T>) {
    let marked = b.owned_mut().iter_mut().zip(x.owned()).zip(marks).filter(|(_, mark)| **mark);
    marked.for_each(|((b, &x), _)| *b = diagonal * x);
}

/// Leaves the diagonal of a row.
fn clear<T: Scalar>(row: usize, own: usize, columns: &[u32], values: &mut [T], diagonal: T) {
    for (value, column) in values.iter_mut().zip(columns.iter().map(|&column| at(column))) {
        *value = if column == row && column < own { diagonal } else { T::ZERO };
    }
}
