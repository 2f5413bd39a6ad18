//! An operator without a matrix: its adjoint, the test of the adjoint, and least squares with it.
//!
//! Runs on any number of ranks; meant for two:
//!
//!     cargo build --examples
//!     scripts/mpirun.sh -n 2 target/debug/examples/03_matrix_free
//!
//! A detector's electronics smear its signal: sample `i` is `s_i = (1 - a) x_i + a s_{i-1}`. Undoing
//! it is `(A s)_i = (s_i - a s_{i-1}) / (1 - a)`, an operator that needs one value of the rank before.
//! Any closure that computes a product is a `LinearOperator`, and solvers see no difference.

use std::process::ExitCode;

use dolmen::core::random::Philox;
use dolmen::core::{Adjoint, Product, check_adjoint};
use dolmen::prelude::*;

const SAMPLES: u64 = 5000;
const MEMORY: f64 = 0.6;

fn main() -> ExitCode {
    Comm::run(sharpen)
}

/// Imports the one row that lies `step` beyond this rank's block, if it exists.
fn neighbor(layout: &Layout, row: Option<u64>) -> dolmen_core::Result<ExchangePlan> {
    let wanted = row.filter(|&row| row < SAMPLES && layout.local_len() > 0);
    let wanted = layout.comm().agree(IndexMap::new(wanted.into_iter().collect()))?;
    ExchangePlan::new(layout, &wanted)
}

fn sharpen(comm: &Comm) -> Result<(), Box<dyn std::error::Error>> {
    let layout = Layout::uniform(comm, SAMPLES);
    let previous = neighbor(&layout, layout.range().start.checked_sub(1))?;
    let next = neighbor(&layout, Some(layout.range().end))?;
    let gain = 1.0 / (1.0 - MEMORY);

    let forward = |s: &Vector<f64>, y: &mut Vector<f64>| {
        let halo = previous.start_import(s.owned(), 1).finish();
        let mut before = halo.first().copied().unwrap_or(0.0);
        for (y, &s) in y.owned_mut().iter_mut().zip(s.owned()) {
            *y = gain * (s - MEMORY * before);
            before = s;
        }
        Ok(())
    };
    let backward = |y: &Vector<f64>, s: &mut Vector<f64>| {
        let halo = next.start_import(y.owned(), 1).finish();
        let mut after = halo.first().copied().unwrap_or(0.0);
        for (s, &y) in s.owned_mut().iter_mut().zip(y.owned()).rev() {
            *s = gain * (y - MEMORY * after);
            after = y;
        }
        Ok(())
    };
    let a = FnOperator::new(&layout, &layout, forward).with_adjoint(backward);

    // A wrong adjoint makes a solver wander without failing, so it is tested first.
    let mismatch = check_adjoint::<f64>(&a, 1)?;
    if mismatch > 1e-14 {
        return Err(format!("<A x, y> and <x, A^H y> differ by {mismatch:.1e}").into());
    }

    let relative = undo(&a)?;
    if comm.rank() == 0 {
        println!("adjoint test {mismatch:.1e}\nrelative error {relative:.1e}");
    }
    if relative > 1e-10 {
        return Err(format!("the relative error {relative:.1e} is above 1e-10").into());
    }
    Ok(())
}

/// Sharpens a signal and finds it again by least squares; gives the relative error.
fn undo(a: &impl AdjointOperator<f64>) -> Result<f64, Box<dyn std::error::Error>> {
    let layout = a.domain();
    // The normal equations A^H A s = A^H x, of operators composed from A.
    let mut smeared = Vector::zeros(layout);
    smeared.fill_normal(&Philox::new(2012), 0);
    let mut sharp = Vector::zeros(layout);
    a.apply(&smeared, &mut sharp)?;
    let mut right_hand_side = Vector::zeros(layout);
    let adjoint = Adjoint::new(a);
    adjoint.apply(&sharp, &mut right_hand_side)?;
    let normal = Product::new(&adjoint, a)?;
    let mut found = Vector::zeros(layout);
    let report = Cg::new().rtol(1e-12).solve(&normal, &right_hand_side, &mut found)?.require_converged()?;

    let mut error = found.clone();
    error.axpy(-1.0, &smeared)?;
    if layout.comm().rank() == 0 {
        println!("{report}");
    }
    Ok(error.norm2() / smeared.norm2())
}
