//! The Galerkin product `P^H A P`.
//!
//! Computed as `P^H (A P)`, row by row of the result. A row of `A P` belongs to a fine row; it goes
//! into the coarse rows of that fine row, few of them. Where `P` has hardly more than one entry a
//! row (plain aggregation) such a row is made when it is wanted and `A P` is never stored; otherwise
//! it is stored, but neither sorted nor made a matrix. Rows of `A P` on other ranks are made there
//! and sent. All ways give the same bits.

use std::cell::RefCell;
use std::rc::Rc;

use crate::csr::columns::Columns;
use crate::csr::local::LocalCsr;
use crate::csr::matrix::{CsrMatrix, Shape};
use crate::csr::product::accumulator::Accumulator;
use crate::csr::product::factor::{Factor, Numbering, import, import_values, number};
use crate::csr::product::multiply::{add_row, append_sorted};
use crate::csr::rows::Rows;
use crate::error::{Error, Result};
use crate::index::{Lid, at};
use crate::scalar::Scalar;

/// What the ranks have told each other about the patterns of `A` and `P`; made by
/// [`CsrMatrix::plan_triple_product`].
///
/// Memory: the rows of `A P`, unless `P` has hardly more than one entry a row.
pub struct TriplePlan<T> {
    result: Rc<Shape>,
    a: Rc<Shape>,
    p: Rc<Shape>,
    work: RefCell<Work<T>>,
}

/// What comes from other ranks, and what is stored of `A P`, with common numbers of coarse columns.
struct Work<T> {
    numbering: Numbering,
    /// Rows of `P` for ghost columns of `A`.
    p_rows: Rows<T>,
    /// Rows of `A P` for ghost columns of `P^H`.
    ap_rows: Rows<T>,
    /// Own rows of `A P`, if they are stored.
    stored: Option<Rows<T>>,
}

