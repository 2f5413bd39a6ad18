//! Matrices that no preconditioner can be made of: the same error on all ranks, naming the row.

use dolmen_core::{Complex64, CsrMatrix, FnOperator, Layout, LinearOperator, Reduction, Scalar, Scaled, Vector};
use dolmen_solvers::{
    AdditiveSchwarz, BlockJacobi, ChebyshevPolynomial, Cholesky, Defect, Direct, Error, Ic, Ilu, Ilut, Jacobi, Ldlt,
    LocalSolver, Lu, PointBlockJacobi, PreconditionerSettings, Result, Schwarz, Sor, Sweep, estimate_spectrum,
};
use dolmen_tests::{Comm, TestResult};

use crate::dense::{Dense, filled};
use crate::distributed::{layout, matrix};

const N: usize = 19;
/// On the last rank that has rows, unless there is only one.
const ROW: usize = 18;

/// All ranks fail alike, with a message that contains all parts.
fn fails<V>(comm: &Comm, result: Result<V>, parts: &[&str]) -> TestResult {
    let message = result.err().ok_or_else(|| format!("no error that says {parts:?}"))?.to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "'{message}' does not say {parts:?}");
    let all = comm.gather(0, message.as_bytes());
    let same = all.is_none_or(|all| all.iter().all(|other| *other == all[0]));
    Ok(comm.agree(if same { Ok(()) } else { Err("the ranks say different things") })?)
}

/// The second difference with another entry at one place.
fn with(row: usize, column: usize, value: f64) -> Dense<f64> {
    filled(N, |i, j| match (i, j) {
        place if place == (row, column) => value,
        _ if i == j => 2.0,
        _ if i.abs_diff(j) == 1 => -1.0,
        _ => 0.0,
    })
}

fn block_jacobi<S: LocalSolver<f64>>(
    comm: &Comm,
    dense: &Dense<f64>,
    make: impl FnOnce(&dolmen_core::SerialCsr<f64>) -> Result<S>,
) -> TestResult<Result<BlockJacobi<S>>> {
    Ok(BlockJacobi::new(&matrix(&layout(comm)?, dense)?, make))
}

/// The row and the defect are fields of the error on every rank, whichever rank owns the row.
pub(crate) fn rows_are_fields(comm: &Comm) -> TestResult {
    let unfit = |error: Option<Error>, wanted: Defect| {
        let error = error.ok_or("no error")?;
        let found = matches!(error.cause(), Error::Unfit { row: 18, defect, .. } if *defect == wanted);
        if found { TestResult::Ok(()) } else { Err(format!("{error:?}").into()) }
    };
    let missing = with(ROW, ROW, 0.0);
    unfit(block_jacobi(comm, &missing, Ic::new)?.err(), Defect::MissingDiagonal)?;
    unfit(Jacobi::new(&matrix(&layout(comm)?, &missing)?).err(), Defect::ZeroDiagonal)?;
    let tiny = with(ROW, ROW, 1e-310);
    unfit(Jacobi::new(&matrix(&layout(comm)?, &tiny)?).err(), Defect::TinyDiagonal)?;
    unfit(block_jacobi(comm, &tiny, |a| Sor::new(a, Sweep::Symmetric, 1.0, 1))?.err(), Defect::TinyDiagonal)?;
    let made =
        "schwarz(2, ilu(1))".parse::<PreconditionerSettings>()?.make(&matrix(&layout(comm)?, &missing)?).map(drop);
    unfit(made.err(), Defect::MissingDiagonal)?;
    let setting = block_jacobi(comm, &with(0, 0, 2.0), |a| Ilut::new(a, -1.0, 3))?.err().ok_or("no error")?;
    assert!(
        matches!(setting.cause(), Error::Setting { method: "ILUT", setting: "drop", value: -1.0, .. }),
        "{setting:?}"
    );
    Ok(())
}

