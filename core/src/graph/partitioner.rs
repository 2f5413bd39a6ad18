//! k-way partitioning by METIS.
//!
//! Karypis & Kumar, "A fast and high quality multilevel scheme for partitioning irregular graphs",
//! SIAM J. Sci. Comput. 20, 1998. METIS is serial: rank 0 gathers the graph and cuts it while the
//! others wait. That bounds the size of the graph (32-bit numbers) and asks for memory on that rank,
//! but makes the partition a function of the graph, the number of parts and the seed alone, on any
//! number of ranks. A matrix is cut once and multiplied many times.
//!
//! METIS draws from the C library's `rand`, which it seeds: one C library always gives the same
//! partition, another may give a different one.

use crate::error::{Error, Result};
use crate::graph::adjacency::Graph;
use crate::graph::partition::{Balance, Partition, require_parts};
use crate::graph::serial::{SerialGraph, scatter};
use crate::index::{Lid, local};
use crate::profile;

/// Vertices and edge ends that METIS counts in 32 bits with a sign.
const LIMIT: u64 = i32::MAX.unsigned_abs() as u64;

/// Settings for partitioning a graph into parts of equal weight with few edges between them.
///
/// ```no_run
/// # fn f(a: &dolmen_core::CsrMatrix<f64>, x: &dolmen_core::Vector<f64>) -> dolmen_core::Result<()> {
/// use dolmen_core::{Balance, Graph, Partitioner, Vector};
///
/// let graph = Graph::from_matrix(a)?;
/// let partition = Partitioner::new(x.comm().size()).balance(Balance::Entries).partition(&graph)?;
/// let renumbering = partition.renumbering()?;
/// let a = a.renumbered(&renumbering, &renumbering)?;
/// let mut moved = Vector::zeros(renumbering.to());
/// renumbering.apply(x, &mut moved)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitioner {
    parts: usize,
    balance: Balance,
    seed: u64,
}

impl Partitioner {
    /// Creates a partitioner for this number of parts, with equal numbers of rows.
    #[must_use]
    pub fn new(parts: usize) -> Partitioner {
        Partitioner { parts, balance: Balance::Rows, seed: 0 }
    }

    /// Sets the quantity of which parts get equal shares, within 3 percent if the graph allows it.
    #[must_use]
    pub fn balance(self, balance: Balance) -> Partitioner {
        Partitioner { balance, ..self }
    }

    /// Seeds the random choices; the low 31 bits count.
    #[must_use]
    pub fn seed(self, seed: u64) -> Partitioner {
        Partitioner { seed, ..self }
    }

    /// Cuts the graph. The same partition on any number of ranks. With more parts than vertices, every
    /// vertex is a part and the last parts are empty.
    ///
    /// # Collective
    /// Rank 0 gathers the graph and calls METIS; the others wait. For a 7-point grid of a million rows
    /// rank 0 was seen to need 230 MB and a second.
    ///
    /// # Errors
    /// [`Error::Partition`] for no parts, more than [`Partition::new`] takes, or where METIS fails, which is when
    /// its memory does not suffice; [`Error::GraphTooLarge`] above 2^31 - 1 vertices and edge ends. On
    /// all ranks alike.
    pub fn partition(&self, graph: &Graph) -> Result<Partition> {
        let _event = profile::operation("GraphPartition");
        let parts = self.parts;
        if parts == 0 {
            return Err(Error::Partition { parts, reason: "the number of parts must be at least 1".into() });
        }
        require_parts(graph, parts)?;
        let all = graph.gathered("partition by METIS", LIMIT)?.map(|graph| self.cut(&graph)).transpose();
        let all = graph.comm().agree(all)?;
        Partition::new(graph, parts, scatter(graph.layout(), all.as_deref()))
    }

    /// Returns the part of each vertex.
    fn cut(&self, graph: &SerialGraph) -> Result<Vec<Lid>> {
        if self.parts >= graph.len() {
            return Ok(graph.vertices().collect());
        }
        let number = |count: usize| metis::Idx::try_from(count).expect("invariant: below the limit");
        let failed = |reason: String| Error::Partition { parts: self.parts, reason };
        let starts: Vec<metis::Idx> = graph.starts.iter().map(|&start| number(start)).collect();
        let weights: Vec<metis::Idx> = match self.balance {
            Balance::Rows => vec![1; graph.len()],
            Balance::Entries => graph.vertices().map(|vertex| number(graph.degree(vertex) + 1)).collect(),
        };
        let mut part: Vec<metis::Idx> = vec![0; graph.len()];
        metis::Graph::new(1, number(self.parts), &starts, bytemuck::cast_slice(&graph.neighbors))
            .map_err(|error| failed(error.to_string()))?
            .set_vwgt(&weights)
            .set_option(metis::option::Seed(number(local(self.seed & LIMIT))))
            .part_kway(&mut part)
            .map_err(|error| failed(format!("METIS: {error}")))?;
        Ok(bytemuck::cast_vec(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::at;

    /// Creates a path with this number of vertices.
    fn path(vertices: Lid) -> SerialGraph {
        let near = |v: Lid| [v.checked_sub(1), (v + 1 < vertices).then_some(v + 1)];
        let rows: Vec<Vec<Lid>> = (0..vertices).map(|v| near(v).into_iter().flatten().collect()).collect();
        let starts = (0..=rows.len()).map(|end| rows[..end].iter().map(Vec::len).sum()).collect();
        SerialGraph { starts, neighbors: rows.concat() }
    }

    #[test]
    fn a_path_is_cut_once_for_two_parts() {
        for seed in [0, 7, u64::MAX] {
            let part = Partitioner::new(2).seed(seed).cut(&path(100)).unwrap();
            assert_eq!(part.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1);
            assert_eq!(part.iter().filter(|&&part| part == 0).count(), 50);
        }
    }

    #[test]
    fn few_vertices_are_parts_of_their_own() {
        assert_eq!(Partitioner::new(5).cut(&path(3)).unwrap(), [0, 1, 2]);
        assert_eq!(Partitioner::new(1).cut(&path(3)).unwrap(), [0, 0, 0]);
        assert_eq!(Partitioner::new(1).cut(&path(0)).unwrap(), [] as [Lid; 0]);
    }

    #[test]
    fn entries_weigh_by_degree() {
        // A star of 16 rays, and 60 vertices without edges.
        let mut star = path(0);
        star.neighbors.extend((1..17).chain([0; 16]));
        star.starts = std::iter::once(0).chain(16..33).chain([32; 60]).collect();
        let part = Partitioner::new(2).balance(Balance::Entries).cut(&star).unwrap();
        let weight = |p: Lid| star.vertices().filter(|&v| part[at(v)] == p).map(|v| star.degree(v) + 1).sum::<usize>();
        assert_eq!(weight(0) + weight(1), 77 + 32);
        assert!(weight(0).abs_diff(weight(1)) <= 4, "{} and {}", weight(0), weight(1));
    }

    /// METIS has to survive this, and to name parts that exist.
    #[test]
    fn small_graphs_are_cut_into_many_parts() {
        for vertices in 2..40 {
            for parts in 1..at(vertices) + 2 {
                for balance in [Balance::Rows, Balance::Entries] {
                    let part = Partitioner::new(parts).balance(balance).cut(&path(vertices)).unwrap();
                    assert!(part.iter().all(|&part| at(part) < parts), "{vertices} vertices: {part:?}");
                }
            }
        }
    }
}
