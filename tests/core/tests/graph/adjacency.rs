//! Neighbors, ghosts, imports, squares, bandwidth and profile.

use dolmen_core::{Comm, CsrMatrix, Duplicates, Graph};
use dolmen_tests::TestResult;

use crate::cases::{ensure, gathered, on_graphs};
use crate::pattern::Pattern;

pub(crate) fn agrees(comm: &Comm) -> TestResult {
    on_graphs(comm, |graph, pattern| {
        same_edges("edges", graph, pattern)?;
        same_edges("square", &graph.square()?, &pattern.within(2))?;
        same_edges("matrix", &from_matrix(graph, pattern)?, pattern)?;
        imports(graph)?;
        let found = (graph.bandwidth(), graph.profile());
        let expected = (pattern.bandwidth() as u64, pattern.profile() as u64);
        ensure(found == expected, || format!("bandwidth and profile {found:?} instead of {expected:?}"))
    })
}

/// Every vertex has the neighbors it should, and `edges` gives each edge once.
pub(crate) fn same_edges(what: &str, graph: &Graph, pattern: &Pattern) -> TestResult {
    let expected: Vec<[u64; 2]> = pattern.edges().into_iter().map(|(one, other)| [one as u64, other as u64]).collect();
    let mut found = gathered(graph.comm(), &graph.edges().map(|(one, other)| [one, other]).collect::<Vec<_>>());
    found.sort_unstable();
    ensure(found == expected, || format!("{what}: {found:?} instead of {expected:?}"))?;
    let ends = |(vertex, id): (usize, u64)| graph.global_neighbors(vertex).map(move |other| [id, other]);
    let rows: Vec<[u64; 2]> = graph.layout().range().enumerate().flat_map(ends).collect();
    let both = |v: usize| pattern.neighbors[v].iter().map(move |&other| [v as u64, other as u64]);
    let expected: Vec<[u64; 2]> = (0..pattern.len()).flat_map(both).collect();
    let (found, edges) = (gathered(graph.comm(), &rows), graph.global_edges());
    ensure(found == expected && edges == expected.len() as u64 / 2, || {
        format!("{what}: rows {found:?} with {edges} edges instead of {expected:?}")
    })
}

/// A matrix with a full diagonal that stores one of the two entries of every edge.
fn from_matrix(graph: &Graph, pattern: &Pattern) -> TestResult<Graph> {
    let entry = |(one, other): (usize, usize)| {
        let (one, other) = (one as u64, other as u64);
        if (one + other) % 2 == 0 { (one, other, 0.0f32) } else { (other, one, 1.0) }
    };
    let diagonal = (0..pattern.len() as u64).map(|row| (row, row, 2.0));
    let triplets: Vec<_> = pattern.edges().into_iter().map(entry).chain(diagonal).collect();
    let mine = triplets.into_iter().filter(|(row, ..)| graph.layout().range().contains(row));
    let a = CsrMatrix::from_triplets(graph.layout(), graph.layout(), mine, Duplicates::Add)?;
    Ok(Graph::from_matrix(&a)?)
}

/// Ghosts are the neighbors that others own, and get their owners' values.
fn imports(graph: &Graph) -> TestResult {
    let own = graph.layout().range();
    let owned: Vec<u64> = own.clone().map(|id| 10 * id + 3).collect();
    let copies = graph.plan().start_import(&owned, 1).finish();
    let ghosts = graph.ghosts().gids();
    let arrived = copies.iter().zip(ghosts).all(|(&value, &id)| value == 10 * id + 3);
    let foreign = ghosts.iter().all(|id| !own.contains(id)) && copies.len() == ghosts.len();
    let reached = |lid: &u32| graph.to_global(*lid);
    let mut used: Vec<u64> = (0..owned.len()).flat_map(|vertex| graph.neighbors(vertex).iter().map(reached)).collect();
    used.retain(|id| !own.contains(id));
    used.sort_unstable();
    used.dedup();
    let right = arrived && foreign && used == ghosts;
    Ok(graph.comm().agree(if right { Ok(()) } else { Err("the ghosts are not the neighbors of others") })?)
}
