//! The operations, each counted once it has been done before.

use std::path::Path;

use dolmen_core::{Comm, CsrMatrix, Duplicates, ExchangePlan, IndexMap, Layout, LinearOperator, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_solvers::{Cg, Jacobi};
use serde_json::{Map, Value, json};

use crate::grid::Grid;
use crate::{allocations, mpi_calls};

/// Iterations of the solve.
const ITERATIONS: usize = 20;

/// Row, column, value.
type Triplets = Vec<(u64, u64, f64)>;

/// Counts all operations on a grid, and prints their lines.
///
/// # Collective
pub(crate) fn run(comm: &Comm, grid: &Grid, folder: &Path) -> dolmen_io::Result<()> {
    let case = Case { comm, grid };
    let layout = case.twice("layout", || Layout::from_local_len(comm, grid.len_of(comm.rank())))?;
    let ghosts = IndexMap::new(ghosts(grid, &layout))?;
    drop(case.twice("plan", || ExchangePlan::new(&layout, &ghosts))?);
    let mixed = mixed(grid, &layout);
    let mut a = case.twice("assembly", || assemble(&layout, &mixed))?;
    let plan = a.plan_refill(mixed.iter().map(|&(row, column, _)| (row, column)), Duplicates::Add)?;
    let values: Vec<f64> = mixed.iter().map(|entry| entry.2).collect();
    case.twice("refill", || a.refill(&plan, &values))?;
    let (b, mut x) = (Vector::from_fn(&layout, |_| 1.0), Vector::zeros(&layout));
    case.twice("product", || a.apply(&b, &mut x))?;
    let jacobi = Jacobi::new(&a).expect("a diagonal of six");
    case.twice("cg", || {
        x.fill(0.0);
        let method = Cg::new().rtol(0.0).max_iterations(ITERATIONS).preconditioner(&jacobi);
        method.solve(&a, &b, &mut x).map(drop)
    })
    .expect("valid settings");
    let mut store = CheckpointStore::open(comm, folder.join(grid.name))?;
    case.twice("checkpoint", || store.save(&Checkpoint::new("").vector("x", &x)))?;
    Ok(())
}

fn assemble(layout: &Layout, triplets: &Triplets) -> dolmen_core::Result<CsrMatrix<f64>> {
    CsrMatrix::from_triplets(layout, layout, triplets.iter().copied(), Duplicates::Add)
}

/// Returns the columns of this rank's rows that other ranks own.
fn ghosts(grid: &Grid, layout: &Layout) -> Vec<u64> {
    let (mut ghosts, own) = (Vec::new(), layout.range());
    grid.entries(layout, layout.comm().rank(), |_, column, _| {
        if !own.contains(&column) {
            ghosts.push(column);
        }
    });
    ghosts
}

/// Returns the entries of this rank's rows but for a tenth of them, and a tenth of those of the rank to the right.
fn mixed(grid: &Grid, layout: &Layout) -> Triplets {
    let (mut list, rank) = (Vec::new(), layout.comm().rank());
    for (of, shipped) in [(rank, false), (grid.right_of(rank), true)] {
        let mut number = 0u64;
        grid.entries(layout, of, |row, column, value| {
            if number.is_multiple_of(10) == shipped {
                list.push((row, column, value));
            }
            number += 1;
        });
    }
    list
}

/// A problem whose operations are counted.
struct Case<'c> {
    comm: &'c Comm,
    grid: &'c Grid,
}

impl Case<'_> {
    /// Does an operation twice, counts the second time, and prints its line. Returns what the operation returned,
    /// which is what the kept memory holds.
    ///
    /// # Collective
    fn twice<V, E>(&self, name: &str, mut work: impl FnMut() -> Result<V, E>) -> Result<V, E> {
        drop(work()?);
        self.comm.barrier();
        mpi_calls::reset();
        let before = allocations::mark();
        let value = work()?;
        let [live, peak] = allocations::live_and_peak();
        let calls = mpi_calls::so_far();
        let counts = [
            ("messages", calls.sent[0]),
            ("bytes", calls.sent[1]),
            ("received", calls.received),
            ("neighbors", calls.neighbors()),
            ("reductions", calls.reductions[0]),
            ("reduced_bytes", calls.reductions[1]),
            ("broadcasts_and_barriers", calls.others),
            ("gatherings", calls.gatherings[0]),
            ("gathered_bytes", calls.gatherings[1]),
            ("peak_bytes", peak.saturating_sub(before) as u64),
            ("kept_bytes", live.saturating_sub(before) as u64),
        ];
        self.print(name, &counts);
        Ok(value)
    }

    /// Prints the largest count of a rank and the mean, on rank 0.
    ///
    /// # Collective
    fn print(&self, name: &str, counts: &[(&str, u64)]) {
        let (mut largest, mut sums): (Vec<u64>, Vec<u64>) = counts.iter().map(|(_, count)| (*count, *count)).unzip();
        self.comm.all_reduce_max(&mut largest);
        self.comm.all_reduce_sum(&mut sums);
        let mut line = Map::new();
        line.insert("problem".into(), self.grid.name.into());
        line.insert("case".into(), name.into());
        line.insert("ranks".into(), self.comm.size().into());
        line.insert("rows".into(), self.grid.len().into());
        for (((what, _), largest), sum) in counts.iter().zip(largest).zip(sums) {
            let mean = sum as f64 / self.comm.size() as f64;
            line.insert((*what).into(), json!({"max": largest, "mean": mean}));
        }
        if self.comm.rank() == 0 {
            println!("{}", Value::Object(line));
        }
    }
}
