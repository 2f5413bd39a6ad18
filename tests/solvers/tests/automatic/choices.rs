//! Systems of each kind: what is chosen first, and what follows when that fails.

use dolmen_core::{CsrMatrix, Duplicates, Layout, LinearOperator, Scalar, Vector};
use dolmen_solvers::{
    Automatic, Error, Method, PreconditionerKind, PreconditionerSettings, Progress, Request, Solution, StopReason,
};
use dolmen_tests::{Comm, TestResult};

/// A matrix of entries (row, column, value), given on rank 0 only.
pub(crate) fn matrix<T: Scalar>(
    comm: &Comm,
    [rows, columns]: [u64; 2],
    entries: Vec<(u64, u64, T)>,
) -> TestResult<CsrMatrix<T>> {
    let range = Layout::uniform(comm, rows);
    let domain = if rows == columns { range.clone() } else { Layout::uniform(comm, columns) };
    let own = if comm.rank() == 0 { entries } else { Vec::new() };
    Ok(CsrMatrix::from_triplets(&range, &domain, own, Duplicates::Add)?)
}

/// A tridiagonal matrix of `n` rows.
pub(crate) fn tridiagonal<T: Scalar>(
    comm: &Comm,
    n: u64,
    lower: T,
    diagonal: impl Fn(u64) -> T,
    upper: T,
) -> TestResult<CsrMatrix<T>> {
    let mut entries: Vec<(u64, u64, T)> = (0..n).map(|i| (i, i, diagonal(i))).collect();
    entries.extend((1..n).map(|i| (i, i - 1, lower)));
    entries.extend((1..n).map(|i| (i - 1, i, upper)));
    matrix(comm, [n, n], entries)
}

fn real<T: Scalar>(value: f64) -> T {
    T::from_parts(value, 0.0)
}

fn rtol<T: Scalar>() -> f64 {
    if T::NAME.ends_with("32") { 1e-4 } else { 1e-8 }
}

/// Solves for a right-hand side, and checks by another product what is said of the residual.
pub(crate) fn solve<T: Scalar>(
    a: &CsrMatrix<T>,
    b: &Vector<T>,
    automatic: Automatic<'_, T>,
) -> TestResult<(Solution, Vector<T>)> {
    let mut x = Vector::zeros(a.domain());
    let solution = automatic.rtol(rtol::<T>()).solve(a, b, &mut x)?;
    let mut r = Vector::zeros(a.range());
    a.apply(&x, &mut r)?;
    r.axpy(-T::ONE, b)?;
    let relative = r.norm2() / b.norm2();
    assert_eq!(relative.to_bits(), solution.kept().true_relative_residual.to_bits(), "{solution:#?}");
    let is_square = a.range().global_len() == a.domain().global_len();
    assert!(!is_square || solution.solved() == (relative <= rtol::<T>()), "{relative}: {solution:#?}");
    Ok((solution, x))
}

/// The right-hand side of the solution `1 + 1 / (1 + i)`.
pub(crate) fn right_hand_side<T: Scalar>(a: &CsrMatrix<T>) -> TestResult<Vector<T>> {
    let x = Vector::from_fn(a.domain(), |row| real::<T>(1.0 + 1.0 / (1.0 + row as f64)));
    let mut b = Vector::zeros(a.range());
    a.apply(&x, &mut b)?;
    Ok(b)
}

pub(crate) fn attempts(solution: &Solution) -> Vec<String> {
    solution.attempts.iter().map(|attempt| format!("{}+{}", attempt.method, attempt.preconditioner)).collect()
}

/// Solves, and compares the attempts to those expected; the last has to succeed.
fn expect<T: Scalar>(a: &CsrMatrix<T>, expected: &[&str], reason: &str) -> TestResult<Solution> {
    let (solution, _) = solve(a, &right_hand_side(a)?, Automatic::new())?;
    assert_eq!(attempts(&solution), expected, "{solution:#?}");
    assert!(solution.solved(), "{solution:#?}");
    assert!(solution.attempts[0].reason.contains(reason), "{}", solution.attempts[0].reason);
    Ok(solution)
}

