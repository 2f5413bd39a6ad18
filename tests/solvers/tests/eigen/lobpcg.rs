//! LOBPCG against closed forms.

use dolmen_core::{CsrMatrix, Identity, Layout, MultiVector, Real, Scalar};
use dolmen_solvers::{Error, Jacobi, Lobpcg, Multigrid, NoSpectrum, StopReason, Which};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::problems::{audit, elements, gathered, laplacian, laplacian_values, matrix};
use crate::stopper::Stopper;

fn tolerance<T: Scalar>() -> f64 {
    if T::Real::EPSILON.to_f64() == f64::EPSILON { 1e-9 } else { 1e-4 }
}

/// Both ends of Laplacians with multiple eigenvalues, with multigrid and without.
pub(crate) fn laplacians<T: Scalar>(comm: &Comm) -> TestResult {
    for (lengths, count) in [(vec![14, 14], 9), (vec![6, 6, 6], 11)] {
        let layout = Layout::uniform(comm, lengths.iter().product());
        let a = laplacian::<T>(&layout, &lengths, 1.0)?;
        let mut values = laplacian_values(&lengths);
        let tol = tolerance::<T>();
        let plain = Lobpcg::new(count).rtol(tol).solve(&a)?;
        audit(&plain, &a, None, &values[..count], tol)?;
        if !T::COMPLEX {
            let multigrid = Multigrid::new(&a)?;
            let found = Lobpcg::new(count).rtol(tol).preconditioner(&multigrid).solve(&a)?;
            audit(&found, &a, None, &values[..count], tol)?;
            assert!(found.report.iterations < 35, "{}", found.report);
        }
        values.reverse();
        let largest = Lobpcg::new(count).which(Which::Largest).rtol(tol).solve(&a)?;
        audit(&largest, &a, None, &values[..count], tol)?;
    }
    Ok(())
}

pub(crate) fn mass_matrix<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 60);
    let (a, mass, values) = elements::<T>(&layout, 1.0)?;
    let jacobi = Jacobi::new(&a)?;
    let tol = tolerance::<T>();
    let found = Lobpcg::new(4).mass(&mass).preconditioner(&jacobi).rtol(tol).solve(&a)?;
    audit(&found, &a, Some(&mass), &values[..4], 10.0 * tol)
}

/// Small and singular problems, a block as large as the space, zero and identity.
pub(crate) fn degenerate(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 9);
    let a = laplacian::<f64>(&layout, &[9], 1.0)?;
    let values = laplacian_values(&[9]);
    for count in [1, 4, 8, 9] {
        let found = Lobpcg::new(count).solve(&a)?;
        audit(&found, &a, None, &values[..count], 1e-8)?;
    }
    let layout = Layout::uniform(comm, 40);
    let zero = matrix::<f64>(&layout, |_| vec![])?;
    audit(&Lobpcg::new(3).solve(&zero)?, &zero, None, &[0.0; 3], 0.0)?;
    let identity = matrix(&layout, |i| vec![(i, 1.0)])?;
    audit(&Lobpcg::new(3).solve(&identity)?, &identity, None, &[1.0; 3], 1e-14)?;
    let one = Layout::on_one_rank(comm, 1, comm.size() - 1)?;
    let scalar = matrix(&one, |i| vec![(i, 7.0)])?;
    audit(&Lobpcg::new(1).solve(&scalar)?, &scalar, None, &[7.0], 1e-15)?;
    // Without boundary values the smallest is zero.
    let free = matrix(&layout, |i| {
        let mut row = Vec::new();
        row.extend((i > 0).then(|| (i - 1, -1.0)));
        row.extend((i < 39).then(|| (i + 1, -1.0)));
        row.push((i, row.len() as f64));
        row
    })?;
    let expected: Vec<f64> = (0..3).map(|j| 2.0 - 2.0 * (f64::from(j) * std::f64::consts::PI / 40.0).cos()).collect();
    audit(&Lobpcg::new(3).solve(&free)?, &free, None, &expected, 1e-7)
}

/// Sizes near the ends of double precision.
pub(crate) fn scales(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 100);
    let values = laplacian_values(&[10, 10]);
    for factor in [1e-170, 2f64.powi(-560), 1e170] {
        let a = laplacian::<f64>(&layout, &[10, 10], factor)?;
        let jacobi = Jacobi::new(&a)?;
        let found = Lobpcg::new(4).preconditioner(&jacobi).solve(&a)?;
        let expected: Vec<f64> = values[..4].iter().map(|value| value * factor).collect();
        audit(&found, &a, None, &expected, 1e-8)?;
    }
    Ok(())
}

