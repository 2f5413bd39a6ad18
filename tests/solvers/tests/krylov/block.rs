//! Several right-hand sides at once: against dense solves, in every situation that ends a solve, and the
//! same bits on any number of ranks.

use dolmen_core::random::Philox;
use dolmen_core::{CsrMatrix, Layout, LinearOperator, MultiVector, Real, Reduction, Scalar, Snapshot, Vector};
use dolmen_solvers::{BlockCg, Cg, Error, Jacobi, Monitor, Norm, Progress, Request, Settings, SolveReport, StopReason};
use dolmen_tests::{Checksums, Comm, TestResult, oracle};

use crate::references::matrix;
use crate::stencil::{grid, laplacian, neighbors};

const ROWS: u64 = 60;

/// All rows on the first and the last rank, so that others have none.
fn uneven(comm: &Comm, rows: u64) -> TestResult<Layout> {
    let (rank, last) = (comm.rank(), comm.size() - 1);
    let first = if last == 0 { rows } else { rows / 3 };
    let len = if rank == 0 {
        first
    } else if rank == last {
        rows - first
    } else {
        0
    };
    let len = if last == 1 { [rows, 0][rank] } else { len };
    Ok(Layout::from_local_len(comm, usize::try_from(len)?)?)
}

/// A row of a Hermitian positive definite matrix, complex where `T` is, with a diagonal that varies.
fn row<T: Scalar>(i: u64) -> Vec<(u64, T)> {
    let around = neighbors(i, &[10, 6]).into_iter();
    let value = |j: u64| T::from_parts(-0.8, if j < i { 0.5 } else { -0.5 });
    around.map(|j| (j, value(j))).chain([(i, T::from_parts(4.0 + (i % 7) as f64, 0.0))]).collect()
}

fn random<T: Scalar>(layout: &Layout, columns: usize) -> MultiVector<T> {
    let mut b = MultiVector::zeros(layout, columns);
    b.fill_normal(&Philox::new(5), 0);
    b
}

/// `|b - A x|` of a column.
fn residual<T: Scalar>(a: &dyn LinearOperator<T>, b: &MultiVector<T>, x: &MultiVector<T>, j: usize) -> TestResult<f64> {
    let [mut rhs, mut solution, mut r] = std::array::from_fn(|_| Vector::zeros(b.layout()));
    b.copy_column_to(j, &mut rhs)?;
    x.copy_column_to(j, &mut solution)?;
    a.apply(&solution, &mut r)?;
    r.axpby(T::ONE, &rhs, -T::ONE)?;
    Ok(r.norm2())
}

/// Checks the properties of every report.
fn audit<T: Scalar>(
    reports: &[SolveReport],
    a: &dyn LinearOperator<T>,
    b: &MultiVector<T>,
    x: &MultiVector<T>,
) -> TestResult {
    assert_eq!(reports.len(), b.columns());
    for (j, report) in reports.iter().enumerate() {
        let found = residual(a, b, x, j)?;
        assert_eq!(found.to_bits(), report.true_residual.to_bits(), "column {j}: {report}");
        assert_eq!(report.converged(), found <= report.target, "column {j}: {report}");
        assert_eq!(report.history.len(), report.iterations + 1);
    }
    Ok(())
}

pub(crate) fn dense_solves(comm: &Comm) -> TestResult {
    for layout in [Layout::uniform(comm, ROWS), uneven(comm, ROWS)?] {
        dense_solves_of::<f32>(&layout, 1e-5)?;
        dense_solves_of::<f64>(&layout, 1e-10)?;
        dense_solves_of::<dolmen_core::Complex32>(&layout, 1e-5)?;
        dense_solves_of::<dolmen_core::Complex64>(&layout, 1e-10)?;
    }
    Ok(())
}

