//! The pointing matrix of a map-maker: 3 by 1 sums in single precision for each pixel that a baseline meets.

use dolmen_core::{AdjointOperator, ColumnBlockMatrix, Layout, LinearOperator, Result, Vector};

use crate::measure::{Bench, Case};

/// Pixels of a map of nside 256.
const PIXELS: u64 = 12 * 256 * 256;
/// Baselines of 60 s in 4 times 8 064 000 samples at 40 Hz.
const BASELINES: u64 = 13_440;
/// Pairs of them.
const PAIRS: u64 = 22_500_000;

/// Both halves of a destriper's product, one pass each over the blocks.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    if !bench.wants("c.pairs") {
        return Ok(());
    }
    let comm = &bench.comm;
    let (pixels, baselines) = (Layout::uniform(comm, PIXELS), Layout::uniform(comm, BASELINES));
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Rows ascend; columns are as far apart as scans that cross a pixel.
        let column = (pair * 7919 + pair / PIXELS * 31) % BASELINES;
        if baselines.range().contains(&column) {
            rows.push(pair * PIXELS / PAIRS);
            columns.push(column);
            let angle = (pair % 1000) as f32 / 500.0;
            values.extend([1.0, angle - 1.0, 1.0 - angle]);
        }
    }
    let a = ColumnBlockMatrix::<f32>::new(&pixels, &baselines, [3, 1], rows, &columns, values)?;
    let x = Vector::from_fn(a.domain(), |row| 1.0 + (row % 13) as f64 / 16.0);
    let (mut map, mut y) = (Vector::zeros(a.range()), Vector::zeros(a.domain()));
    let bytes = 16.0 * PAIRS as f64 + 32.0 * PIXELS as f64;
    let case = |name| Case { name, n: PIXELS, entries: 3 * PAIRS, bytes };
    bench.case(&case("c.pairs.map"), || a.apply(&x, &mut map).expect("layouts of the matrix"));
    bench.case(&case("c.pairs.baselines"), || a.apply_adjoint(&map, &mut y).expect("layouts of the matrix"));
    Ok(())
}
