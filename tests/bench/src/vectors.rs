//! Vector operations on ten million entries.

use dolmen_core::{Layout, Reduction, Result, Vector};

use crate::measure::{Bench, Case};

const LEN: u64 = 10_000_000;
/// Vectors in a block of inner products.
const MANY: usize = 20;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    bench.stream();
    if !["b.axpy", "b.dot", "b.norm2", "b.mdot", "b.maxpy"].iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let layout = Layout::uniform(&bench.comm, LEN);
    let entry = |row: u64| 1.0 + (row % 13) as f64 / 16.0;
    let x = Vector::<f64>::from_fn(&layout, entry);
    let mut y = Vector::from_fn(&layout, |row| entry(row + 5));
    let case = |name, vectors: f64| Case { name, n: LEN, entries: 0, bytes: vectors * 8.0 * LEN as f64 };
    bench.case(&case("b.axpy", 3.0), || y.axpy(1e-9, &x).expect("one layout"));
    let dot = |reduction: Reduction| {
        let (x, y) = (&x, &y);
        move || {
            std::hint::black_box(reduction.dot(x, y).expect("one layout"));
        }
    };
    bench.case(&case("b.dot", 2.0), dot(Reduction::Fast));
    bench.case(&case("b.dot.reproducible", 2.0), dot(Reduction::Reproducible));
    bench.case(&case("b.norm2.reproducible", 1.0), || {
        std::hint::black_box(x.norm2());
    });
    if bench.wants("b.mdot") || bench.wants("b.maxpy") {
        let many: Vec<Vector<f64>> = (0..MANY as u64).map(|i| Vector::from_fn(&layout, |row| entry(row + i))).collect();
        let mut out = [0.0; MANY];
        for (name, reduction) in [("b.mdot20", Reduction::Fast), ("b.mdot20.reproducible", Reduction::Reproducible)] {
            bench.case(&case(name, 1.0 + MANY as f64), || {
                y.multi_dot(&many, reduction, &mut out).expect("one layout");
            });
        }
        bench.case(&case("b.maxpy20", 2.0 + MANY as f64), || {
            y.multi_axpy(&[1e-9; MANY], &many).expect("one layout");
        });
    }
    Ok(())
}
