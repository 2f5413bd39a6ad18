//! A mistake or a failure of one rank is the same error on all of them.

use dolmen_core::{Comm, Diagonal, Error as CoreError, Layout, Vector};
use dolmen_solvers::{Anderson, Error, Forcing, Jacobian, Newton, NonlinearCg, Result};
use dolmen_tests::{TestResult, message};

use crate::problems::{Cubic, layout};

fn says<V>(comm: &Comm, result: Result<V>, part: &str) -> TestResult {
    let text = message(comm, result)?;
    if text.contains(part) { Ok(()) } else { Err(format!("'{text}' does not say '{part}'").into()) }
}

fn broken(rank: usize) -> CoreError {
    CoreError::Agreed { rank, everywhere: false, message: "the table ends at 300 K".into() }
}

pub(crate) fn failures(comm: &Comm) -> TestResult {
    let layout = layout(comm, 21)?;
    let cubic = Cubic::<f64>::new(&layout, 0.2)?;
    let last = comm.rank() + 1 == comm.size();
    for after in [0, 3] {
        let function = |x: &Vector<f64>, y: &mut Vector<f64>| {
            cubic.apply(x, y)?;
            if last && cubic.evaluations.get() > after { Err(broken(comm.rank())) } else { Ok(()) }
        };
        let fresh = || {
            cubic.evaluations.set(0);
            cubic.guess()
        };
        let mut x = fresh();
        says(comm, Newton::new().solve(&function, &mut cubic.jacobian(), &mut x), "the table ends at 300 K")?;
        let mut x = fresh();
        says(comm, Newton::new().solve(&function, &mut Jacobian::matrix_free(), &mut x), "the table ends at 300 K")?;
        let mut x = fresh();
        says(comm, Newton::new().solve(&function, &mut Jacobian::colored(&cubic.a)?, &mut x), "the table ends")?;
        let mut x = fresh();
        says(comm, Anderson::new().damping(0.08).solve(&function, &mut x), "the table ends at 300 K")?;
        let mut x = fresh();
        says(comm, NonlinearCg::new().solve(&function, &mut x), "the table ends at 300 K")?;
    }
    let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
    let fails = |_: &Vector<f64>| if last { Err(broken(comm.rank())) } else { Ok(()) };
    let mut filled = Jacobian::matrix(cubic.a.clone(), |x, _| fails(x));
    says(comm, Newton::new().solve(&function, &mut filled, &mut cubic.guess()), "the table ends at 300 K")?;
    let mut made = Jacobian::operator(|x| {
        fails(x)?;
        Ok(Box::new(cubic.a.clone()))
    });
    says(comm, Newton::new().solve(&function, &mut made, &mut cubic.guess()), "the table ends at 300 K")?;
    Ok(())
}

pub(crate) fn settings(comm: &Comm) -> TestResult {
    let layout = layout(comm, 21)?;
    let cubic = Cubic::<f64>::new(&layout, 0.2)?;
    let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
    let solve = |newton: Newton<'_, f64>| newton.solve(&function, &mut cubic.jacobian(), &mut cubic.guess());
    says(comm, solve(Newton::new().rtol(-1.0)), "Newton with line search: rtol is -1")?;
    says(comm, solve(Newton::new().atol(f64::NAN)), "atol is NaN")?;
    says(comm, solve(Newton::new().dtol(0.5)), "dtol is 0.5, expected one or more")?;
    says(
        comm,
        solve(Newton::new().forcing(Forcing::Fixed(1.0))),
        "forcing is 1, expected zero or more, and less than one",
    )?;
    says(comm, solve(Newton::new().lag_jacobian(0)), "lag_jacobian is 0, expected one or more")?;
    says(comm, solve(Newton::new().lag_preconditioner(0)), "lag_preconditioner is 0")?;
    says(comm, solve(Newton::new().trust_region(Some(-1.0))), "Newton with trust region: radius is -1")?;
    says(comm, solve(Newton::new().linear("lsqr".parse()?)), "lsqr solves least-squares problems")?;
    let elsewhere = Layout::uniform(comm, 20);
    let short = Diagonal::new(Vector::from_fn(&elsewhere, |_| 1.0));
    says(comm, solve(Newton::new().preconditioner(&short)), "preconditioner or projection: the operands live on")?;
    says(
        comm,
        Newton::new().solve(&function, &mut cubic.jacobian(), &mut Vector::zeros(&elsewhere)),
        "rows of the Jacobian",
    )?;
    let free = |newton: Newton<'_, f64>| newton.solve(&function, &mut Jacobian::matrix_free(), &mut cubic.guess());
    for newton in [Newton::new().trust_region(None), Newton::new().linear("gmres, jacobi".parse()?)] {
        let refused = free(newton);
        assert!(matches!(&refused, Err(error) if matches!(error.cause(), Error::NoMatrix { .. })), "{refused:?}");
        says(comm, refused, "a matrix of the Jacobian is needed")?;
    }
    says(comm, Anderson::new().damping(0.0).solve(&function, &mut cubic.guess()), "Anderson mixing: damping is 0")?;
    says(comm, Anderson::new().preconditioner(&short).solve(&function, &mut cubic.guess()), "different layouts")?;
    says(comm, NonlinearCg::new().preconditioner(&short).solve(&function, &mut cubic.guess()), "different layouts")
}

pub(crate) fn disagreements(comm: &Comm) -> TestResult {
    let layout = layout(comm, 21)?;
    let cubic = Cubic::<f64>::new(&layout, 0.2)?;
    let function = |x: &Vector<f64>, y: &mut Vector<f64>| cubic.apply(x, y);
    let first = comm.rank() == 0;
    let own = |one: f64, other: f64| if first { one } else { other };
    let refused = Newton::new().rtol(own(1e-6, 1e-8)).solve(&function, &mut cubic.jacobian(), &mut cubic.guess());
    says(comm, refused, "rtol 1e-6 (rank 0), rtol 1e-8 (rank")?;
    let newton = if first { Newton::new() } else { Newton::new().linear("gmres, jacobi".parse()?) };
    says(comm, newton.solve(&function, &mut cubic.jacobian(), &mut cubic.guess()), "preconditioner jacobi (rank")?;
    let mut jacobian = if first { cubic.jacobian() } else { Jacobian::matrix_free() };
    says(comm, Newton::new().solve(&function, &mut jacobian, &mut cubic.guess()), "Jacobian differences (rank")?;
    let depth = if first { 2 } else { 3 };
    says(comm, Anderson::new().depth(depth).solve(&function, &mut cubic.guess()), "depth 2 (rank 0), depth 3 (rank")?;
    says(comm, NonlinearCg::new().atol(own(0.0, 1.0)).solve(&function, &mut cubic.guess()), "atol 0.0 (rank 0)")
}
