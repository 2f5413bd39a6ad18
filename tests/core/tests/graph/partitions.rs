//! Partitions: their costs by brute force, and cuts of graphs whose best ones are known.

use dolmen_core::{Balance, Comm, Graph, Layout, Partition, Partitioner};
use dolmen_tests::TestResult;

use crate::cases::{ensure, gathered, graph, on_graphs, positions};
use crate::pattern::Pattern;

pub(crate) fn costs(comm: &Comm) -> TestResult {
    on_graphs(comm, |graph, pattern| {
        for parts in [1, 2, 5, comm.size(), 40] {
            for balance in [Balance::Rows, Balance::Entries] {
                let partition = Partitioner::new(parts).balance(balance).seed(3).partition(graph)?;
                check(pattern, graph, &partition, parts)?;
                numbered_by_parts(&partition)?;
            }
        }
        let blocks = Partition::of_layout(graph)?;
        check(pattern, graph, &blocks, comm.size())?;
        let received = gathered(comm, &[graph.ghosts().len() as u64]);
        ensure(blocks.halo() == received, || format!("halo {:?} but ghosts {received:?}", blocks.halo()))
    })
}

/// Every number that the partition gives, from the parts alone.
fn check(pattern: &Pattern, graph: &Graph, partition: &Partition, parts: usize) -> TestResult {
    let part: Vec<usize> = gathered(graph.comm(), partition.owned()).into_iter().map(|part| part as usize).collect();
    ensure(part.len() == pattern.len() && part.iter().all(|&part| part < parts), || format!("parts {part:?}"))?;
    let all = || 0..pattern.len();
    let of = |p: usize| all().filter(|&v| part[v] == p).collect::<Vec<_>>();
    let rows: Vec<u64> = (0..parts).map(|p| of(p).len() as u64).collect();
    let entries: Vec<u64> = (0..parts).map(|p| of(p).into_iter().map(|v| 1 + pattern.degree(v) as u64).sum()).collect();
    let touches = |v: usize, p: usize| pattern.neighbors[v].iter().any(|&other| part[other] == p);
    let halo: Vec<u64> = (0..parts).map(|p| all().filter(|&v| part[v] != p && touches(v, p)).count() as u64).collect();
    let cut = pattern.edges().into_iter().filter(|&(one, other)| part[one] != part[other]).count() as u64;
    let found = (partition.rows(), partition.entries(), partition.halo(), partition.edge_cut(), partition.volume());
    let expected = (&rows[..], &entries[..], &halo[..], cut, halo.iter().sum());
    ensure(found == expected, || format!("{parts} parts {part:?}: {found:?} instead of {expected:?}"))?;
    let heaviest = |weights: &[u64]| {
        let (most, all) = (weights.iter().max().copied().unwrap_or(0), weights.iter().sum::<u64>());
        if all == 0 { 1.0 } else { most as f64 / (all as f64 / parts as f64) }
    };
    for (balance, weights) in [(Balance::Rows, &rows), (Balance::Entries, &entries)] {
        let (found, expected) = (partition.imbalance(balance), heaviest(weights));
        ensure((found - expected).abs() < 1e-12 * expected, || format!("imbalance {found} instead of {expected}"))?;
    }
    Ok(())
}

/// New numbers sort the rows by part and then by old number; a rank's rows are those of its parts.
fn numbered_by_parts(partition: &Partition) -> TestResult {
    let comm = partition.layout().comm();
    let part = gathered(comm, partition.owned());
    let renumbering = partition.renumbering()?;
    let numbers = positions(&gathered(comm, renumbering.new_ids()));
    let mut sorted: Vec<usize> = (0..part.len()).collect();
    sorted.sort_by_key(|&row| (part[row], row));
    let mut expected = vec![0; part.len()];
    sorted.iter().enumerate().for_each(|(number, &row)| expected[row] = number);
    ensure(numbers == expected, || format!("numbers {numbers:?} instead of {expected:?}"))?;
    let owners: Vec<Option<usize>> =
        sorted.iter().enumerate().map(|(number, _)| renumbering.to().blocks().owner(number as u64)).collect();
    let apart = |one: usize, other: usize| owners[one] != owners[other] && part[sorted[one]] == part[sorted[other]];
    ensure((1..part.len()).all(|row| !apart(row - 1, row)), || format!("a part is on two ranks: {owners:?}"))?;
    let home = |row: usize| owners[row] == Some(part[sorted[row]] as usize);
    let at_home = partition.parts() != comm.size() || (0..part.len()).all(home);
    ensure(at_home, || format!("parts are not on their ranks: {owners:?}"))
}

pub(crate) fn known_graphs(comm: &Comm) -> TestResult {
    let clique = |first: usize| (0..8).flat_map(move |v| (0..v).map(move |w| (first + v, first + w)));
    let bridge = [(0, 8), (8 + 7, 16 + 1)];
    let cliques = Pattern::new(24, (0..3).flat_map(|k| clique(8 * k)).chain(bridge));
    let apart = Pattern::new(30, (0..30).filter(|v| v % 15 != 14).map(|v| (v, v + 1)));
    // Pattern, parts, the least cut and the volume that goes with it.
    let cases = [
        ("three cliques on two bridges", cliques, 3, 2, 4),
        ("two paths", apart, 2, 0, 0),
        ("grid, cut across", Pattern::grid(16, 6), 2, 6, 12),
    ];
    for (name, pattern, parts, cut, volume) in cases {
        // Neighbors far from each other, so that blocks of rows are a bad cut.
        let scattered: Vec<usize> = (0..pattern.len()).map(|v| v * 7 % pattern.len()).collect();
        let scattered = if pattern.len() % 7 == 0 { (0..pattern.len()).collect() } else { scattered };
        let graph = graph(&Layout::uniform(comm, pattern.len() as u64), &pattern.renumbered(&scattered))?;
        let partition = Partitioner::new(parts).partition(&graph)?;
        let found = (partition.edge_cut(), partition.volume(), partition.imbalance(Balance::Rows));
        ensure(found == (cut, volume, 1.0), || format!("{name}: {found:?} instead of {:?}", (cut, volume, 1.0)))?;
    }
    Ok(())
}
