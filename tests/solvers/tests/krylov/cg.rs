//! Conjugate gradients: iteration counts and norms of other programs, and the same iterates on any
//! number of ranks.

use dolmen_core::random::Philox;
use dolmen_core::{Complex64, Diagonal, Layout, Real, Scalar, Vector};
use dolmen_solvers::{Cg, SolveReport, StopReason};
use dolmen_tests::{Checksums, Comm, TestResult, oracle};

use crate::stencil::{Neumann, Row, Stencil, assert_close, audit, grid, laplacian, neumann, ones, slope};

// References: PETSc 3.18 with natural ordering and relative tolerance 1e-8.

pub(crate) fn poisson_in_two_dimensions(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 64)?;
    let b = ones(&layout);
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().solve(&a, &b, &mut x)?;
    audit(&report, &a, &b, &x)?;
    assert!(report.converged());
    assert!(report.iterations.abs_diff(119) <= 1, "{report}");
    assert_eq!(report.rhs_norm, 64.0);
    assert_close(x.norm2(), 1.132_920_918_415_83e4, 1e-8);
    // One application for each iteration, one for the first residual, one to check the last.
    assert_eq!(report.applications, report.iterations + 2);
    Ok(())
}

pub(crate) fn iterations_grow_with_the_grid(comm: &Comm) -> TestResult {
    for (n, expected) in [(64u64, 119usize), (128, 239), (256, 470)] {
        let (layout, a) = grid(comm, n)?;
        let mut x = Vector::zeros(&layout);
        let report = Cg::new().solve(&a, &ones(&layout), &mut x)?.require_converged()?;
        assert!(report.iterations.abs_diff(expected) <= 1, "{n}: {report}");
    }
    Ok(())
}

pub(crate) fn poisson_in_three_dimensions(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 32 * 32 * 32);
    let a = Stencil::new(&layout, |i| laplacian(i, &[32; 3], 6.0))?;
    let b = ones(&layout);
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().solve(&a, &b, &mut x)?;
    audit(&report, &a, &b, &x)?;
    assert!(report.converged());
    assert!(report.iterations.abs_diff(79) <= 1, "{report}");
    assert_close(x.norm2(), 5.150_403_696_385_3e3, 1e-8);
    Ok(())
}

pub(crate) fn neumann_with_a_projection(comm: &Comm) -> TestResult {
    let Neumann { layout, a, jacobi, projection } = neumann(comm)?;
    let b = Vector::from_fn(&layout, slope);
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().preconditioner(&jacobi).projection(&projection).solve(&a, &b, &mut x)?;
    assert!(report.converged());
    assert!(report.iterations.abs_diff(79) <= 1, "{report}");
    assert_close(x.norm2(), 3.046_166_167_496e4, 1e-8);
    let mean = ones(&layout).dot(&x)? / 1024.0;
    assert!(mean.abs() < 1e-10, "the mean is {mean}");
    // A constant in the guess stays, and changes nothing else.
    let mut y = Vector::from_fn(&layout, |_| 1000.0);
    Cg::new().preconditioner(&jacobi).projection(&projection).solve(&a, &b, &mut y)?.require_converged()?;
    let mean = ones(&layout).dot(&y)? / 1024.0;
    assert!((mean - 1000.0).abs() < 1e-9, "the mean is {mean}");
    y.axpy(-1.0, &x)?;
    assert_close(y.norm2(), 32_000.0, 1e-8);
    Ok(())
}

/// Without symmetry the preconditioner leads out of the vectors of mean zero, and only the
/// projection of what it gives leads back.
pub(crate) fn neumann_without_symmetry(comm: &Comm) -> TestResult {
    let Neumann { layout, a, jacobi, projection } = neumann(comm)?;
    let b = Vector::from_fn(&layout, |i| if i == 0 { 1.0 } else { -1.0 / 1023.0 });
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().preconditioner(&jacobi).projection(&projection).solve(&a, &b, &mut x)?;
    assert!(report.converged(), "{report}");
    let mean = ones(&layout).dot(&x)? / 1024.0;
    assert!(mean.abs() < 1e-14 * x.norm_inf(), "the mean is {mean}");
    Ok(())
}