pub(crate) fn kinds<T: Scalar>(comm: &Comm) -> TestResult {
    let minus = real::<T>(-1.0);
    let definite = tridiagonal(comm, 40, minus, |_| real(2.5), minus)?;
    expect(&definite, &["cg+ic"], "diagonally dominant")?;
    let negative = tridiagonal(comm, 40, T::ONE, |_| real(-2.5), T::ONE)?;
    expect(&negative, &["cg+ic"], "CG solves -A x = -b")?;
    let indefinite = tridiagonal(comm, 40, minus, |_| real(0.5), minus)?;
    let solution = expect(&indefinite, &["cg+ic", "gmres+direct"], "may be positive definite")?;
    let first = solution.attempts[0].outcome.as_ref().map(|report| report.reason);
    assert_eq!(first, Ok(StopReason::IndefiniteOperator));
    let both_signs = tridiagonal(comm, 40, minus, |i| real(if i % 2 == 0 { 3.0 } else { -3.0 }), minus)?;
    expect(&both_signs, &["gmres+direct"], "20 positive, 20 negative")?;
    let general = tridiagonal(comm, 40, real(-1.5), |_| real(3.0), minus)?;
    expect(&general, &["gmres+schwarz"], "not symmetric")?;
    let without_diagonal = tridiagonal(comm, 40, real(-1.5), |i| real(if i < 2 { 0.0 } else { 3.0 }), minus)?;
    expect(&without_diagonal, &["gmres+direct"], "2 zeros on its diagonal")?;
    if T::COMPLEX {
        let i = T::from_parts(0.0, 1.0);
        let hermitian = tridiagonal(comm, 40, i, |_| real(2.5), -i)?;
        expect(&hermitian, &["cg+ic"], "A is Hermitian")?;
        let symmetric = tridiagonal(comm, 40, i, |_| real(2.5), i)?;
        expect(&symmetric, &["gmres+schwarz"], "complex symmetric")?;
    }
    Ok(())
}

/// A five-point matrix on a grid of `side` by `side` points.
fn five_points(
    comm: &Comm,
    side: u64,
    diagonal: impl Fn(u64, u64) -> f64,
    neighbor: f64,
) -> TestResult<CsrMatrix<f64>> {
    let layout = Layout::uniform(comm, side * side);
    Ok(CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        let (i, j) = (row % side, row / side);
        entries.push(row, diagonal(i, j));
        (i > 0).then(|| entries.push(row - 1, neighbor));
        (i + 1 < side).then(|| entries.push(row + 1, neighbor));
        (j > 0).then(|| entries.push(row - side, neighbor));
        (j + 1 < side).then(|| entries.push(row + side, neighbor));
    })?)
}

/// Large matrices of diffusion are solved by multigrid; what is simpler follows.
pub(crate) fn large(comm: &Comm) -> TestResult {
    let negative = five_points(comm, 1000, |_, _| -4.0, 1.0)?;
    let solution = expect(&negative, &["cg+multigrid"], "CG solves -A x = -b; it is large: multigrid")?;
    let iterations = solution.kept().outcome.as_ref().map(|report| report.iterations);
    assert!(iterations.as_ref().is_ok_and(|&iterations| iterations < 25), "{iterations:?}");
    // Indefinite, though nearly all rows are dominant: no hierarchy can be made, or CG sees it at once.
    let patch = |i: u64, j: u64| if i < 12 && j < 12 { 0.25 } else { 4.0 };
    let indefinite = five_points(comm, 1000, patch, -1.0)?;
    let (solution, _) = solve(&indefinite, &right_hand_side(&indefinite)?, Automatic::new().max_iterations(20))?;
    assert_eq!(attempts(&solution)[..2], ["cg+multigrid", "cg+ic"], "{solution:#?}");
    let first = solution.attempts[0].outcome.as_ref().map(|report| report.reason);
    assert!(first != Ok(StopReason::IterationLimit), "{first:?}");
    assert!(solution.attempts[1].reason.contains("multigrid has failed"), "{}", solution.attempts[1].reason);
    Ok(())
}

