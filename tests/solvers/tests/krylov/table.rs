//! Every method, with and without a preconditioner, in every scalar, against a dense solve.

use dolmen_core::random::Philox;
use dolmen_core::{
    AdjointOperator, Complex32, Complex64, CsrMatrix, Diagonal, Layout, LinearOperator, Product, Real, Scalar, Vector,
};
use dolmen_solvers::{
    Cg, Cgls, Chebyshev, Error, Gmres, Lsmr, Lsqr, Method, Minres, Norm, PipelinedCg, Richardson, Settings, Side,
    SolveReport, Solver,
};
use dolmen_tests::{Comm, TestResult, oracle};

use crate::references::{convection, matrix};
use crate::stencil::{audit, ones};

const ORDER: u64 = 23;

/// Properties of a matrix of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Definite,
    Indefinite,
    General,
}

/// Entries of a well-conditioned matrix: a diagonal, and beside it small numbers.
pub(crate) fn entry(kind: Kind, row: u64, column: u64) -> Complex64 {
    let random = Philox::new(17);
    let number = |i: u64, j: u64| Complex64::new(random.normal(i, 2 * j), random.normal(i, 2 * j + 1)) * 0.03;
    if row == column {
        let size = 1.0 + 0.15 * (row % 3) as f64;
        return Complex64::from(if kind == Kind::Indefinite && row % 2 == 1 { -size } else { size });
    }
    match kind {
        Kind::General => number(row, column),
        _ if row < column => number(row, column),
        _ => number(column, row).conj(),
    }
}

pub(crate) fn rhs(row: u64) -> Complex64 {
    Complex64::new(1.0 + row as f64, if row % 2 == 1 { -2.0 } else { 0.5 })
}

pub(crate) fn scalar<T: Scalar>(value: Complex64) -> T {
    T::from_parts(value.re, value.im)
}

pub(crate) fn double<T: Scalar>(value: Complex64) -> T::Double {
    let rounded: T = scalar(value);
    T::Double::from_parts(rounded.re().to_f64(), rounded.im().to_f64())
}

/// The second rank has nothing, if there is one.
pub(crate) fn layout(comm: &Comm, rows: u64) -> TestResult<Layout> {
    let (ranks, rank) = (comm.size() as u64, comm.rank() as u64);
    let others = ranks.max(2) - 1;
    let share = match rank {
        1 => 0,
        0 => rows - rows / others * (others - 1),
        _ => rows / others,
    };
    Ok(Layout::from_local_len(comm, usize::try_from(share)?)?)
}

/// The methods that a kind of matrix is for.
pub(crate) fn methods(kind: Kind) -> impl Iterator<Item = Method> {
    Method::SQUARE.iter().copied().filter(move |name| match kind {
        Kind::Definite => true,
        Kind::Indefinite => {
            [Method::Minres, Method::Symmlq, Method::Gmres, Method::Fgmres, Method::Gcr, Method::BiCgStab, Method::Idr]
                .contains(name)
        }
        Kind::General => [Method::Gmres, Method::Fgmres, Method::Gcr, Method::BiCgStab, Method::Idr].contains(name),
    })
}

pub(crate) fn tolerance<T: Scalar>() -> f64 {
    if T::Real::EPSILON.to_f64() < 1e-10 { 1e-11 } else { 1e-5 }
}

pub(crate) fn assert_solution<T: Scalar>(report: &SolveReport, x: &Vector<T>, exact: &[T::Double]) -> TestResult {
    let size = exact.iter().map(|x| x.abs()).fold(0.0, f64::max);
    for (row, value) in x.range().zip(x.owned()) {
        let value = T::Double::from_parts(value.re().to_f64(), value.im().to_f64());
        let error = (value - exact[usize::try_from(row)?]).abs();
        assert!(error <= 100.0 * tolerance::<T>() * size, "row {row} is off by {error}: {report}");
    }
    Ok(())
}

pub(crate) fn square_methods(comm: &Comm) -> TestResult {
    square::<f32>(comm)?;
    square::<f64>(comm)?;
    square::<Complex32>(comm)?;
    square::<Complex64>(comm)
}

