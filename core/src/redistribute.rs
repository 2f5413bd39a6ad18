//! `Redistribute`: moves vectors from one [`Layout`] to another.
//!
//! Both layouts are contiguous blocks of the same rows, so what a rank sends to another is the
//! overlap of two ranges: every rank computes its own messages from the two sets of blocks, without
//! asking anyone, and talks only to the ranks it overlaps with. The same plan serves both directions
//! and any number of columns; its buffers are kept between uses.

use std::cell::RefCell;
use std::ops::Range;

use crate::comm::{EXCHANGE_TAG, Transfers};
use crate::error::Result;
use crate::index::local;
use crate::layout::{Blocks, Layout};
use crate::multi_vector::MultiVector;
use crate::profile;
use crate::scalar::Scalar;
use crate::vector::Vector;

/// The rows that a rank shares with `rank` of the other layout, as local positions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Overlap {
    rank: usize,
    rows: Range<usize>,
}

/// What rank `me` of `mine` shares with every rank of `theirs`, by ascending rank. Together the
/// overlaps tile the rank's own block.
fn overlaps(mine: &Blocks, theirs: &Blocks, me: usize) -> Vec<Overlap> {
    let own = mine.range(me);
    let position = |row| local(row - own.start);
    theirs
        .owners(own.clone())
        .map(|(rank, rows)| Overlap { rank, rows: position(rows.start)..position(rows.end) })
        .collect()
}

/// A plan to move vectors from one layout to another of the same length on the same ranks.
pub struct Redistribute {
    from: Side,
    to: Side,
    transfers: RefCell<Transfers>,
}

/// One of the two layouts and what this rank exchanges with the ranks of the other.
struct Side {
    layout: Layout,
    overlaps: Vec<Overlap>,
}

impl Redistribute {
    /// Plans the move. No communication.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if the layouts have different lengths or
    /// communicators, on all ranks alike.
    pub fn new(from: &Layout, to: &Layout) -> Result<Redistribute> {
        if from.comm() != to.comm() || from.global_len() != to.global_len() {
            from.require_same(to, "redistribution")?;
        }
        let side = |mine: &Layout, theirs: &Layout| Side {
            layout: mine.clone(),
            overlaps: overlaps(mine.blocks(), theirs.blocks(), mine.comm().rank()),
        };
        Ok(Redistribute { from: side(from, to), to: side(to, from), transfers: RefCell::default() })
    }

    /// The layout that [`Redistribute::apply`] reads.
    pub fn from(&self) -> &Layout {
        &self.from.layout
    }

    /// The layout that [`Redistribute::apply`] writes.
    pub fn to(&self) -> &Layout {
        &self.to.layout
    }

    /// Copies `x`, on the first layout, to `y`, on the second.
    ///
    /// # Collective
    /// Messages between overlapping ranks only.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch).
    pub fn apply<T: Scalar>(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        self.transfer(&self.from, &self.to, x.owned(), y.owned_mut());
        Ok(())
    }

    /// Copies `y`, on the second layout, back to `x`, on the first.
    ///
    /// # Collective
    /// Messages between overlapping ranks only.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch).
    pub fn apply_reverse<T: Scalar>(&self, y: &Vector<T>, x: &mut Vector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        self.transfer(&self.to, &self.from, y.owned(), x.owned_mut());
        Ok(())
    }

    /// [`Redistribute::apply`] for all columns, with one message to each overlapping rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch), or [`Shape`](crate::Error::Shape) if the
    /// numbers of columns differ.
    pub fn apply_columns<T: Scalar>(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        y.require_columns(x.columns(), "redistribution")?;
        self.transfer(&self.from, &self.to, x.owned(), y.owned_mut());
        Ok(())
    }

    /// [`Redistribute::apply_reverse`] for all columns, with one message to each overlapping rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch), or [`Shape`](crate::Error::Shape) if the
    /// numbers of columns differ.
    pub fn apply_columns_reverse<T: Scalar>(&self, y: &MultiVector<T>, x: &mut MultiVector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        x.require_columns(y.columns(), "redistribution")?;
        self.transfer(&self.to, &self.from, y.owned(), x.owned_mut());
        Ok(())
    }

    fn check(&self, x: &Layout, y: &Layout) -> Result<()> {
        self.from.layout.require_same(x, "redistribution")?;
        self.to.layout.require_same(y, "redistribution")
    }

    /// Moves the columns of `input` to `output`; both are column-major and fill their sides.
    fn transfer<T: Scalar>(&self, source: &Side, target: &Side, input: &[T], output: &mut [T]) {
        let _event = profile::event("Redistribute");
        let comm = self.from.layout.comm();
        let mut transfers = self.transfers.borrow_mut();
        transfers.reset(size_of_val(input), size_of_val(output));
        pack(&source.overlaps, source.layout.local_len(), input, transfers.send_buffer());
        let (sent, received) = (source.messages::<T>(input.len()), target.messages::<T>(output.len()));
        let me = comm.rank();
        let own = (sent.clone().find(|(rank, _)| *rank == me), received.clone().find(|(rank, _)| *rank == me));
        if let (Some((_, from)), Some((_, to))) = own {
            transfers.keep(from, to);
        }
        for (rank, bytes) in received.filter(|(rank, _)| *rank != me) {
            transfers.receive(comm.raw(), rank, EXCHANGE_TAG, bytes);
        }
        for (rank, bytes) in sent.filter(|(rank, _)| *rank != me) {
            transfers.send(comm.raw(), rank, EXCHANGE_TAG, bytes);
        }
        transfers.wait();
        unpack(&target.overlaps, target.layout.local_len(), transfers.received(), output);
    }
}

