//! A solve that fails names the cause: an operator without symmetry, a preconditioner without symmetry,
//! a system without a solution. Systems that can be solved are not given up.

use dolmen_core::{Complex64, CsrMatrix, Diagonal, Layout, LinearOperator, MultiVector, Real, Scalar, Vector};
use dolmen_solvers::{BlockCg, Method, Minres, Norm, Settings, SolveReport, StopReason};
use dolmen_tests::{Comm, TestResult, oracle};

use crate::endings::solve;
use crate::references::matrix;
use crate::stencil::{assert_close, audit, laplacian, neighbors, ones};

/// The least norm of `b - A x` for the Laplacian of a grid without boundary values.
fn least_residual(grid: &[u64], b: &[Complex64]) -> f64 {
    let n = grid.iter().product();
    // The columns sum to zero: without the last one they are independent, and have the same range.
    let row = |i| {
        let mut row = vec![Complex64::ZERO; b.len()];
        let entries = laplacian::<Complex64>(i, grid, neighbors(i, grid).len() as f64);
        entries.into_iter().for_each(|(column, value)| row[usize::try_from(column).expect("a small matrix")] = value);
        row.pop();
        row
    };
    let rows: Vec<Vec<Complex64>> = (0..n).map(row).collect();
    let x = oracle::least_squares(&rows, b);
    let left = |(row, b): (&Vec<Complex64>, &Complex64)| b - row.iter().zip(&x).map(|(a, x)| a * x).sum::<Complex64>();
    rows.iter().zip(b).map(|row| left(row).norm_sqr()).sum::<f64>().sqrt()
}

fn tolerance<T: Scalar>() -> f64 {
    if T::NAME.ends_with("32") { 1e-4 } else { 1e-8 }
}

/// If a singular system has no solution, MINRES stops at the least residual, as far as rounding allows.
pub(crate) fn inconsistent<T: Scalar>(comm: &Comm) -> TestResult {
    for grid in [&[30][..], &[7, 5], &[20, 20]] {
        let layout = Layout::uniform(comm, grid.iter().product());
        let degree = |point| neighbors(point, grid).len() as f64;
        let n = layout.global_len();
        let a = matrix(&layout, &layout, |i| laplacian::<T>(i, grid, degree(i)))?;
        let b = Vector::from_fn(&layout, |i| T::from_parts((i as f64).sin() + 0.3, (2.0 * i as f64).cos()));
        let all: Vec<Complex64> =
            b.gather_all().iter().map(|b| Complex64::new(b.re().to_f64(), b.im().to_f64())).collect();
        let settings = || Minres::new().rtol(tolerance::<T>());
        let mut x = Vector::zeros(&layout);
        let report = settings().solve(&a, &b, &mut x)?;
        audit(&report, &a, &b, &x)?;
        assert_eq!(report.reason, StopReason::Inconsistent, "{grid:?}: {report}");
        assert!(report.iterations as u64 <= 30 * n && x.norm_inf().to_f64() < 1e4, "{report}: {}", x.norm_inf());
        assert_close(report.true_residual, least_residual(grid, &all), tolerance::<T>());
        // With a preconditioner M, r is the multiple of M^-1 1 that has the sum of b.
        let jacobi = Diagonal::new(Vector::from_fn(&layout, |i| T::from_parts(1.0 / degree(i), 0.0)));
        let (sum, degrees) = (all.iter().sum::<Complex64>().norm(), || (0..n).map(degree));
        let expected = sum * degrees().map(|degree| degree * degree).sum::<f64>().sqrt() / degrees().sum::<f64>();
        for norm in [Norm::True, Norm::Natural] {
            let mut x = Vector::zeros(&layout);
            let report = settings().preconditioner(&jacobi).norm(norm).solve(&a, &b, &mut x)?;
            assert_eq!(report.reason, StopReason::Inconsistent, "{grid:?}, {norm:?}: {report}");
            // The true norm is not the one that is least here: errors count singly.
            assert_close(report.true_residual, expected, 10.0 * tolerance::<T>());
        }
        // A right-hand side in the range has its solution as before.
        let mut b = Vector::zeros(&layout);
        a.apply(&Vector::from_fn(&layout, |i| T::from_parts((i as f64).sin(), 0.1)), &mut b)?;
        let report = Minres::new().rtol(1e2 * T::Real::EPSILON.to_f64()).solve(&a, &b, &mut Vector::zeros(&layout))?;
        assert!(report.converged(), "{report}");
    }
    Ok(())
}

