//! Solves that converge: to known roots, with the steps of a dense Newton iteration, with as many evaluations as told.

use dolmen_core::{Comm, CsrMatrix, Diagonal, Layout, LinearOperator, Scalar, Vector};
use dolmen_solvers::{
    Anderson, ColoredDifferences, Forcing, Jacobian, LineSearch, Multigrid, Newton, NonlinearCg, NonlinearReport,
};
use dolmen_tests::{TestResult, oracle};

use crate::problems::{ARC_TANGENT, Cubic, Plane, ROSENBROCK, epsilon, layout, number, plane, plane_jacobian};

const ROWS: u64 = 37;

/// The residual of the report is that of the solution, and the count that of the function.
pub(crate) fn audit<T: Scalar>(report: &NonlinearReport, cubic: &Cubic<T>, x: &Vector<T>) -> TestResult {
    assert_eq!(report.evaluations, cubic.evaluations.get(), "{report}");
    let mut y = Vector::zeros(x.layout());
    cubic.apply(x, &mut y)?;
    assert_eq!(y.norm2(), report.residual, "{report}");
    assert_eq!(report.history.len(), report.iterations + 1, "{report}");
    assert_eq!(report.converged(), report.residual <= report.target, "{report}");
    Ok(())
}

pub(crate) fn newton<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm, ROWS)?;
    let (rtol, bound) = if epsilon::<T>() > 1e-10 { (2e-6, 1e-5) } else { (1e-11, 1e-10) };
    let searches = [Some(LineSearch::Full), Some(LineSearch::Backtracking), Some(LineSearch::Cubic), None];
    for (search, forcing) in
        searches.into_iter().flat_map(|s| [Forcing::EisenstatWalker, Forcing::Fixed(1e-3)].map(|f| (s, f)))
    {
        for kind in ["matrix", "colored", "operator", "free", "preconditioned"] {
            let cubic = Cubic::<T>::new(&layout, 0.2)?;
            let function = |x: &Vector<T>, y: &mut Vector<T>| cubic.apply(x, y);
            let mut jacobian = match kind {
                "matrix" => cubic.jacobian(),
                "colored" => Jacobian::colored(&cubic.a)?,
                "free" => Jacobian::matrix_free(),
                "preconditioned" => Jacobian::matrix_free().preconditioned_by(Jacobian::colored(&cubic.a)?),
                _ => Jacobian::operator(|x| {
                    let mut a = cubic.a.clone();
                    cubic.derivative(x, &mut a, 1.0)?;
                    Ok(Box::new(a))
                }),
            };
            if search.is_none() && !["matrix", "colored"].contains(&kind) {
                continue;
            }
            let newton = Newton::new().rtol(rtol).forcing(forcing);
            let newton = match search {
                Some(search) => newton.line_search(search),
                None => newton.trust_region(None),
            };
            let mut x = cubic.guess();
            let report = newton.solve(&function, &mut jacobian, &mut x)?;
            let what = format!("{} {kind} {search:?} {forcing:?}: {report}", T::NAME);
            assert!(report.converged(), "{what}");
            audit(&report, &cubic, &x)?;
            assert!(cubic.error(&x)? < bound, "{what}: error {:e}", cubic.error(&x)?);
            let assembled = !["free", "preconditioned"].contains(&kind);
            assert_eq!(report.jacobians > 0, assembled, "{what}");
            assert_eq!(report.preconditioners > 0, ["matrix", "colored", "preconditioned"].contains(&kind), "{what}");
        }
    }
    Ok(())
}

