//! Solves on stacked vectors that were stopped on some ranks end on others with the same bits.

use std::path::Path;
use std::time::Duration;

use dolmen::Checkpointer;
use dolmen_core::{
    Adjoint, AdjointOperator, BlockLayout, BlockOperator, CsrMatrix, Diagonal, Layout, LinearOperator, Vector,
};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_solvers::{Lsqr, Minres, Progress, Request, SolveReport, StopReason};
use dolmen_tests::{Comm, Folder, TestResult};

use crate::first_ranks;

const AFTER: usize = 7;

/// The result of a solve: its report, and the whole solution on rank 0.
type Outcome = (SolveReport, Vec<u64>);

/// Solves from zero, or from the state in `folder`, and stops after an iteration if that is asked for.
type Solve = fn(&Comm, Option<&Path>, Option<usize>) -> TestResult<Outcome>;

/// A diagonal on 300 rows, and 200 rows of two entries each.
fn parts(comm: &Comm) -> TestResult<(Diagonal<f64>, CsrMatrix<f64>)> {
    let (u, p) = (Layout::uniform(comm, 300), Layout::uniform(comm, 200));
    let d = Diagonal::new(Vector::from_fn(&u, |row| 1.0 + (row % 7) as f64 / 4.0));
    let b = CsrMatrix::from_rows(&p, &u, |row, entries| {
        entries.push(row, -1.0);
        entries.push(row + 1 + row % 99, 1.5);
    })?;
    Ok((d, b))
}

/// `[D B'; B 0]` by MINRES.
fn saddle_point(comm: &Comm, folder: Option<&Path>, stop: Option<usize>) -> TestResult<Outcome> {
    let (d, b) = parts(comm)?;
    let adjoint = Adjoint::new(&b);
    let stack = BlockLayout::new(&[b.domain(), b.range()])?;
    let grid: Vec<Vec<Option<&dyn AdjointOperator<f64>>>> = vec![vec![Some(&d), Some(&adjoint)], vec![Some(&b), None]];
    let a = BlockOperator::new(&stack, &stack, grid)?;
    solve(comm, &a, folder, stop, |settings, a, b, x| Ok(Minres::from(settings).solve(a, b, x)?))
}

/// `[B 0; D B']` by LSQR: as many rows as columns, stacked in another order.
fn least_squares(comm: &Comm, folder: Option<&Path>, stop: Option<usize>) -> TestResult<Outcome> {
    let (d, b) = parts(comm)?;
    let adjoint = Adjoint::new(&b);
    let domain = BlockLayout::new(&[b.domain(), b.range()])?;
    let range = BlockLayout::new(&[b.range(), b.domain()])?;
    let grid: Vec<Vec<Option<&dyn AdjointOperator<f64>>>> = vec![vec![Some(&b), None], vec![Some(&d), Some(&adjoint)]];
    let a = BlockOperator::new(&domain, &range, grid)?;
    solve(comm, &a, folder, stop, |settings, a, b, x| Ok(Lsqr::from(settings).solve(a, b, x)?))
}

fn solve(
    comm: &Comm,
    a: &dyn AdjointOperator<f64>,
    folder: Option<&Path>,
    stop: Option<usize>,
    method: impl Fn(
        dolmen_solvers::Settings<'_, f64>,
        &dyn AdjointOperator<f64>,
        &Vector<f64>,
        &mut Vector<f64>,
    ) -> TestResult<SolveReport>,
) -> TestResult<Outcome> {
    let b = Vector::from_fn(a.range(), |row| 1.0 + (row % 13) as f64 / 16.0);
    let mut x = Vector::zeros(a.domain());
    let settings = dolmen_solvers::Settings::new().rtol(1e-9);
    let report = match folder {
        None => method(settings, a, &b, &mut x)?,
        Some(folder) => {
            let mut ask = |progress: &Progress| match stop {
                Some(after) if progress.iteration == after => Request::Stop,
                _ => Request::Continue,
            };
            let mut saver = Checkpointer::new(comm, folder, Duration::from_secs(3600), "stack")?.ask(&mut ask);
            let resumed = saver.resume(&[a.domain(), a.range()])?;
            let settings = settings.monitor(&mut saver);
            match &resumed {
                Some(resumed) => method(settings.resume(&resumed.snapshot), a, &b, &mut x)?,
                None => method(settings, a, &b, &mut x)?,
            }
        }
    };
    Ok((report, x.gather_all().into_iter().map(f64::to_bits).collect()))
}

pub(crate) fn to_any(comm: &Comm) -> TestResult {
    for solve in [saddle_point as Solve, least_squares] {
        let mut whole = None;
        for (before, after) in [(2, 1), (2, 3), (1, 4), (4, 2)] {
            let folder = Folder::new(comm)?;
            if let Some(some) = first_ranks(comm, before)? {
                let (report, _) = solve(&some, Some(folder.path()), Some(AFTER))?;
                assert_eq!((report.reason, report.iterations), (StopReason::Requested, AFTER + 1));
            }
            if let Some(some) = first_ranks(comm, after)? {
                let undisturbed = solve(&some, None, None)?;
                let resumed = solve(&some, Some(folder.path()), None)?;
                let expected = whole.get_or_insert(undisturbed.clone());
                assert!(expected.0.iterations > AFTER + 3, "{}", expected.0.iterations);
                for (report, x) in [undisturbed, resumed] {
                    assert_eq!(report.history, expected.0.history, "{before} to {after}");
                    assert!(x == expected.1 && report.converged(), "{before} to {after}: {report}");
                }
            }
            comm.barrier();
            folder.remove(comm);
        }
    }
    Ok(())
}

/// The bytes of a checkpoint do not depend on the ranks, and hold the blocks one after the other.
pub(crate) fn blocks_in_order(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    // More than a block of checksums, which ends inside of both blocks of the vector.
    let len = (1 << 17) + 77;
    for ranks in 1..=comm.size() {
        let Some(some) = first_ranks(comm, ranks)? else { continue };
        let path = folder.path().join(ranks.to_string());
        let [first, second] = [len, 2 * len].map(|len| Layout::uniform(&some, len));
        let x = Vector::from_fn(BlockLayout::new(&[&first, &second])?.stacked(), |row| row as f64);
        let mut store = CheckpointStore::open(&some, &path)?;
        store.save(&Checkpoint::new("").vector("x", &x))?;
        store.begin(Checkpoint::new("").vector("x", &x))?;
        store.complete()?;
        let mut restored = store.load()?.ok_or("nothing was saved")?;
        let found = restored.take_vector::<f64>("x", &Layout::uniform(&some, 3 * len))?.ok_or("no vector")?;
        assert!(found.range().zip(found.owned()).all(|(row, &value)| value == row as f64), "{ranks} ranks");
    }
    comm.barrier();
    folder.remove(comm);
    Ok(())
}
