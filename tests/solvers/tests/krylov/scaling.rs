//! Systems times powers of two: every method makes the same iterations, and all numbers are those of the unscaled
//! system times a power of two, to the bit.

use dolmen_core::{
    AdjointOperator, CsrMatrix, Diagonal, FnOperator, Layout, LinearOperator, MultiVector, Real, Scalar, Snapshot,
    Vector,
};
use dolmen_solvers::{
    BlockCg, Cg, Chebyshev, Error, Gmres, Jacobi, Lsmr, Method, Minres, Monitor, Norm, PipelinedCg, Progress, Request,
    Result, Richardson, Settings, SolveReport, Solver, estimate_spectrum,
};
use dolmen_tests::{Comm, TestResult};

use crate::references::matrix;
use crate::stencil::ones;
use crate::table::{Kind, entry, layout, rhs, scalar, tolerance};

const ORDER: u64 = 23;
const TALL: u64 = 31;

/// Powers of two of `A` and of `b`: even ones, for which square roots are scaled exactly too.
fn scales<T: Scalar>() -> Vec<[i32; 2]> {
    match T::Real::EPSILON.to_f64() == f64::EPSILON {
        true => vec![[-560, 0], [560, 0], [0, -560], [0, 560], [-560, -560], [560, 560], [-202, 300], [62, -402]],
        false => vec![[-60, 0], [60, 0], [0, -60], [0, 60], [-60, -60], [60, 60], [-30, 34], [22, -38]],
    }
}

/// `2^power value`.
fn times(value: f64, power: i32) -> f64 {
    let half = power / 2;
    value * f64::from(half).exp2() * f64::from(power - half).exp2()
}

fn scaled<T: Scalar>(vector: &Vector<T>, power: i32) -> Vector<T> {
    let mut entries = vector.owned().iter();
    Vector::from_fn(vector.layout(), |_| {
        let entry = entries.next().expect("as many entries");
        T::from_parts(times(entry.re().to_f64(), power), times(entry.im().to_f64(), power))
    })
}

/// The matrix of the table times a power of two.
fn table<T: Scalar>(rows: &Layout, columns: &Layout, kind: Kind, power: i32) -> TestResult<CsrMatrix<T>> {
    let (columns_global, number) = (columns.global_len(), |value: T, power| {
        T::from_parts(times(value.re().to_f64(), power), times(value.im().to_f64(), power))
    });
    matrix::<T>(rows, columns, |i| (0..columns_global).map(|j| (j, number(scalar(entry(kind, i, j)), power))).collect())
}

/// The same matrix without stored entries: that of ordinary size, and then the power.
fn shell<T: Scalar>(a: &CsrMatrix<T>, power: i32) -> impl AdjointOperator<T> + '_ {
    let forward = move |x: &Vector<T>, y: &mut Vector<T>| {
        a.apply(x, y)?;
        let product = scaled(y, power);
        y.copy_from(&product)
    };
    let backward = move |x: &Vector<T>, y: &mut Vector<T>| {
        a.apply_adjoint(x, y)?;
        let product = scaled(y, power);
        y.copy_from(&product)
    };
    FnOperator::new(a.domain(), a.range(), forward).with_adjoint(backward)
}

/// A solve and what came of it.
type Solved<T> = (SolveReport, Vector<T>);

/// The scaled solve is the other one times powers of two: of residuals in the norm of the test, of true ones, of `x`.
fn assert_scaled<T: Scalar>(what: &str, one: &Solved<T>, other: &Solved<T>, powers: [i32; 3]) {
    let ((report, x), (scaled_report, scaled_x)) = (one, other);
    let [residual, true_residual, solution] = powers;
    let counts =
        |report: &SolveReport| (report.reason, report.iterations, report.applications, report.preconditionings);
    assert_eq!(counts(report), counts(scaled_report), "{what}: {report}\n{scaled_report}");
    let history: Vec<f64> = report.history.iter().map(|&norm| times(norm, residual)).collect();
    assert_eq!(history, scaled_report.history, "{what}");
    assert_eq!(times(report.target, residual), scaled_report.target, "{what}");
    assert_eq!(times(report.true_residual, true_residual), scaled_report.true_residual, "{what}");
    assert_eq!(times(report.rhs_norm, true_residual), scaled_report.rhs_norm, "{what}");
    assert_eq!(scaled(x, solution).owned(), scaled_x.owned(), "{what}");
}

