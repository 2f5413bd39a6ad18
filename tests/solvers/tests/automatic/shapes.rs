//! Matrices that lack rank in a way that can be seen beforehand: empty rows and columns, columns that
//! depend on each other.

use dolmen_core::{CsrMatrix, LinearOperator, Vector};
use dolmen_solvers::{Automatic, Method, Monitor, PreconditionerKind, Progress, Request, Solution};
use dolmen_tests::{Comm, TestResult};

use crate::choices::{attempts, matrix, right_hand_side, solve};

type Entries = Vec<(u64, u64, f64)>;

/// Convection and diffusion on a grid of `n` by `n`; by no wind the Laplacian.
fn grid(n: u64, wind: f64) -> Entries {
    let mut entries = Vec::new();
    for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let point = i * n + j;
        entries.push((point, point, 4.0));
        let west = (j > 0).then(|| (point, point - 1, -1.0 - wind));
        let east = (j + 1 < n).then(|| (point, point + 1, -1.0 + wind));
        let north = (i > 0).then(|| (point, point - n, -1.0));
        let south = (i + 1 < n).then(|| (point, point + n, -1.0));
        entries.extend([west, east, north, south].into_iter().flatten());
    }
    entries
}

/// 256 points of a grid of 31 by 31, scattered over it.
fn is_hole(point: u64) -> bool {
    (point * 7) % 961 < 256
}

/// The grid with holes, of which neither rows nor columns have entries.
fn with_holes(comm: &Comm, wind: f64) -> TestResult<CsrMatrix<f64>> {
    let entries = grid(31, wind).into_iter().filter(|(i, j, _)| !is_hole(*i) && !is_hole(*j)).collect();
    matrix(comm, [961, 961], entries)
}

fn first(solution: &Solution) -> &str {
    &solution.attempts[0].reason
}

/// The rest, without empty rows and columns, is solved by a method that fits it.
pub(crate) fn empty_rows_and_columns(comm: &Comm) -> TestResult {
    for (wind, expected) in [(0.3, "gmres+schwarz"), (0.0, "cg+ic")] {
        let a = with_holes(comm, wind)?;
        let b = right_hand_side(&a)?;
        let (solution, x) = solve(&a, &b, Automatic::new())?;
        assert!(solution.solved() && attempts(&solution) == [expected], "{solution:#?}");
        assert!(first(&solution).ends_with("; 256 rows and 256 columns of zeros are left out"), "{}", first(&solution));
        let iterations = solution.kept().outcome.clone()?.iterations;
        assert!(iterations < 200, "{iterations}");
        let error = |(point, x): (u64, &f64)| x - if is_hole(point) { 0.0 } else { 1.0 + 1.0 / (1.0 + point as f64) };
        let errors: Vec<f64> = (0..).zip(&x.gather_all()).map(error).collect();
        assert!(errors.iter().all(|error| error.abs() < 1e-5), "{errors:?}");
        // What the user names is made of what is left as well.
        let named = Automatic::new().solver(Method::BiCgStab).preconditioner(PreconditionerKind::Ilu);
        assert!(solve(&a, &b, named)?.0.solved());
    }
    // Rows 0 and 5 and columns 2 and 7 of the second difference: the others stand with each other in order.
    let kept = |(i, j, _): &(u64, u64, f64)| ![0, 5].contains(i) && ![2, 7].contains(j);
    let entries = (0..40).flat_map(|i| [(i, i, 4.0), (i, (i + 1) % 40, -1.5), (i, (i + 39) % 40, -1.0)]);
    let a = matrix(comm, [40, 40], entries.filter(kept).collect())?;
    let (solution, x) = solve(&a, &right_hand_side(&a)?, Automatic::new())?;
    assert!(solution.solved() && first(&solution).contains("; 2 rows and 2 columns of zeros"), "{solution:#?}");
    let x = x.gather_all();
    assert!(x[2] == 0.0 && x[7] == 0.0 && (x[20] - 1.0 - 1.0 / 21.0).abs() < 1e-5, "{x:?}");
    Ok(())
}

/// No `x` solves an empty row: the others are solved all the same, and it is said.
pub(crate) fn unsolvable_rows(comm: &Comm) -> TestResult {
    let a = with_holes(comm, 0.3)?;
    let mut b = right_hand_side(&a)?;
    let expected = solve(&a, &b, Automatic::new())?.1;
    b.set_entries(if comm.rank() == 0 { &[(0, 3.0), (10, -4.0)] } else { &[] })?;
    let (solution, x) = solve(&a, &b, Automatic::new())?;
    let kept = solution.kept();
    assert!(!solution.solved() && solution.attempts.len() == 1 && kept.unsolvable_rows == 2, "{solution:#?}");
    let summary = kept.summary();
    assert!(summary.contains("b is not zero in 2 rows where A is zero, so no x solves them"), "{summary}");
    assert!((kept.true_relative_residual * b.norm2() - 5.0).abs() < 1e-6, "{summary}");
    let mut difference = x;
    difference.axpy(-1.0, &expected)?;
    assert!(difference.norm_inf() < 1e-6);
    // Below the tolerance they do not matter.
    b.set_entries(if comm.rank() == 0 { &[(0, 3e-9), (10, -4e-9)] } else { &[] })?;
    assert!(solve(&a, &b, Automatic::new())?.0.solved());
    Ok(())
}

