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
        let mut next = tuples[..owned].to_vec();
        loop {
            highest.copy_from_slice(&tuples);
            for step in 0..distance {
                if step > 0 {
                    self.refresh_ghosts(&mut highest);
                }
                self.raise(&highest, &mut next);
                highest[..owned].copy_from_slice(&next);
            }
            let mut left = [0u64];
            for (tuple, highest) in tuples[..owned].iter_mut().zip(&highest) {
                if tuple[0] == UNDECIDED {
                    match highest {
                        _ if highest == tuple => tuple[0] = IN,
                        [IN, _] => tuple[0] = OUT,
                        _ => left[0] += 1,
                    }
                }
            }
            self.comm().all_reduce_sum(&mut left);
            if left[0] == 0 {
                return tuples[..owned].iter().map(|tuple| tuple[0] == IN).collect();
            }
            self.refresh_ghosts(&mut tuples);
        }
    }

    /// For each owned vertex the highest tuple of it and its neighbors.
    fn raise(&self, tuples: &[Tuple], raised: &mut [Tuple]) {
        for (vertex, raised) in raised.iter_mut().enumerate() {
            let around = self.neighbors(vertex).iter().map(|&other| tuples[at(other)]);
            *raised = around.fold(tuples[vertex], Tuple::max);
        }
    }
}