pub(crate) fn rows_are_named(comm: &Comm) -> TestResult {
    let row = "row 18 ";
    let missing = with(ROW, ROW, 0.0);
    let lacks = [row, "no entry on the diagonal"];
    fails(comm, block_jacobi(comm, &missing, |a| Ilu::new(a, 0))?, &lacks)?;
    fails(comm, block_jacobi(comm, &missing, |a| Ilu::new(a, 2))?, &lacks)?;
    fails(comm, block_jacobi(comm, &missing, Ic::new)?, &lacks)?;
    fails(comm, block_jacobi(comm, &missing, |a| Sor::new(a, Sweep::Symmetric, 1.0, 1))?, &lacks)?;
    fails(comm, Jacobi::new(&matrix(&layout(comm)?, &missing)?), &[row, "zero on the diagonal"])?;
    let infinite = with(ROW, ROW - 1, f64::INFINITY);
    let nan = [row, "NaN or infinite"];
    fails(comm, block_jacobi(comm, &infinite, |a| Ilut::new(a, 0.0, 9))?, &nan)?;
    fails(comm, Direct::factor(&matrix(&layout(comm)?, &infinite)?), &nan)?;
    let diagonal = with(ROW, ROW, f64::NAN);
    fails(comm, Jacobi::new(&matrix(&layout(comm)?, &diagonal)?), &nan)?;
    fails(comm, PointBlockJacobi::new(&matrix(&layout(comm)?, &diagonal)?, 1), &nan)?;
    fails(comm, PointBlockJacobi::new(&matrix(&layout(comm)?, &missing)?, 1), &[row, "pivot of zero"])?;
    let negative = with(ROW, ROW, -3.0);
    let indefinite = [row, "not positive"];
    fails(comm, block_jacobi(comm, &negative, Ic::new)?, &indefinite)?;
    fails(comm, block_jacobi(comm, &negative, Cholesky::new)?, &indefinite)?;
    let a = matrix(&layout(comm)?, &negative)?;
    fails(comm, AdditiveSchwarz::new(&a, 1, Schwarz::Symmetric, Ic::new), &["not positive"])
}

pub(crate) fn singular_matrices(comm: &Comm) -> TestResult {
    // Pivots 2, 3/2, 4/3, ..., 18/17 and then 1 - 17/18 is left; the last diagonal takes it away.
    let canceling = with(ROW, ROW, 18.0 / 19.0);
    if comm.size() == 1 {
        fails(comm, block_jacobi(comm, &canceling, |a| Ilu::new(a, 0))?, &["row 18 ", "pivot of zero"])?;
        fails(comm, block_jacobi(comm, &canceling, |a| Ilut::new(a, 0.0, 9))?, &["row 18 ", "pivot of zero"])?;
    }
    let a = matrix(&layout(comm)?, &canceling)?;
    fails(comm, Direct::factor(&a), &["LU", "singular to working precision"])?;
    let mut zero = with(0, 0, 2.0);
    zero[ROW].fill(0.0);
    let a = matrix(&layout(comm)?, &zero)?;
    fails(comm, Direct::factor(&a), &["row 18 is zero"])?;
    fails(comm, Direct::factor_with(&a, Ldlt::new), &["row 18 is zero"])?;
    // No pivot without exchanging rows.
    let swap = filled(N, |i, j| if i + j + 1 == N { 1.0 } else { 0.0 });
    let a = matrix(&layout(comm)?, &swap)?;
    assert!(Direct::factor_with(&a, Ldlt::new).is_err());
    assert!(Direct::factor_with(&a, Lu::new).is_ok());
    Ok(())
}

pub(crate) fn shapes_and_patterns(comm: &Comm) -> TestResult {
    let rows = layout(comm)?;
    let columns = Layout::uniform(comm, 7);
    let tall = CsrMatrix::<f64>::from_rows(&rows, &columns, |row, entries| entries.push(row % 7, 1.0))?;
    let square = ["19 rows and 7 columns", "square"];
    fails(comm, BlockJacobi::new(&tall, Ic::new), &square)?;
    fails(comm, Direct::factor(&tall), &square)?;
    fails(comm, AdditiveSchwarz::new(&tall, 1, Schwarz::Restricted, Lu::new), &square)?;
    fails(comm, PointBlockJacobi::new(&tall, 1), &square)?;
    for (order, expected) in [(0, ["order is 0", "one or more"]), (2, ["a multiple of", "2"])] {
        fails(comm, PointBlockJacobi::new(&matrix(&rows, &with(0, 0, 2.0))?, order), &expected)?;
    }
    let shell = FnOperator::new(&rows, &rows, |x: &Vector<f64>, y: &mut Vector<f64>| y.copy_from(x));
    fails(comm, Jacobi::new(&shell), &["does not know its diagonal"])?;
    fails(comm, ChebyshevPolynomial::new(shell, 2), &["does not know its diagonal"])?;
    // Entries at new places.
    let a = matrix(&rows, &with(0, 0, 2.0))?;
    let wider = matrix(&rows, &with(2, 0, 1.0))?;
    let outside = ["row 2 ", "outside of the pattern"];
    fails(comm, BlockJacobi::new(&a, |block| Ilu::new(block, 0))?.refill(&wider), &outside)?;
    fails(comm, BlockJacobi::new(&a, Ic::new)?.refill(&wider), &outside)?;
    fails(comm, Direct::factor(&a)?.refill(&wider), &outside)?;
    let other = Layout::on_one_rank(comm, 19, comm.size() - 1)?;
    if comm.size() > 1 {
        let elsewhere = matrix(&other, &with(0, 0, 2.0))?;
        fails(comm, BlockJacobi::new(&a, Ic::new)?.refill(&elsewhere), &["different layouts"])?;
    }
    Ok(())
}

