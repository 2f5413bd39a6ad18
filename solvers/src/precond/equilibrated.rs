//! A local solver of a matrix whose rows and columns are scaled by powers of two.
//!
//! Entries that an approximate factorization drops depend on the units of equations and unknowns,
//! unless they are taken away first. The direct solvers scale for themselves; what drops nothing, or
//! only by the pattern, gives the same with and without.

use dolmen_core::scaling::Equilibration;
use dolmen_core::{Scalar, SerialCsr};

use crate::error::Result;
use crate::precond::local::{LocalSolver, require_square};
use crate::precond::matching::{equilibration, multiplied};

/// A local solver of `S = R A C`, applied as `C M R`, with powers of two `R` and `C` that bring the largest
/// product of entries, one in each row and column, near one, and no other entry above (Duff and
/// Koster, SIAM J. Matrix Anal. Appl. 22, 2001); with none where each such product is zero.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{BlockJacobi, Equilibrated, Ilut, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let m = BlockJacobi::new(a, |block| Equilibrated::new(block, |block| Ilut::new(block, 1e-3, 10)))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Equilibrated<S> {
    scaling: Equilibration,
    solver: S,
}

impl<S> Equilibrated<S> {
    /// Returns what `make` makes of the scaled matrix.
    ///
    /// # Errors
    /// [`Error::NotSquare`](crate::Error::NotSquare); what `make` returns.
    pub fn new<T: Scalar>(a: &SerialCsr<T>, make: impl FnOnce(&SerialCsr<T>) -> Result<S>) -> Result<Equilibrated<S>> {
        let scaling = factors(a)?;
        let solver = make(&multiplied(a, &scaling))?;
        Ok(Equilibrated { scaling, solver })
    }
}

fn factors<T: Scalar>(a: &SerialCsr<T>) -> Result<Equilibration> {
    require_square("equilibration", a)?;
    let ones = || vec![0; a.rows()];
    Ok(equilibration(a).unwrap_or_else(|_| Equilibration { rows: ones(), columns: ones() }))
}

impl<T: Scalar, S: LocalSolver<T>> LocalSolver<T> for Equilibrated<S> {
    fn solve(&self, x: &mut [T]) {
        self.scaling.solve(false, x, |x| self.solver.solve(x));
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        self.scaling.solve(true, x, |x| self.solver.solve_adjoint(x));
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        self.scaling = factors(a)?;
        self.solver.refill(&multiplied(a, &self.scaling))
    }
}
