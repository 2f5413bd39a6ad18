//! Assembly and products, or the cases of the matrix of a file.

mod file;

use dolmen_core::{BlockCsrMatrix, CsrMatrix, Duplicates, Layout, LinearOperator, Result, Vector};

use crate::measure::{Bench, Case};
use crate::problems::{Problem, block_row, is_shipped, row};

pub(crate) fn run(bench: &Bench) -> dolmen_io::Result<()> {
    if let Some((name, from)) = bench.matrix() {
        return file::run(bench, from, name);
    }
    products(bench)?;
    block_product(bench)?;
    assembly(bench)?;
    Ok(())
}

pub(crate) fn build(bench: &Bench, problem: Problem, n: u64) -> Result<CsrMatrix<f64>> {
    let layout = Layout::uniform(&bench.comm, n * n * n);
    CsrMatrix::from_rows(&layout, &layout, |i, entries| row(problem, n, i, |column, value| entries.push(column, value)))
}

/// Bytes of a product: what it reads of the matrix, and both vectors once.
fn product_bytes(a: &CsrMatrix<f64>) -> f64 {
    let mut bytes = [a.product_bytes() as u64];
    a.range().comm().all_reduce_sum(&mut bytes);
    (bytes[0] + 8 * (a.range().global_len() + a.domain().global_len())) as f64
}

fn products(bench: &Bench) -> Result<()> {
    let cases = [
        ("c.spmv.7pt", "c.spmvT.7pt", Problem::Seven, 128),
        ("c.spmv.27pt", "c.spmvT.27pt", Problem::TwentySeven, 96),
        ("c.spmv.jump", "c.spmvT.jump", Problem::Jumping, 128),
    ];
    for (name, transposed, problem, n) in cases {
        if !bench.wants(name) && !bench.wants(transposed) {
            continue;
        }
        let a = build(bench, problem, n)?;
        let x = Vector::from_fn(a.domain(), |row| 1.0 + (row % 13) as f64 / 16.0);
        let mut y = Vector::zeros(a.range());
        let case = |name| Case { name, n: n * n * n, entries: a.global_entries(), bytes: product_bytes(&a) };
        bench.case(&case(name), || a.apply(&x, &mut y).expect("layouts of the matrix"));
        bench.case(&case(transposed), || a.apply_transpose(&x, &mut y).expect("layouts of the matrix"));
    }
    Ok(())
}

/// 3 by 3 blocks on the 27 points around each of 40^3.
fn block_product(bench: &Bench) -> Result<()> {
    const N: u64 = 40;
    let name = "c.spmv.block3";
    if !bench.wants(name) {
        return Ok(());
    }
    let points = Layout::uniform(&bench.comm, N * N * N);
    let a = BlockCsrMatrix::from_rows(3, &points, &points, |i, blocks| {
        block_row(N, i, |column, block| blocks.push(column, block));
    })?;
    let x = Vector::from_fn(a.domain(), |row| 1.0 + (row % 13) as f64 / 16.0);
    let mut y = Vector::zeros(a.range());
    let (blocks, rows) = (a.global_blocks() as f64, a.range().global_len());
    // Values, a column a block and a start a block row once, both vectors once.
    let bytes = 72.0 * blocks + 4.0 * (blocks + rows as f64 / 3.0) + 16.0 * rows as f64;
    let case = Case { name, n: rows, entries: 9 * a.global_blocks(), bytes };
    bench.case(&case, || a.apply(&x, &mut y).expect("layouts of the matrix"));
    Ok(())
}

/// The 7-point matrix of 128^3 from rows, from triplets of own rows, and with a tenth of the
/// entries given by the rank before (by the same rank where there is one only).
fn assembly(bench: &Bench) -> Result<()> {
    const N: u64 = 128;
    if !["d.rows", "d.triplets", "d.stash10", "d.refill"].iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let layout = Layout::uniform(&bench.comm, N * N * N);
    let entries = 7 * N * N * N - 6 * N * N;
    let case = |name| Case { name, n: N * N * N, entries, bytes: 0.0 };
    bench.case(&case("d.rows"), || {
        std::hint::black_box(build(bench, Problem::Seven, N).expect("entries inside the matrix"));
    });
    let (rank, size) = (bench.comm.rank(), bench.comm.size());
    let triplets = |of: usize, keep: &dyn Fn(bool) -> bool| -> Vec<(u64, u64, f64)> {
        let mut list = Vec::new();
        for i in layout.blocks().range(of) {
            row(Problem::Seven, N, i, |column, value| {
                if keep(is_shipped(i, column)) {
                    list.push((i, column, value));
                }
            });
        }
        list
    };
    let assemble = |list: &[(u64, u64, f64)]| {
        CsrMatrix::from_triplets(&layout, &layout, list.iter().copied(), Duplicates::Add)
            .expect("entries inside the matrix")
    };
    let own = triplets(rank, &|_| true);
    bench.case(&case("d.triplets"), || {
        std::hint::black_box(assemble(&own));
    });
    let mut mixed = triplets(rank, &|shipped| !shipped);
    mixed.extend(triplets((rank + 1) % size, &|shipped| shipped));
    bench.case(&case("d.stash10"), || {
        std::hint::black_box(assemble(&mixed));
    });
    if bench.wants("d.refill") {
        let mut a = assemble(&own);
        let plan = a.plan_refill(own.iter().map(|&(i, j, _)| (i, j)), Duplicates::Add)?;
        let values: Vec<f64> = own.iter().map(|entry| entry.2).collect();
        bench.case(&case("d.refill"), || a.refill(&plan, &values).expect("the planned pattern"));
    }
    Ok(())
}
