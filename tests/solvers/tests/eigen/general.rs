//! Krylov-Schur and the automatic choice against closed forms and dense computations.

use dolmen_core::dense::Schur;
use dolmen_core::ndarray::Array2;
use dolmen_core::{Complex64, CsrMatrix, Layout, MultiVector, Real, Scalar};
use dolmen_solvers::{
    AutomaticEigen, Direct, EigenReport, Error, GolubKahan, KrylovSchur, NoSpectrum, Region, StopReason, Which,
};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::problems::{elements, gathered, laplacian, laplacian_values, matrix};
use crate::stopper::Stopper;

fn tolerance<T: Scalar>() -> f64 {
    if T::Real::EPSILON.to_f64() == f64::EPSILON { 1e-9 } else { 1e-4 }
}

/// Upwind convection and diffusion on a grid: far from symmetric, with real and complex eigenvalues.
fn convection<T: Scalar>(layout: &Layout, n: u64) -> TestResult<CsrMatrix<T>> {
    matrix(layout, |point| {
        let (x, y) = (point % n, point / n);
        let entry = |re: f64, im: f64| T::from_parts(re, im);
        let mut row = vec![(point, entry(4.0 + (point % 7) as f64 * 0.3, 0.2))];
        row.extend((x > 0).then(|| (point - 1, entry(-1.3, 0.3))));
        row.extend((x + 1 < n).then(|| (point + 1, entry(-0.8, 0.0))));
        row.extend((y > 0).then(|| (point - n, entry(1.4, 0.0))));
        row.extend((y + 1 < n).then(|| (point + n, entry(-1.2, -0.4))));
        row
    })
}

fn dense_values<T: Scalar>(a: &CsrMatrix<T>) -> TestResult<Vec<Complex64>> {
    let whole = a.gather_all()?;
    let n = whole.rows();
    let mut dense = Array2::from_elem((n, n), Complex64::new(0.0, 0.0));
    for row in 0..n {
        let (columns, values) = whole.row(row);
        for (&column, &value) in columns.iter().zip(values) {
            dense[(row, dolmen_core::index::at(column))] += Complex64::new(value.re().to_f64(), value.im().to_f64());
        }
    }
    Ok(Schur::factor(dense.view())?.values())
}

/// Asserts that residuals computed here meet the tolerance, and that no value is more wanted than those found.
fn audit<T: Scalar>(
    a: &CsrMatrix<T>,
    values: &[Complex64],
    vectors: &MultiVector<T>,
    imaginary: Option<&MultiVector<T>>,
    report: &EigenReport,
    rank: impl Fn(Complex64) -> f64,
) -> TestResult {
    assert!(report.converged(), "{report}");
    let mut all = dense_values(a)?;
    let size = a.norm_inf();
    let exact = 1e3 * report.tolerance * size + 1e3 * T::Real::EPSILON.to_f64() * size;
    all.sort_by(|a, b| rank(*b).total_cmp(&rank(*a)));
    for (&value, &expected) in values.iter().zip(&all) {
        let nearest = all.iter().map(|other| (other - value).norm()).fold(f64::INFINITY, f64::min);
        assert!(nearest <= exact, "{value} is no eigenvalue: {nearest}");
        assert!((rank(value) - rank(expected)).abs() <= exact, "{values:?}: {value} in place of {expected}");
    }
    let whole = a.gather_all()?;
    let re = gathered(vectors)?;
    let im = imaginary.map(gathered).transpose()?;
    for (column, &value) in values.iter().enumerate() {
        let entry = |i: usize| {
            let re = re[column][i];
            let im = im.as_ref().map_or(0.0, |im| im[column][i].re().to_f64());
            Complex64::new(re.re().to_f64(), re.im().to_f64() + im)
        };
        let (mut square, mut norm) = (0.0, 0.0);
        for row in 0..whole.rows() {
            let (columns, entries) = whole.row(row);
            let image: Complex64 = columns
                .iter()
                .zip(entries)
                .map(|(&j, &x)| Complex64::new(x.re().to_f64(), x.im().to_f64()) * entry(dolmen_core::index::at(j)))
                .sum();
            square += (image - value * entry(row)).norm_sqr();
            norm += entry(row).norm_sqr();
        }
        assert!((norm - 1.0).abs() < 1e3 * T::Real::EPSILON.to_f64(), "vector {column} has the square {norm}");
        let bound = report.tolerance * value.norm() + 100.0 * T::Real::EPSILON.to_f64() * size;
        assert!(square.sqrt() <= bound, "value {value}: residual {}", square.sqrt());
    }
    Ok(())
}

