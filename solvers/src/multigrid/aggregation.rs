//! Aggregates: the unknowns of the next level.
//!
//! Roots are a maximal set of vertices of which no two are within two edges of each other, in an order of hashed
//! numbers; the neighbors of a root belong to it, and each vertex between joins the aggregate that most of its
//! neighbors belong to (Bell, Dalton and Olson, SIAM J. Sci. Comput. 34 (2012) C123). Nothing of it knows which rank
//! owns a vertex, so aggregates cross ranks and are the same on any number of them. A coarse unknown is owned where
//! its root is, and coarse unknowns are numbered in the order of their roots.

use dolmen_core::index::{at, to_len};
use dolmen_core::{ExchangePlan, Gid, Graph, IndexMap, Layout};

use crate::error::Result;

/// The aggregates of a graph.
pub(super) struct Aggregates {
    vertices: Layout,
    /// One row for each aggregate.
    pub(super) coarse: Layout,
    /// The aggregate of each vertex of this rank; none of a vertex without neighbors.
    pub(super) of: Vec<Option<Gid>>,
}

impl Aggregates {
    /// Returns the aggregates of the rows of this rank where each vertex is a node of `block` rows; another rank may have
    /// the other rows of a node, and its vertex.
    ///
    /// # Collective
    pub(super) fn of_rows(&self, rows: &Layout, block: usize) -> Result<Vec<Option<Gid>>> {
        let block = block as u64;
        let nodes = rows.range().start / block..rows.range().end.div_ceil(block);
        let nodes = if rows.range().is_empty() { 0..0 } else { nodes };
        let map = rows.comm().agree(IndexMap::new(nodes.clone().collect()))?;
        let plan = ExchangePlan::new(&self.vertices, &map)?;
        let of: Vec<Gid> = self.of.iter().map(|aggregate| aggregate.unwrap_or(NONE)).collect();
        let of_nodes = plan.start_import(&of, 1).finish();
        let place = |row: Gid| to_len("nodes", row / block - nodes.start).expect("invariant: nodes were listed");
        let of_row = |row: Gid| Some(of_nodes[place(row)]).filter(|&aggregate| aggregate != NONE);
        Ok(rows.range().map(of_row).collect())
    }
}

/// A vertex that belongs to no aggregate.
const NONE: Gid = Gid::MAX;

/// Finds the aggregates of a graph.
///
/// # Collective
pub(super) fn aggregate(graph: &Graph) -> Result<Aggregates> {
    let owned = graph.layout().local_len();
    let mut is_root = graph.independent_set(2);
    (0..owned).for_each(|vertex| is_root[vertex] &= graph.degree(vertex) > 0);
    let roots = is_root.iter().filter(|is_root| **is_root).count();
    let coarse = Layout::from_local_len(graph.comm(), roots)?;
    let mut numbers = coarse.range();
    let mut of: Vec<Gid> =
        is_root.iter().map(|&is_root| if is_root { numbers.next().unwrap_or(NONE) } else { NONE }).collect();
    // First the neighbors of roots, each of which has one root, then those between.
    for _ in 0..2 {
        let known = with_ghosts(graph, &of);
        let open = (0..owned).filter(|&vertex| known[vertex] == NONE);
        open.for_each(|vertex| of[vertex] = most_frequent(graph, vertex, &known));
    }
    let of = of.into_iter().map(|aggregate| (aggregate != NONE).then_some(aggregate)).collect();
    Ok(Aggregates { vertices: graph.layout().clone(), coarse, of })
}

/// Returns the values of owned vertices and of ghosts.
fn with_ghosts(graph: &Graph, owned: &[Gid]) -> Vec<Gid> {
    let ghosts = graph.plan().start_import(owned, 1).finish();
    [owned, &ghosts].concat()
}

/// Returns the aggregate that most neighbors of a vertex belong to, the first of several.
fn most_frequent(graph: &Graph, vertex: usize, known: &[Gid]) -> Gid {
    let mut around: Vec<Gid> = graph.neighbors(vertex).iter().map(|&other| known[at(other)]).collect();
    around.retain(|&aggregate| aggregate != NONE);
    around.sort_unstable();
    let groups = around.chunk_by(|one, next| one == next);
    groups.max_by_key(|group| (group.len(), std::cmp::Reverse(group[0]))).map_or(NONE, |group| group[0])
}