pub(crate) fn refusals(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 30);
    let a = laplacian::<f64>(&layout, &[30], 1.0)?;
    let refuse = |method: Lobpcg<'_, f64>, a: &CsrMatrix<f64>| method.solve(a).err().map(|error| error.cause().clone());
    assert!(matches!(refuse(Lobpcg::new(0), &a), Some(Error::Setting { setting: "count", .. })));
    assert!(matches!(refuse(Lobpcg::new(31), &a), Some(Error::FewEigenvalues { wanted: 31, found: 30, .. })));
    let inside = refuse(Lobpcg::new(2).which(Which::Nearest(1.5)), &a).ok_or("not an end")?;
    let told =
        "LOBPCG finds the smallest or the largest eigenvalues, not those nearest to 1.5; use Lanczos with shift_invert";
    assert_eq!(inside.to_string(), told);
    let skew = matrix(&layout, |i| if i > 0 { vec![(i - 1, 1.0), (i, 1.0)] } else { vec![(i, 1.0)] })?;
    let reason = NoSpectrum::NotHermitian;
    assert_eq!(refuse(Lobpcg::new(2), &skew), Some(Error::NoSpectrum { method: "LOBPCG", reason }));
    let elsewhere = MultiVector::zeros(&Layout::uniform(comm, 31), 2);
    assert!(matches!(refuse(Lobpcg::new(2).start(&elsewhere), &a), Some(Error::Layout { .. })));
    let other = Identity::new(&Layout::uniform(comm, 31));
    assert!(matches!(refuse(Lobpcg::new(2).preconditioner(&other), &a), Some(Error::Layout { .. })));
    if comm.size() > 1 {
        let counts = Lobpcg::new(2 + comm.rank()).solve(&a).err().ok_or("other numbers on other ranks")?;
        assert!(counts.to_string().contains("count 2"), "{counts}");
    }
    let limited = Lobpcg::new(3).max_iterations(2).rtol(1e-12).solve(&a)?;
    assert_eq!(limited.report.reason, StopReason::IterationLimit, "{}", limited.report);
    assert!(!limited.report.is_converged[2] && limited.report.residuals[2] > 1e-12);
    Ok(())
}

pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let mut checksums = Checksums::new();
    let layout = Layout::uniform(comm, 600);
    let a = laplacian::<f64>(&layout, &[20, 30], 1.0)?;
    let multigrid = Multigrid::new(&a)?;
    let found = Lobpcg::new(5).preconditioner(&multigrid).solve(&a)?;
    for (i, (value, vector)) in found.values.iter().zip(gathered(&found.vectors)?).enumerate() {
        checksums.push((format!("value {i}"), value.to_bits()));
        checksums.push((format!("vector {i}"), vector.iter().fold(0u64, |sum, x| sum.rotate_left(5) ^ x.to_bits())));
    }
    checksums.push(("iterations".to_owned(), found.report.iterations as u64));
    Ok(checksums)
}

/// A later search goes on from the vectors of a snapshot.
pub(crate) fn stop_and_go_on(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 400);
    let a = laplacian::<f64>(&layout, &[20, 20], 1.0)?;
    let jacobi = Jacobi::new(&a)?;
    let whole = Lobpcg::new(4).preconditioner(&jacobi).solve(&a)?;
    let after = whole.report.iterations / 2;
    let mut stopper = Stopper::new(comm, after);
    let stopped = Lobpcg::new(4).preconditioner(&jacobi).monitor(&mut stopper).solve(&a)?;
    assert_eq!((stopped.report.reason, stopped.report.iterations), (StopReason::Requested, after));
    let snapshot = stopper.snapshots.pop().ok_or("no snapshot")?;
    let resumed = Lobpcg::new(4).preconditioner(&jacobi).resume(&snapshot).solve(&a)?;
    audit(&resumed, &a, None, &laplacian_values(&[20, 20])[..4], 1e-8)?;
    assert!(resumed.report.iterations < whole.report.iterations, "{}", resumed.report);
    let started = Lobpcg::new(4).preconditioner(&jacobi).start(&whole.vectors).solve(&a)?;
    assert!(started.report.converged() && started.report.iterations < whole.report.iterations, "{}", started.report);
    let other = Lobpcg::new(9).resume(&snapshot).solve(&a).err().ok_or("other columns")?;
    assert!(matches!(other.cause(), Error::Snapshot { .. }), "{other}");
    Ok(())
}
