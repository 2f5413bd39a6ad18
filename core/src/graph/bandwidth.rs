//! Bandwidth and profile: what an ordering is judged by.

use crate::graph::adjacency::Graph;

impl Graph {
    /// Returns the largest difference of the global ids of two neighbors; zero without edges. A matrix of
    /// this pattern has as many diagonals on either side of the main one.
    ///
    /// # Collective
    /// One reduction.
    pub fn bandwidth(&self) -> u64 {
        let mut widest = [self.edges().map(|(low, high)| high - low).max().unwrap_or(0)];
        self.comm().all_reduce_max(&mut widest);
        widest[0]
    }

    /// Returns the sum over all rows of the distance from the first neighbor to the diagonal, where there
    /// is a neighbor before it: the entries that a Cholesky factorization within the envelope
    /// stores besides the diagonal (George & Liu, "Computer Solution of Large Sparse Positive
    /// Definite Systems", 1981, section 4.2).
    ///
    /// # Collective
    /// One reduction.
    pub fn profile(&self) -> u64 {
        let reach = |(vertex, id): (usize, u64)| id.saturating_sub(self.global_neighbors(vertex).next().unwrap_or(id));
        let mut sum = [self.layout().range().enumerate().map(reach).sum::<u64>()];
        self.comm().all_reduce_sum(&mut sum);
        sum[0]
    }
}
