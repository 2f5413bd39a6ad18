//! Multigrid against the dense definition of its cycle, its hierarchy on several numbers of ranks, and the problems that
//! it is for.

use dolmen_core::dense::HermitianEigen;
use dolmen_core::ndarray::Array2;
use dolmen_core::{AdjointOperator, CsrMatrix, Gid, Layout, LinearOperator, Real, Reduction, Scalar, Vector};
use dolmen_solvers::{
    Cg, ChebyshevPolynomial, Cycle, Defect, Error, LevelFault, Minres, Multigrid, MultigridSettings, NullSpace,
    PointBlockJacobi, SolveReport, estimate_spectrum,
};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::dense::{Dense, adjoint, assert_same, combined, filled, identity, inverse, of_operator, times};
use crate::distributed::{layout, matrix};

/// Conductivities between the points of a grid of equal sides: `-value` for each neighbor, and on the diagonal their sum,
/// with those of the points beyond the edge if there are values at the edge.
struct Grid<F> {
    sides: u32,
    side: u64,
    edge: bool,
    conductivity: F,
}

impl<F: Fn(u32, [u64; 3]) -> f64> Grid<F> {
    /// Of the direction and the place of the lower of two neighbors.
    fn matrix<T: Scalar>(&self, comm: &Comm) -> TestResult<CsrMatrix<T>> {
        let rows = Layout::uniform(comm, self.side.pow(self.sides));
        Ok(CsrMatrix::from_rows(&rows, &rows, |row, entries| {
            let mut sum = 0.0;
            for k in 0..self.sides {
                let stride = self.side.pow(k);
                let place = [0, 1, 2].map(|k| row / self.side.pow(k) % self.side);
                let mut lower = place;
                lower[k as usize] = lower[k as usize].saturating_sub(1);
                for (inside, lower, other) in [
                    (row / stride % self.side > 0, lower, row.wrapping_sub(stride)),
                    (row / stride % self.side + 1 < self.side, place, row + stride),
                ] {
                    let value = (self.conductivity)(k, lower);
                    if inside {
                        entries.push(other, T::from_parts(-value, 0.0));
                    }
                    sum += if inside || self.edge { value } else { 0.0 };
                }
            }
            entries.push(row, T::from_parts(sum, 0.0));
        })?)
    }
}

pub(crate) fn laplacian<T: Scalar>(comm: &Comm, sides: u32, side: u64) -> TestResult<CsrMatrix<T>> {
    Grid { sides, side, edge: true, conductivity: |_, _| 1.0 }.matrix(comm)
}

fn solved<T: Scalar>(a: &CsrMatrix<T>, m: &Multigrid<T>) -> TestResult<(Vector<T>, SolveReport)> {
    let b = Vector::from_fn(a.range(), |row| T::from_parts(1.0 + (row % 7) as f64 / 8.0, 0.0));
    let mut x = Vector::zeros(a.domain());
    let rtol = T::Real::EPSILON.to_f64().sqrt();
    let report = Cg::new().rtol(rtol).preconditioner(m).solve(a, &b, &mut x)?;
    Ok((x, report))
}

/// The polynomial of degree two that is smallest on the upper part of the spectrum: what it leaves of an error.
fn left_by_smoother<T: Scalar>(a: &Dense<T>) -> Dense<T> {
    let n = a.len();
    let scaled = filled(n, |i, j| a[i][j] / a[i][i]);
    let row = |i: usize| scaled[i].iter().map(|value| value.abs().to_f64()).sum::<f64>();
    let high = (0..n).map(row).fold(0.0, f64::max);
    assert!(high <= 2.0 + 1e-6, "not the bound that the smoother takes");
    let (theta, delta) = (7.0 / 12.0 * high, 5.0 / 12.0 * high);
    let z = combined(theta / delta, &identity(n), -1.0 / delta, &scaled);
    let value = |z: f64| 2.0 * z * z - 1.0;
    combined(2.0 / value(theta / delta), &times(&z, &z), -1.0 / value(theta / delta), &identity(n))
}

/// A ring with chords of several conductivities, and values that are held at one end.
fn network<T: Scalar>() -> Dense<T> {
    const N: usize = 19;
    let link = |i: usize, j: usize| match (i + N - j) % N {
        1 => 1.0 + (j % 3) as f64,
        5 => 0.5,
        _ => 0.0,
    };
    let conductivity = |i: usize, j: usize| link(i, j) + link(j, i);
    filled(N, |i, j| {
        let all: f64 = (0..N).filter(|&k| k != i).map(|k| conductivity(i, k)).sum();
        T::from_parts(if i == j { all + if i < 3 { 2.0 } else { 0.0 } } else { -conductivity(i, j) }, 0.0)
    })
}

