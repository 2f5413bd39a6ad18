//! The Bratu problem: Newton's method with multigrid on a nonlinear equation.
//!
//! Runs on any number of ranks; meant for two. A number is that of grid points along a side, 63 by default:
//!
//!     cargo build --release --examples
//!     scripts/mpirun.sh -n 2 target/release/examples/07_bratu 511
//!
//! A solid fuel burns in a unit square whose edges are cold: `-laplace u = 6 exp(u)`. The Jacobian is the matrix of the
//! Laplace operator minus a diagonal, so its values are set where they change; one multigrid hierarchy serves all of Newton's
//! steps. A second solve knows nothing of the Jacobian but its pattern, and finds the same temperatures by differences.
//! The hottest point is as hot as on the finest grids, up to the error of the grid.

use std::process::ExitCode;

use dolmen::prelude::*;
use dolmen::solvers::{Jacobian, Newton};

/// Heat of the reaction; above 6.808 there is no solution.
const HEAT: f64 = 6.0;
/// Temperature of the center, extrapolated from grids of 63 to 255 points along a side.
const HOTTEST: f64 = 0.79711;

fn main() -> ExitCode {
    Comm::run(burn)
}

/// Five-point stencil of `-laplace u`, times the square of the distance of points.
fn laplacian(layout: &Layout, side: u64) -> Result<CsrMatrix<f64>> {
    Ok(CsrMatrix::from_rows(layout, layout, |row, entries| {
        let (i, j) = (row / side, row % side);
        if i > 0 {
            entries.push(row - side, -1.0);
        }
        if j > 0 {
            entries.push(row - 1, -1.0);
        }
        entries.push(row, 4.0);
        if j + 1 < side {
            entries.push(row + 1, -1.0);
        }
        if i + 1 < side {
            entries.push(row + side, -1.0);
        }
    })?)
}

fn burn(comm: &Comm) -> Result<()> {
    let side = comm.agree(side())?;
    let layout = Layout::uniform(comm, side * side);
    let step = 1.0 / (side as f64 + 1.0);
    let heat = HEAT * step * step;
    let laplacian = laplacian(&layout, side)?;
    let residual = |u: &Vector<f64>, y: &mut Vector<f64>| {
        laplacian.apply(u, y)?;
        y.map_with(u, |y, u| y - heat * u.exp())
    };

    let mut jacobian = Jacobian::matrix(laplacian.clone(), |u, j| {
        let diagonal = u.range().zip(u.owned()).map(|(row, u)| (row, row, 4.0 - heat * u.exp()));
        j.set(diagonal)
    });
    let newton = Newton::new().rtol(1e-10).linear("cg, multigrid".parse()?).lag_preconditioner(100);
    let mut u = Vector::zeros(&layout);
    let report = newton.solve(&residual, &mut jacobian, &mut u)?.require_converged()?;
    say(comm, &report.to_string());

    let mut by_differences = Jacobian::colored(&laplacian)?;
    let mut v = Vector::zeros(&layout);
    let again = newton.solve(&residual, &mut by_differences, &mut v)?.require_converged()?;
    v.axpy(-1.0, &u)?;
    let difference = v.norm2() / u.norm2();
    say(comm, &format!("by differences: {} evaluations, relative difference {difference:.1e}", again.evaluations));

    let hottest = u.max_at().map_or(0.0, |(_, u)| u);
    // The error of the grid is that of second differences.
    let allowed = 3.0 * step * step;
    say(
        comm,
        &format!("{side} x {side} points: the hottest one is at {hottest:.5}, within {allowed:.1e} of {HOTTEST}"),
    );
    let right = report.preconditioners == 1 && difference < 1e-6 && (hottest - HOTTEST).abs() < allowed;
    Ok(comm.agree(if right { Ok(()) } else { Err("the temperatures are wrong") })?)
}

/// Returns the first argument, an odd number of points along a side.
fn side() -> std::result::Result<u64, String> {
    let Some(text) = std::env::args().nth(1) else { return Ok(63) };
    match text.parse() {
        Ok(side) if (3..10_000).contains(&side) && side % 2 == 1 => Ok(side),
        _ => Err(format!("{text}: expected an odd number of grid points from 3 to 9999")),
    }
}

fn say(comm: &Comm, text: &str) {
    if comm.rank() == 0 {
        println!("{text}");
    }
}
