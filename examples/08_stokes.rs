//! A slow flow in a box whose lid moves: velocities and pressures, solved by a block factorization whose iterations do not
//! grow with the grid. `mpirun -n 4 target/release/examples/08_stokes`

use std::process::ExitCode;

use dolmen::core::Diagonal;
use dolmen::prelude::*;
use dolmen::solvers::{Fields, SchurForm, SchurPreconditioner};

fn main() -> ExitCode {
    Comm::run(flow)
}

fn flow(comm: &Comm) -> Result<()> {
    let mut counts = Vec::new();
    for cells in [16, 32, 64] {
        let iterations = solve(comm, cells)?;
        if comm.rank() == 0 {
            println!("{cells} x {cells} cells: {iterations} iterations");
        }
        counts.push(iterations);
    }
    assert!(counts.iter().all(|count| count.abs_diff(counts[0]) <= 4), "the iterations grow: {counts:?}");
    Ok(())
}

/// Solves for the velocities on the sides of `n` by `n` cells and the pressures in them; gives the iterations.
fn solve(comm: &Comm, n: u64) -> Result<usize> {
    let side = n * (n - 1); // velocities of one direction
    let velocities = 2 * side;
    let layout = Layout::uniform(comm, velocities + n * n);
    let h = 1.0 / n as f64;
    let a = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        if row >= velocities {
            // No fluid gathers in a cell.
            let (i, j) = ((row - velocities) % n, (row - velocities) / n);
            (i > 0).then(|| entries.push(j * (n - 1) + i - 1, h));
            (i + 1 < n).then(|| entries.push(j * (n - 1) + i, -h));
            (j > 0).then(|| entries.push(side + (j - 1) * n + i, h));
            (j + 1 < n).then(|| entries.push(side + j * n + i, -h));
            return;
        }
        // Friction with the velocities around, and the difference of two pressures.
        let upward = row >= side;
        let place = row - if upward { side } else { 0 };
        let (along, across) = if upward { (place / n, place % n) } else { (place % (n - 1), place / (n - 1)) };
        let (next, beside) = if upward { (n, 1) } else { (1, n - 1) };
        // A wall is half a step beside, where the velocity is that of the wall.
        let walls = u64::from(across == 0) + u64::from(across == n - 1);
        entries.push(row, (4 + walls) as f64);
        (along > 0).then(|| entries.push(row - next, -1.0));
        (along + 2 < n).then(|| entries.push(row + next, -1.0));
        (across > 0).then(|| entries.push(row - beside, -1.0));
        (across + 1 < n).then(|| entries.push(row + beside, -1.0));
        let cell = velocities + if upward { along * n + across } else { across * n + along };
        entries.push(cell, -h);
        entries.push(cell + if upward { n } else { 1 }, h);
    })?;
    // The lid moves with velocity 1 above the uppermost row of velocities to the right.
    let b = Vector::from_fn(&layout, |row| if row < side && row / (n - 1) == n - 1 { 2.0 } else { 0.0 });

    let fields = Fields::new(&layout, 2, |row| usize::from(row >= velocities))?;
    let block = fields.block(&a, 0, 0)?;
    let cycle = Multigrid::new(&block)?;
    // A few iterations for the velocities; FGMRES allows for a preconditioner that varies.
    let velocity = FnOperator::fallible(block.domain(), block.range(), |x: &Vector<f64>, y: &mut Vector<f64>| {
        y.fill(0.0);
        Cg::new().rtol(1e-2).preconditioner(&cycle).solve(&block, x, y).map(drop)
    });
    // The Schur complement of a flow is near the matrix of masses, with a minus sign.
    let pressure = Diagonal::new(Vector::from_fn(fields.layout_of(1), |_| -1.0 / (h * h)));
    let m = SchurPreconditioner::new(&a, &fields, SchurForm::Upper, velocity, pressure)?;
    let mut x = Vector::zeros(&layout);
    let report = Fgmres::new().rtol(1e-8).restart(60).preconditioner(&m).solve(&a, &b, &mut x)?;
    let iterations = report.iterations;
    report.require_converged()?;

    // The flow to the right under the lid comes back below: what passes through a vertical cut adds up to zero.
    let mut u = Vector::zeros(fields.layout_of(0));
    fields.take(0, &x, &mut u)?;
    let middle = Vector::from_fn(u.layout(), |row| if row < side && row % (n - 1) == n / 2 { h } else { 0.0 });
    let (through, speed) = (u.dot(&middle)?, u.norm_inf());
    assert!(through.abs() < 1e-6 && speed > 0.5 && speed < 1.0, "{through} flows through the middle; speed {speed}");
    Ok(iterations)
}
