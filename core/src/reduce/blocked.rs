//! Sums over blocks at fixed global positions.

use std::cell::RefCell;
use std::ops::Range;

use crate::comm::{REDUCE_TAG, Transfers};
use crate::index::local;
use crate::layout::{Blocks, Layout};
use crate::reduce::binned::BinnedSum;
use crate::reduce::chunks::{BLOCK, add_block};
use crate::reduce::summands::Summands;
use crate::scalar::Scalar;

/// What a rank does with the blocks that its rows touch. Positions are local.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cut {
    /// Rows of a block that starts on another rank, and that rank.
    head: Option<(usize, usize)>,
    /// Rows in blocks that lie on this rank, up to the end of the vector.
    whole: Range<usize>,
    /// Rows of the last block that other ranks hold: ranks and their numbers of rows, in order.
    tail: Vec<(usize, usize)>,
}

impl Cut {
    /// Becomes the cut of rank `rank`, a pure function of the offsets; keeps its memory.
    fn set(&mut self, blocks: &Blocks, rank: usize) {
        let (rows, end) = (blocks.range(rank), blocks.len());
        let size = BLOCK as u64;
        let first = rows.start.next_multiple_of(size).min(rows.end);
        self.whole = local(first - rows.start)..local(rows.end - rows.start);
        self.tail.clear();
        self.head = (first > rows.start).then(|| {
            let owner = blocks.owner(rows.start - rows.start % size).expect("invariant: a row below an owned one");
            (local(first - rows.start), owner)
        });
        let last = rows.end - rows.end % size;
        let block_end = (last + size).min(end);
        if rows.end > last && last >= rows.start && rows.end < block_end {
            // The last block starts here and goes on elsewhere.
            self.whole.end = local(last - rows.start);
            let after = (rank + 1..blocks.ranks()).map(|rank| (rank, blocks.range(rank)));
            let inside = after.take_while(|(_, range)| range.start < block_end);
            let counted = inside.map(|(rank, range)| (rank, local(range.end.min(block_end) - range.start)));
            self.tail.extend(counted.filter(|(_, len)| *len > 0));
        }
    }
}

/// Memory of reductions, kept from one to the next.
#[derive(Default)]
struct Scratch {
    cut: Cut,
    transfers: Transfers,
    partial: Vec<BinnedSum>,
    /// Sums of each thread.
    of_parts: Vec<BinnedSum>,
    total: Vec<BinnedSum>,
    /// Summands of this rank in the block that other ranks share.
    own: Vec<f64>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());

/// Sums of summands that belong to rows on `layout` over all ranks, in one reduction. The riders of
/// the ranks are added up in the same reduction.
///
/// # Collective
pub(super) fn sum<S: Scalar, const P: usize>(
    layout: &Layout,
    (out, riders): (&mut [S], &mut [f64]),
    summands: &mut impl Summands<P>,
) {
    SCRATCH.with_borrow_mut(|Scratch { cut, transfers, partial, of_parts, total, own }| {
        let (comm, count) = (layout.comm(), out.len());
        cut.set(layout.blocks(), comm.rank());
        post(layout, cut, count, transfers, summands);
        partial.clear();
        partial.resize(count * P, BinnedSum::default());
        summands.add_blocks(&cut.whole, partial, of_parts);
        transfers.wait();
        if !cut.tail.is_empty() {
            let rows = cut.whole.end..layout.local_len();
            own.clear();
            own.resize(rows.len() * count * P, 0.0);
            let own = own.as_chunks_mut::<P>().0;
            summands.write(rows.clone(), own);
            add_tail(cut, own.chunks_exact(rows.len()), transfers, partial);
        }
        partial.extend(riders.iter().map(|&rider| {
            let mut sum = BinnedSum::default();
            sum.add(&[rider]);
            sum
        }));
        total.clear();
        total.resize(partial.len(), BinnedSum::default());
        comm.all_reduce_merge(partial, total);
        for (sum, parts) in out.iter_mut().zip(total.as_chunks::<P>().0) {
            *sum = S::from_parts(parts[0].value(), parts.get(1).map_or(0.0, BinnedSum::value));
        }
        for (rider, sum) in riders.iter_mut().zip(&total[count * P..]) {
            *rider = sum.value();
        }
    });
}

