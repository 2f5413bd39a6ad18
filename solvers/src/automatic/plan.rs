//! Which methods to try, and in which order: a pure function of the facts about a matrix.
//!
//! The first plan is the one that the facts speak for; the others follow if it fails, and the last of
//! them need the least of the matrix. The facts never prove a matrix definite or regular, so no plan
//! relies on that: CG stops at a direction of negative energy, factorizations refuse singular
//! matrices, and every solve ends with a true residual.

use crate::analysis::Analysis;
use crate::automatic::independence::Independence;
use crate::choice::{Method, MethodSettings, PreconditionerKind, PreconditionerSettings};

/// Up to this size an indefinite matrix, or one that cannot be factored without exchanging rows, is
/// factored completely before anything else is tried: faster than many iterations, and it ends.
const SMALL: u64 = 20_000;
/// Up to this size a complete factorization on one rank is tried after everything else.
const FACTORABLE: u64 = 200_000;

/// From this size on multigrid is tried where it fits: with few entries a row, as in the plane, and with more, as in space,
/// where incomplete factors need fewer iterations. A million rows in the plane took 3.6 s by IC(0) and 1.4 s by multigrid on
/// one rank, 2.3 and 0.8 s on two; 1.3 million in space 1.5 and 3.2 s, 0.9 and 1.4 s, with 110 iterations that grow.
const LARGE: [u64; 2] = [1_000_000, 4_000_000];
/// Entries a row that are few.
const PLANE: u64 = 6;
/// Iterations of multigrid, which needs some tens where it fits.
const CYCLES: usize = 200;
/// Entries of the longest row, for multigrid: the coarse levels of denser matrices fill up.
const LONGEST_ROW: u64 = 200;
/// Least ratio of a diagonal entry to the sum of the others with which CG needs few iterations anyway.
const STRONG: f64 = 1.001;

/// Iterations of an attempt that a factorization of a small matrix follows, which takes less time than more of
/// them, and of GMRES without a preconditioner.
const FEW: usize = 1000;
/// Work of an attempt that others of its kind follow, in numbers read: about a minute of one core.
const AFFORDABLE: u64 = 50_000_000_000;
/// Work of any other attempt.
const PATIENT: u64 = 4 * AFFORDABLE;
/// Iterations for each row beyond which a method that has not converged will hardly do so.
const PER_ROW: u64 = 20;
/// Iterations that are allowed to any matrix, if they are affordable.
const MANY: u64 = 20_000;

/// A way to solve a system.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) method: MethodSettings,
    pub(crate) preconditioner: PreconditionerSettings,
    /// Solve `-A x = -b` instead.
    pub(crate) negated: bool,
    /// Project constants out.
    pub(crate) projected: bool,
    /// Maximum number of iterations, unless the user gives one.
    pub(crate) limit: usize,
    /// Iterations after which the next plan is more promising, however many the user allows.
    pub(crate) cap: usize,
    pub(crate) reason: String,
}

/// Returns the plans for a matrix, the most promising first.
pub(super) fn plans(facts: &Analysis, independence: Independence) -> Vec<Plan> {
    let mut plans = if !facts.is_square() {
        rectangular(facts, independence)
    } else if facts.zero_rows > 0 || facts.zero_columns > 0 {
        empty_rows(facts)
    } else if facts.hermitian {
        hermitian(facts)
    } else {
        general(facts)
    };
    let factored = plans.iter().position(|plan| plan.preconditioner.kind() == PreconditionerKind::Direct).unwrap_or(0);
    for plan in &mut plans[..factored] {
        let limit = affordable(facts, plan.method.method(), plan.preconditioner.kind(), AFFORDABLE);
        plan.limit = if facts.rows <= SMALL { limit.min(FEW) } else { limit };
    }
    for plan in &mut plans {
        if plan.preconditioner.kind() == PreconditionerKind::Multigrid {
            plan.cap = CYCLES;
        }
    }
    plans
}

fn longer(facts: &Analysis) -> u64 {
    facts.rows.max(facts.columns)
}