/// Whole steps with tight linear solves are those of Newton's method on dense matrices.
pub(crate) fn dense(comm: &Comm) -> TestResult {
    let layout = layout(comm, ROWS)?;
    let cubic = Cubic::<f64>::new(&layout, 0.2)?;
    let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
    let rows = usize::try_from(ROWS)?;
    let mut expected = cubic.guess().gather_all();
    let root = cubic.root.gather_all();
    let a = |i: usize, j: usize| match i.abs_diff(j) {
        0 => 4.0,
        1 => {
            if j < i {
                -1.2
            } else {
                -0.8
            }
        }
        _ => 0.0,
    };
    let value = |x: &[f64], i: usize| (0..rows).map(|j| a(i, j) * x[j]).sum::<f64>() + x[i].powi(3);
    for steps in 1..4 {
        let matrix = (0..rows)
            .map(|i| (0..rows).map(|j| a(i, j) + if i == j { 3.0 * expected[i].powi(2) } else { 0.0 }).collect());
        let rhs = (0..rows).map(|i| value(&root, i) - value(&expected, i)).collect();
        let step = oracle::solve(matrix.collect(), rhs);
        expected.iter_mut().zip(step).for_each(|(x, d)| *x += d);
        let newton = Newton::new().line_search(LineSearch::Full).forcing(Forcing::Fixed(1e-13)).max_iterations(steps);
        let mut x = cubic.guess();
        newton.solve(&function, &mut cubic.jacobian(), &mut x)?;
        let difference = x.gather_all().iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        assert!(difference < 1e-12, "step {steps}: {difference:e}");
    }
    // Quadratic convergence: the logarithms of residuals double.
    let newton = Newton::new().rtol(1e-14).forcing(Forcing::Fixed(1e-13));
    let mut x = cubic.guess();
    let report = newton.solve(&function, &mut cubic.jacobian(), &mut x)?;
    let last: Vec<f64> = report.history.iter().copied().filter(|size| (1e-11..1e-1).contains(size)).collect();
    assert!(last.len() >= 2 && last.windows(2).all(|pair| pair[1] < 10.0 * pair[0].powi(2)), "{:?}", report.history);
    Ok(())
}

fn in_plane(
    comm: &Comm,
    function: Plane,
    start: [f64; 2],
    newton: &Newton<'_, f64>,
) -> TestResult<(NonlinearReport, Vec<f64>)> {
    let layout = layout(comm, 2)?;
    let mut x = Vector::from_fn(&layout, |row| start[usize::from(row == 1)]);
    let report = newton.solve(&plane(function), &mut plane_jacobian(&layout, function)?, &mut x)?;
    Ok((report, x.gather_all()))
}

pub(crate) fn globalized(comm: &Comm) -> TestResult {
    let exact = || Newton::<f64>::new().forcing(Forcing::Fixed(1e-12)).rtol(1e-12);
    for newton in [
        exact(),
        exact().line_search(LineSearch::Backtracking),
        exact().trust_region(None),
        exact().trust_region(Some(0.3)),
        exact().trust_region(Some(1e6)),
    ] {
        let (report, x) = in_plane(comm, ROSENBROCK, [-1.2, 1.0], &newton)?;
        assert!(report.converged() && x.iter().all(|x| (x - 1.0).abs() < 1e-10), "{report}: {x:?}");
        let (report, x) = in_plane(comm, ARC_TANGENT, [3.0, -10.0], &newton)?;
        assert!(report.converged() && x.iter().all(|x| x.abs() < 1e-10), "{report}: {x:?}");
        assert!(report.history.windows(2).all(|pair| pair[1] < pair[0]), "{:?}", report.history);
    }
    let (report, _) = in_plane(comm, ARC_TANGENT, [3.0, -10.0], &exact().line_search(LineSearch::Full))?;
    assert!(!report.converged(), "{report}");
    Ok(())
}

pub(crate) fn colored<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm, ROWS)?;
    let cubic = Cubic::<T>::new(&layout, 0.2)?;
    let function = |x: &Vector<T>, y: &mut Vector<T>| cubic.apply(x, y);
    let colored = ColoredDifferences::new(&cubic.a)?;
    assert!((3..=5).contains(&colored.colors()), "{}", colored.colors());
    for x in [cubic.guess(), cubic.root.clone(), Vector::zeros(&layout)] {
        cubic.evaluations.set(0);
        let found = colored.compute(&function, &x)?;
        assert_eq!(cubic.evaluations.get(), colored.colors() + 1);
        let mut exact = cubic.a.clone();
        cubic.derivative(&x, &mut exact, 1.0)?;
        let difference = found.add(T::ONE, &exact, -T::ONE)?.norm_frobenius();
        assert!(difference < 40.0 * epsilon::<T>().sqrt() * exact.norm_frobenius(), "{difference:e}");
    }
    Ok(())
}

