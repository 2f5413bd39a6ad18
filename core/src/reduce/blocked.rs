//! Sums over blocks at fixed global positions.
//!
//! Of a stacked layout each part is cut by itself, at positions counted from its own first row; the exact
//! sums of all parts are then merged in the same reduction.

use std::cell::RefCell;
use std::ops::Range;

use crate::comm::disagreement::Disagreement;
use crate::comm::{Merged, Transfers};
use crate::index::local;
use crate::layout::{Blocks, Layout};
use crate::reduce::binned::BinnedSum;
use crate::reduce::chunks::{BLOCK, add_block};
use crate::reduce::summands::Summands;
use crate::scalar::Scalar;

/// Steps of a rank for the blocks that its rows of one part of a layout touch. Positions are local.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cut {
    /// Rows of a block that starts on another rank, and that rank.
    head: Option<(Range<usize>, usize)>,
    /// Rows in blocks that lie on this rank, up to the end of the part.
    whole: Range<usize>,
    /// The other rows of this rank, in a last block that goes on elsewhere.
    last: Range<usize>,
    /// Rows of the last block that other ranks hold: ranks and their numbers of rows, in order.
    tail: Vec<(usize, usize)>,
}

impl Cut {
    /// Returns the number of rows that other ranks send.
    fn expected(&self) -> usize {
        self.tail.iter().map(|(_, rows)| rows).sum()
    }

    /// Becomes the cut of rank `rank`, whose rows begin at local position `at`: a pure function of the
    /// offsets. Keeps its memory.
    fn set(&mut self, blocks: &Blocks, rank: usize, at: usize) {
        let (rows, end) = (blocks.range(rank), blocks.len());
        let size = BLOCK as u64;
        let first = rows.start.next_multiple_of(size).min(rows.end);
        let position = |row: u64| at + local(row - rows.start);
        self.whole = position(first)..position(rows.end);
        self.tail.clear();
        self.head = (first > rows.start).then(|| {
            let owner = blocks.owner(rows.start - rows.start % size).expect("invariant: a row below an owned one");
            (at..position(first), owner)
        });
        let last = rows.end - rows.end % size;
        let block_end = (last + size).min(end);
        if rows.end > last && last >= rows.start && rows.end < block_end {
            // The last block starts here and goes on elsewhere.
            self.whole.end = position(last);
            let after = (rank + 1..blocks.ranks()).map(|rank| (rank, blocks.range(rank)));
            let inside = after.take_while(|(_, range)| range.start < block_end);
            let counted = inside.map(|(rank, range)| (rank, local(range.end.min(block_end) - range.start)));
            self.tail.extend(counted.filter(|(_, len)| *len > 0));
        }
        self.last = self.whole.end..position(rows.end);
    }
}

/// Memory of reductions, kept from one to the next.
#[derive(Default)]
struct Scratch {
    /// One for each part of the layout, and perhaps more from earlier reductions.
    cuts: Vec<Cut>,
    transfers: Transfers,
    totals: Vec<BinnedSum>,
    /// Sums of each thread.
    of_parts: Vec<BinnedSum>,
    /// Summands of this rank in the block that other ranks share.
    own: Vec<f64>,
    /// Sums of a vector that is no longer than a block.
    short: Vec<f64>,
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
) -> Result<(), Disagreement> {
    SCRATCH.with_borrow_mut(|Scratch { cuts, transfers, totals, of_parts, own, short }| {
        let (comm, count) = (layout.comm(), out.len());
        comm.check("sum", || format!("of {} numbers on layout {:x}", count * P + riders.len(), layout.hash()));
        if riders.is_empty() && is_one_block(layout) && sum_block(layout, out, short, summands) {
            return comm.reduce::<Merged<BinnedSum>>(&mut []);
        }
        let cuts = set_cuts(cuts, layout);
        post(layout, cuts, count, transfers, summands);
        totals.clear();
        totals.resize(count * P, BinnedSum::default());
        cuts.iter().for_each(|cut| summands.add_blocks(&cut.whole, totals, of_parts));
        let arrived = transfers.wait();
        let mut received = transfers.received::<[f64; P]>();
        for cut in cuts.iter().filter(|cut| arrived.is_ok() && !cut.tail.is_empty()) {
            own.clear();
            own.resize(cut.last.len() * count * P, 0.0);
            let own = own.as_chunks_mut::<P>().0;
            summands.write(cut.last.clone(), own);
            let of_cut;
            (of_cut, received) = received.split_at(cut.expected() * count);
            add_tail(cut, own.chunks_exact(cut.last.len()), of_cut, totals);
        }
        totals.extend(riders.iter().map(|&rider| {
            let mut sum = BinnedSum::default();
            sum.add(&[rider]);
            sum
        }));
        // Where another rank has other numbers of sums, the reduction shows it.
        comm.reduce::<Merged<BinnedSum>>(totals)?;
        comm.require_fit(arrived, |_| 1, |bytes| format!("summands of {bytes} bytes"));
        for (sum, parts) in out.iter_mut().zip(totals.as_chunks::<P>().0) {
            *sum = S::from_parts(parts[0].value(), parts.get(1).map_or(0.0, BinnedSum::value));
        }
        for (rider, sum) in riders.iter_mut().zip(&totals[count * P..]) {
            *rider = sum.value();
        }
        Ok(())
    })
}

/// Returns true if this rank has all rows, and they are one block at most.
fn is_one_block(layout: &Layout) -> bool {
    layout.comm().size() == 1 && layout.local_len() <= BLOCK && !layout.is_stacked()
}