impl Side {
    /// The messages of a packed array of `len` values: the other rank and its bytes.
    fn messages<T>(&self, len: usize) -> impl Iterator<Item = (usize, Range<usize>)> + Clone {
        let each = len / self.layout.local_len().max(1) * size_of::<T>();
        self.overlaps.iter().map(move |o| (o.rank, o.rows.start * each..o.rows.end * each))
    }
}

/// Reorders whole columns into messages: for each overlap its rows of all columns.
fn pack<T: Copy>(overlaps: &[Overlap], rows: usize, columns: &[T], packed: &mut [T]) {
    let mut at = 0;
    for overlap in overlaps {
        for column in columns.chunks_exact(rows) {
            packed[at..at + overlap.rows.len()].copy_from_slice(&column[overlap.rows.clone()]);
            at += overlap.rows.len();
        }
    }
}

/// The inverse of [`pack`].
fn unpack<T: Copy>(overlaps: &[Overlap], rows: usize, packed: &[T], columns: &mut [T]) {
    let mut at = 0;
    for overlap in overlaps {
        for column in columns.chunks_exact_mut(rows) {
            column[overlap.rows.clone()].copy_from_slice(&packed[at..at + overlap.rows.len()]);
            at += overlap.rows.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two distributions of the same rows over the same ranks.
    fn two_layouts() -> impl Strategy<Value = (Blocks, Blocks)> {
        let blocks = |cuts: Vec<u64>, len| {
            let mut offsets = cuts;
            offsets.sort_unstable();
            offsets.insert(0, 0);
            offsets.push(len);
            Blocks::from_offsets(&offsets).unwrap()
        };
        (0u64..40, 0usize..8).prop_flat_map(move |(len, inner)| {
            let cuts = || prop::collection::vec(0..=len, inner);
            (cuts(), cuts()).prop_map(move |(a, b)| (blocks(a, len), blocks(b, len)))
        })
    }

    /// Carries packed messages between all ranks in this process; entry `row + 100 column`.
    fn moved(from: &Blocks, to: &Blocks, columns: u64) -> Vec<Vec<u64>> {
        let content = |blocks: &Blocks, rank| -> Vec<u64> {
            (0..columns).flat_map(|c| blocks.range(rank).map(move |row| row + 100 * c)).collect()
        };
        let width = usize::try_from(columns).unwrap();
        let len = |blocks: &Blocks, rank| blocks.range(rank).count();
        let packed: Vec<Vec<u64>> = (0..from.ranks())
            .map(|rank| {
                let mut packed = vec![0; len(from, rank) * width];
                pack(&overlaps(from, to, rank), len(from, rank), &content(from, rank), &mut packed);
                packed
            })
            .collect();
        let receive = |rank: usize| -> Vec<u64> {
            let mine = overlaps(to, from, rank);
            let messages = mine.iter().flat_map(|overlap| {
                let theirs = overlaps(from, to, overlap.rank);
                let sent = theirs.iter().find(|other| other.rank == rank).expect("both sides plan the message");
                assert_eq!(sent.rows.len(), overlap.rows.len());
                packed[overlap.rank][sent.rows.start * width..sent.rows.end * width].to_vec()
            });
            let messages: Vec<u64> = messages.collect();
            let mut columns = vec![0; messages.len()];
            unpack(&mine, len(to, rank), &messages, &mut columns);
            assert_eq!(columns, content(to, rank));
            columns
        };
        (0..to.ranks()).map(receive).collect()
    }

    proptest! {
        #[test]
        fn every_row_arrives_once((from, to) in two_layouts(), columns in 0u64..4) {
            let arrived = moved(&from, &to, columns);
            let count: usize = arrived.iter().map(Vec::len).sum();
            prop_assert_eq!(count as u64, from.len() * columns);
        }
    }

    #[test]
    fn lengths_above_32_bits() {
        let giant = 1u64 << 40;
        let from = Blocks::from_lengths(&[giant, 0, giant]).unwrap();
        let to = Blocks::from_lengths(&[giant - 5, giant, 5]).unwrap();
        let rows = |rank, rows| Overlap { rank, rows };
        let size = local(giant);
        assert_eq!(overlaps(&from, &to, 0), [rows(0, 0..size - 5), rows(1, size - 5..size)]);
        assert_eq!(overlaps(&from, &to, 1), []);
        assert_eq!(overlaps(&from, &to, 2), [rows(1, 0..size - 5), rows(2, size - 5..size)]);
        assert_eq!(overlaps(&to, &from, 1), [rows(0, 0..5), rows(2, 5..size)]);
    }
}
