//! Thick-restart Lanczos against closed forms.

use dolmen_core::{CsrMatrix, Identity, Layout, Real, Scalar};
use dolmen_solvers::{Direct, Error, Lanczos, NoSpectrum, StopReason, Which};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::problems::{audit, elements, gathered, laplacian, laplacian_values, matrix};
use crate::stopper::Stopper;

fn tolerance<T: Scalar>() -> f64 {
    if T::Real::EPSILON.to_f64() == f64::EPSILON { 1e-10 } else { 1e-4 }
}

/// Both ends of Laplacians in two and three dimensions: every copy of double, triple and sixfold eigenvalues.
pub(crate) fn multiple_eigenvalues<T: Scalar>(comm: &Comm) -> TestResult {
    for (lengths, count) in [(vec![12, 12], 9), (vec![6, 6, 6], 14)] {
        let layout = Layout::uniform(comm, lengths.iter().product());
        let a = laplacian::<T>(&layout, &lengths, 1.0)?;
        let mut values = laplacian_values(&lengths);
        let tol = tolerance::<T>();
        let smallest = Lanczos::new(count).which(Which::Smallest).rtol(tol).solve(&a)?;
        audit(&smallest, &a, None, &values[..count], tol)?;
        values.reverse();
        let largest = Lanczos::new(count).which(Which::Largest).rtol(tol).solve(&a)?;
        audit(&largest, &a, None, &values[..count], tol)?;
    }
    Ok(())
}

/// Copies that rounding errors do not bring into the space before the tolerance is met.
pub(crate) fn copies_at_a_loose_tolerance(comm: &Comm) -> TestResult {
    for n in [12, 24] {
        let layout = Layout::uniform(comm, n * n);
        let a = laplacian::<f64>(&layout, &[n, n], 1.0)?;
        let mut values = laplacian_values(&[n, n]);
        values.reverse();
        for count in [3, 6] {
            let found = Lanczos::new(count).which(Which::Largest).rtol(1e-3).solve(&a)?;
            audit(&found, &a, None, &values[..count], 1e-4)?;
        }
    }
    Ok(())
}

/// The copies of an eigenvalue beyond those that one vector can see, in a space that they do not fill.
pub(crate) fn one_eigenvalue_many_times(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 300);
    let value = |i: u64| if i % 30 == 7 { 5.0 } else { (i as f64 / 300.0).sin() };
    let a = matrix(&layout, |i| vec![(i, value(i))])?;
    let found = Lanczos::new(10).which(Which::Largest).solve(&a)?;
    audit(&found, &a, None, &[5.0; 10], 1e-12)?;
    // Fewer than there are.
    let found = Lanczos::new(4).which(Which::Largest).solve(&a)?;
    audit(&found, &a, None, &[5.0; 4], 1e-12)?;
    // Values that are 1e-10 apart.
    let value = |i: u64| if i < 6 { 2.0 + 1e-10 * i as f64 } else { 1.0 / i as f64 };
    let a = matrix(&layout, |i| vec![(i, value(i))])?;
    let found = Lanczos::new(6).which(Which::Largest).rtol(1e-13).solve(&a)?;
    let expected: Vec<f64> = (0..6).rev().map(value).collect();
    audit(&found, &a, None, &expected, 1e-13)
}

/// Copies that live on single unknowns beside a long chain whose spectrum begins close to them.
pub(crate) fn copies_on_single_unknowns(comm: &Comm) -> TestResult {
    let alone = [-5.0449, -5.008, -5.008, -4.9376, -4.8137];
    for n in [600, 1000, 1500] {
        let layout = Layout::uniform(comm, n);
        let a = matrix(&layout, |i| {
            let place = dolmen_core::index::at(u32::try_from(n - 1 - i).expect("a small matrix"));
            if let Some(&value) = alone.get(place) {
                return vec![(i, value)];
            }
            let mut row = vec![(i, -2.4)];
            row.extend((i > 0).then(|| (i - 1, 1.2)));
            row.extend((i + 6 < n).then(|| (i + 1, 1.2)));
            row
        })?;
        for count in 1..=5 {
            let found = Lanczos::new(count).solve(&a)?;
            audit(&found, &a, None, &alone[..count], 1e-8)?;
        }
    }
    Ok(())
}

