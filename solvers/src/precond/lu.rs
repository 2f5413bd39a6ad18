//! Complete sparse factorizations on one rank: LU, Cholesky and `L D L^H`, by the faer library.
//!
//! Rows and columns are first scaled by powers of two, which rounds nothing: `S = R A C` is factored,
//! and `A^-1 = C S^-1 R`. So the units of equations and unknowns neither choose the pivots nor make
//! numbers overflow, and the condition that a matrix is judged by is that of `S`.
//!
//! A factorization of a matrix that is singular to working precision does not fail by itself: it
//! divides by a rounding error and goes on. So each one is asked for the condition of the matrix,
//! for the price of about ten solves, and for the backward error of a solve, before it is given out.
//! Factorizations of Hermitian matrices begin with a copy of the lower triangle, so that neither they
//! nor any check sees the upper one.

use std::borrow::Cow;
use std::cell::RefCell;

use dolmen_core::index::at;
use dolmen_core::scaling::{Equilibration, exponent};
use dolmen_core::{Real, Scalar, SerialCsr};

use crate::error::{Defect, Error, Result};
use crate::precond::condition::{Meant, condition, refine, refine_sample};
use crate::precond::factors::{Factors, Failure, Kind, symbolic};
use crate::precond::local::{LocalSolver, check, unfit};
use crate::precond::matching::{equilibration, multiplied};

/// Backward error above which a factorization without pivoting is refused, as a power of the precision.
const ACCEPTED_ERROR: f64 = 0.5;
/// Backward error, in units of the precision, above which each solve is refined.
const REFINED_ERROR: f64 = 256.0;
/// Most steps of refinement of each solve, and of one that is asked to be as accurate as it can be.
const STEPS: [usize; 2] = [2, 5];

/// A factorization of a scaled matrix.
struct Factored<T> {
    method: &'static str,
    kind: Kind,
    scaling: Equilibration,
    /// The scaled matrix, or what is looked at of it.
    matrix: SerialCsr<T>,
    factors: Box<dyn Factors<T>>,
    condition: f64,
    /// Steps of refinement of each solve, and the backward error that they left of a sample.
    steps: usize,
    error: f64,
    work: RefCell<[Vec<T>; 2]>,
}

impl<T: Scalar> Factored<T> {
    fn new(method: &'static str, kind: Kind, a: &SerialCsr<T>) -> Result<Factored<T>> {
        let a = &*seen(kind, a);
        check(method, a)?;
        let factors = symbolic(kind, a).map_err(|failure| refused(method, kind, failure))?;
        let (scaling, matrix, work) = (Equilibration::default(), a.clone(), RefCell::default());
        let (condition, steps, error) = (0.0, 0, 0.0);
        let mut factored = Factored { method, kind, scaling, matrix, factors, condition, steps, error, work };
        factored.numeric(a)?;
        Ok(factored)
    }

