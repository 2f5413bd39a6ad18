//! The summary: what all ranks recorded, joined by path and reduced to a few numbers an event.
//!
//! Ranks may have recorded different events, so there is nothing to reduce element by element: the
//! trees, some ten kilobytes each, are gathered on one rank, joined there, and the result broadcast.

use bytemuck::{Pod, Zeroable};

use crate::comm::Comm;
use crate::record::{Node, Record, Work};

/// The rank that joins.
const ROOT: usize = 0;
const NANOSECONDS: f64 = 1e-9;

/// A time of an event over the ranks, in s; zero on ranks without the event.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Spread {
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// The mean over all ranks.
    pub mean: f64,
    /// The rank with the longest, the lowest among equals.
    pub max_rank: usize,
}

impl Spread {
    const NONE: Spread = Spread { min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, max_rank: 0 };

    /// Takes the time of one rank among `ranks`, by ascending rank.
    fn add(&mut self, time: u64, rank: usize, ranks: usize) {
        let time = time as f64 * NANOSECONDS;
        if time > self.max {
            (self.max, self.max_rank) = (time, rank);
        }
        self.min = self.min.min(time);
        self.mean += time / ranks as f64;
    }
}

/// All events of one name on one path of names.
///
/// Work is that of all ranks, and includes the events inside.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSummary {
    /// Its name.
    pub name: String,
    /// Events around it; the total is alone at depth 0.
    pub depth: usize,
    /// Number of occurrences on the rank with the most.
    pub count: u64,
    /// Number of occurrences on the rank with the fewest.
    pub min_count: u64,
    /// Time with the events inside.
    pub time: Spread,
    /// Time without the events inside.
    pub own_time: Spread,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes moved in memory, or to and from files.
    pub bytes: u64,
    /// Messages to other ranks.
    pub messages: u64,
    /// Bytes of these messages.
    pub message_bytes: u64,
}

/// Record of a [`Profile`](super::Profile), the same on all ranks. `Display` prints a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    ranks: usize,
    events: Vec<EventSummary>,
    dropped: u64,
}

impl Summary {
    /// # Collective
    pub(super) fn new(comm: &Comm, record: &Record) -> Summary {
        let mut dropped = [record.dropped];
        comm.all_reduce_sum(&mut dropped);
        let names: String = record.nodes.iter().map(|node| node.name).collect();
        let nodes: Vec<PackedNode> = record.nodes.iter().map(PackedNode::new).collect();
        let (mut rows, mut names) = match (comm.gather(ROOT, &nodes), comm.gather(ROOT, names.as_bytes())) {
            (Some(nodes), Some(names)) => in_order(&join(&nodes, &names)),
            _ => Default::default(),
        };
        comm.broadcast(ROOT, &mut rows);
        comm.broadcast(ROOT, &mut names);
        let mut rest = names.as_slice();
        let events = rows.iter().map(|row| row.unpack(next_name(&mut rest, row.name_len))).collect();
        Summary { ranks: comm.size(), events, dropped: dropped[0] }
    }

    /// Returns the number of ranks.
    pub fn ranks(&self) -> usize {
        self.ranks
    }

    /// Returns the total, then all events, those inside of an event after it; the longest first.
    pub fn events(&self) -> &[EventSummary] {
        &self.events
    }

    /// Returns the total from start to finish; its own time was spent outside of events.
    pub fn total(&self) -> &EventSummary {
        &self.events[0]
    }

    /// Returns the number of trace events of all ranks that were left out because the buffer was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// A [`Node`] on its way to the rank that joins.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct PackedNode {
    parent: usize,
    name_len: usize,
    count: u64,
    inclusive: u64,
    own: u64,
    work: Work,
}

impl PackedNode {
    fn new(node: &Node) -> PackedNode {
        let &Node { name, parent, count, inclusive, own, work, .. } = node;
        PackedNode { parent, name_len: name.len(), count, inclusive, own, work }
    }
}

/// An [`EventSummary`] on its way back.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Row {
    name_len: usize,
    depth: usize,
    count: u64,
    min_count: u64,
    time: Spread,
    own_time: Spread,
    work: Work,
}

impl Row {
    fn unpack(&self, name: &str) -> EventSummary {
        let &Row { depth, count, min_count, time, own_time, work, .. } = self;
        let Work { flops, bytes, messages, message_bytes } = work;
        let name = name.to_owned();
        EventSummary { name, depth, count, min_count, time, own_time, flops, bytes, messages, message_bytes }
    }
}

/// Takes the next name off names that stand one after the other.
fn next_name<'n>(names: &mut &'n [u8], len: usize) -> &'n str {
    let (name, rest) = names.split_at(len);
    *names = rest;
    std::str::from_utf8(name).expect("invariant: a whole name")
}

/// An event of the joined tree.
struct Joined<'n> {
    name: &'n str,
    parent: usize,
    children: Vec<usize>,
    /// Ranks that have the event.
    ranks: usize,
    row: Row,
}