pub(crate) fn whole<T: Scalar>(a: &CsrMatrix<T>) -> TestResult<Dense<T>> {
    Ok(a.gather_all()?.to_dense().outer_iter().map(|row| row.to_vec()).collect())
}

/// Two levels, with the definition of each: Galerkin product, smoothing, correction.
pub(crate) fn two_levels<T: Scalar>(comm: &Comm) -> TestResult {
    let dense = network::<T>();
    let a = matrix(&layout(comm)?, &dense)?;
    let settings = MultigridSettings { levels: 2, coarsest: 18, ..Default::default() };
    let m = Multigrid::with_settings(&a, settings)?;
    assert_eq!(m.levels(), 2, "{m}");
    let (Some(p), Some(coarse)) = (m.prolongator(0), m.matrix(1)) else { panic!("{m}") };
    let (p, coarse) = (whole(p)?, whole(coarse)?);
    assert_same("Galerkin product", &coarse, &times(&times(&adjoint(&p), &dense), &p));
    let inner = (3..19).filter(|&i| (0..3).all(|j| dense[i][j] == T::ZERO));
    for i in inner {
        let sum = p[i].iter().fold(T::ZERO, |sum, &value| sum + value);
        assert!((sum - T::ONE).abs().to_f64() < 1e-5, "the prolongator does not keep constants in row {i}: {sum:?}");
    }
    let correction = times(&times(&p, &inverse(&coarse)), &times(&adjoint(&p), &dense));
    let smoothed = left_by_smoother(&dense);
    let n = dense.len();
    let left = times(&times(&smoothed, &combined(1.0, &identity(n), -1.0, &correction)), &smoothed);
    let expected = times(&combined(1.0, &identity(n), -1.0, &left), &inverse(&dense));
    assert_same("cycle", &of_operator(&m, |x, y| m.apply(x, y))?, &expected);
    assert_same("adjoint", &of_operator(&m, |x, y| m.apply_adjoint(x, y))?, &adjoint(&expected));
    Ok(())
}

pub(crate) fn digest<T: Scalar>(comm: &Comm, entries: impl Iterator<Item = (Gid, Gid, T)>) -> u64 {
    let words = |(row, column, value): (Gid, Gid, T)| {
        [row, column, value.re().to_f64().to_bits(), value.im().to_f64().to_bits()]
    };
    let mix = |word: u64, next: u64| (word ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let mut sum = [entries.map(|entry| words(entry).into_iter().fold(1, mix) >> 24).sum::<u64>()];
    comm.all_reduce_sum(&mut sum);
    sum[0]
}

/// Rows, columns and values of this rank.
pub(crate) fn entries<T: Scalar>(a: &CsrMatrix<T>) -> impl Iterator<Item = (Gid, Gid, T)> {
    a.rows().flat_map(|row| row.entries().map(move |(column, value)| (row.index(), column, value)))
}

/// The hierarchy and the solution to the bit.
pub(crate) fn hierarchies<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let a = Grid {
        sides: 3,
        side: 14,
        edge: true,
        conductivity: |k, place: [u64; 3]| 1.0 + ((place[0] * 7 + place[1] * 3 + u64::from(k)) % 5) as f64,
    }
    .matrix::<T>(comm)?;
    let m = Multigrid::with_settings(&a, MultigridSettings { coarsest: 20, ..Default::default() })?;
    assert!(m.levels() > 2, "{m}");
    let mut checksums = Vec::new();
    for level in 0..m.levels() {
        let matrices = [m.matrix(level), m.prolongator(level)].into_iter().flatten();
        for (number, matrix) in matrices.enumerate() {
            checksums.push((format!("level {level}, matrix {number}"), digest(comm, entries(matrix))));
        }
    }
    let (x, report) = solved(&a, &m)?;
    assert!(report.converged(), "{report}");
    checksums.push(("iterations".to_owned(), report.iterations as u64));
    let values = x.layout().owned_rows().zip(x.owned()).map(|(row, &value)| (row, 0, value));
    checksums.push(("solution".to_owned(), digest(comm, values)));
    Ok(checksums)
}

fn iterations(a: &CsrMatrix<f64>) -> TestResult<usize> {
    let m = Multigrid::new(a)?;
    let report = solved(a, &m)?.1;
    assert!(report.converged(), "{report}\n{m}");
    Ok(report.iterations)
}