pub(crate) fn regions<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 144);
    let a = convection::<T>(&layout, 12)?;
    let imaginary = |value: Complex64| if T::COMPLEX { value.im } else { value.im.abs() };
    let regions: [(Region, &dyn Fn(Complex64) -> f64); 4] = [
        (Region::LargestMagnitude, &|value| value.norm()),
        (Region::LargestReal, &|value| value.re),
        (Region::SmallestReal, &|value| -value.re),
        (Region::LargestImaginary, &imaginary),
    ];
    for (region, rank) in regions {
        for count in [1, 6] {
            let found = KrylovSchur::new(count).region(region).rtol(tolerance::<T>()).solve(&a)?;
            assert!(found.values.len() == count || (!T::COMPLEX && found.values.len() == count + 1));
            audit(&a, &found.values, &found.vectors, found.imaginary.as_ref(), &found.report, rank)?;
        }
    }
    let shift = T::from_parts(3.1, 0.7);
    let number = Complex64::new(shift.re().to_f64(), shift.im().to_f64());
    let shifted = a.add(T::ONE, &matrix(&layout, |i| vec![(i, T::ONE)])?, -shift)?;
    let inverse = Direct::factor(&shifted)?;
    let found = KrylovSchur::new(4).shift_invert(shift, &inverse).rtol(tolerance::<T>()).solve(&a)?;
    let near = |value: Complex64| -(value - number).norm();
    audit(&a, &found.values, &found.vectors, found.imaginary.as_ref(), &found.report, near)
}

/// The largest eigenvalues of Grcar's matrix come in pairs of conjugates, also where an odd number is asked for.
pub(crate) fn conjugates(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 40);
    let a = matrix(&layout, |i| {
        let mut row: Vec<(u64, f64)> = (i..(i + 4).min(40)).map(|j| (j, 1.0)).collect();
        row.extend((i > 0).then(|| (i - 1, -1.0)));
        row
    })?;
    for count in [3, 4] {
        let found = KrylovSchur::new(count).region(Region::LargestImaginary).solve(&a)?;
        assert_eq!(found.values.len(), 4, "{:?}", found.values);
        assert!(found.values.chunks(2).all(|pair| pair[0].im > 0.0 && (pair[0] - pair[1].conj()).norm() < 1e-9));
        assert!(found.report.converged(), "{}", found.report);
    }
    Ok(())
}

/// Several eigenvectors of one eigenvalue, zero, identity, all eigenvalues, one row.
pub(crate) fn degenerate(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 90);
    let value = |i: u64| if i % 18 == 5 { 3.0 } else { 1.0 / (2 + i) as f64 };
    let a =
        matrix(
            &layout,
            |i| if i % 18 == 5 || i == 0 { vec![(i, value(i))] } else { vec![(i - 1, 0.1), (i, value(i))] },
        )?;
    let found = KrylovSchur::new(5).solve(&a)?;
    audit(&a, &found.values, &found.vectors, found.imaginary.as_ref(), &found.report, |value| value.norm())?;
    assert!(found.values.iter().all(|value| (value - 3.0).norm() < 1e-9), "{:?}", found.values);
    let zero = matrix::<f64>(&layout, |_| vec![])?;
    let found = KrylovSchur::new(2).solve(&zero)?;
    assert!(found.report.converged() && found.values.iter().all(|value| value.norm() == 0.0), "{:?}", found.values);
    let small = convection::<f64>(&Layout::uniform(comm, 9), 3)?;
    let found = KrylovSchur::new(9).solve(&small)?;
    audit(&small, &found.values, &found.vectors, found.imaginary.as_ref(), &found.report, |value| value.norm())?;
    let one = Layout::on_one_rank(comm, 1, comm.size() - 1)?;
    let scalar = matrix(&one, |i| vec![(i, -3.0)])?;
    assert!((KrylovSchur::new(1).solve(&scalar)?.values[0] + 3.0).norm() < 1e-14);
    Ok(())
}

