//! Case C, hard for many methods, with every method and several preconditioners: whatever becomes of
//! the solve, "converged" is said only of a residual that is as small as was asked for.

use dolmen_core::{AdjointOperator, CsrMatrix, LinearOperator, Vector};
use dolmen_solvers::{
    AdditiveSchwarz, BlockJacobi, ChebyshevPolynomial, ColumnScaling, Ilu, Ilut, Jacobi, Method, Schwarz, Settings,
    SolveReport,
};
use dolmen_tests::{Comm, TestResult};

use crate::references::convection;
use crate::stencil::ones;

const LIMIT: usize = 120;

type Named<'a> = (&'static str, Option<Box<dyn LinearOperator<f64> + 'a>>);

/// `b - A x`, computed here.
fn residual(a: &CsrMatrix<f64>, b: &Vector<f64>, x: &Vector<f64>) -> TestResult<Vector<f64>> {
    let mut r = Vector::zeros(b.layout());
    a.apply(x, &mut r)?;
    r.axpby(1.0, b, -1.0)?;
    Ok(r)
}

/// The residual that is reported is that of the answer. Gives its norm.
fn reported(report: &SolveReport, r: &Vector<f64>) -> f64 {
    let norm = r.norm2();
    let same = norm == report.true_residual || !(norm.is_finite() || report.true_residual.is_finite());
    assert!(same, "the residual is {norm}: {report}");
    norm
}

/// With every preconditioner some method succeeds, and none beyond what numbers can tell.
pub(crate) fn square_methods(comm: &Comm) -> TestResult {
    let (_, a) = convection::<f64>(comm, 64)?;
    let b = ones(a.range());
    let preconditioners: [Named<'_>; 6] = [
        ("none", None),
        ("Jacobi", Some(Box::new(Jacobi::new(&a)?))),
        ("ILU(0)", Some(Box::new(BlockJacobi::new(&a, |block| Ilu::new(block, 0))?))),
        ("ILUT", Some(Box::new(BlockJacobi::new(&a, |block| Ilut::new(block, 1e-2, 5))?))),
        ("Schwarz", Some(Box::new(AdditiveSchwarz::new(&a, 1, Schwarz::Restricted, |block| Ilu::new(block, 0))?))),
        ("polynomial", Some(Box::new(ChebyshevPolynomial::on_interval(&a, 3, [0.1, 2.0])?))),
    ];
    for (kind, m) in &preconditioners {
        for (rtol, possible) in [(1e-8, true), (1e-17, false)] {
            let mut converged = Vec::new();
            for &name in Method::SQUARE {
                let mut settings = Settings::new().rtol(rtol).max_iterations(LIMIT);
                if let Some(m) = m {
                    settings = settings.preconditioner(&**m);
                }
                let mut x = Vector::zeros(a.domain());
                let report = name.solver(settings)?.solve(&a, &b, &mut x)?;
                let norm = reported(&report, &residual(&a, &b, &x)?);
                if report.converged() {
                    assert!(norm <= rtol * b.norm2(), "{name} with {kind}: {norm}: {report}");
                    converged.push(name);
                }
            }
            assert_eq!(
                !converged.is_empty(),
                possible && *kind != "none" && *kind != "Jacobi",
                "{kind}: {converged:?}"
            );
        }
    }
    Ok(())
}

/// Least squares may also end at a residual that is orthogonal to the columns; here there is none.
pub(crate) fn least_squares_methods(comm: &Comm) -> TestResult {
    let (_, a) = convection::<f64>(comm, 64)?;
    let b = ones(a.range());
    let scaling = ColumnScaling::new(&a)?;
    for m in [None, Some(&scaling as &dyn AdjointOperator<f64>)] {
        for (name, rtol) in Method::LEAST_SQUARES.iter().flat_map(|name| [(name, 1e-4), (name, 1e-17)]) {
            let settings = Settings::new().rtol(rtol).max_iterations(20 * LIMIT);
            let solver = name.least_squares(settings, m)?;
            let mut x = Vector::zeros(a.domain());
            let report = solver.solve(&a, &b, &mut x)?;
            let r = residual(&a, &b, &x)?;
            let norm = reported(&report, &r);
            let mut normal = Vector::zeros(a.domain());
            a.apply_adjoint(&r, &mut normal)?;
            // |A|_F bounds the norm of A, and scaling makes the lengths of all columns one.
            let largest = if m.is_some() { 64.0 } else { a.norm_frobenius() };
            if let Some(m) = m {
                let unscaled = normal.clone();
                m.apply_adjoint(&unscaled, &mut normal)?;
            }
            let orthogonal = normal.norm2() <= rtol * largest * norm;
            assert_eq!(report.converged(), rtol > 1e-10, "{report}");
            assert!(!report.converged() || norm <= rtol * b.norm2() || orthogonal, "{norm}: {report}");
        }
    }
    Ok(())
}