/// Solves with a method that has settings in the units of the system.
fn square_solve<T: Scalar>(
    name: Method,
    settings: Settings<'_, T>,
    power: i32,
    a: &dyn LinearOperator<T>,
    b: &Vector<T>,
    guess: &Vector<T>,
) -> TestResult<Solved<T>> {
    let mut x = guess.clone();
    let report = match name {
        Method::Richardson => Richardson::from(settings).damping(times(1.0, power)).solve(a, b, &mut x)?,
        _ => name.solver(settings)?.solve(a, b, &mut x)?,
    };
    Ok((report, x))
}

fn relative<'a, T: Scalar>() -> Settings<'a, T> {
    Settings::new().rtol(tolerance::<T>())
}

/// All methods for square systems, with and without Jacobi's preconditioner, stored and not.
pub(crate) fn square<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    let a = table::<T>(&layout, &layout, Kind::Definite, 0)?;
    let b = Vector::from_fn(&layout, |i| scalar::<T>(rhs(i)));
    let inverse = Vector::from_fn(&layout, |i| T::from_parts(1.0 / entry(Kind::Definite, i, i).re, 0.0));
    let jacobi = Diagonal::new(inverse.clone());
    let guesses = [Vector::zeros(&layout), Vector::from_fn(&layout, |i| T::from_parts((i % 2) as f64, 0.0))];
    for (number, &name) in Method::SQUARE.iter().enumerate() {
        let guess = &guesses[number % 2];
        let plain = square_solve(name, relative(), 0, &a, &b, guess)?;
        let preconditioned = square_solve(name, relative().preconditioner(&jacobi), 0, &a, &b, guess)?;
        assert!(plain.0.converged() && preconditioned.0.converged(), "{}\n{}", plain.0, preconditioned.0);
        for [of_a, of_b] in scales::<T>() {
            let what = format!("{name}, {}, A * 2^{of_a}, b * 2^{of_b}", T::NAME);
            let (b, guess) = (scaled(&b, of_b), scaled(guess, of_b - of_a));
            let powers = [of_b, of_b, of_b - of_a];
            let operator = shell(&a, of_a);
            let found = square_solve(name, relative(), -of_a, &operator, &b, &guess)?;
            assert_scaled(&what, &plain, &found, powers);
            let stored = table::<T>(&layout, &layout, Kind::Definite, of_a)?;
            let m = Diagonal::new(scaled(&inverse, -of_a));
            let found = square_solve(name, relative().preconditioner(&m), 0, &stored, &b, &guess)?;
            assert_scaled(&format!("{what}, Jacobi"), &preconditioned, &found, powers);
        }
    }
    Ok(())
}

fn least_squares_solve<T: Scalar>(
    name: Method,
    m: Option<&dyn AdjointOperator<T>>,
    a: &dyn AdjointOperator<T>,
    b: &Vector<T>,
    mut x: Vector<T>,
) -> TestResult<Solved<T>> {
    let solver = name.least_squares(relative(), m)?;
    let report = solver.solve(a, b, &mut x)?;
    Ok((report, x))
}

