//! Every method, in every situation that ends it: the same reason on all ranks, and the right one.

use dolmen_core::{Diagonal, FnOperator, Layout, LinearOperator, Vector};
use dolmen_solvers::{Error, Gmres, Method, Settings, SolveReport, StopReason};
use dolmen_tests::{Comm, TestResult};

use crate::references::matrix;
use crate::stencil::{audit, laplacian, ones};

/// Solves by a named method, and checks that all ranks tell the same.
pub(crate) fn solve(
    name: Method,
    settings: Settings<'_, f64>,
    a: &dyn LinearOperator<f64>,
    b: &Vector<f64>,
    x: &mut Vector<f64>,
) -> TestResult<SolveReport> {
    let report = name.solver(settings)?.solve(a, b, x)?;
    let told = report.outcome().bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
    assert!(b.comm().all_gather(told).iter().all(|&other| other == told), "{report}");
    Ok(report)
}

/// No iteration where none is needed: a right-hand side of zero, and the solution as the guess.
pub(crate) fn trivial_systems(comm: &Comm) -> TestResult {
    let layout = Layout::from_local_len(comm, if comm.rank() == 1 { 0 } else { 40 })?;
    let a = matrix(&layout, &layout, |i| laplacian(i, &[layout.global_len()], 2.5))?;
    let solution = Vector::from_fn(&layout, |i| (i as f64).sin());
    let mut b = Vector::zeros(&layout);
    a.apply(&solution, &mut b)?;
    for &name in Method::SQUARE {
        let zero = Vector::zeros(&layout);
        let mut x = ones(&layout);
        let report = solve(name, Settings::new(), &a, &zero, &mut x)?;
        audit(&report, &a, &zero, &x)?;
        assert_eq!((report.reason, report.iterations, x.norm_inf()), (StopReason::Converged, 0, 0.0), "{name}");
        let mut x = solution.clone();
        let report = solve(name, Settings::new(), &a, &b, &mut x)?;
        audit(&report, &a, &b, &x)?;
        assert_eq!((report.reason, report.iterations), (StopReason::Converged, 0), "{name}");
        assert_eq!(x.owned(), solution.owned());
    }
    for &name in Method::LEAST_SQUARES {
        let solver = |settings| name.least_squares(settings, None);
        let mut x = ones(&layout);
        let report = solver(Settings::new())?.solve(&a, &Vector::zeros(&layout), &mut x)?;
        assert_eq!((report.reason, report.iterations, x.norm_inf()), (StopReason::Converged, 0, 0.0), "{name}");
        let mut x = solution.clone();
        let report = solver(Settings::new())?.solve(&a, &b, &mut x)?;
        assert_eq!((report.reason, report.iterations), (StopReason::Converged, 0), "{name}");
    }
    Ok(())
}

/// One bad entry on one rank stops all of them, wherever it is.
pub(crate) fn not_finite(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 64);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[8, 8], 4.5))?;
    for bad in [f64::NAN, f64::INFINITY] {
        let poisoned = Vector::from_fn(&layout, |i| if i == 63 { bad } else { 1.0 });
        let diagonal = Diagonal::new(poisoned.clone());
        for &name in Method::SQUARE {
            let mut x = Vector::zeros(&layout);
            let report = solve(name, Settings::new(), &a, &poisoned, &mut x)?;
            assert_eq!((report.reason, report.iterations), (StopReason::NotFinite, 0), "{name}");
            let mut x = poisoned.clone();
            let report = solve(name, Settings::new().atol(1e-3), &a, &ones(&layout), &mut x)?;
            assert_eq!((report.reason, report.iterations), (StopReason::NotFinite, 0), "{name}");
            let mut x = Vector::zeros(&layout);
            let report = solve(name, Settings::new().max_iterations(99), &diagonal, &ones(&layout), &mut x)?;
            assert_eq!(report.reason, StopReason::NotFinite, "{name} with {bad} in the operator");
            let mut x = Vector::zeros(&layout);
            let settings = Settings::new().max_iterations(99).preconditioner(&diagonal);
            let report = solve(name, settings, &a, &ones(&layout), &mut x)?;
            assert_eq!(report.reason, StopReason::NotFinite, "{name} with {bad} in the preconditioner");
        }
        for &name in Method::LEAST_SQUARES {
            let solver = name.least_squares(Settings::new().max_iterations(99), None)?;
            let mut x = Vector::zeros(&layout);
            assert_eq!(solver.solve(&a, &poisoned, &mut x)?.reason, StopReason::NotFinite, "{name}");
            let mut x = Vector::zeros(&layout);
            assert_eq!(solver.solve(&diagonal, &ones(&layout), &mut x)?.reason, StopReason::NotFinite, "{name}");
        }
    }
    Ok(())
}

