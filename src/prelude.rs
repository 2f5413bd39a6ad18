//! The names that most programs use: `use dolmen::prelude::*;`.

#[cfg(feature = "metis")]
pub use crate::core::Partitioner;
pub use crate::core::{
    AdjointOperator, BlockCsrMatrix, Combine, Comm, Complex32, Complex64, CsrBuilder, CsrMatrix, Diagonal,
    ExchangePlan, FnOperator, Gid, Graph, Grid, GridSettings, IndexMap, Layout, Lid, LinearOperator, MultiVector, Real,
    Scalar, Scatter, Vector,
};
pub use crate::io::{Location, read_matrix, read_vector, read_vectors, write_matrix, write_vector, write_vectors};
pub use crate::solvers::{
    Automatic, BiCgStab, BlockCg, BlockJacobi, Cg, Cgls, Direct, Fgmres, FlexibleCg, Gcr, Gmres, Ic, Idr, Ilu, Ilut,
    Jacobi, LeastSquaresSolver, Lsmr, Lsqr, Minres, Monitor, Multigrid, Norm, NullSpace, PipelinedCg, Schwarz,
    SolveReport, Solver, Sor, StopReason, Symmlq,
};
#[cfg(feature = "hdf5")]
pub use crate::{Checkpointer, io::hdf5::H5File};
pub use crate::{Error, Result};
