//! `Partition`: a part for each row, what it costs, and the numbering that follows from it.
//!
//! The costs are computed here from the parts alone, whoever made them. What a product communicates
//! is not the edge cut: a vertex is sent to another part once, however many edges lead there
//! (Hendrickson & Kolda, "Graph partitioning models for parallel computing", Parallel Computing 26,
//! 2000).

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::graph::adjacency::Graph;
use crate::graph::renumbering::Renumbering;
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::layout::{Blocks, Layout};

/// Quantity of which the parts of a partition have equal shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Rows: the memory and work of vectors.
    Rows,
    /// Entries of the pattern of `A + A^T` with its diagonal: the memory and work of a product.
    Entries,
}

/// A part for each row of a graph, and what it costs.
#[derive(Clone, Debug)]
pub struct Partition {
    layout: Layout,
    owned: Box<[Lid]>,
    rows: Box<[u64]>,
    entries: Box<[u64]>,
    halo: Box<[u64]>,
    edge_cut: u64,
}

/// Parts of which every rank can keep a record, however few rows there are.
const PARTS: u64 = 1 << 20;

/// Refuses more parts than can be numbered or kept.
pub(super) fn require_parts(graph: &Graph, parts: usize) -> Result<()> {
    let rows = graph.layout().global_len();
    let reason = if Lid::try_from(parts).is_err() {
        "parts are numbered by 32 bits".to_owned()
    } else if parts as u64 > rows.max(PARTS) {
        format!("a graph of {rows} vertices can have at most {} parts", rows.max(PARTS))
    } else {
        return Ok(());
    };
    Err(Error::Partition { parts, reason })
}

impl Partition {
    /// Creates a partition from the part, `0..parts`, of each owned row.
    ///
    /// # Collective
    /// One import of the ghosts' parts and a reduction of three words a part.
    ///
    /// # Errors
    /// [`Error::LocalLength`] if there is not one part for each owned row, [`Error::IndexOutOfRange`]
    /// for a part that does not exist, both agreed over the ranks; [`Error::Partition`] above 2^32 - 1
    /// parts, or both a million parts and the number of rows: each rank keeps three words a part.
    pub fn new(graph: &Graph, parts: usize, owned: Vec<Lid>) -> Result<Partition> {
        require_parts(graph, parts)?;
        let beyond = owned.iter().find(|&&part| at(part) >= parts);
        let exist = beyond.map_or(Ok(()), |&part| {
            Err(Error::IndexOutOfRange { what: "part of a row", index: part.into(), bound: parts as u64 })
        });
        graph.comm().agree(graph.require_values("parts of rows", owned.len()).and(exist))?;
        let all = graph.with_ghosts(&owned);
        let cut = graph.local_edges().filter(|&(vertex, other)| all[vertex] != all[at(other)]).count();
        let mut sums = vec![0; 3 * parts];
        let (rows, others) = sums.split_at_mut(parts);
        let (entries, halo) = others.split_at_mut(parts);
        let mut around: Vec<Lid> = Vec::new();
        for (vertex, &part) in owned.iter().enumerate() {
            rows[at(part)] += 1;
            entries[at(part)] += graph.degree(vertex) as u64 + 1;
            around.extend(graph.neighbors(vertex).iter().map(|&other| all[at(other)]).filter(|&other| other != part));
            around.sort_unstable();
            around.dedup();
            around.drain(..).for_each(|other| halo[at(other)] += 1);
        }
        sums.push(cut as u64);
        graph.comm().all_reduce_sum(&mut sums);
        Ok(Partition {
            layout: graph.layout().clone(),
            owned: owned.into(),
            rows: sums[..parts].into(),
            entries: sums[parts..2 * parts].into(),
            halo: sums[2 * parts..3 * parts].into(),
            edge_cut: sums[3 * parts],
        })
    }

    /// Returns the partition of the graph's layout: a part for each rank.
    ///
    /// # Collective
    /// As [`Partition::new`].
    ///
    /// # Errors
    /// More than 2^32 - 1 ranks.
    pub fn of_layout(graph: &Graph) -> Result<Partition> {
        let part = to_lid("ranks", graph.comm().rank());
        let part = graph.comm().agree(part)?;
        Partition::new(graph, graph.comm().size(), vec![part; graph.layout().local_len()])
    }

