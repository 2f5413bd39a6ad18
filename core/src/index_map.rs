//! `IndexMap`: any set of global ids that is present on this rank.
//!
//! Sorted and without repetition. Because owners hold contiguous blocks, the ids of one owner are
//! then one span of the local numbering, so that an import needs no unpacking: what arrives from
//! the owners in rank order already is the local array. Overlap between ranks is ordinary.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::index::{Gid, Lid, at, to_lid};
use crate::layout::Blocks;

/// An immutable, sorted set of global ids with its local numbering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexMap {
    gids: Box<[Gid]>,
}

impl IndexMap {
    /// Creates an index map from ids in any order; repetitions count once.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 2^32 - 1 different ids on one rank.
    pub fn new(mut gids: Vec<Gid>) -> Result<IndexMap> {
        gids.sort_unstable();
        gids.dedup();
        to_lid("index map", gids.len())?;
        Ok(IndexMap { gids: gids.into() })
    }

    /// Returns the number of ids on this rank.
    pub fn len(&self) -> usize {
        self.gids.len()
    }

    /// Returns true if this rank has none.
    pub fn is_empty(&self) -> bool {
        self.gids.is_empty()
    }

    /// Returns the ids in local order, which is ascending.
    pub fn gids(&self) -> &[Gid] {
        &self.gids
    }

    /// Returns the global id at a local position, or `None` past the end.
    pub fn local_to_global(&self, lid: Lid) -> Option<Gid> {
        self.gids.get(at(lid)).copied()
    }

    /// Returns the local position of a global id, or `None` if it is not here.
    pub fn global_to_local(&self, gid: Gid) -> Option<Lid> {
        let position = self.gids.binary_search(&gid).ok()?;
        Some(to_lid("index map", position).expect("invariant: checked at construction"))
    }

    /// Returns the span of local positions that each owning rank holds, for the ranks that hold any.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] if an id lies past the layout's end.
    pub fn spans(&self, blocks: &Blocks) -> Result<Vec<(usize, Range<usize>)>> {
        let mut spans = Vec::new();
        let mut start = 0;
        while let Some(&gid) = self.gids.get(start) {
            let Some(owner) = blocks.owner(gid) else {
                return Err(Error::IndexOutOfRange { what: "index map", index: gid, bound: blocks.len() });
            };
            let end = start + self.gids[start..].partition_point(|&other| other < blocks.range(owner).end);
            spans.push((owner, start..end));
            start = end;
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbering_is_sorted_and_unique() {
        let map = IndexMap::new(vec![9, 2, 5, 2, 9]).unwrap();
        assert_eq!(map.gids(), [2, 5, 9]);
        assert_eq!(map.global_to_local(5), Some(1));
        assert_eq!(map.global_to_local(6), None);
        assert_eq!(map.local_to_global(2), Some(9));
        assert_eq!(map.local_to_global(3), None);
    }

    #[test]
    fn spans_follow_the_owners() {
        let blocks = Blocks::from_lengths(&[3, 0, 4, 3]).unwrap();
        let map = IndexMap::new(vec![0, 2, 3, 6, 9]).unwrap();
        assert_eq!(map.spans(&blocks).unwrap(), [(0, 0..2), (2, 2..4), (3, 4..5)]);
        let beyond = IndexMap::new(vec![1, 10]).unwrap();
        let error = beyond.spans(&blocks).unwrap_err();
        assert_eq!(error.to_string(), "index map: global index 10 is outside 0..10");
    }
}
