//! Every way in which a solve can end.

use std::cell::{Cell, RefCell};

use dolmen_core::{
    AdjointOperator, Diagonal, Error as CoreError, FnOperator, Layout, LinearOperator, Reduction, Vector,
};
use dolmen_solvers::{Cg, Cgls, Error, Norm, Progress, SolveReport, StopReason};
use dolmen_tests::{Comm, TestResult};

use crate::references::matrix;
use crate::stencil::{Stencil, assert_close, audit, grid, laplacian, ones};

pub(crate) fn single_precision(comm: &Comm) -> TestResult {
    let (layout, a) = grid::<f32>(comm, 32)?;
    let (double_layout, double_a) = grid::<f64>(comm, 32)?;
    let mut exact = Vector::zeros(&double_layout);
    Cg::new().rtol(1e-12).solve(&double_a, &ones(&double_layout), &mut exact)?.require_converged()?;
    let b = Vector::from_fn(&layout, |_| 1.0);
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().rtol(1e-5).solve(&a, &b, &mut x)?;
    audit(&report, &a, &b, &x)?;
    assert!(report.converged(), "{report}");
    assert_close(x.norm2(), exact.norm2(), 1e-4);
    // What single precision cannot reach is not claimed.
    let report = Cg::new().rtol(1e-9).solve(&a, &b, &mut x)?;
    audit(&report, &a, &b, &x)?;
    assert_eq!(report.reason, StopReason::Stagnated, "{report}");
    Ok(())
}

/// Squares of the residuals are far below what single precision can hold; the residuals are not.
pub(crate) fn tiny_single_precision(comm: &Comm) -> TestResult {
    let (layout, a) = grid::<f32>(comm, 32)?;
    let solve = |scale: f32, reduction| -> TestResult<SolveReport> {
        let b = Vector::from_fn(&layout, |i| scale * ((i % 17) as f32 - 8.0));
        let report = Cg::new().rtol(1e-5).reduction(reduction).solve(&a, &b, &mut Vector::zeros(&layout))?;
        assert!(report.converged(), "at scale {scale}: {report}");
        Ok(report)
    };
    for reduction in [Reduction::Reproducible, Reduction::Fast] {
        let (ordinary, tiny) = (solve(1.0, reduction)?, solve(1e-25, reduction)?);
        assert_eq!(tiny.iterations, ordinary.iterations);
        assert!(tiny.iterations > 20, "{tiny}");
    }
    Ok(())
}

pub(crate) fn zero_right_hand_side(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 8)?;
    let b = Vector::zeros(&layout);
    for guess in [0.0, 3.0] {
        let mut x = Vector::from_fn(&layout, |_| guess);
        let report = Cg::new().solve(&a, &b, &mut x)?;
        audit(&report, &a, &b, &x)?;
        assert_eq!((report.reason, report.iterations, report.true_residual), (StopReason::Converged, 0, 0.0));
        assert_eq!(report.relative_residual(), 0.0);
        assert!(x.owned().iter().all(|&x| x == 0.0));
    }
    Ok(())
}

pub(crate) fn initial_guess(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 16)?;
    let solution = Vector::from_fn(&layout, |i| (i as f64).sin());
    let mut b = Vector::zeros(&layout);
    a.apply(&solution, &mut b)?;
    // The solution itself: no iteration, and the monitor sees the one residual there is.
    let mut seen = Vec::new();
    let mut monitor = |progress: &Progress| seen.push(*progress);
    let mut x = solution.clone();
    let report = Cg::new().monitor(&mut monitor).solve(&a, &b, &mut x)?;
    assert_eq!((report.reason, report.iterations, report.applications), (StopReason::Converged, 0, 1));
    assert_eq!(seen.iter().map(|p| (p.iteration, p.residual)).collect::<Vec<_>>(), [(0, 0.0)]);
    // Any other guess leads to it too.
    let mut x = Vector::from_fn(&layout, |i| 100.0 - i as f64);
    let report = Cg::new().rtol(1e-10).solve(&a, &b, &mut x)?;
    audit(&report, &a, &b, &x)?;
    assert!(report.converged() && report.iterations > 10, "{report}");
    x.axpy(-1.0, &solution)?;
    assert!(x.norm_inf() < 1e-8, "off by {}", x.norm_inf());
    // A guess that is nearly good enough is not mistaken for divergence when residuals grow.
    let mut x = solution.clone();
    x.owned_mut().iter_mut().for_each(|x| *x *= 1.0 + 1e-7);
    let report = Cg::new().dtol(1.0).solve(&a, &b, &mut x)?;
    assert!(report.converged(), "{report}");
    Ok(())
}

