//! Greedy coloring in the order of hashed priorities.
//!
//! The vertex of the highest priority takes the first color, and each one after it the first
//! color that no neighbor of higher priority has. A rank walks through its vertices in that order
//! and colors those whose neighbors of higher priority all have their colors; what waits for a
//! ghost waits for the next round (Jones & Plassmann, "A parallel graph coloring heuristic", SIAM J.
//! Sci. Comput. 14, 1993). The colors are those of the sequential walk, on any number of ranks.

use std::cmp::Reverse;

use crate::error::Result;
use crate::graph::adjacency::Graph;
use crate::graph::priority::priority;
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::profile;

/// The color of a vertex that has none yet.
const NONE: Lid = Lid::MAX;

/// A color for each vertex, different from those of its neighbors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coloring {
    colors: Box<[Lid]>,
    count: usize,
}

impl Coloring {
    /// Returns the colors of this rank's vertices, `0..count()`.
    pub fn colors(&self) -> &[Lid] {
        &self.colors
    }

    /// Returns the number of colors over all ranks: at most one more than the largest degree.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Graph {
    /// Computes a greedy coloring; the same on any number of ranks.
    ///
    /// # Collective
    /// In each round one import of the ghosts' colors and one reduction. There is one round more than
    /// the rank changes along a chain of neighbors with falling priorities; for vertices of bounded
    /// degree the expected length of the longest chain grows more slowly than the logarithm of their
    /// number.
    pub fn coloring(&self) -> Coloring {
        let _event = profile::operation("GraphColoring");
        let priorities: Vec<u64> = self.ids().map(priority).collect();
        let owned = self.layout().local_len();
        let mut waiting: Vec<usize> = (0..owned).collect();
        waiting.sort_unstable_by_key(|&vertex| Reverse(priorities[vertex]));
        let mut colors = vec![NONE; priorities.len()];
        let mut taken = Vec::new();
        loop {
            waiting.retain(|&vertex| {
                let color = self.first_free(vertex, &priorities, &colors, &mut taken);
                colors[vertex] = color.unwrap_or(NONE);
                color.is_none()
            });
            let mut left = [waiting.len() as u64];
            self.comm().all_reduce_sum(&mut left);
            if left[0] == 0 {
                break;
            }
            self.refresh_ghosts(&mut colors);
        }
        colors.truncate(owned);
        let mut count = [colors.iter().map(|&color| u64::from(color) + 1).max().unwrap_or(0)];
        self.comm().all_reduce_max(&mut count);
        Coloring { colors: colors.into(), count: local(count[0]) }
    }

    /// Computes a greedy coloring in which vertices at distance one or two differ too, as compressed
    /// Jacobians need: that of [`Graph::square`].
    ///
    /// # Collective
    /// As [`Graph::square`] and [`Graph::coloring`].
    ///
    /// # Errors
    /// As [`Graph::square`].
    pub fn distance2_coloring(&self) -> Result<Coloring> {
        Ok(self.square()?.coloring())
    }

    /// Finds the first edge whose ends have the same color, which a valid coloring does not have; the
    /// same on all ranks. For distance-2 colorings ask the [`Graph::square`].
    ///
    /// # Collective
    /// Two reductions of a word, beside the colors of ghosts.
    ///
    /// # Errors
    /// [`LocalLength`](crate::Error::LocalLength), agreed over the ranks, if there is not one color
    /// for each owned vertex.
    pub fn color_conflict(&self, colors: &[Lid]) -> Result<Option<(Gid, Gid)>> {
        self.comm().agree(self.require_values("colors of vertices", colors.len()))?;
        let colors = self.with_ghosts(colors);
        let conflict = |vertex: usize| {
            let alike = |&&other: &&Lid| colors[at(other)] == colors[vertex];
            self.neighbors(vertex).iter().find(alike).map(|&other| self.to_global(other))
        };
        let mine = self.layout().range().enumerate().find_map(|(vertex, id)| Some((id, conflict(vertex)?)));
        // Vertices ascend with the ranks, and each has one owner.
        let mut first = [mine.map_or(Gid::MAX, |(one, _)| one)];
        self.comm().all_reduce_min(&mut first);
        let mut other = [mine.filter(|(one, _)| [*one] == first).map_or(Gid::MAX, |(_, other)| other)];
        self.comm().all_reduce_min(&mut other);
        Ok((first != [Gid::MAX]).then_some((first[0], other[0])))
    }

    /// Returns the smallest color that no neighbor of higher priority has, if they all have theirs; they
    /// are collected in `taken`.
    fn first_free(&self, vertex: usize, priorities: &[u64], colors: &[Lid], taken: &mut Vec<Lid>) -> Option<Lid> {
        let higher = |&&other: &&Lid| priorities[at(other)] > priorities[vertex];
        taken.clear();
        for &other in self.neighbors(vertex).iter().filter(higher) {
            if colors[at(other)] == NONE {
                return None;
            }
            taken.push(colors[at(other)]);
        }
        taken.sort_unstable();
        taken.dedup();
        let gap = taken.iter().zip(0..).position(|(&color, expected)| color != expected);
        Some(to_lid("colors", gap.unwrap_or(taken.len())).expect("invariant: fewer than neighbors"))
    }
}