/// Numbers that an iteration reads: entries of the matrix and of factors, and vectors.
fn work(facts: &Analysis, method: Method, preconditioner: PreconditionerKind) -> u64 {
    let (products, vectors) = match method {
        Method::Cg => (1, 10),
        Method::Minres => (1, 20),
        Method::BiCgStab => (2, 19),
        Method::Lsmr | Method::Lsqr => (2, 21),
        // Half of a basis of 30, twice.
        _ => (1, 35),
    };
    let factors = match preconditioner {
        PreconditionerKind::None | PreconditionerKind::ColumnScaling => 0,
        PreconditionerKind::Ilut => 2,
        _ => 1,
    };
    facts.entries.saturating_mul(products * (1 + factors)).saturating_add(longer(facts).saturating_mul(vectors))
}

/// Iterations of an attempt that none of its kind follows.
pub(crate) fn patience(facts: &Analysis, method: Method, preconditioner: PreconditionerKind) -> usize {
    affordable(facts, method, preconditioner, PATIENT)
}

/// Returns the iterations that are made with this amount of work, at least a few.
fn affordable(facts: &Analysis, method: Method, preconditioner: PreconditionerKind, budget: u64) -> usize {
    let wanted = longer(facts).saturating_mul(PER_ROW).max(MANY);
    let iterations = (budget / work(facts, method, preconditioner).max(1)).clamp(FEW as u64, wanted);
    usize::try_from(iterations).unwrap_or(usize::MAX)
}

fn plan(facts: &Analysis, method: Method, preconditioner: PreconditionerKind, reason: impl Into<String>) -> Plan {
    let projected = constants_are_null(facts) && !method.is_least_squares();
    let limit = patience(facts, method, preconditioner);
    let (method, preconditioner) = (method.into(), preconditioner.into());
    Plan { method, preconditioner, negated: false, projected, limit, cap: usize::MAX, reason: reason.into() }
}

/// Returns true if `A 1 = 0` and `A^H 1 = 0`.
pub(crate) fn constants_are_null(facts: &Analysis) -> bool {
    facts.is_square() && facts.rows > 0 && facts.zero_row_sums && facts.zero_column_sums
}

fn is_factorable(facts: &Analysis) -> bool {
    facts.rows <= FACTORABLE && !facts.zero_row_sums && !facts.zero_column_sums
}

fn rectangular(facts: &Analysis, independence: Independence) -> Vec<Plan> {
    if facts.rows <= facts.columns {
        let shortest = "A has more columns than rows: the shortest of its solutions, or of least squares";
        return vec![
            plan(facts, Method::Lsmr, PreconditionerKind::None, shortest),
            plan(facts, Method::Lsqr, PreconditionerKind::None, shortest),
        ];
    }
    let scaled = format!("A has more rows than columns: least squares, {}", scaled_columns(independence));
    let scaled = plan(facts, Method::Lsmr, PreconditionerKind::ColumnScaling, scaled);
    if independence == Independence::Doubtful {
        let shortest = "A has more rows than columns, and these depend on each other, or nearly so: the shortest solution \
                        of least squares";
        vec![
            plan(facts, Method::Lsmr, PreconditionerKind::None, shortest),
            plan(facts, Method::Lsqr, PreconditionerKind::None, shortest),
            scaled,
        ]
    } else {
        vec![scaled, plan(facts, Method::Lsqr, PreconditionerKind::None, "A has more rows than columns: least squares")]
    }
}

/// Returns the remark about scaled columns.
pub(super) fn scaled_columns(independence: Independence) -> &'static str {
    match independence {
        Independence::Proven => "its columns scaled to the same length",
        Independence::Doubtful => {
            "its columns scaled to the same length; they depend on each other, or nearly so, and shorter solutions may \
             exist: without a preconditioner the shortest is found"
        }
        Independence::Unknown => {
            "its columns scaled to the same length; if they depend on each other (too many to find out), shorter solutions \
             exist: without a preconditioner the shortest is found"
        }
    }
}

/// Returns the last resort for any matrix.
fn least_squares(facts: &Analysis) -> Plan {
    plan(
        facts,
        Method::Lsmr,
        PreconditionerKind::None,
        "works for any A, and finds a least-squares solution even if A is singular",
    )
}