pub(crate) fn indefinite_operator(comm: &Comm) -> TestResult {
    // The first direction has no energy: 1 - 1 + 0.
    let layout = Layout::uniform(comm, 3);
    let a = Diagonal::new(Vector::from_fn(&layout, |i| [1.0, -1.0, 0.0][usize::try_from(i).expect("a small test")]));
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().solve(&a, &ones(&layout), &mut x)?;
    audit(&report, &a, &ones(&layout), &x)?;
    assert_eq!((report.reason, report.iterations), (StopReason::IndefiniteOperator, 0));
    let error = report.require_converged().unwrap_err();
    assert!(matches!(&error, Error::NotConverged(text) if text.contains("use MINRES")), "{error}");
    // Case D: the Laplacian less half the identity.
    let layout = Layout::uniform(comm, 1024);
    let a = Stencil::new(&layout, |i| laplacian(i, &[32, 32], 3.5))?;
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().solve(&a, &ones(&layout), &mut x)?;
    audit(&report, &a, &ones(&layout), &x)?;
    assert_eq!(report.reason, StopReason::IndefiniteOperator);
    Ok(())
}

pub(crate) fn indefinite_preconditioner(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 8)?;
    for sign in [-1.0, 0.0] {
        let m = Diagonal::new(Vector::from_fn(&layout, |_| sign));
        let mut x = Vector::zeros(&layout);
        let report = Cg::new().preconditioner(&m).solve(&a, &ones(&layout), &mut x)?;
        audit(&report, &a, &ones(&layout), &x)?;
        assert_eq!((report.reason, report.iterations), (StopReason::IndefinitePreconditioner, 0), "{sign}");
    }
    // A preconditioner that hides the residual from its norm.
    let zero = Diagonal::new(Vector::zeros(&layout));
    let signs = Diagonal::new(Vector::from_fn(&layout, |i| if i % 2 == 0 { 1.0 } else { -1.0 }));
    for (norm, m) in [(Norm::Natural, &zero), (Norm::Preconditioned, &zero), (Norm::Natural, &signs)] {
        for atol in [0.0, 1.0] {
            let mut x = Vector::zeros(&layout);
            let report = Cg::new().norm(norm).atol(atol).preconditioner(m).solve(&a, &ones(&layout), &mut x)?;
            assert_eq!((report.reason, report.iterations), (StopReason::IndefinitePreconditioner, 0), "{report}");
        }
    }
    Ok(())
}

pub(crate) fn not_finite(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 8)?;
    let last = layout.global_len() - 1;
    // One bad entry on one rank stops all of them.
    for bad in [f64::NAN, f64::INFINITY] {
        let b = Vector::from_fn(&layout, |i| if i == last { bad } else { 1.0 });
        let mut x = Vector::zeros(&layout);
        let report = Cg::new().solve(&a, &b, &mut x)?;
        assert_eq!((report.reason, report.iterations), (StopReason::NotFinite, 0));
        let mut x = Vector::from_fn(&layout, |i| if i == 0 { bad } else { 0.0 });
        let report = Cg::new().atol(1e-3).solve(&a, &ones(&layout), &mut x)?;
        assert_eq!((report.reason, report.iterations), (StopReason::NotFinite, 0));
        // From the operator, in the first step.
        let a = Diagonal::new(b.clone());
        let mut x = Vector::zeros(&layout);
        let report = Cg::new().solve(&a, &ones(&layout), &mut x)?;
        assert_eq!((report.reason, report.converged()), (StopReason::NotFinite, false));
        // From the preconditioner.
        let (_, a) = grid(comm, 8)?;
        let m = Diagonal::new(b);
        let mut x = Vector::zeros(&layout);
        let report = Cg::new().preconditioner(&m).solve(&a, &ones(&layout), &mut x)?;
        assert_eq!(report.reason, StopReason::NotFinite);
    }
    Ok(())
}

/// Residuals of conjugate gradients may grow at first; a limit of one does not allow that.
pub(crate) fn divergence_limit(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 16)?;
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().dtol(1.0).solve(&a, &ones(&layout), &mut x)?;
    audit(&report, &a, &ones(&layout), &x)?;
    assert_eq!(report.reason, StopReason::Diverged);
    assert!(report.history[report.iterations] > report.history[0]);
    assert!(Cg::new().solve(&a, &ones(&layout), &mut x)?.converged());
    Ok(())
}

