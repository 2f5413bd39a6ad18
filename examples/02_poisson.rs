//! The Poisson equation on the unit square: a matrix from its rows, and conjugate gradients.
//!
//! Runs on any number of ranks; meant for four:
//!
//!     cargo build --examples
//!     scripts/mpirun.sh -n 4 target/debug/examples/02_poisson
//!
//! `-u_xx - u_yy = 2 (x (1 - x) + y (1 - y))` with `u = 0` on the border has the solution
//! `u = x (1 - x) y (1 - y)`. The five-point differences of that polynomial are exact, so the
//! computed solution differs from it by what the solver leaves, and by nothing else. Its bits are the
//! same on any number of ranks.

use std::process::ExitCode;

use dolmen::prelude::*;

/// Inner points in each direction.
const SIDE: u64 = 63;
const STEP: f64 = 1.0 / (SIDE + 1) as f64;

fn main() -> ExitCode {
    Comm::run(poisson)
}

/// Coordinates of an unknown.
fn point(row: u64) -> (f64, f64) {
    ((row % SIDE + 1) as f64 * STEP, (row / SIDE + 1) as f64 * STEP)
}

fn poisson(comm: &Comm) -> Result<(), Box<dyn std::error::Error>> {
    let layout = Layout::uniform(comm, SIDE * SIDE);
    let a = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        let (i, j) = (row % SIDE, row / SIDE);
        let neighbors = [
            (j > 0).then(|| row - SIDE),
            (i > 0).then(|| row - 1),
            (i < SIDE - 1).then(|| row + 1),
            (j < SIDE - 1).then(|| row + SIDE),
        ];
        entries.push(row, 4.0 / (STEP * STEP));
        neighbors.into_iter().flatten().for_each(|column| entries.push(column, -1.0 / (STEP * STEP)));
    })?;
    let b = Vector::from_fn(&layout, |row| {
        let (x, y) = point(row);
        2.0 * (x * (1.0 - x) + y * (1.0 - y))
    });

    let jacobi = Jacobi::new(&a)?;
    let mut u = Vector::zeros(&layout);
    let report = Cg::new().rtol(1e-10).preconditioner(&jacobi).solve(&a, &b, &mut u)?.require_converged()?;

    let exact = Vector::from_fn(&layout, |row| {
        let (x, y) = point(row);
        x * (1.0 - x) * y * (1.0 - y)
    });
    let mut error = u.clone();
    error.axpy(-1.0, &exact)?;
    let relative = error.norm2() / exact.norm2();
    // All ranks take part in a norm; one prints it.
    let norm = u.norm2();
    if comm.rank() == 0 {
        println!("{} unknowns, {} entries", a.range().global_len(), a.global_entries());
        println!("{report}");
        println!("relative error {relative:.1e}; |u| = {norm:?}");
    }
    if relative > 1e-8 {
        return Err(format!("the relative error {relative:.1e} is above 1e-8").into());
    }
    Ok(())
}
