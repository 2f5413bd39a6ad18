//! Krylov methods, one a file, on one driver.
//!
//! A method is a [`method::Iteration`]: how to start from a true residual, how to make a step,
//! how to bring the solution up to date, and what its state consists of ([`snapshot_state`]). Everything that
//! decides about stopping is in [`driver`] and [`stopping`], once for all methods: whoever adds a method cannot add a
//! false "converged". [`problem`] is what a method may use: products, preconditioning, sums; it counts. [`solver`] has
//! the settings and the `solve` that users call.

pub(crate) mod arnoldi;
pub(crate) mod bicgstab;
pub(crate) mod block_cg;
pub(crate) mod block_column;
pub(crate) mod block_driver;
pub(crate) mod cg;
pub(crate) mod cgls;
pub(crate) mod chebyshev;
pub(crate) mod driver;
pub(crate) mod energies;
pub(crate) mod fgmres;
pub(crate) mod flexible_cg;
pub(crate) mod gcr;
pub(crate) mod gmres;
pub(crate) mod idr;
pub(crate) mod least_squares;
pub(crate) mod lsmr;
pub(crate) mod lsqr;
pub(crate) mod method;
pub(crate) mod minres;
pub(crate) mod pipelined_cg;
pub(crate) mod powers;
pub(crate) mod problem;
pub(crate) mod richardson;
pub(crate) mod snapshot_state;
pub(crate) mod solver;
pub(crate) mod spectrum;
pub(crate) mod stopping;
pub(crate) mod symmetry;
pub(crate) mod symmlq;