fn square<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm, ORDER)?;
    for kind in [Kind::Definite, Kind::Indefinite, Kind::General] {
        let a = matrix::<T>(&layout, &layout, |i| (0..ORDER).map(|j| (j, scalar(entry(kind, i, j)))).collect())?;
        let b = Vector::from_fn(&layout, |i| scalar::<T>(rhs(i)));
        let dense = (0..ORDER).map(|i| (0..ORDER).map(|j| double::<T>(entry(kind, i, j))).collect()).collect();
        let exact = oracle::solve(dense, (0..ORDER).map(|i| double::<T>(rhs(i))).collect());
        // Positive, since some methods ask for that.
        let jacobi = Diagonal::new(Vector::from_fn(&layout, |i| T::from_parts(1.0 / entry(kind, i, i).norm(), 0.0)));
        for name in methods(kind) {
            for preconditioned in [false, true] {
                let mut settings = Settings::new().rtol(tolerance::<T>());
                if preconditioned {
                    settings = settings.preconditioner(&jacobi);
                }
                let mut x = Vector::from_fn(&layout, |i| T::from_parts((i % 2) as f64, 0.0));
                let report = name.solver(settings)?.solve(&a, &b, &mut x)?;
                audit(&report, &a, &b, &x)?;
                assert!(report.converged(), "{kind:?} {} {preconditioned}: {report}", T::NAME);
                assert_eq!(report.preconditionings > 0, preconditioned, "{report}");
                assert_solution(&report, &x, &exact)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn least_squares_methods(comm: &Comm) -> TestResult {
    least_squares::<f32>(comm)?;
    least_squares::<f64>(comm)?;
    least_squares::<Complex32>(comm)?;
    least_squares::<Complex64>(comm)
}

const TALL: u64 = 31;

type Solve<'a, T> = &'a dyn Fn(&CsrMatrix<T>, &mut Vector<T>) -> dolmen_solvers::Result<SolveReport>;

fn least_squares<T: Scalar>(comm: &Comm) -> TestResult {
    let (rows, columns) = (layout(comm, TALL)?, layout(comm, ORDER)?);
    let a = matrix::<T>(&rows, &columns, |i| (0..ORDER).map(|j| (j, scalar(entry(Kind::General, i, j)))).collect())?;
    let b = Vector::from_fn(&rows, |i| scalar::<T>(rhs(i)));
    let dense: Vec<Vec<_>> =
        (0..TALL).map(|i| (0..ORDER).map(|j| double::<T>(entry(Kind::General, i, j))).collect()).collect();
    let exact = oracle::least_squares(&dense, &(0..TALL).map(|i| double::<T>(rhs(i))).collect::<Vec<_>>());
    let scaling = Diagonal::new(Vector::from_fn(&columns, |j| T::from_parts(1.0 / (1.0 + (j % 4) as f64), 0.3)));
    let from_guess = |solve: Solve<'_, T>| {
        let mut x = Vector::from_fn(&columns, |i| T::from_parts((i % 2) as f64, 0.0));
        let report = solve(&a, &mut x)?;
        assert!(report.converged(), "{}: {report}", T::NAME);
        assert_solution(&report, &x, &exact)
    };
    let rtol = tolerance::<T>() / 10.0;
    from_guess(&|a, x| Lsqr::new().rtol(rtol).solve(a, &b, x))?;
    from_guess(&|a, x| Lsmr::new().rtol(rtol).solve(a, &b, x))?;
    from_guess(&|a, x| Cgls::new().rtol(rtol).solve(a, &b, x))?;
    let m: &dyn AdjointOperator<T> = &scaling;
    from_guess(&|a, x| Lsqr::new().rtol(rtol).preconditioner(m).solve(a, &b, x))?;
    from_guess(&|a, x| Lsmr::new().rtol(rtol).preconditioner(m).solve(a, &b, x))?;
    from_guess(&|a, x| Cgls::new().rtol(rtol).preconditioner(m).solve(a, &b, x))
}

/// A preconditioner from the left, measured both ways, that changes the norm a lot.
pub(crate) fn gmres_sides(comm: &Comm) -> TestResult {
    let (layout, a) = convection::<f64>(comm, 24)?;
    let b = ones(&layout);
    let m = Diagonal::new(Vector::from_fn(&layout, |i| if i < 100 { 100.0 } else { 0.2 }));
    for (side, norm) in [(Side::Right, Norm::True), (Side::Left, Norm::True), (Side::Left, Norm::Preconditioned)] {
        let mut x = Vector::zeros(&layout);
        let report = Gmres::new().side(side).norm(norm).restart(60).preconditioner(&m).solve(&a, &b, &mut x)?;
        assert!(report.converged(), "{side:?} {norm:?}: {report}");
        if norm == Norm::True {
            audit(&report, &a, &b, &x)?;
        } else {
            let (mut r, mut z) = (Vector::zeros(&layout), Vector::zeros(&layout));
            a.apply(&x, &mut r)?;
            r.axpby(1.0, &b, -1.0)?;
            m.apply(&r, &mut z)?;
            assert!(z.norm2() <= report.target, "{report}");
            assert_eq!(report.true_residual, r.norm2());
            m.apply(&b, &mut z)?;
            assert_eq!(report.target, 1e-8 * z.norm2());
        }
    }
    Ok(())
}

/// The iterates are those of the scaled system, solved without a preconditioner.
pub(crate) fn gmres_split(comm: &Comm) -> TestResult {
    let (layout, a) = convection::<f64>(comm, 24)?;
    let b = ones(&layout);
    let left = Diagonal::new(Vector::from_fn(&layout, |i| if i < 100 { 3.0 } else { 0.5 }));
    let right = Diagonal::new(Vector::from_fn(&layout, |i| 1.0 / (1.0 + (i % 7) as f64)));
    let scaled = Product::new(&left, Product::new(&a, &right)?)?;
    let mut scaled_b = Vector::zeros(&layout);
    left.apply(&b, &mut scaled_b)?;
    for limit in [5, 10_000] {
        let settings = || Settings::new().max_iterations(limit).norm(Norm::Preconditioned);
        let mut y = Vector::zeros(&layout);
        let expected = Gmres::from(settings()).restart(20).solve(&scaled, &scaled_b, &mut y)?;
        let mut expected_x = Vector::zeros(&layout);
        right.apply(&y, &mut expected_x)?;
        let mut x = Vector::zeros(&layout);
        let split = Gmres::from(settings().preconditioner(&left)).restart(20).split(&right);
        let report = split.solve(&a, &b, &mut x)?;
        assert_eq!((report.reason, report.iterations), (expected.reason, expected.iterations));
        let size = expected_x.norm_inf();
        x.axpy(-1.0, &expected_x)?;
        assert!(x.norm_inf() < 1e-12 * size, "{limit}: off by {} of {size}", x.norm_inf());
    }
    let mut x = Vector::zeros(&layout);
    let report = Gmres::new().preconditioner(&left).split(&right).solve(&a, &b, &mut x)?;
    assert!(report.converged(), "{report}");
    assert!(report.preconditionings >= 2 * report.iterations, "{report}");
    audit(&report, &a, &b, &x)
}

/// Each norm is measured as its definition says.
pub(crate) fn norms(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 400);
    let a = matrix(&layout, &layout, |i| crate::stencil::laplacian(i, &[20, 20], 4.5))?;
    let b = ones(&layout);
    let m = Diagonal::new(Vector::from_fn(&layout, |i| 1.0 + (i % 5) as f64));
    for norm in [Norm::True, Norm::Preconditioned, Norm::Natural] {
        let solvers: [&dyn Solver<f64>; 4] = [
            &Cg::new().norm(norm).preconditioner(&m),
            &PipelinedCg::new().norm(norm).preconditioner(&m),
            &Chebyshev::new().norm(norm).preconditioner(&m),
            &Richardson::new().damping(0.02).norm(norm).preconditioner(&m),
        ];
        let minres = Minres::new().norm(norm).preconditioner(&m);
        let fits: &[&dyn Solver<f64>] = if norm == Norm::Preconditioned { &[] } else { &[&minres] };
        for solver in solvers.iter().chain(fits) {
            let mut x = Vector::zeros(&layout);
            let report = solver.solve(&a, &b, &mut x)?;
            assert!(report.converged(), "{norm:?}: {report}");
            let mut r = Vector::zeros(&layout);
            a.apply(&x, &mut r)?;
            r.axpby(1.0, &b, -1.0)?;
            let size = |r: &Vector<f64>| -> TestResult<f64> {
                let mut z = Vector::zeros(r.layout());
                m.apply(r, &mut z)?;
                Ok(match norm {
                    Norm::True => r.norm2(),
                    Norm::Preconditioned => z.norm2(),
                    Norm::Natural => r.dot(&z)?.sqrt(),
                })
            };
            assert_eq!(report.history[report.iterations], size(&r)?, "{norm:?}: {report}");
            assert_eq!(report.target, 1e-8 * size(&b)?);
        }
    }
    let refused = Minres::new().norm(Norm::Preconditioned).preconditioner(&m).solve(&a, &b, &mut b.clone());
    assert_eq!(refused, Err(Error::Norm { method: "MINRES", norm: Norm::Preconditioned }));
    Ok(())
}