/// Systems that are nearly singular, and of which `b` has as much where `A` is small as where it is large.
pub(crate) fn nearly_singular<T: Scalar>(comm: &Comm) -> TestResult {
    let single = T::NAME.ends_with("32");
    let conditions = if single { [150.0, 1500.0, 1e4] } else { [1e5, 3e7, 1e9] };
    let n = 60;
    let layout = Layout::uniform(comm, n);
    for condition in conditions {
        let eigenvalue = |i: u64| {
            let size = f64::powf(condition, -(i as f64) / (n - 1) as f64);
            T::from_parts(if i.is_multiple_of(3) { -size } else { size }, 0.0)
        };
        let a = Diagonal::new(Vector::from_fn(&layout, eigenvalue));
        let b = Vector::from_fn(&layout, |_| T::ONE);
        // What rounding allows, with some room.
        let rtol = (32.0 * T::Real::EPSILON.to_f64() * condition).max(tolerance::<T>());
        for rtol in [rtol, 1e-3 * rtol] {
            let mut x = Vector::zeros(&layout);
            let report = Minres::new().rtol(rtol).max_iterations(20_000).solve(&a, &b, &mut x)?;
            audit(&report, &a, &b, &x)?;
            assert!(report.reason != StopReason::Inconsistent, "{condition:e}, {rtol:e}: {report}");
            assert!(report.relative_residual() <= 1e-1, "{condition:e}, {rtol:e}: {report}");
        }
    }
    Ok(())
}

/// A rotation by less than a quarter turn, and growth: all energies are positive, and there is no symmetry.
fn turning(layout: &Layout) -> TestResult<CsrMatrix<f64>> {
    matrix(layout, layout, |i| match i {
        0 => vec![(0, 1.0), (1, 3.0)],
        1 => vec![(0, -3.0), (1, 1.0), (2, 2.0)],
        _ => vec![(1, -2.0), (2, 2.0)],
    })
}

/// Methods that need symmetry say where it is missing, instead of asking for more iterations.
pub(crate) fn without_symmetry(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 3);
    let a = turning(&layout)?;
    let b = Vector::from_fn(&layout, |i| 1.0 + i as f64);
    for name in [Method::Cg, Method::PipelinedCg, Method::FlexibleCg, Method::Minres, Method::Symmlq, Method::Chebyshev]
    {
        for limit in [10, 10_000] {
            let mut x = Vector::zeros(&layout);
            let report = solve(name, Settings::new().max_iterations(limit), &a, &b, &mut x)?;
            assert_eq!(report.reason, StopReason::NotHermitian, "{report}");
            assert!(report.iterations <= 256 && report.outcome().contains("is not symmetric"), "{report}");
            assert!(!report.outcome().contains("preconditioner"), "{report}");
        }
    }
    let columns = MultiVector::from_fn(&layout, 2, |row, column| (1 + row) as f64 + column as f64);
    for report in BlockCg::new().solve(&a, &columns, &mut MultiVector::zeros(&layout, 2))? {
        assert_eq!(report.reason, StopReason::NotHermitian, "{report}");
    }
    // The same as a preconditioner of a system that has symmetry.
    let identity = Diagonal::new(ones(&layout));
    for name in [Method::Cg, Method::Minres, Method::Symmlq, Method::PipelinedCg] {
        let mut x = Vector::zeros(&layout);
        let report = solve(name, Settings::new().preconditioner(&a), &identity, &b, &mut x)?;
        assert_eq!(report.reason, StopReason::PreconditionerNotHermitian, "{report}");
        assert!(report.outcome().contains("the preconditioner is not symmetric"), "{report}");
    }
    Ok(())
}

/// A slow solve of a symmetric system is left alone: it makes all iterations, and says what it lacks.
pub(crate) fn slow(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 400);
    let a = matrix(&layout, &layout, |i| laplacian::<f64>(i, &[400], 2.0))?;
    let b = ones(&layout);
    let mut x = Vector::zeros(&layout);
    let report = solve(Method::Cg, Settings::new().max_iterations(150), &a, &b, &mut x)?;
    assert_eq!((report.reason, report.iterations), (StopReason::IterationLimit, 150), "{report}");
    assert!(report.outcome().contains("allow more iterations, or use a preconditioner"), "{report}");
    let found: SolveReport = solve(Method::Cg, Settings::new(), &a, &b, &mut Vector::zeros(&layout))?;
    assert!(found.converged(), "{found}");
    Ok(())
}

/// An operator that is zero is not the fault of a preconditioner that is none.
pub(crate) fn zero_operator(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 5);
    let zero = matrix(&layout, &layout, |i| vec![(i, 0.0)])?;
    for &name in Method::SQUARE {
        let mut x = Vector::zeros(&layout);
        let report = solve(name, Settings::new().max_iterations(200), &zero, &ones(&layout), &mut x)?;
        assert!(!report.converged() && !report.outcome().contains("the preconditioner"), "{report}");
    }
    let report = solve(Method::Minres, Settings::new(), &zero, &ones(&layout), &mut Vector::zeros(&layout))?;
    assert_eq!((report.reason, report.iterations), (StopReason::Inconsistent, 0), "{report}");
    Ok(())
}
