//! Distributed linear algebra over MPI: vectors, sparse matrices, graphs, exchange, reproducible sums.
//!
//! The crate is cut along a few ideas:
//!
//! - a [`Comm`] is a group of ranks; it is the only thing that talks to MPI;
//! - a [`Layout`] says which rank owns which global rows, an [`IndexMap`] which global ids a rank
//!   has besides, and an [`ExchangePlan`] moves values between the two;
//! - a [`Vector`] holds owned entries only, and its inner products and norms have the same bits on
//!   any number of ranks ([`reduce`] explains how);
//! - everything that acts on vectors is a [`LinearOperator`]: a sparse matrix ([`CsrMatrix`], [`BlockCsrMatrix`] of small blocks, or
//!   [`ColumnBlockMatrix`] of rectangular ones where data are summed up), a closure, a composition;
//! - a [`Graph`] of a matrix gives orderings, colorings and partitions;
//! - what one rank does alone is in [`dense`]: factorizations of small and banded matrices.
//!
//! Ranks may have [`threads`] each. [`profile`] says where the time goes.
//!
//! Every call that all ranks must make says so under *Collective*. An error is the same on all
//! ranks; see [`Comm::agree`].
//!
//! ```no_run
//! use std::process::ExitCode;
//! use dolmen_core::{Comm, Error, Layout, Vector};
//!
//! fn main() -> ExitCode {
//!     Comm::run(|comm| {
//!         let layout = Layout::uniform(comm, 1_000_000);
//!         let x = Vector::<f64>::from_fn(&layout, |row| 1.0 / (1.0 + row as f64));
//!         let norm = x.norm2();
//!         if comm.rank() == 0 {
//!             println!("|x| = {norm}");
//!         }
//!         Ok::<_, Error>(ExitCode::SUCCESS)
//!     })
//! }
//! ```

mod blas;
mod block_csr;
mod column_blocks;
mod comm;
mod csr;
pub mod dense;
pub mod environment;
mod error;
mod exchange;
mod graph;
mod grid;
pub mod index;
mod index_map;
#[cfg(all(feature = "instances", not(test)))]
mod instances;
mod lapack;
mod layout;
pub mod memory;
mod multi_vector;
mod operator;
mod powers_of_two;
pub mod profile;
pub mod random;
mod record;
mod redistribute;
pub mod reduce;
mod run;
mod scalar;
pub mod scaling;
mod simd;
mod snapshot;
pub mod text;
pub mod threads;
mod vector;

pub use block_csr::{BlockCsrBuilder, BlockCsrMatrix, BlockRow, BlockRowBuilder};
pub use column_blocks::{ColumnBlockMatrix, Stored};
pub use comm::{Comm, Failed, Merge, Portable, Reducible, SharedError};
pub use csr::{
    AddPlan, CsrBuilder, CsrMatrix, Duplicates, MatrixRow, MultiplyPlan, RefillPlan, RowBuilder, RowEntries, SerialCsr,
    TransposePlan, TriplePlan,
};
pub use error::{Error, Result};
pub use exchange::{Combinable, Combine, ExchangePlan, Export, Import, Imported, Scatter};
#[cfg(feature = "metis")]
pub use graph::Partitioner;
pub use graph::{Balance, Coloring, Graph, Partition, Renumbering};
pub use grid::{Cut, Ghosted, Grid, GridSettings, NaturalOrder, Stencil, StencilRow};
pub use index::{Gid, Lid};
pub use index_map::IndexMap;
pub use layout::{Blocks, Layout, Run};
pub use multi_vector::MultiVector;
/// The small dense blocks of a [`MultiVector`] are `ndarray` arrays; this is the version in use.
pub use ndarray;
pub use operator::{
    Adjoint, AdjointOperator, BandedDiagonal, BandedInverse, BlockDiagonal, BlockLayout, BlockOperator, Diagonal,
    FnOperator, Identity, KnownDiagonal, LinearOperator, Product, Scaled, Sum, check_adjoint,
};
pub use redistribute::Redistribute;
pub use reduce::{BinnedSum, Reduction, Summation};
pub use run::Session;
pub use scalar::{Complex32, Complex64, Real, Scalar};
pub use snapshot::Snapshot;
pub use vector::{Vector, dots, update, update_dots};