/// Without a solution there is no "converged", but an end.
pub(crate) fn singular_systems(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 40);
    let zero = FnOperator::new(&layout, &layout, |_: &Vector<f64>, y: &mut Vector<f64>| {
        y.fill(0.0);
        Ok(())
    });
    let half = Diagonal::new(Vector::from_fn(&layout, |i| if i < 20 { 1.0 } else { 0.0 }));
    for &name in Method::SQUARE {
        for a in [&zero as &dyn LinearOperator<f64>, &half] {
            let mut x = Vector::zeros(&layout);
            let report = solve(name, Settings::new().max_iterations(200), a, &ones(&layout), &mut x)?;
            audit_unsolved(&report, a, &x)?;
        }
        // One that has a solution all the same.
        let mut b = Vector::zeros(&layout);
        half.apply(&ones(&layout), &mut b)?;
        let mut x = Vector::zeros(&layout);
        let report = solve(name, Settings::new(), &half, &b, &mut x)?;
        if name != Method::Chebyshev {
            audit(&report, &half, &b, &x)?;
            assert!(report.converged(), "{name}: {report}");
        }
    }
    for &name in Method::LEAST_SQUARES {
        let solver = name.least_squares(Settings::new(), None)?;
        let mut x = Vector::zeros(&layout);
        let report = solver.solve(&half, &ones(&layout), &mut x)?;
        assert!(report.converged(), "{report}");
        assert!((report.true_residual - 20f64.sqrt()).abs() < 1e-12 && (x.norm2() - 20f64.sqrt()).abs() < 1e-12);
    }
    Ok(())
}

fn audit_unsolved(report: &SolveReport, a: &dyn LinearOperator<f64>, x: &Vector<f64>) -> TestResult {
    assert!(!report.converged() && report.history.len() == report.iterations + 1, "{report}");
    let mut r = Vector::zeros(x.layout());
    a.apply(x, &mut r)?;
    r.axpby(1.0, &ones(x.layout()), -1.0)?;
    assert_eq!(r.norm2().to_bits(), report.true_residual.to_bits(), "{report}");
    Ok(())
}

/// Methods that need positive energies say so when they meet another one.
pub(crate) fn indefinite_systems(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 64);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[8, 8], 3.5))?;
    let definite = matrix(&layout, &layout, |i| laplacian(i, &[8, 8], 4.5))?;
    let negative = Diagonal::new(Vector::from_fn(&layout, |_| -1.0));
    for name in [Method::Cg, Method::PipelinedCg, Method::FlexibleCg] {
        let mut x = Vector::zeros(&layout);
        let report = solve(name, Settings::new(), &a, &ones(&layout), &mut x)?;
        audit(&report, &a, &ones(&layout), &x)?;
        assert_eq!(report.reason, StopReason::IndefiniteOperator, "{name}");
    }
    for name in [Method::Cg, Method::PipelinedCg, Method::FlexibleCg, Method::Minres, Method::Symmlq, Method::Chebyshev]
    {
        let mut x = Vector::zeros(&layout);
        let report = solve(name, Settings::new().preconditioner(&negative), &definite, &ones(&layout), &mut x)?;
        assert_eq!((report.reason, report.iterations), (StopReason::IndefinitePreconditioner, 0), "{name}");
    }
    let mut x = Vector::zeros(&layout);
    let report = solve(Method::Chebyshev, Settings::new(), &a, &ones(&layout), &mut x)?;
    assert_eq!((report.reason, report.iterations), (StopReason::IndefiniteOperator, 0));
    // The shift turns all directions, and has no interval of eigenvalues.
    let shift = matrix(&layout, &layout, |i| vec![((i + 1) % 64, 1.0)])?;
    let report = solve(Method::Chebyshev, Settings::new(), &shift, &ones(&layout), &mut Vector::zeros(&layout))?;
    assert_eq!((report.reason, report.iterations), (StopReason::NotHermitian, 0));
    // Nothing to do with signs: it grows.
    let report = solve(Method::Richardson, Settings::new(), &definite, &ones(&layout), &mut x)?;
    assert_eq!(report.reason, StopReason::Diverged);
    // The residual of a shift is orthogonal to its image: cycles of one step gain nothing.
    let b = Vector::from_fn(&layout, |i| if i == 0 { 1.0 } else { 0.0 });
    let mut x = Vector::zeros(&layout);
    let report = Gmres::new().restart(5).solve(&shift, &b, &mut x)?;
    assert_eq!(report.reason, StopReason::Stagnated, "{report}");
    assert!(Gmres::new().restart(64).solve(&shift, &b, &mut x)?.converged());
    Ok(())
}

pub(crate) fn names_and_refusals(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 4);
    let a = Diagonal::new(ones(&layout));
    let mut x = Vector::zeros(&layout);
    for &name in Method::LEAST_SQUARES {
        let solver = name.least_squares(Settings::new().preconditioner(&a), None)?;
        let refused = solver.solve(&a, &ones(&layout), &mut x);
        assert!(matches!(refused, Err(Error::NotForLeastSquares { setting: "preconditioner", .. })), "{refused:?}");
    }
    let refused = Gmres::new().restart(0).solve(&a, &ones(&layout), &mut x).map_err(|error| error.to_string());
    assert_eq!(refused, Err("GMRES: restart is 0, expected one or more".to_owned()));
    Ok(())
}
