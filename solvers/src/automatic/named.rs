//! Plans where the user names the method, the preconditioner or both: what is named is used, and only
//! the rest is chosen.

use crate::analysis::Analysis;
use crate::automatic::independence::Independence;
use crate::automatic::plan::{Plan, constants_are_null, patience, scaled_columns};
use crate::error::{Error, Result};
use crate::krylov::by_name::{LEAST_SQUARES_SOLVERS, SOLVERS, is_least_squares};
use crate::precond::PRECONDITIONERS;

/// Stands for no preconditioner.
pub(crate) const NONE: &str = "none";
/// The preconditioner of least squares.
pub(crate) const COLUMN_SCALING: &str = "column-scaling";
/// A complete factorisation: a preconditioner, and as a method GMRES with it.
pub(crate) const DIRECT: &str = "direct";

/// All names of methods, [`DIRECT`] as well.
pub(crate) fn solvers() -> Vec<&'static str> {
    SOLVERS.iter().chain(LEAST_SQUARES_SOLVERS).copied().chain([DIRECT]).collect()
}

/// All names of preconditioners, [`NONE`] as well.
pub(crate) fn preconditioners() -> Vec<&'static str> {
    PRECONDITIONERS.iter().map(|(name, _)| *name).chain([COLUMN_SCALING, NONE]).collect()
}

fn known(kind: &'static str, name: &str, names: &[&'static str]) -> Result<&'static str> {
    let unknown = || Error::UnknownName { kind, name: name.to_owned(), known: names.join(", ") };
    names.iter().find(|known| **known == name).copied().ok_or_else(unknown)
}

/// The plan for what is named.
pub(super) fn plan(
    facts: &Analysis,
    independence: Independence,
    solver: Option<&str>,
    preconditioner: Option<&str>,
) -> Result<Plan> {
    let solver = solver.map(|name| known("solver", name, &solvers())).transpose()?;
    let given = preconditioner.map(|name| known("preconditioner", name, &preconditioners())).transpose()?;
    let (method, preconditioner) = match (solver, given) {
        (Some(DIRECT), None | Some(DIRECT)) => ("gmres", DIRECT),
        (Some(DIRECT), Some(other)) => return Err(Error::Mismatch { solver: DIRECT, preconditioner: other }),
        (Some(solver), given) => (solver, given.unwrap_or_else(|| preconditioner_for(facts, independence, solver))),
        (None, Some(given)) => (solver_for(facts, given), given),
        (None, None) => unreachable!("invariant: plans::plans chooses both"),
    };
    let least_squares = is_least_squares(method);
    if preconditioner != NONE && least_squares != (preconditioner == COLUMN_SCALING) {
        return Err(Error::Mismatch { solver: method, preconditioner });
    }
    if !least_squares && !facts.is_square() {
        // The factorisation is asked for by its own name.
        let method = solver.unwrap_or(method);
        return Err(Error::NotSquare { method, rows: facts.rows, columns: facts.columns });
    }
    let reason = match (solver, given) {
        (Some(_), Some(_)) => "named by the user",
        (Some(_), None) => "the method is named by the user, the preconditioner fits it",
        (None, _) => "the preconditioner is named by the user, the method fits it",
    };
    let negated = is_definite_method(method) && facts.rows > 0 && facts.negative_diagonal == facts.rows;
    let solved = if negated { "; the diagonal is negative, so -A x = -b is solved" } else { "" };
    let unfit = if needs_hermitian(method) && !facts.hermitian {
        "; but it is for Hermitian matrices, which A is not"
    } else {
        ""
    };
    let projected = constants_are_null(facts) && !least_squares;
    let scaled = if preconditioner == COLUMN_SCALING && facts.rows > facts.columns {
        format!("; {}", scaled_columns(independence))
    } else {
        String::new()
    };
    let null = if projected { "; rows sum to zero: constants are projected out" } else { "" };
    Ok(Plan {
        method,
        preconditioner,
        negated,
        projected,
        limit: patience(facts, method, preconditioner),
        reason: format!("{reason}{unfit}{solved}{null}{scaled}"),
    })
}

/// Whether a method needs a positive definite matrix or preconditioner.
fn is_definite_method(method: &str) -> bool {
    ["cg", "pipelined-cg", "flexible-cg", "chebyshev"].contains(&method)
}

/// Whether a method needs a Hermitian matrix.
fn needs_hermitian(method: &str) -> bool {
    is_definite_method(method) || ["minres", "symmlq"].contains(&method)
}

fn is_perhaps_definite(facts: &Analysis) -> bool {
    facts.hermitian && [facts.positive_diagonal, facts.negative_diagonal].contains(&facts.rows)
}

fn preconditioner_for(facts: &Analysis, independence: Independence, method: &str) -> &'static str {
    let incomplete_cholesky = is_perhaps_definite(facts) && (facts.positive_diagonal > 0 || is_definite_method(method));
    if is_least_squares(method) {
        if facts.rows > facts.columns && independence != Independence::Doubtful { COLUMN_SCALING } else { NONE }
    } else if needs_hermitian(method) {
        if incomplete_cholesky { "ic" } else { NONE }
    } else if facts.zero_diagonal == 0 {
        "schwarz"
    } else {
        NONE
    }
}

fn solver_for(facts: &Analysis, preconditioner: &str) -> &'static str {
    let hermitian = ["jacobi", "ssor", "ic", "chebyshev", NONE].contains(&preconditioner);
    if !facts.is_square() || preconditioner == COLUMN_SCALING {
        "lsmr"
    } else if hermitian && is_perhaps_definite(facts) {
        "cg"
    } else if preconditioner == NONE && facts.hermitian {
        "minres"
    } else {
        "gmres"
    }
}
