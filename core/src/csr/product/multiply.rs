//! The product of two matrices.

use std::cell::RefCell;

use crate::csr::assembly::sorted_rows::Rows;
use crate::csr::ghost_columns::{Columns, Numbering};
use crate::csr::kernels::LocalCsr;
use crate::csr::matrix::{CsrMatrix, Pattern};
use crate::csr::product::accumulator::{Accumulator, Sums};
use crate::csr::product::factor::Factor;
use crate::csr::product::stencil::{Kind, Segment, Stencil, segments};
use crate::error::{Error, Result};
use crate::index::{Lid, at};
use crate::profile;
use crate::scalar::Scalar;

/// Exchanged information about the patterns of two factors; made by
/// [`CsrMatrix::plan_multiply`].
///
/// Memory: 12 bytes and a value for each row and entry that comes from other ranks.
pub struct MultiplyPlan<T> {
    result: Pattern,
    left: Pattern,
    right: Pattern,
    numbering: Numbering,
    imported: RefCell<Rows<T>>,
}

impl<T: Scalar> CsrMatrix<T> {
    /// Computes the product `A B` of this matrix and `right`. Entries that cancel to zero stay in its pattern.
    ///
    /// # Collective
    /// Rows of `right` are sent to the neighbors that have an entry in their column.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the rows of `right` are not laid out as the columns of this
    /// matrix; more than 2^32 - 1 columns on one rank.
    pub fn multiply(&self, right: &CsrMatrix<T>) -> Result<CsrMatrix<T>> {
        self.shape.domain.require_same(&right.shape.range, "product of two matrices")?;
        let event = profile::operation("MatMatMult");
        let (numbering, imported) = import_numbered(self, right)?;
        let factor = Factor::new(&right.local, &numbering.own, &imported);
        let _event = event.flops_of(|| factor.flops(&self.local));
        let mut rows = rows(&self.local, &factor, &numbering.columns);
        let columns = numbering.columns.without_unused(&mut rows.columns);
        CsrMatrix::from_numbered(&self.shape.range, &right.shape.domain, columns, rows)
    }

    /// Plans to refill this matrix with products of matrices that have the patterns of `left` and
    /// `right`. Its own pattern may be larger than that of the product.
    ///
    /// # Collective
    /// Rows of `right` are sent to the neighbors that have an entry in their column.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`]; [`Error::PatternMismatch`] if an entry of the product is not
    /// stored in this matrix; as [`CsrMatrix::multiply`].
    pub fn plan_multiply(&self, left: &CsrMatrix<T>, right: &CsrMatrix<T>) -> Result<MultiplyPlan<T>> {
        self.require_product(left, right, "plan of a product of two matrices")?;
        let (numbering, imported) = import_numbered(left, right)?;
        let factor = Factor::new(&right.local, &numbering.own, &imported);
        let fits = self.holds_product(&left.local, &factor, &numbering.columns);
        let fits = fits.then_some(()).ok_or(Error::PatternMismatch { operation: "plan of a product of two matrices" });
        self.comm().agree(fits)?;
        let [result, left, right] = [self, left, right].map(Pattern::of);
        Ok(MultiplyPlan { result, left, right, numbering, imported: RefCell::new(imported) })
    }

    /// Replaces all values by those of the product of `left` and `right`, with the bits of
    /// [`CsrMatrix::multiply`]; stored entries that the product lacks become zero.
    ///
    /// # Collective
    /// Values of `right` are sent to the neighbors that have an entry in their column.
    ///
    /// # Errors
    /// [`Error::PatternMismatch`] if the plan was made for other patterns, on any rank; the matrix
    /// is then unchanged.
    pub fn refill_multiply(&mut self, plan: &MultiplyPlan<T>, left: &CsrMatrix<T>, right: &CsrMatrix<T>) -> Result<()> {
        let planned = plan.result.is_of(self) && plan.left.is_of(left) && plan.right.is_of(right);
        let operation = "refill with a product of two matrices";
        self.comm().agree(planned.then_some(()).ok_or(Error::PatternMismatch { operation }))?;
        let event = profile::operation("MatMatMult");
        let mut imported = plan.imported.borrow_mut();
        imported.values = right.row_values_along(&left.shape.plan, &imported.starts);
        let factor = Factor::new(&right.local, &plan.numbering.own, &imported);
        let _event = event.flops_of(|| factor.flops(&left.local));
        let all = &plan.numbering.columns;
        let numbers = self.shape.columns.numbers_in(all);
        let segments = segments(&left.local, &factor, Some(&self.local));
        let mut sums = Sums::new(all.len() + 1);
        let mut stencil = Stencil::default();
        self.local_mut().update(|pattern, values| {
            for segment in &segments {
                let Segment { rows, kind } = segment;
                if *kind != Kind::Any {
                    stencil.find(left.local.row(rows.start).0, &right.local);
                    let first = pattern.entries(rows.start);
                    if stencil.columns() == pattern.columns(rows.start) {
                        let values = &mut values[first.start..][..rows.len() * first.len()];
                        stencil.fill(segment, &left.local, &right.local, values);
                        continue;
                    }
                }
                for row in rows.clone() {
                    each_summand(&left.local, row, &factor, |column, summand| sums.add(column, summand));
                    sums.take_row(&numbers, pattern.columns(row), &mut values[pattern.entries(row)]);
                }
            }
        });
        Ok(())
    }

