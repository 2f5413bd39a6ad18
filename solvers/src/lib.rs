//! Krylov solvers over [`dolmen_core::LinearOperator`], with reports a user can trust.
//!
//! A solver is a set of frozen settings, built up by value, and its `solve` returns a
//! [`SolveReport`]. There is nothing global and no options database. "Converged" is said only
//! after the residual `b - A x` was computed and checked, and every rank sees the same reason.
//! Solvers branch on reduced scalars only, so all ranks take the same path.
//!
//! Settings common to all methods are those of [`Settings`], and each method has their setters too.
//! A [`Monitor`] watches a solve, can stop it, and takes [`Snapshot`](dolmen_core::Snapshot)s from
//! which a later run goes on with the same bits.

mod error;
mod krylov;
mod monitor;
mod null_space;
mod report;
mod settings;

pub use error::{Error, Result};
pub use krylov::Solver;
pub use krylov::cg::Cg;
pub use krylov::gmres::{Gmres, Side};
pub use monitor::{Monitor, Progress, Request};
pub use null_space::NullSpace;
pub use report::{SolveReport, StopReason};
pub use settings::{Norm, Settings};
