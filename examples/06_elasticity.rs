//! Elasticity: multigrid with the rigid-body modes of a beam, beside multigrid without them.
//!
//! Runs on any number of ranks; meant for two. A number is that of cubes along a short side, 4 by default:
//!
//!     cargo build --release --examples
//!     scripts/mpirun.sh -n 2 target/release/examples/06_elasticity 12
//!
//! A beam of four unit cubes in a row is held at one end and bends under its weight. Its mesh has cubes with linear
//! displacements along each axis, so that a node has three unknowns. What the stiffness matrix nearly sends to zero,
//! away from the end that is held, are the displacements and rotations of a rigid body. Multigrid that knows only the
//! constant vector, or only displacements, takes more and more iterations on finer meshes. The end sinks by what the theory of
//! beams says.

use std::process::ExitCode;

use dolmen::prelude::*;
use dolmen::solvers::{MultigridSettings, rigid_body_modes};

/// Length of the beam, in units of its height and width.
const LENGTH: u64 = 4;
/// Young's modulus of a material whose two constants of Lame are one; Poisson's ratio is 1/4.
const YOUNG: f64 = 2.5;
/// Corners of a cube.
const CORNERS: usize = 8;

fn main() -> ExitCode {
    Comm::run(bend)
}

/// A mesh of cubes, numbered along the beam first. The nodes at its start are held, and no unknowns.
struct Beam {
    /// Cubes along a short side.
    side: u64,
}

impl Beam {
    fn cubes(&self) -> [u64; 3] {
        [LENGTH * self.side, self.side, self.side]
    }

    fn step(&self) -> f64 {
        1.0 / self.side as f64
    }

    fn nodes(&self) -> u64 {
        let [x, y, z] = self.cubes();
        x * (y + 1) * (z + 1)
    }

    /// Place of a node on the grid.
    fn place(&self, node: u64) -> [u64; 3] {
        let [x, y, _] = self.cubes();
        [node % x + 1, node / x % (y + 1), node / x / (y + 1)]
    }

    /// The node at a place, unless it is held.
    fn node(&self, [i, j, k]: [u64; 3]) -> Option<u64> {
        let [x, y, _] = self.cubes();
        Some(i.checked_sub(1)? + x * (j + (y + 1) * k))
    }

    /// The cubes around a node: which of their corners it is, and the place of their lowest corner.
    fn around(&self, node: u64) -> impl Iterator<Item = (usize, [u64; 3])> {
        let (place, cubes) = (self.place(node), self.cubes());
        (0..CORNERS).filter_map(move |corner| {
            let mut low = place;
            for axis in 0..3 {
                low[axis] = low[axis].checked_sub(offset(corner, axis)).filter(|&low| low < cubes[axis])?;
            }
            Some((corner, low))
        })
    }

    fn stiffness(&self, rows: &Layout) -> dolmen_core::Result<CsrMatrix<f64>> {
        CsrMatrix::from_rows(rows, rows, |row, entries| {
            let i = usize::try_from(row % 3).expect("invariant: one of three axes");
            for (corner, low) in self.around(row / 3) {
                for other in 0..CORNERS {
                    let place = [0, 1, 2].map(|axis| low[axis] + offset(other, axis));
                    let Some(node) = self.node(place) else { continue };
                    for (column, j) in (3 * node..).zip(0..3) {
                        entries.push(column, self.step() * energy(corner, i, other, j));
                    }
                }
            }
        })
    }

    /// The weight of a beam of density one, along the last axis.
    fn weight(&self, rows: &Layout) -> Vector<f64> {
        let of_corner = self.step().powi(3) / CORNERS as f64;
        Vector::from_fn(rows, |row| if row % 3 == 2 { -of_corner * self.around(row / 3).count() as f64 } else { 0.0 })
    }
}

/// One if a corner of a cube is at the upper end along an axis, else zero.
fn offset(corner: usize, axis: usize) -> u64 {
    u64::from(corner >> axis & 1 == 1)
}

/// The energy of displacements along axes `i` and `j` of two corners of a unit cube: the integral of
/// `d_i N_a d_j N_b + d_j N_a d_i N_b`, and of the product of the gradients for equal axes, with the product
/// of linear functions `N_a` that is one in corner `a`.
fn energy(a: usize, i: usize, b: usize, j: usize) -> f64 {
    let integral = |i: usize, j: usize| -> f64 {
        let along = |axis: usize| {
            let [a, b] = [a, b].map(|corner| if offset(corner, axis) == 1 { 1.0 } else { -1.0 });
            match (axis == i, axis == j) {
                (true, true) => a * b,
                (true, false) => a / 2.0,
                (false, true) => b / 2.0,
                (false, false) => (3.0 + a * b) / 12.0,
            }
        };
        (0..3).map(along).product()
    };
    let gradients: f64 = if i == j { (0..3).map(|axis| integral(axis, axis)).sum() } else { 0.0 };
    integral(i, j) + integral(j, i) + gradients
}

fn bend(comm: &Comm) -> Result<(), Box<dyn std::error::Error>> {
    let side = std::env::args().nth(1).map_or(Some(4), |side| side.parse().ok().filter(|&side| side > 0));
    let beam = Beam { side: side.ok_or("expected a number of cubes along a short side, one or more")? };
    let nodes = Layout::uniform(comm, beam.nodes());
    let rows = nodes.refined(3)?;
    let (a, b) = (beam.stiffness(&rows)?, beam.weight(&rows));

    let coordinates = MultiVector::from_fn(&nodes, 3, |node, axis| beam.place(node)[axis] as f64 * beam.step());
    let modes = rigid_body_modes(&coordinates)?;
    let of_nodes = MultigridSettings { block: 3, ..Default::default() };
    let with_modes = Multigrid::with_near_null_space(&a, of_nodes.clone(), &modes)?;
    let ways = [
        ("the constant vector", Multigrid::new(&a)?),
        ("displacements", Multigrid::with_settings(&a, of_nodes)?),
        ("displacements and rotations", with_modes),
    ];
    let mut solutions = Vec::new();
    for (known, multigrid) in &ways {
        let mut u = Vector::zeros(&rows);
        let report = Cg::new().rtol(1e-8).preconditioner(multigrid).solve(&a, &b, &mut u)?.require_converged()?;
        if comm.rank() == 0 {
            println!("{:4} iterations with {known}", report.iterations);
        }
        solutions.push((u, report.iterations));
    }
    let [_, (displaced, many), (u, few)] = &solutions[..] else { return Err("three ways".into()) };
    let mut difference = u.clone();
    difference.axpy(-1.0, displaced)?;
    let relative = difference.norm2() / u.norm2();

    // Bending and shear of a beam with weight one a length, moment of inertia 1/12 and shear factor 5/6.
    let length = LENGTH as f64;
    let theory = length.powi(4) / (8.0 * YOUNG / 12.0) + length * length / (2.0 * 5.0 / 6.0);
    let sunk = u.norm_inf();
    if comm.rank() == 0 {
        println!("{}", ways[2].1);
        println!("the end sinks by {sunk:.1}, {theory:.1} in the theory of beams; relative difference {relative:.1e}");
    }
    if relative > 1e-5 || few >= many || (sunk / theory - 1.0).abs() > 0.1 {
        return Err(
            "the solutions differ, or rotations save no iterations, or the end is not where it should be".into()
        );
    }
    Ok(())
}