impl<T: Scalar> CsrMatrix<T> {
    /// The Galerkin product `P^H A P` of this matrix and a prolongation `p`. Entries that cancel
    /// to zero stay in its pattern. The [adjoint](CsrMatrix::adjoint) of `p` is made and kept in it.
    ///
    /// # Collective
    /// Rows of `P` and of `A P` are sent to neighbours.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the rows and columns of this matrix are not laid out as the
    /// rows of `p`; more than 2^32 - 1 columns on one rank.
    pub fn triple_product(&self, p: &CsrMatrix<T>) -> Result<CsrMatrix<T>> {
        self.require_fine(p, "triple product")?;
        let restriction = p.adjoint()?;
        let mut work = Work::new(self, p, restriction)?;
        work.store(&self.local, p);
        let galerkin = work.galerkin(&self.local, &restriction.local, &p.local);
        let columns = &work.numbering.columns;
        let mut rows = Rows { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        let (mut inner, mut outer) = (Accumulator::new(columns.len()), Accumulator::new(columns.len()));
        for coarse in 0..restriction.local.rows() {
            galerkin.add_row(coarse, &mut inner, &mut outer);
            append_sorted(&mut outer, columns, &mut rows);
        }
        let columns = work.numbering.columns.without_unused(&mut rows.columns);
        CsrMatrix::from_numbered(&p.shape.domain, &p.shape.domain, columns, rows)
    }

    /// Plans to refill this matrix with Galerkin products of matrices that have the patterns of
    /// `a` and `p`. Its own pattern may be larger than that of the product.
    ///
    /// # Collective
    /// Rows of `P` and of `A P` are sent to neighbours.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`]; [`Error::PatternMismatch`] if an entry of the product is not
    /// stored in this matrix; as [`CsrMatrix::triple_product`].
    pub fn plan_triple_product(&self, a: &CsrMatrix<T>, p: &CsrMatrix<T>) -> Result<TriplePlan<T>> {
        let operation = "plan of a triple product";
        a.require_fine(p, operation)?;
        self.shape.range.require_same(&p.shape.domain, operation)?;
        self.shape.domain.require_same(&p.shape.domain, operation)?;
        let restriction = p.adjoint()?;
        let mut work = Work::new(a, p, restriction)?;
        work.store(&a.local, p);
        let fits = self.holds_triple(&work.galerkin(&a.local, &restriction.local, &p.local), &work.numbering.columns);
        self.comm().agree(fits.then_some(()).ok_or(Error::PatternMismatch { operation }))?;
        let [result, a, p] = [self, a, p].map(|matrix| Rc::clone(&matrix.shape));
        Ok(TriplePlan { result, a, p, work: RefCell::new(work) })
    }

    /// Replaces all values by those of `P^H A P`, with the bits of [`CsrMatrix::triple_product`];
    /// stored entries that the product lacks become zero.
    ///
    /// # Collective
    /// Values of rows of `P` and of `A P` are sent to neighbours.
    ///
    /// # Errors
    /// [`Error::PatternMismatch`] if the plan was made for other patterns, on any rank; the matrix
    /// is then unchanged.
    pub fn refill_triple_product(&mut self, plan: &TriplePlan<T>, a: &CsrMatrix<T>, p: &CsrMatrix<T>) -> Result<()> {
        let planned =
            Rc::ptr_eq(&self.shape, &plan.result) && Rc::ptr_eq(&a.shape, &plan.a) && Rc::ptr_eq(&p.shape, &plan.p);
        let operation = "refill with a triple product";
        self.comm().agree(planned.then_some(()).ok_or(Error::PatternMismatch { operation }))?;
        let restriction = p.adjoint()?;
        let mut work = plan.work.borrow_mut();
        work.refresh(a, p, restriction);
        let numbers = self.shape.columns.numbers_in(&work.numbering.columns);
        let galerkin = work.galerkin(&a.local, &restriction.local, &p.local);
        let width = work.numbering.columns.len();
        let (mut inner, mut outer) = (Accumulator::new(width), Accumulator::new(width));
        self.local_mut().update_rows(|coarse, columns, values| {
            galerkin.add_row(coarse, &mut inner, &mut outer);
            numbers.read(&outer, columns, values);
        });
        Ok(())
    }

    fn require_fine(&self, p: &CsrMatrix<T>, operation: &'static str) -> Result<()> {
        self.shape.domain.require_same(&p.shape.range, operation)?;
        self.shape.range.require_same(&p.shape.range, operation)
    }

    /// Whether every entry of the product is stored.
    fn holds_triple(&self, galerkin: &Galerkin<'_, T>, columns: &Columns) -> bool {
        let numbers = self.shape.columns.numbers_in(columns);
        let (mut inner, mut outer) = (Accumulator::new(columns.len()), Accumulator::new(columns.len()));
        let mut stored = Accumulator::<T>::new(columns.len() + 1);
        (0..self.local.rows()).all(|coarse| {
            stored.begin();
            self.local.row(coarse).0.iter().for_each(|&column| stored.add(numbers.of(column), T::ZERO));
            galerkin.add_row(coarse, &mut inner, &mut outer);
            outer.touched().iter().all(|&column| stored.get(column).is_some())
        })
    }
}

impl<T: Scalar> Work<T> {
    /// Brings what is needed from other ranks and numbers the coarse columns.
    ///
    /// # Collective
    fn new(a: &CsrMatrix<T>, p: &CsrMatrix<T>, restriction: &CsrMatrix<T>) -> Result<Work<T>> {
        let (comm, bound) = (a.comm(), p.shape.domain.global_len());
        let imported = import(&a.shape.plan, p);
        let (numbering, columns) = comm.agree(number(&p.shape.columns, bound, &imported.columns))?;
        let mut p_rows = Rows { starts: imported.starts, columns, values: imported.values };
        let factor = Factor::new(&p.local, &numbering.ghosts, &p_rows);
        let mut sums = Accumulator::new(numbering.columns.len());
        let imported = restriction.shape.plan.import_rows(|row, columns, values| {
            sums.begin();
            add_row(&a.local, row, &factor, &mut sums);
            columns.extend(sums.touched().iter().map(|&number| numbering.columns.to_global(number)));
            values.extend(sums.values());
        });
        let numbered = number(&numbering.columns, bound, &imported.columns);
        let (all, columns) = comm.agree(numbered)?;
        let ap_rows = Rows { starts: imported.starts, columns, values: imported.values };
        let before = numbering.columns.numbers_in(&all.columns);
        let renumber = |numbers: &mut Vec<Lid>| numbers.iter_mut().for_each(|number| *number = before.of(*number));
        let mut ghosts = numbering.ghosts;
        renumber(&mut ghosts);
        renumber(&mut p_rows.columns);
        let numbering = Numbering { columns: all.columns, ghosts };
        Ok(Work { numbering, p_rows, ap_rows, stored: None })
    }

