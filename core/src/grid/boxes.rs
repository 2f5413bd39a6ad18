//! The pure half of a grid: boxes of ranks, and which of them has a node.

use std::ops::Range;

use super::{Cut, GridSettings};
use crate::error::{Error, Result};
use crate::layout::Blocks;

/// A grid cut into boxes: each axis by itself, so that the boxes are a grid too.
#[derive(Clone, Debug)]
pub(super) struct Boxes {
    axes: [Blocks; 3],
}

impl Boxes {
    pub(super) fn new(nodes: &[u64], settings: &GridSettings, ranks: usize) -> Result<Boxes> {
        let refuse = |reason: String| Err(Error::Grid { reason });
        if !(1..=3).contains(&nodes.len()) {
            return refuse(format!("{} axes; give one to three", nodes.len()));
        }
        if settings.dofs == 0 {
            return refuse("a node has no unknowns; give one or more".into());
        }
        let extents = std::array::from_fn(|axis| nodes.get(axis).copied().unwrap_or(1));
        if let Some(axis) = extents.iter().position(|&extent| extent == 0 || i64::try_from(extent).is_err()) {
            return refuse(format!("axis {axis} has {} nodes; give one or more, below 2^63", extents[axis]));
        }
        let all = extents.iter().try_fold(settings.dofs as u64, |product, &extent| product.checked_mul(extent));
        if all.is_none() {
            return refuse(format!("{extents:?} nodes of {} unknowns are more than 64 bits can count", settings.dofs));
        }
        let wraps = |axis: usize| settings.periodic[axis] && settings.width > extents[axis];
        if let Some(axis) = (0..3).find(|&axis| wraps(axis)) {
            let (extent, width) = (extents[axis], settings.width);
            return refuse(format!(
                "periodic axis {axis} has {extent} nodes, fewer than the width {width} of the stencil"
            ));
        }
        let processes = match settings.cut {
            Cut::Slabs => std::array::from_fn(|axis| if axis + 1 == nodes.len() { ranks } else { 1 }),
            Cut::Boxes => least_surface(extents, ranks),
            Cut::Given(given) if given.iter().product::<usize>() == ranks => given,
            Cut::Given(given) => return refuse(format!("{given:?} boxes for {ranks} ranks; give a box for each rank")),
        };
        Ok(Boxes { axes: std::array::from_fn(|axis| Blocks::uniform(extents[axis], processes[axis])) })
    }

    pub(super) fn nodes(&self) -> [u64; 3] {
        self.axes.each_ref().map(Blocks::len)
    }

    pub(super) fn processes(&self) -> [usize; 3] {
        self.axes.each_ref().map(Blocks::ranks)
    }

    /// Returns the box of a rank.
    pub(super) fn of_rank(&self, rank: usize) -> [Range<u64>; 3] {
        let [x, y, _] = self.processes();
        let place = [rank % x, rank / x % y, rank / x / y];
        std::array::from_fn(|axis| self.axes[axis].range(place[axis]))
    }

    /// Returns the number of nodes of a rank.
    pub(super) fn count(&self, rank: usize) -> u64 {
        self.of_rank(rank).iter().map(|range| range.end - range.start).product()
    }

    /// Returns the owner of a node, and its position among those of that rank.
    pub(super) fn find(&self, node: [u64; 3]) -> Option<(usize, u64)> {
        let [x, y, _] = self.processes();
        let mut place = [0; 3];
        for axis in 0..3 {
            place[axis] = self.axes[axis].owner(node[axis])?;
        }
        let rank = place[0] + x * (place[1] + y * place[2]);
        let [i, j, k] = std::array::from_fn(|axis| self.axes[axis].range(place[axis]));
        let (width, height) = (i.end - i.start, j.end - j.start);
        Some((rank, node[0] - i.start + width * (node[1] - j.start + height * (node[2] - k.start))))
    }

    /// Returns the number of a node in natural order.
    pub(super) fn natural(&self, node: [u64; 3]) -> Option<u64> {
        let nodes = self.nodes();
        let inside = node.iter().zip(&nodes).all(|(at, extent)| at < extent);
        inside.then(|| node[0] + nodes[0] * (node[1] + nodes[1] * node[2]))
    }

    /// Returns the node at a place.
    pub(super) fn node(&self, place: [i64; 3], periodic: [bool; 3]) -> Option<[u64; 3]> {
        let nodes = self.nodes();
        let mut node = [0; 3];
        for axis in 0..3 {
            let extent = i64::try_from(nodes[axis]).ok()?;
            let at = if periodic[axis] { place[axis].rem_euclid(extent) } else { place[axis] };
            node[axis] = u64::try_from(at).ok().filter(|&at| at < nodes[axis])?;
        }
        Some(node)
    }
}

