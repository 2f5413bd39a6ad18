//! Code of the solvers for all types of numbers, compiled with this crate.
//!
//! Up to `opt-level = 1` a crate calls the generic code that a crate below it has compiled, instead of compiling it
//! again. Each program and test that solves would otherwise compile all methods by itself, which takes up to two minutes.

use dolmen_core::{Complex32, Complex64, CsrMatrix, Scalar, Vector};

use crate::{Automatic, AutomaticEigen, GolubKahan, Multigrid, Result};

fn calls<T: Scalar>(a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<()> {
    Automatic::new().solve(a, b, x)?;
    AutomaticEigen::new(1).solve(a)?;
    GolubKahan::new(1).solve_matrix(a)?;
    Multigrid::new(a)?.refill(a)
}

type Calls<T> = fn(&CsrMatrix<T>, &Vector<T>, &mut Vector<T>) -> Result<()>;

#[used]
static COMPILED: (Calls<f32>, Calls<f64>, Calls<Complex32>, Calls<Complex64>) = (calls, calls, calls, calls);
