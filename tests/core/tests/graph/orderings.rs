//! Reverse Cuthill-McKee against its definition, and on graphs whose bandwidth is known.

use dolmen_core::{Comm, Graph, Layout};
use dolmen_tests::TestResult;

use crate::cases::{ensure, gathered, graph, on_graphs, positions};
use crate::pattern::Pattern;

pub(crate) fn follow_the_definition(comm: &Comm) -> TestResult {
    on_graphs(comm, |graph, pattern| {
        let renumbering = graph.reverse_cuthill_mckee()?;
        let numbers = positions(&gathered(comm, renumbering.new_ids()));
        check(pattern, &numbers)?;
        let renumbered = pattern.renumbered(&numbers);
        crate::adjacency::same_edges("renumbered graph", &renumbering.graph(graph)?, &renumbered)?;
        let own = graph.layout().range();
        let (first, end) = (positions(&[own.start])[0], positions(&[own.end])[0]);
        let block =
            pattern.edges().into_iter().filter(|(one, other)| [one, other].iter().all(|v| (first..end).contains(*v)));
        let block = Pattern::new(end - first, block.map(|(one, other)| (one - first, other - first)));
        let numbers: Vec<usize> = graph.local_reverse_cuthill_mckee().into_iter().map(|n| n as usize).collect();
        Ok(comm.agree(check(&block, &numbers).map_err(|error| format!("local block: {error}")))?)
    })
}

/// Backwards, the numbering is the breadth-first search from its own starts, neighbors by degree
/// and number, and every start is pseudo-peripheral.
fn check(pattern: &Pattern, numbers: &[usize]) -> TestResult {
    let mut order = vec![usize::MAX; pattern.len()];
    numbers.iter().enumerate().for_each(|(vertex, &number)| order[pattern.len() - 1 - number] = vertex);
    let mut expected: Vec<usize> = Vec::new();
    while expected.len() < pattern.len() {
        let (start, mut next) = (order[expected.len()], expected.len());
        ensure(start < pattern.len(), || format!("{numbers:?} is no permutation"))?;
        expected.push(start);
        while let Some(&vertex) = expected.get(next) {
            let mut found: Vec<usize> =
                pattern.neighbors[vertex].iter().copied().filter(|other| !expected.contains(other)).collect();
            found.sort_by_key(|&other| (pattern.degree(other), other));
            expected.extend(found);
            next += 1;
        }
        ensure(is_peripheral(pattern, start), || format!("{start} is not pseudo-peripheral"))?;
    }
    ensure(order == expected, || format!("{order:?} instead of {expected:?}"))
}

/// The result of George and Liu's search: the vertex is the one of lowest degree among the vertices that
/// are farthest from some vertex, and sees no farther than that one.
fn is_peripheral(pattern: &Pattern, vertex: usize) -> bool {
    let farthest = |v: usize| pattern.distances(v).into_iter().flatten().max().unwrap_or(0);
    (0..pattern.len()).any(|root| {
        let (distances, most) = (pattern.distances(root), farthest(root));
        let last = (0..pattern.len()).filter(|&v| distances[v] == Some(most));
        most == farthest(vertex) && last.min_by_key(|&v| (pattern.degree(v), v)) == Some(vertex)
    })
}

/// Bandwidth and profile of a graph after reordering.
fn reordered(graph: &Graph) -> TestResult<(u64, u64)> {
    let graph = graph.reverse_cuthill_mckee()?.graph(graph)?;
    Ok((graph.bandwidth(), graph.profile()))
}

pub(crate) fn known_graphs(comm: &Comm) -> TestResult {
    let shuffled = |pattern: Pattern| {
        // 101 is prime and larger than all of them: multiples modulo it are all different.
        let mut keys: Vec<usize> = (0..pattern.len()).collect();
        keys.sort_by_key(|v| (v + 1) * 37 % 101);
        pattern.renumbered(&keys)
    };
    let path = |n: usize| Pattern::new(n, (1..n).map(|v| (v - 1, v)));
    let cases = [
        // The bandwidth of a path is 1, that of a cycle 2, that of a grid its shorter side.
        ("path", shuffled(path(60)), 1, Some(59)),
        ("cycle", shuffled(Pattern::new(50, (0..50).map(|v| (v, (v + 1) % 50)))), 2, None),
        ("grid", shuffled(Pattern::grid(12, 5)), 5, None),
        (
            "paths and isolated vertices",
            shuffled(Pattern::new(70, (0..60).filter(|v| v % 10 != 9).map(|v| (v, v + 1)))),
            1,
            Some(54),
        ),
        ("complete", Pattern::new(8, (0..8).flat_map(|v| (0..v).map(move |w| (v, w)))), 7, Some(28)),
        ("no vertices", Pattern::new(0, []), 0, Some(0)),
    ];
    for (name, pattern, bandwidth, profile) in cases {
        let graph = graph(&Layout::uniform(comm, pattern.len() as u64), &pattern)?;
        let found = reordered(&graph)?;
        let right = found.0 == bandwidth && profile.is_none_or(|profile| found.1 == profile);
        ensure(right, || format!("{name}: bandwidth and profile {found:?} instead of {bandwidth}, {profile:?}"))?;
    }
    Ok(())
}
