//! Cases on the matrix of a file: `c.spmv.NAME` and so on, as `scripts/bench-petsc.py` times them for PETSc.
//!
//! Solves start from zero; their solution is not constant, since the diagonal of a Laplacian turns the product with a
//! constant into a constant, and one step would do. A case that does not apply prints a line with `skipped`.

use std::hint::black_box;

use dolmen_core::{CsrMatrix, Duplicates, LinearOperator, Vector};
use dolmen_io::{Location, Result};
use dolmen_solvers::{Analysis, BlockJacobi, Cg, Gmres, Ic, Ilu, Jacobi, Multigrid, Settings, SolveReport, Solver};

use super::product_bytes;
use crate::measure::{Bench, Case};

/// A matrix of a file, and what its cases are called.
struct Given<'b> {
    bench: &'b Bench,
    name: &'b str,
    a: CsrMatrix<f64>,
}

/// Solves that need more iterations are left out.
const MAX_ITERATIONS: usize = 1000;

fn settings<'m>(m: &'m dyn LinearOperator<f64>) -> Settings<'m, f64> {
    Settings::new().max_iterations(MAX_ITERATIONS).preconditioner(m)
}

fn entry(row: u64) -> f64 {
    1.0 + (row % 13) as f64 / 16.0
}

/// Times the cases on the matrix at `from`, whose names end in `name`.
pub(crate) fn run(bench: &Bench, from: &Location, name: &str) -> Result<()> {
    let given = Given { bench, name, a: dolmen_io::read_matrix(&bench.comm, from)? };
    given.products();
    given.assembly()?;
    given.solves();
    Ok(())
}

impl Given<'_> {
    fn name(&self, case: &str) -> String {
        format!("{case}.{}", self.name)
    }

    fn case<'c>(&self, name: &'c str, bytes: f64) -> Case<'c> {
        Case { name, n: self.a.range().global_len(), entries: self.a.global_entries(), bytes }
    }

    fn products(&self) {
        let (bench, a, bytes) = (self.bench, &self.a, product_bytes(&self.a));
        let (name, transposed, transpose) = (self.name("c.spmv"), self.name("c.spmvT"), self.name("e.transpose"));
        let (x, mut y) = (Vector::from_fn(a.domain(), entry), Vector::zeros(a.range()));
        bench.case(&self.case(&name, bytes), || a.apply(&x, &mut y).expect("layouts of the matrix"));
        let (x, mut y) = (Vector::from_fn(a.range(), entry), Vector::zeros(a.domain()));
        bench.case(&self.case(&transposed, bytes), || a.apply_transpose(&x, &mut y).expect("layouts of the matrix"));
        bench.case(&self.case(&transpose, 0.0), || {
            black_box(a.transpose().expect("few columns"));
        });
    }

    /// The matrix from its own entries, and new values on its pattern.
    fn assembly(&self) -> Result<()> {
        let (name, refill) = (self.name("d.assembly"), self.name("d.refill"));
        if !self.bench.wants(&name) && !self.bench.wants(&refill) {
            return Ok(());
        }
        let (range, domain) = (self.a.range(), self.a.domain());
        let entries: Vec<(u64, u64, f64)> = self
            .a
            .rows()
            .flat_map(|row| row.entries().map(move |(column, value)| (row.index(), column, value)))
            .collect();
        let assemble = || {
            CsrMatrix::from_triplets(range, domain, entries.iter().copied(), Duplicates::Add)
                .expect("entries of the matrix")
        };
        self.bench.case(&self.case(&name, 0.0), || {
            black_box(assemble());
        });
        if self.bench.wants(&refill) {
            let mut a = assemble();
            let plan = a.plan_refill(entries.iter().map(|&(i, j, _)| (i, j)), Duplicates::Add)?;
            let values: Vec<f64> = entries.iter().map(|entry| entry.2).collect();
            self.bench.case(&self.case(&refill, 0.0), || a.refill(&plan, &values).expect("the planned pattern"));
        }
        Ok(())
    }

    fn solves(&self) {
        let names = ["f.cg_jacobi", "f.cg_icc0", "f.cg_multigrid", "f.gmres30_ilu0"].map(|case| self.name(case));
        let wanted: Vec<&str> = names.iter().map(String::as_str).filter(|name| self.bench.wants(name)).collect();
        if wanted.is_empty() {
            return;
        }
        let a = &self.a;
        if a.range() != a.domain() {
            return wanted.iter().for_each(|name| self.bench.skip(name, "not square"));
        }
        let mut b = Vector::zeros(a.range());
        a.apply(&Vector::from_fn(a.domain(), entry), &mut b).expect("layouts of the matrix");
        let hermitian = Analysis::new(a).is_ok_and(|analysis| analysis.hermitian);
        for name in names[..3].iter().filter(|name| self.bench.wants(name) && !hermitian) {
            self.bench.skip(name, "not symmetric");
        }
        if hermitian {
            self.solve(&names[0], &b, || Jacobi::new(a), |m| Box::new(Cg::from(settings(m))));
            let cholesky = || BlockJacobi::new(a, Ic::new);
            self.solve(&names[1], &b, cholesky, |m| Box::new(Cg::from(settings(m))));
            self.solve(&names[2], &b, || Multigrid::new(a), |m| Box::new(Cg::from(settings(m))));
        }
        let factors = || BlockJacobi::new(a, |block| Ilu::new(block, 0));
        self.solve(&names[3], &b, factors, |m| Box::new(Gmres::from(settings(m)).restart(30)));
    }

    /// Times a solve, which is first tried: setup may fail, and the solve not converge.
    fn solve<M>(
        &self,
        name: &str,
        b: &Vector<f64>,
        setup: impl Fn() -> dolmen_solvers::Result<M>,
        solver: impl for<'m> Fn(&'m M) -> Box<dyn Solver<f64> + 'm>,
    ) {
        if !self.bench.wants(name) {
            return;
        }
        let solve = |m: &M| {
            let mut x = Vector::zeros(self.a.domain());
            solver(m).solve(&self.a, b, &mut x)
        };
        let tried = setup().and_then(|m| solve(&m)).and_then(SolveReport::require_converged);
        match tried {
            Ok(_) => self.bench.solve(
                &self.case(name, 0.0),
                || setup().expect("it was tried"),
                |m| solve(m).expect("it was tried"),
            ),
            Err(error) => self.bench.skip(name, &error.to_string()),
        }
    }
}