pub(crate) fn lagged(comm: &Comm) -> TestResult {
    let layout = layout(comm, ROWS)?;
    let solve = |newton: Newton<'_, f64>| -> TestResult<NonlinearReport> {
        let cubic = Cubic::<f64>::new(&layout, 0.2)?;
        let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
        let mut x = cubic.guess();
        let report = newton.solve(&function, &mut cubic.jacobian(), &mut x)?;
        assert!(report.converged() && cubic.error(&x)? < 1e-8, "{report}");
        audit(&report, &cubic, &x)?;
        Ok(report)
    };
    let fresh = solve(Newton::new())?;
    assert_eq!((fresh.jacobians, fresh.preconditioners), (fresh.iterations, fresh.iterations), "{fresh}");
    let lagged = solve(Newton::new().lag_preconditioner(100))?;
    assert_eq!((lagged.jacobians, lagged.preconditioners), (lagged.iterations, 1), "{lagged}");
    let chord = solve(Newton::new().lag_jacobian(3))?;
    assert!(chord.iterations > fresh.iterations && chord.jacobians < chord.iterations, "{chord}");
    // A preconditioner that keeps its matrix keeps the old values while the Jacobian gets new ones.
    let kept = solve(Newton::new().linear("fgmres, multiplicative(jacobi, jacobi)".parse()?).lag_preconditioner(4))?;
    assert!(kept.preconditioners < kept.jacobians, "{kept}");
    let made = std::cell::Cell::new(0);
    let mut make = |a: &std::rc::Rc<CsrMatrix<f64>>| -> dolmen_solvers::Result<Box<dyn LinearOperator<f64>>> {
        made.set(made.get() + 1);
        Ok(Box::new(dolmen_solvers::Jacobi::new(&**a)?))
    };
    let by_function = solve(Newton::new().make_preconditioner(&mut make).lag_preconditioner(2))?;
    assert_eq!(made.get(), by_function.preconditioners, "{by_function}");
    let scaling = Diagonal::new(Vector::from_fn(&layout, |_| 0.2));
    let fixed = solve(Newton::new().preconditioner(&scaling))?;
    assert_eq!(fixed.preconditioners, 0, "{fixed}");
    Ok(())
}

pub(crate) fn anderson<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm, ROWS)?;
    let (rtol, bound) = if epsilon::<T>() > 1e-10 { (1e-5, 1e-4) } else { (1e-11, 1e-9) };
    let solve = |depth: usize, damping: f64, m: Option<&dyn LinearOperator<T>>| -> TestResult<NonlinearReport> {
        let cubic = Cubic::<T>::new(&layout, 0.2)?;
        let function = |x: &Vector<T>, y: &mut Vector<T>| cubic.apply(x, y);
        let anderson = Anderson::new().depth(depth).damping(damping).rtol(rtol);
        let mut x = cubic.guess();
        let report = m.into_iter().fold(anderson, Anderson::preconditioner).solve(&function, &mut x)?;
        assert!(report.converged() && cubic.error(&x)? < bound, "{}: {report}", T::NAME);
        audit(&report, &cubic, &x)?;
        assert_eq!(report.evaluations, report.iterations + 2, "{report}");
        Ok(report)
    };
    let simple = solve(0, 0.08, None)?;
    let mixed = solve(5, 0.08, None)?;
    assert!(2 * mixed.iterations < simple.iterations, "{mixed} beside {simple}");
    let scaling = Diagonal::new(Vector::from_fn(&layout, |_| number::<T>(0.1)));
    let scaled = solve(5, 1.0, Some(&scaling))?;
    assert!(scaled.iterations <= mixed.iterations + 5, "{scaled} beside {mixed}");
    linear(comm, rtol, number::<T>(1.0))
}