    fn meant(&self) -> Meant<'_, T> {
        Meant { entries: &self.matrix, hermitian: self.kind != Kind::Lu }
    }

    /// Factors the entries that [`seen`] gave.
    fn numeric(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let (method, kind) = (self.method, self.kind);
        let meant = Meant { entries: a, hermitian: kind != Kind::Lu };
        if let Some(row) = meant.occupied().iter().position(|occupied| !occupied) {
            return Err(unfit(method, row, Defect::ZeroRow));
        }
        self.scaling = match kind {
            Kind::Lu => equilibration(a).map_err(|_| Error::Singular { method, condition: f64::INFINITY })?,
            Kind::Cholesky => by_diagonal(a),
            Kind::Ldlt => meant.equilibration(),
        };
        self.matrix = multiplied(a, &self.scaling);
        // What cannot be scaled has entries that are larger than its diagonal allows.
        check(method, &self.matrix).map_err(|error| not_positive(kind, error))?;
        self.factors.numeric(&self.matrix).map_err(|failure| refused(method, kind, failure))?;
        self.condition = condition(self.meant(), &*self.factors);
        let precision = T::Real::EPSILON.to_f64();
        if self.condition.is_nan() || self.condition > 1.0 / precision {
            return Err(Error::Singular { method, condition: self.condition });
        }
        let mut sample = refine_sample(self.meant(), &*self.factors, 0);
        if sample.error.is_nan() || sample.error > REFINED_ERROR * precision {
            sample = refine_sample(self.meant(), &*self.factors, STEPS[0]);
        }
        (self.steps, self.error) = (sample.steps, sample.error);
        *self.work.borrow_mut() = [(); 2].map(|()| vec![T::ZERO; if self.steps > 0 { a.rows() } else { 0 }]);
        if kind == Kind::Ldlt && (self.error.is_nan() || self.error > precision.powf(ACCEPTED_ERROR)) {
            return Err(Error::Unstable { method, error: self.error });
        }
        Ok(())
    }

    /// Computes `x = S^-1 x` or `x = S^-H x`, refined as often as the setup found necessary.
    fn solve_scaled(&self, x: &mut [T], adjoint: bool) {
        let [b, residual] = &mut *self.work.borrow_mut();
        let kept = b.len();
        b.copy_from_slice(&x[..kept]);
        self.factors.solve(x, adjoint);
        for _ in 0..self.steps {
            self.meant().subtract(b, x, residual, adjoint);
            self.factors.solve(residual, adjoint);
            x.iter_mut().zip(&*residual).for_each(|(x, &change)| *x += change);
        }
    }

    fn through(&self, x: &mut [T], adjoint: bool) {
        assert_eq!(x.len(), self.matrix.rows(), "invariant: an entry for each row");
        self.scaling.solve(adjoint, x, |x| self.solve_scaled(x, adjoint));
    }
}

/// Factors of rows, and the same of columns, that bring the diagonal near one; one where it is not positive.
fn by_diagonal<T: Scalar>(a: &SerialCsr<T>) -> Equilibration {
    let power = |row: usize| {
        let diagonal = a.row(row).0.last().filter(|column| at(**column) == row).map(|_| a.row(row).1);
        let size = diagonal.and_then(|values| values.last()).map_or(0.0, |value| value.re().to_f64());
        -exponent(size.max(0.0)).div_euclid(2)
    };
    let rows: Vec<i32> = (0..a.rows()).map(power).collect();
    Equilibration { columns: rows.clone(), rows }
}

/// Returns an entry of a matrix that is not finite once its diagonal is one is far larger than the diagonal.
fn not_positive(kind: Kind, error: Error) -> Error {
    match error {
        Error::Unfit { method, row, .. } if kind == Kind::Cholesky => {
            Error::Unfit { method, row, defect: Defect::NotPositive }
        }
        other => other,
    }
}

/// Returns the part of a matrix that a factorization reads: all of it, or its lower triangle with a real diagonal.
fn seen<T: Scalar>(kind: Kind, a: &SerialCsr<T>) -> Cow<'_, SerialCsr<T>> {
    if kind == Kind::Lu {
        return Cow::Borrowed(a);
    }
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in 0..a.rows() {
        let (indices, entries) = a.row(row);
        for (&column, &value) in indices.iter().zip(entries).take_while(|(column, _)| at(**column) <= row) {
            columns.push(column);
            values.push(if at(column) == row { T::from_parts(value.re().to_f64(), 0.0) } else { value });
        }
        starts.push(values.len());
    }
    let lower = SerialCsr::new(a.columns(), starts, columns, values);
    Cow::Owned(lower.expect("invariant: a part of rows is rows"))
}

fn refused(method: &'static str, kind: Kind, failure: Failure) -> Error {
    match failure {
        Failure::Row(row) if kind == Kind::Cholesky => unfit(method, row, Defect::NotPositive),
        Failure::Row(row) => unfit(method, row, Defect::ZeroPivot),
        Failure::Singular => Error::Singular { method, condition: f64::INFINITY },
        Failure::Memory => Error::OutOfMemory { method },
    }
}

impl<T: Scalar> LocalSolver<T> for Factored<T> {
    fn solve(&self, x: &mut [T]) {
        self.through(x, false);
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        self.through(x, true);
    }

