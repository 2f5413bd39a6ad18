//! Krylov solvers over [`dolmen_core::LinearOperator`], with reports a user can trust.
//!
//! A solver is a set of frozen settings, built up by value, and its `solve` returns a
//! [`SolveReport`]. There is nothing global and no options database. "Converged" is said only
//! after the residual `b - A x` was computed and checked, and every rank sees the same reason.
//! Solvers branch on reduced scalars only, so all ranks take the same path.
//!
//! Settings common to all methods are those of [`Settings`], and each method has their setters too.
//! A [`Monitor`] watches a solve, can stop it, and takes [`Snapshot`](dolmen_core::Snapshot)s from
//! which a later run resumes with the same bits.
//!
//! Systems may be of any size: where `b`, `A` or a preconditioner are far from one, a solve multiplies them by powers
//! of two, which changes no digit. Settings, reports, monitors and snapshots keep the units of the system; what these
//! units cannot express in a report becomes zero or infinite there, for instance `|A^H r|` of about `2^1100`. A norm
//! of `b` or a solution that is no normal number is [`Error::OutOfRange`].

mod advice;
mod analysis;
mod automatic;
mod choice;
mod eigen;
mod error;
mod fields;
#[cfg(all(feature = "instances", not(test)))]
mod instances;
mod krylov;
mod monitor;
mod multigrid;
mod nonlinear;
mod norm;
mod null_space;
mod precond;
mod report;
mod settings;
mod stop_reason;

pub use analysis::Analysis;
pub use automatic::{Attempt, Automatic, Solution};
pub use choice::{
    Factorization, Key, LocalKind, LocalSettings, Method, MethodSettings, PreconditionerKind, PreconditionerSettings,
    SolverChoice,
};
pub use eigen::{
    AutomaticEigen, EigenReport, EigenSolution, Eigenpairs, GeneralEigenpairs, GolubKahan, KrylovSchur, Lanczos,
    Lobpcg, Region, SingularTriplets, Which,
};
pub use error::{Defect, Error, LevelFault, NoSpectrum, Result};
pub use fields::{Fields, LeastSquaresCommutator, OnField, SchurComplement, SchurForm, SchurPreconditioner};
pub use krylov::bicgstab::BiCgStab;
pub use krylov::block_cg::BlockCg;
pub use krylov::cg::Cg;
pub use krylov::cgls::Cgls;
pub use krylov::chebyshev::Chebyshev;
pub use krylov::fgmres::Fgmres;
pub use krylov::flexible_cg::FlexibleCg;
pub use krylov::gcr::Gcr;
pub use krylov::gmres::{Gmres, Side};
pub use krylov::idr::Idr;
pub use krylov::least_squares::LeastSquaresSolver;
pub use krylov::lsmr::Lsmr;
pub use krylov::lsqr::Lsqr;
pub use krylov::minres::Minres;
pub use krylov::pipelined_cg::PipelinedCg;
pub use krylov::richardson::Richardson;
pub use krylov::solver::Solver;
pub use krylov::spectrum::estimate_spectrum;
pub use krylov::symmlq::Symmlq;
pub use monitor::{Monitor, Progress, Request};
pub use multigrid::{Cycle, Multigrid, MultigridSettings, rigid_body_modes};
pub use nonlinear::{
    Anderson, ColoredDifferences, Forcing, Jacobian, LineSearch, Newton, NonlinearCg, NonlinearReason, NonlinearReport,
};
pub use norm::Norm;
pub use null_space::NullSpace;
pub use precond::{
    Additive, AdditiveSchwarz, BlockJacobi, ChebyshevPolynomial, Cholesky, ColumnScaling, Direct, Equilibrated, Ic,
    Ilu, Ilut, Jacobi, Ldlt, LocalSolver, Lu, Multiplicative, Permuted, PointBlockJacobi, Schwarz, SinglePrecision,
    Sor, Sweep,
};
pub use report::SolveReport;
pub use settings::Settings;
pub use stop_reason::StopReason;
