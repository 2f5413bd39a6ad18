//! Sums of two matrices whose patterns may differ.
//!
//! Rows of both are in ascending global columns, and so is their union: a merge, and for a result
//! that is there already a walk along three rows at once.

use crate::csr::assembly::sorted_rows::Rows;
use crate::csr::ghost_columns::{Columns, Numbers};
use crate::csr::kernels::LocalCsr;
use crate::csr::matrix::{CsrMatrix, Pattern, Shape};
use crate::error::{Error, Result};
use crate::index::Lid;
use crate::profile::{self, Event};
use crate::scalar::Scalar;

/// Numbers of the summands' columns in their sum; made by [`CsrMatrix::plan_add`].
///
/// Memory: 4 bytes for each ghost column of the summands.
pub struct AddPlan {
    result: Pattern,
    summands: [Pattern; 2],
    numbers: [Numbers; 2],
}

/// A matrix, its factor, and the numbers of its columns in a sum.
struct Summand<'m, T> {
    factor: T,
    local: &'m LocalCsr<T>,
    numbers: &'m Numbers,
}

impl<T: Scalar> CsrMatrix<T> {
    /// Computes the sum `alpha A + beta B` of this matrix and `other`; its pattern is the union of both.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`]; more than 2^32 - 1 columns on one rank.
    pub fn add(&self, alpha: T, other: &CsrMatrix<T>, beta: T) -> Result<CsrMatrix<T>> {
        self.require_same_layouts(other, "sum of two matrices")?;
        let _event = sum_event([self, other]);
        let Shape { range, domain, columns, .. } = &*self.shape;
        let joined = columns.joined(domain.global_len(), other.shape.columns.ghosts().gids());
        let columns = self.comm().agree(joined)?.0.columns;
        let numbers = [self, other].map(|matrix| matrix.shape.columns.numbers_in(&columns));
        let summands = summands([alpha, beta], [self, other], &numbers);
        let mut rows = Rows::empty();
        for row in 0..self.local.rows() {
            let from = rows.columns.len();
            merge(&columns, summands.each_ref().map(|summand| summand.columns(row)), &mut rows.columns);
            rows.values.resize(rows.columns.len(), T::ZERO);
            add_row(&summands, row, &rows.columns[from..], &mut rows.values[from..]);
            rows.starts.push(rows.columns.len());
        }
        CsrMatrix::from_numbered(range, domain, columns, rows)
    }

    /// Plans to refill this matrix with sums of matrices that have the patterns of `a` and `b`. Its
    /// own pattern may be larger than their union.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::PatternMismatch`] if an entry of `a` or `b` is not
    /// stored in this matrix, on any rank.
    pub fn plan_add(&self, a: &CsrMatrix<T>, b: &CsrMatrix<T>) -> Result<AddPlan> {
        let operation = "plan of a sum of two matrices";
        self.require_same_layouts(a, operation)?;
        self.require_same_layouts(b, operation)?;
        let numbers = [a, b].map(|matrix| matrix.shape.columns.numbers_in(&self.shape.columns));
        let summands = summands([T::ONE; 2], [a, b], &numbers);
        let mut sums = Vec::new();
        let fits = (0..self.local.rows()).all(|row| {
            let (columns, values) = self.local.row(row);
            sums.clear();
            sums.resize(values.len(), T::ZERO);
            add_row(&summands, row, columns, &mut sums)
        });
        self.comm().agree(fits.then_some(()).ok_or(Error::PatternMismatch { operation }))?;
        Ok(AddPlan { result: Pattern::of(self), summands: [a, b].map(Pattern::of), numbers })
    }

    /// Replaces all values by those of `alpha A + beta B`; stored entries that neither has become
    /// zero.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::PatternMismatch`] if the plan was made for other patterns, on any rank; the matrix
    /// is then unchanged.
    pub fn refill_add(&mut self, plan: &AddPlan, alpha: T, a: &CsrMatrix<T>, beta: T, b: &CsrMatrix<T>) -> Result<()> {
        let planned = plan.result.is_of(self) && plan.summands[0].is_of(a) && plan.summands[1].is_of(b);
        let operation = "refill with a sum of two matrices";
        self.comm().agree(planned.then_some(()).ok_or(Error::PatternMismatch { operation }))?;
        let _event = sum_event([a, b]);
        let summands = summands([alpha, beta], [a, b], &plan.numbers);
        self.local_mut().update_rows(|row, columns, values| {
            add_row(&summands, row, columns, values);
        });
        Ok(())
    }

    fn require_same_layouts(&self, other: &CsrMatrix<T>, operation: &'static str) -> Result<()> {
        self.shape.range.require_same(&other.shape.range, operation)?;
        self.shape.domain.require_same(&other.shape.domain, operation)
    }
}

/// Computes an event that counts the products with the factors.
fn sum_event<T: Scalar>(summands: [&CsrMatrix<T>; 2]) -> Event {
    let products: usize = summands.iter().map(|matrix| matrix.local_entries()).sum();
    profile::operation("MatAXPY").flops((products * if T::COMPLEX { 6 } else { 1 }) as u64)
}

fn summands<'m, T: Scalar>(
    factors: [T; 2],
    matrices: [&'m CsrMatrix<T>; 2],
    numbers: &'m [Numbers; 2],
) -> [Summand<'m, T>; 2] {
    std::array::from_fn(|k| Summand { factor: factors[k], local: &matrices[k].local, numbers: &numbers[k] })
}

impl<T: Scalar> Summand<'_, T> {
    /// Columns of a row, as numbered in the sum.
    fn columns(&self, row: usize) -> impl Iterator<Item = Lid> {
        self.local.row(row).0.iter().map(|&column| self.numbers.of(column))
    }

    /// Returns the scaled entries of a row.
    fn entries(&self, row: usize) -> impl Iterator<Item = (Lid, T)> {
        self.columns(row).zip(self.local.row(row).1.iter().map(|&value| self.factor * value))
    }
}

/// Appends the union of two rows in ascending global columns.
fn merge(columns: &Columns, [a, b]: [impl Iterator<Item = Lid>; 2], union: &mut Vec<Lid>) {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    while let (Some(&one), Some(&other)) = (a.peek(), b.peek()) {
        let (rank, other_rank) = (columns.rank_of(one), columns.rank_of(other));
        union.push(if rank <= other_rank { one } else { other });
        if rank <= other_rank {
            a.next();
        }
        if other_rank <= rank {
            b.next();
        }
    }
    union.extend(a);
    union.extend(b);
}

/// Computes a row of the sum at the given columns; whether they hold all entries of both summands.
fn add_row<T: Scalar>(summands: &[Summand<'_, T>; 2], row: usize, columns: &[Lid], values: &mut [T]) -> bool {
    let [mut a, mut b] = summands.each_ref().map(|summand| summand.entries(row).peekable());
    for (value, &column) in values.iter_mut().zip(columns) {
        let here = |entry: &(Lid, T)| entry.0 == column;
        *value = match (a.next_if(here), b.next_if(here)) {
            (Some((_, a)), Some((_, b))) => a + b,
            (Some((_, one)), None) | (None, Some((_, one))) => one,
            (None, None) => T::ZERO,
        };
    }
    a.next().is_none() && b.next().is_none()
}
