//! An automatic solve that is interrupted in one of its attempts, and resumes there.
//!
//! Its snapshot is that of the attempt under way, with the outcome of each attempt before and the best
//! `x` of them. The names of these entries say which plans they are of, so that a solve with other
//! plans, of another matrix or other names, does not take them up.

use std::time::Duration;

use dolmen_core::{Scalar, Snapshot, Vector};

use crate::automatic::plan::Plan;
use crate::automatic::solution::Attempt;
use crate::error::{Error, Result};
use crate::norm::Norm;
use crate::report::SolveReport;
use crate::stop_reason::StopReason;

/// The number of the attempt under way, from one.
const ATTEMPT: &str = "attempt";
/// The best solution of the attempts before.
pub(super) const BEST: &str = "best x";

/// State of an automatic solve: in the last of `plans`, after an attempt with each of the others.
#[derive(Clone, Copy)]
pub(super) struct Progressed<'p, T> {
    pub(super) plans: &'p [Plan],
    pub(super) attempts: &'p [Attempt],
    pub(super) best: &'p Vector<T>,
}

/// Returns the name of an attempt in a snapshot.
fn name(number: usize, plan: &Plan) -> String {
    let Plan { method, preconditioner, negated, projected, .. } = plan;
    let negated = if *negated { ", negated" } else { "" };
    let projected = if *projected { ", projected" } else { "" };
    format!("attempt {number}: {method} with {preconditioner}{negated}{projected}")
}

fn unfit(name: impl Into<String>) -> Error {
    Error::Snapshot { method: "automatic solve".to_owned(), name: name.into() }
}

impl<T: Scalar> Progressed<'_, T> {
    /// Adds it to the snapshot of the attempt under way.
    pub(super) fn save(&self, snapshot: &mut Snapshot<T>) {
        let number = self.plans.len();
        snapshot.set_integer(ATTEMPT, number as u64);
        for ((attempt, plan), number) in self.attempts.iter().zip(self.plans).zip(1..) {
            save(attempt, &name(number, plan), snapshot);
        }
        if let Some(plan) = self.plans.last() {
            snapshot.set_integer(&name(number, plan), self.best.layout().comm().size() as u64);
        }
        if !self.attempts.is_empty() {
            snapshot.set_vector(BEST, self.best.clone());
        }
    }
}

/// Returns the attempts before the one in which a snapshot was taken; `x` becomes the best of their solutions.
pub(super) fn load<T: Scalar>(
    snapshot: &Snapshot<T>,
    plans: &[Plan],
    unsolvable_rows: u64,
    x: &mut Vector<T>,
) -> Result<Vec<Attempt>> {
    let number = snapshot.integer(ATTEMPT).and_then(|number| usize::try_from(number).ok());
    let number = number.filter(|number| (1..=plans.len()).contains(number)).ok_or_else(|| unfit(ATTEMPT))?;
    let current = name(number, &plans[number - 1]);
    if snapshot.integer(&current).is_none() {
        return Err(unfit(current));
    }
    let restored = |(plan, number)| restore(plan, &name(number, plan), snapshot, unsolvable_rows);
    let attempts = plans[..number - 1].iter().zip(1..).map(restored).collect::<Result<_>>()?;
    if number > 1 {
        let best = snapshot.vector(BEST).filter(|best| best.layout() == x.layout());
        x.copy_from(best.ok_or_else(|| unfit(BEST))?)?;
    }
    Ok(attempts)
}

/// Returns true if the recurrences of an attempt still hold: not with a preconditioner of other blocks.
pub(super) fn is_same_attempt<T: Scalar>(snapshot: &Snapshot<T>, number: usize, plan: &Plan, x: &Vector<T>) -> bool {
    let ranks = x.layout().comm().size() as u64;
    plan.preconditioner.is_same_on_any_ranks() || snapshot.integer(&name(number, plan)) == Some(ranks)
}

