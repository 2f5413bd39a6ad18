//! Sending what belongs to other ranks' rows to their owners.
//!
//! The routing is found once from the rows; after that any number of arrays of one item a triplet
//! can follow it: places when a matrix is assembled, values each time it is refilled.

use std::collections::BTreeMap;

use bytemuck::Pod;

use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::index::Gid;
use crate::layout::Blocks;
use crate::memory;

/// A global row and column.
pub(in crate::csr) type Place = [Gid; 2];

/// Which items of an array go to which rank.
pub(in crate::csr) struct Routing(Vec<(usize, Vec<usize>)>);

impl Routing {
    /// Routes item `positions[i]` to the owner of the row of `places[i]`.
    ///
    /// # Errors
    /// A row past the end.
    pub(in crate::csr) fn new(
        blocks: &Blocks,
        places: &[Place],
        positions: impl Iterator<Item = usize>,
    ) -> Result<Routing> {
        let mut by_owner: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut entries = places.iter().zip(positions).peekable();
        while let Some(&(&[row, _], _)) = entries.peek() {
            let Some(owner) = blocks.owner(row) else {
                return Err(Error::IndexOutOfRange { what: "matrix row", index: row, bound: blocks.len() });
            };
            // Neighbors in the list are mostly neighbors in the matrix.
            let (rows, list) = (blocks.range(owner), by_owner.entry(owner).or_default());
            while let Some((_, position)) = entries.next_if(|(place, _)| rows.contains(&place[0])) {
                memory::push(list, position);
            }
        }
        Ok(Routing(by_owner.into_iter().collect()))
    }

    /// Sends the items, each `width` of `parts`, on their way; what arrives here comes by ascending
    /// rank, the items of one rank in its order.
    ///
    /// # Collective
    pub(in crate::csr) fn send<E: Pod>(&self, comm: &Comm, parts: &[E], width: usize) -> Vec<(usize, Vec<E>)> {
        let packed = |positions: &Vec<usize>| {
            let mut packed = memory::with_capacity(positions.len() * width);
            if width == 1 {
                packed.extend(positions.iter().map(|&position| parts[position]));
            } else {
                positions.iter().for_each(|&position| packed.extend_from_slice(&parts[position * width..][..width]));
            }
            packed
        };
        let messages: Vec<_> = self.0.iter().map(|(rank, positions)| (*rank, packed(positions))).collect();
        comm.sparse_exchange(&messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_go_to_the_owners_of_their_rows() {
        let blocks = Blocks::from_lengths(&[2, 0, 3]).unwrap();
        let places = [[4, 0], [1, 9], [2, 2], [0, 0]];
        let routing = Routing::new(&blocks, &places, [3, 5, 7, 9].into_iter()).unwrap();
        assert_eq!(routing.0, [(0, vec![5, 9]), (2, vec![3, 7])]);
        let error = Routing::new(&blocks, &[[5, 0]], 0..1).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("matrix row: global index 5 is outside 0..5"));
    }
}
