//! A graph on one rank, for algorithms that are sequential.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::graph::adjacency::Graph;
use crate::index::{Lid, at, local, to_lid};
use crate::layout::Layout;

/// Neighbors of vertex `v` are `neighbors[starts[v]..starts[v + 1]]`, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SerialGraph {
    pub(super) starts: Vec<usize>,
    pub(super) neighbors: Vec<Lid>,
}

impl SerialGraph {
    /// Returns the number of vertices.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn neighbors(&self, vertex: Lid) -> &[Lid] {
        &self.neighbors[self.starts[at(vertex)]..self.starts[at(vertex) + 1]]
    }

    pub(super) fn degree(&self, vertex: Lid) -> usize {
        self.neighbors(vertex).len()
    }

    /// Returns all vertices.
    pub(super) fn vertices(&self) -> std::ops::Range<Lid> {
        0..to_lid("vertices", self.len()).expect("invariant: vertices are numbered by 32 bits")
    }
}

impl Graph {
    /// Returns the whole graph on rank 0, `None` elsewhere. There it takes 8 bytes a vertex and 4 bytes an
    /// edge end, twice while it is put together.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::GraphTooLarge`] above `limit` vertices and edge ends, on all ranks alike.
    pub(super) fn gathered(&self, operation: &'static str, limit: u64) -> Result<Option<SerialGraph>> {
        let size = self.global_edges().saturating_mul(2).saturating_add(self.layout().global_len());
        if size > limit {
            return Err(Error::GraphTooLarge { operation, size, limit });
        }
        let number = |id: u64| Lid::try_from(id).expect("invariant: below the limit");
        let (mut degrees, mut neighbors) = (Vec::<Lid>::new(), Vec::<Lid>::with_capacity(self.local_ends()));
        for vertex in 0..self.layout().local_len() {
            degrees.push(number(self.degree(vertex) as u64));
            neighbors.extend(self.global_neighbors(vertex).map(number));
        }
        let (degrees, neighbors) = (self.comm().gather(0, &degrees), self.comm().gather(0, &neighbors));
        Ok(degrees.zip(neighbors).map(|(degrees, neighbors)| {
            let ends = std::iter::once(0).chain(degrees.iter().flatten().scan(0, |end, &degree| {
                *end += at(degree);
                Some(*end)
            }));
            SerialGraph { starts: ends.collect(), neighbors: neighbors.concat() }
        }))
    }

    /// Returns the owned vertices and the edges between them.
    pub(super) fn local_part(&self) -> SerialGraph {
        let owned = self.layout().local_len();
        let (mut starts, mut neighbors) = (vec![0], Vec::new());
        for vertex in 0..owned {
            neighbors.extend(self.neighbors(vertex).iter().filter(|&&other| at(other) < owned));
            starts.push(neighbors.len());
        }
        SerialGraph { starts, neighbors }
    }
}

/// Gives each rank the values of its rows from rank 0, which has those of all.
///
/// # Collective
pub(super) fn scatter<V: Pod>(layout: &Layout, all: Option<&[V]>) -> Vec<V> {
    let part = |all: &[V], rank| {
        let rows = layout.blocks().range(rank);
        (rank, all[local(rows.start)..local(rows.end)].to_vec())
    };
    let messages = all.map_or(Vec::new(), |all| (0..layout.blocks().ranks()).map(|rank| part(all, rank)).collect());
    layout.comm().sparse_exchange(&messages).pop().map_or(Vec::new(), |(_, mine)| mine)
}
