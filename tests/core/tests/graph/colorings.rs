//! Colorings: valid, of few colors, and greedy.

use dolmen_core::{Coloring, Comm, Graph};
use dolmen_tests::TestResult;

use crate::cases::{ensure, gathered, on_graphs};
use crate::pattern::Pattern;

pub(crate) fn valid_and_greedy(comm: &Comm) -> TestResult {
    on_graphs(comm, |graph, pattern| {
        check(graph, pattern, &graph.coloring())?;
        check(&graph.square()?, &pattern.within(2), &graph.distance2_coloring()?)?;
        conflicts(graph, pattern)
    })
}

/// Neighbors differ, and a vertex of some color has neighbors of all lower ones: what a greedy
/// coloring is, in whatever order.
fn check(graph: &Graph, pattern: &Pattern, coloring: &Coloring) -> TestResult {
    let colors = gathered(graph.comm(), coloring.colors());
    let around = |v: usize, color: u32| pattern.neighbors[v].iter().any(|&other| colors[other] == color);
    for (v, &color) in colors.iter().enumerate() {
        ensure(!around(v, color), || format!("vertex {v} has a neighbor of its color {color}"))?;
        let greedy = (0..color).all(|lower| around(v, lower));
        ensure(greedy, || format!("vertex {v} could have had a lower color than {color}"))?;
    }
    let count = colors.iter().max().map_or(0, |most| *most as usize + 1);
    ensure(colors.len() == pattern.len() && count == coloring.count(), || {
        format!("{} vertices, {} colors instead of {count}", colors.len(), coloring.count())
    })?;
    let conflict = graph.color_conflict(coloring.colors())?;
    ensure(conflict.is_none(), || format!("a conflict at {conflict:?}"))
}

/// One color for all is in conflict at the first edge, and nowhere without edges.
fn conflicts(graph: &Graph, pattern: &Pattern) -> TestResult {
    let found = graph.color_conflict(&vec![3; graph.layout().local_len()])?;
    let expected = pattern.edges().first().map(|&(one, other)| (one as u64, other as u64));
    ensure(found == expected, || format!("a conflict at {found:?} instead of {expected:?}"))
}
