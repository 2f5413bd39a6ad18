//! The pure half of an exchange: who sends what to whom, and what a packed array means.
//!
//! Everything here is a function of the layout's offsets, the rank and the ids. Nothing talks to
//! MPI, so the tests below plan for many ranks in one process, deliver by hand and compare with
//! the answer that is obvious from the global array.

use std::ops::Range;

use bytemuck::Pod;

use super::combine::{Combinable, Combine};
use crate::error::{Error, Result};
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::index_map::IndexMap;
use crate::layout::Blocks;

/// One neighbor's share of a plan: a span of positions in a packed array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) rank: usize,
    pub(super) span: Range<usize>,
}

impl Share {
    /// Returns the share's place in a packed array, with the given number of bytes for each id.
    pub(super) fn bytes(&self, each: usize) -> Range<usize> {
        self.span.start * each..self.span.end * each
    }
}

/// Returns the requests of a rank: by owner, spans of its ids. They tile the local numbering.
pub(super) fn requests(blocks: &Blocks, map: &IndexMap) -> Result<Vec<Share>> {
    let spans = map.spans(blocks)?;
    Ok(spans.into_iter().map(|(rank, span)| Share { rank, span }).collect())
}

/// One rank's part of a plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Routes {
    pub(super) rank: usize,
    pub(super) owned_len: usize,
    /// By owner: positions of this rank's copies.
    pub(super) copies: Vec<Share>,
    /// By asking rank, ascending: a span of `positions`.
    pub(super) askers: Vec<Share>,
    /// Positions of owned values, grouped by asking rank.
    positions: Box<[Lid]>,
}

impl Routes {
    /// From what this rank asks of others ([`requests`]) and what others ask of it, by ascending
    /// rank.
    ///
    /// # Errors
    /// Someone asks for a row that this rank does not own, or for too many.
    pub(super) fn new(blocks: &Blocks, rank: usize, copies: Vec<Share>, asked: &[(usize, Vec<Gid>)]) -> Result<Routes> {
        let block = blocks.range(rank);
        let mut positions = Vec::with_capacity(asked.iter().map(|(_, gids)| gids.len()).sum());
        let mut askers = Vec::with_capacity(asked.len());
        for (asker, gids) in asked {
            let start = positions.len();
            for gid in gids {
                if !block.contains(gid) {
                    let reason = format!(
                        "rank {asker} takes rank {rank} for the owner of row {gid}, which owns {block:?}; \
                         give all ranks the same offsets"
                    );
                    return Err(Error::Offsets { reason });
                }
                positions.push(to_lid("owned rows", local(gid - block.start))?);
            }
            askers.push(Share { rank: *asker, span: start..positions.len() });
        }
        Ok(Routes { rank, owned_len: local(block.end - block.start), copies, askers, positions: positions.into() })
    }

    /// Returns the number of copies on this rank.
    pub(super) fn copies_len(&self) -> usize {
        self.copies.last().map_or(0, |share| share.span.end)
    }

    /// Returns the number of ids that others, and this rank itself, ask of this rank.
    pub(super) fn asked_len(&self) -> usize {
        self.positions.len()
    }

    /// Positions of the owned values that one asker wants, in its order.
    pub(super) fn asked(&self, share: &Share) -> impl Iterator<Item = usize> {
        self.positions[share.span.clone()].iter().map(|&position| at(position))
    }

    /// Lays out owned values in the order of the askers: what an import sends.
    pub(super) fn pack<T: Pod>(&self, owned: &[T], width: usize, packed: &mut [T]) {
        if width == 1 {
            // Copies of a length that is not known beforehand are calls.
            packed.iter_mut().zip(&self.positions).for_each(|(slot, &lid)| *slot = owned[at(lid)]);
            return;
        }
        for (slot, &lid) in packed.chunks_exact_mut(width.max(1)).zip(&self.positions) {
            slot.copy_from_slice(&owned[at(lid) * width..][..width]);
        }
    }

    /// Combines the askers' values, which an export has received, into the owned ones.
    pub(super) fn combine<T: Combinable>(&self, packed: &[T], width: usize, combine: Combine, owned: &mut [T]) {
        match combine {
            Combine::Add => self.fold(packed, width, owned, |old, new| old + new),
            Combine::Insert => self.fold(packed, width, owned, |_, new| new),
            Combine::Max => self.fold(packed, width, owned, |old, new| if new > old { new } else { old }),
            Combine::Min => self.fold(packed, width, owned, |old, new| if new < old { new } else { old }),
        }
    }