/// A constant in the right-hand side has no solution; what is solved is the rest.
pub(crate) fn neumann_inconsistent(comm: &Comm) -> TestResult {
    let Neumann { layout, a, jacobi, projection } = neumann(comm)?;
    let b = Vector::from_fn(&layout, |i| slope(i) + 1e6);
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().preconditioner(&jacobi).projection(&projection).solve(&a, &b, &mut x)?;
    assert!(report.converged(), "{report}");
    assert_close(report.rhs_norm, Vector::from_fn(&layout, slope).norm2(), 1e-9);
    assert_close(x.norm2(), 3.046_166_167_496e4, 1e-8);
    let constant = ones(&layout);
    let report = Cg::new().projection(&projection).solve(&a, &constant, &mut x)?;
    assert_eq!((report.reason, report.iterations, x.norm2()), (StopReason::Converged, 0, 0.0));
    Ok(())
}

pub(crate) fn digest<T: Scalar>(values: &[T]) -> u64 {
    T::parts(values).iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, value| {
        (hash ^ value.to_f64().to_bits()).wrapping_mul(0x100_0000_01b3).rotate_left(29)
    })
}

/// Solutions and histories, of real, projected and complex systems.
pub(crate) fn iterates(comm: &Comm) -> TestResult<Checksums> {
    let mut checksums = Checksums::new();
    let mut note = |name: &str, x: u64, report: &SolveReport| {
        checksums.push((format!("{name}: solution"), x));
        checksums.push((format!("{name}: history"), digest(&report.history)));
        checksums.push((format!("{name}: true residual"), report.true_residual.to_bits()));
        checksums.push((format!("{name}: iterations"), report.iterations as u64));
    };
    let random = Philox::new(5);
    let (layout, a) = grid(comm, 37)?;
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |i| 0.2 + 0.1 * random.uniform(1, i)));
    let b = Vector::from_fn(&layout, |i| random.normal(0, i));
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().preconditioner(&jacobi).solve(&a, &b, &mut x)?.require_converged()?;
    note("real", x.gather(0)?.map_or(0, |x| digest(&x)), &report);

    let Neumann { layout, a, jacobi, projection } = neumann(comm)?;
    let b = Vector::from_fn(&layout, |i| random.normal(2, i));
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().preconditioner(&jacobi).projection(&projection).solve(&a, &b, &mut x)?;
    note("projected", x.gather(0)?.map_or(0, |x| digest(&x)), &report);

    let layout = Layout::uniform(comm, ORDER);
    let a = Stencil::new(&layout, hermitian_row)?;
    let b = Vector::from_fn(&layout, entry_of_b);
    let mut x = Vector::zeros(&layout);
    let report = Cg::new().rtol(1e-12).solve(&a, &b, &mut x)?;
    note("complex", x.gather(0)?.map_or(0, |x| digest(&x)), &report);
    Ok(checksums)
}

const ORDER: u64 = 23;

fn entry_of_b(row: u64) -> Complex64 {
    Complex64::new(1.0 + row as f64, if row % 2 == 1 { -2.0 } else { 0.5 })
}

/// `G* G + I` for a random complex `G`: Hermitian positive definite.
fn hermitian_row(row: u64) -> Row<Complex64> {
    let random = Philox::new(9);
    let g = |i: u64, j: u64| Complex64::new(random.normal(i, 2 * j), random.normal(i, 2 * j + 1));
    let entry = |column: u64| {
        let product: Complex64 = (0..ORDER).map(|k| g(k, row).conj() * g(k, column)).sum();
        if row == column { product + 1.0 } else { product }
    };
    (0..ORDER).map(|column| (column, entry(column))).collect()
}

pub(crate) fn complex_against_a_dense_solve(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, ORDER);
    let a = Stencil::new(&layout, hermitian_row)?;
    let b = Vector::from_fn(&layout, entry_of_b);
    let dense = (0..ORDER).map(|row| hermitian_row(row).into_iter().map(|(_, value)| value).collect()).collect();
    let exact = oracle::solve(dense, (0..ORDER).map(entry_of_b).collect());
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |i| {
        Complex64::ONE / hermitian_row(i)[usize::try_from(i).expect("a small test")].1
    }));
    for preconditioned in [false, true] {
        let mut x = Vector::zeros(&layout);
        let mut cg = Cg::new().rtol(1e-12);
        if preconditioned {
            cg = cg.preconditioner(&jacobi);
        }
        let report = cg.solve(&a, &b, &mut x)?;
        audit(&report, &a, &b, &x)?;
        assert!(report.converged(), "{report}");
        let start = layout.range().start;
        for (i, value) in (start..).zip(x.owned()) {
            let exact = exact[usize::try_from(i)?];
            assert!((value - exact).norm() < 1e-9 * exact.norm().max(1.0), "row {i}: {value}, not {exact}");
        }
    }
    Ok(())
}