/// As many iterations on any size; anisotropy and jumps cost little more.
pub(crate) fn flat(comm: &Comm) -> TestResult {
    let counts: Vec<usize> = [(2, 32), (2, 64), (2, 128), (3, 16), (3, 24)]
        .iter()
        .map(|&(sides, side)| iterations(&laplacian(comm, sides, side)?))
        .collect::<TestResult<_>>()?;
    assert!(counts.iter().all(|&count| count <= 14), "{counts:?}");
    assert!(counts[2] <= counts[1] + 2 && counts[4] <= counts[3] + 2, "{counts:?}");
    let anisotropic = Grid { sides: 3, side: 16, edge: true, conductivity: |k, _| if k == 0 { 1.0 } else { 1e-3 } };
    let jumping = |_, place: [u64; 3]| if place.iter().map(|at| at / 4).sum::<u64>() % 2 == 0 { 1.0 } else { 1e6 };
    let jumping = Grid { sides: 3, side: 16, edge: true, conductivity: jumping };
    let counts = [iterations(&anisotropic.matrix(comm)?)?, iterations(&jumping.matrix(comm)?)?];
    assert!(counts.iter().all(|&count| count <= 13), "{counts:?}");
    Ok(())
}

/// Without values at the edge the matrix is singular on every level.
pub(crate) fn singular(comm: &Comm) -> TestResult {
    let a = Grid { sides: 2, side: 24, edge: false, conductivity: |_, _| 1.0 }.matrix::<f64>(comm)?;
    let m = Multigrid::with_settings(&a, MultigridSettings { coarsest: 10, ..Default::default() })?;
    let b = Vector::from_fn(a.range(), |row| if row < 288 { 1.0 } else { -1.0 });
    let mut x = Vector::zeros(a.domain());
    let null = NullSpace::constants(a.range())?;
    let report = Cg::new().rtol(1e-8).projection(&null).preconditioner(&m).solve(&a, &b, &mut x)?;
    assert!(report.converged() && report.iterations <= 15, "{report}\n{m}");
    assert!(x.norm2() < 1e5, "{}", x.norm2());
    Ok(())
}

/// Separate parts of a plane without values at their edges: `count` squares with `side` points a side, and conductivities
/// whose sums are rounded.
fn squares<T: Scalar>(comm: &Comm, side: u64, count: u64) -> TestResult<CsrMatrix<T>> {
    let rows = Layout::uniform(comm, side * side * count);
    Ok(CsrMatrix::from_rows(&rows, &rows, |row, entries| {
        let place = [row % side, row / side % side];
        let mut sum = 0.0;
        for (k, stride) in [1, side].into_iter().enumerate() {
            let neighbors = [(place[k] > 0, row.wrapping_sub(stride)), (place[k] + 1 < side, row + stride)];
            for (_, other) in neighbors.into_iter().filter(|(inside, _)| *inside) {
                let value = 0.1 + 0.1 * (row.min(other) % 7) as f64;
                entries.push(other, T::from_parts(-value, 0.0));
                sum += value;
            }
        }
        entries.push(row, T::from_parts(sum, 0.0));
    })?)
}

/// Many separate singular parts: whole levels are zero to rounding, whether they are inverted or only smoothed.
pub(crate) fn singular_parts(comm: &Comm) -> TestResult {
    for (side, count, coarsest) in [(2, 90, 20), (5, 40, 20), (5, 40, 200), (9, 12, 4), (9, 12, 200), (14, 6, 200)] {
        let a = squares::<f64>(comm, side, count)?;
        let m = Multigrid::with_settings(&a, MultigridSettings { coarsest, ..Default::default() })?;
        let mut b = Vector::zeros(a.range());
        a.apply(&Vector::from_fn(a.domain(), |row| (row % 11) as f64), &mut b)?;
        let mut x = Vector::zeros(a.domain());
        let cg = Cg::new().rtol(1e-8).preconditioner(&m).solve(&a, &b, &mut x)?;
        let mut x = Vector::zeros(a.domain());
        let minres = Minres::new().rtol(1e-8).preconditioner(&m).solve(&a, &b, &mut x)?;
        for report in [cg, minres] {
            let place = format!("{count} squares of {side}, at most {coarsest} rows");
            assert!(report.converged() && report.iterations <= 16, "{place}: {report}\n{m}");
        }
    }
    Ok(())
}

