//! The Galerkin product `P^H A P`.
//!
//! Computed row by row of the result. In general it is `P^H (A P)`, with its bits; `A P` is stored,
//! but neither sorted nor made a matrix. Where `P` has hardly more than one entry a row (plain
//! aggregation), a row of `A P` is wanted hardly more than once, so that summing it beforehand saves
//! nothing: an entry of the result is then the sum of all `conj(p_ki) (a_kl p_lj)` in ascending
//! `k` and, for the same `k`, ascending `l`, and `A P` is never stored. Which way is taken depends
//! on the whole matrix and not on the ranks. Rows of `A P` that other ranks own come from there.

use std::cell::RefCell;

use crate::csr::assembly::sorted_rows::Rows;
use crate::csr::ghost_columns::{Columns, Numbering};
use crate::csr::kernels::LocalCsr;
use crate::csr::matrix::{CsrMatrix, Pattern};
use crate::csr::product::accumulator::{Accumulator, Sums};
use crate::csr::product::factor::Factor;
use crate::csr::product::multiply::each_summand;
use crate::error::{Error, Result};
use crate::index::{Lid, at};
use crate::profile;
use crate::scalar::Scalar;

/// Exchanged information about the patterns of `A` and `P`; made by
/// [`CsrMatrix::plan_triple_product`].
///
/// Memory: the rows of `A P`, unless `P` has hardly more than one entry a row.
pub struct TriplePlan<T> {
    result: Pattern,
    a: Pattern,
    p: Pattern,
    work: RefCell<Work<T>>,
}

/// Rows from other ranks, and the stored rows of `A P`, with common numbers of coarse columns.
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
    /// Computes the Galerkin product `P^H A P` of this matrix and a prolongation `p`. Entries that cancel
    /// to zero stay in its pattern. The [adjoint](CsrMatrix::adjoint) of `p` is made and kept in it.
    ///
    /// # Collective
    /// Rows of `P` and of `A P` are sent to neighbors.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the rows and columns of this matrix are not laid out as the
    /// rows of `p`; more than 2^32 - 1 columns on one rank.
    pub fn triple_product(&self, p: &CsrMatrix<T>) -> Result<CsrMatrix<T>> {
        self.require_fine(p, "triple product")?;
        let _event = profile::operation("MatPtAP");
        let restriction = p.adjoint()?;
        let work = Work::new(self, p, restriction)?;
        let galerkin = work.galerkin(&self.local, &restriction.local, &p.local);
        let columns = &work.numbering.columns;
        let mut rows = Rows::empty();
        let mut sums = Accumulator::new(columns.len());
        for coarse in 0..restriction.local.rows() {
            sums.begin();
            galerkin.each_summand(coarse, |column, summand| sums.add(column, summand));
            sums.append_sorted(columns, &mut rows);
        }
        let columns = work.numbering.columns.without_unused(&mut rows.columns);
        CsrMatrix::from_numbered(&p.shape.domain, &p.shape.domain, columns, rows)
    }

    /// Plans to refill this matrix with Galerkin products of matrices that have the patterns of
    /// `a` and `p`. Its own pattern may be larger than that of the product.
    ///
    /// # Collective
    /// Rows of `P` and of `A P` are sent to neighbors.
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
        let work = Work::new(a, p, restriction)?;
        let fits = self.holds_triple(&work.galerkin(&a.local, &restriction.local, &p.local), &work.numbering.columns);
        self.comm().agree(fits.then_some(()).ok_or(Error::PatternMismatch { operation }))?;
        let [result, a, p] = [self, a, p].map(Pattern::of);
        Ok(TriplePlan { result, a, p, work: RefCell::new(work) })
    }

    /// Replaces all values by those of `P^H A P`, with the bits of [`CsrMatrix::triple_product`];
    /// stored entries that the product lacks become zero.
    ///
    /// # Collective
    /// Values of rows of `P` and of `A P` are sent to neighbors.
    ///
    /// # Errors
    /// [`Error::PatternMismatch`] if the plan was made for other patterns, on any rank; the matrix
    /// is then unchanged.
    pub fn refill_triple_product(&mut self, plan: &TriplePlan<T>, a: &CsrMatrix<T>, p: &CsrMatrix<T>) -> Result<()> {
        let planned = plan.result.is_of(self) && plan.a.is_of(a) && plan.p.is_of(p);
        let operation = "refill with a triple product";
        self.comm().agree(planned.then_some(()).ok_or(Error::PatternMismatch { operation }))?;
        let _event = profile::operation("MatPtAP");
        let restriction = p.adjoint()?;
        let mut work = plan.work.borrow_mut();
        work.refresh(a, p, restriction);
        let numbers = self.shape.columns.numbers_in(&work.numbering.columns);
        let galerkin = work.galerkin(&a.local, &restriction.local, &p.local);
        let mut sums = Sums::new(work.numbering.columns.len() + 1);
        self.local_mut().update_rows(|coarse, columns, values| {
            galerkin.each_summand(coarse, |column, summand| sums.add(column, summand));
            sums.take_row(&numbers, columns, values);
        });
        Ok(())
    }

    fn require_fine(&self, p: &CsrMatrix<T>, operation: &'static str) -> Result<()> {
        self.shape.domain.require_same(&p.shape.range, operation)?;
        self.shape.range.require_same(&p.shape.range, operation)
    }

    /// Returns true if every entry of the product is stored.
    fn holds_triple(&self, galerkin: &Galerkin<'_, T>, columns: &Columns) -> bool {
        let numbers = self.shape.columns.numbers_in(columns);
        let mut stored = Accumulator::<T>::new(columns.len() + 1);
        (0..self.local.rows()).all(|coarse| {
            stored.begin();
            self.local.row(coarse).0.iter().for_each(|&column| stored.add(numbers.of(column), T::ZERO));
            let mut holds = true;
            galerkin.each_summand(coarse, |column, _| holds &= stored.has(column));
            holds
        })
    }
}

