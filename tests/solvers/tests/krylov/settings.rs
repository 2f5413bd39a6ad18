//! Ranks with other settings: an error on all of them before the first iteration, with what differs.

use dolmen_core::{Identity, Layout, LinearOperator, MultiVector, Reduction, Vector};
use dolmen_solvers::{
    BlockCg, Chebyshev, Error, Fgmres, Gcr, Gmres, Idr, Method, MethodSettings, Norm, Result, Richardson, Settings,
    Solver, StopReason,
};
use dolmen_tests::{Comm, TestResult};

use crate::references::matrix;
use crate::stencil::laplacian;

/// All ranks fail alike, with a message that contains `part`.
fn differs<V>(comm: &Comm, result: Result<V>, part: &str) -> TestResult {
    let error = result.err().ok_or_else(|| format!("no error that says '{part}'"))?;
    assert!(matches!(error, Error::Core(dolmen_core::Error::RanksDisagree { .. })), "{error}");
    let message = error.to_string();
    assert!(message.contains(part), "'{message}' does not say '{part}'");
    let told = comm.gather(0, message.as_bytes());
    assert!(told.is_none_or(|all| all.iter().all(|other| *other == all[0])), "{message}");
    Ok(())
}

/// One setting at a time, in every method; then all of them solve.
pub(crate) fn other_settings_on_a_rank(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 50);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[50], 2.5))?;
    let b = Vector::from_fn(&layout, |i| 1.0 + i as f64);
    let odd = comm.rank() == 1;
    type Change = (&'static str, fn(Settings<'static, f64>) -> Settings<'static, f64>);
    let changes: [Change; 8] = [
        ("rtol 1e-8 (rank", |settings| settings.rtol(1e-6)),
        ("rtol 1e-6 (rank 1)", |settings| settings.rtol(1e-6)),
        ("rtol -1.0 (rank 1)", |settings| settings.rtol(-1.0)),
        ("atol 0.5 (rank 1)", |settings| settings.atol(0.5)),
        ("dtol 20.0 (rank 1)", |settings| settings.dtol(20.0)),
        ("max_iterations 3 (rank 1)", |settings| settings.max_iterations(3)),
        ("snapshot_every 4 (rank 1)", |settings| settings.snapshot_every(4)),
        ("reduction Fast (rank 1)", |settings| settings.reduction(Reduction::Fast)),
    ];
    for (part, change) in changes {
        let settings = || if odd { change(Settings::new()) } else { Settings::new() };
        for &name in Method::SQUARE {
            let solver = name.solver(settings())?;
            differs(comm, solver.solve(&a, &b, &mut Vector::zeros(&layout)), part)?;
        }
        for &name in Method::LEAST_SQUARES {
            let solver = name.least_squares(settings(), None)?;
            differs(comm, solver.solve(&a, &b, &mut Vector::zeros(&layout)), part)?;
        }
    }
    let restart = |length| Gmres::new().restart(length).solve(&a, &b, &mut Vector::zeros(&layout));
    differs(comm, restart(if odd { 5 } else { 9 }), "restart 9 (rank")?;
    let natural = Settings::new().norm(if odd { Norm::Natural } else { Norm::True });
    differs(comm, Method::Cg.solver(natural)?.solve(&a, &b, &mut Vector::zeros(&layout)), "norm Natural")?;
    let name = if odd { Method::Minres } else { Method::Cg };
    let other = name.solver(Settings::new())?;
    differs(comm, other.solve(&a, &b, &mut Vector::zeros(&layout)), "method MINRES (rank 1)")?;
    let columns = MultiVector::from_vectors(&layout, &[&b, &b])?;
    let block = BlockCg::new().max_iterations(if odd { 3 } else { 300 });
    differs(comm, block.solve(&a, &columns, &mut MultiVector::zeros(&layout, 2)), "max_iterations 3 (rank 1)")?;
    let mut x = Vector::zeros(&layout);
    let values =
        ["gmres(restart=4)", "idr(shadow_dimension=2)", "chebyshev(estimate_steps=9)", "richardson(damping=0.5)"];
    for value in values {
        let settings: MethodSettings = value.parse()?;
        let plain = MethodSettings::from(settings.method());
        let solver = if odd { settings } else { plain }.solver(Settings::new())?;
        let part = value.split(['(', '=']).nth(1).ok_or("no setting")?;
        differs(comm, solver.solve(&a, &b, &mut Vector::zeros(&layout)), part)?;
    }
    assert_eq!(restart(5)?.reason, StopReason::Converged);
    let report = Method::Cg.solver(Settings::new())?.solve(&a, &b, &mut x)?;
    assert_eq!(report.reason, StopReason::Converged);
    Ok(())
}

/// A setting of a method that is out of range on one rank, or on all, is one error, and nothing waits.
pub(crate) fn settings_out_of_range(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 50);
    let a = matrix(&layout, &layout, |i| laplacian(i, &[50], 2.5))?;
    let b = Vector::from_fn(&layout, |i| 1.0 + i as f64);
    let solve = |solver: &dyn Solver<f64>| solver.solve(&a, &b, &mut Vector::zeros(&layout));
    for alone in [true, false] {
        let bad = !alone || comm.rank() == 1;
        let count = usize::from(!bad);
        let refused = [
            ("restart", solve(&Gmres::new().restart(count))),
            ("restart", solve(&Fgmres::new().restart(count))),
            ("restart", solve(&Gcr::new().restart(count))),
            ("shadow_dimension", solve(&Idr::new().shadow_dimension(count))),
            ("estimate_steps", solve(&Chebyshev::new().estimate_steps(count))),
            ("bounds", solve(&Chebyshev::new().bounds(if bad { -1.0 } else { 0.1 }, 4.0))),
            ("damping", solve(&Richardson::new().damping(if bad { 0.0 } else { 0.5 }))),
        ];
        for (setting, result) in refused {
            if alone && comm.size() > 1 {
                differs(comm, result, setting)?;
            } else if bad {
                let error = result.err().ok_or(setting)?;
                assert!(matches!(error.cause(), Error::Setting { .. }), "{setting}: {error}");
            }
        }
    }
    // What is not compared is agreed on: a preconditioner that does not fit on one rank.
    let short = Layout::uniform(comm, 40);
    let fits = Identity::new(&layout);
    let other = Identity::new(&short);
    let right: &dyn LinearOperator<f64> = if comm.rank() == 0 { &other } else { &fits };
    let error = solve(&Gmres::new().split(right)).err().ok_or("a preconditioner of another size is refused")?;
    assert!(matches!(error.cause(), Error::Layout { .. }), "{error}");
    Ok(())
}
