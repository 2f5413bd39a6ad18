//! Krylov methods, one a file, on one driver.
//!
//! A method is an [`iteration::Iteration`]: how to start from a true residual, how to make a step,
//! how to bring the solution up to date, and what its state consists of. Everything that decides
//! about stopping is in [`driver`] and [`course`], once for all methods: whoever adds a method cannot add a false
//! "converged". [`context`] is what a method may use: products, preconditioning, sums; it counts.

pub(crate) mod arnoldi;
pub(crate) mod bicgstab;
pub(crate) mod block_cg;
pub(crate) mod block_driver;
pub(crate) mod cg;
pub(crate) mod cgls;
pub(crate) mod chebyshev;
pub(crate) mod context;
pub(crate) mod course;
pub(crate) mod driver;
pub(crate) mod energies;
pub(crate) mod fgmres;
pub(crate) mod flexible_cg;
pub(crate) mod gcr;
pub(crate) mod gmres;
pub(crate) mod idr;
pub(crate) mod iteration;
pub(crate) mod least_squares;
pub(crate) mod lsmr;
pub(crate) mod lsqr;
pub(crate) mod minres;
pub(crate) mod pipelined_cg;
pub(crate) mod powers;
pub(crate) mod richardson;
pub(crate) mod spectrum;
pub(crate) mod symmetry;
pub(crate) mod symmlq;

use dolmen_core::{LinearOperator, Scalar, Vector};

use crate::error::Result;
use crate::report::SolveReport;

/// A method with its settings, for programs that choose one at run time.
pub trait Solver<T: Scalar> {
    /// Returns the method's name, as in its reports.
    fn name(&self) -> &'static str;

    /// Solves `A x = b` from the guess in `x`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As the `solve` of the method. Not converging is a report, not an error.
    fn solve(&self, a: &dyn LinearOperator<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<SolveReport>;
}