    fn require_product(&self, left: &CsrMatrix<T>, right: &CsrMatrix<T>, operation: &'static str) -> Result<()> {
        left.shape.domain.require_same(&right.shape.range, operation)?;
        self.shape.range.require_same(&left.shape.range, operation)?;
        self.shape.domain.require_same(&right.shape.domain, operation)
    }

    /// Returns true if every entry of the product is stored.
    fn holds_product(&self, left: &LocalCsr<T>, right: &Factor<'_, T>, columns: &Columns) -> bool {
        let numbers = self.shape.columns.numbers_in(columns);
        let mut stored = Accumulator::<T>::new(columns.len() + 1);
        segments(left, right, Some(&self.local)).into_iter().all(|Segment { mut rows, kind }| {
            if kind != Kind::Any {
                rows.end = rows.start + 1;
            }
            rows.into_iter().all(|row| {
                stored.begin();
                self.local.row(row).0.iter().for_each(|&column| stored.add(numbers.of(column), T::ZERO));
                let mut holds = true;
                for &inner in left.row(row).0 {
                    right.each(inner, |column, _| holds &= stored.has(column));
                }
                holds
            })
        })
    }
}

/// Brings the rows of `right` that `left` needs from other ranks, and numbers their columns.
fn import_numbered<T: Scalar>(left: &CsrMatrix<T>, right: &CsrMatrix<T>) -> Result<(Numbering, Rows<T>)> {
    let imported = right.rows_along(&left.shape.plan);
    let numbered = right.shape.columns.joined(right.shape.domain.global_len(), &imported.columns);
    let (numbering, columns) = left.comm().agree(numbered)?;
    Ok((numbering, Rows { starts: imported.starts, columns, values: imported.values }))
}

/// Calls `add(column, summand)` for the summands of a row of a product.
#[inline(always)]
pub(super) fn each_summand<T: Scalar>(
    left: &LocalCsr<T>,
    row: usize,
    right: &Factor<'_, T>,
    mut add: impl FnMut(Lid, T),
) {
    let (inner, weights) = left.row(row);
    if let Some(entries) = right.singles() {
        for (&inner, &weight) in inner.iter().zip(weights) {
            let (column, value) = entries[at(inner)];
            add(column, weight * value);
        }
        return;
    }
    for (&inner, &weight) in inner.iter().zip(weights) {
        right.each(inner, |column, value| add(column, weight * value));
    }
}

/// Returns the rows of a product, in ascending global columns.
fn rows<T: Scalar>(left: &LocalCsr<T>, right: &Factor<'_, T>, columns: &Columns) -> Rows<T> {
    let segments = segments(left, right, None);
    let mut product = right.room(
        left,
        segments.iter().map(|segment| match segment.kind {
            Kind::Any => (segment.rows.clone(), 1),
            _ => (segment.rows.start..segment.rows.start + 1, segment.rows.len()),
        }),
    );
    let mut sums = Accumulator::new(columns.len());
    let mut stencil = Stencil::default();
    for segment in segments {
        if segment.kind == Kind::Any {
            for row in segment.rows {
                sums.begin();
                each_summand(left, row, right, |column, summand| sums.add(column, summand));
                sums.append_sorted(columns, &mut product);
            }
        } else {
            stencil.find(left.row(segment.rows.start).0, right.own());
            stencil.append(&segment, left, right.own(), &mut product);
        }
    }
    product
}
