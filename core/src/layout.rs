//! `Layout`: which rank owns which global rows.
//!
//! Rows are owned in contiguous blocks, rank 0 first. That one restriction is what makes owner
//! look-up a binary search, lets plans be pure functions of the offsets (tested for many ranks in
//! one process), and keeps global order equal to file order. Any other numbering is an
//! [`IndexMap`](crate::IndexMap) on top.
//!
//! A stacked layout, which a [`BlockLayout`](crate::BlockLayout) makes, is several such distributions,
//! one after the other: its global rows are all rows of the first block, then all of the second, so
//! that global order, file order and sums do not depend on the number of ranks. A rank then owns one
//! run of consecutive rows in each block, stored one after the other. What works with runs (vectors,
//! sums, redistribution, files) takes stacked layouts; what needs one range of rows on each rank
//! (matrices, graphs, exchange plans) refuses them with [`Error::StackedLayout`].

mod blocks;
mod parts;

use std::ops::Range;
use std::rc::Rc;

use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::index::{Gid, local};

pub use blocks::Blocks;
pub(crate) use parts::Parts;
pub use parts::Run;

/// A distribution of global rows over the ranks of a communicator, in contiguous blocks, or several
/// such distributions stacked to one.
///
/// Cloning is cheap. Empty ranks, more ranks than rows and layouts of zero rows are ordinary.
#[derive(Clone)]
pub struct Layout {
    comm: Comm,
    rows: Rc<Rows>,
}

/// The rows of all ranks, and those of this one.
struct Rows {
    parts: Parts,
    runs: Box<[Run]>,
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owned: Vec<_> = self.runs().iter().map(|run| &run.rows).collect();
        match owned[..] {
            [range] => write!(f, "Layout({:?}, owns {range:?} of {})", self.comm, self.global_len()),
            _ => write!(f, "Layout({:?}, owns {owned:?} of {})", self.comm, self.global_len()),
        }
    }
}

/// Layouts are equal when they split the same rows in the same way over the same communicator. A stacked
/// layout equals only a stack of equal blocks.
impl PartialEq for Layout {
    fn eq(&self, other: &Layout) -> bool {
        self.comm == other.comm && (Rc::ptr_eq(&self.rows, &other.rows) || self.rows.parts == other.rows.parts)
    }
}

impl Layout {
    /// Creates a layout of `global_len` rows, split as evenly as possible (PETSc's default split).
    ///
    /// # Collective
    /// One reduction of two words, which finds ranks that give different lengths.
    ///
    /// # Panics
    /// If the ranks give different lengths, which is a bug of the caller: the job ends. Otherwise they
    /// would wait for each other later on.
    pub fn uniform(comm: &Comm, global_len: u64) -> Layout {
        let [[least, most]] = extremes(comm, [global_len]);
        assert_eq!(least, most, "Layout::uniform: the ranks give different lengths; give all of them the same");
        Layout::agreed(comm, Blocks::uniform(global_len, comm.size()))
    }

    /// Of blocks that are the same on all ranks by construction.
    pub(crate) fn agreed(comm: &Comm, blocks: Blocks) -> Layout {
        Layout::of(comm, Parts::one(blocks))
    }

    fn of(comm: &Comm, parts: Parts) -> Layout {
        let runs = parts.runs(comm.rank());
        Layout { comm: comm.clone(), rows: Rc::new(Rows { parts, runs }) }
    }

    /// Several layouts of one communicator stacked to one.
    ///
    /// # Errors
    /// [`Error::Offsets`] if the lengths add up to more than 64 bits, on all ranks alike.
    pub(crate) fn stacked(first: &Layout, others: &[&Layout]) -> Result<Layout> {
        let all = std::iter::once(first).chain(others.iter().copied());
        Ok(Layout::of(&first.comm, Parts::joined(all.map(Layout::parts))?))
    }

    /// Creates a layout from each rank's own number of rows.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Offsets`] if the lengths add up to more than 64 bits.
    pub fn from_local_len(comm: &Comm, local_len: usize) -> Result<Layout> {
        Ok(Layout::agreed(comm, Blocks::from_lengths(&comm.all_gather(local_len as u64))?))
    }

