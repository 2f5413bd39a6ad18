//! All methods take the same path, to the bit, on any number of ranks.

use dolmen_core::{Comm, Scalar, Vector};
use dolmen_solvers::{Anderson, Jacobian, LineSearch, Newton, NonlinearCg, NonlinearReport};
use dolmen_tests::{Checksums, TestResult};

use crate::problems::{Cubic, epsilon, layout};

/// FNV-1a over the parts of all entries.
fn digest<T: Scalar>(x: &Vector<T>) -> u64 {
    use dolmen_core::Real;
    let all = x.gather_all();
    let parts = all.iter().flat_map(|x| [x.re().to_f64(), x.im().to_f64()]);
    parts.fold(0xCBF2_9CE4_8422_2325, |sum: u64, part| {
        (sum ^ part.to_bits()).wrapping_mul(0x100_0000_01B3).rotate_left(17)
    })
}

fn note<T: Scalar>(sums: &mut Checksums, name: &str, report: &NonlinearReport, x: &Vector<T>) {
    sums.push((format!("{name}: solution"), digest(x)));
    sums.push((format!("{name}: evaluations"), report.evaluations as u64));
    let history = report.history.iter().fold(0, |sum: u64, size| sum.rotate_left(7) ^ size.to_bits());
    sums.push((format!("{name}: history"), history ^ report.residual.to_bits()));
}

fn rtol<T: Scalar>() -> f64 {
    if epsilon::<T>() > 1e-10 { 1e-5 } else { 1e-10 }
}

pub(crate) fn newton<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    let cubic = Cubic::<T>::new(&layout(comm, 101)?, 0.2)?;
    let function = |x: &Vector<T>, y: &mut Vector<T>| cubic.apply(x, y);
    let with = || Newton::new().rtol(rtol::<T>());
    for (name, newton, mut jacobian) in [
        ("matrix", with().linear("gmres, jacobi".parse()?), cubic.jacobian()),
        ("direct", with().line_search(LineSearch::Backtracking), cubic.jacobian()),
        ("colored", with().linear("bicgstab, single(jacobi)".parse()?), Jacobian::colored(&cubic.a)?),
        ("free", with(), Jacobian::matrix_free()),
        ("region", with().linear("gmres, none".parse()?).trust_region(Some(2.0)), cubic.jacobian()),
    ] {
        let mut x = cubic.guess();
        let report = newton.solve(&function, &mut jacobian, &mut x)?;
        assert!(report.converged(), "{name}: {report}");
        note(&mut sums, name, &report, &x);
    }
    Ok(sums)
}

pub(crate) fn others<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    let cubic = Cubic::<T>::new(&layout(comm, 101)?, 0.0)?;
    let function = |x: &Vector<T>, y: &mut Vector<T>| cubic.apply(x, y);
    let mut x = cubic.guess();
    let report = Anderson::new().damping(0.08).rtol(rtol::<T>()).solve(&function, &mut x)?;
    assert!(report.converged(), "{report}");
    note(&mut sums, "Anderson", &report, &x);
    let mut x = cubic.guess();
    let report = NonlinearCg::new().rtol(rtol::<T>()).solve(&function, &mut x)?;
    assert!(report.converged(), "{report}");
    note(&mut sums, "conjugate gradients", &report, &x);
    Ok(sums)
}
