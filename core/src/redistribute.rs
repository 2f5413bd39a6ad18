//! `Redistribute`: moves vectors from one [`Layout`] to another.
//!
//! Both layouts are contiguous blocks of the same rows, so what a rank sends to another is the
//! overlap of two ranges: every rank computes its own messages from the two sets of blocks, without
//! asking anyone, and talks only to the ranks it overlaps with. Of stacked layouts every block is such a
//! range, and two ranks may have several overlaps, which both see in the same ascending order. The same
//! plan serves both directions and any number of columns; its buffers are kept between uses.

use std::cell::RefCell;
use std::ops::Range;

use crate::comm::Transfers;
use crate::error::Result;
use crate::index::local;
use crate::layout::{Layout, Parts, Run};
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

/// Returns the overlaps of a rank's runs with every rank of `theirs`, by ascending rows. Together the
/// overlaps tile the rank's own rows.
fn overlaps(mine: &[Run], theirs: &Parts) -> Vec<Overlap> {
    let of_run = |run: &Run| -> Vec<Overlap> {
        let position = |row| run.positions.start + local(row - run.rows.start);
        let overlap =
            |(rank, rows): (usize, Range<u64>)| Overlap { rank, rows: position(rows.start)..position(rows.end) };
        theirs.owners(run.rows.clone()).map(overlap).collect()
    };
    mine.iter().flat_map(of_run).collect()
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
            overlaps: overlaps(mine.runs(), theirs.parts()),
        };
        Ok(Redistribute { from: side(from, to), to: side(to, from), transfers: RefCell::default() })
    }

    /// Returns the layout that [`Redistribute::apply`] reads.
    pub fn from(&self) -> &Layout {
        &self.from.layout
    }

    /// Returns the layout that [`Redistribute::apply`] writes.
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

    /// Works like [`Redistribute::apply`] for all columns, with one message to each overlapping rank.
    ///
    /// # Collective
    /// One reduction, which compares the numbers of columns over the ranks.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch), [`Shape`](crate::Error::Shape) if the numbers of
    /// columns differ, or [`RanksDisagree`](crate::Error::RanksDisagree) if they differ between the ranks.
    pub fn apply_columns<T: Scalar>(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        y.require_columns(x.columns(), "redistribution")?;
        x.require_same_columns("Redistribute::apply_columns")?;
        self.transfer(&self.from, &self.to, x.owned(), y.owned_mut());
        Ok(())
    }

    /// Works like [`Redistribute::apply_reverse`] for all columns, with one message to each overlapping rank.
    ///
    /// # Collective
    /// One reduction, which compares the numbers of columns over the ranks.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch), [`Shape`](crate::Error::Shape) if the numbers of
    /// columns differ, or [`RanksDisagree`](crate::Error::RanksDisagree) if they differ between the ranks.
    pub fn apply_columns_reverse<T: Scalar>(&self, y: &MultiVector<T>, x: &mut MultiVector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        x.require_columns(y.columns(), "redistribution")?;
        x.require_same_columns("Redistribute::apply_columns_reverse")?;
        self.transfer(&self.to, &self.from, y.owned(), x.owned_mut());
        Ok(())
    }

    fn check(&self, x: &Layout, y: &Layout) -> Result<()> {
        self.from.layout.require_same(x, "redistribution")?;
        self.to.layout.require_same(y, "redistribution")
    }

    /// Moves the columns of `input` to `output`; both are column-major and fill their sides.
    fn transfer<T: Scalar>(&self, source: &Side, target: &Side, input: &[T], output: &mut [T]) {
        let _event = profile::operation("Redistribute");
        let comm = self.from.layout.comm();
        comm.check("redistribute", || {
            let [from, to] = [source, target].map(|side| side.layout.hash());
            format!("from layout {from:x} to {to:x}, of values of {} bytes", size_of::<T>())
        });
        let mut transfers = self.transfers.borrow_mut();
        transfers.reset(size_of_val(input), size_of_val(output));
        pack(&source.overlaps, source.layout.local_len(), input, transfers.send_buffer());
        let (sent, received) = (source.messages::<T>(input.len()), target.messages::<T>(output.len()));
        let (me, tag) = (comm.rank(), comm.next_tag());
        let own = sent.clone().filter(|(rank, _)| *rank == me).zip(received.clone().filter(|(rank, _)| *rank == me));
        own.for_each(|((_, from), (_, to))| transfers.keep(from, to));
        for (rank, bytes) in received.filter(|(rank, _)| *rank != me) {
            transfers.receive(comm.raw(), rank, tag, bytes);
        }
        for (rank, bytes) in sent.filter(|(rank, _)| *rank != me) {
            transfers.send(comm.raw(), rank, tag, bytes);
        }
        let unit = |source| {
            let shared = target.overlaps.iter().find(|overlap| overlap.rank == source);
            shared.map_or(1, |overlap| overlap.rows.len())
        };
        comm.require_fit(transfers.wait(), unit, |bytes| format!("redistribution of {bytes} bytes a row"));
        unpack(&target.overlaps, target.layout.local_len(), transfers.received(), output);
    }
}