pub(crate) fn singular(comm: &Comm) -> TestResult {
    let ends = |i| if i == 0 || i == 29 { 1.0 } else { 2.0 };
    let neumann = tridiagonal(comm, 30, -1.0, ends, -1.0)?;
    expect(&neumann, &["cg+ic"], "constants are projected out")?;
    let (solution, _) = solve(&neumann, &Vector::from_fn(neumann.range(), |i| i as f64), Automatic::new())?;
    assert!(!solution.solved() && solution.attempts.len() == 1, "{solution:#?}");
    assert!(solution.kept().summary().contains("with constants projected out"), "{}", solution.kept().summary());
    // Rows 0 and 1 are the same, and the diagonal of row 1 is stored as a zero.
    let rows =
        vec![(0, 0, 1.0), (0, 2, 1.0), (1, 0, 1.0), (1, 1, 0.0), (1, 2, 1.0), (2, 0, 2.0), (2, 1, 1.0), (2, 2, 1.0)];
    let twice = matrix(comm, [3, 3], rows)?;
    let solution = expect(&twice, &["gmres+direct", "gmres+none"], "1 zeros on its diagonal")
        .or_else(|_| expect(&twice, &["gmres+direct", "gmres+none", "lsmr+none"], "1 zeros on its diagonal"))?;
    let refused = solution.attempts[0].summary();
    assert!(refused.contains("could not be made") && refused.contains("singular"), "{refused}");
    let zero_row = matrix(comm, [3, 3], vec![(0, 0, 2.0), (0, 1, 1.0), (1, 0, 1.0), (1, 1, 2.0)])?;
    expect(&zero_row, &["cg+ic"], "1 rows and 1 columns of zeros are left out")?;
    let zero = matrix(comm, [3, 3], vec![(1, 1, 0.0)])?;
    let (solution, x) = solve(&zero, &Vector::from_fn(zero.range(), |_| 1.0), Automatic::new())?;
    assert!(!solution.solved() && attempts(&solution) == ["lsmr+none"] && x.norm_inf() == 0.0, "{solution:#?}");
    Ok(())
}

pub(crate) fn rectangular(comm: &Comm) -> TestResult {
    let tall = matrix(comm, [3, 2], vec![(0, 0, 1.0), (1, 1, 100.0), (2, 0, 1.0), (2, 1, 100.0)])?;
    // The normal equations of the right-hand side (1, 0, 0) have the solution (2/3, -1/300).
    let (solution, x) =
        solve(&tall, &Vector::from_fn(tall.range(), |i| f64::from(u8::from(i == 0))), Automatic::new())?;
    assert_eq!(attempts(&solution), ["lsmr+column-scaling"]);
    let summary = solution.kept().summary();
    assert!(solution.solved() && summary.contains("|M*A*r| <= rtol |AM| |r|"), "{summary}");
    let x = x.gather_all();
    assert!((x[0] - 2.0 / 3.0).abs() < 1e-7 && (x[1] + 1.0 / 300.0).abs() < 1e-9, "{x:?}");
    // Columns that differ by more than the tolerance can tell: said where they are not scaled.
    let uneven = matrix(comm, [3, 2], vec![(0, 0, 1.0), (1, 1, 1e-10), (2, 0, 1.0), (2, 1, 1e-10)])?;
    let b = Vector::from_fn(uneven.range(), |i| 1.0 + i as f64);
    assert_eq!(solve(&uneven, &b, Automatic::new())?.0.warnings().len(), 1, "of the rows alone");
    let (unscaled, _) =
        solve(&uneven, &b, Automatic::new().solver(Method::Lsmr).preconditioner(PreconditionerKind::None))?;
    assert!(unscaled.warnings()[1].starts_with("the columns of A differ in size by 1e10"), "{:?}", unscaled.warnings());
    // The shortest of the solutions of x0 + 2 x1 = 5.
    let wide = matrix(comm, [1, 2], vec![(0, 0, 1.0), (0, 1, 2.0)])?;
    let (solution, x) = solve(&wide, &Vector::from_fn(wide.range(), |_| 5.0), Automatic::new())?;
    assert_eq!(attempts(&solution), ["lsmr+none"]);
    let x = x.gather_all();
    assert!((x[0] - 1.0).abs() < 1e-7 && (x[1] - 2.0).abs() < 1e-7, "{x:?}");
    // The same equation twice, with two right-hand sides: (1.5, 1.5) is as near as A x comes to (1, 2).
    let entries = (0..2).flat_map(|i| (0..3).map(move |j| (i, j, 1.0))).collect();
    let wide = matrix(comm, [2, 3], entries)?;
    let (solution, x) = solve(&wide, &Vector::from_fn(wide.range(), |i| 1.0 + i as f64), Automatic::new())?;
    assert!(!solution.solved() && solution.attempts.len() == 1, "{solution:#?}");
    let summary = solution.kept().summary();
    assert!(summary.contains("x minimizes |b - Ax|") && summary.contains("does not meet the tolerance"), "{summary}");
    assert!(x.gather_all().iter().all(|x| (x - 0.5).abs() < 1e-7), "{x:?}");
    Ok(())
}