pub(crate) fn scales(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 100);
    let plain = KrylovSchur::new(3).solve(&convection::<f64>(&layout, 10)?)?;
    for power in [-560, 560] {
        let factor = 2f64.powi(power);
        let mut a = convection::<f64>(&layout, 10)?;
        a.scale(factor);
        let found = KrylovSchur::new(3).solve(&a)?;
        assert!(found.report.converged(), "{}", found.report);
        for (value, plain) in found.values.iter().zip(&plain.values) {
            assert!((value / factor - plain).norm() < 1e-8 * plain.norm(), "{value} is not {plain}");
        }
    }
    Ok(())
}

pub(crate) fn refusals(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 30);
    let a = convection::<f64>(&Layout::uniform(comm, 36), 6)?;
    let refuse =
        |method: KrylovSchur<'_, f64>, a: &CsrMatrix<f64>| method.solve(a).err().map(|error| error.cause().clone());
    assert!(matches!(refuse(KrylovSchur::new(0), &a), Some(Error::Setting { setting: "count", .. })));
    assert!(matches!(refuse(KrylovSchur::new(37), &a), Some(Error::FewEigenvalues { wanted: 37, found: 36, .. })));
    let nearest = KrylovSchur::new(2).region(Region::Nearest(Complex64::new(1.0, 0.0)));
    assert!(matches!(refuse(nearest, &a), Some(Error::Setting { setting: "the number to be near to", .. })));
    let nan = matrix(&layout, |i| vec![(i, if i == 20 { f64::NAN } else { 1.0 })])?;
    assert!(matches!(refuse(KrylovSchur::new(2), &nan), Some(Error::NoSpectrum { .. })));
    if comm.size() > 1 {
        let counts = KrylovSchur::new(2 + comm.rank()).solve(&a).err().ok_or("other numbers on other ranks")?;
        assert!(counts.to_string().contains("count 2"), "{counts}");
    }
    Ok(())
}

pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let mut checksums = Checksums::new();
    let a = convection::<f64>(&Layout::uniform(comm, 400), 20)?;
    let found = KrylovSchur::new(5).solve(&a)?;
    for (i, (value, vector)) in found.values.iter().zip(gathered(&found.vectors)?).enumerate() {
        checksums.push((format!("value {i}"), value.re.to_bits() ^ value.im.to_bits().rotate_left(7)));
        checksums.push((format!("vector {i}"), vector.iter().fold(0u64, |sum, x| sum.rotate_left(5) ^ x.to_bits())));
    }
    Ok(checksums)
}

pub(crate) fn stop_and_resume(comm: &Comm) -> TestResult {
    let a = convection::<f64>(&Layout::uniform(comm, 400), 20)?;
    let whole = KrylovSchur::new(3).basis(12).solve(&a)?;
    assert!(whole.report.converged() && whole.report.iterations > 4, "{}", whole.report);
    let mut stopper = Stopper::new(comm, whole.report.iterations / 2);
    let stopped = KrylovSchur::new(3).basis(12).monitor(&mut stopper).solve(&a)?;
    assert_eq!(stopped.report.reason, StopReason::Requested, "{}", stopped.report);
    let snapshot = stopper.snapshots.pop().ok_or("no snapshot")?;
    let resumed = KrylovSchur::new(3).basis(12).resume(&snapshot).solve(&a)?;
    assert_eq!((resumed.values, resumed.report.iterations), (whole.values, whole.report.iterations));
    assert_eq!(resumed.vectors.owned(), whole.vectors.owned());
    Ok(())
}

