//! Several unknowns in each point: a matrix of small blocks, and dense algebra inside a rank.
//!
//! Runs on any number of ranks; meant for two:
//!
//!     cargo build --examples
//!     scripts/mpirun.sh -n 2 target/debug/examples/05_block_and_dense
//!
//! Three substances diffuse along a line and turn into each other: `-u'' + C u = f` with a symmetric
//! positive definite 3x3 matrix `C`. As one system it is a matrix of 3x3 blocks, solved by conjugate
//! gradients with the inverted diagonal blocks as preconditioner. In the eigenvectors of `C` it falls
//! apart into three systems of one unknown a point, `-w'' + lambda w = g`, each a banded Cholesky
//! factorization away. Both ways must lead to the same substances.

use std::process::ExitCode;

use dolmen::core::dense::{BandedCholesky, HermitianBanded, HermitianEigen};
use dolmen::core::ndarray::{Array2, arr2};
use dolmen::prelude::*;

/// Substances.
const KINDS: usize = 3;
/// Inner points of the line.
const POINTS: usize = 200;
const STEP: f64 = 1.0 / (POINTS + 1) as f64;

fn main() -> ExitCode {
    Comm::run(diffusion)
}

fn coupling() -> Array2<f64> {
    arr2(&[[300.0, -120.0, 20.0], [-120.0, 500.0, -80.0], [20.0, -80.0, 900.0]])
}

/// Computes the inflow: entry `row` belongs to substance `row % 3` at point `row / 3`.
fn source(row: u64) -> f64 {
    1.0 + ((row * row) % 17) as f64
}

fn diffusion(comm: &Comm) -> Result<(), Box<dyn std::error::Error>> {
    let points = Layout::uniform(comm, POINTS as u64);
    let c = coupling();
    let exchange = -1.0 / (STEP * STEP);
    // Blocks are given column after column, as BLAS has them.
    let beside: Vec<f64> = Array2::from_diag_elem(KINDS, exchange).into_raw_vec_and_offset().0;
    let here: Vec<f64> = (c.t().to_owned() - 2.0 * Array2::from_diag_elem(KINDS, exchange)).iter().copied().collect();
    let a = BlockCsrMatrix::from_rows(KINDS, &points, &points, |point, blocks| {
        if point > 0 {
            blocks.push(point - 1, &beside);
        }
        blocks.push(point, &here);
        if point + 1 < POINTS as u64 {
            blocks.push(point + 1, &beside);
        }
    })?;

    let b = Vector::from_fn(a.range(), source);
    let m = a.block_diagonal().ok_or("the matrix is square")?.inverse_definite()?;
    let mut u = Vector::zeros(a.domain());
    let report = Cg::new().rtol(1e-12).preconditioner(&m).solve(&a, &b, &mut u)?.require_converged()?;

    let eigen = HermitianEigen::factor(c.view())?;
    let own = a.domain().range();
    let mine = (0..).zip(in_eigenvectors(&eigen)?).filter(|(row, _)| own.contains(row)).map(|(_, value)| value);
    let mut error = Vector::from_owned(a.domain(), mine.collect())?;
    error.axpy(-1.0, &u)?;
    let relative = error.norm2() / u.norm2();
    if comm.rank() == 0 {
        println!("{report}");
        println!("eigenvalues of the coupling: {:.2?}", eigen.values());
        println!("relative difference from three banded solves: {relative:.1e}");
    }
    if relative > 1e-9 {
        return Err(format!("the two solutions differ by {relative:.1e}").into());
    }
    Ok(())
}

/// The whole solution, computed on every rank by itself.
fn in_eigenvectors(eigen: &HermitianEigen<f64>) -> Result<Vec<f64>, dolmen_core::Error> {
    let v = eigen.vectors();
    let f = Array2::from_shape_fn((KINDS, POINTS), |(kind, point)| source((point * KINDS + kind) as u64));
    let mut w = v.t().dot(&f);
    for (kind, &lambda) in eigen.values().iter().enumerate() {
        let line = HermitianBanded::toeplitz(POINTS, &[lambda + 2.0 / (STEP * STEP), -1.0 / (STEP * STEP)]);
        let mut g = w.row(kind).to_vec();
        BandedCholesky::factor(&line)?.solve(&mut g)?;
        w.row_mut(kind).iter_mut().zip(g).for_each(|(to, from)| *to = from);
    }
    Ok(v.dot(&w).t().iter().copied().collect())
}
