//! Distributed linear algebra over MPI: vectors, sparse matrices, solvers and parallel files.
//!
//! | module | contents |
//! | --- | --- |
//! | [`core`] | communicators, layouts, vectors, matrices, exchange, operators, reproducible sums |
//! | [`solvers`] | Krylov methods, preconditioners, the automatic choice of both |
//! | [`io`] | files of matrices and vectors in the field's formats, parallel HDF5, checkpoints, FITS |
//!
//! [`prelude`] has the names that most programs use. This crate adds what needs both
//! solvers and files, the `Checkpointer`, and an [`Error`] into which the errors of all three turn by `?`.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use dolmen::prelude::*;
//!
//! fn main() -> ExitCode {
//!     Comm::run(solve)
//! }
//!
//! /// Solves -u'' = 1 on a million points, with u = 0 at both ends.
//! fn solve(comm: &Comm) -> Result<()> {
//!     let rows = 1_000_000;
//!     let layout = Layout::uniform(comm, rows);
//!     let a = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
//!         entries.push(row, 2.0);
//!         (row > 0).then(|| entries.push(row - 1, -1.0));
//!         (row + 1 < rows).then(|| entries.push(row + 1, -1.0));
//!     })?;
//!     let b = Vector::from_fn(&layout, |_| 1.0);
//!     let mut x = Vector::zeros(&layout);
//!     let ic = BlockJacobi::new(&a, Ic::new)?;
//!     let report = Cg::new().rtol(1e-8).preconditioner(&ic).solve(&a, &b, &mut x)?;
//!     if comm.rank() == 0 {
//!         println!("{report}");
//!     }
//!     report.require_converged()?;
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! | feature | default | contents |
//! | --- | --- | --- |
//! | `hdf5` | yes | parallel HDF5, checkpoints |
//! | `fits` | yes | HEALPix maps and tables in FITS |
//! | `metis` | yes | partitions of graphs |
//! | `threads` | no | several threads inside each rank |
//!
//! Without default features the crate needs MPI, libclang (for the bindings to MPI) and OpenBLAS.

#[cfg(feature = "hdf5")]
mod checkpointer;
mod error;
pub mod prelude;

#[cfg(feature = "hdf5")]
pub use checkpointer::{Checkpointer, Resumed};
#[doc(inline)]
pub use dolmen_core as core;
#[doc(inline)]
pub use dolmen_io as io;
#[doc(inline)]
pub use dolmen_solvers as solvers;
pub use error::{Error, Result};

/// The programs in the README and the guide.
#[cfg(all(doctest, feature = "hdf5"))]
mod guide {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/checkpoints.md")]
    struct Checkpoints;
    #[doc = include_str!("../docs/choosing.md")]
    struct Choosing;
    #[doc = include_str!("../docs/concepts.md")]
    struct Concepts;
    #[doc = include_str!("../docs/eigenvalues.md")]
    struct Eigenvalues;
    #[doc = include_str!("../docs/field-split.md")]
    struct FieldSplit;
    #[doc = include_str!("../docs/multigrid.md")]
    struct Multigrid;
    #[doc = include_str!("../docs/nonlinear.md")]
    struct Nonlinear;
    #[doc = include_str!("../docs/tutorial.md")]
    struct Tutorial;
    #[doc = include_str!("../docs/write-your-own.md")]
    struct WriteYourOwn;
}
