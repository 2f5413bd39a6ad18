//! Krylov solvers over [`dolmen_core::LinearOperator`], with reports a user can trust.
//!
//! A solver is a set of frozen settings, built up by value, and its `solve` returns a
//! [`SolveReport`]. There is nothing global and no options database. "Converged" is said only
//! after the residual `b - A x` was computed and checked, and every rank sees the same reason.
//! Solvers branch on reduced scalars only, so all ranks take the same path.

mod error;
mod krylov;
mod monitor;
mod report;

pub use error::{Error, Result};
pub use krylov::cg::Cg;
pub use monitor::Progress;
pub use report::{SolveReport, StopReason};
