//! The rows of a layout: those of one distribution, or those of several, one distribution after the
//! other.
//!
//! Every function here is a pure function of the offsets and a rank, tested for many ranks in one
//! process.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::index::{Gid, local};
use crate::layout::blocks::Blocks;

/// One or more distributions over the same ranks. Global numbers run through the first one whole, then
/// through the second one, and so on. Each rank stores its rows in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts(Box<[Part]>);

/// A distribution and the global number of its first row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    first: Gid,
    blocks: Blocks,
}

/// Global rows that follow each other and that one rank owns, and their positions on that rank.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The global rows.
    pub rows: Range<Gid>,
    /// The positions of these rows among all rows of the rank.
    pub positions: Range<usize>,
}

impl Parts {
    pub(crate) fn one(blocks: Blocks) -> Parts {
        Parts(Box::new([Part { first: 0, blocks }]))
    }

    /// Distributions over the same ranks, of which there is at least one.
    pub(crate) fn stacked(distributions: impl IntoIterator<Item = Blocks>) -> Result<Parts> {
        let mut end: Gid = 0;
        let place = |blocks: Blocks| {
            let first = end;
            end = end
                .checked_add(blocks.len())
                .ok_or_else(|| Error::Offsets { reason: "the lengths add up to more than 2^64 - 1".into() })?;
            Ok(Part { first, blocks })
        };
        Ok(Parts(distributions.into_iter().map(place).collect::<Result<_>>()?))
    }

    /// Returns all distributions of several layouts, one after the other.
    pub(super) fn joined<'p>(all: impl IntoIterator<Item = &'p Parts>) -> Result<Parts> {
        Parts::stacked(all.into_iter().flat_map(Parts::blocks).cloned())
    }

    /// Returns the distributions, in order.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Blocks> {
        self.0.iter().map(|part| &part.blocks)
    }

    /// Returns the distribution, if there is only one.
    pub(super) fn only(&self) -> Option<&Blocks> {
        match &*self.0 {
            [part] => Some(&part.blocks),
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        let last = self.0.last().expect("invariant: there is a part");
        last.first + last.blocks.len()
    }

    /// Returns the number of rows that a rank owns.
    pub(crate) fn len_of(&self, rank: usize) -> u64 {
        self.blocks().map(|blocks| blocks.range(rank)).map(|rows| rows.end - rows.start).sum()
    }

    pub(crate) fn owner(&self, row: Gid) -> Option<usize> {
        let part = &self.0[self.0.partition_point(|part| part.first <= row) - 1];
        part.blocks.owner(row - part.first)
    }

    /// Returns the runs of a rank, one for each part.
    pub(crate) fn runs(&self, rank: usize) -> Box<[Run]> {
        let mut position = 0;
        let run = |part: &Part| {
            let rows = part.blocks.range(rank);
            let positions = position..position + local(rows.end - rows.start);
            position = positions.end;
            Run { rows: part.first + rows.start..part.first + rows.end, positions }
        };
        self.0.iter().map(run).collect()
    }

    /// Returns the owners of `rows`, each with its part of them, in ascending order, cut where parts end.
    pub(crate) fn owners(&self, rows: Range<Gid>) -> impl Iterator<Item = (usize, Range<Gid>)> {
        self.0.iter().flat_map(move |part| {
            let inside = rows.start.saturating_sub(part.first)..rows.end.saturating_sub(part.first);
            part.blocks.owners(inside).map(|(rank, rows)| (rank, part.first + rows.start..part.first + rows.end))
        })
    }

    /// Returns the parts of the rows of `rows` alone, numbered from zero: every rank keeps those it owns.
    pub(super) fn restricted(&self, rows: &Range<Gid>) -> Parts {
        let inside = |part: &Part| rows.start.saturating_sub(part.first)..rows.end.saturating_sub(part.first);
        let mut kept: Vec<Blocks> = self.0.iter().map(|part| part.blocks.restricted(&inside(part))).collect();
        let any = kept.iter().any(|blocks| !blocks.is_empty());
        let mut first = true;
        // A range inside of one part has one part again.
        kept.retain(|blocks| if any { !blocks.is_empty() } else { std::mem::take(&mut first) });
        Parts::stacked(kept).expect("invariant: no more rows than before")
    }

    /// Returns each part with its distribution replaced.
    pub(super) fn map(&self, f: impl Fn(&Blocks) -> Result<Blocks>) -> Result<Parts> {
        Parts::stacked(self.blocks().map(f).collect::<Result<Vec<_>>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(lengths: &[u64]) -> Blocks {
        Blocks::from_lengths(lengths).unwrap()
    }

    fn parts(lengths: &[&[u64]]) -> Parts {
        Parts::stacked(lengths.iter().map(|lengths| blocks(lengths))).unwrap()
    }

    #[test]
    fn rows_run_through_one_part_after_the_other() {
        // Rows 0..5 are those of the first part, 5..8 those of the third one.
        let stack = parts(&[&[3, 0, 2], &[0, 0, 0], &[1, 2, 0]]);
        let run = |rows, positions| Run { rows, positions };
        assert_eq!(*stack.runs(0), [run(0..3, 0..3), run(5..5, 3..3), run(5..6, 3..4)]);
        assert_eq!(*stack.runs(1), [run(3..3, 0..0), run(5..5, 0..0), run(6..8, 0..2)]);
        assert_eq!(*stack.runs(2), [run(3..5, 0..2), run(5..5, 2..2), run(8..8, 2..2)]);
        assert_eq!((stack.len(), stack.len_of(0), stack.len_of(1), stack.len_of(2)), (8, 4, 2, 2));
        let owners: Vec<_> = (0..10).map(|row| stack.owner(row)).collect();
        let expected = [0, 0, 0, 2, 2, 0, 1, 1].map(Some);
        assert_eq!(owners, [&expected[..], &[None, None]].concat());
    }

    #[test]
    fn owners_are_cut_where_parts_end() {
        let stack = parts(&[&[3, 2], &[0, 0], &[1, 2]]);
        let owners = |rows| stack.owners(rows).collect::<Vec<_>>();
        assert_eq!(owners(2..7), [(0, 2..3), (1, 3..5), (0, 5..6), (1, 6..7)]);
        assert_eq!(owners(5..6), [(0, 5..6)]);
        assert_eq!(owners(8..9), []);
    }

    #[test]
    fn restrictions_drop_parts_without_rows() {
        let stack = parts(&[&[3, 2], &[1, 2], &[4, 0]]);
        assert_eq!(stack.restricted(&(5..8)), Parts::one(blocks(&[1, 2])));
        assert_eq!(stack.restricted(&(4..9)), parts(&[&[0, 1], &[1, 2], &[1, 0]]));
        assert_eq!(stack.restricted(&(5..5)), Parts::one(blocks(&[0, 0])));
    }

    #[test]
    fn stacks_of_stacks_are_flat_and_not_too_long() {
        let [a, b] = [parts(&[&[3, 2], &[1, 2]]), parts(&[&[7, 7]])];
        assert_eq!(Parts::joined([&a, &b, &a]), Ok(parts(&[&[3, 2], &[1, 2], &[7, 7], &[3, 2], &[1, 2]])));
        let error = Parts::joined([&Parts::one(blocks(&[u64::MAX, 0])), &b]).unwrap_err();
        assert!(error.to_string().contains("2^64 - 1"), "{error}");
        assert_eq!(a.map(|blocks| blocks.refined(2)), Ok(parts(&[&[6, 4], &[2, 4]])));
    }
}
