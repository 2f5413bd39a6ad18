//! `Graph`: undirected adjacency whose vertices are spread over the ranks.
//!
//! Each rank holds the neighbors of the vertices that it owns, as 32-bit local numbers: owned
//! vertices first, ghosts (neighbors that other ranks own) behind them. Every edge is therefore
//! seen from both of its ends, on two ranks if need be, and a value of each ghost is one import
//! away. Loops are not edges; an edge given twice is one edge.

use crate::comm::Comm;
use crate::csr::CsrMatrix;
use crate::error::{Error, Result};
use crate::exchange::ExchangePlan;
use crate::graph::assembly;
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::index_map::IndexMap;
use crate::layout::Layout;
use crate::operator::LinearOperator;
use crate::profile;
use crate::scalar::Scalar;

/// An undirected graph whose vertices are the rows of a [`Layout`].
///
/// Memory: 4 bytes for each edge end and 8 bytes for each vertex of a rank, 8 bytes a ghost, and
/// the plan of the exchange.
pub struct Graph {
    layout: Layout,
    /// Neighbors of owned vertex `v` are `neighbors[starts[v]..starts[v + 1]]`.
    starts: Box<[usize]>,
    /// Local numbers, those of one vertex in ascending global order.
    neighbors: Box<[Lid]>,
    ghosts: IndexMap,
    plan: ExchangePlan,
    edges: u64,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph({} vertices, {} edges)", self.layout.global_len(), self.edges)
    }
}

impl Graph {
    /// Creates the graph of a square matrix: an edge wherever `A` or its transpose stores an entry off the
    /// diagonal, zeros included.
    ///
    /// # Collective
    /// A sparse exchange of the pairs that other ranks' rows are mirrored to.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the matrix is rectangular or its rows and columns are spread
    /// differently, on all ranks alike.
    pub fn from_matrix<T: Scalar>(a: &CsrMatrix<T>) -> Result<Graph> {
        a.range().require_same(a.domain(), "graph of a matrix, which has to be square")?;
        // Of two entries that mirror each other, one is enough.
        let once = |row: Gid, column: Gid| row < column || a.get(column, row).is_none();
        let edge = |row: Gid, column: Gid| once(row, column).then_some((row, column));
        let pairs = a.rows().flat_map(|row| row.columns().filter_map(move |column| edge(row.index(), column)));
        Graph::from_edges(a.range(), pairs)
    }

    /// Creates the graph with these edges, by global ids. Any rank may give any edge, in either direction
    /// and any number of times; loops are left out.
    ///
    /// # Collective
    /// A sparse exchange of the edge ends that other ranks own. Until it is finished it takes 48 bytes
    /// for each edge that is given.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] for a vertex past the layout's end and [`Error::TooLarge`] above
    /// 2^32 - 1 owned and ghost vertices on a rank, agreed over the ranks; [`Error::StackedLayout`].
    pub fn from_edges(layout: &Layout, edges: impl IntoIterator<Item = (Gid, Gid)>) -> Result<Graph> {
        layout.require_contiguous("graph")?;
        let _event = profile::operation("GraphAssembly");
        let rows = assembly::symmetric_rows(layout, edges)?;
        Graph::from_rows(layout, rows)
    }

    /// From sorted rows of a symmetric pattern without loops.
    pub(super) fn from_rows(layout: &Layout, rows: assembly::Rows) -> Result<Graph> {
        let comm = layout.comm();
        let assembly::Rows { starts, columns } = rows;
        let own = layout.range();
        let foreign = columns.iter().copied().filter(|id| !own.contains(id)).collect();
        let ghosts = IndexMap::new(foreign).and_then(|ghosts| {
            to_lid("owned and ghost vertices of a graph", layout.local_len() + ghosts.len())?;
            Ok(ghosts)
        });
        let ghosts = comm.agree(ghosts)?;
        let number = |id: Gid| match layout.global_to_owned(id) {
            Some(position) => position,
            None => layout.local_len() + at(ghosts.global_to_local(id).expect("invariant: every column is numbered")),
        };
        let neighbors: Box<[Lid]> = columns
            .iter()
            .map(|&id| to_lid("vertices", number(id)).expect("invariant: their number was checked"))
            .collect();
        let plan = ExchangePlan::new(layout, &ghosts)?;
        let mut ends = [neighbors.len() as u64];
        comm.all_reduce_sum(&mut ends);
        let edges = ends[0] / 2;
        Ok(Graph { layout: layout.clone(), starts: starts.into(), neighbors, ghosts, plan, edges })
    }

