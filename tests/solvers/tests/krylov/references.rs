//! Iteration counts and norms of PETSc 3.18: initial guess zero, natural ordering, rtol 1e-8.

use dolmen_core::{AdjointOperator, CsrMatrix, Diagonal, Layout, LinearOperator, Scalar, Vector};
use dolmen_solvers::{
    BiCgStab, Cg, Cgls, Fgmres, Gcr, Gmres, Idr, LeastSquaresSolver, Lsmr, Lsqr, Minres, NullSpace, PipelinedCg,
    SolveReport, Solver, StopReason, Symmlq,
};
use dolmen_tests::{Comm, TestResult};

use crate::stencil::{Neumann, Row, assert_close, audit, laplacian, neighbors, neumann, ones, slope};

/// A matrix of which any row can be computed.
pub(crate) fn matrix<T: Scalar>(
    rows: &Layout,
    columns: &Layout,
    row: impl Fn(u64) -> Row<T>,
) -> TestResult<CsrMatrix<T>> {
    Ok(CsrMatrix::from_rows(rows, columns, |number, entries| {
        let mut row = row(number);
        row.sort_by_key(|(column, _)| *column);
        for (column, value) in row {
            entries.push(column, value);
        }
    })?)
}

/// The upwind convection-diffusion operator of case C.
pub(crate) fn convection<T: Scalar>(comm: &Comm, n: u64) -> TestResult<(Layout, CsrMatrix<T>)> {
    let layout = Layout::uniform(comm, n * n);
    let a = matrix(&layout, &layout, |point| {
        let value = |neighbor| if neighbor < point { -1.5 } else { -1.0 };
        let around = neighbors(point, &[n, n]).into_iter();
        let mut row: Row<T> = around.map(|other| (other, T::from_parts(value(other), 0.0))).collect();
        row.push((point, T::from_parts(5.0, 0.0)));
        row
    })?;
    Ok((layout, a))
}

/// Solves with right-hand side one from zero; checks the report, and the count against that of others.
fn solve(solver: &dyn Solver<f64>, a: &dyn LinearOperator<f64>, count: usize, norm: f64) -> TestResult<SolveReport> {
    let b = ones(a.range());
    let mut x = Vector::zeros(a.domain());
    let report = solver.solve(a, &b, &mut x)?;
    audit(&report, a, &b, &x)?;
    assert!(report.converged(), "{report}");
    assert!(report.iterations.abs_diff(count) <= 1, "not {count}: {report}");
    assert_close(x.norm2(), norm, 1e-7);
    Ok(report)
}

const NORM_A: f64 = 1.132_920_918_415_83e4;
const NORM_B: f64 = 5.150_403_696_385_3e3;
const NORM_C: f64 = 2_777.127_585_5;

pub(crate) fn laplacian_a(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 64 * 64);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[64, 64], 4.0))?;
    solve(&Cg::new(), &a, 119, NORM_A)?;
    solve(&Minres::new(), &a, 118, NORM_A)?;
    solve(&Gmres::new(), &a, 625, NORM_A)?;
    Ok(())
}

pub(crate) fn laplacian_b(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 32 * 32 * 32);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[32; 3], 6.0))?;
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |_| 1.0 / 6.0));
    solve(&PipelinedCg::new().preconditioner(&jacobi), &a, 79, NORM_B)?;
    solve(&Fgmres::new(), &a, 157, NORM_B)?;
    solve(&Gcr::new(), &a, 157, NORM_B)?;
    let b = ones(&layout);
    let mut x = Vector::zeros(&layout);
    let report = Lsqr::new().solve(&a, &b, &mut x)?;
    audit(&report, &a, &b, &x)?;
    assert!(report.converged() && report.iterations.abs_diff(444) <= 1, "{report}");
    assert_close(x.norm2(), NORM_B, 1e-7);
    Ok(())
}

pub(crate) fn convection_c(comm: &Comm) -> TestResult {
    let (_, a) = convection(comm, 64)?;
    solve(&Gmres::new(), &a, 327, NORM_C)?;
    solve(&BiCgStab::new(), &a, 122, NORM_C)?;
    Ok(())
}

pub(crate) fn indefinite_d(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 32 * 32);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[32, 32], 3.5))?;
    let mut norms = Vec::new();
    for solver in [&Minres::new() as &dyn Solver<f64>, &Symmlq::new()] {
        let b = ones(&layout);
        let mut x = Vector::zeros(&layout);
        let report = solver.solve(&a, &b, &mut x)?;
        audit(&report, &a, &b, &x)?;
        assert!(report.converged() && report.iterations.abs_diff(86) <= 1, "{report}");
        norms.push(x.norm2());
    }
    assert_close(norms[0], norms[1], 1e-7);
    Ok(())
}

