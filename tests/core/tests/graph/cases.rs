//! The graphs that every check sees: known families and random ones, each on several layouts.
//!
//! All ranks draw the same samples and judge gathered results, so that they stay in step.

use dolmen_core::{Comm, Graph, Layout};
use dolmen_core_tests::{Shares, layout_of_shares, shares};
use dolmen_tests::TestResult;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::pattern::Pattern;

const LAYOUTS: [Shares; 3] = [[0; 7], [2, 0, 3, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0, 5]];

/// Path, star, cycle, grid, complete graph, several components, isolated vertices, none at all.
pub(crate) fn families() -> Vec<(&'static str, Pattern)> {
    let ends = |edges: &[(usize, usize)]| edges.to_vec();
    vec![
        ("no vertices", Pattern::new(0, [])),
        ("one vertex", Pattern::new(1, [])),
        ("isolated vertices", Pattern::new(9, [])),
        ("path", Pattern::new(12, (0..11).map(|v| (v, v + 1)))),
        ("star", Pattern::new(10, (0..10).map(|v| (v, 4)))),
        ("cycle", Pattern::new(9, (0..9).map(|v| (v, (v + 1) % 9)))),
        ("grid", Pattern::grid(6, 5)),
        ("complete", Pattern::new(7, (0..7).flat_map(|v| (0..v).map(move |w| (v, w))))),
        ("components", Pattern::new(11, ends(&[(0, 10), (10, 5), (1, 2), (2, 3), (3, 1), (7, 9)]))),
    ]
}

/// The graph, its edges given by the ranks in turn, in both directions, some of them twice.
pub(crate) fn graph(layout: &Layout, pattern: &Pattern) -> TestResult<Graph> {
    let (rank, size) = (layout.comm().rank(), layout.comm().size());
    let edges = pattern.edges().into_iter().enumerate().flat_map(|(index, (one, other))| {
        let (one, other) = (one as u64, other as u64);
        let here = index % size == rank;
        let twice = here || (index % 3 == 0 && (index + 1) % size == rank);
        [here.then_some((one, other)), twice.then_some((other, one)), here.then_some((one, one))]
    });
    Ok(Graph::from_edges(layout, edges.flatten())?)
}

/// Checks all families on all layouts, then random graphs.
pub(crate) fn on_graphs(comm: &Comm, check: impl Fn(&Graph, &Pattern) -> TestResult) -> TestResult {
    for (name, pattern) in families() {
        for shares in &LAYOUTS {
            let layout = layout_of_shares(comm, pattern.len() as u64, shares)?;
            check(&graph(&layout, &pattern)?, &pattern).map_err(|error| format!("{name} on {shares:?}: {error}"))?;
        }
    }
    let edges = prop::collection::vec((any::<usize>(), any::<usize>()), 0..70);
    let samples = (1usize..32, edges, shares()).prop_map(|(vertices, edges, shares)| {
        (Pattern::new(vertices, edges.into_iter().map(|(one, other)| (one % vertices, other % vertices))), shares)
    });
    let config = Config { cases: 30, failure_persistence: None, ..Config::default() };
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[23; 32]);
    let run = |(pattern, shares): (Pattern, Shares)| {
        let checked = layout_of_shares(comm, pattern.len() as u64, &shares)
            .and_then(|layout| graph(&layout, &pattern))
            .and_then(|graph| check(&graph, &pattern))
            .map_err(|error| error.to_string());
        comm.agree(checked).map_err(|error| TestCaseError::fail(error.to_string()))
    };
    TestRunner::new_with_rng(config, seed).run(&samples, run).map_err(|error| error.to_string())?;
    Ok(())
}

/// All ranks' values in rank order, on all ranks.
pub(crate) fn gathered<V: bytemuck::Pod>(comm: &Comm, mine: &[V]) -> Vec<V> {
    let mut all = comm.gather(0, mine).map_or(Vec::new(), |all| all.concat());
    comm.broadcast(0, &mut all);
    all
}

/// Global ids as positions.
pub(crate) fn positions(ids: &[u64]) -> Vec<usize> {
    ids.iter().map(|&id| usize::try_from(id).expect("a small graph")).collect()
}

/// An error where something does not hold; all ranks know the same and leave together.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> TestResult {
    if holds { Ok(()) } else { Err(what().into()) }
}