/// The choice, and what it finds, on matrices below and above the size of a dense one.
pub(crate) fn automatic(comm: &Comm) -> TestResult {
    for (n, dense) in [(10, true), (24, false)] {
        let layout = Layout::uniform(comm, n * n);
        let a = laplacian::<f64>(&layout, &[n, n], 1.0)?;
        let values = laplacian_values(&[n, n]);
        let largest: Vec<f64> = values.iter().rev().copied().collect();
        let mut nearest = values.clone();
        nearest.sort_by(|a, b| (a - 2.05).abs().total_cmp(&(b - 2.05).abs()));
        let cases = [
            (Region::SmallestReal, &values, "Cholesky"),
            (Region::SmallestMagnitude, &values, "LU"),
            (Region::LargestReal, &largest, "Lanczos"),
            (Region::LargestMagnitude, &largest, "Lanczos"),
            (Region::Nearest(Complex64::new(2.05, 0.0)), &nearest, "LU"),
        ];
        for (region, expected, why) in cases {
            let found = AutomaticEigen::new(5).region(region).solve(&a)?;
            assert!(found.hermitian && found.report.converged(), "{}", found.report);
            assert!(found.why.contains(if dense { "dense" } else { why }), "{region}: {}", found.why);
            for (value, expected) in found.values.iter().zip(expected) {
                assert!((value - expected).norm() < 1e-7 * expected, "{region}: {:?}", found.values);
            }
        }
        let a = convection::<f64>(&layout, n)?;
        let found = AutomaticEigen::new(4).solve(&a)?;
        audit(&a, &found.values, &found.vectors, found.imaginary.as_ref(), &found.report, |value| value.norm())?;
        let refused = AutomaticEigen::new(4).require_hermitian().solve(&a).err().ok_or("not Hermitian")?;
        assert!(matches!(refused, Error::NoSpectrum { reason: NoSpectrum::NotHermitian, .. }), "{refused}");
        let shift = Complex64::new(4.0, 0.0);
        let found = AutomaticEigen::new(4).region(Region::Nearest(shift)).solve(&a)?;
        let near = |value: Complex64| -(value - shift).norm();
        audit(&a, &found.values, &found.vectors, found.imaginary.as_ref(), &found.report, near)?;
        let (a, mass, values) = elements::<f64>(&layout, 1.0)?;
        let found = AutomaticEigen::new(3).mass(&mass).region(Region::SmallestReal).solve(&a)?;
        assert!(found.values.iter().zip(&values).all(|(value, expected)| (value - expected).norm() < 1e-7 * expected));
        let (triplets, why) = GolubKahan::new(3).which(Which::Largest).solve_matrix(&a)?;
        assert!(triplets.report.converged() && why.contains(if dense { "dense" } else { "Golub-Kahan" }), "{why}");
    }
    // Indefinite, so that it is not factored by Cholesky.
    let layout = Layout::uniform(comm, 500);
    let a = matrix(&layout, |i| vec![(i, (i as f64 - 250.0) / 10.0)])?;
    let found = AutomaticEigen::new(3).region(Region::SmallestReal).solve(&a)?;
    assert!((found.values[0].re + 25.0).abs() < 1e-7 && (found.values[2].re + 24.8).abs() < 1e-7, "{:?}", found.values);
    let singular = AutomaticEigen::new(3).region(Region::Nearest(Complex64::new(2.0, 0.0))).solve(&a);
    assert!(singular.is_err_and(|error| matches!(error.cause(), Error::Singular { .. } | Error::Unfit { .. })));
    Ok(())
}
