//! Rows of the benchmark matrices, the same as the peers': grids numbered x first.

/// A discretized operator on an `n` by `n` by `n` grid.
#[derive(Clone, Copy)]
pub(crate) enum Problem {
    /// 7-point Laplacian, 6 and -1.
    Seven,
    /// 27-point Laplacian, 26 and -1.
    TwentySeven,
    /// 7 points with coefficients that jump between 1000 and 0.001 on cubes of 8: no two
    /// neighboring rows need be alike.
    Jumping,
    /// 7 points of convection and diffusion, upwind: velocity (100, 50, 25), grid width `1 / (n + 1)`.
    Convection,
}

/// The coefficient of a cell.
fn coefficient(x: u64, y: u64, z: u64) -> f64 {
    if ((x >> 3) + (y >> 3) + (z >> 3)) & 1 == 1 { 1e3 } else { 1e-3 }
}

fn harmonic(a: f64, b: f64) -> f64 {
    2.0 * a * b / (a + b)
}

/// Gives the entries of a row in ascending columns.
pub(crate) fn row(problem: Problem, n: u64, row: u64, mut entry: impl FnMut(u64, f64)) {
    let cell = [row % n, row / n % n, row / (n * n)];
    match problem {
        Problem::TwentySeven => {
            let around = |c: u64| c.saturating_sub(1)..=(c + 1).min(n - 1);
            for z in around(cell[2]) {
                for y in around(cell[1]) {
                    for x in around(cell[0]) {
                        let column = x + n * (y + n * z);
                        entry(column, if column == row { 26.0 } else { -1.0 });
                    }
                }
            }
        }
        Problem::Seven => seven(n, row, cell, &|_, _, _| 1.0, &mut entry),
        Problem::Jumping => seven(n, row, cell, &coefficient, &mut entry),
        Problem::Convection => {
            let drift = [100.0, 50.0, 25.0].map(|velocity| velocity / (n + 1) as f64);
            let upstream = [1, n, n * n].map(|stride| row.wrapping_sub(stride));
            seven(n, row, cell, &|_, _, _| 1.0, &mut |column, value| {
                let axis = upstream.iter().position(|&other| other == column);
                let here = if column == row { drift.iter().sum() } else { 0.0 };
                entry(column, value + here - axis.map_or(0.0, |axis| drift[axis]));
            });
        }
    }
}

/// Gives the 3 by 3 blocks of a block row, by columns, in ascending block columns: 27 points with
/// blocks `-(I + d d^T / |d|^2)` at distance `d`, as in elasticity.
pub(crate) fn block_row(n: u64, row: u64, mut entry: impl FnMut(u64, &[f64; 9])) {
    let cell = |index: u64| [index % n, index / n % n, index / (n * n)].map(|c| c as f64);
    let here = cell(row);
    self::row(Problem::TwentySeven, n, row, |column, _| {
        let there = cell(column);
        let d: [f64; 3] = std::array::from_fn(|k| there[k] - here[k]);
        let length = d.iter().map(|d| d * d).sum::<f64>();
        let mut block = [0.0; 9];
        for (at, value) in block.iter_mut().enumerate() {
            let (i, j) = (at % 3, at / 3);
            let unit = if i == j { 1.0 } else { 0.0 };
            *value = if column == row { unit * (26.0 + 26.0 / 3.0) } else { -(unit + d[i] * d[j] / length) };
        }
        entry(column, &block);
    });
}

fn seven(n: u64, row: u64, cell: [u64; 3], k: &dyn Fn(u64, u64, u64) -> f64, entry: &mut dyn FnMut(u64, f64)) {
    let here = k(cell[0], cell[1], cell[2]);
    let strides = [1, n, n * n];
    // Below: z, y, x; above: x, y, z. Outside the grid the cell's own coefficient counts.
    let face = |axis: usize, up: bool| {
        let inside = if up { cell[axis] + 1 < n } else { cell[axis] > 0 };
        let mut other = cell;
        if inside {
            other[axis] = if up { cell[axis] + 1 } else { cell[axis] - 1 };
        }
        (inside, harmonic(here, k(other[0], other[1], other[2])))
    };
    let below = [2, 1, 0].map(|axis| (axis, face(axis, false)));
    let above = [0, 1, 2].map(|axis| (axis, face(axis, true)));
    for (axis, (inside, weight)) in below {
        if inside {
            entry(row - strides[axis], -weight);
        }
    }
    entry(row, below.iter().chain(&above).map(|(_, (_, weight))| weight).sum());
    for (axis, (inside, weight)) in above {
        if inside {
            entry(row + strides[axis], -weight);
        }
    }
}

/// The aggregate of 2 by 2 by 2 cells that a row of an `n` by `n` by `n` grid belongs to.
pub(crate) fn aggregate(n: u64, row: u64) -> u64 {
    let coarse = n.div_ceil(2);
    let [x, y, z] = [row % n, row / n % n, row / (n * n)].map(|cell| cell / 2);
    x + coarse * (y + coarse * z)
}

/// A tenth of all entries, chosen by their place.
pub(crate) fn is_shipped(row: u64, column: u64) -> bool {
    mix(row.wrapping_mul(1_000_003).wrapping_add(column)).is_multiple_of(10)
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
fn mix(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
