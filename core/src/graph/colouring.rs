//! Greedy colouring in the order of hashed priorities.
//!
//! The vertex of the highest priority takes the first colour, and each one after it the first
//! colour that no neighbour of higher priority has. A rank walks through its vertices in that order
//! and colours those whose neighbours of higher priority all have their colours; what waits for a
//! ghost waits for the next round (Jones & Plassmann, "A parallel graph coloring heuristic", SIAM J.
//! Sci. Comput. 14, 1993). The colours are those of the sequential walk, on any number of ranks.

use std::cmp::Reverse;

use crate::error::Result;
use crate::graph::adjacency::Graph;
use crate::graph::priority::priority;
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::profile;

/// The colour of a vertex that has none yet.
const NONE: Lid = Lid::MAX;

/// A colour for each vertex, different from those of its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colouring {
    colours: Box<[Lid]>,
    count: usize,
}

impl Colouring {
    /// Colours of this rank's vertices, `0..count()`.
    pub fn colours(&self) -> &[Lid] {
        &self.colours
    }

    /// Number of colours over all ranks: at most one more than the largest degree.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Graph {
    /// A greedy colouring; the same on any number of ranks.
    ///
    /// # Collective
    /// In each round one import of the ghosts' colours and one reduction. There is one round more than
    /// the rank changes along a chain of neighbours with falling priorities; for vertices of bounded
    /// degree the expected length of the longest chain grows more slowly than the logarithm of their
    /// number.
    pub fn colouring(&self) -> Colouring {
        let _event = profile::operation("GraphColouring");
        let priorities: Vec<u64> = self.ids().map(priority).collect();
        let owned = self.layout().local_len();
        let mut waiting: Vec<usize> = (0..owned).collect();
        waiting.sort_unstable_by_key(|&vertex| Reverse(priorities[vertex]));
        let mut colours = vec![NONE; priorities.len()];
        let mut taken = Vec::new();
        loop {
            waiting.retain(|&vertex| {
                let colour = self.first_free(vertex, &priorities, &colours, &mut taken);
                colours[vertex] = colour.unwrap_or(NONE);
                colour.is_none()
            });
            let mut left = [waiting.len() as u64];
            self.comm().all_reduce_sum(&mut left);
            if left[0] == 0 {
                break;
            }
            self.refresh_ghosts(&mut colours);
        }
        colours.truncate(owned);
        let mut count = [colours.iter().map(|&colour| u64::from(colour) + 1).max().unwrap_or(0)];
        self.comm().all_reduce_max(&mut count);
        Colouring { colours: colours.into(), count: local(count[0]) }
    }

    /// A greedy colouring in which vertices at distance one or two differ too, as compressed
    /// Jacobians need: that of [`Graph::square`].
    ///
    /// # Collective
    /// As [`Graph::square`] and [`Graph::colouring`].
    ///
    /// # Errors
    /// As [`Graph::square`].
    pub fn distance2_colouring(&self) -> Result<Colouring> {
        Ok(self.square()?.colouring())
    }

    /// The first edge whose ends have the same colour, which a valid colouring does not have; the
    /// same on all ranks. For distance-2 colourings ask the [`Graph::square`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LocalLength`](crate::Error::LocalLength), agreed over the ranks, if there is not one colour
    /// for each owned vertex.
    pub fn colour_conflict(&self, colours: &[Lid]) -> Result<Option<(Gid, Gid)>> {
        self.comm().agree(self.require_values("colours of vertices", colours.len()))?;
        let colours = self.with_ghosts(colours);
        let conflict = |vertex: usize| {
            let alike = |&&other: &&Lid| colours[at(other)] == colours[vertex];
            self.neighbours(vertex).iter().find(alike).map(|&other| self.to_global(other))
        };
        let mine = self.layout().range().enumerate().find_map(|(vertex, id)| Some((id, conflict(vertex)?)));
        // The first conflict of the lowest rank that has one is the first of all.
        let all = self.comm().all_gather(mine.map_or([Gid::MAX; 2], |(one, other)| [one, other]));
        Ok(all.into_iter().find(|&pair| pair != [Gid::MAX; 2]).map(|[one, other]| (one, other)))
    }

    /// The smallest colour that no neighbour of higher priority has, if they all have theirs; they
    /// are collected in `taken`.
    fn first_free(&self, vertex: usize, priorities: &[u64], colours: &[Lid], taken: &mut Vec<Lid>) -> Option<Lid> {
        let higher = |&&other: &&Lid| priorities[at(other)] > priorities[vertex];
        taken.clear();
        for &other in self.neighbours(vertex).iter().filter(higher) {
            if colours[at(other)] == NONE {
                return None;
            }
            taken.push(colours[at(other)]);
        }
        taken.sort_unstable();
        taken.dedup();
        let gap = taken.iter().zip(0..).position(|(&colour, expected)| colour != expected);
        Some(to_lid("colours", gap.unwrap_or(taken.len())).expect("invariant: fewer than neighbours"))
    }
}