/// The cycle of a singular matrix is positive definite, and no larger than the inverse of a matrix with values at its edge.
pub(crate) fn definite<T: Scalar>(comm: &Comm) -> TestResult {
    let grid = Grid { sides: 2, side: 10, edge: false, conductivity: |k, _| 0.1 + 0.2 * f64::from(k) };
    let matrices = [(grid.matrix::<T>(comm)?, [1, 10, 200]), (squares(comm, 4, 8)?, [1, 10, 200])];
    for (a, coarsest) in matrices.iter().flat_map(|(a, limits)| limits.map(|limit| (a, limit))) {
        let m = Multigrid::with_settings(a, MultigridSettings { coarsest, ..Default::default() })?;
        let dense = of_operator(&m, |x, y| m.apply(x, y))?;
        let n = dense.len();
        let hermitian = Array2::from_shape_fn((n, n), |(i, j)| dense[i.max(j)][i.min(j)]);
        let values: Vec<f64> =
            HermitianEigen::factor(hermitian.view())?.values().iter().map(|value| value.to_f64()).collect();
        assert!(values[0] > 0.0 && values[n - 1] < 1e3, "{} to {}\n{m}", values[0], values[n - 1]);
    }
    Ok(())
}

/// A matrix that is held at one point, weakly, is positive definite, also in single precision.
pub(crate) fn weakly_held<T: Scalar>(comm: &Comm) -> TestResult {
    for side in [13, 30] {
        let mut a = Grid { sides: 2, side, edge: false, conductivity: |_, _| 1.0 }.matrix::<T>(comm)?;
        let owns = a.range().global_to_owned(0).is_some();
        a.set(owns.then_some((0, 0, T::from_parts(2.01, 0.0))))?;
        let rows = a.range().global_len() as f64;
        let expected = Vector::from_fn(a.domain(), |row| T::from_parts(1.0 + row as f64 / rows, 0.0));
        let mut b = Vector::zeros(a.range());
        a.apply(&expected, &mut b)?;
        let mut x = Vector::zeros(a.domain());
        let m = Multigrid::new(&a)?;
        let report = Cg::new().rtol(1e-4).preconditioner(&m).solve(&a, &b, &mut x)?;
        assert!(report.converged() && report.iterations <= 12, "{side}: {report}\n{m}");
        let error = x.owned().iter().zip(expected.owned()).map(|(&x, &y)| (x - y).abs().to_f64()).fold(0.0, f64::max);
        assert!(error < 0.3, "{side}: {error}");
    }
    Ok(())
}

/// A last level near the largest that is allowed; the deadline of the case is below what a product without BLAS takes.
pub(crate) fn large_coarsest(comm: &Comm) -> TestResult {
    let a = laplacian::<f64>(comm, 2, 38)?;
    let m = Multigrid::with_settings(&a, MultigridSettings { coarsest: 2000, ..Default::default() })?;
    let report = solved(&a, &m)?.1;
    assert!(m.levels() == 1 && report.converged() && report.iterations <= 2, "{report}\n{m}");
    Ok(())
}

/// An indefinite matrix, numbers at the end of the range, and settings that are bad on one rank.
pub(crate) fn refused(comm: &Comm) -> TestResult {
    let shifted = |factor: f64, shift: f64| -> TestResult<CsrMatrix<f64>> {
        let mut a = laplacian::<f64>(comm, 2, 40)?;
        a.scale(factor);
        let rows = a.range().owned_rows();
        a.set(rows.map(|row| (row, row, 4.0 * factor - shift)).collect::<Vec<_>>())?;
        Ok(a)
    };
    let error = |a: &CsrMatrix<f64>| Multigrid::new(a).err().ok_or("not refused");
    for shift in [1.0, 3.9] {
        let error = error(&shifted(1.0, shift)?)?;
        assert!(
            matches!(error.cause(), Error::Level { level: 1.., fault: LevelFault::NotSemidefinite, .. }),
            "{shift}: {error:?}"
        );
    }
    let error_of_tiny = error(&shifted(1e-310, 0.0)?)?;
    assert!(
        matches!(error_of_tiny.cause(), Error::Unfit { row: 0, defect: Defect::TinyDiagonal, .. }),
        "{error_of_tiny}"
    );
    let mut infinite = laplacian::<f64>(comm, 2, 20)?;
    let owns = infinite.range().global_to_owned(7).is_some();
    infinite.set(owns.then_some((7, 8, f64::INFINITY)))?;
    let error_of_infinite = error(&infinite)?;
    assert!(
        matches!(error_of_infinite.cause(), Error::Unfit { row: 7, defect: Defect::NotFinite, .. }),
        "{error_of_infinite}"
    );
    let a = laplacian::<f64>(comm, 2, 20)?;
    let last = comm.rank() + 1 == comm.size();
    let bad = [
        Multigrid::with_settings(&a, MultigridSettings { coarsest: if last { 0 } else { 200 }, ..Default::default() })
            .err(),
        ChebyshevPolynomial::new(a.clone(), if last { 0 } else { 3 }).err(),
        ChebyshevPolynomial::on_interval(a.clone(), 3, if last { [2.0, 1.0] } else { [1.0, 2.0] }).err(),
        PointBlockJacobi::new(&a, if last { 0 } else { 1 }).err(),
        estimate_spectrum(&a, None, if last { 0 } else { 5 }, Reduction::Reproducible).err(),
    ];
    for (number, error) in bad.into_iter().enumerate() {
        let error = error.ok_or(format!("{number} is not refused"))?;
        assert!(matches!(error.cause(), Error::Setting { .. }), "{number}: {error:?}");
    }
    Ok(())
}

