//! Singular values against closed forms and dense computations.

use dolmen_core::dense::Svd;
use dolmen_core::ndarray::Array2;
use dolmen_core::{CsrMatrix, Layout, Real, Scalar};
use dolmen_solvers::{Error, GolubKahan, NoSpectrum, SingularTriplets, StopReason, Which};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::problems::{gathered, matrix, rectangular};
use crate::stopper::Stopper;

/// A sparse matrix without structure.
fn scattered<T: Scalar>(comm: &Comm, shape: [u64; 2], factor: f64) -> TestResult<(CsrMatrix<T>, Vec<f64>)> {
    let entry = |i: u64, j: u64| {
        let mixed = (i * 7919 + j * 104_729) % 97;
        if mixed < 12 {
            T::from_parts((mixed as f64 - 5.5) * factor, ((i + 2 * j) % 5) as f64 * factor)
        } else {
            T::ZERO
        }
    };
    let [rows, columns] = shape.map(|n| Layout::uniform(comm, n));
    let row = |i: u64| (0..shape[1]).map(|j| (j, entry(i, j))).filter(|(_, value)| *value != T::ZERO).collect();
    let a = rectangular(&rows, &columns, row)?;
    let [m, n] = shape.map(|n| usize::try_from(n).expect("a small matrix"));
    let dense = Array2::from_shape_fn((m, n), |(i, j)| entry(i as u64, j as u64));
    let values = Svd::factor(dense.view())?.values().iter().map(|value| value.to_f64()).collect();
    Ok((a, values))
}

fn audit<T: Scalar>(found: &SingularTriplets<T>, a: &CsrMatrix<T>, expected: &[f64], exact: f64) -> TestResult {
    assert!(found.report.converged(), "{}", found.report);
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, &value| largest.max(value));
    assert_eq!(found.values.len(), expected.len());
    for (&value, &expected) in found.values.iter().zip(expected) {
        let bound = exact * expected + 10.0 * T::Real::EPSILON.to_f64() * largest;
        assert!((value - expected).abs() <= bound, "{:?}: {value} is not {expected}", found.values);
    }
    let a = a.gather_all()?;
    let (u, v) = (gathered(&found.u)?, gathered(&found.v)?);
    let eps = T::Real::EPSILON.to_f64();
    for (side, vectors) in [("left", &u), ("right", &v)] {
        for (i, x) in vectors.iter().enumerate() {
            for (j, y) in vectors.iter().enumerate() {
                let product: T = x.iter().zip(y).map(|(&x, &y)| x.conj() * y).sum();
                let error = (product - if i == j { T::ONE } else { T::ZERO }).abs().to_f64();
                assert!(error <= 4500.0 * eps, "{side} vectors {i} and {j} have the product {product}");
            }
        }
    }
    for ((u, v), &value) in u.iter().zip(&v).zip(&found.values) {
        let factor = T::from_parts(value, 0.0);
        for (i, &u) in u.iter().enumerate() {
            let (columns, values) = a.row(i);
            let image: T = columns.iter().zip(values).map(|(&j, &x)| x * v[dolmen_core::index::at(j)]).sum();
            let error = (image - factor * u).abs().to_f64();
            assert!(
                error <= found.report.tolerance * value + 100.0 * eps * largest,
                "row {i} of value {value}: {error}"
            );
        }
    }
    Ok(())
}

/// Tall, wide and square; both ends.
pub(crate) fn dense_values<T: Scalar>(comm: &Comm) -> TestResult {
    let tol = if T::Real::EPSILON.to_f64() == f64::EPSILON { 1e-10 } else { 1e-4 };
    for shape in [[90, 40], [35, 80], [50, 50]] {
        let (a, mut values) = scattered::<T>(comm, shape, 1.0)?;
        let found = GolubKahan::new(6).rtol(tol).solve(&a)?;
        audit(&found, &a, &values[..6], tol)?;
        values.reverse();
        let found = GolubKahan::new(3).which(Which::Smallest).rtol(tol).solve(&a)?;
        audit(&found, &a, &values[..3], 100.0 * tol)?;
    }
    Ok(())
}

/// Grcar's matrix: 3.2215 is the largest, 0.9551 the smallest singular value of the one of 30 rows.
pub(crate) fn grcar(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 30);
    let a = matrix(&layout, |i| {
        let mut row: Vec<(u64, f64)> = (i..(i + 4).min(30)).map(|j| (j, 1.0)).collect();
        row.extend((i > 0).then(|| (i - 1, -1.0)));
        row
    })?;
    let largest = GolubKahan::new(1).solve(&a)?;
    let smallest = GolubKahan::new(1).which(Which::Smallest).solve(&a)?;
    assert!((largest.values[0] - 3.2215).abs() < 5e-5, "{:?}", largest.values);
    assert!((smallest.values[0] - 0.9551).abs() < 5e-5, "{:?}", smallest.values);
    Ok(())
}

