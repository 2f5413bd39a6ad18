//! The words for the end of a solve: what happened, and what to try next with this method.
//!
//! The same reason calls for other advice after CG than after GMRES, and none about a preconditioner
//! where there was none.

use crate::choice::Method;
use crate::stop_reason::StopReason;

/// Methods that fail for the same causes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Conjugate gradients.
    Definite,
    /// MINRES and SYMMLQ.
    Hermitian,
    /// GMRES and what else orthogonalizes against a basis, and starts again when that is full.
    Restarted,
    /// BiCGStab and IDR(s): any operator, without a basis.
    ShortRecurrence,
    Chebyshev,
    Richardson,
    LeastSquares,
}

/// Returns the family of a method, by its name in reports.
fn family(method: &str) -> Family {
    // Block CG is for several right-hand sides, and so no Method.
    match Method::from_title(method) {
        None | Some(Method::Cg | Method::PipelinedCg | Method::FlexibleCg) => Family::Definite,
        Some(Method::Minres | Method::Symmlq) => Family::Hermitian,
        Some(Method::Gmres | Method::Fgmres | Method::Gcr) => Family::Restarted,
        Some(Method::BiCgStab | Method::Idr) => Family::ShortRecurrence,
        Some(Method::Chebyshev) => Family::Chebyshev,
        Some(Method::Richardson) => Family::Richardson,
        Some(Method::Lsqr | Method::Lsmr | Method::Cgls) => Family::LeastSquares,
    }
}

/// Explains what happened, and what to try next.
pub(crate) fn explain(reason: StopReason, method: &str, preconditioned: bool) -> &'static str {
    let family = family(method);
    match reason {
        StopReason::Converged => "converged: the true residual meets the tolerance",
        StopReason::IterationLimit => iteration_limit(family, preconditioned),
        StopReason::Diverged => diverged(family, preconditioned),
        StopReason::IndefiniteOperator => {
            "the operator is not positive definite (p*Ap <= 0); use MINRES if it is symmetric and GMRES if not, or \
             project out its null space"
        }
        StopReason::IndefinitePreconditioner if preconditioned => {
            "the preconditioner is not positive definite (r*Mr <= 0); check its symmetry and signs"
        }
        StopReason::IndefinitePreconditioner => {
            "the residual is nonzero but its square underflows in this precision; scale the system"
        }
        StopReason::NotHermitian => {
            "the operator is not symmetric (Hermitian), as this method needs it; use GMRES or BiCGStab"
        }
        StopReason::PreconditionerNotHermitian => {
            "the preconditioner is not symmetric (Hermitian), as this method needs it; use one that is, or GMRES"
        }
        StopReason::Inconsistent => {
            "the operator maps the residual to zero, so it is singular, and the system has no solution in this precision: the \
             residual of x is nearly the smallest; check the right-hand side, project out the null space, or use LSMR"
        }
        StopReason::NotFinite => not_finite(preconditioned),
        StopReason::Stagnated => stagnated(family, preconditioned),
        StopReason::Breakdown => breakdown(family, method, preconditioned),
        StopReason::Requested => "stopped because a monitor requested it; resume from the snapshot to continue",
    }
}

fn iteration_limit(family: Family, preconditioned: bool) -> &'static str {
    match (family, preconditioned) {
        (_, true) => "stopped at the iteration limit; allow more iterations, or use a better preconditioner",
        (Family::LeastSquares, false) => {
            "stopped at the iteration limit; allow more iterations, or scale the columns to one length (ColumnScaling)"
        }
        (_, false) => "stopped at the iteration limit; allow more iterations, or use a preconditioner",
    }
}

fn diverged(family: Family, preconditioned: bool) -> &'static str {
    match (family, preconditioned) {
        (Family::Definite | Family::Hermitian, true) => {
            "diverged; check that operator and preconditioner are symmetric (Hermitian) and that the system has a \
             solution, or use GMRES"
        }
        (Family::Definite | Family::Hermitian, false) => {
            "diverged; check that the operator is symmetric (Hermitian) and that the system has a solution, or use GMRES"
        }
        (Family::Restarted, true) => {
            "diverged; check that the operator is linear, and the preconditioner too where the method is not flexible"
        }
        (Family::Restarted, false) => "diverged; check that the operator is linear",
        (Family::ShortRecurrence, true) => {
            "diverged; use GMRES, whose residual cannot grow, or a better preconditioner"
        }
        (Family::ShortRecurrence, false) => "diverged; use GMRES, whose residual cannot grow, or a preconditioner",
        (Family::Chebyshev, true) => {
            "diverged; give bounds that hold all eigenvalues of the preconditioned operator, or use CG"
        }
        (Family::Chebyshev, false) => "diverged; give bounds that hold all eigenvalues of the operator, or use CG",
        (Family::Richardson, true) => {
            "diverged: the preconditioner is too far from the inverse of the operator; damp it, or use GMRES with it"
        }
        (Family::Richardson, false) => {
            "diverged: the operator is too far from the identity; use a preconditioner, or GMRES"
        }
        (Family::LeastSquares, _) => "diverged; check that apply_adjoint of the operator is the adjoint of its apply",
    }
}

