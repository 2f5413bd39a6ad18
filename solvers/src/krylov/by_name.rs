//! Methods picked by name, for commands and bindings.

use dolmen_core::{AdjointOperator, Scalar};

use crate::krylov::Solver;
use crate::krylov::bicgstab::BiCgStab;
use crate::krylov::cg::Cg;
use crate::krylov::cgls::Cgls;
use crate::krylov::chebyshev::Chebyshev;
use crate::krylov::fgmres::Fgmres;
use crate::krylov::flexible_cg::FlexibleCg;
use crate::krylov::gcr::Gcr;
use crate::krylov::gmres::Gmres;
use crate::krylov::idr::Idr;
use crate::krylov::least_squares::LeastSquaresSolver;
use crate::krylov::lsmr::Lsmr;
use crate::krylov::lsqr::Lsqr;
use crate::krylov::minres::Minres;
use crate::krylov::pipelined_cg::PipelinedCg;
use crate::krylov::richardson::Richardson;
use crate::krylov::symmlq::Symmlq;
use crate::settings::Settings;

/// Declares the list of names and the function that knows them.
macro_rules! by_name {
    ($(#[$doc:meta])* $list:ident, $(#[$more:meta])* $function:ident -> $kind:ident: $($name:literal => $solver:ident,)*) => {
        $(#[$doc])*
        pub const $list: &[&str] = &[$($name),*];

        $(#[$more])*
        pub fn $function<'a, T: Scalar>(name: &str, settings: Settings<'a, T>) -> Option<Box<dyn $kind<T> + 'a>> {
            match name {
                $($name => Some(Box::new($solver::from(settings))),)*
                _ => None,
            }
        }
    };
}

by_name! {
    /// The names that [`solver_by_name`] knows.
    SOLVERS,
    /// A method for square systems with its own settings at their defaults; `None` for a name that is
    /// not one of [`SOLVERS`].
    solver_by_name -> Solver:
    "cg" => Cg,
    "pipelined-cg" => PipelinedCg,
    "flexible-cg" => FlexibleCg,
    "minres" => Minres,
    "symmlq" => Symmlq,
    "gmres" => Gmres,
    "fgmres" => Fgmres,
    "gcr" => Gcr,
    "bicgstab" => BiCgStab,
    "idr" => Idr,
    "chebyshev" => Chebyshev,
    "richardson" => Richardson,
}

/// The names that [`least_squares_by_name`] knows.
pub const LEAST_SQUARES_SOLVERS: &[&str] = &["lsqr", "lsmr", "cgls"];

/// Whether a method is for least squares.
pub(crate) fn is_least_squares(method: &str) -> bool {
    LEAST_SQUARES_SOLVERS.contains(&method)
}

/// A method for least squares without a preconditioner; `None` for a name that is not one of
/// [`LEAST_SQUARES_SOLVERS`].
pub fn least_squares_by_name<'a, T: Scalar>(
    name: &str,
    settings: Settings<'a, T>,
) -> Option<Box<dyn LeastSquaresSolver<T> + 'a>> {
    preconditioned_least_squares_by_name(name, settings, None)
}

/// A method for least squares with a preconditioner, an operator on the domain; `None` for a name that
/// is not one of [`LEAST_SQUARES_SOLVERS`].
pub fn preconditioned_least_squares_by_name<'a, T: Scalar>(
    name: &str,
    settings: Settings<'a, T>,
    m: Option<&'a dyn AdjointOperator<T>>,
) -> Option<Box<dyn LeastSquaresSolver<T> + 'a>> {
    Some(match name {
        "lsqr" => with(Lsqr::from(settings), m, Lsqr::preconditioner),
        "lsmr" => with(Lsmr::from(settings), m, Lsmr::preconditioner),
        "cgls" => with(Cgls::from(settings), m, Cgls::preconditioner),
        _ => return None,
    })
}

fn with<'a, T: Scalar, S: LeastSquaresSolver<T> + 'a>(
    solver: S,
    m: Option<&'a dyn AdjointOperator<T>>,
    precondition: impl FnOnce(S, &'a dyn AdjointOperator<T>) -> S,
) -> Box<dyn LeastSquaresSolver<T> + 'a> {
    match m {
        Some(m) => Box::new(precondition(solver, m)),
        None => Box::new(solver),
    }
}