/// Six columns: three at random, one that depends on two of them, one of zeros, and one that is tiny.
fn difficult<T: Scalar>(layout: &Layout) -> TestResult<MultiVector<T>> {
    let mut b = random::<T>(layout, 6);
    let [mut first, mut second] = [0, 1].map(|_| Vector::zeros(layout));
    b.copy_column_to(0, &mut first)?;
    b.copy_column_to(1, &mut second)?;
    first.axpby(T::from_parts(2.0, 0.0), &second, -T::ONE)?;
    b.set_column(3, &first)?;
    b.column_mut(4).fill(T::ZERO);
    b.scale_columns(&[1.0, 1.0, 1.0, 1.0, 1.0, 1e-9].map(|size| T::from_parts(size, 0.0)))?;
    Ok(b)
}

fn dense_solves_of<T: Scalar>(layout: &Layout, rtol: f64) -> TestResult {
    let a: CsrMatrix<T> = matrix(layout, layout, row::<T>)?;
    let b = difficult::<T>(layout)?;
    let whole = |block: &MultiVector<T>, j: usize| -> TestResult<Vec<T>> {
        let mut column = Vector::zeros(layout);
        block.copy_column_to(j, &mut column)?;
        Ok(column.gather_all())
    };
    let mut dense = vec![vec![T::ZERO; usize::try_from(ROWS)?]; usize::try_from(ROWS)?];
    for (i, entries) in dense.iter_mut().enumerate() {
        row::<T>(i as u64).into_iter().for_each(|(j, value)| entries[usize::try_from(j).unwrap_or(0)] = value);
    }
    let jacobi = Jacobi::new(&a)?;
    for preconditioner in [None, Some(&jacobi)] {
        let settings = || match preconditioner {
            Some(m) => BlockCg::new().rtol(rtol).preconditioner(m),
            None => BlockCg::new().rtol(rtol),
        };
        let mut x = MultiVector::zeros(layout, 6);
        x.column_mut(4).fill(T::ONE);
        let reports = settings().solve(&a, &b, &mut x)?;
        audit(&reports, &a, &b, &x)?;
        for (j, report) in reports.iter().enumerate() {
            assert!(report.converged(), "{} column {j}: {report}", T::NAME);
            let expected = oracle::solve(dense.clone(), whole(&b, j)?);
            let size = expected.iter().map(|x| x.abs().to_f64()).fold(0.0, f64::max);
            for (found, expected) in whole(&x, j)?.into_iter().zip(expected) {
                assert!((found - expected).abs().to_f64() <= 20.0 * rtol * size, "{} column {j}", T::NAME);
            }
        }
        // The block does not need more iterations than its worst column alone.
        let one = MultiVector::from_fn(layout, 1, |_, _| T::ONE);
        let mut solution = MultiVector::zeros(layout, 1);
        let alone = &settings().solve(&a, &one, &mut solution)?[0];
        assert!(reports[0].iterations <= alone.iterations + 3, "{} and {}", reports[0], alone);
        // One column is plain conjugate gradients.
        let mut cg = Cg::new().rtol(rtol);
        if let Some(m) = preconditioner {
            cg = cg.preconditioner(m);
        }
        let (ones, mut plain) = (Vector::from_fn(layout, |_| T::ONE), Vector::zeros(layout));
        let report = cg.solve(&a, &ones, &mut plain)?;
        assert_eq!(report.iterations, alone.iterations, "{report}, {alone}");
        for (found, expected) in alone.history.iter().zip(&report.history) {
            assert!((found - expected).abs() <= 1e-3 * expected + rtol * report.rhs_norm, "{}", T::NAME);
        }
    }
    Ok(())
}