/// All methods of least squares, with and without a preconditioner, stored and not.
pub(crate) fn least_squares<T: Scalar>(comm: &Comm) -> TestResult {
    let (rows, columns) = (layout(comm, TALL)?, layout(comm, ORDER)?);
    let a = table::<T>(&rows, &columns, Kind::General, 0)?;
    let b = Vector::from_fn(&rows, |i| scalar::<T>(rhs(i)));
    let weights = Vector::from_fn(&columns, |j| T::from_parts(1.0 / (1.0 + (j % 4) as f64), 0.3));
    let scaling = Diagonal::new(weights.clone());
    let guesses = [Vector::zeros(&columns), Vector::from_fn(&columns, |i| T::from_parts((i % 2) as f64, 0.0))];
    for (number, &name) in Method::LEAST_SQUARES.iter().enumerate() {
        let solve = |m: Option<&dyn AdjointOperator<T>>, a: &dyn AdjointOperator<T>, b: &Vector<T>, x: Vector<T>| {
            least_squares_solve(name, m, a, b, x)
        };
        let guess = &guesses[number % 2];
        let plain = solve(None, &a, &b, guess.clone())?;
        let preconditioned = solve(Some(&scaling), &a, &b, guess.clone())?;
        assert!(plain.0.converged() && preconditioned.0.converged(), "{}\n{}", plain.0, preconditioned.0);
        assert!(plain.0.relative_residual() > 0.01, "a residual is to be left: {}", plain.0);
        for [of_a, of_b] in scales::<T>() {
            let what = format!("{name}, {}, A * 2^{of_a}, b * 2^{of_b}", T::NAME);
            let (b, guess) = (scaled(&b, of_b), scaled(guess, of_b - of_a));
            let powers = [of_b, of_b, of_b - of_a];
            let check_normal = |one: &Solved<T>, other: &Solved<T>, power: i32| {
                let [one, other] = [one, other].map(|solved| solved.0.normal_residual.unwrap_or(f64::NAN));
                assert_eq!(times(one, power), other, "{what}");
            };
            let found = solve(None, &shell(&a, of_a), &b, guess.clone())?;
            assert_scaled(&what, &plain, &found, powers);
            check_normal(&plain, &found, of_a + of_b);
            let stored = table::<T>(&rows, &columns, Kind::General, of_a)?;
            let m = Diagonal::new(scaled(&weights, -of_a));
            let found = solve(Some(&m), &stored, &b, guess.clone())?;
            assert_scaled(&format!("{what}, preconditioned"), &preconditioned, &found, powers);
            check_normal(&preconditioned, &found, of_b);
        }
    }
    Ok(())
}

/// A block whose columns have powers of their own.
pub(crate) fn blocks<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    let a = table::<T>(&layout, &layout, Kind::Definite, 0)?;
    let columns: Vec<Vector<T>> =
        (0..3).map(|j| Vector::from_fn(&layout, |i| scalar::<T>(rhs(i * (j + 1) % 7)))).collect();
    let guess = Vector::from_fn(&layout, |i| T::from_parts((i % 2) as f64, 0.0));
    let solve = |a: &CsrMatrix<T>, of_a: i32, of_b: [i32; 3], preconditioned: bool| -> TestResult<Vec<Solved<T>>> {
        let b: Vec<_> = columns.iter().zip(of_b).map(|(column, power)| scaled(column, power)).collect();
        let b = MultiVector::from_vectors(&layout, &b.iter().collect::<Vec<_>>())?;
        let guesses: Vec<_> = of_b.iter().map(|power| scaled(&guess, power - of_a)).collect();
        let mut x = MultiVector::from_vectors(&layout, &guesses.iter().collect::<Vec<_>>())?;
        let inverse = Vector::from_fn(&layout, |i| T::from_parts(1.0 / entry(Kind::Definite, i, i).re, 0.0));
        let jacobi = Diagonal::new(scaled(&inverse, -of_a));
        let solver = BlockCg::new().rtol(tolerance::<T>());
        let solver = if preconditioned { solver.preconditioner(&jacobi) } else { solver };
        let reports = solver.solve(a, &b, &mut x)?;
        let mut solved = Vec::new();
        for (j, report) in reports.into_iter().enumerate() {
            let mut column = Vector::zeros(&layout);
            x.copy_column_to(j, &mut column)?;
            solved.push((report, column));
        }
        Ok(solved)
    };
    for preconditioned in [false, true] {
        let plain = solve(&a, 0, [0; 3], preconditioned)?;
        assert!(plain.iter().all(|(report, _)| report.converged()), "{}", plain[0].0);
        for [of_a, of_b] in scales::<T>() {
            let stored = table::<T>(&layout, &layout, Kind::Definite, of_a)?;
            let of_b = [of_b, of_b / 2, 0];
            let found = solve(&stored, of_a, of_b, preconditioned)?;
            for ((one, other), power) in plain.iter().zip(&found).zip(of_b) {
                let what = format!("block CG, {}, A * 2^{of_a}, b * 2^{power}", T::NAME);
                assert_scaled(&what, one, other, [power, power, power - of_a]);
            }
        }
    }
    Ok(())
}

