//! The record of one rank: a tree of paths of names with their times and counts, and the first
//! events one by one.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytemuck::{Pod, Zeroable};

use crate::index::{at, to_lid};

/// Events of the timeline for which there is room beforehand; beyond that it grows.
const RESERVED: usize = 1 << 17;

/// Depth of nesting for which there is room beforehand.
const DEPTH: usize = 64;

/// Returns a number above zero that no other event of the process has, so that a guard which outlives its profile
/// cannot end an event of the next one.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Counts of an event, apart from its time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Work {
    pub(crate) flops: u64,
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
    pub(crate) message_bytes: u64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        self.flops += other.flops;
        self.bytes += other.bytes;
        self.messages += other.messages;
        self.message_bytes += other.message_bytes;
    }
}

/// All events of one name on one path. Times are in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    /// The node around it; the root is its own.
    pub(crate) parent: usize,
    first_child: Option<usize>,
    next: Option<usize>,
    /// Events of this node that are open.
    open: usize,
    pub(crate) count: u64,
    /// From the beginning to the end of the outermost event.
    pub(crate) inclusive: u64,
    /// Without the events inside.
    pub(crate) own: u64,
    /// Without that of the events inside.
    pub(crate) work: Work,
}

impl Node {
    fn new(name: &'static str, parent: usize) -> Node {
        Node {
            name,
            parent,
            first_child: None,
            next: None,
            open: 0,
            count: 0,
            inclusive: 0,
            own: 0,
            work: Work::default(),
        }
    }
}

/// An event on the timeline, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    pub(crate) name: &'static str,
    pub(crate) start: u64,
    pub(crate) duration: u64,
}

/// An open event.
struct Frame {
    number: u64,
    node: usize,
    start: u64,
    /// Time of the events inside that have ended.
    inside: u64,
    /// Its place on the timeline.
    interval: Option<u32>,
}

/// Result of a recorder. The root of `nodes` is the first, and parents come before children.
pub(crate) struct Record {
    pub(crate) nodes: Vec<Node>,
    pub(crate) intervals: Vec<Interval>,
    /// Events that the timeline has no room for.
    pub(crate) dropped: u64,
}

pub(crate) struct Recorder {
    zero: Instant,
    nodes: Vec<Node>,
    frames: Vec<Frame>,
    intervals: Vec<Interval>,
    limit: usize,
    dropped: u64,
}

impl Recorder {
    /// Creates a recorder of at most `limit` trace events, whose memory is reserved, though not used,
    /// as long as it is not much.
    pub(crate) fn new(limit: usize) -> Recorder {
        let limit = limit.min(at(u32::MAX));
        Recorder {
            zero: Instant::now(),
            nodes: Vec::new(),
            frames: Vec::with_capacity(DEPTH),
            intervals: Vec::with_capacity(limit.min(RESERVED)),
            limit,
            dropped: 0,
        }
    }

    /// Starts the clock and opens the root.
    pub(crate) fn start(&mut self) {
        self.nodes.push(Node { open: 1, count: 1, ..Node::new("", 0) });
        self.zero = Instant::now();
        self.frames.push(Frame { number: next_number(), node: 0, start: 0, inside: 0, interval: None });
    }