impl<T: Scalar> Work<T> {
    /// Makes the own rows of `A P` if they are stored, brings what is needed from other ranks and
    /// numbers the coarse columns.
    ///
    /// # Collective
    fn new(a: &CsrMatrix<T>, p: &CsrMatrix<T>, restriction: &CsrMatrix<T>) -> Result<Work<T>> {
        let (comm, bound) = (a.comm(), p.shape.domain.global_len());
        let imported = p.rows_along(&a.shape.plan);
        let (some, columns) = comm.agree(p.shape.columns.joined(bound, &imported.columns))?;
        let mut p_rows = Rows { starts: imported.starts, columns, values: imported.values };
        let factor = Factor::new(&p.local, &some.own, &p_rows);
        let few = 4 * p.global_entries() <= 5 * p.shape.range.global_len();
        let mut stored = (!few).then(|| unsorted(&a.local, &factor, some.columns.len()));
        let imported = restriction.shape.plan.import_rows(|row, columns, values| {
            let mut push = |column, value| {
                columns.push(some.columns.to_global(column));
                values.push(value);
            };
            match &stored {
                Some(rows) => rows.row(row).0.iter().zip(rows.row(row).1).for_each(|(&j, &value)| push(j, value)),
                None => each_summand(&a.local, row, &factor, push),
            }
        });
        let (all, columns) = comm.agree(some.columns.joined(bound, &imported.columns))?;
        let ap_rows = Rows { starts: imported.starts, columns, values: imported.values };
        let lists = [&mut p_rows.columns].into_iter().chain(stored.as_mut().map(|rows| &mut rows.columns));
        lists.flatten().for_each(|column| *column = all.own.of(*column));
        let numbering = Numbering { own: some.own.then(&all.own), columns: all.columns };
        Ok(Work { numbering, p_rows, ap_rows, stored })
    }

    /// New values for the same patterns.
    ///
    /// # Collective
    fn refresh(&mut self, a: &CsrMatrix<T>, p: &CsrMatrix<T>, restriction: &CsrMatrix<T>) {
        let Work { numbering, p_rows, ap_rows, stored } = self;
        p_rows.values = p.row_values_along(&a.shape.plan, &p_rows.starts);
        let factor = Factor::new(&p.local, &numbering.own, p_rows);
        if let Some(Rows { starts, columns, values }) = stored {
            let mut sums = Sums::new(numbering.columns.len());
            for (row, bounds) in starts.windows(2).enumerate() {
                each_summand(&a.local, row, &factor, |column, summand| sums.add(column, summand));
                let entries = bounds[0]..bounds[1];
                let of_row = values[entries.clone()].iter_mut().zip(&columns[entries]);
                of_row.for_each(|(value, &column)| *value = sums.take(column));
            }
        }
        ap_rows.values = restriction.shape.plan.import_row_values(&ap_rows.starts, |row, values| match stored {
            Some(rows) => values.extend_from_slice(rows.row(row).1),
            None => each_summand(&a.local, row, &factor, |_, value| values.push(value)),
        });
    }

    fn galerkin<'m>(&'m self, a: &'m LocalCsr<T>, restriction: &'m LocalCsr<T>, p: &'m LocalCsr<T>) -> Galerkin<'m, T> {
        let factor = Factor::with_singles(p, &self.numbering.own, &self.p_rows);
        Galerkin { a, restriction, factor, ap_rows: &self.ap_rows, stored: self.stored.as_ref() }
    }
}

/// Returns the rows of a product, each in the order of the first summands of its entries.
fn unsorted<T: Scalar>(left: &LocalCsr<T>, right: &Factor<'_, T>, width: usize) -> Rows<T> {
    let mut rows = right.room(left, [(0..left.rows(), 1)].into_iter());
    let mut sums = Accumulator::new(width);
    for row in 0..left.rows() {
        sums.begin();
        each_summand(left, row, right, |column, summand| sums.add(column, summand));
        sums.append(&mut rows);
    }
    rows
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
    /// Calls `add(column, summand)` for the summands of a row of the result.
    #[inline(always)]
    fn each_summand(&self, coarse: usize, mut add: impl FnMut(Lid, T)) {
        let (fine, weights) = self.restriction.row(coarse);
        for (&fine, &weight) in fine.iter().zip(weights) {
            let fine = at(fine);
            let row = match fine.checked_sub(self.a.rows()) {
                Some(ghost) => Some(self.ap_rows.row(ghost)),
                None => self.stored.map(|rows| rows.row(fine)),
            };
            match row {
                Some((columns, values)) => {
                    columns.iter().zip(values).for_each(|(&column, &value)| add(column, weight * value));
                }
                None => each_summand(self.a, fine, &self.factor, |column, value| add(column, weight * value)),
            }
        }
    }
}