    /// Makes the own rows of `A P`, if they are wanted more than once.
    fn store(&mut self, a: &LocalCsr<T>, p: &CsrMatrix<T>) {
        if 4 * p.local_entries() <= 5 * a.rows() {
            return;
        }
        let factor = Factor::new(&p.local, &self.numbering.ghosts, &self.p_rows);
        let mut sums = Accumulator::new(self.numbering.columns.len());
        let mut rows = Rows { starts: Vec::with_capacity(a.rows() + 1), columns: Vec::new(), values: Vec::new() };
        rows.starts.push(0);
        for row in 0..a.rows() {
            sums.begin();
            add_row(a, row, &factor, &mut sums);
            sums.append(&mut rows.columns, &mut rows.values);
            rows.starts.push(rows.columns.len());
        }
        self.stored = Some(rows);
    }

    /// New values for the same patterns.
    ///
    /// # Collective
    fn refresh(&mut self, a: &CsrMatrix<T>, p: &CsrMatrix<T>, restriction: &CsrMatrix<T>) {
        let Work { numbering, p_rows, ap_rows, stored } = self;
        p_rows.values = import_values(&a.shape.plan, p, &p_rows.starts);
        let factor = Factor::new(&p.local, &numbering.ghosts, p_rows);
        let mut sums = Accumulator::new(numbering.columns.len());
        if let Some(rows) = stored {
            let mut values = &mut rows.values[..];
            for row in 0..a.local.rows() {
                sums.begin();
                add_row(&a.local, row, &factor, &mut sums);
                // The order of first summands is a matter of patterns.
                let (of_row, rest) = values.split_at_mut(sums.touched().len());
                of_row.iter_mut().zip(sums.values()).for_each(|(value, sum)| *value = sum);
                values = rest;
            }
        }
        ap_rows.values = restriction.shape.plan.import_row_values(&ap_rows.starts, |row, values| match stored {
            Some(rows) => values.extend_from_slice(rows.row(row).1),
            None => {
                sums.begin();
                add_row(&a.local, row, &factor, &mut sums);
                values.extend(sums.values());
            }
        });
    }

    fn galerkin<'m>(&'m self, a: &'m LocalCsr<T>, restriction: &'m LocalCsr<T>, p: &'m LocalCsr<T>) -> Galerkin<'m, T> {
        let factor = Factor::new(p, &self.numbering.ghosts, &self.p_rows);
        Galerkin { a, restriction, factor, ap_rows: &self.ap_rows, stored: self.stored.as_ref() }
    }
}

/// Everything that a row of the result is made of.
struct Galerkin<'m, T> {
    a: &'m LocalCsr<T>,
    restriction: &'m LocalCsr<T>,
    factor: Factor<'m, T>,
    ap_rows: &'m Rows<T>,
    stored: Option<&'m Rows<T>>,
}

impl<T: Scalar> Galerkin<'_, T> {
    /// Adds a row of the result up in `outer`; `inner` serves for rows of `A P`.
    #[inline]
    fn add_row(&self, coarse: usize, inner: &mut Accumulator<T>, outer: &mut Accumulator<T>) {
        outer.begin();
        let (fine, weights) = self.restriction.row(coarse);
        for (&fine, &weight) in fine.iter().zip(weights) {
            let fine = at(fine);
            let stored = match fine.checked_sub(self.a.rows()) {
                Some(ghost) => Some(self.ap_rows.row(ghost)),
                None => self.stored.map(|rows| rows.row(fine)),
            };
            if let Some((columns, values)) = stored {
                columns.iter().zip(values).for_each(|(&column, &value)| outer.add(column, weight * value));
            } else {
                inner.begin();
                add_row(self.a, fine, &self.factor, inner);
                inner.touched().iter().zip(inner.values()).for_each(|(&column, sum)| outer.add(column, weight * sum));
            }
        }
    }
}
