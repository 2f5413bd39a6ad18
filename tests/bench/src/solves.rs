//! Solves, setup and iterations apart: the problems, right-hand sides, tolerances and norms of the
//! peers' cases of the same names.

use dolmen_core::{CsrMatrix, LinearOperator, Reduction, Result, Vector};
use dolmen_solvers::{BiCgStab, BlockJacobi, Cg, Gmres, Ic, Ilu, Jacobi, Multigrid, Settings, SolveReport, Solver};

use crate::matrices::build;
use crate::measure::{Bench, Case};
use crate::problems::Problem;

/// A right-hand side of ones, from a guess of zero.
struct System {
    a: CsrMatrix<f64>,
    b: Vector<f64>,
}

impl System {
    fn new(bench: &Bench, problem: Problem, n: u64) -> Result<System> {
        let a = build(bench, problem, n)?;
        let b = Vector::from_fn(a.range(), |_| 1.0);
        Ok(System { a, b })
    }

    fn case<'c>(&self, name: &'c str) -> Case<'c> {
        Case { name, n: self.b.global_len(), entries: self.a.global_entries(), bytes: 0.0 }
    }

    fn solve(&self, solver: &dyn Solver<f64>) -> SolveReport {
        let mut x = Vector::zeros(self.a.domain());
        solver.solve(&self.a, &self.b, &mut x).expect("valid settings")
    }
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    poisson(bench)?;
    convection(bench)?;
    latency(bench)
}

fn poisson(bench: &Bench) -> Result<()> {
    const NAMES: [&str; 5] = [
        "f.poisson.cg_jacobi",
        "f.poisson.cg_jacobi.fast",
        "f.poisson.cg_icc0",
        "f.poisson.cg_ilu0",
        "f.poisson.cg_multigrid",
    ];
    if !NAMES.iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let system = System::new(bench, Problem::Seven, 128)?;
    let jacobi = || Jacobi::new(&system.a).expect("a diagonal of six");
    for (name, reduction) in [(NAMES[0], Reduction::Reproducible), (NAMES[1], Reduction::Fast)] {
        bench.solve(&system.case(name), &jacobi, |m| system.solve(&Cg::new().reduction(reduction).preconditioner(m)));
    }
    let cholesky = || BlockJacobi::new(&system.a, Ic::new).expect("an M-matrix");
    bench.solve(&system.case(NAMES[2]), cholesky, |m| system.solve(&Cg::new().preconditioner(m)));
    bench.solve(&system.case(NAMES[3]), || ilu(&system), |m| system.solve(&Cg::new().preconditioner(m)));
    let multigrid = || Multigrid::new(&system.a).expect("a positive diagonal");
    bench.solve(&system.case(NAMES[4]), multigrid, |m| system.solve(&Cg::new().preconditioner(m)));
    Ok(())
}

fn convection(bench: &Bench) -> Result<()> {
    const NAMES: [&str; 2] = ["f.convdiff.bicgstab_ilu0", "f.convdiff.gmres30_ilu0"];
    if !NAMES.iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let system = System::new(bench, Problem::Convection, 128)?;
    bench.solve(&system.case(NAMES[0]), || ilu(&system), |m| system.solve(&BiCgStab::new().preconditioner(m)));
    bench.solve(&system.case(NAMES[1]), || ilu(&system), |m| system.solve(&gmres(m)));
    Ok(())
}

fn ilu(system: &System) -> BlockJacobi<Ilu<f64>> {
    BlockJacobi::new(&system.a, |block| Ilu::new(block, 0)).expect("an M-matrix")
}

fn gmres(m: &BlockJacobi<Ilu<f64>>) -> Gmres<'_, f64> {
    Gmres::from(Settings::new().preconditioner(m)).restart(30)
}

/// Sixty iterations on 32^3: what starting them costs.
fn latency(bench: &Bench) -> Result<()> {
    let name = "k.cg.32";
    if !bench.wants(name) {
        return Ok(());
    }
    let system = System::new(bench, Problem::Seven, 32)?;
    let jacobi = || Jacobi::new(&system.a).expect("a diagonal of six");
    bench.solve(&system.case(name), &jacobi, |m| {
        system.solve(&Cg::new().rtol(0.0).max_iterations(60).preconditioner(m))
    });
    Ok(())
}
