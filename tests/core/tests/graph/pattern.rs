//! A small graph in full, and what brute force says about it.

use std::collections::BTreeSet;

/// Vertices `0..neighbors.len()` with the neighbors of each.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) neighbors: Vec<BTreeSet<usize>>,
}

impl Pattern {
    /// Loops are no edges.
    pub(crate) fn new(vertices: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Pattern {
        let mut neighbors = vec![BTreeSet::new(); vertices];
        for (one, other) in edges.into_iter().filter(|(one, other)| one != other) {
            neighbors[one].insert(other);
            neighbors[other].insert(one);
        }
        Pattern { neighbors }
    }

    pub(crate) fn grid(width: usize, height: usize) -> Pattern {
        let right = (0..width * height).filter(|v| v % width + 1 < width).map(|v| (v, v + 1));
        let up = (0..width * height.saturating_sub(1)).map(|v| (v, v + width));
        Pattern::new(width * height, right.chain(up))
    }

    pub(crate) fn len(&self) -> usize {
        self.neighbors.len()
    }

    pub(crate) fn degree(&self, vertex: usize) -> usize {
        self.neighbors[vertex].len()
    }

    /// Each edge once, lower end first.
    pub(crate) fn edges(&self) -> Vec<(usize, usize)> {
        let above = |v: usize| self.neighbors[v].range(v + 1..).map(move |&other| (v, other));
        (0..self.len()).flat_map(above).collect()
    }

    /// Edges between `vertex` and each vertex, `None` where there is no path.
    pub(crate) fn distances(&self, vertex: usize) -> Vec<Option<usize>> {
        let mut distances = vec![None; self.len()];
        distances[vertex] = Some(0);
        let mut level = vec![vertex];
        for distance in 1.. {
            let mut next = Vec::new();
            for other in level.iter().flat_map(|&v| &self.neighbors[v]) {
                if distances[*other].is_none() {
                    distances[*other] = Some(distance);
                    next.push(*other);
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        distances
    }

    /// The other vertices within a distance of each.
    pub(crate) fn within(&self, distance: usize) -> Pattern {
        let near = |v: usize| {
            let distances = self.distances(v).into_iter().enumerate();
            distances.filter(|(_, d)| d.is_some_and(|d| (1..=distance).contains(&d))).map(|(other, _)| other).collect()
        };
        Pattern { neighbors: (0..self.len()).map(near).collect() }
    }

    /// The same graph in other numbers.
    pub(crate) fn renumbered(&self, numbers: &[usize]) -> Pattern {
        Pattern::new(self.len(), self.edges().into_iter().map(|(one, other)| (numbers[one], numbers[other])))
    }

    pub(crate) fn bandwidth(&self) -> usize {
        self.edges().into_iter().map(|(low, high)| high - low).max().unwrap_or(0)
    }

    pub(crate) fn profile(&self) -> usize {
        (0..self.len()).map(|v| self.neighbors[v].first().map_or(0, |&first| v.saturating_sub(first))).sum()
    }
}
