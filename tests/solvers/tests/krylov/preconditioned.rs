//! Every method with every preconditioner, against a dense solve.

use dolmen_core::{
    AdjointOperator, CsrMatrix, FnOperator, Graph, Layout, LinearOperator, Result as CoreResult, Scalar, Vector,
};
use dolmen_solvers::{
    Additive, AdditiveSchwarz, BlockJacobi, Cgls, ChebyshevPolynomial, Cholesky, Direct, Ic, Ilu, Ilut, Jacobi, Ldlt,
    Lsmr, Lsqr, Lu, Method, Multiplicative, Permuted, PointBlockJacobi, Schwarz, Settings, Sor, Sweep,
};
use dolmen_tests::{Comm, TestResult, oracle};

use crate::references::matrix;
use crate::stencil::audit;
use crate::table::{Kind, assert_solution, double, entry, methods, rhs, scalar, tolerance};

const ORDER: u64 = 30;

/// A preconditioner of the table.
struct Entry<'a, T: Scalar> {
    name: &'static str,
    /// Hermitian and positive definite, if the matrix is.
    definite: bool,
    /// Its product with the matrix has a spectral radius below two, as stationary iterations want it.
    scaled: bool,
    m: Box<dyn AdjointOperator<T> + 'a>,
}

/// Entries far from the diagonal are not stored.
fn sparse(kind: Kind, row: u64, column: u64) -> dolmen_core::Complex64 {
    if [0, 1, 2, 7].contains(&row.abs_diff(column)) { entry(kind, row, column) } else { 0.0.into() }
}

/// An even number of rows on each rank, none on the second, if there is one.
fn layout(comm: &Comm) -> TestResult<Layout> {
    let share = |rank: usize| if rank > 1 { 8 } else { 0 };
    let others: usize = (1..comm.size()).map(share).sum();
    let own = if comm.rank() == 0 { usize::try_from(ORDER)? - others } else { share(comm.rank()) };
    Ok(Layout::from_local_len(comm, own)?)
}

pub(crate) fn table<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm)?;
    for kind in [Kind::Definite, Kind::General] {
        let a = matrix::<T>(&layout, &layout, |i| {
            let stored = (0..ORDER).filter(|&j| sparse(kind, i, j) != 0.0.into());
            stored.map(|j| (j, scalar(sparse(kind, i, j)))).collect()
        })?;
        let b = Vector::from_fn(&layout, |i| scalar::<T>(rhs(i)));
        let dense = (0..ORDER).map(|i| (0..ORDER).map(|j| double::<T>(sparse(kind, i, j))).collect()).collect();
        let exact = oracle::solve(dense, (0..ORDER).map(|i| double::<T>(rhs(i))).collect());
        for entry in preconditioners(&a, kind)? {
            square(&a, &b, &exact, kind, &entry)?;
            least_squares(&a, &b, &exact, &entry)?;
        }
    }
    Ok(())
}

fn square<T: Scalar>(
    a: &CsrMatrix<T>,
    b: &Vector<T>,
    exact: &[T::Double],
    kind: Kind,
    Entry { name, definite, scaled, m }: &Entry<'_, T>,
) -> TestResult {
    // What a Hermitian matrix loses through its preconditioner leaves the methods for general ones.
    let kind = if *definite { kind } else { Kind::General };
    for method in methods(kind).filter(|&method| *scaled || method != Method::Richardson) {
        let mut x = Vector::zeros(a.domain());
        let settings = Settings::new().rtol(tolerance::<T>()).preconditioner(&**m);
        let report = method.solver(settings)?.solve(a, b, &mut x)?;
        assert!(report.converged(), "{} {name}: {report}", T::NAME);
        assert!(report.preconditionings > 0, "{name}: {report}");
        audit(&report, a, b, &x)?;
        assert_solution(&report, &x, exact)?;
    }
    Ok(())
}

fn least_squares<T: Scalar>(
    a: &CsrMatrix<T>,
    b: &Vector<T>,
    exact: &[T::Double],
    Entry { name, m, .. }: &Entry<'_, T>,
) -> TestResult {
    let rtol = tolerance::<T>();
    let mut reports = Vec::new();
    for method in 0..3 {
        let mut x = Vector::zeros(a.domain());
        let report = match method {
            0 => Lsqr::new().rtol(rtol).preconditioner(&**m).solve(a, b, &mut x)?,
            1 => Lsmr::new().rtol(rtol).preconditioner(&**m).solve(a, b, &mut x)?,
            _ => Cgls::new().rtol(rtol).preconditioner(&**m).solve(a, b, &mut x)?,
        };
        assert!(report.converged(), "{} {name}: {report}", T::NAME);
        assert_solution(&report, &x, exact)?;
        reports.push(report.method);
    }
    assert_eq!(reports, ["LSQR", "LSMR", "CGLS"]);
    Ok(())
}

