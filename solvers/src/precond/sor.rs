//! Successive over-relaxation, forward, backward or symmetric (Young 1950; Saad, "Iterative Methods
//! for Sparse Linear Systems", 2nd ed., sections 4.1 and 10.2), from a guess of zero.
//!
//! With `A = L + D + U` a forward sweep from zero is `(D / omega + L)^-1`, a backward one
//! `(D / omega + U)^-1`, and one after the other
//! `(D / omega + U)^-1 (2 / omega - 1) D (D / omega + L)^-1`: triangular factors, so that one sweep
//! costs what ILU(0) does. Each further sweep adds that of the residual, which costs a product more.

use std::cell::RefCell;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, SerialCsr};

use crate::error::Result;
use crate::precond::jacobi::invert;
use crate::precond::local::{LocalSolver, check, diagonal, unfit};
use crate::precond::triangular::Ldu;
use crate::settings;

const METHOD: &str = "SOR";

/// The order in which a relaxation visits the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Ascending.
    Forward,
    /// Descending.
    Backward,
    /// Ascending, then descending (SSOR): Hermitian, and positive definite, if the matrix is.
    Symmetric,
}

/// Over-relaxation by sweeps over the rows of a matrix.
///
/// Memory: a value and 4 bytes for each entry of the matrix in the triangles that are swept, up to 36 bytes
/// and 3 values for each row; a copy of the matrix and two vectors for more than one sweep.
#[derive(Clone, Debug)]
pub struct Sor<T> {
    sweep: Sweep,
    omega: f64,
    factors: Ldu<T>,
    further: Option<Further<T>>,
}

/// Data for sweeps after the first one.
#[derive(Clone, Debug)]
struct Further<T> {
    sweeps: usize,
    a: SerialCsr<T>,
    /// The right-hand side and its residual.
    work: RefCell<[Vec<T>; 2]>,
}

impl<T: Scalar> Sor<T> {
    /// Creates a solver with `sweeps` sweeps of relaxation by `omega` over the rows of `a`; 1 is the method of Gauss
    /// and Seidel.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if `omega` is not between 0 and 2 or there is no sweep;
    /// [`Error::NotSquare`](crate::Error::NotSquare), or [`Error::Unfit`](crate::Error::Unfit) for a diagonal entry that is not stored or zero, or
    /// a number that is not finite.
    pub fn new(a: &SerialCsr<T>, sweep: Sweep, omega: f64, sweeps: usize) -> Result<Sor<T>> {
        require(omega, sweeps)?;
        let zeros = || vec![T::ZERO; a.rows()];
        let further = (sweeps > 1).then(|| Further { sweeps, a: a.clone(), work: RefCell::new([zeros(), zeros()]) });
        Ok(Sor { sweep, omega, factors: factors(a, sweep, omega)?, further })
    }

    /// Sweeps with `once`, residuals by what `subtract(a, x, r)` leaves of the right-hand side.
    fn sweeps(&self, x: &mut [T], once: impl Fn(&mut [T]), subtract: impl Fn(&SerialCsr<T>, &[T], &mut [T])) {
        let Some(Further { sweeps, a, work }) = &self.further else { return once(x) };
        let [b, residual] = &mut *work.borrow_mut();
        b.copy_from_slice(x);
        once(x);
        for _ in 1..*sweeps {
            residual.copy_from_slice(b);
            subtract(a, x, residual);
            once(residual);
            x.iter_mut().zip(residual.iter()).for_each(|(x, &change)| *x += change);
        }
    }
}

impl<T: Scalar> LocalSolver<T> for Sor<T> {
    fn solve(&self, x: &mut [T]) {
        self.sweeps(x, |x| self.factors.solve(x), subtract_product);
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        self.sweeps(x, |x| self.factors.solve_adjoint(x), subtract_adjoint_product);
    }

    /// Takes any pattern.
    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let sweeps = self.further.as_ref().map_or(1, |further| further.sweeps);
        *self = Sor::new(a, self.sweep, self.omega, sweeps)?;
        Ok(())
    }
}

/// Refuses settings with which no sweep converges, or none is made.
pub(crate) fn require(omega: f64, sweeps: usize) -> Result<()> {
    let inside = omega > 0.0 && omega < 2.0;
    settings::require(METHOD, "omega", omega, inside, "more than zero and less than two")?;
    settings::require(METHOD, "sweeps", sweeps as f64, sweeps > 0, "one or more")
}

/// Returns the sweep from zero as unit triangles and a diagonal.
fn factors<T: Scalar>(a: &SerialCsr<T>, sweep: Sweep, omega: f64) -> Result<Ldu<T>> {
    check(METHOD, a)?;
    let omega = T::from_parts(omega, 0.0);
    let relaxed = (0..a.rows()).map(|row| Ok(omega * inverse_diagonal(a, row)?)).collect::<Result<Vec<T>>>()?;
    let mut factors = Ldu::with_capacity(a.rows(), a.values().len() / 2);
    let [lower, upper] = [sweep != Sweep::Backward, sweep != Sweep::Forward];
    for row in 0..a.rows() {
        let (columns, values) = a.row(row);
        let entries = || columns.iter().copied().zip(values.iter().copied());
        let below = entries().filter(|(column, _)| lower && at(*column) < row);
        factors.lower.push_row(below.map(|(column, value)| (column, value * relaxed[at(column)])));
        let above = entries().rev().filter(|(column, _)| upper && at(*column) > row);
        factors.upper.push_row(above.map(|(column, value)| (column, value * relaxed[row])));
    }
    let scale = if sweep == Sweep::Symmetric { T::ONE + T::ONE - omega } else { T::ONE };
    factors.inverse.extend(relaxed.iter().map(|&inverse| scale * inverse));
    factors.settle();
    Ok(factors)
}

fn inverse_diagonal<T: Scalar>(a: &SerialCsr<T>, row: usize) -> Result<T> {
    let (columns, values) = a.row(row);
    invert(values[diagonal(METHOD, row, columns)?]).map_err(|defect| unfit(METHOD, row, defect))
}

/// Computes `r = r - A x`.
fn subtract_product<T: Scalar>(a: &SerialCsr<T>, x: &[T], r: &mut [T]) {
    for (row, r) in r.iter_mut().enumerate() {
        let (columns, values) = a.row(row);
        *r -= columns.iter().zip(values).map(|(&column, &value): (&Lid, _)| value * x[at(column)]).sum();
    }
}

/// Computes `r = r - A^H x`.
fn subtract_adjoint_product<T: Scalar>(a: &SerialCsr<T>, x: &[T], r: &mut [T]) {
    for (row, &x) in x.iter().enumerate() {
        let (columns, values) = a.row(row);
        columns.iter().zip(values).for_each(|(&column, value): (&Lid, _)| r[at(column)] -= value.conj() * x);
    }
}
