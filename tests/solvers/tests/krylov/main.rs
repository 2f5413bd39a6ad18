//! Conjugate gradients: iteration counts and norms of other programs, the same iterates on any
//! number of ranks, and an honest word about every way to stop.

mod stencil;
mod stopping;

use std::process::ExitCode;
use std::time::Duration;

use dolmen_core::random::Philox;
use dolmen_core::{Complex64, Diagonal, Layout, Real, Scalar, Vector};
use dolmen_solvers::{Cg, SolveReport, StopReason};
use dolmen_tests::{Checksums, Comm, TestResult, case, same_bits};

use stencil::{Neumann, Row, Stencil, assert_close, audit, grid, laplacian, neumann, ones, slope};

fn main() -> ExitCode {
    const SOME: &[usize] = &[1, 2, 3, 4];
    const MANY: &[usize] = &[1, 2, 3, 4, 7];
    dolmen_tests::main(&[
        case("poisson_in_two_dimensions", SOME, poisson_in_two_dimensions),
        case("iterations_grow_with_the_grid", &[2], iterations_grow_with_the_grid).deadline(Duration::from_secs(300)),
        case("poisson_in_three_dimensions", SOME, poisson_in_three_dimensions),
        case("neumann_with_a_projection", SOME, neumann_with_a_projection),
        case("neumann_without_symmetry", &[1, 3], neumann_without_symmetry),
        case("neumann_with_an_inconsistent_right_hand_side", &[1, 3], neumann_inconsistent),
        same_bits("iterates", MANY, iterates),
        case("complex_against_a_dense_solve", SOME, complex_against_a_dense_solve),
        case("single_precision", SOME, stopping::single_precision),
        case("tiny_single_precision", SOME, stopping::tiny_single_precision),
        case("zero_right_hand_side", &[1, 2], stopping::zero_right_hand_side),
        case("initial_guess", &[1, 2], stopping::initial_guess),
        case("indefinite_operator", SOME, stopping::indefinite_operator),
        case("indefinite_preconditioner", &[1, 2], stopping::indefinite_preconditioner),
        case("not_finite", SOME, stopping::not_finite),
        case("divergence_limit", &[1, 2], stopping::divergence_limit),
        case("tolerance_below_rounding", &[1, 2], stopping::tolerance_below_rounding),
        case("a_restart_recovers_lost_digits", &[1, 2], stopping::a_restart_recovers_lost_digits),
        case("one_vain_restart_is_not_stagnation", &[1, 2], stopping::one_vain_restart_is_not_stagnation),
        case("iteration_limit", &[1, 2], stopping::iteration_limit),
        case("fast_reductions", SOME, stopping::fast_reductions),
        case("mismatched_layouts", &[1, 2, 3], stopping::mismatched_layouts),
        case("bad_settings", &[1, 2], stopping::bad_settings),
        case("a_failing_operator", SOME, stopping::a_failing_operator),
    ])
}

// References: PETSc 3.18 with natural ordering and relative tolerance 1e-8.

fn poisson_in_two_dimensions(comm: &Comm) -> TestResult {
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

fn iterations_grow_with_the_grid(comm: &Comm) -> TestResult {
    for (n, expected) in [(64u64, 119usize), (128, 239), (256, 470)] {
        let (layout, a) = grid(comm, n)?;
        let mut x = Vector::zeros(&layout);
        let report = Cg::new().solve(&a, &ones(&layout), &mut x)?.require_converged()?;
        assert!(report.iterations.abs_diff(expected) <= 1, "{n}: {report}");
    }
    Ok(())
}

fn poisson_in_three_dimensions(comm: &Comm) -> TestResult {
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

fn neumann_with_a_projection(comm: &Comm) -> TestResult {
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
fn neumann_without_symmetry(comm: &Comm) -> TestResult {
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
fn neumann_inconsistent(comm: &Comm) -> TestResult {
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

fn digest<T: Scalar>(values: &[T]) -> u64 {
    T::parts(values).iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, value| {
        (hash ^ value.to_f64().to_bits()).wrapping_mul(0x100_0000_01b3).rotate_left(29)
    })
}

/// Solutions and histories, of real, projected and complex systems.
fn iterates(comm: &Comm) -> TestResult<Checksums> {
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

/// Gaussian elimination with partial pivoting.
fn dense_solve(mut a: Vec<Vec<Complex64>>, mut b: Vec<Complex64>) -> Vec<Complex64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].norm().total_cmp(&a[j][k].norm())).unwrap_or(k);
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            for j in k..n {
                let above = a[k][j];
                a[i][j] -= factor * above;
            }
            let above = b[k];
            b[i] -= factor * above;
        }
    }
    for k in (0..n).rev() {
        let known: Complex64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b
}

fn complex_against_a_dense_solve(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, ORDER);
    let a = Stencil::new(&layout, hermitian_row)?;
    let b = Vector::from_fn(&layout, entry_of_b);
    let dense = (0..ORDER).map(|row| hermitian_row(row).into_iter().map(|(_, value)| value).collect()).collect();
    let exact = dense_solve(dense, (0..ORDER).map(entry_of_b).collect());
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
