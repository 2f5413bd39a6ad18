//! Plans where the user names the method, the preconditioner or both: what is named is used, and only
//! the rest is chosen.

use crate::analysis::Analysis;
use crate::automatic::independence::Independence;
use crate::automatic::plan::{Plan, constants_are_null, patience, scaled_columns};
use crate::choice::{Method, MethodSettings, PreconditionerKind, PreconditionerSettings};
use crate::error::{Error, Result};

/// Part of a plan that the user names.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Method(MethodSettings),
    Preconditioner(PreconditionerSettings),
    Both(MethodSettings, PreconditionerSettings),
}

impl Named {
    /// Returns what is named, if anything is.
    pub(super) fn new(
        method: Option<MethodSettings>,
        preconditioner: Option<&PreconditionerSettings>,
    ) -> Option<Named> {
        match (method, preconditioner.cloned()) {
            (Some(method), Some(preconditioner)) => Some(Named::Both(method, preconditioner)),
            (Some(method), None) => Some(Named::Method(method)),
            (None, Some(preconditioner)) => Some(Named::Preconditioner(preconditioner)),
            (None, None) => None,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Named::Both(..) => "named by the user",
            Named::Method(_) => "the method is named by the user, the preconditioner fits it",
            Named::Preconditioner(_) => "the preconditioner is named by the user, the method fits it",
        }
    }

    /// Returns the plan for what is named.
    pub(super) fn plan(self, facts: &Analysis, independence: Independence) -> Result<Plan> {
        let reason = self.reason();
        let (settings, preconditioner) = match self {
            Named::Both(method, preconditioner) => (method, preconditioner),
            Named::Method(method) => (method, preconditioner_for(facts, independence, method.method()).into()),
            Named::Preconditioner(given) => (method_for(facts, &given).into(), given),
        };
        let (method, kind) = (settings.method(), preconditioner.kind());
        require_fit(facts, method, kind)?;
        let negated = method.needs_positive_definite() && facts.rows > 0 && facts.negative_diagonal == facts.rows;
        let solved = if negated { "; the diagonal is negative, so -A x = -b is solved" } else { "" };
        let unfit = if method.needs_hermitian() && !facts.hermitian {
            "; but it is for Hermitian matrices, which A is not"
        } else {
            ""
        };
        let projected = constants_are_null(facts) && !method.is_least_squares();
        let scaled = if kind == PreconditionerKind::ColumnScaling && facts.rows > facts.columns {
            format!("; {}", scaled_columns(independence))
        } else {
            String::new()
        };
        let null = if projected { "; rows sum to zero: constants are projected out" } else { "" };
        Ok(Plan {
            method: settings,
            limit: patience(facts, method, kind),
            cap: usize::MAX,
            preconditioner,
            negated,
            projected,
            reason: format!("{reason}{unfit}{solved}{null}{scaled}"),
        })
    }
}

/// Refuses a method and a preconditioner that do not go together, or not with the matrix.
fn require_fit(facts: &Analysis, method: Method, preconditioner: PreconditionerKind) -> Result<()> {
    let is_none = preconditioner == PreconditionerKind::None;
    if !is_none && method.is_least_squares() != preconditioner.is_for_least_squares() {
        return Err(Error::Mismatch { solver: method, preconditioner });
    }
    if method.needs_square() && !facts.is_square() {
        // The factorization is asked for by its own name.
        let is_direct = preconditioner == PreconditionerKind::Direct;
        let method = if is_direct { preconditioner.name() } else { method.name() };
        return Err(Error::NotSquare { method, rows: facts.rows, columns: facts.columns });
    }
    Ok(())
}

fn is_perhaps_definite(facts: &Analysis) -> bool {
    facts.hermitian && [facts.positive_diagonal, facts.negative_diagonal].contains(&facts.rows)
}

fn preconditioner_for(facts: &Analysis, independence: Independence, method: Method) -> PreconditionerKind {
    let is_definite = method.needs_positive_definite();
    let incomplete_cholesky = is_perhaps_definite(facts) && (facts.positive_diagonal > 0 || is_definite);
    if method.is_least_squares() {
        let scaled = facts.rows > facts.columns && independence != Independence::Doubtful;
        if scaled { PreconditionerKind::ColumnScaling } else { PreconditionerKind::None }
    } else if method.needs_hermitian() {
        if incomplete_cholesky { PreconditionerKind::Ic } else { PreconditionerKind::None }
    } else if facts.zero_diagonal == 0 {
        PreconditionerKind::Schwarz
    } else {
        PreconditionerKind::None
    }
}

fn method_for(facts: &Analysis, preconditioner: &PreconditionerSettings) -> Method {
    if !facts.is_square() || preconditioner.kind().is_for_least_squares() {
        Method::Lsmr
    } else if preconditioner.is_hermitian() && is_perhaps_definite(facts) {
        Method::Cg
    } else if preconditioner.kind() == PreconditionerKind::None && facts.hermitian {
        Method::Minres
    } else {
        Method::Gmres
    }
}
