//! Automatic solves that were interrupted: each snapshot leads to the bits of the whole.

use dolmen_core::{Layout, LinearOperator, Snapshot, Vector};
use dolmen_solvers::{Automatic, Error, Method, Monitor, PreconditionerKind, Progress, Request, Solution};
use dolmen_tests::{Comm, TestResult};

use crate::choices::{right_hand_side, tridiagonal};

/// Keeps a snapshot of each iteration.
#[derive(Default)]
struct Keeper(Vec<Snapshot<f64>>);

impl Monitor<f64> for Keeper {
    fn progress(&mut self, _: &Progress) -> Request {
        Request::Snapshot
    }

    fn snapshot(&mut self, snapshot: Snapshot<f64>) -> dolmen_solvers::Result<()> {
        self.0.push(snapshot);
        Ok(())
    }
}

/// Returns the parts of a solution that are the same in two solves that took different times.
fn timeless(solution: &Solution) -> Vec<String> {
    let told = solution.attempts.iter().map(|attempt| {
        let history = attempt.outcome.as_ref().map(|report| (report.history.clone(), report.applications));
        format!("{} {} {:?} {}", attempt.summary(), attempt.true_relative_residual, history.ok(), attempt.solved)
    });
    told.collect()
}

fn hopeless<'a>() -> Automatic<'a, f64> {
    Automatic::new().rtol(1e-17).max_iterations(6)
}

/// CG, a factorization and MINRES one after the other, none of which reaches the tolerance.
pub(crate) fn everywhere(comm: &Comm) -> TestResult {
    let a = tridiagonal(comm, 40, -1.0, |_| 0.5, -1.0)?;
    let b = right_hand_side(&a)?;
    let mut keeper = Keeper::default();
    let mut expected = Vector::zeros(a.domain());
    let whole = hopeless().monitor(&mut keeper).solve(&a, &b, &mut expected)?;
    assert!(whole.attempts.len() > 2, "{whole:#?}");
    let mut seen = [false; 8];
    for snapshot in &keeper.0 {
        let number = snapshot.integer("attempt").ok_or("no number")?;
        seen[usize::try_from(number)?] = true;
        let mut x = Vector::zeros(a.domain());
        let resumed = hopeless().resume(snapshot).solve(&a, &b, &mut x)?;
        assert_eq!(timeless(&resumed), timeless(&whole), "from attempt {number}");
        assert!(x.owned().iter().zip(expected.owned()).all(|(x, y)| x.to_bits() == y.to_bits()), "{number}");
    }
    assert!(seen.iter().filter(|seen| **seen).count() > 2, "{seen:?}");
    Ok(())
}

/// With blocks of other ranks an attempt starts anew from its x, and does as well.
pub(crate) fn fewer_ranks(comm: &Comm) -> TestResult {
    let a = tridiagonal(comm, 400, -1.0, |_| 2.0, -1.0)?;
    let b = right_hand_side(&a)?;
    let mut keeper = Keeper::default();
    let mut x = Vector::zeros(a.domain());
    Automatic::new().monitor(&mut keeper).solve(&a, &b, &mut x)?;
    let saved = keeper.0.last().ok_or("no snapshot")?;
    let Some(half) = comm.split((comm.rank() < 2).then_some(0), 0)? else {
        saved.vectors().for_each(|(_, vector)| drop(vector.gather_all()));
        return Ok(());
    };
    let layout = Layout::uniform(&half, 400);
    let mut moved = Snapshot::new(saved.method());
    saved.integers().for_each(|(name, value)| moved.set_integer(name, value));
    saved.all_reals().for_each(|(name, values)| moved.set_reals(name, values.to_vec()));
    for (name, vector) in saved.vectors() {
        let entries = vector.gather_all();
        moved.set_vector(name, Vector::from_fn(&layout, |row| entries[usize::try_from(row).expect("small")]));
    }
    let a = tridiagonal(&half, 400, -1.0, |_| 2.0, -1.0)?;
    let b = right_hand_side(&a)?;
    let mut x = Vector::zeros(a.domain());
    let mut first = None;
    let mut watch = |progress: &Progress| {
        first.get_or_insert((progress.iteration, progress.residual));
    };
    let solution = Automatic::new().monitor(&mut watch).resume(&moved).solve(&a, &b, &mut x)?;
    assert!(solution.solved(), "{solution:#?}");
    let (iteration, residual) = first.ok_or("no iteration")?;
    assert!(iteration == 0 && residual < b.norm2(), "starts from the x that was reached: {residual}");
    Ok(())
}

pub(crate) fn refused(comm: &Comm) -> TestResult {
    let a = tridiagonal(comm, 40, -1.0, |_| 0.5, -1.0)?;
    let definite = tridiagonal(comm, 40, -1.0, |_| 2.0, -1.0)?;
    let b = right_hand_side(&a)?;
    let mut keeper = Keeper::default();
    let mut x = Vector::zeros(a.domain());
    Automatic::new().max_iterations(6).rtol(1e-17).monitor(&mut keeper).solve(&a, &b, &mut x)?;
    let last = keeper.0.last().ok_or("no snapshot")?;
    let refused = Automatic::new().solver(Method::Cg).resume(last).solve(&a, &b, &mut x);
    assert!(matches!(&refused, Err(Error::Snapshot { name, .. }) if name == "attempt"), "{refused:?}");
    // The first attempt of each, but another one.
    let mut keeper = Keeper::default();
    Automatic::new()
        .solver(Method::Cg)
        .preconditioner(PreconditionerKind::Ic)
        .monitor(&mut keeper)
        .solve(&definite, &b, &mut x)?;
    let refused = Automatic::new()
        .solver(Method::Gmres)
        .preconditioner(PreconditionerKind::None)
        .resume(&keeper.0[0])
        .solve(&a, &b, &mut x);
    assert!(
        matches!(&refused, Err(Error::Snapshot { name, .. }) if name == "attempt 1: gmres with none"),
        "{refused:?}"
    );
    let none = Automatic::new().resume(&Snapshot::new("CG")).solve(&a, &b, &mut x).err();
    assert!(matches!(none, Some(Error::Snapshot { .. })), "{none:?}");
    Ok(())
}