/// Magnitude takes both ends; Clement's matrix has the eigenvalues `-(n - 1), -(n - 3), ..., n - 1`.
pub(crate) fn both_ends(comm: &Comm) -> TestResult {
    let n = 60;
    let layout = Layout::uniform(comm, n);
    let beside = |i: u64| ((i + 1) as f64 * (n - 1 - i) as f64).sqrt();
    let clement = matrix(&layout, |i| {
        let mut row = Vec::new();
        row.extend((i > 0).then(|| (i - 1, beside(i - 1))));
        row.extend((i + 1 < n).then(|| (i + 1, beside(i))));
        row
    })?;
    let found = Lanczos::new(6).solve(&clement)?;
    // Rounding decides which of two comes first.
    let sign = |i: usize| found.values[i].signum();
    let expected: Vec<f64> =
        [59.0, 59.0, 57.0, 57.0, 55.0, 55.0].iter().enumerate().map(|(i, v)| sign(i) * v).collect();
    assert!((0..3).all(|pair| sign(2 * pair) != sign(2 * pair + 1)), "{:?}", found.values);
    audit(&found, &clement, None, &expected, 1e-9)?;
    // All of them.
    let found = Lanczos::new(60).which(Which::Smallest).solve(&clement)?;
    let expected: Vec<f64> = (0..60).map(|i| -59.0 + 2.0 * f64::from(i)).collect();
    audit(&found, &clement, None, &expected, 1e-12)
}

/// With a mass matrix: largest by its inverse, nearest to a number by solves with `A - s M`.
pub(crate) fn mass_matrices<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 80);
    let tol = tolerance::<T>();
    let (a, mass, values) = elements::<T>(&layout, 1.0)?;
    let inverse = Direct::factor(&mass)?;
    let largest: Vec<f64> = values.iter().rev().take(5).copied().collect();
    let found = Lanczos::new(5).mass(&mass, &inverse).which(Which::Largest).rtol(tol).solve(&a)?;
    audit(&found, &a, Some(&mass), &largest, tol)?;
    let inverse = Direct::factor(&a)?;
    let found = Lanczos::new(6).shift_invert_mass(0.0, &mass, &inverse).rtol(tol).solve(&a)?;
    audit(&found, &a, Some(&mass), &values[..6], 10.0 * tol)?;
    // In the middle of the spectrum.
    let shift = 0.3 * values[7] + 0.7 * values[8];
    let shifted = a.add(T::ONE, &mass, T::from_parts(-shift, 0.0))?;
    let inverse = Direct::factor(&shifted)?;
    let found = Lanczos::new(3).shift_invert_mass(shift, &mass, &inverse).rtol(tol).solve(&a)?;
    audit(&found, &a, Some(&mass), &[values[8], values[7], values[9]], 10.0 * tol)
}

/// A mass matrix that is zero on some unknowns has as many infinite eigenvalues, which are none.
pub(crate) fn singular_mass(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 30);
    let a = laplacian::<f64>(&layout, &[30], 1.0)?;
    let mass = matrix(&layout, |i| if i % 10 == 3 { vec![(i, 2.0)] } else { vec![] })?;
    let inverse = Direct::factor(&a)?;
    let found = Lanczos::new(3).shift_invert_mass(0.0, &mass, &inverse).solve(&a)?;
    assert!(found.report.converged(), "{}", found.report);
    // The eigenvalues of the Schur complement: the inverse of what the unknowns 3, 13 and 23 see of A^-1.
    let green = |i: u64, j: u64| (i.min(j) + 1) as f64 * (30 - i.max(j)) as f64 / 31.0;
    let places = [3, 13, 23];
    let dense = dolmen_core::ndarray::Array2::from_shape_fn((3, 3), |(i, j)| 2.0 * green(places[i], places[j]));
    let mut expected: Vec<f64> =
        dolmen_core::dense::HermitianEigen::factor(dense.view())?.values().iter().map(|value| 1.0 / value).collect();
    expected.sort_by(f64::total_cmp);
    audit(&found, &a, Some(&mass), &expected, 1e-9)?;
    let refused = Lanczos::new(4).shift_invert_mass(0.0, &mass, &inverse).solve(&a).err();
    assert_eq!(refused, Some(Error::FewEigenvalues { method: "Lanczos", wanted: 4, found: 3 }));
    Ok(())
}