impl Side {
    /// Returns the messages of a packed array of `len` values: the other rank and its bytes.
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

/// Reverts [`pack`].
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
    use crate::layout::Blocks;
    use proptest::prelude::*;

    /// Returns two layouts of the same rows over the same ranks, stacked in one to three blocks.
    fn two_layouts() -> impl Strategy<Value = (Parts, Parts)> {
        let parts = |ends: Vec<u64>, cuts: Vec<Vec<u64>>, len: u64| {
            let mut starts = ends;
            starts.sort_unstable();
            let ends: Vec<u64> = starts.iter().skip(1).copied().chain([len]).collect();
            let blocks = starts.iter().zip(ends).zip(cuts).map(|((&start, end), cuts)| {
                let mut offsets: Vec<u64> = cuts.into_iter().map(|cut| cut.min(end - start)).collect();
                offsets.sort_unstable();
                offsets.insert(0, 0);
                offsets.push(end - start);
                Blocks::from_offsets(&offsets).unwrap()
            });
            Parts::stacked(blocks).unwrap()
        };
        let starts = |len: u64| {
            prop::collection::vec(0..=len, 0..3).prop_map(|mut starts| {
                starts.push(0);
                starts
            })
        };
        (0u64..40, 0usize..8).prop_flat_map(move |(len, inner)| {
            let cuts = move || prop::collection::vec(prop::collection::vec(0..=len, inner), 3);
            let one = || (starts(len), cuts()).prop_map(move |(starts, cuts)| parts(starts, cuts, len));
            (one(), one())
        })
    }

    /// Carries packed messages between all ranks in this process; entry `row + 100 column`.
    fn moved(ranks: usize, from: &Parts, to: &Parts, columns: u64) -> usize {
        let content = |parts: &Parts, rank| -> Vec<u64> {
            let runs = parts.runs(rank);
            let rows = || runs.iter().flat_map(|run| run.rows.clone());
            (0..columns).flat_map(|c| rows().map(move |row| row + 100 * c)).collect()
        };
        let width = usize::try_from(columns).unwrap();
        let len = |parts: &Parts, rank| local(parts.len_of(rank));
        let packed: Vec<Vec<u64>> = (0..ranks)
            .map(|rank| {
                let mut packed = vec![0; len(from, rank) * width];
                pack(&overlaps(&from.runs(rank), to), len(from, rank), &content(from, rank), &mut packed);
                packed
            })
            .collect();
        let receive = |rank: usize| -> usize {
            let mine = overlaps(&to.runs(rank), from);
            // Of the messages between two ranks the first that is sent is the first that is received.
            let mut taken = vec![0; ranks];
            let messages = mine.iter().flat_map(|overlap| {
                let theirs = overlaps(&from.runs(overlap.rank), to);
                let mut sent = theirs.iter().filter(|other| other.rank == rank).skip(taken[overlap.rank]);
                taken[overlap.rank] += 1;
                let sent = sent.next().expect("both sides plan the message");
                assert_eq!(sent.rows.len(), overlap.rows.len());
                packed[overlap.rank][sent.rows.start * width..sent.rows.end * width].to_vec()
            });
            let messages: Vec<u64> = messages.collect();
            let mut columns = vec![0; messages.len()];
            unpack(&mine, len(to, rank), &messages, &mut columns);
            assert_eq!(columns, content(to, rank));
            columns.len()
        };
        (0..ranks).map(receive).sum()
    }

    proptest! {
        #[test]
        fn every_row_arrives_once((from, to) in two_layouts(), columns in 0u64..4) {
            let ranks = from.blocks().next().expect("a block").ranks();
            prop_assert_eq!(moved(ranks, &from, &to, columns) as u64, from.len() * columns);
        }
    }

    #[test]
    fn lengths_above_32_bits() {
        let giant = 1u64 << 40;
        let from = Parts::one(Blocks::from_lengths(&[giant, 0, giant]).unwrap());
        let to = Parts::one(Blocks::from_lengths(&[giant - 5, giant, 5]).unwrap());
        let rows = |rank, rows| Overlap { rank, rows };
        let size = local(giant);
        assert_eq!(overlaps(&from.runs(0), &to), [rows(0, 0..size - 5), rows(1, size - 5..size)]);
        assert_eq!(overlaps(&from.runs(1), &to), []);
        assert_eq!(overlaps(&from.runs(2), &to), [rows(1, 0..size - 5), rows(2, size - 5..size)]);
        assert_eq!(overlaps(&to.runs(1), &from), [rows(0, 0..5), rows(2, 5..size)]);
    }
}
