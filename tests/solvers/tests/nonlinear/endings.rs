//! Solves that cannot converge, or need not: the reason is true, and `x` is the point that is told of.

use dolmen_core::{Comm, Vector};
use dolmen_solvers::{
    Anderson, Forcing, Jacobian, LineSearch, Newton, NonlinearCg, NonlinearReason, NonlinearReport, Progress,
};
use dolmen_tests::TestResult;

use crate::problems::{ARC_TANGENT, Cubic, FREUDENSTEIN, Plane, layout, plane, plane_jacobian};
use crate::roots::audit;

type Function<'f> = &'f dyn Fn(&Vector<f64>, &mut Vector<f64>) -> dolmen_core::Result<()>;

fn from(comm: &Comm, start: [f64; 2]) -> TestResult<Vector<f64>> {
    Ok(Vector::from_fn(&layout(comm, 2)?, |row| start[usize::from(row == 1)]))
}

fn solved(function: Plane, newton: &Newton<'_, f64>, x: &mut Vector<f64>) -> TestResult<NonlinearReport> {
    let mut jacobian = plane_jacobian(x.layout(), function)?;
    Ok(newton.solve(&plane(function), &mut jacobian, x)?)
}

pub(crate) fn local_minima(comm: &Comm) -> TestResult {
    let exact = || Newton::<f64>::new().forcing(Forcing::Fixed(1e-12)).max_iterations(500);
    for (newton, reason, least) in [
        // Newton's directions end where the Jacobian is singular, which is on the line through the minimum.
        (exact(), NonlinearReason::LineSearchFailed, None),
        (exact().trust_region(None), NonlinearReason::TrustRegionFailed, Some(48.984)),
    ] {
        let mut x = from(comm, [0.5, -2.0])?;
        let report = solved(FREUDENSTEIN, &newton, &mut x)?;
        assert_eq!(report.reason, reason, "{report}");
        let all = x.gather_all();
        assert!((all[1] + 0.8968).abs() < 1e-3, "{report}: {all:?}");
        assert!(least.is_none_or(|least: f64| (report.residual.powi(2) - least).abs() < 0.01), "{report}: {all:?}");
        assert!(report.explain().contains("start elsewhere"), "{report}");
        assert!(report.require_converged().is_err());
    }
    // From the other side the root is found.
    let mut x = from(comm, [6.0, 5.0])?;
    let report = solved(FREUDENSTEIN, &exact(), &mut x)?;
    let all = x.gather_all();
    assert!(report.converged() && (all[0] - 5.0).abs() < 1e-7 && (all[1] - 4.0).abs() < 1e-7, "{report}: {all:?}");
    Ok(())
}

pub(crate) fn reports(comm: &Comm) -> TestResult {
    let layout = layout(comm, 29)?;
    let cubic = Cubic::<f64>::new(&layout, 0.2)?;
    let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
    let mut x = cubic.guess();
    let report = Newton::new().max_linear_iterations(2).linear("gmres, none".parse()?).solve(
        &function,
        &mut cubic.jacobian(),
        &mut x,
    )?;
    audit(&report, &cubic, &x)?;
    assert!(report.linear_failures > 0 && report.outcome().contains("ended before"), "{report}");
    assert!(report.linear_iterations <= 2 * (report.iterations + 1), "{report}");
    // A tolerance below rounding is not met, and that is told.
    let mut x = cubic.guess();
    let report = Newton::new().rtol(1e-30).solve(&function, &mut cubic.jacobian(), &mut x)?;
    assert_eq!(report.reason, NonlinearReason::Stagnated, "{report}");
    assert!(report.residual < 1e-12 && cubic.error(&x)? < 1e-14, "{report}");
    Ok(())
}

pub(crate) fn limits(comm: &Comm) -> TestResult {
    let layout = layout(comm, 29)?;
    let cubic = Cubic::<f64>::new(&layout, 0.0)?;
    let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
    let stop = |after: usize| {
        let last = comm.rank() + 1 == comm.size();
        move |progress: &Progress| last && progress.iteration == after
    };
    let expect =
        |report: &NonlinearReport, reason: NonlinearReason, iterations: usize, x: &Vector<f64>| -> TestResult {
            assert_eq!((report.reason, report.iterations), (reason, iterations), "{report}");
            audit(report, &cubic, x)
        };
    let fresh = || {
        cubic.evaluations.set(0);
        cubic.guess()
    };
    let mut x = fresh();
    let report = Newton::new().max_iterations(2).solve(&function, &mut cubic.jacobian(), &mut x)?;
    expect(&report, NonlinearReason::IterationLimit, 2, &x)?;
    let mut x = fresh();
    let report = Newton::new().max_evaluations(2).solve(&function, &mut cubic.jacobian(), &mut x)?;
    expect(&report, NonlinearReason::EvaluationLimit, 1, &x)?;
    let mut x = fresh();
    let mut monitor = stop(1);
    let report = Newton::new().monitor(&mut monitor).solve(&function, &mut cubic.jacobian(), &mut x)?;
    expect(&report, NonlinearReason::Requested, 1, &x)?;
    let mut x = fresh();
    let mut monitor = stop(3);
    let report = Anderson::new().damping(0.08).monitor(&mut monitor).solve(&function, &mut x)?;
    expect(&report, NonlinearReason::Requested, 3, &x)?;
    let mut x = fresh();
    let report = Anderson::new().damping(0.08).max_iterations(4).solve(&function, &mut x)?;
    expect(&report, NonlinearReason::IterationLimit, 4, &x)?;
    let mut x = fresh();
    let report = NonlinearCg::new().max_iterations(3).solve(&function, &mut x)?;
    expect(&report, NonlinearReason::IterationLimit, 3, &x)?;
    let mut x = fresh();
    let report = Anderson::new().depth(0).damping(-0.1).solve(&function, &mut x)?;
    assert!([NonlinearReason::Diverged, NonlinearReason::NotFinite].contains(&report.reason), "{report}");
    // An absolute tolerance that the guess meets.
    let mut x = fresh();
    let report = Newton::new().atol(1e6).solve(&function, &mut cubic.jacobian(), &mut x)?;
    expect(&report, NonlinearReason::Converged, 0, &x)?;
    Ok(())
}