impl<'n> Joined<'n> {
    fn new(name: &'n str, parent: usize, depth: usize) -> Joined<'n> {
        let (time, own_time, work) = (Spread::NONE, Spread::NONE, Work::default());
        let row = Row { name_len: name.len(), depth, count: 0, min_count: u64::MAX, time, own_time, work };
        Joined { name, parent, children: Vec::new(), ranks: 0, row }
    }

    fn add(&mut self, node: &PackedNode, rank: usize, ranks: usize) {
        self.ranks += 1;
        self.row.count = self.row.count.max(node.count);
        self.row.min_count = self.row.min_count.min(node.count);
        self.row.time.add(node.inclusive, rank, ranks);
        self.row.own_time.add(node.own, rank, ranks);
        self.row.work += node.work;
    }
}

/// Joins the trees of all ranks by names. Parents come before their children, the root first.
fn join<'n>(nodes: &[Vec<PackedNode>], names: &'n [Vec<u8>]) -> Vec<Joined<'n>> {
    let ranks = nodes.len();
    let mut tree = vec![Joined::new("total", 0, 0)];
    for (rank, (nodes, names)) in nodes.iter().zip(names).enumerate() {
        let mut names = names.as_slice();
        // Where this rank's nodes are in the joined tree.
        let mut places = vec![0];
        tree[0].add(&nodes[0], rank, ranks);
        for node in &nodes[1..] {
            let place = child(&mut tree, places[node.parent], next_name(&mut names, node.name_len));
            tree[place].add(node, rank, ranks);
            places.push(place);
        }
    }
    for joined in tree.iter_mut().filter(|joined| joined.ranks < ranks) {
        (joined.row.min_count, joined.row.time.min, joined.row.own_time.min) = (0, 0.0, 0.0);
    }
    for at in (1..tree.len()).rev() {
        let (work, parent) = (tree[at].row.work, tree[at].parent);
        tree[parent].row.work += work;
    }
    tree
}

/// Returns the child of this name, which is made if there is none.
fn child<'n>(tree: &mut Vec<Joined<'n>>, parent: usize, name: &'n str) -> usize {
    if let Some(&known) = tree[parent].children.iter().find(|&&child| tree[child].name == name) {
        return known;
    }
    let new = tree.len();
    let depth = tree[parent].row.depth + 1;
    tree[parent].children.push(new);
    tree.push(Joined::new(name, parent, depth));
    new
}

/// Returns the rows of a tree and their names: each event before those inside, the longest first.
fn in_order(tree: &[Joined<'_>]) -> (Vec<Row>, Vec<u8>) {
    let (mut rows, mut names) = (Vec::new(), Vec::new());
    let mut next = vec![0];
    while let Some(at) = next.pop() {
        rows.push(tree[at].row);
        names.extend(tree[at].name.bytes());
        let mut inside = tree[at].children.clone();
        inside.sort_by(|&a, &b| tree[a].row.time.mean.total_cmp(&tree[b].row.time.mean));
        next.extend(inside);
    }
    (rows, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a tree of (parent, name, milliseconds, own milliseconds).
    fn packed(nodes: &[(usize, &str, u64, u64)]) -> (Vec<PackedNode>, Vec<u8>) {
        let names = nodes.iter().flat_map(|node| node.1.bytes()).collect();
        let node = |&(parent, name, time, own): &(usize, &str, u64, u64)| {
            let work = Work { flops: own, bytes: 1, messages: 0, message_bytes: 0 };
            let (inclusive, own) = (time * 1_000_000, own * 1_000_000);
            PackedNode { parent, name_len: name.len(), count: time, inclusive, own, work }
        };
        (nodes.iter().map(node).collect(), names)
    }

    #[test]
    fn trees_of_different_ranks_are_joined_by_path() {
        let one = packed(&[(0, "", 10, 1), (0, "a", 5, 2), (1, "b", 3, 3), (0, "b", 4, 4)]);
        let two = packed(&[(0, "", 10, 0), (0, "b", 9, 8), (1, "c", 1, 1), (0, "a", 1, 1)]);
        let (rows, names) = in_order(&join(&[one.0, two.0], &[one.1, two.1]));
        let mut rest = names.as_slice();
        let events: Vec<_> = rows.iter().map(|row| row.unpack(next_name(&mut rest, row.name_len))).collect();
        let names: Vec<_> = events.iter().map(|event| (event.name.as_str(), event.depth)).collect();
        assert_eq!(names, [("total", 0), ("b", 1), ("c", 2), ("a", 1), ("b", 2)]);
        assert_eq!(events.iter().map(|event| event.flops).collect::<Vec<_>>(), [20, 13, 1, 6, 3]);
        assert_eq!(events.iter().map(|event| event.bytes).collect::<Vec<_>>(), [8, 3, 1, 3, 1]);
        let counts: Vec<_> = events.iter().map(|event| (event.count, event.min_count)).collect();
        assert_eq!(counts, [(10, 10), (9, 4), (1, 0), (5, 1), (3, 0)]);
        let milliseconds = |s: &Spread| [s.min, s.max, s.mean].map(|time| (time * 1e6).round() / 1e3);
        assert_eq!(milliseconds(&events[1].time), [4.0, 9.0, 6.5]);
        assert_eq!(events[1].time.max_rank, 1);
        assert_eq!(milliseconds(&events[3].own_time), [1.0, 2.0, 1.5]);
        assert_eq!(milliseconds(&events[4].time), [0.0, 3.0, 1.5]);
    }
}