    fn solve_refined(&self, x: &mut [T]) -> Option<f64> {
        assert_eq!(x.len(), self.matrix.rows(), "invariant: an entry for each row");
        let mut error = 0.0;
        self.scaling.solve(false, x, |x| error = refine(self.meant(), &*self.factors, STEPS[1], x).error);
        Some(error)
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let a = &*seen(self.kind, a);
        check(self.method, a)?;
        let (rows, known) = (a.rows(), &self.matrix);
        if known.row_offsets() != a.row_offsets() || known.column_indices() != a.column_indices() {
            let other = (0..rows.min(known.rows())).find(|&row| known.row(row).0 != a.row(row).0);
            return Err(unfit(self.method, other.unwrap_or(rows.min(known.rows())), Defect::NotInPattern));
        }
        self.numeric(a)
    }
}

macro_rules! direct {
    ($(#[$about:meta])* $name:ident, $method:literal, $errors:literal) => {
        $(#[$about])*
        pub struct $name<T>(Factored<T>);

        impl<T: Scalar> $name<T> {
            /// Factors `a`.
            ///
            /// # Errors
            /// [`Error::NotSquare`]; [`Error::Unfit`] for a row of zeros or a number that is not
            /// finite;
            #[doc = $errors]
            /// [`Error::Singular`] if the condition estimate, of the scaled matrix, is above one over the
            /// precision.
            pub fn new(a: &SerialCsr<T>) -> Result<$name<T>> {
                Ok($name(Factored::new($method, Kind::$name, a)?))
            }

            /// Returns an estimate of the condition number in the 1-norm of the scaled matrix, rarely more than
            /// three times too small.
            pub fn condition(&self) -> f64 {
                self.0.condition
            }

            /// Returns the componentwise backward error of the solve that the setup tried: how much each entry of
            /// the matrix and the right-hand side would have to change, relative to it, to make
            /// that solution exact.
            pub fn backward_error(&self) -> f64 {
                self.0.error
            }
        }

        impl<T: Scalar> LocalSolver<T> for $name<T> {
            fn solve(&self, x: &mut [T]) {
                self.0.solve(x);
            }

            fn solve_adjoint(&self, x: &mut [T]) {
                self.0.solve_adjoint(x);
            }

            fn solve_refined(&self, x: &mut [T]) -> Option<f64> {
                self.0.solve_refined(x)
            }

            /// The pattern of what is looked at must be the same.
            fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
                self.0.refill(a)
            }
        }
    };
}

direct! {
    /// Sparse LU factorization with partial pivoting of any matrix that is not singular.
    ///
    /// Rows and columns are scaled by powers of two so that the product of the entries that become one is the
    /// largest (Duff and Koster, SIAM J. Matrix Anal. Appl. 22, 2001): a matrix whose rows and columns
    /// are in other units is solved as well, and its pivots are those of the scaled matrix.
    ///
    /// Memory and time depend on the fill: the factors of a grid of `n` points have of the order of
    /// `n log n` entries in two dimensions and `n^(4/3)` in three, at a value and 8 bytes each.
    Lu, "LU", ""
}

direct! {
    /// Sparse Cholesky factorization of a Hermitian positive definite matrix, of which only the lower
    /// triangle, with the real parts of the diagonal, is looked at.
    ///
    /// Memory and time depend on the fill, as for [`Lu`], of which it takes about half.
    Cholesky, "Cholesky", "a pivot that is not positive, with its row;"
}

direct! {
    /// Sparse `L D L^H` factorization of a Hermitian matrix, of which only the lower triangle, with the
    /// real parts of the diagonal, is looked at, with a diagonal `D` of any signs.
    ///
    /// There is no pivoting, so it is for matrices whose pivots are good in any order, such as
    /// quasi-definite ones (Vanderbei, SIAM J. Optim. 5, 1995), and others may be refused as
    /// unstable; [`Lu`] takes those. Memory and time as [`Cholesky`].
    Ldlt, "LDL^H", "a pivot that is zero, with its row; [`Error::Unstable`] if solves with the factors are inaccurate;"
}