/// `log(x) = 1`, of which a whole Newton step from 10 leads to negative numbers.
fn logarithm(x: &Vector<f64>, y: &mut Vector<f64>) -> dolmen_core::Result<()> {
    y.map_with(x, |_, x| x.ln() - 1.0)
}

pub(crate) fn no_numbers(comm: &Comm) -> TestResult {
    let layout = layout(comm, 9)?;
    let e = std::f64::consts::E;
    let from = |value: f64| Vector::from_fn(&layout, |_| value);
    for newton in [Newton::new(), Newton::new().line_search(LineSearch::Backtracking)] {
        let mut x = from(10.0);
        let report = newton.solve(&logarithm, &mut Jacobian::matrix_free(), &mut x)?;
        assert!(report.converged() && x.owned().iter().all(|x| (x - e).abs() < 1e-6), "{report}");
    }
    let mut x = from(10.0);
    let report = Newton::new().line_search(LineSearch::Full).solve(&logarithm, &mut Jacobian::matrix_free(), &mut x)?;
    assert_eq!(report.reason, NonlinearReason::NotFinite, "{report}");
    // What was reached last is a number.
    assert!(report.residual.is_finite() && x.owned().iter().all(|x| *x == 10.0), "{report}");
    let mut x = from(-1.0);
    let report = Newton::new().solve(&logarithm, &mut Jacobian::matrix_free(), &mut x)?;
    assert_eq!((report.reason, report.iterations), (NonlinearReason::NotFinite, 0), "{report}");
    let report = Anderson::new().solve(&logarithm, &mut x)?;
    assert_eq!(report.reason, NonlinearReason::NotFinite, "{report}");
    let report = NonlinearCg::new().solve(&logarithm, &mut x)?;
    assert_eq!(report.reason, NonlinearReason::NotFinite, "{report}");
    Ok(())
}

pub(crate) fn wrong(comm: &Comm) -> TestResult {
    let layout = layout(comm, 29)?;
    let cubic = Cubic::<f64>::new(&layout, 0.0)?;
    let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
    // A Jacobian with the wrong sign: no step makes |F| smaller.
    let wrong = || {
        Jacobian::matrix(cubic.a.clone(), |x, j| {
            cubic.derivative(x, j, 1.0)?;
            j.scale(-1.0);
            Ok(())
        })
    };
    for (newton, reason) in [
        (Newton::new(), NonlinearReason::LineSearchFailed),
        (Newton::new().trust_region(None), NonlinearReason::TrustRegionFailed),
    ] {
        // The matrix is scaled anew each time, so it starts from a copy.
        let mut x = cubic.guess();
        let report = newton.max_iterations(1000).solve(&function, &mut wrong(), &mut x)?;
        assert_eq!((report.reason, report.iterations), (reason, 0), "{report}");
        assert!(report.explain().contains("compare the Jacobian"), "{report}");
    }
    // A singular one is told by the factorization, and what it says is in the report.
    let mut singular = Jacobian::matrix(cubic.a.clone(), |_, j| {
        j.scale(0.0);
        Ok(())
    });
    let mut x = cubic.guess();
    let report = Newton::new().solve(&function, &mut singular, &mut x)?;
    assert_eq!(report.reason, NonlinearReason::PreconditionerFailed, "{report}");
    assert!(report.failure.is_some() && report.outcome().contains("row 0 is zero"), "{report}");
    // Without a factorization the linear method finds out.
    let mut x = cubic.guess();
    let report = Newton::new().linear("gmres, none".parse()?).solve(&function, &mut singular, &mut x)?;
    assert_eq!(report.reason, NonlinearReason::LinearSolveFailed, "{report}");
    // A gradient with the wrong sign has no minimum.
    let climbing = |x: &Vector<f64>, y: &mut Vector<f64>| {
        y.copy_from(x)?;
        y.scale(-1.0);
        Ok(())
    };
    let mut x = cubic.guess();
    let report = NonlinearCg::new().solve(&climbing, &mut x)?;
    assert_eq!(report.reason, NonlinearReason::LineSearchFailed, "{report}");
    let negative = dolmen_core::Diagonal::new(Vector::from_fn(&layout, |_| -1.0));
    let report = NonlinearCg::new().preconditioner(&negative).solve(&function, &mut x)?;
    assert_eq!(report.reason, NonlinearReason::NotDescent, "{report}");
    Ok(())
}

pub(crate) fn trivial(comm: &Comm) -> TestResult {
    // No unknowns, and a guess that is a root.
    for rows in [0, 5] {
        let layout = layout(comm, rows)?;
        let mut x = Vector::from_fn(&layout, |_| 2.0);
        let function: Function<'_> = &|x, y| y.map_with(x, |_, x| x - 2.0);
        for report in [
            Newton::new().solve(function, &mut Jacobian::matrix_free(), &mut x)?,
            Anderson::new().solve(function, &mut x)?,
            NonlinearCg::new().solve(function, &mut x)?,
        ] {
            assert!(report.converged() && report.iterations == 0 && report.evaluations == 2, "{report}");
        }
    }
    let mut x = from(comm, [0.5, 0.5])?;
    let report = solved(ARC_TANGENT, &Newton::new(), &mut x)?;
    assert!(report.converged(), "{report}");
    Ok(())
}