/// Returns the `x` that an attempt had reached.
pub(super) fn reached<'s, T: Scalar>(snapshot: &'s Snapshot<T>, x: &Vector<T>) -> Result<&'s Vector<T>> {
    snapshot.vector("x").filter(|reached| reached.layout() == x.layout()).ok_or_else(|| unfit("x"))
}

fn save<T: Scalar>(attempt: &Attempt, name: &str, snapshot: &mut Snapshot<T>) {
    let mut reals = vec![attempt.setup.as_secs_f64(), attempt.true_relative_residual];
    if let Ok(report) = &attempt.outcome {
        let SolveReport { iterations, applications, preconditionings, .. } = *report;
        let counts =
            [("iterations", iterations), ("applications", applications), ("preconditionings", preconditionings)];
        counts.into_iter().for_each(|(count, value)| snapshot.set_integer(&format!("{name}, {count}"), value as u64));
        snapshot.set_integer(&format!("{name}, reason"), code(report.reason));
        let normal = report.normal_residual.unwrap_or(f64::NAN);
        let seconds = report.time.as_secs_f64();
        reals.extend([report.rhs_norm, report.target, report.true_residual, normal, seconds]);
        reals.extend(&report.history);
    }
    snapshot.set_reals(name, reals);
}

fn restore<T: Scalar>(plan: &Plan, name: &str, snapshot: &Snapshot<T>, unsolvable_rows: u64) -> Result<Attempt> {
    let reals = snapshot.reals(name).ok_or_else(|| unfit(name))?;
    let (setup, residual, outcome) = match *reals {
        [setup, residual] => (setup, residual, Err(Error::NotMade { preconditioner: plan.preconditioner.kind() })),
        [setup, residual, rhs_norm, target, true_residual, normal, seconds, ref history @ ..] => {
            let count = |count: &str| {
                let value = snapshot.integer(&format!("{name}, {count}")).and_then(|value| value.try_into().ok());
                value.ok_or_else(|| unfit(name))
            };
            let reason = snapshot.integer(&format!("{name}, reason")).and_then(reason_of);
            let report = SolveReport {
                method: plan.method.method().title(),
                reason: reason.ok_or_else(|| unfit(name))?,
                iterations: count("iterations")?,
                history: history.to_vec(),
                norm: Norm::True,
                rhs_norm,
                target,
                true_residual,
                normal_residual: (!normal.is_nan()).then_some(normal),
                damp: 0.0,
                weighted: false,
                applications: count("applications")?,
                preconditionings: count("preconditionings")?,
                time: duration(seconds),
            };
            (setup, residual, Ok(report))
        }
        _ => return Err(unfit(name)),
    };
    Ok(Attempt {
        method: plan.method,
        preconditioner: plan.preconditioner.clone(),
        reason: plan.reason.clone(),
        setup: duration(setup),
        outcome,
        true_relative_residual: residual,
        unsolvable_rows,
        solved: false,
    })
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Returns the number of a reason in a snapshot.
fn code(reason: StopReason) -> u64 {
    match reason {
        StopReason::Converged => 0,
        StopReason::IterationLimit => 1,
        StopReason::Diverged => 2,
        StopReason::IndefiniteOperator => 3,
        StopReason::IndefinitePreconditioner => 4,
        StopReason::NotFinite => 5,
        StopReason::Stagnated => 6,
        StopReason::Breakdown => 7,
        StopReason::Requested => 8,
        StopReason::NotHermitian => 9,
        StopReason::PreconditionerNotHermitian => 10,
        StopReason::Inconsistent => 11,
    }
}

fn reason_of(number: u64) -> Option<StopReason> {
    let all = [
        StopReason::Converged,
        StopReason::IterationLimit,
        StopReason::Diverged,
        StopReason::IndefiniteOperator,
        StopReason::IndefinitePreconditioner,
        StopReason::NotFinite,
        StopReason::Stagnated,
        StopReason::Breakdown,
        StopReason::Requested,
        StopReason::NotHermitian,
        StopReason::PreconditionerNotHermitian,
        StopReason::Inconsistent,
    ];
    all.into_iter().find(|reason| code(*reason) == number)
}