/// Zero, identity, one row, ranks without rows.
pub(crate) fn degenerate(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 40);
    let zero = matrix::<f64>(&layout, |_| vec![])?;
    let found = Lanczos::new(3).which(Which::Largest).solve(&zero)?;
    audit(&found, &zero, None, &[0.0; 3], 0.0)?;
    let identity = matrix(&layout, |i| vec![(i, 1.0)])?;
    let found = Lanczos::new(5).which(Which::Smallest).solve(&identity)?;
    audit(&found, &identity, None, &[1.0; 5], 1e-15)?;
    let one = Layout::on_one_rank(comm, 1, comm.size() - 1)?;
    let scalar = matrix(&one, |i| vec![(i, -3.0)])?;
    let found = Lanczos::new(1).solve(&scalar)?;
    audit(&found, &scalar, None, &[-3.0], 1e-15)?;
    let alone = Layout::on_one_rank(comm, 49, comm.size() - 1)?;
    let a = laplacian::<f64>(&alone, &[7, 7], 1.0)?;
    let found = Lanczos::new(4).which(Which::Smallest).solve(&a)?;
    audit(&found, &a, None, &laplacian_values(&[7, 7])[..4], 1e-8)
}

/// Sizes near the ends of double precision.
pub(crate) fn scales(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 100);
    let values = laplacian_values(&[10, 10]);
    let mut bits = Vec::new();
    for power in [-560, 0, 560] {
        let factor = 2f64.powi(power);
        let a = laplacian::<f64>(&layout, &[10, 10], factor)?;
        let found = Lanczos::new(5).which(Which::Smallest).solve(&a)?;
        let expected: Vec<f64> = values[..5].iter().map(|value| value * factor).collect();
        audit(&found, &a, None, &expected, 1e-9)?;
        let inverse = Direct::factor(&a)?;
        let found = Lanczos::new(5).shift_invert(0.0, &inverse).solve(&a)?;
        audit(&found, &a, None, &expected, 1e-9)?;
        bits.push(found.values.iter().map(|value| (value / factor).to_bits()).collect::<Vec<_>>());
    }
    assert!(bits[0] == bits[1] && bits[1] == bits[2], "{bits:?}");
    for factor in [1e-170, 1e170] {
        let (a, mass, values) = elements::<f64>(&layout, factor)?;
        let inverse = Direct::factor(&a)?;
        let found = Lanczos::new(3).shift_invert_mass(0.0, &mass, &inverse).solve(&a)?;
        assert!(found.report.converged(), "{}", found.report);
        for (value, expected) in found.values.iter().zip(values) {
            assert!((value / expected - 1.0).abs() < 1e-9, "{value} is not {expected}");
        }
    }
    Ok(())
}

/// One error on all ranks for what cannot be done.
pub(crate) fn refusals(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 30);
    let a = laplacian::<f64>(&layout, &[30], 1.0)?;
    let refuse =
        |method: Lanczos<'_, f64>, a: &CsrMatrix<f64>| method.solve(a).err().map(|error| error.cause().clone());
    assert!(matches!(refuse(Lanczos::new(0), &a), Some(Error::Setting { setting: "count", .. })));
    let few = Some(Error::FewEigenvalues { method: "Lanczos", wanted: 31, found: 30 });
    assert_eq!(refuse(Lanczos::new(31), &a), few);
    assert!(matches!(refuse(Lanczos::new(5).basis(6), &a), Some(Error::Setting { setting: "basis", .. })));
    assert!(matches!(refuse(Lanczos::new(5).rtol(-1.0), &a), Some(Error::Setting { setting: "rtol", .. })));
    let nearest = Lanczos::new(2).which(Which::Nearest(1.0));
    assert!(matches!(refuse(nearest, &a), Some(Error::Setting { setting: "the number to be near to", .. })));
    let skew = matrix(&layout, |i| if i > 0 { vec![(i - 1, 1.0), (i, 1.0)] } else { vec![(i, 1.0)] })?;
    let hermitian = |reason| Some(Error::NoSpectrum { method: "Lanczos", reason });
    assert_eq!(refuse(Lanczos::new(2), &skew), hermitian(NoSpectrum::NotHermitian));
    let nan = matrix(&layout, |i| vec![(i, if i == 20 { f64::NAN } else { 1.0 })])?;
    assert_eq!(refuse(Lanczos::new(2), &nan), hermitian(NoSpectrum::NotFinite));
    let other = Identity::new(&Layout::uniform(comm, 31));
    let misfit = Lanczos::new(2).shift_invert(0.0, &other);
    assert!(matches!(refuse(misfit, &a), Some(Error::Layout { .. })));
    let negative = matrix(&layout, |i| vec![(i, -1.0)])?;
    let misfit = Lanczos::new(2).mass(&negative, &negative);
    assert_eq!(refuse(misfit, &a), Some(Error::MassNotPositive { method: "Lanczos" }));
    if comm.size() > 1 {
        let counts = Lanczos::new(2 + comm.rank()).solve(&a).err().ok_or("other numbers on other ranks")?;
        assert!(counts.to_string().contains("count 2"), "{counts}");
        let bad = Lanczos::new(usize::from(comm.rank() != 1)).solve(&a).err().ok_or("none on one rank")?;
        assert!(bad.to_string().contains("count 0"), "{bad}");
    }
    Ok(())
}

