//! A solve that was stopped on four ranks ends on other numbers of them with the same bits.

use std::time::Duration;

use dolmen::Checkpointer;
use dolmen_core::Vector;
use dolmen_solvers::{Cg, Progress, Request, SolveReport, StopReason};
use dolmen_tests::{Comm, Folder, TestResult};

use crate::first_ranks;
use crate::problem::problem;

/// The problem is a grid of so many points squared.
const SIDE: u64 = 60;
/// Iterations before it stops.
const AFTER: usize = 40;

/// The report and all of the solution on rank 0, as bits.
type Outcome = (SolveReport, Vec<u64>);

fn bits(x: &Vector<f64>) -> Vec<u64> {
    let all = x.comm().gather(0, x.owned()).into_iter().flatten().flatten();
    all.map(f64::to_bits).collect()
}

fn undisturbed(comm: &Comm) -> TestResult<Outcome> {
    let (matrix, jacobi, rhs) = problem(comm, SIDE)?;
    let mut x = Vector::zeros(rhs.layout());
    let report = Cg::new().rtol(1e-10).preconditioner(&jacobi).solve(&matrix, &rhs, &mut x)?;
    Ok((report.require_converged()?, bits(&x)))
}

fn write(comm: &Comm, folder: &Folder) -> TestResult {
    let (matrix, jacobi, rhs) = problem(comm, SIDE)?;
    let last = comm.rank() + 1 == comm.size();
    let mut stop = |progress: &Progress| match last && progress.iteration == AFTER {
        true => Request::Stop,
        false => Request::Continue,
    };
    let mut saver = Checkpointer::new(comm, folder.path(), Duration::from_secs(3600), "grid")?.ask(&mut stop);
    let mut x = Vector::zeros(rhs.layout());
    let report = Cg::new().rtol(1e-10).preconditioner(&jacobi).monitor(&mut saver).solve(&matrix, &rhs, &mut x)?;
    assert_eq!((report.reason, report.iterations), (StopReason::Requested, AFTER + 1));
    Ok(())
}

fn resume(comm: &Comm, folder: &Folder) -> TestResult<Outcome> {
    let (matrix, jacobi, rhs) = problem(comm, SIDE)?;
    let hour = Duration::from_secs(3600);
    let error = Checkpointer::<f64>::new(comm, folder.path(), hour, "other")?.resume(&[]).expect_err("another config");
    assert!(error.to_string().contains("it had \"grid\", now there is \"other\""), "{error}");
    let mut saver = Checkpointer::new(comm, folder.path(), hour, "grid")?;
    let resumed = saver.resume(&[rhs.layout()])?.ok_or("nothing to resume from")?;
    assert_eq!(resumed.snapshot.integer("iterations"), Some(AFTER as u64 + 1));
    let mut x = Vector::zeros(rhs.layout());
    let cg = Cg::new().rtol(1e-10).preconditioner(&jacobi).resume(&resumed.snapshot).monitor(&mut saver);
    Ok((cg.solve(&matrix, &rhs, &mut x)?, bits(&x)))
}

pub(crate) fn four_to_any(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let mut whole = None;
    if let Some(four) = first_ranks(comm, 4)? {
        whole = Some(undisturbed(&four)?);
        write(&four, &folder)?;
    }
    for ranks in [1, 2, 3, 7] {
        if let Some(some) = first_ranks(comm, ranks)? {
            let (report, x) = resume(&some, &folder)?;
            if let (0, Some((expected, y))) = (comm.rank(), &whole) {
                assert_eq!(report.history, expected.history, "{ranks} ranks");
                assert_eq!((report.iterations, report.reason), (expected.iterations, StopReason::Converged));
                assert!(x == *y && x.len() as u64 == SIDE * SIDE, "{ranks} ranks");
                assert!(report.iterations > AFTER + 20, "{} iterations", report.iterations);
            }
        }
        comm.barrier();
    }
    folder.remove(comm);
    Ok(())
}

/// It has its name long before the solve ends or saves again.
pub(crate) fn named_meanwhile(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let (matrix, jacobi, rhs) = problem(comm, SIDE)?;
    let file = folder.path().join("checkpoint-00000001.h5");
    let mut named = None;
    let mut ask = |progress: &Progress| {
        if progress.iteration == AFTER {
            return Request::Snapshot;
        }
        if progress.iteration > AFTER && named.is_none() {
            std::thread::sleep(Duration::from_millis(2));
            named = file.exists().then_some(progress.iteration);
        }
        Request::Continue
    };
    let mut saver = Checkpointer::new(comm, folder.path(), Duration::from_secs(3600), "grid")?.ask(&mut ask);
    let mut x = Vector::zeros(rhs.layout());
    let report = Cg::new().rtol(1e-10).preconditioner(&jacobi).monitor(&mut saver).solve(&matrix, &rhs, &mut x)?;
    assert_eq!(saver.finish()?, Some(file.clone()));
    assert!(named.is_some_and(|iteration| iteration < report.iterations), "{named:?} of {}", report.iterations);
    comm.barrier();
    folder.remove(comm);
    Ok(())
}
