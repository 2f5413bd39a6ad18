//! The Poisson equation on the unit square, with a checkpoint and the solution in a file.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dolmen::prelude::*;

fn main() -> ExitCode {
    Comm::run(poisson)
}

fn poisson(comm: &Comm) -> Result<()> {
    let side = 60;
    let layout = Layout::uniform(comm, side * side);
    let a = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        let (i, j) = (row % side, row / side);
        entries.push(row, 4.0);
        (i > 0).then(|| entries.push(row - 1, -1.0));
        (i + 1 < side).then(|| entries.push(row + 1, -1.0));
        (j > 0).then(|| entries.push(row - side, -1.0));
        (j + 1 < side).then(|| entries.push(row + side, -1.0));
    })?;
    let b = Vector::from_fn(&layout, |_| 1.0);
    let mut x = Vector::zeros(&layout);

    let ic = BlockJacobi::new(&a, Ic::new)?;
    let mut saver = Checkpointer::new(comm, Path::new("saved"), Duration::from_secs(600), "poisson, 60 x 60")?;
    let report = Cg::new().rtol(1e-8).preconditioner(&ic).monitor(&mut saver).solve(&a, &b, &mut x)?;
    saver.finish()?;
    if comm.rank() == 0 {
        println!("{report}");
    }
    report.require_converged()?;
    Ok(())
}
