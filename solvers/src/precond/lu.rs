//! Complete sparse factorisations on one rank: LU, Cholesky and `L D L^H`, by the faer library.
//!
//! A factorisation of a matrix that is singular to working precision does not fail by itself: it
//! divides by a rounding error and goes on. So each one is asked for the condition of the matrix,
//! for the price of about ten solves, before it is given out.

use dolmen_core::{Lid, Real, Scalar, SerialCsr};

use crate::error::{Defect, Error, Result};
use crate::precond::condition::{backward_error, condition};
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
        check(method, a)?;
        let factors = symbolic(kind, a).map_err(|failure| refused(method, kind, failure))?;
        let (starts, columns) = (a.row_offsets().into(), a.column_indices().into());
        let mut factored = Factored { method, kind, starts, columns, factors, condition: 0.0 };
        factored.numeric(a)?;
        Ok(factored)
    }

    fn numeric(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let (method, kind) = (self.method, self.kind);
        let zero = |row: &usize| a.row(*row).1.iter().all(|value| *value == T::ZERO);
        if let Some(row) = (0..a.rows()).find(zero) {
            return Err(unfit(method, row, Defect::ZeroRow));
        }
        self.factors.numeric(a).map_err(|failure| refused(method, kind, failure))?;
        self.condition = condition(a, self);
        let precision = T::Real::EPSILON.to_f64();
        if self.condition.is_nan() || self.condition > 1.0 / precision {
            return Err(Error::Singular { method, condition: self.condition });
        }
        let error = backward_error(a, self);
        if kind == Kind::Ldlt && (error.is_nan() || error > precision.powf(ACCEPTED_ERROR)) {
            return Err(Error::Unstable { method, error });
        }
        Ok(())
    }
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

            /// The pattern must be the same.
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
    /// triangle is looked at.
    ///
    /// Memory and time depend on the fill, as for [`Lu`], of which it takes about half.
    Cholesky, "Cholesky", "a pivot that is not positive, with its row;"
}

direct! {
    /// Sparse `L D L^H` factorisation of a Hermitian matrix, of which only the lower triangle is looked
    /// at, with a diagonal `D` of any signs.
    ///
    /// There is no pivoting, so it is for matrices whose pivots are good in any order, such as
    /// quasi-definite ones (Vanderbei, SIAM J. Optim. 5, 1995), and others may be refused as
    /// unstable; [`Lu`] takes those. Memory and time as [`Cholesky`].
    Ldlt, "LDL^H", "a pivot that is zero, with its row; [`Error::Unstable`] if solves with the factors are inaccurate;"
}