pub(crate) fn settings(comm: &Comm) -> TestResult {
    let dense = with(0, 0, 2.0);
    let a = matrix(&layout(comm)?, &dense)?;
    for omega in [0.0, 2.0, f64::NAN] {
        fails(comm, block_jacobi(comm, &dense, |a| Sor::new(a, Sweep::Forward, omega, 1))?, &["SOR", "omega"])?;
    }
    fails(comm, block_jacobi(comm, &dense, |a| Sor::new(a, Sweep::Forward, 1.0, 0))?, &["sweeps is 0"])?;
    fails(comm, block_jacobi(comm, &dense, |a| Ilut::new(a, -1.0, 5))?, &["drop is -1"])?;
    fails(comm, ChebyshevPolynomial::new(&a, 0), &["degree is 0"])?;
    fails(comm, ChebyshevPolynomial::on_interval(&a, 2, [3.0, 1.0]), &["lower end of the interval is 3"])?;
    Ok(())
}

/// The second difference with another diagonal, and another factor on one side.
fn tridiagonal<T: Scalar>(diagonal: f64, below: T) -> Dense<T> {
    filled(N, |i, j| match (i, j) {
        (i, j) if i == j => T::from_parts(diagonal, 0.0),
        (i, j) if i == j + 1 => below,
        (i, j) if i + 1 == j => -T::ONE,
        _ => T::ZERO,
    })
}

fn estimate<T: Scalar>(a: &CsrMatrix<T>, m: Option<&dyn LinearOperator<T>>, steps: usize) -> Result<[f64; 2]> {
    estimate_spectrum(a, m, steps, Reduction::Reproducible)
}

pub(crate) fn spectra(comm: &Comm) -> TestResult {
    let rows = layout(comm)?;
    let with_diagonal = |diagonal| matrix(&rows, &tridiagonal(diagonal, -1.0));
    let (definite, indefinite) = (with_diagonal(2.0)?, with_diagonal(1.0)?);
    let [low, high] = estimate(&definite, None, N)?;
    let exact = |k: f64| 2.0 - 2.0 * (std::f64::consts::PI * k / 20.0).cos();
    assert!((low - exact(1.0)).abs() < 1e-12 && (high - exact(19.0)).abs() < 1e-12, "{low}, {high}");
    fails(comm, estimate(&definite, None, 0), &["steps is 0", "one or more"])?;
    // The signs of its eigenvalues are no reason to doubt an operator, complex or real.
    let [low, high] = estimate(&indefinite, None, N)?;
    assert!((low - exact(1.0) + 1.0).abs() < 1e-12 && (high - exact(19.0) + 1.0).abs() < 1e-12, "{low}, {high}");
    let rotated = filled(N, |i, j| {
        tridiagonal::<f64>(1.0, -1.0)[i][j]
            * [Complex64::ONE, Complex64::I, -Complex64::ONE, -Complex64::I][(4 * N + i - j) % 4]
    });
    let [low, _] = estimate(&matrix(&rows, &rotated)?, None, N)?;
    assert!((low - exact(1.0) + 1.0).abs() < 1e-12, "{low}");
    assert!(ChebyshevPolynomial::new(&indefinite, 2)?.interval()[1] > 2.5);

    let general = matrix(&rows, &tridiagonal(0.1, 1.0))?;
    fails(comm, estimate(&general, None, 5), &["spectrum estimate", "operator is not Hermitian"])?;
    fails(comm, ChebyshevPolynomial::new(&general, 2), &["Chebyshev polynomial", "operator is not Hermitian"])?;
    fails(comm, estimate(&definite, Some(&Scaled::new(-1.0, &definite)), 5), &["preconditioner is not positive"])?;
    let turning = matrix(&rows, &tridiagonal(-0.1, 1.0))?;
    fails(comm, estimate(&definite, Some(&turning), 5), &["preconditioner is not Hermitian"])?;
    let infinite = matrix(&rows, &with(ROW, ROW - 1, f64::INFINITY))?;
    fails(comm, estimate(&infinite, None, 5), &["NaN or infinity"])?;
    fails(comm, ChebyshevPolynomial::new(&infinite, 2), &["Chebyshev polynomial", "NaN or infinity"])?;
    let empty = CsrMatrix::<f64>::from_rows(&Layout::uniform(comm, 0), &Layout::uniform(comm, 0), |_, _| ())?;
    fails(comm, estimate(&empty, None, 5), &["no rows"])?;
    let none = FnOperator::new(&rows, &rows, |_: &Vector<f64>, y: &mut Vector<f64>| {
        y.fill(0.0);
        Ok(())
    });
    fails(comm, estimate(&definite, Some(&none), 5), &["leave nothing of a vector"])?;
    let negative = matrix(&rows, &with(ROW, ROW, -2.0))?;
    fails(comm, ChebyshevPolynomial::new(&negative, 2), &["Chebyshev polynomial", "row 18 ", "not positive"])
}