/// Residuals in other norms have the units of these norms.
pub(crate) fn norms(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    let solve = |of_a: i32, of_b: i32| -> TestResult<Vec<(Norm, Solved<f64>)>> {
        let a = table::<f64>(&layout, &layout, Kind::Definite, of_a)?;
        let m = Jacobi::new(&a)?;
        let b = Vector::from_fn(&layout, |i| times(rhs(i).re, of_b));
        let mut found = Vec::new();
        for norm in [Norm::Preconditioned, Norm::Natural] {
            let settings = || Settings::new().norm(norm).preconditioner(&m);
            let bounds = [0.5, 2.0];
            let solvers: [&dyn Solver<f64>; 4] = [
                &Cg::from(settings()),
                &PipelinedCg::from(settings()),
                &Richardson::from(settings()),
                &Chebyshev::from(settings()).bounds(bounds[0], bounds[1]),
            ];
            let minres = Minres::from(settings());
            let fits: &[&dyn Solver<f64>] = if norm == Norm::Preconditioned { &[] } else { &[&minres] };
            for solver in solvers.iter().chain(fits) {
                let mut x = Vector::zeros(&layout);
                let report = solver.solve(&a, &b, &mut x)?;
                assert!(report.converged(), "{report}");
                found.push((norm, (report, x)));
            }
        }
        Ok(found)
    };
    let plain = solve(0, 0)?;
    for [of_a, of_b] in scales::<f64>() {
        for ((norm, one), (_, other)) in plain.iter().zip(solve(of_a, of_b)?) {
            let residual = of_b - if *norm == Norm::Natural { of_a / 2 } else { of_a };
            assert_scaled(&format!("{norm:?}"), one, &other, [residual, of_b, of_b - of_a]);
        }
    }
    Ok(())
}

/// Settings that have the units of the system, and parts of a preconditioner that undo each other's size.
pub(crate) fn settings(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    let b = ones(&layout);
    let solve = |of_a: i32, of_b: i32| -> TestResult<Vec<Solved<f64>>> {
        let a = table::<f64>(&layout, &layout, Kind::Definite, of_a)?;
        let b = scaled(&b, of_b);
        let [left, right] = [of_b - of_a, -of_b].map(|power| Diagonal::new(scaled(&ones(&layout), power)));
        let atol = || Settings::new().rtol(0.0).atol(times(1e-6, of_b));
        let solvers: [&dyn Solver<f64>; 4] = [
            &Cg::from(atol()),
            &Gmres::from(atol()).restart(5),
            &Chebyshev::from(atol()).bounds(times(0.5, of_a), times(2.0, of_a)),
            &Gmres::from(atol().preconditioner(&left)).split(&right),
        ];
        let mut found = Vec::new();
        for solver in solvers {
            let mut x = Vector::zeros(&layout);
            let report = solver.solve(&a, &b, &mut x)?;
            assert!(report.converged(), "{report}");
            found.push((report, x));
        }
        Ok(found)
    };
    let plain = solve(0, 0)?;
    for [of_a, of_b] in scales::<f64>() {
        for (one, other) in plain.iter().zip(solve(of_a, of_b)?) {
            assert_scaled("settings", one, &other, [of_b, of_b, of_b - of_a]);
        }
    }
    // So have estimates of a spectrum.
    let reduction = dolmen_core::Reduction::Reproducible;
    let plain = estimate_spectrum(&table::<f64>(&layout, &layout, Kind::Definite, 0)?, None, 10, reduction)?;
    for power in [-560, 560] {
        let a = table::<f64>(&layout, &layout, Kind::Definite, power)?;
        assert_eq!(estimate_spectrum(&a, None, 10, reduction)?, plain.map(|end| times(end, power)));
    }
    Ok(())
}

/// Keeps what a monitor is told, and snapshots.
#[derive(Default)]
struct Keeper<T> {
    told: Vec<[f64; 2]>,
    snapshots: Vec<Snapshot<T>>,
}

impl<T: Scalar> Monitor<T> for Keeper<T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        self.told.push([progress.residual, progress.target]);
        Request::Continue
    }

    fn snapshot(&mut self, snapshot: Snapshot<T>) -> Result<()> {
        self.snapshots.push(snapshot);
        Ok(())
    }
}

