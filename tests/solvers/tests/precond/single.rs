//! Preconditioners in single precision: what they compute, and solves in double precision with them to its tolerances.

use std::rc::Rc;

use dolmen_core::{AdjointOperator, Comm, CsrMatrix, Layout, LinearOperator, Real, Scalar, Vector, check_adjoint};
use dolmen_solvers::{
    BlockJacobi, Cg, ChebyshevPolynomial, Error, Fgmres, FlexibleCg, Gmres, Ilu, Jacobi, Multigrid,
    PreconditionerSettings, SinglePrecision, Solver,
};
use dolmen_tests::{Checksums, TestResult, message};

use crate::multigrid::laplacian;

const SIDE: u64 = 24;

fn rhs<T: Scalar>(layout: &Layout, size: f64) -> Vector<T> {
    Vector::from_fn(layout, |row| T::from_parts(size * (1.0 + (row % 7) as f64 / 8.0), -size * (row % 3) as f64))
}

/// Twelve digits, of systems in units whose numbers single precision cannot hold.
pub(crate) fn solves<T: Scalar>(comm: &Comm) -> TestResult {
    for size in [1.0, 1e-90, 1e120] {
        let mut a = laplacian::<T>(comm, 2, SIDE)?;
        a.scale(T::from_parts(size, 0.0));
        let b = rhs::<T>(a.range(), 1.0 / size);
        let multigrid = SinglePrecision::new(&a, |single| Multigrid::new(&single))?;
        // A method that takes a preconditioner that varies loses nothing by the rounding.
        let solvers: [(Box<dyn Solver<T>>, usize); 4] = [
            (Box::new(FlexibleCg::new().rtol(1e-12).preconditioner(&multigrid)), 2),
            (Box::new(Fgmres::new().rtol(1e-12).preconditioner(&multigrid)), 2),
            (Box::new(Cg::new().rtol(1e-12).preconditioner(&multigrid)), 13),
            (Box::new(Gmres::new().rtol(1e-12).preconditioner(&multigrid)), 13),
        ];
        let double = Multigrid::new(&a)?;
        let mut x = Vector::zeros(a.domain());
        let expected = FlexibleCg::new().rtol(1e-12).preconditioner(&double).solve(&a, &b, &mut x)?.iterations;
        for (solver, more) in solvers {
            let mut x = Vector::zeros(a.domain());
            let report = solver.solve(&a, &b, &mut x)?;
            assert!(report.converged(), "{size:e}: {report}");
            assert!(report.iterations <= expected + more, "{size:e}: not {expected}: {report}");
        }
    }
    Ok(())
}

/// The same numbers as the preconditioner in single precision, applied by hand.
pub(crate) fn agrees<T: Scalar>(comm: &Comm) -> TestResult {
    let a = laplacian::<T>(comm, 2, SIDE)?;
    let low = laplacian::<T::Single>(comm, 2, SIDE)?;
    let wrapped = SinglePrecision::new(&a, |single| ChebyshevPolynomial::new(single, 3))?;
    let alone = ChebyshevPolynomial::new(&low, 3)?;
    let (x, x_low) = (rhs::<T>(a.range(), 1.0), rhs::<T::Single>(a.range(), 1.0));
    let (mut y, mut y_low) = (Vector::zeros(a.domain()), Vector::zeros(a.domain()));
    wrapped.apply(&x, &mut y)?;
    alone.apply(&x_low, &mut y_low)?;
    for (high, low) in y.owned().iter().zip(y_low.owned()) {
        let error = (high.re().to_f64() - low.re().to_f64()).hypot(high.im().to_f64() - low.im().to_f64());
        assert!(error <= 1e-6 * (1.0 + low.re().to_f64().abs()), "{high}, not {low}");
    }
    assert!(check_adjoint(&wrapped, 7)? < 1e-5);
    wrapped.apply(&Vector::zeros(a.range()), &mut y)?;
    assert_eq!(y.norm2(), 0.0);
    wrapped.apply(&Vector::from_fn(a.range(), |_| T::from_parts(f64::NAN, 0.0)), &mut y)?;
    assert!(y.norm2().is_nan());
    // An unsymmetric one, whose adjoint is another.
    let layout = a.range();
    let general = CsrMatrix::<T>::from_rows(layout, layout, |row, entries| {
        entries.push(row, T::from_parts(4.0, 1.0));
        if row + 1 < layout.global_len() {
            entries.push(row + 1, T::from_parts(-1.5, 0.5));
        }
    })?;
    let ilu = SinglePrecision::new(&general, |single| BlockJacobi::new(&single, |block| Ilu::new(block, 0)))?;
    assert!(check_adjoint(&ilu, 3)? < 1e-5);
    Ok(())
}

pub(crate) fn settings(comm: &Comm) -> TestResult {
    let a = Rc::new(laplacian::<f64>(comm, 2, SIDE)?);
    let b = rhs::<f64>(a.range(), 1.0);
    for text in
        ["single(multigrid)", "single(chebyshev)", "single(multiplicative(jacobi, chebyshev, jacobi))", "single(ic)"]
    {
        let settings: PreconditionerSettings = text.parse()?;
        assert_eq!(settings.to_string(), text.replace("preconditioner=", ""));
        // The matrix may be gone: what keeps it shares it.
        let made = settings.make_shared(&Rc::new(a.as_ref().clone()))?.expect("a preconditioner");
        let mut x = Vector::zeros(a.domain());
        let report = Gmres::new().rtol(1e-11).preconditioner(&*made).solve(&a, &b, &mut x)?;
        assert!(report.converged(), "{text}: {report}");
        let borrowed = settings.make(&a)?.expect("a preconditioner");
        let (mut y, mut z) = (x.clone(), x.clone());
        made.apply_adjoint(&b, &mut y)?;
        borrowed.apply_adjoint(&b, &mut z)?;
        assert_eq!(y.owned(), z.owned(), "{text}");
    }
    let multigrid: PreconditionerSettings = "single(multigrid)".parse()?;
    assert!(multigrid.is_same_on_any_ranks() && !multigrid.is_hermitian());
    let alone = "single".parse::<PreconditionerSettings>();
    assert!(matches!(&alone, Err(Error::BadValue { name: "single", .. })), "{alone:?}");
    // The row of a failure is named as without the wrapper.
    let layout = a.range();
    let hollow = CsrMatrix::<f64>::from_rows(layout, layout, |row, entries| {
        entries.push(row, if row == 5 { 0.0 } else { 1.0 })
    })?;
    let text = message(comm, SinglePrecision::new(&hollow, |single| Jacobi::new(&*single)))?;
    assert!(text.contains("row 5"), "{text}");
    Ok(())
}

pub(crate) fn bits<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let a = laplacian::<T>(comm, 2, SIDE)?;
    let b = rhs::<T>(a.range(), 1.0);
    let m = SinglePrecision::new(&a, |single| Multigrid::new(&single))?;
    let mut x = Vector::zeros(a.domain());
    let report = FlexibleCg::new().rtol(1e-10).preconditioner(&m).solve(&a, &b, &mut x)?;
    Ok(vec![("iterations".into(), report.iterations as u64), ("norm".into(), x.norm2().to_bits())])
}
