//! One graph on layouts that change with the number of ranks: every answer is the same.

use dolmen_core::random::Philox;
use dolmen_core::{Balance, Comm, CsrMatrix, Gid, Graph, Layout, Partition, Partitioner, Vector};
use dolmen_core_tests::{checksum, uneven_layout};
use dolmen_tests::{Checksums, TestResult};

const SIDE: u64 = 30;
const VERTICES: u64 = SIDE * SIDE;

/// A grid with a tenth of its edges missing and some long ones, given by the owner of one end.
fn edges(layout: &Layout) -> Vec<(Gid, Gid)> {
    let random = Philox::new(11);
    let mut edges = Vec::new();
    for v in layout.range() {
        let kept = |stream| random.uniform(stream, v) > 0.1;
        edges.extend(((v + 1) % SIDE > 0 && kept(0)).then_some((v, v + 1)));
        edges.extend((v + SIDE < VERTICES && kept(1)).then_some((v + SIDE, v)));
        edges.extend((random.uniform(2, v) < 0.05).then_some((v, v * v % VERTICES)));
    }
    edges
}

pub(crate) fn checksums(comm: &Comm) -> TestResult<Checksums> {
    let layout = uneven_layout(comm, VERTICES)?;
    let graph = Graph::from_edges(&layout, edges(&layout))?;
    let mut sums = Checksums::new();
    let mut note = |name: &str, sum| sums.push((name.to_owned(), sum));
    note("edges", graph.global_edges());
    note("colors", checksum(comm, graph.coloring().colors()));
    note("distance-2 colors", checksum(comm, graph.distance2_coloring()?.colors()));
    for distance in 1..=3 {
        let members: Vec<u8> = graph.independent_set(distance).into_iter().map(u8::from).collect();
        note(&format!("independent set of distance {distance}"), checksum(comm, &members));
    }
    let ordering = graph.reverse_cuthill_mckee()?;
    let ordered = ordering.graph(&graph)?;
    note("ordering", checksum(comm, ordering.new_ids()));
    for (name, graph) in [("old", &graph), ("new", &ordered)] {
        note(&format!("{name} bandwidth"), graph.bandwidth());
        note(&format!("{name} profile"), graph.profile());
    }
    assert!(ordered.bandwidth() < graph.bandwidth() / 4, "{} of {}", ordered.bandwidth(), graph.bandwidth());
    for parts in [2, 6] {
        let partition = Partitioner::new(parts).balance(Balance::Entries).seed(5).partition(&graph)?;
        cut(comm, &graph, &partition, &mut note)?;
    }
    Ok(sums)
}

/// A partition, its costs, and a matrix in its numbers.
fn cut(comm: &Comm, graph: &Graph, partition: &Partition, note: &mut impl FnMut(&str, u64)) -> TestResult {
    let parts = partition.parts();
    note(&format!("{parts} parts"), checksum(comm, partition.owned()));
    note(&format!("edge cut of {parts} parts"), partition.edge_cut());
    note(&format!("volume of {parts} parts"), partition.volume());
    note(&format!("imbalance of {parts} parts"), partition.imbalance(Balance::Entries).to_bits());
    let renumbering = partition.renumbering()?;
    note(&format!("numbers of {parts} parts"), checksum(comm, renumbering.new_ids()));
    let value = |row: Gid, column: Gid| Philox::new(12).normal(row, column);
    let a = CsrMatrix::from_rows(graph.layout(), graph.layout(), |row, entries| {
        let vertex = graph.layout().global_to_owned(row).expect("an owned row");
        graph.global_neighbors(vertex).for_each(|column| entries.push(column, value(row, column)));
    })?;
    let renumbered = a.renumbered(&renumbering, &renumbering)?;
    let rows: Vec<(Gid, f64)> = renumbered.rows().flat_map(|row| row.entries()).collect();
    note(&format!("columns of {parts} parts"), checksum(comm, &rows.iter().map(|row| row.0).collect::<Vec<_>>()));
    note(&format!("values of {parts} parts"), checksum(comm, &rows.iter().map(|row| row.1).collect::<Vec<_>>()));
    let x = Vector::from_fn(graph.layout(), |row| value(row, VERTICES));
    let mut y = Vector::zeros(renumbering.to());
    renumbering.apply(&x, &mut y)?;
    note(&format!("vector of {parts} parts"), checksum(comm, y.owned()));
    Ok(())
}
