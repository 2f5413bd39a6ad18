//! Colourings: valid, of few colours, and greedy.

use dolmen_core::{Colouring, Comm, Graph};
use dolmen_tests::TestResult;

use crate::cases::{ensure, gathered, on_graphs};
use crate::pattern::Pattern;

pub(crate) fn valid_and_greedy(comm: &Comm) -> TestResult {
    on_graphs(comm, |graph, pattern| {
        check(graph, pattern, &graph.colouring())?;
        check(&graph.square()?, &pattern.within(2), &graph.distance2_colouring()?)?;
        conflicts(graph, pattern)
    })
}

/// Neighbours differ, and a vertex of some colour has neighbours of all lower ones: what a greedy
/// colouring is, in whatever order.
fn check(graph: &Graph, pattern: &Pattern, colouring: &Colouring) -> TestResult {
    let colours = gathered(graph.comm(), colouring.colours());
    let around = |v: usize, colour: u32| pattern.neighbours[v].iter().any(|&other| colours[other] == colour);
    for (v, &colour) in colours.iter().enumerate() {
        ensure(!around(v, colour), || format!("vertex {v} has a neighbour of its colour {colour}"))?;
        let greedy = (0..colour).all(|lower| around(v, lower));
        ensure(greedy, || format!("vertex {v} could have had a lower colour than {colour}"))?;
    }
    let count = colours.iter().max().map_or(0, |most| *most as usize + 1);
    ensure(colours.len() == pattern.len() && count == colouring.count(), || {
        format!("{} vertices, {} colours instead of {count}", colours.len(), colouring.count())
    })?;
    let conflict = graph.colour_conflict(colouring.colours())?;
    ensure(conflict.is_none(), || format!("a conflict at {conflict:?}"))
}

/// One colour for all is in conflict at the first edge, and nowhere without edges.
fn conflicts(graph: &Graph, pattern: &Pattern) -> TestResult {
    let found = graph.colour_conflict(&vec![3; graph.layout().local_len()])?;
    let expected = pattern.edges().first().map(|&(one, other)| (one as u64, other as u64));
    ensure(found == expected, || format!("a conflict at {found:?} instead of {expected:?}"))
}