    /// Returns the distribution of the vertices over the ranks.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the communicator of the layout.
    pub fn comm(&self) -> &Comm {
        self.layout.comm()
    }

    /// Returns the number of edges over all ranks, each counted once.
    pub fn global_edges(&self) -> u64 {
        self.edges
    }

    /// Returns the vertices of other ranks that are neighbors of this rank's, in local order.
    pub fn ghosts(&self) -> &IndexMap {
        &self.ghosts
    }

    /// Brings values of the ghosts, in the order of [`Graph::ghosts`], from their owners.
    pub fn plan(&self) -> &ExchangePlan {
        &self.plan
    }

    /// Returns the number of edge ends at this rank's vertices.
    pub fn local_ends(&self) -> usize {
        self.neighbors.len()
    }

    /// Returns the number of neighbors of an owned vertex.
    ///
    /// # Panics
    /// If there is no such vertex, as indexing a slice does.
    pub fn degree(&self, vertex: usize) -> usize {
        self.starts[vertex + 1] - self.starts[vertex]
    }

    /// Returns the neighbors of an owned vertex in ascending global order, as local numbers: below
    /// `layout().local_len()` owned vertices, from there on ghosts.
    ///
    /// # Panics
    /// If there is no such vertex, as indexing a slice does.
    pub fn neighbors(&self, vertex: usize) -> &[Lid] {
        &self.neighbors[self.starts[vertex]..self.starts[vertex + 1]]
    }

    /// Returns the global id of a local number.
    ///
    /// # Panics
    /// If there is no such vertex, as indexing a slice does.
    pub fn to_global(&self, vertex: Lid) -> Gid {
        let (vertex, owned) = (at(vertex), self.layout.local_len());
        if vertex < owned { self.layout.range().start + vertex as u64 } else { self.ghosts.gids()[vertex - owned] }
    }

    /// Returns the global ids of the neighbors of an owned vertex, ascending.
    ///
    /// # Panics
    /// If there is no such vertex, as indexing a slice does.
    pub fn global_neighbors(&self, vertex: usize) -> impl ExactSizeIterator<Item = Gid> {
        self.neighbors(vertex).iter().map(|&neighbor| self.to_global(neighbor))
    }

    /// Returns this rank's edges, each with its lower end first. An edge between two ranks is given by the
    /// owner of the lower end.
    pub fn edges(&self) -> impl Iterator<Item = (Gid, Gid)> {
        self.local_edges().map(|(vertex, other)| (self.layout.range().start + vertex as u64, self.to_global(other)))
    }

    /// [`Graph::edges`] by local numbers, of which the first is owned.
    pub(super) fn local_edges(&self) -> impl Iterator<Item = (usize, Lid)> {
        self.layout.range().enumerate().flat_map(move |(vertex, id)| {
            let others = self.neighbors(vertex).iter().copied();
            others.filter(move |&other| self.to_global(other) > id).map(move |other| (vertex, other))
        })
    }

    /// Checks that there is one value for each owned vertex.
    pub(super) fn require_values(&self, what: &'static str, found: usize) -> Result<()> {
        let expected = self.layout.local_len();
        if found == expected { Ok(()) } else { Err(Error::LocalLength { what, expected, found }) }
    }

    /// Values of owned vertices and, behind them, of ghosts: what local numbers index.
    ///
    /// # Collective
    pub(super) fn with_ghosts<V: bytemuck::Pod>(&self, owned: &[V]) -> Vec<V> {
        let ghosts = self.plan.start_import(owned, 1).finish();
        [owned, &ghosts[..]].concat()
    }

    /// Refreshes the ghosts' part of an array made by [`Graph::with_ghosts`].
    ///
    /// # Collective
    pub(super) fn refresh_ghosts<V: bytemuck::Pod>(&self, values: &mut [V]) {
        let (owned, ghosts) = values.split_at_mut(self.layout.local_len());
        ghosts.copy_from_slice(&self.plan.start_import(owned, 1).finish());
    }

    /// Global ids of owned vertices and, behind them, of ghosts.
    pub(super) fn ids(&self) -> impl Iterator<Item = Gid> {
        self.layout.range().chain(self.ghosts.gids().iter().copied())
    }

    /// Returns the owned position of a global id that this rank owns.
    pub(super) fn owned_position(&self, id: Gid) -> usize {
        local(id - self.layout.range().start)
    }
}