/// Returns the numbers of boxes along the axes whose cuts have the least area, the first in lexicographic order among
/// equals; no axis gets more boxes than nodes if that is possible.
fn least_surface(extents: [u64; 3], ranks: usize) -> [usize; 3] {
    let divisors = |number: usize| (1..=number).filter(move |divisor| number.is_multiple_of(*divisor));
    let all = divisors(ranks).flat_map(|x| divisors(ranks / x).map(move |y| [x, y, ranks / x / y]));
    let area = |parts: &[usize; 3]| {
        let [x, y, z] = extents.map(|extent| extent as f64);
        let cuts = parts.map(|parts| (parts - 1) as f64);
        let empty = parts.iter().zip(extents).any(|(&parts, extent)| parts as u64 > extent);
        (empty, cuts[0] * y * z + cuts[1] * x * z + cuts[2] * x * y)
    };
    all.min_by(|a, b| area(a).partial_cmp(&area(b)).expect("invariant: areas are finite"))
        .expect("invariant: one divides")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(nodes: &[u64], cut: Cut, ranks: usize) -> Boxes {
        Boxes::new(nodes, &GridSettings { cut, ..GridSettings::default() }, ranks).unwrap()
    }

    #[test]
    fn every_node_has_one_place() {
        for (nodes, cut) in [
            (&[7, 5, 4][..], Cut::Boxes),
            (&[7, 5, 4], Cut::Slabs),
            (&[3, 2], Cut::Given([2, 3, 1])),
            (&[2], Cut::Slabs),
            (&[9], Cut::Boxes),
        ] {
            let ranks = 6;
            let boxes = boxes(nodes, cut, ranks);
            let total: u64 = (0..ranks).map(|rank| boxes.count(rank)).sum();
            assert_eq!(total, nodes.iter().product::<u64>());
            for rank in 0..ranks {
                let [x, y, z] = boxes.of_rank(rank);
                let own = z.flat_map(|k| {
                    y.clone().flat_map({
                        let x = x.clone();
                        move |j| x.clone().map(move |i| [i, j, k]).collect::<Vec<_>>()
                    })
                });
                for (node, position) in own.zip(0..) {
                    assert_eq!(boxes.find(node), Some((rank, position)));
                }
            }
        }
    }

    #[test]
    fn slabs_are_in_natural_order() {
        let boxes = boxes(&[4, 3, 5], Cut::Slabs, 3);
        let mut before = 0;
        for rank in 0..3 {
            let [_, _, z] = boxes.of_rank(rank);
            for node in z.flat_map(|k| (0..3).flat_map(move |j| (0..4).map(move |i| [i, j, k]))) {
                let (_, position) = boxes.find(node).unwrap();
                assert_eq!(boxes.natural(node), Some(before + position));
            }
            before += boxes.count(rank);
        }
    }

    #[test]
    fn cuts_have_the_least_area() {
        assert_eq!(boxes(&[64, 64, 64], Cut::Boxes, 8).processes(), [2, 2, 2]);
        assert_eq!(boxes(&[1000, 10, 10], Cut::Boxes, 8).processes(), [8, 1, 1]);
        assert_eq!(boxes(&[100, 100], Cut::Boxes, 6).processes(), [2, 3, 1]);
        assert_eq!(boxes(&[2, 100], Cut::Boxes, 6).processes(), [1, 6, 1]);
    }

    #[test]
    fn places_wrap_along_periodic_axes() {
        let boxes = boxes(&[4, 3], Cut::Slabs, 2);
        let periodic = [true, false, false];
        assert_eq!(boxes.node([-1, 2, 0], periodic), Some([3, 2, 0]));
        assert_eq!(boxes.node([9, 0, 0], periodic), Some([1, 0, 0]));
        assert_eq!(boxes.node([0, -1, 0], periodic), None);
        assert_eq!(boxes.node([0, 3, 0], periodic), None);
        assert_eq!(boxes.node([0, 0, 1], periodic), None);
    }

    #[test]
    fn grids_that_are_none_are_refused() {
        let refused = |nodes: &[u64], settings: GridSettings| Boxes::new(nodes, &settings, 4).unwrap_err().to_string();
        let with = GridSettings::default;
        assert!(refused(&[], with()).contains("0 axes"));
        assert!(refused(&[1; 4], with()).contains("4 axes"));
        assert!(refused(&[3, 0], with()).contains("axis 1 has 0 nodes"));
        assert!(refused(&[3], GridSettings { dofs: 0, ..with() }).contains("no unknowns"));
        assert!(refused(&[1 << 40, 1 << 40], with()).contains("64 bits"));
        assert!(refused(&[8, 8], GridSettings { cut: Cut::Given([3, 1, 1]), ..with() }).contains("for 4 ranks"));
        let periodic = GridSettings { periodic: [true; 3], width: 3, ..with() };
        assert!(refused(&[8, 2, 8], periodic).contains("periodic axis 1 has 2 nodes"));
    }
}