/// Monitors and snapshots have the user's units; a solve that goes on from one has the same bits.
pub(crate) fn monitors(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    for [of_a, of_b] in [[-560, -560], [560, 560], [560, 0], [0, -560]] {
        let a = table::<f64>(&layout, &layout, Kind::Definite, of_a)?;
        let m = Jacobi::new(&a)?;
        let b = Vector::from_fn(&layout, |i| times(rhs(i).re, of_b));
        for &name in Method::SQUARE {
            let guess = |size: f64| Vector::from_fn(&layout, |_| times(size, of_b - of_a));
            let mut keeper = Keeper::default();
            let watched = relative().preconditioner(&m).snapshot_every(3).monitor(&mut keeper);
            let (report, x) = square_solve(name, watched, 0, &a, &b, &guess(0.0))?;
            let expected: Vec<_> = report.history.iter().map(|&residual| [residual, report.target]).collect();
            assert_eq!(keeper.told, expected, "{name}");
            for (snapshot, number) in keeper.snapshots.iter().zip(1..) {
                assert_eq!(snapshot.reals("history"), Some(&report.history[..=3 * number]), "{name}");
                let size = snapshot.vector("x").ok_or("no x")?.norm_inf();
                assert!(size < 1e3 * x.norm_inf(), "{name}: {size:e} in the snapshot, {:e} at the end", x.norm_inf());
                let settings = relative().preconditioner(&m).resume(snapshot);
                let (resumed, y) = square_solve(name, settings, 0, &a, &b, &guess(3.0))?;
                assert_eq!(resumed.history, report.history, "{name}");
                assert_eq!((resumed.reason, resumed.true_residual), (report.reason, report.true_residual), "{name}");
                assert_eq!(x.owned(), y.owned(), "{name}");
            }
        }
    }
    Ok(())
}

/// The same for blocks.
pub(crate) fn block_monitors(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    let a = table::<f64>(&layout, &layout, Kind::Definite, 300)?;
    let b = MultiVector::from_fn(&layout, 2, |i, j| times(rhs(i + j as u64).re, [-400, 0][j]));
    let mut keeper = Keeper::default();
    let mut x = MultiVector::zeros(&layout, 2);
    let reports = BlockCg::new().snapshot_every(2).monitor(&mut keeper).solve(&a, &b, &mut x)?;
    assert!(keeper.snapshots.len() > 2 && reports.iter().all(SolveReport::converged), "{reports:?}");
    for snapshot in &keeper.snapshots {
        let mut y = MultiVector::from_fn(&layout, 2, |_, _| 7.0);
        let resumed = BlockCg::new().resume(snapshot).solve(&a, &b, &mut y)?;
        for (one, other) in reports.iter().zip(resumed) {
            assert_eq!((&one.history, one.true_residual), (&other.history, other.true_residual));
        }
        assert_eq!(x.owned(), y.owned());
    }
    Ok(())
}

/// The size of the operator beside that of the right-hand side does not end Lanczos' process.
pub(crate) fn small_operators(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    let a = table::<f64>(&layout, &layout, Kind::Indefinite, 0)?;
    let b = Vector::from_fn(&layout, |i| rhs(i).re);
    for name in [Method::Minres, Method::Symmlq] {
        let solve = |power: i32| square_solve(name, relative(), 0, &shell(&a, power), &b, &Vector::zeros(&layout));
        let plain = solve(0)?;
        assert!(plain.0.converged(), "{}", plain.0);
        for power in [-58, -50, 50, 58] {
            assert_scaled(name.name(), &plain, &solve(power)?, [0, 0, -power]);
        }
    }
    Ok(())
}

