//! Which methods to try, and in which order: a pure function of the facts about a matrix.
//!
//! The first plan is the one that the facts speak for; the others follow if it fails, and the last of
//! them need the least of the matrix. The facts never prove a matrix definite or regular, so no plan
//! relies on that: CG stops at a direction of negative energy, factorisations refuse singular
//! matrices, and every solve ends with a true residual.

use crate::analysis::Analysis;
use crate::automatic::named::{COLUMN_SCALING, DIRECT, NONE};

/// Up to this size an indefinite matrix, or one that cannot be factored without exchanging rows, is
/// factored completely before anything else is tried: faster than many iterations, and it ends.
const SMALL: u64 = 20_000;
/// Up to this size a complete factorisation on one rank is tried after everything else.
const FACTORABLE: u64 = 200_000;

/// Iterations of an attempt that others can replace: before a factorisation, and without a preconditioner.
const FEW: usize = 1000;
/// Iterations of any other attempt.
pub(crate) const MANY: usize = 10_000;

/// A way to solve a system.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) method: &'static str,
    pub(crate) preconditioner: &'static str,
    /// Solve `-A x = -b` instead.
    pub(crate) negated: bool,
    /// Project constants out.
    pub(crate) projected: bool,
    /// Most iterations, unless the user gives a number.
    pub(crate) limit: usize,
    pub(crate) reason: String,
}

/// The plans for a matrix, the most promising first.
pub(crate) fn plans(facts: &Analysis) -> Vec<Plan> {
    let mut plans = if !facts.is_square() {
        rectangular(facts)
    } else if facts.zero_rows > 0 || facts.zero_columns > 0 {
        empty_rows(facts)
    } else if facts.hermitian {
        hermitian(facts)
    } else {
        general(facts)
    };
    if let Some(factored) = plans.iter().position(|plan| plan.preconditioner == DIRECT) {
        plans[..factored].iter_mut().for_each(|plan| plan.limit = FEW);
    }
    plans
}

fn plan(facts: &Analysis, method: &'static str, preconditioner: &'static str, reason: impl Into<String>) -> Plan {
    let projected = constants_are_null(facts) && method != "lsmr";
    Plan { method, preconditioner, negated: false, projected, limit: MANY, reason: reason.into() }
}

/// Whether `A 1 = 0` and `A^H 1 = 0`.
pub(crate) fn constants_are_null(facts: &Analysis) -> bool {
    facts.is_square() && facts.rows > 0 && facts.zero_row_sums && facts.zero_column_sums
}

fn is_factorable(facts: &Analysis) -> bool {
    facts.rows <= FACTORABLE && !facts.zero_row_sums && !facts.zero_column_sums
}

fn rectangular(facts: &Analysis) -> Vec<Plan> {
    if facts.rows > facts.columns {
        let scaled = "A has more rows than columns: least squares, its columns scaled to the same length";
        let plain = "A has more rows than columns: least squares";
        vec![plan(facts, "lsmr", COLUMN_SCALING, scaled), plan(facts, "lsqr", NONE, plain)]
    } else {
        let shortest = "A has more columns than rows: the shortest of its solutions, or of least squares";
        vec![plan(facts, "lsmr", NONE, shortest), plan(facts, "lsqr", NONE, shortest)]
    }
}

/// The last resort for any matrix.
fn least_squares(facts: &Analysis) -> Plan {
    plan(facts, "lsmr", NONE, "needs nothing of A, and finds a solution of least squares even if A is singular")
}

fn factorisation(facts: &Analysis, why: &str) -> Plan {
    let reason = format!("{why}; GMRES refines the solution of a complete factorisation");
    plan(facts, "gmres", DIRECT, reason)
}

fn empty_rows(facts: &Analysis) -> Vec<Plan> {
    let zero = format!("A is singular: {} rows and {} columns are zero", facts.zero_rows, facts.zero_columns);
    let mut plans = Vec::new();
    if facts.hermitian {
        let name = facts.symmetry();
        plans.push(plan(facts, "minres", NONE, format!("{zero}; it is {name}, for which MINRES needs no more")));
    }
    plans.push(plan(facts, "lsmr", NONE, format!("{zero}; least squares find the shortest solution")));
    plans
}

fn hermitian(facts: &Analysis) -> Vec<Plan> {
    let name = facts.symmetry();
    let mut plans = Vec::new();
    let all_of_one_sign = [facts.positive_diagonal, facts.negative_diagonal].contains(&facts.rows);
    if all_of_one_sign {
        let negated = facts.rows > 0 && facts.negative_diagonal == facts.rows;
        let sign = if negated { "negative" } else { "positive" };
        let definite = if facts.dominant_rows == facts.rows {
            format!("A is {name} and diagonally dominant, its diagonal {sign}, so {sign} semidefinite at least")
        } else {
            format!("A is {name} with a {sign} diagonal, so perhaps {sign} definite, which CG will tell")
        };
        let solved = if negated { "; CG solves -A x = -b" } else { "" };
        let null = if constants_are_null(facts) { "; rows sum to zero: constants are projected out" } else { "" };
        plans.push(Plan { negated, ..plan(facts, "cg", "ic", format!("{definite}{solved}{null}")) });
    }
    let minres = "takes indefinite and singular ones";
    let minres = plan(facts, "minres", NONE, format!("A is {name}, and MINRES {minres}"));
    let indefinite = if all_of_one_sign { "CG has failed".to_owned() } else { indefinite_diagonal(facts, name) };
    let direct = is_factorable(facts).then(|| factorisation(facts, &indefinite));
    if facts.rows <= SMALL {
        plans.extend(direct.into_iter().chain([minres]));
    } else {
        plans.extend([minres].into_iter().chain(direct));
    }
    plans.push(least_squares(facts));
    plans
}

fn indefinite_diagonal(facts: &Analysis, name: &str) -> String {
    let Analysis { positive_diagonal: positive, negative_diagonal: negative, zero_diagonal: zero, .. } = facts;
    format!(
        "A is {name} and indefinite: its diagonal has {positive} positive, {negative} negative and {zero} zero entries"
    )
}

fn general(facts: &Analysis) -> Vec<Plan> {
    let name = if facts.symmetric { "complex symmetric" } else { "not symmetric" };
    let null =
        if constants_are_null(facts) { "; rows and columns sum to zero: constants are projected out" } else { "" };
    let direct = is_factorable(facts);
    if facts.zero_diagonal > 0 {
        let zero =
            format!("A is {name} and has {} zeros on its diagonal, so no incomplete factors", facts.zero_diagonal);
        let gmres = Plan { limit: FEW, ..plan(facts, "gmres", NONE, format!("{zero}{null}")) };
        let direct = direct.then(|| factorisation(facts, &zero));
        let mut plans = vec![gmres];
        plans.splice(if facts.rows <= SMALL { 0..0 } else { 1..1 }, direct);
        plans.push(least_squares(facts));
        return plans;
    }
    let mut plans = vec![
        // On one rank the same as ILU(0) of its block, on several a third to a half of its iterations.
        plan(facts, "gmres", "schwarz", format!("A is {name}, its diagonal without zeros{null}")),
        plan(facts, "gmres", "ilut", format!("A is {name}; ILUT keeps the entries that matter most{null}")),
    ];
    if direct {
        plans.push(factorisation(facts, "incomplete factors were not good enough"));
    }
    plans.push(least_squares(facts));
    plans
}