fn factorization(facts: &Analysis, why: &str) -> Plan {
    let reason = format!("{why}; GMRES refines the solution of a complete factorization");
    plan(facts, Method::Gmres, PreconditionerKind::Direct, reason)
}

/// For a matrix that is zero, and for one whose empty rows and columns cannot be left out.
fn empty_rows(facts: &Analysis) -> Vec<Plan> {
    let zero = format!("A is singular: {} rows and {} columns are zero", facts.zero_rows, facts.zero_columns);
    vec![plan(
        facts,
        Method::Lsmr,
        PreconditionerKind::None,
        format!("{zero}; least squares find the shortest solution"),
    )]
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
            format!("A is {name} with a {sign} diagonal; it may be {sign} definite; CG detects it if it is not")
        };
        let solved = if negated { "; CG solves -A x = -b" } else { "" };
        let null = if constants_are_null(facts) { "; rows sum to zero: constants are projected out" } else { "" };
        let cg = |preconditioner, why: &str| Plan {
            negated,
            ..plan(facts, Method::Cg, preconditioner, format!("{definite}{solved}{null}{why}"))
        };
        if is_for_multigrid(facts) {
            plans.push(cg(
                PreconditionerKind::Multigrid,
                "; it is large: multigrid needs as many iterations on any size",
            ));
        }
        plans.push(cg(PreconditionerKind::Ic, if plans.is_empty() { "" } else { "; multigrid has failed" }));
    }
    let minres = "solves indefinite and singular systems";
    let minres = plan(facts, Method::Minres, PreconditionerKind::None, format!("A is {name}, and MINRES {minres}"));
    let indefinite = if all_of_one_sign { "CG has failed".to_owned() } else { indefinite_diagonal(facts, name) };
    let direct = is_factorable(facts).then(|| factorization(facts, &indefinite));
    if facts.rows <= SMALL {
        plans.extend(direct.into_iter().chain([minres]));
    } else {
        plans.extend([minres].into_iter().chain(direct));
    }
    if facts.zero_diagonal == 0 {
        let factors = "Jacobi did not converge; incomplete factors also precondition indefinite matrices";
        plans.push(plan(facts, Method::Gmres, PreconditionerKind::Schwarz, factors));
    }
    plans.push(least_squares(facts));
    plans
}