/// The 101 by 100 bidiagonal matrix (1, -1).
pub(crate) fn least_squares_e(comm: &Comm) -> TestResult {
    let (rows, columns) = (Layout::uniform(comm, 101), Layout::uniform(comm, 100));
    let a = matrix(&rows, &columns, |i| {
        let pair = [(i, 1.0), (i.wrapping_sub(1), -1.0)];
        pair.into_iter().filter(|(column, _)| *column < 100).collect()
    })?;
    let b = Vector::from_fn(&rows, |i| 1.0 + (i % 7) as f64);
    let solvers: [(&dyn LeastSquaresSolver<f64>, _); 3] =
        [(&Lsqr::new().rtol(1e-10), 100), (&Cgls::new().rtol(1e-10), 100), (&Lsmr::new().rtol(1e-10), 100)];
    for (solver, count) in solvers {
        let mut x = Vector::zeros(&columns);
        let report = solver.solve(&a, &b, &mut x)?;
        assert!(report.converged() && report.iterations.abs_diff(count) <= 1, "{report}");
        assert_close(x.norm2(), 28.482_059_665_2, 1e-9);
        assert_close(report.relative_residual(), 0.891_351_1, 1e-6);
        // What the report says about the normal equations is so.
        let mut r = Vector::zeros(&rows);
        a.apply(&x, &mut r)?;
        r.axpby(1.0, &b, -1.0)?;
        let mut s = Vector::zeros(&columns);
        a.apply_adjoint(&r, &mut s)?;
        assert_eq!(Some(s.norm2()), report.normal_residual, "{report}");
        assert!(s.norm2() <= 1e-10 * 2.0 * r.norm2(), "{report}");
    }
    Ok(())
}

pub(crate) fn null_space_f(comm: &Comm) -> TestResult {
    let Neumann { layout, a, jacobi, .. } = neumann(comm)?;
    let constants = NullSpace::constants(&layout)?;
    let b = Vector::from_fn(&layout, slope);
    let solvers: [&dyn Solver<f64>; 5] = [
        &Cg::new().preconditioner(&jacobi).projection(&constants),
        &Minres::new().preconditioner(&jacobi).projection(&constants),
        &Gmres::new().restart(100).preconditioner(&jacobi).projection(&constants),
        &Gcr::new().restart(100).preconditioner(&jacobi).projection(&constants),
        &PipelinedCg::new().preconditioner(&jacobi).projection(&constants),
    ];
    for solver in solvers {
        let mut x = Vector::zeros(&layout);
        let report = solver.solve(&a, &b, &mut x)?;
        assert!(report.converged(), "{report}");
        assert!(report.iterations.abs_diff(79) <= 1, "{report}");
        assert_close(x.norm2(), 3.046_166_167_496e4, 1e-7);
        let mean = ones(&layout).dot(&x)? / 1024.0;
        assert!(mean.abs() < 1e-9, "{report}: the mean is {mean}");
    }
    Ok(())
}

/// Case C, and a tolerance below what rounding allows, with methods whose residuals drift: whatever
/// they say is what a residual computed here shows.
pub(crate) fn no_false_converged(comm: &Comm) -> TestResult {
    let (layout, a) = convection(comm, 64)?;
    let b = ones(&layout);
    let mut reasons = Vec::new();
    for rtol in [1e-8, 1e-12, 1e-14, 1e-15, 1e-17] {
        let solvers: [&dyn Solver<f64>; 3] = [
            &BiCgStab::new().rtol(rtol).max_iterations(1000),
            &Idr::new().rtol(rtol).max_iterations(1000),
            &Idr::new().shadow_dimension(1).rtol(rtol).max_iterations(1000),
        ];
        for solver in solvers {
            let mut x = Vector::zeros(&layout);
            let report = solver.solve(&a, &b, &mut x)?;
            audit(&report, &a, &b, &x)?;
            reasons.push(report.reason);
        }
    }
    assert_eq!(reasons[..3], [StopReason::Converged; 3], "{reasons:?}");
    assert!(reasons[12..].iter().all(|&reason| reason != StopReason::Converged), "{reasons:?}");
    Ok(())
}
