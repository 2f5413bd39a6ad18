//! Iteration counts of PETSc 3.18 (initial guess zero, natural ordering, contiguous rows, rtol 1e-8 on
//! the norm of the preconditioned residual), and norms of the solutions.

use dolmen_core::{CsrMatrix, Layout, LinearOperator, Vector};
use dolmen_solvers::{
    AdditiveSchwarz, BiCgStab, BlockJacobi, Cg, ChebyshevPolynomial, Direct, Gmres, Ic, Ilu, Jacobi, Lu, Norm, Schwarz,
    Settings, Side, Solver, Sor, Sweep,
};
use dolmen_tests::{Comm, TestResult};

const NORM_A: f64 = 1.132_920_918_415_83e4;
const NORM_B: f64 = 5.150_403_696_385_3e3;
const NORM_C: f64 = 2_777.127_585_5;

/// The matrix of a stencil on a grid of equal sides: a value for each neighbor below and above.
fn stencil(comm: &Comm, sides: u32, side: u64, values: [f64; 3]) -> TestResult<CsrMatrix<f64>> {
    let layout = Layout::uniform(comm, side.pow(sides));
    let strides: Vec<u64> = (0..sides).map(|k| side.pow(k)).collect();
    Ok(CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        for stride in strides.iter().rev().filter(|stride| row / **stride % side > 0) {
            entries.push(row - stride, values[0]);
        }
        entries.push(row, values[1]);
        for stride in strides.iter().filter(|stride| row / **stride % side + 1 < side) {
            entries.push(row + stride, values[2]);
        }
    })?)
}

/// Which count belongs to this number of ranks.
fn on<T: Copy>(comm: &Comm, counts: [T; 3]) -> T {
    counts[match comm.size() {
        1 => 0,
        2 => 1,
        _ => 2,
    }]
}

fn solve(solver: &dyn Solver<f64>, a: &CsrMatrix<f64>, counts: [usize; 3], slack: usize, norm: f64) -> TestResult {
    let b = Vector::from_fn(a.range(), |_| 1.0);
    let mut x = Vector::zeros(a.domain());
    let report = solver.solve(a, &b, &mut x)?;
    let count = on(a.range().comm(), counts);
    assert!(report.converged() && report.iterations.abs_diff(count) <= slack, "not {count}: {report}");
    assert!((x.norm2() / norm - 1.0).abs() < 1e-6, "{}, not {norm}", x.norm2());
    Ok(())
}

/// Conjugate gradients that measure as PETSc does.
fn cg(m: &dyn LinearOperator<f64>) -> Cg<'_, f64> {
    Cg::new().norm(Norm::Preconditioned).preconditioner(m)
}

fn gmres(m: &dyn LinearOperator<f64>) -> Gmres<'_, f64> {
    Gmres::new().side(Side::Left).norm(Norm::Preconditioned).preconditioner(m)
}

pub(crate) fn laplacian_a(comm: &Comm) -> TestResult {
    let a = stencil(comm, 2, 64, [-1.0, 4.0, -1.0])?;
    solve(&cg(&BlockJacobi::new(&a, Ic::new)?), &a, [50, 66, 68], 1, NORM_A)?;
    let lu = AdditiveSchwarz::new(&a, 1, Schwarz::Symmetric, Lu::new)?;
    solve(&cg(&lu), &a, [1, 10, 17], 1, NORM_A)?;
    solve(&cg(&Direct::factor(&a)?), &a, [1, 1, 1], 0, NORM_A)?;
    let ilu = BlockJacobi::new(&a, |block| Ilu::new(block, 0))?;
    solve(&gmres(&ilu), &a, [56, 93, 89], 1, NORM_A)
}

/// Stated apart, since our BiCGStab measures the true residual and preconditions from the right.
pub(crate) fn stabilized(comm: &Comm) -> TestResult {
    let a = stencil(comm, 2, 64, [-1.0, 4.0, -1.0])?;
    let ilu = BlockJacobi::new(&a, |block| Ilu::new(block, 0))?;
    let mut x = Vector::zeros(a.domain());
    let b = Vector::from_fn(a.range(), |_| 1.0);
    let report = BiCgStab::new().preconditioner(&ilu).solve(&a, &b, &mut x)?;
    assert!(report.converged() && report.iterations <= on(comm, [40, 53, 53]) + 2, "{report}");
    Ok(())
}

pub(crate) fn laplacian_b(comm: &Comm) -> TestResult {
    let a = stencil(comm, 3, 32, [-1.0, 6.0, -1.0])?;
    let ssor = BlockJacobi::new(&a, |block| Sor::new(block, Sweep::Symmetric, 1.0, 1))?;
    solve(&cg(&ssor), &a, [39, 48, 47], 1, NORM_B)
}

pub(crate) fn convection_c(comm: &Comm) -> TestResult {
    let a = stencil(comm, 2, 64, [-1.5, 5.0, -1.0])?;
    let ilu = BlockJacobi::new(&a, |block| Ilu::new(block, 0))?;
    solve(&gmres(&ilu), &a, [53, 76, 85], 1, NORM_C)
}

/// Polynomials lessen iterations, as many on any number of ranks.
pub(crate) fn polynomials(comm: &Comm) -> TestResult<dolmen_tests::Checksums> {
    let a = stencil(comm, 2, 64, [-1.0, 4.0, -1.0])?;
    let b = Vector::from_fn(a.range(), |_| 1.0);
    let mut checksums = Vec::new();
    let mut count = |name: &str, m: &dyn LinearOperator<f64>| -> TestResult<usize> {
        let mut x = Vector::zeros(a.domain());
        let report = Cg::from(Settings::new()).preconditioner(m).solve(&a, &b, &mut x)?;
        assert!(report.converged(), "{report}");
        checksums.push((format!("{name}: norm"), x.norm2().to_bits()));
        checksums.push((format!("{name}: iterations"), report.iterations as u64));
        Ok(report.iterations)
    };
    let jacobi = count("Jacobi", &Jacobi::new(&a)?)?;
    let three = count("degree 3", &ChebyshevPolynomial::new(&a, 3)?)?;
    let six = count("degree 6", &ChebyshevPolynomial::new(&a, 6)?)?;
    assert!(2 * three < jacobi && six < three, "{jacobi}, {three}, {six}");
    Ok(checksums)
}
