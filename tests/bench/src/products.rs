//! Products and transposes of matrices: made, and made again for new values.

use std::hint::black_box;

use dolmen_core::{CsrMatrix, Layout, LinearOperator, Result};

use crate::matrices::build;
use crate::measure::{Bench, Case};
use crate::problems::{Problem, aggregate};

/// The peers' grids, and a matrix whose values repeat nowhere for long.
const GRIDS: [(Problem, u64, &str); 5] = [
    (Problem::Seven, 64, ""),
    (Problem::Seven, 80, ""),
    (Problem::Seven, 100, ""),
    (Problem::Jumping, 64, "jump."),
    (Problem::Jumping, 100, "jump."),
];

pub(crate) fn run(bench: &Bench) -> Result<()> {
    for (problem, n, prefix) in GRIDS {
        let name = |case: &str| format!("e.{case}.{prefix}{n}");
        let products = [name("spgemm.AA"), name("spgemm.AAreuse"), name("transpose"), name("transposereuse")];
        let triples = [("plain", false), ("smoothed", true)]
            .map(|(p, smooth)| ([name(&format!("ptap.{p}")), name(&format!("ptapreuse.{p}"))], smooth));
        let all = products.iter().chain(triples.iter().flat_map(|(names, _)| names));
        if !all.clone().any(|name| bench.wants(name)) {
            continue;
        }
        let a = build(bench, problem, n)?;
        squares(bench, &a, &products)?;
        for (names, smooth) in triples {
            if names.iter().any(|name| bench.wants(name)) {
                triple(bench, &a, &prolongation(&a, n, smooth)?, &names)?;
            }
        }
    }
    Ok(())
}

fn squares(bench: &Bench, a: &CsrMatrix<f64>, names: &[String; 4]) -> Result<()> {
    let (n, z) = (a.range().global_len(), a.global_entries());
    let case = |name, entries: u64, bytes| Case { name, n, entries, bytes };
    let bytes = |product: u64| 24.0 * z as f64 + 12.0 * product as f64;
    if names[..2].iter().any(|name| bench.wants(name)) {
        let mut product = a.multiply(a)?;
        let entries = product.global_entries();
        bench.case(&case(&names[0], entries, bytes(entries)), || {
            black_box(a.multiply(a).expect("layouts of the matrix"));
        });
        let plan = product.plan_multiply(a, a)?;
        bench.case(&case(&names[1], entries, bytes(entries)), || {
            product.refill_multiply(&plan, a, a).expect("the planned patterns");
        });
    }
    bench.case(&case(&names[2], z, 24.0 * z as f64), || {
        black_box(a.transpose().expect("few columns"));
    });
    if bench.wants(&names[3]) {
        let mut transpose = a.transpose()?;
        let plan = transpose.plan_transpose(a)?;
        bench.case(&case(&names[3], z, 24.0 * z as f64), || {
            transpose.refill_transpose(&plan, a).expect("the planned patterns");
        });
    }
    Ok(())
}

/// One entry a row for aggregates of eight cells, or those smoothed by `1 - A / 9`.
fn prolongation(a: &CsrMatrix<f64>, n: u64, smooth: bool) -> Result<CsrMatrix<f64>> {
    let coarse = Layout::uniform(&bench_comm(a), n.div_ceil(2).pow(3));
    let plain = CsrMatrix::from_rows(a.range(), &coarse, |row, entries| entries.push(aggregate(n, row), 1.0))?;
    if !smooth {
        return Ok(plain);
    }
    let product = a.multiply(&plain)?;
    let triplets = |p: &CsrMatrix<f64>, factor: f64| -> Vec<(u64, u64, f64)> {
        p.rows().flat_map(|row| row.entries().map(move |(j, value)| (row.index(), j, factor * value))).collect()
    };
    let both = triplets(&plain, 1.0).into_iter().chain(triplets(&product, -1.0 / 9.0));
    CsrMatrix::from_triplets(a.range(), &coarse, both, dolmen_core::Duplicates::Add)
}

fn bench_comm(a: &CsrMatrix<f64>) -> dolmen_core::Comm {
    a.range().comm().clone()
}

fn triple(bench: &Bench, a: &CsrMatrix<f64>, p: &CsrMatrix<f64>, names: &[String; 2]) -> Result<()> {
    let mut coarse = a.triple_product(p)?;
    let entries = coarse.global_entries();
    let bytes = 12.0 * (a.global_entries() + 2 * p.global_entries() + entries) as f64;
    let case = |name| Case { name, n: a.range().global_len(), entries, bytes };
    let mut unknown = p.clone();
    bench.case(&case(&names[0]), || {
        // Forgets the transpose that the product before has left: it belongs to the work.
        unknown.scale(1.0);
        black_box(a.triple_product(&unknown).expect("layouts of the matrix"));
    });
    let plan = coarse.plan_triple_product(a, p)?;
    bench.case(&case(&names[1]), || {
        coarse.refill_triple_product(&plan, a, p).expect("the planned patterns");
    });
    Ok(())
}