/// All of them; those that need a definite matrix only for one.
fn preconditioners<T: Scalar>(a: &CsrMatrix<T>, kind: Kind) -> TestResult<Vec<Entry<'_, T>>> {
    let mut entries = vec![
        entry_of("Jacobi", true, true, Jacobi::new(a)?),
        entry_of("point-block Jacobi", true, true, PointBlockJacobi::new(a, 2)?),
        entry_of("ILU(0)", true, true, BlockJacobi::new(a, |block| Ilu::new(block, 0))?),
        entry_of("ILU(2)", true, true, BlockJacobi::new(a, |block| Ilu::new(block, 2))?),
        entry_of("ILUT", false, true, BlockJacobi::new(a, |block| Ilut::new(block, 1e-2, 4))?),
        entry_of("SSOR", true, true, BlockJacobi::new(a, |block| Sor::new(block, Sweep::Symmetric, 1.1, 2))?),
        entry_of("SOR", false, true, BlockJacobi::new(a, |block| Sor::new(block, Sweep::Forward, 1.0, 1))?),
        entry_of("LU", true, true, BlockJacobi::new(a, Lu::new)?),
        entry_of("restricted Schwarz", false, true, AdditiveSchwarz::new(a, 1, Schwarz::Restricted, Lu::new)?),
        entry_of("Schwarz", true, false, AdditiveSchwarz::new(a, 1, Schwarz::Symmetric, Lu::new)?),
        entry_of("direct", true, true, Direct::factor(a)?),
        entry_of("shell", true, true, shell(a)?),
        entry_of("additive", true, false, Additive::new(vec![Jacobi::new(a)?, Jacobi::new(a)?])?),
        entry_of("reordered", true, true, reordered(a)?),
    ];
    let parts: Vec<Box<dyn AdjointOperator<T>>> = vec![
        Box::new(Jacobi::new(a)?),
        Box::new(BlockJacobi::new(a, |block| Ilu::new(block, 0))?),
        Box::new(Jacobi::new(a)?),
    ];
    entries.push(entry_of("multiplicative", false, true, Multiplicative::new(a, parts)?));
    if kind == Kind::Definite {
        entries.push(entry_of("IC(0)", true, true, BlockJacobi::new(a, Ic::new)?));
        entries.push(entry_of("Cholesky", true, true, BlockJacobi::new(a, Cholesky::new)?));
        entries.push(entry_of("LDL^T", true, true, BlockJacobi::new(a, Ldlt::new)?));
        entries.push(entry_of("Chebyshev polynomial", true, true, ChebyshevPolynomial::new(a, 3)?));
    }
    Ok(entries)
}

fn entry_of<'a, T: Scalar>(
    name: &'static str,
    definite: bool,
    scaled: bool,
    m: impl AdjointOperator<T> + 'a,
) -> Entry<'a, T> {
    Entry { name, definite, scaled, m: Box::new(m) }
}

/// Halves the entries of every second row, as a closure.
fn shell<T: Scalar>(a: &CsrMatrix<T>) -> TestResult<impl AdjointOperator<T> + use<T>> {
    let halve = |x: &Vector<T>, y: &mut Vector<T>| -> CoreResult<()> {
        y.copy_from(x)?;
        let rows = y.range();
        let odd = rows.zip(y.owned_mut()).filter(|(row, _)| row % 2 == 1);
        odd.for_each(|(_, value)| *value *= T::from_parts(0.5, 0.0));
        Ok(())
    };
    Ok(FnOperator::new(a.range(), a.domain(), halve).with_adjoint(halve))
}

fn reordered<T: Scalar>(a: &CsrMatrix<T>) -> TestResult<impl AdjointOperator<T> + use<T>> {
    let numbers = Graph::from_matrix(a)?.local_reverse_cuthill_mckee();
    Ok(BlockJacobi::new(a, |block| Permuted::new(block, &numbers, |block| Ilu::new(block, 0)))?)
}