/// On a linear system mixing finds the solution when the differences span the space, as GMRES does.
fn linear<T: Scalar>(comm: &Comm, rtol: f64, one: T) -> TestResult {
    let layout = layout(comm, 6)?;
    let d = Vector::from_fn(&layout, |row| T::from_parts(1.0 + 0.5 * row as f64, 0.2));
    let function = |x: &Vector<T>, y: &mut Vector<T>| {
        y.copy_from(x)?;
        y.multiply(&d)?;
        y.shift(-one);
        Ok(())
    };
    let mut x = Vector::zeros(&layout);
    let report = Anderson::new().depth(6).damping(0.3).rtol(rtol.max(1e-9)).solve(&function, &mut x)?;
    assert!(report.converged() && report.iterations <= 8, "{report}");
    Ok(())
}

pub(crate) fn minima<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm, ROWS)?;
    let (rtol, bound) = if epsilon::<T>() > 1e-10 { (1e-5, 1e-4) } else { (1e-10, 1e-9) };
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |_| number::<T>(0.1)));
    for m in [None, Some(&jacobi as &dyn LinearOperator<T>)] {
        // Symmetric: the gradient of x^T A x / 2 + |x|_4^4 / 4 - b^T x.
        let cubic = Cubic::<T>::new(&layout, 0.0)?;
        let function = |x: &Vector<T>, y: &mut Vector<T>| cubic.apply(x, y);
        let cg = NonlinearCg::new().rtol(rtol);
        let mut x = cubic.guess();
        let report = m.into_iter().fold(cg, NonlinearCg::preconditioner).solve(&function, &mut x)?;
        assert!(report.converged() && cubic.error(&x)? < bound, "{}: {report}", T::NAME);
        audit(&report, &cubic, &x)?;
        assert!(report.iterations < 60 && report.evaluations < 4 * report.iterations, "{report}");
    }
    Ok(())
}

/// The solid fuel problem on the unit square, whose largest temperature is that of SciPy's sparse
/// solves of the same equations.
pub(crate) fn bratu(comm: &Comm) -> TestResult {
    let side = 32;
    let layout = Layout::uniform(comm, side * side);
    let h = 1.0 / (side as f64 + 1.0);
    let laplacian = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        entries.push(row, 4.0);
        let (i, j) = (row / side, row % side);
        for (inside, other) in [
            (i > 0, row.wrapping_sub(side)),
            (j > 0, row.wrapping_sub(1)),
            (j + 1 < side, row + 1),
            (i + 1 < side, row + side),
        ] {
            if inside {
                entries.push(other, -1.0);
            }
        }
    })?;
    let function = |u: &Vector<f64>, y: &mut Vector<f64>| {
        laplacian.apply(u, y)?;
        y.map_with(u, |y, u| y - h * h * u.exp())
    };
    let mut made = 0;
    let mut make = |a: &std::rc::Rc<CsrMatrix<f64>>| -> dolmen_solvers::Result<Box<dyn LinearOperator<f64>>> {
        made += 1;
        Ok(Box::new(Multigrid::new(a)?))
    };
    let mut jacobian = Jacobian::matrix(laplacian.clone(), |u, j| {
        j.set(u.range().zip(u.owned()).map(|(row, u)| (row, row, 4.0 - h * h * u.exp())))
    });
    let newton = Newton::new().linear("cg".parse()?).make_preconditioner(&mut make).lag_preconditioner(10);
    let mut u = Vector::zeros(&layout);
    let report = newton.solve(&function, &mut jacobian, &mut u)?;
    assert!(report.converged() && report.linear_iterations < 30, "{report}");
    assert!((u.norm_inf() - 0.077_923_474_601_484).abs() < 1e-10, "{}", u.norm_inf());
    assert_eq!(made, 1);
    Ok(())
}
