//! Complete sparse factorisations on one rank: LU, Cholesky and `L D L^H`, by the faer library.
//!
//! A factorisation of a matrix that is singular to working precision does not fail by itself: it
//! divides by a rounding error and goes on. So each one is asked for the condition of the matrix,
//! for the price of about ten solves, before it is given out. Factorisations of Hermitian matrices
//! begin with a copy of the lower triangle, so that neither they nor any check sees the upper one.

use std::borrow::Cow;

use dolmen_core::index::at;
use dolmen_core::{Lid, Real, Scalar, SerialCsr};

use crate::error::{Defect, Error, Result};
use crate::precond::condition::{Meant, backward_error, condition};
use crate::precond::factors::{Factors, Failure, Kind, symbolic};
use crate::precond::local::{LocalSolver, check, unfit};

/// Backward error above which a factorisation without pivoting is refused, as a power of the precision.
const ACCEPTED_ERROR: f64 = 0.5;

/// A factorisation together with the pattern that it is good for.
struct Factored<T> {
    method: &'static str,
    kind: Kind,
    starts: Box<[usize]>,
    columns: Box<[Lid]>,
    factors: Box<dyn Factors<T>>,
    condition: f64,
}

impl<T: Scalar> Factored<T> {
    fn new(method: &'static str, kind: Kind, a: &SerialCsr<T>) -> Result<Factored<T>> {
        let a = &*seen(kind, a);
        check(method, a)?;
        let factors = symbolic(kind, a).map_err(|failure| refused(method, kind, failure))?;
        let (starts, columns) = (a.row_offsets().into(), a.column_indices().into());
        let mut factored = Factored { method, kind, starts, columns, factors, condition: 0.0 };
        factored.numeric(a)?;
        Ok(factored)
    }

    /// Factors the entries that [`seen`] gave.
    fn numeric(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let (method, kind) = (self.method, self.kind);
        let meant = Meant { entries: a, hermitian: kind != Kind::Lu };
        if let Some(row) = meant.row_sums().iter().position(|sum| *sum == 0.0) {
            return Err(unfit(method, row, Defect::ZeroRow));
        }
        self.factors.numeric(a).map_err(|failure| refused(method, kind, failure))?;
        self.condition = condition(meant, self);
        let precision = T::Real::EPSILON.to_f64();
        if self.condition.is_nan() || self.condition > 1.0 / precision {
            return Err(Error::Singular { method, condition: self.condition });
        }
        let error = backward_error(meant, self);
        if kind == Kind::Ldlt && (error.is_nan() || error > precision.powf(ACCEPTED_ERROR)) {
            return Err(Error::Unstable { method, error });
        }
        Ok(())
    }
}

/// What a factorisation looks at: all of a matrix, or its lower triangle with a real diagonal.
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
        assert_eq!(x.len() + 1, self.starts.len(), "invariant: an entry for each row");
        self.factors.solve(x, false);
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        assert_eq!(x.len() + 1, self.starts.len(), "invariant: an entry for each row");
        self.factors.solve(x, true);
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let a = &*seen(self.kind, a);
        check(self.method, a)?;
        if *self.starts != *a.row_offsets() || *self.columns != *a.column_indices() {
            let rows = 0..a.rows().min(self.starts.len() - 1);
            let columns = |row: usize| self.columns.get(self.starts[row]..self.starts[row + 1]);
            let other = rows.clone().find(|&row| columns(row) != Some(a.row(row).0));
            return Err(unfit(self.method, other.unwrap_or(rows.end), Defect::NotInPattern));
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
            /// [`Error::Singular`] if the condition estimate is above one over the precision.
            pub fn new(a: &SerialCsr<T>) -> Result<$name<T>> {
                Ok($name(Factored::new($method, Kind::$name, a)?))
            }

            /// An estimate of the condition number in the 1-norm, rarely more than three times too
            /// small.
            pub fn condition(&self) -> f64 {
                self.0.condition
            }
        }

        impl<T: Scalar> LocalSolver<T> for $name<T> {
            fn solve(&self, x: &mut [T]) {
                self.0.solve(x);
            }

            fn solve_adjoint(&self, x: &mut [T]) {
                self.0.solve_adjoint(x);
            }

            /// The pattern of what is looked at must be the same.
            fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
                self.0.refill(a)
            }
        }
    };
}

direct! {
    /// Sparse LU factorisation with partial pivoting of any matrix that is not singular.
    ///
    /// Memory and time depend on the fill: the factors of a grid of `n` points have of the order of
    /// `n log n` entries in two dimensions and `n^(4/3)` in three, at a value and 8 bytes each.
    Lu, "LU", ""
}

direct! {
    /// Sparse Cholesky factorisation of a Hermitian positive definite matrix, of which only the lower
    /// triangle, with the real parts of the diagonal, is looked at.
    ///
    /// Memory and time depend on the fill, as for [`Lu`], of which it takes about half.
    Cholesky, "Cholesky", "a pivot that is not positive, with its row;"
}

direct! {
    /// Sparse `L D L^H` factorisation of a Hermitian matrix, of which only the lower triangle, with the
    /// real parts of the diagonal, is looked at, with a diagonal `D` of any signs.
    ///
    /// There is no pivoting, so it is for matrices whose pivots are good in any order, such as
    /// quasi-definite ones (Vanderbei, SIAM J. Optim. 5, 1995), and others may be refused as
    /// unstable; [`Lu`] takes those. Memory and time as [`Cholesky`].
    Ldlt, "LDL^H", "a pivot that is zero, with its row; [`Error::Unstable`] if solves with the factors are inaccurate;"
}
