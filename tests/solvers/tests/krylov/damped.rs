//! Damping and weights of least squares against the dense normal equations, and what reports say of them.

use dolmen_core::{AdjointOperator, CsrMatrix, Diagonal, Layout, LinearOperator, Real, Scalar, Vector};
use dolmen_solvers::{
    Automatic, Cgls, Error, LeastSquaresSolver, Lsmr, Lsqr, MethodSettings, Monitor, Progress, Request, Settings,
    SolveReport,
};
use dolmen_tests::{Checksums, Comm, TestResult, message, oracle};

use crate::cg::digest;
use crate::references::matrix;
use crate::resume::{Stopper, assert_same};

const DAMP: f64 = 0.7;

/// Layouts of rows and columns; a rank owns no rows and another no columns where there are enough.
fn layouts(comm: &Comm, rows: u64, columns: u64) -> TestResult<[Layout; 2]> {
    let (rank, size) = (comm.rank() as u64, comm.size() as u64);
    let len = |all: u64, idle: u64| {
        if size < 3 {
            let end = |rank: u64| all * rank / size;
            return end(rank + 1) - end(rank);
        }
        let place = if rank > idle { rank - 1 } else { rank };
        let end = |place: u64| all * place / (size - 1);
        if rank == idle { 0 } else { end(place + 1) - end(place) }
    };
    let layout = |len: u64| Layout::from_local_len(comm, usize::try_from(len).expect("a small layout"));
    Ok([layout(len(rows, 1))?, layout(len(columns, 0))?])
}

fn entry<T: Scalar>(i: u64, j: u64) -> T {
    let (i, j) = (i as f64, j as f64);
    T::from_parts((i * 1.7 + j * j * 0.3).sin() + if i == j { 1.0 } else { 0.0 }, (i - 2.0 * j).cos())
}

fn rhs<T: Scalar>(i: u64) -> T {
    T::from_parts(1.0 + (i as f64).cos(), (i % 3) as f64)
}

fn weight(i: u64) -> f64 {
    if i == 2 { 0.0 } else { 0.5 + (i % 4) as f64 }
}

/// Returns the minimizer by dense normal equations.
fn dense<T: Scalar>(rows: u64, columns: u64, damp: f64, weight: impl Fn(u64) -> f64) -> Vec<T::Double> {
    let number = |value: f64| T::Double::from_parts(value, 0.0);
    let double = |value: T| T::Double::from_parts(value.re().to_f64(), value.im().to_f64());
    let mut a: Vec<Vec<T::Double>> =
        (0..rows).map(|i| (0..columns).map(|j| double(entry(i, j)) * number(weight(i).sqrt())).collect()).collect();
    let mut b: Vec<T::Double> = (0..rows).map(|i| double(rhs(i)) * number(weight(i).sqrt())).collect();
    for k in 0..columns {
        a.push((0..columns).map(|j| number(if j == k { damp } else { 0.0 })).collect());
        b.push(number(0.0));
    }
    oracle::least_squares(&a, &b)
}

fn distance<T: Scalar>(x: &Vector<T>, exact: &[T::Double]) -> f64 {
    let exact: Vector<T> = Vector::from_fn(x.layout(), |i| T::from_double(exact[usize::try_from(i).expect("small")]));
    let mut difference = x.clone();
    difference.axpy(-T::ONE, &exact).expect("one layout");
    difference.norm2() / exact.norm2()
}

/// Returns the residuals of the definition: of the objective, and its gradient.
fn audit<T: Scalar>(
    a: &CsrMatrix<T>,
    b: &Vector<T>,
    x: &Vector<T>,
    damp: f64,
    weights: Option<&Vector<T>>,
) -> TestResult<[f64; 2]> {
    let mut r = Vector::zeros(a.range());
    a.apply(x, &mut r)?;
    r.axpby(T::ONE, b, -T::ONE)?;
    let mut weighted = r.clone();
    if let Some(weights) = weights {
        weighted.multiply(weights)?;
    }
    let objective = r.dot(&weighted)?.re() + (damp * x.norm2()).powi(2);
    let mut gradient = Vector::zeros(a.domain());
    a.apply_adjoint(&weighted, &mut gradient)?;
    gradient.axpy(T::from_parts(-damp * damp, 0.0), x)?;
    Ok([objective.sqrt(), gradient.norm2()])
}