fn not_finite(preconditioned: bool) -> &'static str {
    if preconditioned {
        "a NaN or infinity appeared; check operator, preconditioner, right-hand side and guess for values that are not \
         finite or whose products overflow"
    } else {
        "a NaN or infinity appeared; check operator, right-hand side and guess for values that are not finite or whose \
         products overflow"
    }
}

fn stagnated(family: Family, preconditioned: bool) -> &'static str {
    match (family, preconditioned) {
        (Family::Restarted, true) => {
            "restarts gain nothing; restart less often, use a better preconditioner, or ask for a larger tolerance if this \
             one is near rounding"
        }
        (Family::Restarted, false) => {
            "restarts gain nothing; restart less often, use a preconditioner, or ask for a larger tolerance if this one is \
             near rounding"
        }
        _ => {
            "the estimate converged but the true residual did not: the tolerance is below what rounding allows; ask for a \
             larger one, or improve the conditioning of the operator"
        }
    }
}

fn breakdown(family: Family, method: &str, preconditioned: bool) -> &'static str {
    match (family, preconditioned) {
        (Family::Restarted, true) => {
            "the recurrence broke down, so operator or preconditioner is singular; project out the null space, or use LSMR"
        }
        (Family::Restarted, false) => {
            "the recurrence broke down, so the operator is singular; project out the null space, or use LSMR"
        }
        (Family::Hermitian, _) => {
            "the recurrence broke down: the operator is singular, and the right-hand side not in its range; check both, \
             project out the null space, or use LSMR"
        }
        (Family::Definite, _) if method == Method::PipelinedCg.title() => {
            "the recurrence broke down by rounding; use CG"
        }
        (Family::LeastSquares, _) => {
            "the recurrence broke down; check that apply_adjoint of the operator is the adjoint of its apply"
        }
        _ => "the recurrence broke down; check whether the operator is singular, or use GMRES",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: [StopReason; 12] = [
        StopReason::Converged,
        StopReason::IterationLimit,
        StopReason::Diverged,
        StopReason::IndefiniteOperator,
        StopReason::IndefinitePreconditioner,
        StopReason::NotHermitian,
        StopReason::PreconditionerNotHermitian,
        StopReason::Inconsistent,
        StopReason::NotFinite,
        StopReason::Stagnated,
        StopReason::Breakdown,
        StopReason::Requested,
    ];

    fn titles() -> impl Iterator<Item = &'static str> {
        Method::ALL.iter().map(|method| method.title())
    }

    /// Reasons with which a method can end: only some look at symmetry or signs.
    fn can_end(reason: StopReason, family: Family) -> bool {
        let definite = [Family::Definite, Family::Chebyshev].contains(&family);
        let hermitian = definite || family == Family::Hermitian;
        match reason {
            StopReason::IndefiniteOperator => definite,
            StopReason::IndefinitePreconditioner
            | StopReason::NotHermitian
            | StopReason::PreconditionerNotHermitian
            | StopReason::Inconsistent => hermitian,
            _ => true,
        }
    }

    #[test]
    fn no_method_is_advised_to_use_itself() {
        for method in titles() {
            for reason in REASONS.into_iter().filter(|reason| can_end(*reason, family(method))) {
                for preconditioned in [true, false] {
                    let text = explain(reason, method, preconditioned);
                    let advice = text.split_once(';').map_or("", |(_, advice)| advice);
                    let words = || advice.split(|c: char| !c.is_alphanumeric() && c != '(' && c != ')');
                    assert!(!words().any(|word| word == method), "{method}: {text}");
                    assert!(family(method) != Family::LeastSquares || !words().any(|word| word == "LSMR"), "{text}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_said_of_a_preconditioner_that_is_none() {
        for method in titles() {
            for reason in REASONS.into_iter().filter(|reason| *reason != StopReason::PreconditionerNotHermitian) {
                let text = explain(reason, method, false);
                let others = text.replace("use a preconditioner", "").replace("or a preconditioner", "");
                assert!(!others.contains("preconditioner"), "{method}: {text}");
            }
        }
    }
}