/// New values on the hierarchy that is there are those of a new one.
pub(crate) fn refill(comm: &Comm) -> TestResult {
    let grid = |factor: f64| Grid {
        sides: 2,
        side: 20,
        edge: true,
        conductivity: move |k, place: [u64; 3]| 1.0 + factor * ((place[0] + u64::from(k)) % 3) as f64,
    };
    let settings = MultigridSettings { coarsest: 10, threshold: 0.0, ..Default::default() };
    let changed = grid(0.5).matrix::<f64>(comm)?;
    let mut m = Multigrid::with_settings(&grid(0.1).matrix::<f64>(comm)?, settings.clone())?;
    let fresh = Multigrid::with_settings(&changed, settings)?;
    for _ in 0..2 {
        m.refill(&changed)?;
        let (x, y) = (solved(&changed, &m)?.0, solved(&changed, &fresh)?.0);
        assert!(x.owned() == y.owned(), "the solutions differ");
    }
    assert!(m.refill(&laplacian(comm, 2, 19)?).is_err());
    Ok(())
}

/// Powers of two in the matrix change no digit.
pub(crate) fn scales(comm: &Comm) -> TestResult {
    let a = laplacian::<f64>(comm, 2, 20)?;
    let settings = MultigridSettings { coarsest: 10, cycle: Cycle::W, ..Default::default() };
    let reference = solved(&a, &Multigrid::with_settings(&a, settings.clone())?)?;
    for power in [-560, -563, 561, 564] {
        let mut scaled = a.clone();
        scaled.scale(2f64.powi(power));
        let (x, report) = solved(&scaled, &Multigrid::with_settings(&scaled, settings.clone())?)?;
        assert_eq!(report.iterations, reference.1.iterations, "2^{power}");
        assert!(x.owned().iter().zip(reference.0.owned()).all(|(x, y)| x * 2f64.powi(power) == *y), "2^{power}");
    }
    Ok(())
}

/// Nothing to aggregate, nothing at all, and what is refused.
pub(crate) fn edges(comm: &Comm) -> TestResult {
    let rows = Layout::uniform(comm, 500);
    let diagonal = |value: f64| {
        CsrMatrix::from_rows(&rows, &rows, move |row, entries| entries.push(row, if row == 321 { value } else { 2.0 }))
    };
    let m = Multigrid::new(&diagonal(3.0)?)?;
    let report = solved(&diagonal(3.0)?, &m)?.1;
    assert!(m.levels() == 1 && report.converged() && report.iterations <= 3, "{report}\n{m}");
    let none = Layout::uniform(comm, 0);
    assert_eq!(Multigrid::<f64>::new(&CsrMatrix::from_rows(&none, &none, |_, _| ())?)?.levels(), 1);
    for (value, found) in [(-1.0, "321"), (0.0, "321"), (f64::NAN, "321")] {
        match Multigrid::new(&diagonal(value)?) {
            Err(error) => {
                assert!(matches!(error.cause(), Error::Unfit { row: 321, .. }), "{error:?}");
                let text = error.to_string();
                assert!(text.contains(found) && !text.contains("pivot"), "{error}");
            }
            Ok(_) => panic!("{value} on the diagonal is not refused"),
        }
    }
    let a = laplacian::<f64>(comm, 2, 10)?;
    let wrong = |settings: MultigridSettings| Multigrid::with_settings(&a, settings).err();
    let refused = [
        wrong(MultigridSettings { degree: 0, ..Default::default() }),
        wrong(MultigridSettings { threshold: f64::NAN, ..Default::default() }),
        wrong(MultigridSettings { coarsest: 5000, ..Default::default() }),
        wrong(MultigridSettings { levels: 0, ..Default::default() }),
    ];
    assert!(refused.iter().all(|error| matches!(error, Some(Error::Setting { .. }))), "{refused:?}");
    Ok(())
}
