//! Copies of the nodes around a rank's box, with its own, as one local array.

use std::ops::Range;

use super::{Grid, Stencil};
use crate::error::Result;
use crate::exchange::ExchangePlan;
use crate::index::{Lid, at, local};
use crate::index_map::IndexMap;
use crate::scalar::Scalar;
use crate::vector::Vector;

/// Plan that fills a local array with the values at a rank's nodes and around them, as wide as the stencil.
///
/// The array has a place for each node of the box and of its frame, along the first axis first, with the unknowns of a node
/// together. The frame ends at the edges of the grid, but along periodic axes. Places of a star's corners stay zero.
pub struct Ghosted {
    plan: ExchangePlan,
    layout: crate::layout::Layout,
    dofs: usize,
    ranges: [Range<i64>; 3],
    /// For each place the number of the node among those that are imported.
    sources: Vec<Option<Lid>>,
}

impl Ghosted {
    pub(super) fn new(grid: &Grid) -> Result<Ghosted> {
        let settings = grid.settings();
        let comm = grid.layout().comm();
        let owned = grid.owned().map(|range| signed(range.start)..signed(range.end));
        let is_empty = owned.iter().any(Range::is_empty);
        let nodes = grid.nodes();
        let ranges: [Range<i64>; 3] = std::array::from_fn(|axis| {
            let (own, extent) = (&owned[axis], signed(nodes[axis]));
            // An axis that the grid has not has no frame.
            let width = if extent == 1 && !settings.periodic[axis] { 0 } else { signed(settings.width) };
            match settings.periodic[axis] {
                _ if is_empty => 0..0,
                true => own.start - width..own.end + width,
                false => (own.start - width).max(0)..(own.end + width).min(extent),
            }
        });
        let outside = |place: [i64; 3]| (0..3).filter(|&axis| !owned[axis].contains(&place[axis])).count();
        let wanted = |place: [i64; 3]| {
            let needed = settings.stencil == Stencil::Box || outside(place) <= 1;
            let node = grid.node(place).filter(|_| needed)?;
            Some(grid.row(node, 0)? / settings.dofs as u64)
        };
        let rows: Vec<Option<u64>> = places(&ranges).map(wanted).collect();
        let map = comm.agree(IndexMap::new(rows.iter().copied().flatten().collect()))?;
        let plan = ExchangePlan::new(grid.node_layout(), &map)?;
        let sources = rows.into_iter().map(|row| map.global_to_local(row?)).collect();
        Ok(Ghosted { plan, layout: grid.layout().clone(), dofs: settings.dofs, ranges, sources })
    }

    /// Returns the places of the array along each axis; negative ones, and ones past the last node, are copies along
    /// periodic axes.
    pub fn ranges(&self) -> &[Range<i64>; 3] {
        &self.ranges
    }

    /// Returns the number of values of the array.
    pub fn len(&self) -> usize {
        self.sources.len() * self.dofs
    }

    /// Returns true if this rank has no nodes.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Returns the position of an unknown in the array; `None` for a place that it has not.
    pub fn position(&self, place: [i64; 3], dof: usize) -> Option<usize> {
        let inside = self.ranges.iter().zip(place).all(|(range, at)| range.contains(&at));
        if !inside || dof >= self.dofs {
            return None;
        }
        let [i, j, k] = std::array::from_fn(|axis| distance(self.ranges[axis].start, place[axis]));
        let [width, height, _] = self.ranges.each_ref().map(|range| distance(range.start, range.end));
        Some((i + width * (j + height * k)) * self.dofs + dof)
    }

    /// Fills the array with the values of a vector of the grid.
    ///
    /// # Collective
    /// Neighbors only.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if the vector is not on the layout of the grid, on all ranks alike.
    pub fn import<T: Scalar>(&self, x: &Vector<T>, values: &mut Vec<T>) -> Result<()> {
        self.layout.require_same(x.layout(), "import of a grid")?;
        let copies = self.plan.start_import(x.owned(), self.dofs).finish();
        values.clear();
        values.resize(self.len(), T::ZERO);
        for (node, source) in values.chunks_exact_mut(self.dofs).zip(&self.sources) {
            if let Some(source) = source {
                node.copy_from_slice(&copies[at(*source) * self.dofs..][..self.dofs]);
            }
        }
        Ok(())
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("invariant: extents are below 2^63")
}

fn distance(from: i64, to: i64) -> usize {
    local(u64::try_from(to - from).expect("invariant: a place comes after the first"))
}

/// Places along the first axis first.
fn places([x, y, z]: &[Range<i64>; 3]) -> impl Iterator<Item = [i64; 3]> {
    z.clone().flat_map(move |k| y.clone().flat_map(move |j| x.clone().map(move |i| [i, j, k])))
}