/// Takes the sums of one block, as it is: on vectors of a few entries to add it exactly to nothing takes longer than all
/// else. Returns false if that would change the last bits of one of them.
fn sum_block<S: Scalar, const P: usize>(
    layout: &Layout,
    out: &mut [S],
    short: &mut Vec<f64>,
    summands: &mut impl Summands<P>,
) -> bool {
    short.clear();
    short.resize(out.len() * P, 0.0);
    summands.add_blocks(&(0..layout.local_len()), short, &mut Vec::new());
    if !short.iter().all(|&sum| BinnedSum::keeps(sum)) {
        return false;
    }
    for (sum, parts) in out.iter_mut().zip(short.as_chunks::<P>().0) {
        *sum = S::from_parts(parts[0], parts.get(1).copied().unwrap_or(0.0));
    }
    true
}

/// Cuts the parts of a layout.
fn set_cuts<'c>(cuts: &'c mut Vec<Cut>, layout: &Layout) -> &'c [Cut] {
    let runs = layout.runs();
    cuts.resize_with(cuts.len().max(runs.len()), Cut::default);
    for ((cut, blocks), run) in cuts.iter_mut().zip(layout.parts().blocks()).zip(runs) {
        cut.set(blocks, layout.comm().rank(), run.positions.start);
    }
    &cuts[..runs.len()]
}

/// Sends the summands of the heads to the owners of their blocks, and awaits those of the tails. Both
/// sides take the parts in order, so that messages between the same two ranks keep it.
fn post<const P: usize>(
    layout: &Layout,
    cuts: &[Cut],
    count: usize,
    transfers: &mut Transfers,
    summands: &mut impl Summands<P>,
) {
    let (raw, tag) = (layout.comm().raw(), layout.comm().next_tag());
    let bytes = |rows: usize| rows * count * size_of::<[f64; P]>();
    let heads = || cuts.iter().filter_map(|cut| cut.head.as_ref());
    let sent = heads().map(|(rows, _)| rows.len()).sum();
    transfers.reset(bytes(sent), bytes(cuts.iter().map(Cut::expected).sum()));
    let mut buffer = transfers.send_buffer::<[f64; P]>();
    for (rows, _) in heads() {
        let (of_head, rest) = buffer.split_at_mut(rows.len() * count);
        summands.write(rows.clone(), of_head);
        buffer = rest;
    }
    let mut start = 0;
    for &(rank, rows) in cuts.iter().flat_map(|cut| &cut.tail) {
        transfers.receive(raw, rank, tag, bytes(start)..bytes(start + rows));
        start += rows;
    }
    let mut start = 0;
    for (rows, owner) in heads() {
        transfers.send(raw, *owner, tag, bytes(start)..bytes(start + rows.len()));
        start += rows.len();
    }
}

/// Adds the block that begins on this rank, with the summands `own` of each sum, and ends on others.
fn add_tail<'o, const P: usize>(
    cut: &Cut,
    own: impl Iterator<Item = &'o [[f64; P]]>,
    received: &[[f64; P]],
    sums: &mut [BinnedSum],
) {
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
        let values = add_block(&block, &block, |summand, _| summand);
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
        cut.set(blocks, rank, 0);
        cut
    }

    #[test]
    fn cuts_worked_by_hand() {
        // Blocks start at 0, 256, 512: rank 1 holds a part of the first, rank 2 nothing.
        let blocks = Blocks::from_lengths(&[200, 20, 0, 300, 5]).unwrap();
        let cut = |rank| cut_of(&blocks, rank);
        assert_eq!(cut(0), Cut { head: None, whole: 0..0, last: 0..200, tail: vec![(1, 20), (3, 36)] });
        assert_eq!(cut(1), Cut { head: Some((0..20, 0)), whole: 20..20, last: 20..20, tail: vec![] });
        assert_eq!(cut(2), Cut { head: None, whole: 0..0, last: 0..0, tail: vec![] });
        assert_eq!(cut(3), Cut { head: Some((0..36, 0)), whole: 36..292, last: 292..300, tail: vec![(4, 5)] });
        assert_eq!(cut(4), Cut { head: Some((0..5, 3)), whole: 5..5, last: 5..5, tail: vec![] });
        // The same rows after others of the rank.
        let mut stacked = Cut::default();
        stacked.set(&blocks, 3, 1000);
        let expected = Cut { head: Some((1000..1036, 0)), whole: 1036..1292, last: 1292..1300, tail: vec![(4, 5)] };
        assert_eq!(stacked, expected);
    }

    #[test]
    fn aligned_blocks_send_nothing() {
        let blocks = Blocks::uniform(4 * 256 * 7, 4);
        for rank in 0..4 {
            let whole = 0..256 * 7;
            assert_eq!(cut_of(&blocks, rank), Cut { head: None, last: whole.end..whole.end, whole, tail: vec![] });
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
                let head = cut.head.as_ref().map_or(0, |(rows, _)| rows.end);
                prop_assert_eq!(cut.whole.start, head);
                prop_assert_eq!(cut.last.clone(), cut.whole.end..len);
                prop_assert_eq!(cut.last.is_empty(), cut.tail.is_empty());
                for &(other, rows) in &cut.tail {
                    prop_assert_eq!(cuts[other].head.clone(), Some((0..rows, rank)));
                }
                if let Some((rows, owner)) = &cut.head {
                    prop_assert!(cuts[*owner].tail.contains(&(rank, rows.len())));
                }
            }
        }
    }
}