fn solvers<'a, T: Scalar>(
    rtol: f64,
    damp: f64,
    weights: Option<&'a Vector<T>>,
    m: Option<&'a dyn AdjointOperator<T>>,
) -> Vec<Box<dyn LeastSquaresSolver<T> + 'a>> {
    macro_rules! made {
        ($($method:ident),*) => {
            vec![$({
                let solver = $method::new().rtol(rtol).damp(damp);
                let solver = weights.into_iter().fold(solver, $method::weights);
                Box::new(m.into_iter().fold(solver, $method::preconditioner)) as Box<dyn LeastSquaresSolver<T>>
            }),*]
        };
    }
    made!(Lsqr, Lsmr, Cgls)
}

pub(crate) fn agrees<T: Scalar>(comm: &Comm) -> TestResult {
    let single = T::Real::EPSILON.to_f64() > 1e-10;
    let (rtol, bound) = if single { (1e-5, 3e-4) } else { (1e-12, 1e-9) };
    for (rows, columns) in [(19, 11), (9, 14), (12, 12)] {
        let [range, domain] = layouts(comm, rows, columns)?;
        let a = matrix::<T>(&range, &domain, |i| (0..columns).map(|j| (j, entry(i, j))).collect())?;
        let b = Vector::from_fn(&range, rhs::<T>);
        let weights = Vector::from_fn(&range, |i| T::from_parts(weight(i), 0.0));
        let scaling = Diagonal::new(Vector::from_fn(&domain, |j| T::from_parts(1.0 / (1.0 + (j % 4) as f64), 0.2)));
        for (damp, weights) in [(DAMP, None), (DAMP, Some(&weights)), (0.0, Some(&weights))] {
            if damp == 0.0 && rows <= columns {
                continue;
            }
            let exact = dense::<T>(rows, columns, damp, |i| if weights.is_some() { weight(i) } else { 1.0 });
            for m in [None, Some(&scaling as &dyn AdjointOperator<T>)] {
                for solver in solvers(rtol, damp, weights, m) {
                    let mut x = Vector::from_fn(&domain, |j| T::from_parts((j % 2) as f64, 0.0));
                    let report = solver.solve(&a, &b, &mut x)?;
                    let what =
                        format!("{} of {rows} x {columns}, damp {damp}, {}: {report}", T::NAME, weights.is_some());
                    assert!(report.converged(), "{what}");
                    let error = distance(&x, &exact);
                    assert!(error < bound, "{what}: error {error:e}");
                    let [size, gradient] = audit(&a, &b, &x, damp, weights)?;
                    assert!((report.true_residual - size).abs() <= 1e-5 * size, "{what}, not {size}");
                    if m.is_none() {
                        let told = report.normal_residual.expect("least squares have it");
                        let rounding = if single { 1e-4 } else { 1e-12 };
                        assert!((told - gradient).abs() <= rounding * size, "{what}, not {gradient}");
                    }
                    assert_eq!((report.damp, report.weighted), (damp, weights.is_some()));
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn reports(comm: &Comm) -> TestResult {
    let [range, domain] = layouts(comm, 19, 11)?;
    let a = matrix::<f64>(&range, &domain, |i| (0..11).map(|j| (j, entry(i, j))).collect())?;
    let b = Vector::from_fn(&range, rhs::<f64>);
    let weights = Vector::from_fn(&range, weight);
    let mut x = Vector::zeros(&domain);
    let report = Lsqr::new().damp(DAMP).weights(&weights).solve(&a, &b, &mut x)?;
    let text = report.outcome();
    assert!(text.contains("(|W^(1/2) (b - Ax)|^2 + damp^2 |x|^2)^(1/2) / |W^(1/2) b|"), "{text}");
    assert!(text.contains("|B*r| <= rtol |B| |r|") && text.contains("B = [W^(1/2) A; damp I]"), "{text}");
    let settings: MethodSettings = "lsmr(damp=0.7)".parse()?;
    assert_eq!((settings.damp(), settings.to_string().as_str()), (DAMP, "lsmr(damp=0.7)"));
    x.fill(0.0);
    let named = settings.least_squares(Settings::new().rtol(1e-12), None)?.solve(&a, &b, &mut x)?;
    assert!(named.converged() && named.damp == DAMP, "{named}");
    assert!(distance(&x, &dense::<f64>(19, 11, DAMP, |_| 1.0)) < 1e-9);
    // A square system that is damped on purpose need not meet the tolerance of |b - A x|.
    let [range, domain] = layouts(comm, 12, 12)?;
    let square = matrix::<f64>(&range, &domain, |i| (0..12).map(|j| (j, entry(i, j))).collect())?;
    let (b, mut x) = (Vector::from_fn(&range, rhs::<f64>), Vector::zeros(&domain));
    let solution = Automatic::new().rtol(1e-12).solver(settings).solve(&square, &b, &mut x)?;
    assert!(solution.solved() && solution.attempts.len() == 1, "{}", solution.kept().summary());
    assert!(distance(&x, &dense::<f64>(12, 12, DAMP, |_| 1.0)) < 1e-9);
    Ok(())
}

pub(crate) fn resumes(comm: &Comm) -> TestResult {
    let [range, domain] = layouts(comm, 40, 30)?;
    let a = matrix::<f64>(&range, &domain, |i| (0..30).map(|j| (j, entry(i, j))).collect())?;
    let b = Vector::from_fn(&range, rhs::<f64>);
    let weights = Vector::from_fn(&range, weight);
    let run = |monitor: &mut dyn Monitor<f64>, snapshot: Option<_>, x: &mut Vector<f64>| -> TestResult<SolveReport> {
        let solver = Lsmr::new().rtol(1e-10).damp(1e-3).weights(&weights).monitor(monitor);
        Ok(snapshot.into_iter().fold(solver, Lsmr::resume).solve(&a, &b, x)?)
    };
    let mut silent = |_: &Progress| Request::Continue;
    let mut x = Vector::zeros(&domain);
    let whole = run(&mut silent, None, &mut x)?;
    assert!(whole.converged(), "{whole}");
    let mut stopper = Stopper::new(comm, 7);
    run(&mut stopper, None, &mut Vector::zeros(&domain))?;
    let mut y = Vector::zeros(&domain);
    let resumed = run(&mut silent, stopper.snapshots.last(), &mut y)?;
    assert_same("damped LSMR", (&whole, &x), (&resumed, &y));
    Ok(())
}

pub(crate) fn mistakes(comm: &Comm) -> TestResult {
    let [range, domain] = layouts(comm, 9, 5)?;
    let a = matrix::<f64>(&range, &domain, |i| (0..5).map(|j| (j, entry(i, j))).collect())?;
    let b = Vector::from_fn(&range, rhs::<f64>);
    let mut x = Vector::zeros(&domain);
    let solve = |damp: f64, weights: Option<&Vector<f64>>, x: &mut Vector<f64>| {
        let solver = Lsqr::new().damp(damp);
        weights.into_iter().fold(solver, Lsqr::weights).solve(&a, &b, x)
    };
    let says = |result: dolmen_solvers::Result<SolveReport>, part: &str| -> TestResult {
        let text = message(comm, result)?;
        if text.contains(part) { Ok(()) } else { Err(format!("'{text}' does not say '{part}'").into()) }
    };
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        says(solve(bad, None, &mut x), "LSQR: damp is")?;
    }
    let negative = Vector::from_fn(&range, |i| if i == 8 { -2.0 } else { 1.0 });
    says(
        solve(1.0, Some(&negative), &mut x),
        "LSQR: the weight of row 8 is -2, expected a real number of zero or more",
    )?;
    says(
        solve(0.0, Some(&Vector::from_fn(&domain, |_| 1.0)), &mut x),
        "LSQR: weights: the operands live on different",
    )?;
    let mut other = Vector::zeros(&range);
    says(solve(1.0, None, &mut other), "LSQR: initial guess: the operands live on different")?;
    assert!(matches!("cgls(damp=-1)".parse::<MethodSettings>(), Err(Error::Setting { setting: "damp", .. })));
    assert!(matches!("cg(damp=1)".parse::<MethodSettings>(), Err(Error::UnknownKey { .. })));
    if comm.size() > 1 {
        let own = if comm.rank() == 0 { 0.0 } else { 2.0 };
        says(solve(own, None, &mut x), "damp 0.0 (rank 0), damp 2.0 (rank")?;
        let weights = (comm.rank() == 0).then(|| Vector::from_fn(&range, |_| 1.0));
        says(solve(1.0, weights.as_ref(), &mut x), "weights given (rank 0), weights none (rank")?;
    }
    Ok(())
}

pub(crate) fn checksums<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let [range, domain] = layouts(comm, 60, 41)?;
    let a = matrix::<T>(&range, &domain, |i| (0..41).map(|j| (j, entry(i, j))).collect())?;
    let b = Vector::from_fn(&range, rhs::<T>);
    let weights = Vector::from_fn(&range, |i| T::from_parts(weight(i), 0.0));
    let mut sums = Checksums::new();
    for solver in solvers(1e-6, 1e-2, Some(&weights), None) {
        let mut x = Vector::zeros(&domain);
        let report = solver.solve(&a, &b, &mut x)?;
        sums.push((report.method.to_owned(), digest(&x.gather_all())));
        sums.push((format!("{} residual", report.method), report.true_residual.to_bits()));
    }
    Ok(sums)
}
