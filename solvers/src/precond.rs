//! Preconditioners: operators that approximate the inverse of another one.
//!
//! A rank by itself applies a [`LocalSolver`](local::LocalSolver) to its own matrix. A preconditioner of
//! all ranks is a [`LinearOperator`](dolmen_core::LinearOperator), which may be made of
//! local solvers. Every preconditioner is linear and the same from one application to the next, has
//! its adjoint, and, if it keeps anything that depends on the pattern of its matrix, takes new values
//! (`refill`) without finding that again. A setup that fails on one rank fails on all, and names the
//! row. One that a program writes itself, PETSc's shell, is a [`FnOperator`](dolmen_core::FnOperator).

mod block_jacobi;
pub(crate) mod chebyshev;
mod column_scaling;
pub(crate) mod composite;
mod condition;
mod direct;
mod equilibrated;
mod factors;
mod forward;
mod ic;
mod ilu;
pub(crate) mod ilut;
pub(crate) mod jacobi;
mod local;
mod lu;
mod matching;
mod permuted;
pub(crate) mod point_block_jacobi;
mod scattered;
mod schwarz;
mod single_precision;
pub(crate) mod sor;
mod triangular;

pub use block_jacobi::BlockJacobi;
pub(crate) use block_jacobi::require_square;
pub use chebyshev::ChebyshevPolynomial;
pub use column_scaling::ColumnScaling;
pub use composite::{Additive, Multiplicative};
pub use direct::Direct;
pub use equilibrated::Equilibrated;
pub use ic::Ic;
pub use ilu::Ilu;
pub use ilut::Ilut;
pub use jacobi::Jacobi;
pub use local::LocalSolver;
pub use lu::{Cholesky, Ldlt, Lu};
pub use permuted::Permuted;
pub use point_block_jacobi::PointBlockJacobi;
pub use schwarz::{AdditiveSchwarz, Schwarz};
pub use single_precision::SinglePrecision;
pub use sor::{Sor, Sweep};