pub(crate) fn tolerance_below_rounding(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 24)?;
    let b = ones(&layout);
    let mut reasons = Vec::new();
    for exponent in 8..22 {
        let mut x = Vector::zeros(&layout);
        let report = Cg::new().rtol(10f64.powi(-exponent)).max_iterations(2000).solve(&a, &b, &mut x)?;
        // Not one of them claims what the residual computed here does not show.
        audit(&report, &a, &b, &x)?;
        reasons.push(report.reason);
    }
    assert_eq!(reasons[0], StopReason::Converged);
    assert_eq!(reasons[11..], [StopReason::Stagnated; 3], "{reasons:?}");
    assert!(reasons.is_sorted_by_key(|&reason| reason != StopReason::Converged), "{reasons:?}");
    Ok(())
}

/// From a guess far away the first pass loses as many digits as the guess is larger than the
/// solution; restarts from the true residual win them back.
pub(crate) fn a_restart_recovers_lost_digits(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 24)?;
    let b = ones(&layout);
    let mut x = Vector::from_fn(&layout, |i| 1e9 * (1.0 + (i % 7) as f64));
    let mut calls = Vec::new();
    let mut monitor = |progress: &Progress| calls.push((progress.iteration, progress.residual));
    let report = Cg::new().rtol(1e-10).monitor(&mut monitor).solve(&a, &b, &mut x)?;
    audit(&report, &a, &b, &x)?;
    assert!(report.converged(), "{report}");
    assert!(report.applications > report.iterations + 2, "no restart was needed: {report:?}");
    // The monitor has seen what the history has, the true residuals of the restarts included.
    assert_eq!(calls, report.history.iter().copied().enumerate().collect::<Vec<_>>());
    Ok(())
}

/// The first check of the recurrence finds a residual slightly too large, as after an unlucky
/// rounding, and the guess was so good that this is more than half of where it began.
pub(crate) fn one_vain_restart_is_not_stagnation(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 2);
    let target = 1e-6;
    // By hand, in units of the target, for diag(1, 2): the residual of the guess is (1.2, 1.2), that
    // after one step (0.4, -0.4). The third application, which checks it, says (-0.2, -1.0).
    let application = Cell::new(0);
    let a = FnOperator::new(&layout, &layout, |x: &Vector<f64>, y: &mut Vector<f64>| {
        application.set(application.get() + 1);
        let error = if application.get() == 3 { 0.6 * target } else { 0.0 };
        let first = x.range().start;
        for (row, (y, x)) in (first..).zip(y.owned_mut().iter_mut().zip(x.owned())) {
            *y = (1.0 + row as f64) * x + error;
        }
        Ok(())
    });
    let mut x = Vector::from_fn(&layout, |row| (1.0 - 1.2 * target) / (1.0 + row as f64));
    let report = Cg::new().rtol(0.0).atol(target).solve(&a, &ones(&layout), &mut x)?;
    assert_eq!((report.reason, report.iterations), (StopReason::Converged, 2), "{report:?}");
    let history: Vec<_> = report.history.iter().map(|residual| (residual / target * 100.0).round()).collect();
    assert_eq!(history, [170.0, 102.0, 80.0]);
    Ok(())
}

pub(crate) fn iteration_limit(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 16)?;
    let b = ones(&layout);
    for limit in [0, 1, 7] {
        let mut x = Vector::zeros(&layout);
        let mut calls = 0;
        let mut monitor = |progress: &Progress| {
            assert_eq!((progress.iteration, progress.target), (calls, 16e-8));
            calls += 1;
        };
        let report = Cg::new().max_iterations(limit).monitor(&mut monitor).solve(&a, &b, &mut x)?;
        audit(&report, &a, &b, &x)?;
        assert_eq!((report.reason, report.iterations, calls), (StopReason::IterationLimit, limit, limit + 1));
        let text = report.require_converged().unwrap_err().to_string();
        assert!(text.contains(&format!("CG: {limit} iterations")) && text.contains("allow more iterations"), "{text}");
    }
    Ok(())
}

pub(crate) fn fast_reductions(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 64)?;
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().reduction(Reduction::Fast).solve(&a, &ones(&layout), &mut x)?;
    audit(&report, &a, &ones(&layout), &x)?;
    assert!(report.converged() && report.iterations.abs_diff(119) <= 1, "{report}");
    Ok(())
}

