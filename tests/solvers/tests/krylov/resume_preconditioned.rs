//! A program that starts again has only its matrix and a snapshot: the preconditioner is made anew, and
//! the solve still goes on with the bits of one that was not stopped.

use dolmen_core::random::Philox;
use dolmen_core::{CsrMatrix, Layout, LinearOperator, Real, Scalar, Snapshot, Vector};
use dolmen_solvers::{
    BlockJacobi, ChebyshevPolynomial, ColumnScaling, Ic, Jacobi, Method, Result, Settings, SolveReport, StopReason,
};
use dolmen_tests::{Comm, TestResult};

use crate::references::matrix;
use crate::resume::{Stopper, assert_same, hermitian};

const ROWS: u64 = 300;
/// The iteration after which a solve is told to stop.
const AFTER: usize = 1;

type Made<'a, T> = Result<Box<dyn LinearOperator<T> + 'a>>;
type Make<T> = for<'a> fn(&'a CsrMatrix<T>) -> Made<'a, T>;

/// One of the three solves of a test.
enum Part<'a, T> {
    Whole,
    UntilStopped(&'a mut Stopper<T>),
    Resumed(&'a Snapshot<T>),
}

impl<'a, T: Scalar> Part<'a, T> {
    fn settings(self) -> Settings<'a, T> {
        let rtol = if T::Real::EPSILON.to_f64() < 1e-10 { 1e-10 } else { 1e-5 };
        let settings = Settings::new().rtol(rtol).max_iterations(1000);
        match self {
            Part::Whole => settings,
            Part::UntilStopped(stopper) => settings.monitor(stopper),
            Part::Resumed(snapshot) => settings.resume(snapshot),
        }
    }
}

fn jacobi<T: Scalar>(a: &CsrMatrix<T>) -> Made<'_, T> {
    Ok(Box::new(Jacobi::new(a)?))
}

fn incomplete_cholesky<T: Scalar>(a: &CsrMatrix<T>) -> Made<'_, T> {
    Ok(Box::new(BlockJacobi::new(a, Ic::new)?))
}

fn polynomial<T: Scalar>(a: &CsrMatrix<T>) -> Made<'_, T> {
    Ok(Box::new(ChebyshevPolynomial::new(a, 2)?))
}

fn rhs<T: Scalar>(layout: &Layout) -> Vector<T> {
    let random = Philox::new(5);
    Vector::from_fn(layout, |i| T::from_parts(random.normal(0, i), random.normal(1, i)))
}

pub(crate) fn square<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, ROWS);
    let b = rhs::<T>(&layout);
    let preconditioners: [(&str, Make<T>); 3] =
        [("Jacobi", jacobi), ("IC(0)", incomplete_cholesky), ("Chebyshev polynomial", polynomial)];
    for (kind, make) in preconditioners {
        for &name in Method::SQUARE {
            // From matrix to solution, as a program does that knows nothing of the ones before.
            let solve = |part: Part<'_, T>, x: &mut Vector<T>| -> TestResult<SolveReport> {
                let a = hermitian::<T>(&layout)?;
                let m = make(&a)?;
                let settings = part.settings().preconditioner(&*m);
                Ok(name.solver(settings)?.solve(&a, &b, x)?)
            };
            stop_and_resume(comm, &format!("{name} with {kind}"), &layout, solve)?;
        }
    }
    Ok(())
}

pub(crate) fn least_squares<T: Scalar>(comm: &Comm) -> TestResult {
    let (rows, columns) = (Layout::uniform(comm, ROWS), Layout::uniform(comm, 90));
    let b = rhs::<T>(&rows);
    let random = Philox::new(6);
    for &name in Method::LEAST_SQUARES {
        let solve = |part: Part<'_, T>, x: &mut Vector<T>| -> TestResult<SolveReport> {
            // Columns of very different lengths.
            let a = matrix(&rows, &columns, |i| {
                let place = |k: u64| (7 * i + 11 * k * k) % 90;
                let value = |j: u64| {
                    let length = 10f64.powi(i32::try_from(j % 5).unwrap_or(0) - 2);
                    T::from_parts(length * random.normal(i, 2 * j), length * random.normal(i, 2 * j + 1))
                };
                (0..3).map(|k| (place(k), value(place(k)))).collect()
            })?;
            let m = ColumnScaling::new(&a)?;
            let solver = name.least_squares(part.settings(), Some(&m));
            Ok(solver?.solve(&a, &b, x)?)
        };
        stop_and_resume(comm, &format!("{name} with column scaling"), &columns, solve)?;
    }
    Ok(())
}

/// A solve at once against one that is stopped and resumed, from a guess that has no say any more.
fn stop_and_resume<T: Scalar>(
    comm: &Comm,
    what: &str,
    layout: &Layout,
    solve: impl Fn(Part<'_, T>, &mut Vector<T>) -> TestResult<SolveReport>,
) -> TestResult {
    let mut x = Vector::zeros(layout);
    let whole = solve(Part::Whole, &mut x)?;
    assert!(whole.converged() && whole.preconditionings > 0, "{what}: {whole}");
    let mut stopper = Stopper::new(comm, AFTER);
    let stopped = solve(Part::UntilStopped(&mut stopper), &mut Vector::zeros(layout))?;
    assert_eq!((stopped.reason, stopped.iterations), (StopReason::Requested, AFTER + 1), "{what}");
    let [snapshot] = &stopper.snapshots[..] else { return Err(format!("{what}: not one snapshot").into()) };
    let mut y = Vector::from_fn(layout, |_| T::ONE);
    let resumed = solve(Part::Resumed(snapshot), &mut y)?;
    assert_same(what, (&whole, &x), (&resumed, &y));
    Ok(())
}