    fn fold<T: Pod>(&self, packed: &[T], width: usize, owned: &mut [T], combine: impl Fn(T, T) -> T) {
        for (values, &lid) in packed.chunks_exact(width.max(1)).zip(&self.positions) {
            for (old, &new) in owned[at(lid) * width..][..width].iter_mut().zip(values) {
                *old = combine(*old, new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All ranks' maps and routes, planned in this process.
    struct World {
        blocks: Blocks,
        maps: Vec<IndexMap>,
        routes: Vec<Routes>,
    }

    impl World {
        fn plan(lengths: &[u64], ids: &[Vec<Gid>]) -> World {
            let blocks = Blocks::from_lengths(lengths).unwrap();
            let maps: Vec<_> = ids.iter().map(|ids| IndexMap::new(ids.clone()).unwrap()).collect();
            let requests: Vec<_> = maps.iter().map(|map| requests(&blocks, map).unwrap()).collect();
            let routes = (0..lengths.len())
                .map(|rank| {
                    let asked: Vec<_> = (0..lengths.len())
                        .filter_map(|asker| {
                            let share = requests[asker].iter().find(|share| share.rank == rank)?;
                            Some((asker, maps[asker].gids()[share.span.clone()].to_vec()))
                        })
                        .collect();
                    Routes::new(&blocks, rank, requests[rank].clone(), &asked).unwrap()
                })
                .collect();
            World { blocks, maps, routes }
        }

        /// Positions of one message: in what the owner packs, and among the asker's copies. Exactly
        /// one share on either side belongs to it.
        fn message(&self, owner: usize, asker: usize) -> Option<(Range<usize>, Range<usize>)> {
            let only = |shares: &[Share], rank: usize| {
                let mut found = shares.iter().filter(|share| share.rank == rank).map(|share| share.span.clone());
                let first = found.next();
                assert_eq!(found.next(), None, "two messages between one pair of ranks");
                first
            };
            let pair = (only(&self.routes[owner].askers, asker), only(&self.routes[asker].copies, owner));
            match pair {
                (Some(from), Some(to)) => {
                    assert_eq!(from.len(), to.len());
                    assert!(!from.is_empty(), "a message without content");
                    Some((from, to))
                }
                (None, None) => None,
                unmatched => panic!("only one side knows of a message from {owner} to {asker}: {unmatched:?}"),
            }
        }

        fn pairs(&self) -> impl Iterator<Item = (usize, usize, Range<usize>, Range<usize>)> {
            let ranks = self.routes.len();
            (0..ranks * ranks).filter_map(move |pair| {
                let (owner, asker) = (pair / ranks, pair % ranks);
                self.message(owner, asker).map(|(from, to)| (owner, asker, from, to))
            })
        }

        fn import(&self, global: &[i64], width: usize) -> Vec<Vec<i64>> {
            let packed: Vec<Vec<i64>> = self
                .routes
                .iter()
                .map(|routes| {
                    let mut packed = vec![i64::MIN; routes.asked_len() * width];
                    routes.pack(&global[self.rows(routes.rank, width)], width, &mut packed);
                    packed
                })
                .collect();
            let mut copies: Vec<_> = self.routes.iter().map(|r| vec![i64::MIN; r.copies_len() * width]).collect();
            for (owner, asker, from, to) in self.pairs() {
                copies[asker][to.start * width..to.end * width]
                    .copy_from_slice(&packed[owner][from.start * width..from.end * width]);
            }
            copies
        }

        fn export(&self, copies: &[Vec<i64>], width: usize, combine: Combine, global: &mut [i64]) {
            let mut packed: Vec<_> = self.routes.iter().map(|r| vec![i64::MIN; r.asked_len() * width]).collect();
            for (owner, asker, from, to) in self.pairs() {
                packed[owner][from.start * width..from.end * width]
                    .copy_from_slice(&copies[asker][to.start * width..to.end * width]);
            }
            for routes in &self.routes {
                let rows = self.rows(routes.rank, width);
                routes.combine(&packed[routes.rank], width, combine, &mut global[rows]);
            }
        }

        fn rows(&self, rank: usize, width: usize) -> Range<usize> {
            let range = self.blocks.range(rank);
            local(range.start) * width..local(range.end) * width
        }
    }

    /// Computes the result of an export by its definition: rank after rank, copy after copy.
    fn expected_export(maps: &[IndexMap], copies: &[Vec<i64>], width: usize, combine: Combine, global: &mut [i64]) {
        for (map, copies) in maps.iter().zip(copies) {
            for (position, &value) in copies.iter().enumerate() {
                let old = &mut global[local(map.gids()[position / width]) * width + position % width];
                *old = match combine {
                    Combine::Add => *old + value,
                    Combine::Insert => value,
                    Combine::Max => value.max(*old),
                    Combine::Min => value.min(*old),
                };
            }
        }
    }

    /// Computes a value that tells every (rank, position) apart.
    fn value(rank: usize, position: usize) -> i64 {
        let mixed = (rank as u64 * 1_000_003 + position as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 20).cast_signed() - (1 << 43)
    }

    #[test]
    fn a_small_plan_by_hand() {
        // Rank 0 owns 0..3, rank 1 nothing, rank 2 owns 3..5.
        let world = World::plan(&[3, 0, 2], &[vec![4, 1], vec![0, 1, 4], vec![3]]);
        let share = |rank, span| Share { rank, span };
        assert_eq!(world.routes[0].copies, [share(0, 0..1), share(2, 1..2)]);
        assert_eq!(world.routes[0].askers, [share(0, 0..1), share(1, 1..3)]);
        assert_eq!(*world.routes[0].positions, [1, 0, 1]);
        assert_eq!(world.routes[1].askers, []);
        assert_eq!(world.routes[1].owned_len, 0);
        assert_eq!(*world.routes[2].positions, [1, 1, 0]);
        assert_eq!(world.import(&[10, 11, 12, 13, 14], 1), [vec![11, 14], vec![10, 11, 14], vec![13]]);
        let mut sums = vec![100; 5];
        world.export(&[vec![1, 2], vec![4, 8, 16], vec![32]], 1, Combine::Add, &mut sums);
        assert_eq!(sums, [104, 109, 100, 132, 118]);
    }

    #[test]
    fn layouts_that_disagree_are_an_error() {
        let blocks = Blocks::from_lengths(&[3, 2]).unwrap();
        let error = Routes::new(&blocks, 1, Vec::new(), &[(0, vec![4, 2])]).unwrap_err().to_string();
        assert!(error.contains("rank 0 takes rank 1 for the owner of row 2, which owns 3..5"), "{error}");
        assert!(Routes::new(&blocks, 1, Vec::new(), &[(0, vec![5])]).is_err());
    }

    /// Blocks of one to eight ranks, some empty, and for each rank any ids, repeated and unsorted.
    fn worlds() -> impl Strategy<Value = (Vec<u64>, Vec<Vec<Gid>>)> {
        prop::collection::vec(prop_oneof![Just(0u64), 1u64..20], 1..=8).prop_flat_map(|lengths| {
            let (ranks, rows) = (lengths.len(), lengths.iter().sum::<u64>());
            let ids = prop::collection::vec(0..rows.max(1), 0..if rows == 0 { 1 } else { 40 });
            (Just(lengths), prop::collection::vec(ids, ranks))
        })
    }

    proptest! {
        #[test]
        fn imports_bring_the_owners_values((lengths, ids) in worlds(), width in 1usize..=4) {
            let world = World::plan(&lengths, &ids);
            let rows = local(world.blocks.len());
            let global: Vec<_> = (0..rows * width).map(|position| value(0, position)).collect();
            let imported = world.import(&global, width);
            for (map, copies) in world.maps.iter().zip(&imported) {
                let obvious: Vec<_> =
                    map.gids().iter().flat_map(|&gid| global[local(gid) * width..][..width].to_vec()).collect();
                prop_assert_eq!(copies, &obvious);
            }
        }

        #[test]
        fn exports_combine_all_copies((lengths, ids) in worlds(), width in 1usize..=4) {
            let world = World::plan(&lengths, &ids);
            let copies: Vec<Vec<_>> = world.maps.iter().enumerate()
                .map(|(rank, map)| (0..map.len() * width).map(|position| value(rank + 1, position)).collect())
                .collect();
            for combine in [Combine::Add, Combine::Insert, Combine::Max, Combine::Min] {
                let mut found: Vec<_> =
                    (0..local(world.blocks.len()) * width).map(|position| value(0, position)).collect();
                let mut obvious = found.clone();
                world.export(&copies, width, combine, &mut found);
                expected_export(&world.maps, &copies, width, combine, &mut obvious);
                prop_assert_eq!(found, obvious, "{:?}", combine);
            }
        }
    }
}