/// Columns that converge early do not spoil the others: the exact solution, an eigenvector, smooth and
/// rough ones; and a tolerance that the recurrence reaches long before rounding does.
pub(crate) fn different_times(comm: &Comm) -> TestResult {
    let (layout, a) = grid::<f64>(comm, 24)?;
    let wave = |i: u64, k: f64| {
        let place = |c: u64| (std::f64::consts::PI * k * (c + 1) as f64 / 25.0).sin();
        place(i % 24) * place(i / 24)
    };
    let noise = random::<f64>(&layout, 5);
    let first = layout.range().start;
    let mut b = MultiVector::from_fn(&layout, 5, |i, j| match j {
        0 => wave(i, 1.0),
        1 => wave(i, 1.0) + 1e-9 * wave(i, 7.0),
        2 => 1.0,
        _ => noise.column(j)[usize::try_from(i - first).expect("an own row")],
    });
    let mut x = MultiVector::zeros(&layout, 5);
    let reports = BlockCg::new().rtol(1e-11).solve(&a, &b, &mut x)?;
    audit(&reports, &a, &b, &x)?;
    assert!(reports.iter().all(SolveReport::converged), "{reports:?}");
    let mut worst = 0;
    for j in 0..5 {
        let [mut rhs, mut solution] = std::array::from_fn(|_| Vector::zeros(&layout));
        b.copy_column_to(j, &mut rhs)?;
        worst = worst.max(Cg::new().rtol(1e-11).solve(&a, &rhs, &mut solution)?.iterations);
    }
    assert!(reports[0].iterations < worst, "{} of {worst}", reports[0].iterations);
    // From the solutions there is nothing to do, and a zero column becomes zero.
    b.column_mut(3).fill(0.0);
    let again = BlockCg::new().rtol(1e-10).solve(&a, &b, &mut x)?;
    assert!(again.iter().all(|report| report.converged() && report.iterations == 0), "{again:?}");
    assert!(x.column(3).iter().all(|&x| x == 0.0));
    Ok(())
}

pub(crate) fn bad_ends(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 64);
    let indefinite = matrix(&layout, &layout, |i| laplacian(i, &[8, 8], 3.5))?;
    let definite = matrix(&layout, &layout, |i| laplacian(i, &[8, 8], 4.5))?;
    let b = random::<f64>(&layout, 3);
    let ends =
        |settings: Settings<'_, f64>, a: &CsrMatrix<f64>, b: &MultiVector<f64>, reason: StopReason| -> TestResult {
            let mut x = MultiVector::zeros(&layout, 3);
            let reports = BlockCg::from(settings).solve(a, b, &mut x)?;
            audit(&reports, a, b, &x)?;
            assert!(reports.iter().all(|report| report.reason == reason), "{reason:?}: {reports:?}");
            Ok(())
        };
    ends(Settings::new(), &indefinite, &b, StopReason::IndefiniteOperator)?;
    let negative = dolmen_core::Diagonal::new(Vector::from_fn(&layout, |_| -1.0));
    ends(Settings::new().preconditioner(&negative), &definite, &b, StopReason::IndefinitePreconditioner)?;
    ends(Settings::new().max_iterations(2), &definite, &b, StopReason::IterationLimit)?;
    ends(Settings::new().rtol(1e-30), &definite, &b, StopReason::Stagnated)?;
    // A column of zeros is solved whatever becomes of the others.
    let mut with_zeros = b.clone();
    with_zeros.column_mut(1).fill(0.0);
    let mut x = MultiVector::zeros(&layout, 3);
    let reports = BlockCg::new().max_iterations(2).solve(&definite, &with_zeros, &mut x)?;
    let reasons = reports.iter().map(|report| report.reason);
    assert!(reasons.eq([StopReason::IterationLimit, StopReason::Converged, StopReason::IterationLimit]));
    // A NaN in one column.
    let mut poisoned = b.clone();
    poisoned.column_mut(2).iter_mut().take(1).for_each(|entry| *entry = f64::NAN);
    let reports = BlockCg::new().solve(&definite, &poisoned, &mut x)?;
    assert!(reports.iter().all(|report| !report.converged() && report.reason == StopReason::NotFinite), "{reports:?}");
    let mut wrong = MultiVector::zeros(&layout, 2);
    assert!(matches!(BlockCg::new().solve(&definite, &b, &mut wrong), Err(Error::Core(_))));
    let other = BlockCg::from(Settings::new().preconditioner(&negative).norm(Norm::Natural));
    assert!(matches!(other.solve(&definite, &b, &mut x), Err(Error::Norm { .. })));
    Ok(())
}

