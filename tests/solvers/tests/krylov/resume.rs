//! A solve that was stopped resumes with the bits of one that was not.

use dolmen_core::random::Philox;
use dolmen_core::{Complex64, CsrMatrix, Diagonal, Layout, LinearOperator, Scalar, Snapshot, Vector};
use dolmen_solvers::{
    Cg, Error, Method, Minres, Monitor, Progress, Request, Result, Settings, SolveReport, StopReason,
};
use dolmen_tests::{Comm, TestResult};

use crate::endings::solve;
use crate::references::matrix;
use crate::stencil::{grid, neighbors, ones};

/// Asks to stop after an iteration, on one rank only, and keeps snapshots.
pub(crate) struct Stopper<T> {
    after: Option<usize>,
    pub(crate) snapshots: Vec<Snapshot<T>>,
}

impl<T: Scalar> Monitor<T> for Stopper<T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        if self.after == Some(progress.iteration) { Request::Stop } else { Request::Continue }
    }

    fn snapshot(&mut self, snapshot: Snapshot<T>) -> Result<()> {
        self.snapshots.push(snapshot);
        Ok(())
    }
}

impl<T: Scalar> Stopper<T> {
    pub(crate) fn new(comm: &Comm, after: usize) -> Stopper<T> {
        let last = comm.rank() + 1 == comm.size();
        Stopper { after: last.then_some(after), snapshots: Vec::new() }
    }
}

/// A diagonally dominant Hermitian matrix, complex where `T` is.
pub(crate) fn hermitian<T: Scalar>(layout: &Layout) -> TestResult<CsrMatrix<T>> {
    matrix(layout, layout, |i| {
        let around = neighbors(i, &[20, 15]).into_iter();
        let value = |j: u64| T::from_parts(-0.8, if j < i { 0.5 } else { -0.5 });
        around.map(|j| (j, value(j))).chain([(i, T::from_parts(4.0, 0.0))]).collect()
    })
}

pub(crate) fn assert_same<T: Scalar>(
    name: &str,
    whole: (&SolveReport, &Vector<T>),
    resumed: (&SolveReport, &Vector<T>),
) {
    let ((report, x), (other, y)) = (whole, resumed);
    assert_eq!(report.reason, other.reason, "{name}");
    assert_eq!(report.history, other.history, "{name}");
    assert_eq!(report.true_residual.to_bits(), other.true_residual.to_bits(), "{name}");
    assert_eq!((report.iterations, report.preconditionings), (other.iterations, other.preconditionings), "{name}");
    assert_eq!(x.owned(), y.owned(), "{name}");
}

pub(crate) fn stop_and_resume(comm: &Comm) -> TestResult {
    square::<f64>(comm)?;
    square::<Complex64>(comm)?;
    square::<f32>(comm)?;
    least_squares(comm)
}

fn settings<T: Scalar>(m: &Diagonal<T>) -> Settings<'_, T> {
    Settings::new().rtol(if T::NAME == "f32" { 1e-5 } else { 1e-10 }).preconditioner(m)
}

fn square<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 300);
    let a = hermitian::<T>(&layout)?;
    let random = Philox::new(3);
    let b = Vector::from_fn(&layout, |i| T::from_parts(random.normal(0, i), random.normal(1, i)));
    let m = Diagonal::new(Vector::from_fn(&layout, |i| T::from_parts(0.2 + 0.1 * random.uniform(2, i), 0.0)));
    for &name in Method::SQUARE {
        let solve = |settings: Settings<'_, T>, x: &mut Vector<T>| -> TestResult<SolveReport> {
            Ok(name.solver(settings)?.solve(&a, &b, x)?)
        };
        let mut x = Vector::zeros(&layout);
        let whole = solve(settings(&m), &mut x)?;
        for after in [0, 1, 2, 5] {
            let mut stopper = Stopper::new(comm, after);
            let mut y = Vector::zeros(&layout);
            let stopped = solve(settings(&m).monitor(&mut stopper), &mut y)?;
            // One iteration later, since wishes are heard in the next one.
            assert_eq!((stopped.reason, stopped.iterations), (StopReason::Requested, after + 1), "{name}");
            let [snapshot] = &stopper.snapshots[..] else { return Err("not one snapshot".into()) };
            assert_eq!(snapshot.method(), whole.method);
            let mut y = ones_like(&layout);
            let resumed = solve(settings(&m).resume(snapshot), &mut y)?;
            assert_same(name.name(), (&whole, &x), (&resumed, &y));
        }
    }
    Ok(())
}

fn ones_like<T: Scalar>(layout: &Layout) -> Vector<T> {
    Vector::from_fn(layout, |_| T::ONE)
}

fn least_squares(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 300);
    let a = hermitian::<Complex64>(&layout)?;
    let b = Vector::from_fn(&layout, |i| Complex64::new(1.0 + (i % 7) as f64, (i % 3) as f64));
    for &name in Method::LEAST_SQUARES {
        let solve = |settings: Settings<'_, Complex64>, x: &mut Vector<Complex64>| -> TestResult<SolveReport> {
            Ok(name.least_squares(settings, None)?.solve(&a, &b, x)?)
        };
        let mut x = Vector::zeros(&layout);
        let whole = solve(Settings::new(), &mut x)?;
        let mut stopper = Stopper::new(comm, 3);
        solve(Settings::new().monitor(&mut stopper), &mut Vector::zeros(&layout))?;
        let mut y = Vector::zeros(&layout);
        let resumed = solve(Settings::new().resume(&stopper.snapshots[0]), &mut y)?;
        assert_same(name.name(), (&whole, &x), (&resumed, &y));
    }
    Ok(())
}