pub(crate) fn mismatched_layouts(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 8)?;
    let longer = Layout::uniform(comm, 65);
    let lopsided = Layout::from_local_len(comm, if comm.rank() == 0 { 64 } else { 0 })?;
    let others = if comm.size() == 1 { vec![longer] } else { vec![longer, lopsided] };
    let refused = |result: Result<SolveReport, Error>, what: &str| {
        let text = result.map_err(|error| error.to_string()).expect_err("solved");
        assert!(text.starts_with(what) && text.contains("different layouts"), "{text}");
    };
    for other in &others {
        let right = || Vector::zeros(&layout);
        let wrong = || Vector::zeros(other);
        refused(Cg::new().solve(&a, &wrong(), &mut right()), "CG: right-hand side");
        refused(Cg::new().solve(&a, &right(), &mut wrong()), "CG: initial guess");
        let m = Diagonal::new(ones(other));
        refused(Cg::new().preconditioner(&m).solve(&a, &right(), &mut right()), "CG: preconditioner");
        refused(Cg::new().projection(&m).solve(&a, &right(), &mut right()), "CG: preconditioner or projection");
        let rectangular = FnOperator::new(&layout, other, |_: &Vector<f64>, _: &mut Vector<f64>| Ok(()));
        refused(Cg::new().solve(&rectangular, &wrong(), &mut right()), "CG: operator");
    }
    comm.barrier();
    Ok(())
}

pub(crate) fn bad_settings(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 8)?;
    let mut x = Vector::zeros(&layout);
    let mut refused = |cg: Cg<'_, f64>, text: &str| {
        let error = cg.solve(&a, &ones(&layout), &mut x).expect_err("solved");
        assert!(matches!(error, Error::Setting { method: "CG", .. }));
        assert_eq!(error.to_string(), text);
    };
    refused(Cg::new().rtol(-1e-3), "CG: rtol is -0.001, expected zero or more, and finite");
    refused(Cg::new().rtol(f64::NAN), "CG: rtol is NaN, expected zero or more, and finite");
    refused(Cg::new().rtol(f64::INFINITY), "CG: rtol is inf, expected zero or more, and finite");
    refused(Cg::new().atol(-1.0), "CG: atol is -1, expected zero or more, and finite");
    refused(Cg::new().dtol(0.5), "CG: dtol is 0.5, expected one or more");
    assert!(x.owned().iter().all(|&x| x == 0.0));
    Ok(())
}

/// An operator that fails on one rank, in the fifth application, agrees; the solver passes it on.
pub(crate) fn a_failing_operator(comm: &Comm) -> TestResult {
    let (layout, a) = grid::<f64>(comm, 16)?;
    let applied = RefCell::new(0);
    let failing = FnOperator::new(&layout, &layout, |x: &Vector<f64>, y: &mut Vector<f64>| {
        *applied.borrow_mut() += 1;
        let last = comm.rank() + 1 == comm.size();
        comm.agree(if last && *applied.borrow() == 5 { Err("the stencil broke") } else { Ok(()) })?;
        a.apply(x, y)
    });
    let mut x = Vector::zeros(&layout);
    let error = Cg::new().solve(&failing, &ones(&layout), &mut x).expect_err("solved");
    let rank = comm.size() - 1;
    let expected = CoreError::Agreed { rank, everywhere: rank == 0, message: "the stencil broke".to_owned() };
    assert_eq!(error, Error::Core(expected));
    Ok(())
}

/// The residual is at its minimum long before `A^T r` vanishes: starts that lessen the latter are not
/// idle. Every claim of this method is false, since each third adjoint product is zero, yet each start
/// leaves less than a fifth of the last one's `A^T r`.
pub(crate) fn least_squares_restarts(comm: &Comm) -> TestResult {
    let (rows, columns) = (Layout::uniform(comm, 3), Layout::uniform(comm, 2));
    let entries = |i| if i < 2 { vec![(i, 1.0 + 0.2 * i as f64)] } else { vec![] };
    let a = matrix::<f64>(&rows, &columns, entries)?;
    let application = Cell::new(0);
    let adjoint = |u: &Vector<f64>, v: &mut Vector<f64>| {
        application.set(application.get() + 1);
        a.apply_adjoint(u, v)?;
        if application.get() % 3 == 0 {
            v.fill(0.0);
        }
        Ok(())
    };
    let operator = FnOperator::new(&columns, &rows, |x: &Vector<f64>, y: &mut Vector<f64>| a.apply(x, y));
    let b = Vector::from_fn(&rows, |i| if i < 2 { 1.0 } else { 100.0 });
    let mut x = Vector::zeros(&columns);
    let report = Cgls::new().solve(&operator.with_adjoint(adjoint), &b, &mut x)?;
    assert!(report.converged() && report.iterations > 5, "{report}");
    let error = x.range().zip(x.owned()).map(|(j, x)| (x - 1.0 / (1.0 + 0.2 * j as f64)).abs()).fold(0.0, f64::max);
    assert!(error < 1e-7 && (report.true_residual - 100.0).abs() < 1e-12, "{error}: {report}");
    Ok(())
}
