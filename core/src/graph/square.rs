//! The graph of distances one and two.
//!
//! A rank knows the neighbors of its own vertices; for those of its ghosts it asks their owners.

use crate::error::Result;
use crate::graph::adjacency::Graph;
use crate::graph::assembly::Rows;
use crate::index::{Gid, at, local};
use crate::profile;

impl Graph {
    /// Returns the graph whose edges are the pairs of different vertices at distance one or two: the
    /// pattern of the squared matrix.
    ///
    /// # Collective
    /// Owners send the neighbors of ghosts, 8 bytes each. Until it is finished the new graph takes 12
    /// bytes an edge end.
    ///
    /// # Errors
    /// [`TooLarge`](crate::Error::TooLarge) above 2^32 - 1 owned and ghost vertices on a rank,
    /// agreed over the ranks.
    pub fn square(&self) -> Result<Graph> {
        let _event = profile::operation("GraphAssembly");
        let ghosts = self.ghost_rows();
        let owned = self.layout().local_len();
        let mut rows = Rows { starts: vec![0], columns: Vec::new() };
        let mut row: Vec<Gid> = Vec::new();
        for (vertex, id) in self.layout().range().enumerate() {
            for &neighbor in self.neighbors(vertex) {
                row.push(self.to_global(neighbor));
                match at(neighbor).checked_sub(owned) {
                    None => row.extend(self.global_neighbors(at(neighbor))),
                    Some(ghost) => row.extend(&ghosts.columns[ghosts.starts[ghost]..ghosts.starts[ghost + 1]]),
                }
            }
            row.sort_unstable();
            row.dedup();
            rows.columns.extend(row.drain(..).filter(|&other| other != id));
            rows.starts.push(rows.columns.len());
        }
        Graph::from_rows(self.layout(), rows)
    }

    /// Returns the neighbors of each ghost.
    ///
    /// # Collective
    fn ghost_rows(&self) -> Rows {
        let (comm, ids) = (self.comm(), self.ghosts().gids());
        let spans = self.ghosts().spans(self.layout().blocks()).expect("invariant: ghosts are vertices");
        let questions: Vec<_> = spans.into_iter().map(|(owner, span)| (owner, ids[span].to_vec())).collect();
        let answer = |(asker, ids): (usize, Vec<Gid>)| {
            let mut answer = Vec::new();
            for vertex in ids.into_iter().map(|id| self.owned_position(id)) {
                answer.push(self.degree(vertex) as u64);
                answer.extend(self.global_neighbors(vertex));
            }
            (asker, answer)
        };
        let answers: Vec<_> = comm.sparse_exchange(&questions).into_iter().map(answer).collect();
        let mut rows = Rows { starts: vec![0], columns: Vec::new() };
        // Answers come by ascending owner, which is the order of the ghosts.
        for (_, answer) in comm.sparse_exchange(&answers) {
            let mut rest = &answer[..];
            while let Some((&degree, after)) = rest.split_first() {
                let (row, after) = after.split_at(local(degree));
                rows.columns.extend(row);
                rows.starts.push(rows.columns.len());
                rest = after;
            }
        }
        rows
    }
}