/// Asks to stop after an iteration, on the last rank only, and keeps snapshots.
struct Stopper {
    after: Option<usize>,
    snapshots: Vec<Snapshot<f64>>,
}

impl Monitor<f64> for Stopper {
    fn progress(&mut self, progress: &Progress) -> Request {
        if self.after == Some(progress.iteration) { Request::Stop } else { Request::Continue }
    }

    fn snapshot(&mut self, snapshot: Snapshot<f64>) -> dolmen_solvers::Result<()> {
        self.snapshots.push(snapshot);
        Ok(())
    }
}

fn strict(jacobi: &Jacobi<f64>) -> Settings<'_, f64> {
    Settings::new().rtol(1e-12).preconditioner(jacobi)
}

pub(crate) fn stop_and_resume(comm: &Comm) -> TestResult {
    let layout = uneven(comm, ROWS)?;
    let a: CsrMatrix<f64> = matrix(&layout, &layout, row)?;
    let (b, jacobi) = (difficult::<f64>(&layout)?, Jacobi::new(&a)?);
    let mut x = MultiVector::zeros(&layout, 6);
    let whole = BlockCg::from(strict(&jacobi)).solve(&a, &b, &mut x)?;
    for after in [0, 1, 3] {
        let last = comm.rank() + 1 == comm.size();
        let mut stopper = Stopper { after: last.then_some(after), snapshots: Vec::new() };
        let mut y = MultiVector::zeros(&layout, 6);
        let stopped = BlockCg::from(strict(&jacobi)).monitor(&mut stopper).solve(&a, &b, &mut y)?;
        // The wish travels with the sums of the next iteration.
        assert_eq!((stopped[0].reason, stopped[0].iterations), (StopReason::Requested, after + 1));
        let snapshot = stopper.snapshots.pop().ok_or("no snapshot")?;
        let mut y = random(&layout, 6);
        let resumed = BlockCg::from(strict(&jacobi)).resume(&snapshot).solve(&a, &b, &mut y)?;
        assert_eq!(x.owned(), y.owned());
        for (one, other) in whole.iter().zip(&resumed) {
            assert_eq!((one.reason, &one.history), (other.reason, &other.history));
            assert_eq!((one.applications, one.preconditionings), (other.applications, other.preconditionings));
        }
        let fewer = random::<f64>(&layout, 5);
        let refused = BlockCg::new().resume(&snapshot).solve(&a, &fewer, &mut fewer.clone());
        let text = refused.map_err(|error| error.to_string()).expect_err("solved");
        assert!(text.contains("no fitting \"columns\""), "{text}");
    }
    Ok(())
}

pub(crate) fn iterates(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    for (name, layout) in [("uniform", Layout::uniform(comm, ROWS)), ("uneven", uneven(comm, ROWS)?)] {
        let a: CsrMatrix<f64> = matrix(&layout, &layout, row)?;
        let (b, jacobi) = (difficult::<f64>(&layout)?, Jacobi::new(&a)?);
        let mut x = MultiVector::zeros(&layout, 6);
        let reports = BlockCg::new().preconditioner(&jacobi).solve(&a, &b, &mut x)?;
        for (j, report) in reports.iter().enumerate() {
            let norms = report.history.iter().map(|residual| residual.to_bits());
            sums.push((format!("{name} history {j}"), norms.fold(7, |hash, word| hash.rotate_left(5) ^ word)));
        }
        let mut norms = [0.0; 6];
        x.column_norms(Reduction::Reproducible, &mut norms)?;
        sums.extend(norms.iter().enumerate().map(|(j, norm)| (format!("{name} norm {j}"), norm.to_bits())));
    }
    Ok(sums)
}