/// A snapshot every so many iterations, each of them good to go on from.
pub(crate) fn periodic_snapshots(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 20)?;
    let b = ones(&layout);
    let mut keeper = Stopper { after: None, snapshots: Vec::new() };
    let mut x = Vector::zeros(&layout);
    let whole = Cg::new().snapshot_every(10).monitor(&mut keeper).solve(&a, &b, &mut x)?;
    assert_eq!(keeper.snapshots.len(), whole.iterations / 10);
    assert_eq!(keeper.snapshots[1].integer("iterations"), Some(20));
    for snapshot in &keeper.snapshots {
        let mut y = Vector::zeros(&layout);
        let resumed = Cg::new().resume(snapshot).solve(&a, &b, &mut y)?;
        assert_same("CG", (&whole, &x), (&resumed, &y));
    }
    Ok(())
}

/// From every iteration, also the last, which has converged, and those at which a cycle ends.
pub(crate) fn every_snapshot(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 12)?;
    let b = ones(&layout);
    for &name in Method::SQUARE {
        let mut keeper = Stopper { after: None, snapshots: Vec::new() };
        let mut x = Vector::zeros(&layout);
        let whole =
            solve(name, Settings::new().max_iterations(40).snapshot_every(1).monitor(&mut keeper), &a, &b, &mut x)?;
        assert_eq!(keeper.snapshots.len(), whole.iterations, "{name}");
        for snapshot in keeper.snapshots.iter().rev().step_by(3) {
            let mut y = Vector::zeros(&layout);
            let resumed = solve(name, Settings::new().max_iterations(40).resume(snapshot), &a, &b, &mut y)?;
            assert_same(name.name(), (&whole, &x), (&resumed, &y));
        }
        // What has converged for one right-hand side has not for another.
        let last = keeper.snapshots.last().ok_or("no snapshot")?;
        let mut other = b.clone();
        other.scale(-3.0);
        let mut y = Vector::zeros(&layout);
        let report = solve(name, Settings::new().max_iterations(40).resume(last), &a, &other, &mut y)?;
        let mut r = Vector::zeros(&layout);
        a.apply(&y, &mut r)?;
        r.axpby(1.0, &other, -1.0)?;
        assert_eq!(report.true_residual, r.norm2(), "{report}");
        assert_eq!(report.converged(), r.norm2() <= report.target, "{report}");
    }
    Ok(())
}

/// A solve that ends at its limit leaves a snapshot if it is asked for, and nothing of it depends on that limit.
pub(crate) fn larger_limit(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 12)?;
    let b = ones(&layout);
    for &name in Method::SQUARE {
        let mut x = Vector::zeros(&layout);
        let whole = solve(name, Settings::new().max_iterations(50), &a, &b, &mut x)?;
        // Asks after the last iteration, on one rank.
        let mut keeper = Stopper::new(comm, 4);
        let short = Settings::new().max_iterations(4).monitor(&mut keeper);
        let report = solve(name, short, &a, &b, &mut Vector::zeros(&layout))?;
        assert_eq!(report.reason, StopReason::IterationLimit, "{name}");
        let [snapshot] = &keeper.snapshots[..] else { return Err("not one snapshot".into()) };
        let mut y = Vector::zeros(&layout);
        let resumed = solve(name, Settings::new().max_iterations(50).resume(snapshot), &a, &b, &mut y)?;
        assert_same(name.name(), (&whole, &x), (&resumed, &y));
    }
    Ok(())
}

/// Also where the monitor asks for what is due anyway, or asks twice.
pub(crate) fn one_an_iteration(comm: &Comm) -> TestResult {
    struct Greedy(Vec<Option<u64>>);
    impl Monitor<f64> for Greedy {
        fn progress(&mut self, progress: &Progress) -> Request {
            if progress.iteration < 4 { Request::Snapshot } else { Request::Stop }
        }

        fn snapshot(&mut self, snapshot: Snapshot<f64>) -> Result<()> {
            self.0.push(snapshot.integer("iterations"));
            Ok(())
        }
    }
    let (layout, a) = grid(comm, 12)?;
    for &name in Method::SQUARE {
        let mut greedy = Greedy(Vec::new());
        let settings = Settings::new().snapshot_every(2).monitor(&mut greedy);
        let report = solve(name, settings, &a, &ones(&layout), &mut Vector::zeros(&layout))?;
        assert_eq!(report.reason, StopReason::Requested, "{name}");
        assert_eq!(greedy.0, [1, 2, 3, 4, 5].map(Some), "{name}");
    }
    Ok(())
}

pub(crate) fn foreign_snapshots(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 8)?;
    let b = ones(&layout);
    let mut x: Vector<f64> = Vector::zeros(&layout);
    let mut refused = |snapshot: &Snapshot<f64>, text: &str| {
        let error = Minres::new().resume(snapshot).solve(&a, &b, &mut x).expect_err("resumed");
        let is_of_snapshots = matches!(error.cause(), Error::SnapshotMethod { .. } | Error::Snapshot { .. });
        assert!(is_of_snapshots && error.to_string().contains(text), "{error}");
    };
    refused(&Snapshot::new("CG"), "MINRES cannot resume from a snapshot of CG");
    refused(&Snapshot::new("MINRES"), "no fitting \"x\"");
    let mut snapshot = Snapshot::new("MINRES");
    snapshot.set_vector("x", Vector::zeros(&Layout::uniform(comm, 65)));
    refused(&snapshot, "no fitting \"x\"");
    Ok(())
}