    /// Returns the layout of the rows.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the number of parts, empty ones included.
    pub fn parts(&self) -> usize {
        self.rows.len()
    }

    /// Returns the part of each row that this rank owns.
    pub fn owned(&self) -> &[Lid] {
        &self.owned
    }

    /// Returns the number of rows of each part.
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// Returns the number of entries of the pattern of `A + A^T` with its diagonal, in the rows of each part.
    pub fn entries(&self) -> &[u64] {
        &self.entries
    }

    /// Returns for each part the rows of others that are neighbors of its own: what a rank with this part
    /// receives in a product with a matrix of symmetric pattern.
    pub fn halo(&self) -> &[u64] {
        &self.halo
    }

    /// Returns the communication volume: halo entries over all parts.
    pub fn volume(&self) -> u64 {
        self.halo.iter().sum()
    }

    /// Returns the number of edges between different parts.
    pub fn edge_cut(&self) -> u64 {
        self.edge_cut
    }

    /// Returns the heaviest part over the average: 1 is perfect. An empty graph is in balance.
    pub fn imbalance(&self, of: Balance) -> f64 {
        let weights = match of {
            Balance::Rows => &self.rows,
            Balance::Entries => &self.entries,
        };
        let (all, most) = (weights.iter().sum::<u64>(), weights.iter().copied().max().unwrap_or(0));
        if all == 0 { 1.0 } else { most as f64 * self.parts() as f64 / all as f64 }
    }

    /// Numbers the rows part by part, those of one part in their old order. With a part for each rank
    /// every rank gets its own; otherwise the parts are dealt to the ranks in order, as evenly as
    /// their number allows.
    ///
    /// The new numbers do not depend on the number of ranks.
    ///
    /// # Collective
    /// Sparse exchanges of the number of rows of each part, then as [`Renumbering::new`].
    ///
    /// # Errors
    /// More than 2^32 - 1 rows on a rank.
    pub fn renumbering(&self) -> Result<Renumbering> {
        let (comm, end) = (self.layout.comm(), self.layout.global_len());
        let first: Vec<Gid> =
            self.rows.iter().scan(0, |next, rows| Some(std::mem::replace(next, *next + rows))).collect();
        let homes = Blocks::uniform(self.parts() as u64, comm.size());
        let start = |part: Gid| first.get(local(part)).copied().unwrap_or(end);
        let offsets: Vec<Gid> = (0..comm.size()).map(|rank| start(homes.range(rank).start)).chain([end]).collect();
        let to = Layout::agreed(comm, Blocks::from_offsets(&offsets)?);
        let mut next = self.first_ids(&homes, first);
        let new_ids = self.owned.iter().map(|&part| {
            let id = next[at(part)];
            next[at(part)] += 1;
            id
        });
        Renumbering::new(&self.layout, &to, new_ids.collect())
    }

    /// For each part the new id of this rank's first row in it, from the first of all: the ranks
    /// tell the home of a part how many rows they have in it, and are told where theirs begin.
    ///
    /// # Collective
    fn first_ids(&self, homes: &Blocks, first: Vec<Gid>) -> Vec<Gid> {
        let comm = self.layout.comm();
        let mut counts: BTreeMap<Lid, u64> = BTreeMap::new();
        self.owned.iter().for_each(|&part| *counts.entry(part).or_default() += 1);
        let mut questions: BTreeMap<usize, Vec<[u64; 2]>> = BTreeMap::new();
        for (part, count) in counts {
            let home = homes.owner(part.into()).expect("invariant: the part exists");
            questions.entry(home).or_default().push([part.into(), count]);
        }
        let received = comm.sparse_exchange(&questions.into_iter().collect::<Vec<_>>());
        let mut next = first;
        let mut answer = |[part, count]: [u64; 2]| {
            let start = next[local(part)];
            next[local(part)] += count;
            [part, start]
        };
        let answers: Vec<_> =
            received.into_iter().map(|(rank, list)| (rank, list.into_iter().map(&mut answer).collect())).collect();
        for [part, start] in comm.sparse_exchange(&answers).into_iter().flat_map(|(_, list)| list) {
            next[local(part)] = start;
        }
        next
    }
}