/// Multiple and zero singular values, rank-deficient and zero matrices, one row, one column.
pub(crate) fn degenerate(comm: &Comm) -> TestResult {
    let [rows, columns] = [70, 50].map(|n| Layout::uniform(comm, n));
    let value = |j: u64| if j % 10 == 3 { 4.0 } else { 1.0 / (j + 1) as f64 };
    let a = rectangular(&rows, &columns, |i| if i < 50 { vec![(49 - i, value(49 - i))] } else { vec![] })?;
    let found = GolubKahan::new(5).solve(&a)?;
    audit(&found, &a, &[4.0; 5], 1e-12)?;
    let low = rectangular(&rows, &columns, |i| if i < 3 { vec![(i, 3.0 - i as f64)] } else { vec![] })?;
    let found = GolubKahan::new(6).solve(&low)?;
    audit(&found, &low, &[3.0, 2.0, 1.0, 0.0, 0.0, 0.0], 1e-12)?;
    let zero = rectangular::<f64>(&columns, &rows, |_| vec![])?;
    audit(&GolubKahan::new(2).solve(&zero)?, &zero, &[0.0; 2], 0.0)?;
    let one = Layout::on_one_rank(comm, 1, comm.size() - 1)?;
    let row = rectangular(&one, &columns, |_| vec![(3, 3.0), (44, 4.0)])?;
    audit(&GolubKahan::new(1).solve(&row)?, &row, &[5.0], 1e-14)?;
    let all = rectangular(&rows, &columns, |i| if i < 50 { vec![(i, value(i))] } else { vec![] })?;
    let mut expected: Vec<f64> = (0..50).map(value).collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    audit(&GolubKahan::new(50).solve(&all)?, &all, &expected, 1e-10)
}

pub(crate) fn scales(comm: &Comm) -> TestResult {
    for power in [-560, 560] {
        let factor = 2f64.powi(power);
        let (a, _) = scattered::<f64>(comm, [60, 40], factor)?;
        let (plain, values) = scattered::<f64>(comm, [60, 40], 1.0)?;
        let (found, plain) = (GolubKahan::new(4).solve(&a)?, GolubKahan::new(4).solve(&plain)?);
        for ((value, plain), expected) in found.values.iter().zip(&plain.values).zip(values) {
            assert_eq!((value / factor).to_bits(), plain.to_bits());
            assert!((plain / expected - 1.0).abs() < 1e-12);
        }
        assert!(found.report.converged(), "{}", found.report);
    }
    Ok(())
}

pub(crate) fn refusals(comm: &Comm) -> TestResult {
    let (a, _) = scattered::<f64>(comm, [40, 30], 1.0)?;
    let refuse = |method: GolubKahan<'_, f64>, a| method.solve(a).err().map(|error| error.cause().clone());
    assert!(matches!(refuse(GolubKahan::new(0), &a), Some(Error::Setting { setting: "count", .. })));
    assert!(matches!(refuse(GolubKahan::new(31), &a), Some(Error::FewEigenvalues { wanted: 31, found: 30, .. })));
    assert!(matches!(refuse(GolubKahan::new(3).which(Which::Nearest(1.0)), &a), Some(Error::NotAnEnd { .. })));
    let [rows, columns] = [40, 30].map(|n| Layout::uniform(comm, n));
    let nan = rectangular(&rows, &columns, |i| vec![(i % 30, if i == 20 { f64::NAN } else { 1.0 })])?;
    let reason = NoSpectrum::NotFinite;
    assert_eq!(refuse(GolubKahan::new(2), &nan), Some(Error::NoSpectrum { method: "Golub-Kahan", reason }));
    if comm.size() > 1 {
        let counts = GolubKahan::new(2 + comm.rank()).solve(&a).err().ok_or("other numbers on other ranks")?;
        assert!(counts.to_string().contains("count 2"), "{counts}");
    }
    Ok(())
}

pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let mut checksums = Checksums::new();
    let (a, _) = scattered::<f64>(comm, [300, 200], 1.0)?;
    let found = GolubKahan::new(5).solve(&a)?;
    for (i, (value, vector)) in found.values.iter().zip(gathered(&found.u)?).enumerate() {
        checksums.push((format!("value {i}"), value.to_bits()));
        checksums.push((format!("vector {i}"), vector.iter().fold(0u64, |sum, x| sum.rotate_left(5) ^ x.to_bits())));
    }
    Ok(checksums)
}

/// A search that was stopped resumes with the bits of one that was not.
pub(crate) fn stop_and_resume(comm: &Comm) -> TestResult {
    let (a, _) = scattered::<f64>(comm, [200, 150], 1.0)?;
    let whole = GolubKahan::new(4).basis(10).solve(&a)?;
    assert!(whole.report.converged() && whole.report.iterations > 4, "{}", whole.report);
    let mut stopper = Stopper::new(comm, whole.report.iterations / 2);
    let stopped = GolubKahan::new(4).basis(10).monitor(&mut stopper).solve(&a)?;
    assert_eq!(stopped.report.reason, StopReason::Requested, "{}", stopped.report);
    let snapshot = stopper.snapshots.pop().ok_or("no snapshot")?;
    let resumed = GolubKahan::new(4).basis(10).resume(&snapshot).solve(&a)?;
    assert_eq!((resumed.values, resumed.report.iterations), (whole.values, whole.report.iterations));
    assert_eq!(resumed.u.owned(), whole.u.owned());
    Ok(())
}