/// Sends the summands of the head to the owner of its block, and awaits those of the tail.
fn post<const P: usize>(
    layout: &Layout,
    cut: &Cut,
    count: usize,
    transfers: &mut Transfers,
    summands: &mut impl Summands<P>,
) {
    let raw = layout.comm().raw();
    let bytes = |rows: usize| rows * count * size_of::<[f64; P]>();
    let (head, owner) = cut.head.unwrap_or((0, 0));
    transfers.reset(bytes(head), bytes(cut.tail.iter().map(|(_, rows)| rows).sum()));
    summands.write(0..head, transfers.send_buffer());
    let mut start = 0;
    for &(rank, rows) in &cut.tail {
        transfers.receive(raw, rank, REDUCE_TAG, bytes(start)..bytes(start + rows));
        start += rows;
    }
    transfers.send(raw, owner, REDUCE_TAG, 0..bytes(head));
}

/// Adds the block that begins on this rank, with the summands `own` of each sum, and ends on others.
fn add_tail<'o, const P: usize>(
    cut: &Cut,
    own: impl Iterator<Item = &'o [[f64; P]]>,
    transfers: &Transfers,
    sums: &mut [BinnedSum],
) {
    let received = transfers.received::<[f64; P]>();
    let count = sums.len() / P;
    for (j, (sums, own)) in sums.as_chunks_mut::<P>().0.iter_mut().zip(own).enumerate() {
        let mut block = [[0.0; P]; BLOCK];
        block[..own.len()].copy_from_slice(own);
        let (mut at, mut start) = (own.len(), 0);
        for &(_, rows) in &cut.tail {
            block[at..at + rows].copy_from_slice(&received[start + j * rows..][..rows]);
            at += rows;
            start += rows * count;
        }
        let values = add_block(&block, &block, |summand, _| summand, |_| {});
        for (sum, value) in sums.iter_mut().zip(values) {
            sum.add(&[value]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut_of(blocks: &Blocks, rank: usize) -> Cut {
        let mut cut = Cut::default();
        cut.set(blocks, rank);
        cut
    }

    #[test]
    fn cuts_worked_by_hand() {
        // Blocks start at 0, 256, 512: rank 1 holds a part of the first, rank 2 nothing.
        let blocks = Blocks::from_lengths(&[200, 20, 0, 300, 5]).unwrap();
        let cut = |rank| cut_of(&blocks, rank);
        assert_eq!(cut(0), Cut { head: None, whole: 0..0, tail: vec![(1, 20), (3, 36)] });
        assert_eq!(cut(1), Cut { head: Some((20, 0)), whole: 20..20, tail: vec![] });
        assert_eq!(cut(2), Cut { head: None, whole: 0..0, tail: vec![] });
        assert_eq!(cut(3), Cut { head: Some((36, 0)), whole: 36..292, tail: vec![(4, 5)] });
        assert_eq!(cut(4), Cut { head: Some((5, 3)), whole: 5..5, tail: vec![] });
    }

    #[test]
    fn aligned_blocks_send_nothing() {
        let blocks = Blocks::uniform(4 * 256 * 7, 4);
        for rank in 0..4 {
            assert_eq!(cut_of(&blocks, rank), Cut { head: None, whole: 0..256 * 7, tail: vec![] });
        }
    }

    proptest! {
        /// Every row is in exactly one rank's whole blocks, or sent to and expected by one owner.
        #[test]
        fn cuts_agree(lengths in prop::collection::vec(0u64..700, 1..9)) {
            let blocks = Blocks::from_lengths(&lengths).unwrap();
            let cuts: Vec<Cut> = (0..lengths.len()).map(|rank| cut_of(&blocks, rank)).collect();
            for (rank, cut) in cuts.iter().enumerate() {
                let len = usize::try_from(lengths[rank]).unwrap();
                let head = cut.head.map_or(0, |(rows, _)| rows);
                prop_assert_eq!(cut.whole.start, head);
                prop_assert!(cut.whole.end <= len);
                prop_assert_eq!(cut.whole.end < len, !cut.tail.is_empty());
                for &(other, rows) in &cut.tail {
                    prop_assert_eq!(cuts[other].head, Some((rows, rank)));
                }
                if let Some((rows, owner)) = cut.head {
                    prop_assert!(cuts[owner].tail.contains(&(rank, rows)));
                }
            }
        }
    }
}