/// An inverse that is none is not called one.
pub(crate) fn no_false_converged(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 60);
    let a = laplacian::<f64>(&layout, &[60], 1.0)?;
    let wrong = Identity::new(&layout);
    let found = Lanczos::new(2).shift_invert(0.0, &wrong).solve(&a)?;
    assert_eq!(found.report.reason, StopReason::Stagnated, "{}", found.report);
    assert_eq!(found.report.is_converged, [false, false]);
    let limited = Lanczos::new(3).which(Which::Smallest).max_iterations(1).rtol(1e-12).solve(&a)?;
    assert_eq!(limited.report.reason, StopReason::IterationLimit, "{}", limited.report);
    assert!(limited.report.residuals.iter().any(|residual| *residual > 1e-12));
    Ok(())
}

/// Values and vectors of several problems.
pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let mut checksums = Checksums::new();
    let mut note = |name: &str, found: &dolmen_solvers::Eigenpairs<f64>| -> TestResult {
        for (i, (value, vector)) in found.values.iter().zip(gathered(&found.vectors)?).enumerate() {
            checksums.push((format!("{name}: value {i}"), value.to_bits()));
            let mixed = vector.iter().fold(0u64, |sum, x| sum.rotate_left(5) ^ x.to_bits());
            checksums.push((format!("{name}: vector {i}"), mixed));
        }
        Ok(())
    };
    let layout = Layout::uniform(comm, 600);
    let a = laplacian::<f64>(&layout, &[20, 30], 1.0)?;
    note("largest", &Lanczos::new(5).which(Which::Largest).solve(&a)?)?;
    let inverse = Direct::factor(&a)?;
    note("nearest", &Lanczos::new(6).shift_invert(0.0, &inverse).solve(&a)?)?;
    let (a, mass, _) = elements::<f64>(&layout, 1.0)?;
    let inverse = Direct::factor(&mass)?;
    note("mass", &Lanczos::new(3).mass(&mass, &inverse).which(Which::Largest).solve(&a)?)?;
    Ok(checksums)
}

/// A search that was stopped resumes with the bits of one that was not.
pub(crate) fn stop_and_resume(comm: &Comm) -> TestResult {
    fn method<'a>() -> Lanczos<'a, f64> {
        Lanczos::new(4).which(Which::Smallest).basis(16)
    }
    let layout = Layout::uniform(comm, 400);
    let a = laplacian::<f64>(&layout, &[20, 20], 1.0)?;
    let whole = method().solve(&a)?;
    assert!(whole.report.converged() && whole.report.iterations > 8, "{}", whole.report);
    for after in [1, 4, whole.report.iterations - 1] {
        let mut stopper = Stopper::new(comm, after);
        let stopped = method().monitor(&mut stopper).solve(&a)?;
        assert_eq!(stopped.report.reason, StopReason::Requested, "{}", stopped.report);
        let snapshot = stopper.snapshots.pop().ok_or("no snapshot")?;
        let resumed = method().resume(&snapshot).solve(&a)?;
        assert_eq!(resumed.report.iterations, whole.report.iterations);
        assert_eq!(resumed.values, whole.values, "after {after}");
        assert_eq!(resumed.vectors.owned(), whole.vectors.owned());
        let smaller = Lanczos::new(4).which(Which::Smallest).basis(6).resume(&snapshot).solve(&a).err();
        assert!(matches!(smaller, Some(Error::Snapshot { .. })), "{smaller:?}");
    }
    Ok(())
}