    /// Creates the given blocks; every rank must give the same.
    ///
    /// # Collective
    /// One reduction of two words, which compares hashes of the blocks.
    ///
    /// # Errors
    /// [`Error::Offsets`] if the number of blocks is not the number of ranks, or the ranks give
    /// different blocks; on all ranks alike.
    pub fn from_blocks(comm: &Comm, blocks: Blocks) -> Result<Layout> {
        let [[least, most]] = extremes(comm, [blocks.hash()]);
        if least != most {
            let reason = "the ranks give different blocks; give all of them the same".into();
            return Err(Error::Offsets { reason });
        }
        if blocks.ranks() != comm.size() {
            let reason = format!("{} blocks for {} ranks", blocks.ranks(), comm.size());
            return Err(Error::Offsets { reason });
        }
        Ok(Layout::agreed(comm, blocks))
    }

    /// Creates a layout with all rows on rank `root`.
    ///
    /// # Collective
    /// One reduction of four words, which finds ranks that give different numbers.
    ///
    /// # Errors
    /// [`Error::NoSuchRank`], or [`Error::Offsets`] if the ranks give different lengths or roots; on
    /// all ranks alike.
    pub fn on_one_rank(comm: &Comm, global_len: u64, root: usize) -> Result<Layout> {
        if extremes(comm, [global_len, root as u64]).iter().any(|[least, most]| least != most) {
            let reason = "the ranks give different lengths or roots; give all of them the same".into();
            return Err(Error::Offsets { reason });
        }
        if root >= comm.size() {
            return Err(Error::NoSuchRank { operation: "layout on one rank", rank: root, size: comm.size() });
        }
        Ok(Layout::agreed(comm, Blocks::on_one_rank(global_len, root, comm.size())))
    }

    /// Restricts the layout to `rows`, numbered from zero: every rank keeps those it owns. Nothing moves,
    /// so the new layout is as uneven as the range lies; [`Redistribute`](crate::Redistribute) evens it out.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] if the range ends past the last row or before its own start, on
    /// all ranks alike.
    pub fn restricted(&self, rows: &Range<Gid>) -> Result<Layout> {
        let bound = self.global_len();
        for (what, index, bound) in [("end of a range", rows.end, bound), ("start of a range", rows.start, rows.end)] {
            if index > bound {
                return Err(Error::IndexOutOfRange { what, index, bound: bound.saturating_add(1) });
            }
        }
        Ok(Layout::of(&self.comm, self.parts().restricted(rows)))
    }

    /// Replaces each row by `factor` rows that follow each other, with the same owner: from block
    /// rows to rows.
    ///
    /// # Errors
    /// [`Error::Offsets`] if that is more rows than 64 bits can count, on all ranks alike.
    pub fn refined(&self, factor: usize) -> Result<Layout> {
        Ok(Layout::of(&self.comm, self.parts().map(|blocks| blocks.refined(factor))?))
    }

    /// Groups of `factor` rows that follow each other as rows: from rows to block rows.
    ///
    /// # Errors
    /// [`Error::Offsets`] if a group would belong to two ranks, or the last one is not whole; on all
    /// ranks alike.
    pub fn coarsened(&self, factor: usize) -> Result<Layout> {
        Ok(Layout::of(&self.comm, self.parts().map(|blocks| blocks.coarsened(factor))?))
    }

    /// Returns the ranks that share the rows.
    pub fn comm(&self) -> &Comm {
        &self.comm
    }

    /// Returns all ranks' blocks.
    ///
    /// # Panics
    /// For a stacked layout, which has blocks of its own for each block of rows:
    /// [`Layout::require_contiguous`] refuses it before, and [`Layout::owner`] and [`Layout::runs`] serve
    /// both kinds.
    pub fn blocks(&self) -> &Blocks {
        self.parts().only().expect(STACKED)
    }

    /// Returns a number that is different for other layouts, but for accidents.
    pub(crate) fn hash(&self) -> u64 {
        self.parts().blocks().fold(0, |hash: u64, blocks| hash.rotate_left(7) ^ blocks.hash())
    }

    /// Returns the number of rows over all ranks.
    pub fn global_len(&self) -> u64 {
        self.parts().len()
    }

    /// Returns the global rows that this rank owns.
    ///
    /// # Panics
    /// For a stacked layout, whose rows are not one range on each rank: [`Layout::require_contiguous`]
    /// refuses it before, and [`Layout::runs`] and [`Layout::owned_rows`] serve both kinds.
    pub fn range(&self) -> Range<Gid> {
        match self.runs() {
            [run] => run.rows.clone(),
            _ => panic!("{STACKED}"),
        }
    }

