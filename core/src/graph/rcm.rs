//! Reverse Cuthill-McKee ordering.
//!
//! The order of a vertex depends on that of all before it, level by level, and meshes have many
//! levels: a distributed search pays several collective calls a level, for work that one rank does
//! in a fraction of a second a million vertices. So the graph is gathered, ordered by one rank, and
//! the numbers are sent back: simple, and the same on any number of ranks. What it costs is memory
//! on that rank, as for [`Partitioner`](crate::Partitioner). A rank's own block, whose ordering an
//! incomplete factorization wants, needs no communication at all.
//!
//! Cuthill & McKee, "Reducing the bandwidth of sparse symmetric matrices", Proc. ACM 1969; reversed
//! as by George, "Computer implementation of the finite element method", 1971; the start is the
//! pseudo-peripheral vertex of George & Liu, ACM Trans. Math. Softw. 5, 1979.

use crate::error::Result;
use crate::graph::adjacency::Graph;
use crate::graph::renumbering::Renumbering;
use crate::graph::serial::{SerialGraph, scatter};
use crate::index::{Gid, Lid, at};

impl Graph {
    /// Computes the reverse Cuthill-McKee numbering of the whole graph, on the same layout. Ties are broken
    /// by global id; the components follow each other.
    ///
    /// # Collective
    /// Rank 0 gathers the graph and numbers it. It needs 8 bytes a vertex and 4 bytes an edge end,
    /// twice, and 16 bytes a vertex.
    ///
    /// # Errors
    /// [`GraphTooLarge`](crate::Error::GraphTooLarge) above 2^32 - 1 vertices and edge ends, on all
    /// ranks alike.
    pub fn reverse_cuthill_mckee(&self) -> Result<Renumbering> {
        let numbers: Option<Vec<Gid>> = self
            .gathered("reverse Cuthill-McKee ordering", u64::from(Lid::MAX))?
            .map(|graph| numbers(&order(&graph)).into_iter().map(Gid::from).collect());
        let mine = scatter(self.layout(), numbers.as_deref());
        Renumbering::new(self.layout(), self.layout(), mine)
    }

    /// Computes the reverse Cuthill-McKee ordering of this rank's vertices alone, without the edges to ghosts:
    /// the new local position of each owned vertex.
    pub fn local_reverse_cuthill_mckee(&self) -> Vec<Lid> {
        numbers(&order(&self.local_part()))
    }
}

/// Returns the place of each vertex in an order.
fn numbers(order: &[Lid]) -> Vec<Lid> {
    let mut numbers = vec![0; order.len()];
    for (&vertex, number) in order.iter().zip(0..) {
        numbers[at(vertex)] = number;
    }
    numbers
}

/// Returns the vertices in reverse Cuthill-McKee order.
fn order(graph: &SerialGraph) -> Vec<Lid> {
    let mut search = Search { graph, seen: vec![false; graph.len()] };
    let mut order: Vec<Lid> = Vec::with_capacity(graph.len());
    for vertex in graph.vertices() {
        if !search.seen[at(vertex)] {
            let start = search.pseudo_peripheral(vertex);
            search.walk(start, &mut order, |graph, found| found.sort_by_key(|&other| graph.degree(other)));
        }
    }
    order.reverse();
    order
}

/// Breadth-first searches of one graph.
struct Search<'g> {
    graph: &'g SerialGraph,
    seen: Vec<bool>,
}

impl Search<'_> {
    /// Appends the component of `start` to `order`, breadth first; `arrange` orders the vertices
    /// that are found from one vertex. Returns the number of levels and where the last one begins.
    fn walk(&mut self, start: Lid, order: &mut Vec<Lid>, arrange: impl Fn(&SerialGraph, &mut [Lid])) -> (usize, usize) {
        let (mut level, mut levels) = (order.len(), 0);
        order.push(start);
        self.seen[at(start)] = true;
        loop {
            let end = order.len();
            for position in level..end {
                let first = order.len();
                for &other in self.graph.neighbors(order[position]) {
                    if !std::mem::replace(&mut self.seen[at(other)], true) {
                        order.push(other);
                    }
                }
                arrange(self.graph, &mut order[first..]);
            }
            levels += 1;
            if order.len() == end {
                return (levels, level);
            }
            level = end;
        }
    }

    /// Returns a vertex from which the component of `start` has many levels: again and again the vertex of
    /// the lowest degree in the last level, while the number of levels grows.
    fn pseudo_peripheral(&mut self, start: Lid) -> Lid {
        let (mut root, mut most) = (start, 0);
        let mut order = Vec::new();
        loop {
            let (levels, last) = self.walk(root, &mut order, |_, _| ());
            order.iter().for_each(|&vertex| self.seen[at(vertex)] = false);
            if levels <= most {
                return root;
            }
            most = levels;
            let lowest = order[last..].iter().copied().min_by_key(|&vertex| (self.graph.degree(vertex), vertex));
            root = lowest.expect("invariant: a level has a vertex");
            order.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(vertices: usize, edges: &[(Lid, Lid)]) -> SerialGraph {
        let mut rows = vec![Vec::new(); vertices];
        for &(one, other) in edges {
            rows[at(one)].push(other);
            rows[at(other)].push(one);
        }
        rows.iter_mut().for_each(|row| row.sort_unstable());
        let starts = (0..=vertices).map(|end| rows[..end].iter().map(Vec::len).sum()).collect();
        SerialGraph { starts, neighbors: rows.concat() }
    }

    #[test]
    fn a_path_is_walked_from_an_end() {
        // 3 - 0 - 4 - 1 - 2: the search from 0 ends at 2, and that from 2 at 3, no farther.
        let path = graph(5, &[(3, 0), (0, 4), (4, 1), (1, 2)]);
        assert_eq!(order(&path), [2, 1, 4, 0, 3]);
        assert_eq!(numbers(&order(&path)), [3, 1, 0, 4, 2]);
    }

    #[test]
    fn neighbors_come_by_degree_and_number() {
        // A tree: 5 has 0, 1, 2 below it; 0 has 3, and 3 has 4 and 6.
        let tree = graph(7, &[(5, 0), (5, 1), (5, 2), (0, 3), (3, 4), (3, 6)]);
        // The search: from 0 to 1, the lowest leaf two edges away, and from there to 4, which sees as
        // far. The ordering: 4, then 3, whose neighbor 6 has a lower degree than 0, then 0, 5, 1, 2.
        assert_eq!(order(&tree), [2, 1, 5, 0, 6, 3, 4]);
    }

    #[test]
    fn components_and_isolated_vertices() {
        assert_eq!(order(&graph(0, &[])), [] as [Lid; 0]);
        assert_eq!(order(&graph(3, &[])), [2, 1, 0]);
        assert_eq!(order(&graph(5, &[(0, 4), (1, 3)])), [2, 1, 3, 0, 4]);
    }
}