/// Small systems whose solutions are known.
pub(crate) fn by_hand(comm: &Comm) -> TestResult {
    let close = |x: &Vector<f64>, expected: [f64; 2], what: &str| {
        for (value, row) in x.owned().iter().zip(x.range()) {
            let expected = expected[usize::try_from(row).expect("two rows")];
            assert!((value / expected - 1.0).abs() < 1e-7, "{what}: {value:e}, not {expected:e}");
        }
    };
    let two = Layout::uniform(comm, 2);
    let at = |row: u64, values: [f64; 2]| values[usize::try_from(row).expect("two rows")];
    let triangle = |size: f64| {
        matrix(&two, &two, |i| if i == 0 { vec![(0, 2.0 * size), (1, size)] } else { vec![(1, 3.0 * size)] })
    };
    for (of_a, of_b, solution) in [
        (1.0, 1e-170, 1e-170),
        (1.0, 1e200, 1e200),
        (1e170, 1e-100, 1e-270),
        (1e-300, 1e-300, 1.0),
        (1e300, 1e308, 1e8),
    ] {
        let (a, b) = (triangle(of_a)?, Vector::from_fn(&two, |i| at(i, [0.4 * of_b, 0.6 * of_b])));
        for name in [Method::Gmres, Method::Fgmres, Method::Gcr, Method::BiCgStab, Method::Idr] {
            let mut x = Vector::zeros(&two);
            let report = name.solver(Settings::new())?.solve(&a, &b, &mut x)?;
            assert!(report.converged(), "A * {of_a}, b * {of_b}: {report}");
            close(&x, [0.1 * solution, 0.2 * solution], name.name());
        }
    }
    // Sums of a row overflow, products with the solution do not.
    let huge = matrix(&two, &two, |i| vec![(0, 1e308), (1, if i == 0 { 1e308 } else { -1e308 })])?;
    let b = Vector::from_fn(&two, |i| at(i, [1e308, 0.5e308]));
    let one = Layout::from_local_len(comm, usize::from(comm.rank() + 1 == comm.size()))?;
    for name in [Method::Minres, Method::Gmres, Method::Fgmres, Method::Gcr, Method::BiCgStab, Method::Idr] {
        let mut x = Vector::zeros(&two);
        let report = name.solver(Settings::new())?.solve(&huge, &b, &mut x)?;
        assert!(report.converged(), "{report}");
        close(&x, [0.75, 0.25], name.name());
    }
    // Least squares: (1 + 2) / 2, at any size.
    for (of_a, of_b) in
        [(1e-170, 1e-170), (1e-60, 1e-60), (1e-17, 1e-17), (1e150, 1e150), (1e300, 1e300), (1e-300, 1e-300)]
    {
        let a = matrix(&two, &one, |_| vec![(0, of_a)])?;
        let b = Vector::from_fn(&two, |i| at(i, [of_b, 2.0 * of_b]));
        for &name in Method::LEAST_SQUARES {
            let solver = name.least_squares(Settings::new(), None)?;
            let mut x = Vector::zeros(&one);
            let report = solver.solve(&a, &b, &mut x)?;
            assert!(report.converged(), "A * {of_a}: {report}");
            assert!((report.relative_residual() - 0.1f64.sqrt()).abs() < 1e-7, "{report}");
            close(&x, [1.5; 2], name.name());
        }
    }
    Ok(())
}

/// A result that no number of the type can hold is one error on all ranks.
pub(crate) fn out_of_range(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    let a = table::<f64>(&layout, &layout, Kind::Definite, 0)?;
    let b = ones(&layout);
    let refused = |of_a: i32, of_b: i32, text: &str| -> TestResult {
        for &name in Method::SQUARE {
            let (a, b) = (shell(&a, of_a), scaled(&b, of_b));
            let solved = square_solve(name, Settings::new(), -of_a, &a, &b, &Vector::zeros(&layout));
            let error = solved.err().ok_or("solved")?.to_string();
            assert!(error.contains(text), "{name}: {error}");
            let all = comm.all_gather(error.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte)));
            assert!(all.iter().all(|&other| other == all[0]), "{error}");
        }
        Ok(())
    };
    refused(-560, 560, "the largest entry of the solution is about 2^11")?;
    refused(560, -560, "the largest entry of the solution is about 2^-11")?;
    let mut x = Vector::zeros(&layout);
    let norm = Lsmr::new().solve(&a, &scaled(&b, 1023), &mut x);
    let what = "the norm of the right-hand side";
    assert_eq!(norm, Err(Error::OutOfRange { method: "LSMR", what, exponent: 1024, scalar: "f64" }));
    Ok(())
}