    /// Returns the runs of consecutive global rows that this rank owns, ascending in rows and positions: one,
    /// perhaps empty, for each block of a stacked layout, otherwise one. All ranks have as many.
    pub fn runs(&self) -> &[Run] {
        &self.rows.runs
    }

    /// Returns the global rows that this rank owns, in the order in which it stores them, which is ascending.
    pub fn owned_rows(&self) -> impl Iterator<Item = Gid> {
        self.runs().iter().flat_map(|run| run.rows.clone())
    }

    /// Returns the number of rows that this rank owns.
    pub fn local_len(&self) -> usize {
        self.runs().last().map_or(0, |run| run.positions.end)
    }

    /// Returns the largest number of rows of a rank.
    pub fn longest(&self) -> u64 {
        (0..self.comm.size()).map(|rank| self.len_of(rank)).max().unwrap_or(0)
    }

    /// Returns the number of rows that a rank owns.
    pub(crate) fn len_of(&self, rank: usize) -> u64 {
        self.parts().len_of(rank)
    }

    /// Returns the rank that owns a global row, or `None` past the end.
    pub fn owner(&self, row: Gid) -> Option<usize> {
        self.parts().owner(row)
    }

    /// Returns the owners of a range of global rows, each with its part of them, in ascending order; rows past the
    /// end have none. A part lies in one run of its owner.
    pub fn owners(&self, rows: Range<Gid>) -> impl Iterator<Item = (usize, Range<Gid>)> {
        self.parts().owners(rows)
    }

    /// Returns the position of a global row among those of this rank, if it owns it.
    pub fn global_to_owned(&self, row: Gid) -> Option<usize> {
        let run = self.runs().iter().find(|run| run.rows.contains(&row))?;
        Some(run.positions.start + local(row - run.rows.start))
    }

    /// Returns the global row at a position of this rank.
    pub(crate) fn owned_to_global(&self, position: usize) -> Gid {
        let run = self.runs().iter().find(|run| run.positions.contains(&position));
        let run = run.expect("invariant: the position of an owned row");
        run.rows.start + (position - run.positions.start) as u64
    }

    /// Returns the positions of the rows of a global range that this rank owns.
    pub(crate) fn positions(&self, rows: &Range<Gid>) -> Range<usize> {
        // Rows before a bound, of which this rank stores the first so many.
        let before = |bound: Gid| -> usize {
            let of_run = |run: &Run| local(bound.clamp(run.rows.start, run.rows.end) - run.rows.start);
            self.runs().iter().map(of_run).sum()
        };
        before(rows.start)..before(rows.end)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.rows.parts
    }

    /// Returns whether this is a stacked layout, of two or more blocks.
    pub fn is_stacked(&self) -> bool {
        self.runs().len() > 1
    }

    /// Checks that each rank owns one range of rows: that the layout is not stacked.
    ///
    /// # Errors
    /// [`Error::StackedLayout`], on all ranks alike.
    pub fn require_contiguous(&self, operation: &'static str) -> Result<()> {
        if self.is_stacked() { Err(Error::StackedLayout { operation, blocks: self.runs().len() }) } else { Ok(()) }
    }

    /// Checks that two operands live on the same layout.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::CommMismatch`] if their communicators differ; on all ranks alike.
    pub fn require_same(&self, other: &Layout, operation: &'static str) -> Result<()> {
        if self == other {
            return Ok(());
        }
        self.require_same_comm(other, operation)?;
        Err(Error::LayoutMismatch { operation, left: self.global_len(), right: other.global_len() })
    }

    /// Checks that two layouts are on the same communicator.
    pub(crate) fn require_same_comm(&self, other: &Layout, operation: &'static str) -> Result<()> {
        if self.comm == other.comm {
            return Ok(());
        }
        let [left, right] = [self, other].map(|layout| layout.comm.name().to_owned());
        Err(Error::CommMismatch { operation, left, right })
    }
}

/// The bug of a caller.
const STACKED: &str =
    "a stacked layout has no single range of rows on each rank: use its runs, or the layouts of its blocks";

/// The smallest and the largest of all ranks' numbers.
///
/// # Collective
/// One reduction.
fn extremes<const N: usize>(comm: &Comm, numbers: [u64; N]) -> [[u64; 2]; N] {
    let mut words = numbers.map(|number| [number, !number]);
    comm.all_reduce_min(words.as_flattened_mut());
    words.map(|[least, most]| [least, !most])
}