/// Returns true for a large sparse matrix most of whose rows are diagonally dominant, as those of diffusion are. That
/// what it nearly sends to zero is close to constant shows in the iterations only.
fn is_for_multigrid(facts: &Analysis) -> bool {
    let [plane, space] = LARGE;
    let large = if facts.entries < PLANE * facts.rows { plane } else { space };
    facts.rows >= large
        && facts.longest_row <= LONGEST_ROW
        && facts.dominant_rows >= facts.rows - facts.rows / 10
        && facts.dominance < STRONG
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
        let gmres =
            Plan { limit: FEW, ..plan(facts, Method::Gmres, PreconditionerKind::None, format!("{zero}{null}")) };
        let direct = direct.then(|| factorization(facts, &zero));
        let mut plans = vec![gmres];
        plans.splice(if facts.rows <= SMALL { 0..0 } else { 1..1 }, direct);
        plans.push(least_squares(facts));
        return plans;
    }
    let mut plans = vec![
        // On one rank the same as ILU(0) of its block, on several a third to a half of its iterations.
        plan(
            facts,
            Method::Gmres,
            PreconditionerKind::Schwarz,
            format!("A is {name}, its diagonal without zeros{null}"),
        ),
        plan(
            facts,
            Method::Gmres,
            PreconditionerKind::Ilut,
            format!("A is {name}; ILUT keeps the entries that matter most{null}"),
        ),
    ];
    if direct {
        plans.push(factorization(facts, "incomplete factors were not good enough"));
    }
    let longer = format!("GMRES failed, perhaps because of its restarts; BiCGStab does not restart{null}");
    plans.push(plan(facts, Method::BiCgStab, PreconditionerKind::Ilu, longer));
    plans.push(least_squares(facts));
    plans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rows: u64, entries: u64) -> Analysis {
        Analysis { rows, columns: rows, entries, positive_diagonal: rows, ..Analysis::default() }
    }

    fn names(facts: &Analysis) -> Vec<String> {
        let plans = plans(facts, Independence::Unknown);
        plans.iter().map(|plan| format!("{}+{}", plan.method, plan.preconditioner)).collect()
    }

    #[test]
    fn another_kind_of_method_comes_before_least_squares() {
        let expected = ["gmres+schwarz", "gmres+ilut", "gmres+direct", "bicgstab+ilu", "lsmr+none"];
        assert_eq!(names(&facts(5000, 20_000)), expected);
        let large = facts(1_000_000, 5_000_000);
        assert_eq!(names(&large), ["gmres+schwarz", "gmres+ilut", "bicgstab+ilu", "lsmr+none"]);
    }

    #[test]
    fn multigrid_is_for_large_matrices_of_diffusion() {
        let diffusion = |rows: u64| Analysis {
            hermitian: true,
            symmetric: true,
            dominant_rows: rows,
            longest_row: 5,
            ..facts(rows, 5 * rows)
        };
        let large = diffusion(1_000_000);
        assert_eq!(names(&large)[..3], ["cg+multigrid", "cg+ic", "minres+none"]);
        let caps: Vec<_> = plans(&large, Independence::Unknown).iter().map(|plan| plan.cap).collect();
        assert_eq!(caps[..2], [CYCLES, usize::MAX]);
        assert_eq!(names(&Analysis { dominance: 1.01, ..large.clone() })[0], "cg+ic");
        assert_eq!(names(&diffusion(999_999))[0], "cg+ic");
        let space = |rows: u64| Analysis { entries: 7 * rows, ..diffusion(rows) };
        assert_eq!([3_999_999, 4_000_000].map(|rows| names(&space(rows))[0].clone()), ["cg+ic", "cg+multigrid"]);
        assert_eq!(names(&Analysis { longest_row: 201, ..large.clone() })[0], "cg+ic");
        assert_eq!(names(&Analysis { dominant_rows: 800_000, ..large.clone() })[0], "cg+ic");
        let negative =
            plans(&Analysis { positive_diagonal: 0, negative_diagonal: 1_000_000, ..large }, Independence::Unknown);
        assert!(negative[..2].iter().all(|plan| plan.negated));
    }

    #[test]
    fn iterations_are_limited_by_their_work() {
        let minres = |rows: u64, entries: u64| {
            let symmetric = Analysis { hermitian: true, symmetric: true, ..facts(rows, entries) };
            let indefinite = Analysis { negative_diagonal: 1, positive_diagonal: rows - 1, ..symmetric };
            let plans = plans(&indefinite, Independence::Unknown);
            plans.into_iter().find(|plan| plan.method.method() == Method::Minres).map(|plan| plan.limit)
        };
        // A factorization follows if there are more than 20 000 rows.
        assert_eq!(minres(50_000, 350_000), Some(37_037));
        assert_eq!(minres(50_000, 50_000_000), Some(FEW));
        assert_eq!(minres(500, 5000), Some(20_000));
        assert_eq!(minres(15_000, 100_000), Some(300_000));
        // Before the factorization of a small matrix few are enough.
        assert_eq!(plans(&facts(5000, 20_000), Independence::Unknown)[0].limit, FEW);
    }

    #[test]
    fn scaled_columns_come_last_where_they_depend_on_each_other() {
        let tall = Analysis { rows: 20, columns: 5, ..Analysis::default() };
        let methods = |independence| -> Vec<String> {
            let plans = plans(&tall, independence);
            plans.iter().map(|plan| format!("{}+{}", plan.method, plan.preconditioner)).collect()
        };
        assert_eq!(methods(Independence::Proven), ["lsmr+column-scaling", "lsqr+none"]);
        assert_eq!(methods(Independence::Doubtful), ["lsmr+none", "lsqr+none", "lsmr+column-scaling"]);
    }
}
