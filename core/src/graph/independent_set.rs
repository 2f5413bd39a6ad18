//! Maximal independent sets in the order of hashed priorities.
//!
//! A vertex enters the set when it has the highest priority among the undecided vertices around it,
//! and leaves the others around it out (Luby, "A simple parallel algorithm for the maximal
//! independent set problem", SIAM J. Comput. 15, 1986, with priorities that stay). For sets in which
//! members are farther apart, "around" means within that distance, and the highest pair of state and
//! priority travels that many edges (Bell, Dalton & Olson, "Exposing fine-grained parallelism in
//! algebraic multigrid methods", SIAM J. Sci. Comput. 34, 2012, algorithm 5). The powers of the graph
//! are never formed.

use crate::graph::adjacency::Graph;
use crate::graph::priority::priority;
use crate::index::at;

/// States of a vertex, in ascending precedence.
const OUT: u64 = 0;
const UNDECIDED: u64 = 1;
const IN: u64 = 2;

/// State and priority.
type Tuple = [u64; 2];

impl Graph {
    /// Computes a maximal set of vertices of which no two are within `distance` of each other: true for the
    /// members among this rank's vertices. The same set on any number of ranks.
    ///
    /// Distance 1 is the ordinary maximal independent set; distance 2 gives roots of aggregates
    /// that, with their neighbors, do not overlap.
    ///
    /// # Collective
    /// In each round `distance` imports of 16 bytes a ghost, and one reduction. The expected number
    /// of rounds grows with the logarithm of the number of vertices.
    pub fn independent_set(&self, distance: usize) -> Vec<bool> {
        let owned = self.layout().local_len();
        let mut tuples: Vec<Tuple> = self.ids().map(|id| [UNDECIDED, priority(id)]).collect();
        let mut highest = tuples.clone();
        let mut undecided: Vec<usize> = (0..owned).collect();
        // What is further from all undecided vertices than one edge says nothing to them in two steps.
        let mut near = undecided.clone();
        let mut raised = Vec::new();
        loop {
            near.iter().for_each(|&vertex| highest[vertex] = tuples[vertex]);
            near.retain(|&vertex| distance > 2 || self.is_near_undecided(vertex, &tuples));
            highest[owned..].copy_from_slice(&tuples[owned..]);
            for step in 0..distance {
                if step > 0 {
                    self.refresh_ghosts(&mut highest);
                }
                let vertices = if step + 1 == distance { &undecided } else { &near };
                raised.clear();
                raised.extend(vertices.iter().map(|&vertex| self.highest_around(vertex, &highest)));
                vertices.iter().zip(&raised).for_each(|(&vertex, &raised)| highest[vertex] = raised);
            }
            undecided.retain(|&vertex| {
                let tuple = &mut tuples[vertex];
                match highest[vertex] {
                    highest if highest == *tuple => tuple[0] = IN,
                    [IN, _] => tuple[0] = OUT,
                    _ => {}
                }
                tuple[0] == UNDECIDED
            });
            let mut left = [undecided.len() as u64];
            self.comm().all_reduce_sum(&mut left);
            if left[0] == 0 {
                return tuples[..owned].iter().map(|tuple| tuple[0] == IN).collect();
            }
            self.refresh_ghosts(&mut tuples);
        }
    }

    fn is_near_undecided(&self, vertex: usize, tuples: &[Tuple]) -> bool {
        let mut around = self.neighbors(vertex).iter().map(|&other| tuples[at(other)]);
        tuples[vertex][0] == UNDECIDED || around.any(|[state, _]| state == UNDECIDED)
    }

    /// Returns the highest tuple of a vertex and its neighbors.
    fn highest_around(&self, vertex: usize, tuples: &[Tuple]) -> Tuple {
        let around = self.neighbors(vertex).iter().map(|&other| tuples[at(other)]);
        around.fold(tuples[vertex], Tuple::max)
    }
}
