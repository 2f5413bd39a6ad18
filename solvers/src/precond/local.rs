//! `LocalSolver`: what one rank does with a matrix of its own, exactly or approximately.
//!
//! A constructor takes a [`SerialCsr`]; [`BlockJacobi`](crate::BlockJacobi),
//! [`AdditiveSchwarz`](crate::AdditiveSchwarz) and [`Direct`](crate::Direct) take the constructor,
//! as a function or a closure that holds its settings, and call it with the part of the distributed
//! matrix that is theirs. So every local solver works in all three places, one written elsewhere
//! too, and a choice at run time is a closure that returns a box.

use std::cell::OnceCell;

use dolmen_core::index::at;
use dolmen_core::scaling::{Equilibration, exponent, largest, scaled};
use dolmen_core::{Comm, Lid, Real, Scalar, SerialCsr};

use crate::error::{Defect, Error, Result};
use crate::precond::matching::equilibration;

/// An exact or approximate inverse `M` of a square matrix on one rank. Never communicates.
pub trait LocalSolver<T: Scalar> {
    /// Computes `x = M x`.
    ///
    /// # Panics
    /// If `x` has not as many entries as the matrix rows, which is a bug of the caller.
    fn solve(&self, x: &mut [T]);

    /// Computes `x = M b`, whatever `x` holds before.
    ///
    /// # Panics
    /// If `b` or `x` has not as many entries as the matrix rows, which is a bug of the caller.
    fn solve_from(&self, b: &[T], x: &mut [T]) {
        x.copy_from_slice(b);
        self.solve(x);
    }

    /// Computes `x = M^H x`.
    ///
    /// # Panics
    /// If `x` has not as many entries as the matrix rows, which is a bug of the caller.
    fn solve_adjoint(&self, x: &mut [T]);

    /// Computes `x = A^-1 x` as accurately as the solver can, where one that is exact up to rounding refines its
    /// solution, and the componentwise backward error that is left; `x = M x` and `None` for all
    /// others.
    ///
    /// # Panics
    /// If `x` has not as many entries as the matrix rows, which is a bug of the caller.
    fn solve_refined(&self, x: &mut [T]) -> Option<f64> {
        self.solve(x);
        None
    }

    /// The same for new values of the matrix, keeping what depends on its pattern only.
    ///
    /// # Errors
    /// [`Error::Unfit`] with the row, as when it was made; a row that has entries outside of the
    /// pattern. The solver is of no use then until another refill succeeds.
    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()>;
}

impl<T: Scalar, S: LocalSolver<T> + ?Sized> LocalSolver<T> for Box<S> {
    fn solve(&self, x: &mut [T]) {
        (**self).solve(x);
    }

    fn solve_from(&self, b: &[T], x: &mut [T]) {
        (**self).solve_from(b, x);
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        (**self).solve_adjoint(x);
    }

    fn solve_refined(&self, x: &mut [T]) -> Option<f64> {
        (**self).solve_refined(x)
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        (**self).refill(a)
    }
}

/// Refuses a matrix that is not square or has a number that is not finite.
pub(super) fn check<T: Scalar>(method: &'static str, a: &SerialCsr<T>) -> Result<()> {
    require_square(method, a)?;
    (0..a.rows()).try_for_each(|row| require_finite(method, row, a.row(row).1))
}

/// Refuses a matrix that is not square.
pub(super) fn require_square<T: Scalar>(method: &'static str, a: &SerialCsr<T>) -> Result<()> {
    let (rows, columns) = (a.rows() as u64, a.columns() as u64);
    if rows == columns { Ok(()) } else { Err(Error::NotSquare { method, rows, columns }) }
}

/// Refuses a row with a number that is not finite.
#[inline(always)]
pub(super) fn require_finite<T: Scalar>(method: &'static str, row: usize, values: &[T]) -> Result<()> {
    let finite = values.iter().all(|value| value.is_finite());
    if finite { Ok(()) } else { Err(unfit(method, row, Defect::NotFinite)) }
}

/// Finds the position of the diagonal among the columns of a row.
#[inline(always)]
pub(super) fn diagonal(method: &'static str, row: usize, columns: &[Lid]) -> Result<usize> {
    // Rows are short, and to count takes less time than to guess where a search by halves goes.
    let position = columns.iter().filter(|column| at(**column) < row).count();
    match columns.get(position) {
        Some(&column) if at(column) == row => Ok(position),
        _ => Err(unfit(method, row, Defect::MissingDiagonal)),
    }
}

/// Returns the error of a local row.
pub(super) fn unfit(method: &'static str, row: usize, defect: Defect) -> Error {
    Error::Unfit { method, row: row as u64, defect }
}

/// The inverses of the pivots of an elimination.
pub(super) struct Pivots<'a, T> {
    a: &'a SerialCsr<T>,
    /// Found when a pivot is small beside its row, since that may be for the units of the columns.
    scaling: OnceCell<Option<Equilibration>>,
}

impl<T: Scalar> Pivots<'_, T> {
    /// Of the elimination of a square matrix.
    pub(super) fn new(a: &SerialCsr<T>) -> Pivots<'_, T> {
        Pivots { a, scaling: OnceCell::new() }
    }

    /// Computes the inverse of the pivot of a row, unless it is zero to the precision of the row that it was computed
    /// from, with its columns as they are and scaled.
    #[inline(always)]
    pub(super) fn inverse(&self, row: usize, pivot: T) -> Option<T> {
        let inverse = T::ONE.quotient(pivot);
        let values = self.a.row(row).1;
        let size = values.iter().map(|value| value.abs().to_f64()).fold(0.0, f64::max);
        let large = |pivot: f64, size: f64| pivot > T::Real::EPSILON.to_f64() * size;
        let good = large(pivot.abs().to_f64(), size) || self.is_large_if_scaled(row, pivot);
        (good && inverse.is_finite()).then_some(inverse)
    }

    #[cold]
    fn is_large_if_scaled(&self, row: usize, pivot: T) -> bool {
        let Some(scaling) = self.scaling.get_or_init(|| equilibration(self.a).ok()) else { return false };
        let size = |column: usize, value: T| {
            scaled(value.abs().to_f64(), scaling.rows[row].saturating_add(scaling.columns[column]))
        };
        let (columns, values) = self.a.row(row);
        let largest = columns.iter().zip(values).map(|(&column, &value)| size(at(column), value)).fold(0.0, f64::max);
        size(row, pivot) > T::Real::EPSILON.to_f64() * largest
    }
}

/// Computes the Euclidean norm, whose squares stay in the range of numbers.
pub(super) fn norm2<T: Scalar>(values: &[T]) -> f64 {
    let near_one = exponent(largest(values));
    let square = |value: &T| {
        let size = scaled(value.abs().to_f64(), -near_one);
        size * size
    };
    scaled(values.iter().map(square).sum::<f64>().sqrt(), near_one)
}

/// Ends a local setup: the same error on all ranks, with rows in their global numbers.
///
/// # Collective
pub(super) fn agree<S>(comm: &Comm, result: Result<S>, to_global: impl Fn(u64) -> u64) -> Result<S> {
    let renumbered = result.map_err(|error| match error {
        Error::Unfit { method, row, defect } => Error::Unfit { method, row: to_global(row), defect },
        other => other,
    });
    comm.agree(renumbered)
}