/// Keeps the snapshots of all iterations.
#[derive(Default)]
struct Keeper(Vec<dolmen_core::Snapshot<f64>>);

impl Monitor<f64> for Keeper {
    fn progress(&mut self, _: &Progress) -> Request {
        Request::Snapshot
    }

    fn snapshot(&mut self, snapshot: dolmen_core::Snapshot<f64>) -> dolmen_solvers::Result<()> {
        self.0.push(snapshot);
        Ok(())
    }
}

/// Snapshots have vectors as long as the system that was given, and lead to the same bits.
pub(crate) fn resumed(comm: &Comm) -> TestResult {
    let a = with_holes(comm, 0.0)?;
    let b = right_hand_side(&a)?;
    let mut keeper = Keeper::default();
    let mut expected = Vector::zeros(a.domain());
    Automatic::new().monitor(&mut keeper).solve(&a, &b, &mut expected)?;
    for snapshot in keeper.0.iter().step_by(7) {
        assert!(snapshot.vectors().all(|(_, vector)| vector.layout() == a.domain()));
        let mut x = Vector::zeros(a.domain());
        assert!(Automatic::new().resume(snapshot).solve(&a, &b, &mut x)?.solved());
        assert!(x.owned().iter().zip(expected.owned()).all(|(x, y)| x.to_bits() == y.to_bits()));
    }
    Ok(())
}

/// Columns that depend on each other: the shortest solution of least squares, not that of scaled columns.
pub(crate) fn dependent_columns(comm: &Comm) -> TestResult {
    // The third column is ten times the first.
    let row = |i: u64| {
        let slope = 1.0 + i as f64;
        [(i, 0, 1.0), (i, 1, slope), (i, 2, 10.0)]
    };
    let a = matrix(comm, [9, 3], (0..9).flat_map(row).collect())?;
    let b = Vector::from_fn(a.range(), |i| (i as f64).cos());
    let (solution, x) = solve(&a, &b, Automatic::new())?;
    assert!(solution.solved() && attempts(&solution) == ["lsmr+none"], "{solution:#?}");
    assert!(first(&solution).contains("depend on each other"), "{}", first(&solution));
    // The straight line of least squares, y = s + t (1 + i); s = x0 + 10 x2 with the shortest of them.
    let (mean, middle) = ((0..9).map(|i| f64::from(i).cos()).sum::<f64>() / 9.0, 5.0);
    let t = (0..9).map(|i| (f64::from(i) - 4.0) * f64::from(i).cos()).sum::<f64>() / 60.0;
    let s = mean - t * middle;
    for (x, expected) in x.gather_all().into_iter().zip([s / 101.0, t, 10.0 * s / 101.0]) {
        assert!((x - expected).abs() < 1e-6, "{x}, not {expected}");
    }
    let (scaled, _) =
        solve(&a, &b, Automatic::new().solver(Method::Lsmr).preconditioner(PreconditionerKind::ColumnScaling))?;
    assert!(first(&scaled).contains("shorter solutions may exist"), "{}", first(&scaled));
    let independent = matrix(comm, [9, 2], (0..9).flat_map(|i| [(i, 0, 1.0), (i, 1, 1.0 + i as f64)]).collect())?;
    let (solution, _) = solve(&independent, &b, Automatic::new())?;
    assert_eq!(attempts(&solution), ["lsmr+column-scaling"]);
    assert!(!first(&solution).contains("depend"), "{}", first(&solution));
    Ok(())
}

/// `|A^H r|` is small, and `|r|` is that of `b`: what is said of it tells what that proves.
pub(crate) fn small_gradient(comm: &Comm) -> TestResult {
    // diag(1, ..., 1, 1e-9) V with a reflection V, and a row of zeros below it.
    let v = |i: u64| if i == 7 { -1.0 } else { 0.5 };
    let size: f64 = (0..8).map(|i| v(i) * v(i)).sum();
    let reflection = |i: u64, j: u64| f64::from(u8::from(i == j)) - 2.0 * v(i) * v(j) / size;
    let scale = |i: u64| if i == 7 { 1e-9 } else { 1.0 };
    let row = |i: u64| (0..8).map(move |j| (i, j, scale(i) * reflection(i, j)));
    let below = (0..8).map(|j| (8, j, reflection(0, j)));
    let a = matrix(comm, [9, 8], (0..8).flat_map(row).chain(below).collect())?;
    let b = Vector::from_fn(a.range(), |i| if i == 7 { 1.0 } else { 0.0 });
    let (solution, _) = solve(&a, &b, Automatic::new())?;
    let summary = solution.kept().outcome.clone()?.outcome();
    assert!(solution.solved() && solution.kept().true_relative_residual > 0.9, "{summary}");
    assert!(summary.contains("an x that halves |b - Ax| is at least 5e8 away"), "{summary}");
    // A smaller tolerance sees the smallest singular value.
    let mut x = Vector::zeros(a.domain());
    Automatic::new().rtol(1e-13).solver(Method::Lsqr).preconditioner(PreconditionerKind::None).solve(&a, &b, &mut x)?;
    let mut r = Vector::zeros(a.range());
    a.apply(&x, &mut r)?;
    r.axpy(-1.0, &b)?;
    assert!(r.norm2() < 1e-5, "{}", r.norm2());
    Ok(())
}