    fn now(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn innermost(&self) -> usize {
        self.frames.last().expect("invariant: the root is open").node
    }

    pub(crate) fn begin(&mut self, name: &'static str, number: u64) {
        let node = self.node(name);
        self.nodes[node].open += 1;
        self.nodes[node].count += 1;
        let interval = self.reserve_interval(name);
        let start = self.now();
        self.frames.push(Frame { number, node, start, inside: 0, interval });
    }

    /// Returns the node of an event that begins now: that of the same name around it, or a child.
    fn node(&mut self, name: &'static str) -> usize {
        let parent = self.innermost();
        let mut around = parent;
        while around != 0 {
            if self.nodes[around].name == name {
                return around;
            }
            around = self.nodes[around].parent;
        }
        let mut last = None;
        let mut child = self.nodes[parent].first_child;
        while let Some(known) = child {
            if self.nodes[known].name == name {
                return known;
            }
            (last, child) = (child, self.nodes[known].next);
        }
        let new = self.nodes.len();
        self.nodes.push(Node::new(name, parent));
        match last {
            Some(last) => self.nodes[last].next = Some(new),
            None => self.nodes[parent].first_child = Some(new),
        }
        new
    }

    /// Reserves a place on the timeline when an event begins, so that long ones are not crowded out
    /// by the short ones inside.
    fn reserve_interval(&mut self, name: &'static str) -> Option<u32> {
        if self.intervals.len() == self.limit {
            self.dropped += 1;
            return None;
        }
        self.intervals.push(Interval { name, start: 0, duration: 0 });
        to_lid("events", self.intervals.len() - 1).ok()
    }

    fn depth_of(&self, number: u64) -> Option<usize> {
        self.frames.iter().rposition(|frame| frame.number == number)
    }

    /// Counts work for the innermost event.
    pub(crate) fn add(&mut self, work: Work) {
        let node = self.innermost();
        self.nodes[node].work += work;
    }

    /// Counts work for an event, if it is still open.
    pub(crate) fn add_to(&mut self, number: u64, work: Work) {
        if let Some(depth) = self.depth_of(number) {
            self.nodes[self.frames[depth].node].work += work;
        }
    }

    /// Ends an event and all that are still open inside; nothing if it has ended before.
    pub(crate) fn end(&mut self, number: u64) {
        let now = self.now();
        if let Some(depth) = self.depth_of(number) {
            self.close(depth, now);
        }
    }

    fn close(&mut self, depth: usize, now: u64) {
        while self.frames.len() > depth {
            let frame = self.frames.pop().expect("invariant: there is a frame above the depth");
            let time = now - frame.start;
            let node = &mut self.nodes[frame.node];
            node.own += time - frame.inside;
            node.open -= 1;
            if node.open == 0 {
                node.inclusive += time;
            }
            if let Some(outer) = self.frames.last_mut() {
                outer.inside += time;
            }
            if let Some(place) = frame.interval {
                let interval = &mut self.intervals[at(place)];
                (interval.start, interval.duration) = (frame.start, time);
            }
        }
    }

    /// Ends everything.
    pub(crate) fn finish(mut self) -> Record {
        let now = self.now();
        self.close(0, now);
        Record { nodes: self.nodes, intervals: self.intervals, dropped: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(limit: usize) -> Recorder {
        let mut recorder = Recorder::new(limit);
        recorder.start();
        recorder
    }

    fn begin(recorder: &mut Recorder, name: &'static str) -> u64 {
        let number = next_number();
        recorder.begin(name, number);
        number
    }

    /// Paths of names with their counts, in order of appearance.
    fn paths(record: &Record) -> Vec<(String, u64)> {
        let path = |mut at: usize| {
            let mut names = vec![record.nodes[at].name];
            while record.nodes[at].parent != 0 {
                at = record.nodes[at].parent;
                names.insert(0, record.nodes[at].name);
            }
            names.join("/")
        };
        (1..record.nodes.len()).map(|at| (path(at), record.nodes[at].count)).collect()
    }

    /// Own times of all nodes make up the whole, and no node is open.
    fn check_times(record: &Record) {
        assert_eq!(record.nodes.iter().map(|node| node.own).sum::<u64>(), record.nodes[0].inclusive);
        assert!(record.nodes.iter().all(|node| node.open == 0 && node.own <= node.inclusive));
    }

    #[test]
    fn events_nest() {
        let mut recorder = started(10);
        for _ in 0..2 {
            let outer = begin(&mut recorder, "outer");
            for name in ["one", "two", "one"] {
                let inner = begin(&mut recorder, name);
                recorder.add_to(inner, Work { flops: 3, ..Work::default() });
                recorder.add(Work { messages: 1, message_bytes: 8, ..Work::default() });
                recorder.end(inner);
            }
            recorder.end(outer);
        }
        let alone = begin(&mut recorder, "one");
        std::thread::sleep(std::time::Duration::from_millis(2));
        recorder.end(alone);
        let record = recorder.finish();
        let expected = [("outer", 2), ("outer/one", 4), ("outer/two", 2), ("one", 1)];
        assert_eq!(paths(&record), expected.map(|(path, count)| (path.to_owned(), count)));
        check_times(&record);
        assert_eq!(record.nodes[2].work, Work { flops: 12, bytes: 0, messages: 4, message_bytes: 32 });
        assert!(record.nodes[4].own >= 2_000_000 && record.nodes[1].inclusive < record.nodes[4].own);
        assert_eq!((record.intervals.len(), record.dropped), (9, 0));
        let [outer, inner] = [record.intervals[0], record.intervals[3]];
        assert_eq!((outer.name, inner.name), ("outer", "one"));
        assert!(outer.start <= inner.start && inner.start + inner.duration <= outer.start + outer.duration);
    }

    #[test]
    fn recursion_counts_time_once() {
        let mut recorder = started(0);
        let outer = begin(&mut recorder, "cycle");
        let smooth = begin(&mut recorder, "smooth");
        let inner = begin(&mut recorder, "cycle");
        std::thread::sleep(std::time::Duration::from_millis(2));
        let leaf = begin(&mut recorder, "leaf");
        [leaf, inner, smooth, outer].into_iter().for_each(|number| recorder.end(number));
        let record = recorder.finish();
        let expected = [("cycle", 2), ("cycle/smooth", 1), ("cycle/leaf", 1)];
        assert_eq!(paths(&record), expected.map(|(path, count)| (path.to_owned(), count)));
        check_times(&record);
        assert!(record.nodes[1].inclusive <= record.nodes[0].inclusive);
        assert!(record.nodes[1].own >= 2_000_000 && record.nodes[2].own < 2_000_000);
        assert_eq!(record.dropped, 4);
    }

    #[test]
    fn guards_may_go_in_any_order() {
        let mut recorder = started(10);
        let outer = begin(&mut recorder, "outer");
        let inner = begin(&mut recorder, "inner");
        recorder.end(outer);
        let next = begin(&mut recorder, "next");
        // It has ended with the outer one: neither ends nor adds to anything.
        recorder.end(inner);
        recorder.add_to(inner, Work { flops: 1, ..Work::default() });
        let last = begin(&mut recorder, "last");
        recorder.end(next);
        recorder.end(last);
        begin(&mut recorder, "open");
        let record = recorder.finish();
        let expected = [("outer", 1), ("outer/inner", 1), ("next", 1), ("next/last", 1), ("open", 1)];
        assert_eq!(paths(&record), expected.map(|(path, count)| (path.to_owned(), count)));
        check_times(&record);
        assert!(record.nodes.iter().all(|node| node.work == Work::default()));
    }

    #[test]
    fn the_timeline_is_bounded_and_keeps_what_begins_first() {
        let mut recorder = started(3);
        let outer = begin(&mut recorder, "outer");
        for _ in 0..10 {
            let inner = begin(&mut recorder, "inner");
            recorder.end(inner);
        }
        recorder.end(outer);
        let memory = recorder.intervals.capacity();
        let record = recorder.finish();
        assert_eq!((record.intervals.len(), record.intervals.capacity(), record.dropped), (3, memory, 8));
        assert_eq!(record.intervals[0].duration, record.nodes[1].inclusive);
        assert_eq!(record.nodes[2].count, 10);
    }
}