/// A preconditioner of a kind; some have no parts by default.
fn example(kind: PreconditionerKind) -> PreconditionerSettings {
    match kind.into() {
        PreconditionerSettings::Additive(_) => PreconditionerSettings::Additive(vec![PreconditionerKind::Ic.into()]),
        PreconditionerSettings::Multiplicative(_) => PreconditionerSettings::Multiplicative(
            [PreconditionerKind::Jacobi, PreconditionerKind::Ssor].map(Into::into).into(),
        ),
        settings => settings,
    }
}

pub(crate) fn names(comm: &Comm) -> TestResult {
    let a = tridiagonal(comm, 40, -1.0, |_| 2.5, -1.0)?;
    let b = right_hand_side(&a)?;
    let preconditioners = || PreconditionerKind::ALL.iter().map(|&kind| example(kind));
    for &solver in Method::ALL {
        let (solution, _) = solve(&a, &b, Automatic::new().solver(solver))?;
        assert!(solution.solved(), "{solver}: {solution:#?}");
        assert_eq!((solution.attempts.len(), solution.kept().method), (1, solver.into()));
        for preconditioner in preconditioners() {
            let automatic = Automatic::new().solver(solver).preconditioner(preconditioner.clone());
            match solve(&a, &b, automatic) {
                Ok((solution, _)) => assert_eq!(solution.attempts.len(), 1, "{solver}+{preconditioner}"),
                Err(error) => assert!(error.to_string().contains("cannot take the preconditioner"), "{error}"),
            }
        }
    }
    for preconditioner in preconditioners() {
        let (solution, _) = solve(&a, &b, Automatic::new().preconditioner(preconditioner.clone()))?;
        assert!(solution.solved() && solution.kept().preconditioner == preconditioner, "{solution:#?}");
    }
    let (solution, _) = solve(&a, &b, Automatic::new().choice("direct".parse()?))?;
    let kept = solution.kept();
    assert!(solution.solved() && kept.method == Method::Gmres.into(), "{solution:#?}");
    assert_eq!(kept.preconditioner, PreconditionerKind::Direct.into());
    let tall = matrix(comm, [3, 2], vec![(0, 0, 1.0), (1, 1, 1.0)])?;
    let mut x = Vector::zeros(tall.domain());
    let refused = Automatic::new().solver(Method::Cg).solve(&tall, &Vector::zeros(tall.range()), &mut x);
    assert_eq!(refused.err(), Some(Error::NotSquare { method: "cg", rows: 3, columns: 2 }));
    Ok(())
}

pub(crate) fn not_finite(comm: &Comm) -> TestResult {
    let broken = tridiagonal(comm, 40, -1.0, |i| if i == 33 { f64::NAN } else { 2.5 }, -1.0)?;
    let mut x = Vector::zeros(broken.domain());
    let refused = Automatic::new().solve(&broken, &Vector::zeros(broken.range()), &mut x);
    assert!(matches!(refused, Err(Error::Unfit { row: 33, .. })), "{refused:?}");
    let a = tridiagonal(comm, 40, -1.0, |_| 2.5, -1.0)?;
    let b = Vector::from_fn(a.range(), |i| if i == 3 { f64::INFINITY } else { 1.0 });
    let solution = Automatic::new().solve(&a, &b, &mut x)?;
    assert!(!solution.solved() && solution.attempts.len() == 1, "{solution:#?}");
    Ok(())
}

pub(crate) fn watched(comm: &Comm) -> TestResult {
    let a = tridiagonal(comm, 40, -1.0, |_| 0.5, -1.0)?;
    let b = right_hand_side(&a)?;
    let mut starts = 0;
    let mut count = |progress: &Progress| starts += usize::from(progress.iteration == 0);
    solve(&a, &b, Automatic::new().monitor(&mut count))?;
    assert_eq!(starts, 2, "two attempts");
    let mut stop = |_: &Progress| Request::Stop;
    let (solution, _) = solve(&a, &b, Automatic::new().solver(Method::Minres).monitor(&mut stop))?;
    assert!(!solution.solved() && solution.attempts.len() == 1, "{solution:#?}");
    let few = Automatic::new().preconditioner(PreconditionerKind::None).solver(Method::Gmres).max_iterations(3);
    let (solution, _) = solve(&a, &b, few)?;
    let report = solution.kept().outcome.clone()?;
    assert_eq!((report.reason, report.iterations), (StopReason::IterationLimit, 3));
    Ok(())
}
