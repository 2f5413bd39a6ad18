//! Every method takes the same path, to the bit, on any number of ranks.

use dolmen_core::random::Philox;
use dolmen_core::{Complex64, Diagonal, Layout, LinearOperator, Scalar, Vector};
use dolmen_solvers::{Cgls, Lsmr, Lsqr, Method, Settings, SolveReport};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::cg::digest;
use crate::references::{convection, matrix};
use crate::stencil::{laplacian, neighbors};

/// Solutions, histories and true residuals of all methods, real and complex, with and without a
/// preconditioner.
pub(crate) fn methods(comm: &Comm) -> TestResult<Checksums> {
    let mut checksums = Checksums::new();
    let random = Philox::new(5);
    let layout = Layout::uniform(comm, 37 * 37);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[37, 37], 4.1))?;
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |i| 0.2 + 0.05 * random.uniform(1, i)));
    let b = Vector::from_fn(&layout, |i| random.normal(0, i));
    square(&mut checksums, "real", &a, &jacobi, &b, Method::SQUARE)?;

    let (layout, a) = convection::<f64>(comm, 37)?;
    let general = [Method::Gmres, Method::Fgmres, Method::Gcr, Method::BiCgStab, Method::Idr];
    square(&mut checksums, "general", &a, &jacobi, &b, &general)?;
    let mut note = |name: &str, report: &SolveReport, x: &Vector<f64>| add(&mut checksums, name, report, x);
    let mut x = Vector::zeros(&layout);
    let limit = 150;
    note("LSQR", &Lsqr::new().max_iterations(limit).preconditioner(&jacobi).solve(&a, &b, &mut x)?, &x)?;
    x.fill(0.0);
    note("LSMR", &Lsmr::new().max_iterations(limit).preconditioner(&jacobi).solve(&a, &b, &mut x)?, &x)?;
    x.fill(0.0);
    note("CGLS", &Cgls::new().max_iterations(limit).preconditioner(&jacobi).solve(&a, &b, &mut x)?, &x)?;

    let layout = Layout::uniform(comm, 300);
    let a = matrix(&layout, &layout, |i| {
        let around = neighbors(i, &[20, 15]).into_iter();
        let value = |j: u64| Complex64::new(-0.7, if j < i { 0.6 } else { -0.6 });
        around.map(|j| (j, value(j))).chain([(i, Complex64::new(4.0, 0.0))]).collect()
    })?;
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |i| Complex64::new(0.2 + 0.05 * random.uniform(2, i), 0.0)));
    let b = Vector::from_fn(&layout, |i| Complex64::new(random.normal(3, i), random.normal(4, i)));
    square(&mut checksums, "complex", &a, &jacobi, &b, Method::SQUARE)?;
    Ok(checksums)
}

fn square<T: Scalar>(
    checksums: &mut Checksums,
    what: &str,
    a: &dyn LinearOperator<T>,
    jacobi: &Diagonal<T>,
    b: &Vector<T>,
    names: &[Method],
) -> TestResult {
    for name in names {
        for preconditioned in [false, true] {
            let mut settings = Settings::new().rtol(1e-9).max_iterations(150);
            if preconditioned {
                settings = settings.preconditioner(jacobi);
            }
            let mut x = Vector::zeros(a.domain());
            let report = name.solver(settings)?.solve(a, b, &mut x)?;
            let label = format!("{what} {name}{}", if preconditioned { " with Jacobi" } else { "" });
            add(checksums, &label, &report, &x)?;
        }
    }
    Ok(())
}

fn add<T: Scalar>(checksums: &mut Checksums, name: &str, report: &SolveReport, x: &Vector<T>) -> TestResult {
    let solution = x.gather(0)?.map_or(0, |x| digest(&x));
    checksums.push((format!("{name}: solution"), solution));
    checksums.push((format!("{name}: history"), digest(&report.history)));
    checksums.push((format!("{name}: true residual"), report.true_residual.to_bits()));
    checksums.push((format!("{name}: iterations"), report.iterations as u64));
    Ok(())
}
