//! `Blocks`: the offsets of a distribution in contiguous blocks, one for each rank.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::index::Gid;

/// Block offsets of a distribution: rank `r` owns `offsets[r]..offsets[r + 1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks(Box<[Gid]>);

impl Blocks {
    /// Splits `len` rows as evenly as possible: the first `len % ranks` ranks own one more.
    ///
    /// # Panics
    /// Without ranks, which is a bug of the caller.
    pub fn uniform(len: u64, ranks: usize) -> Blocks {
        assert!(ranks > 0, "Blocks::uniform: rows need at least one rank");
        let ranks = ranks as u64;
        let (share, extra) = (len / ranks, len % ranks);
        Blocks((0..=ranks).map(|r| r * share + r.min(extra)).collect())
    }

    /// Returns all rows on one rank.
    pub(super) fn on_one_rank(len: u64, root: usize, ranks: usize) -> Blocks {
        Blocks((0..=ranks).map(|rank| if rank > root { len } else { 0 }).collect())
    }

    /// Creates blocks from one length per rank.
    ///
    /// # Errors
    /// [`Error::Offsets`] if there is no rank or the lengths add up to more than 64 bits.
    pub fn from_lengths(lengths: &[u64]) -> Result<Blocks> {
        if lengths.is_empty() {
            return Err(Error::Offsets { reason: "no ranks given".into() });
        }
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        let mut end: u64 = 0;
        offsets.push(end);
        for &len in lengths {
            end = end
                .checked_add(len)
                .ok_or_else(|| Error::Offsets { reason: "the lengths add up to more than 2^64 - 1".into() })?;
            offsets.push(end);
        }
        Ok(Blocks(offsets.into()))
    }

    /// Creates blocks from the offsets themselves: one more than there are ranks, starting at 0, never falling.
    ///
    /// # Errors
    /// [`Error::Offsets`] naming the first violation.
    pub fn from_offsets(offsets: &[Gid]) -> Result<Blocks> {
        let reason = match offsets {
            [] | [_] => "fewer than two offsets".to_owned(),
            [first, ..] if *first != 0 => format!("the first is {first}, not 0"),
            _ => match offsets.windows(2).position(|pair| pair[0] > pair[1]) {
                Some(rank) => format!("rank {rank} would own {}..{}", offsets[rank], offsets[rank + 1]),
                None => return Ok(Blocks(offsets.into())),
            },
        };
        Err(Error::Offsets { reason })
    }

    /// Returns the number of ranks.
    pub fn ranks(&self) -> usize {
        self.0.len() - 1
    }

    /// Returns the number of global rows.
    pub fn len(&self) -> u64 {
        self.0[self.ranks()]
    }

    /// Returns whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the global rows that `rank` owns.
    pub fn range(&self, rank: usize) -> Range<Gid> {
        self.0[rank]..self.0[rank + 1]
    }

    /// Returns the rank that owns a global row, or `None` past the end. Empty ranks own nothing.
    pub fn owner(&self, row: Gid) -> Option<usize> {
        (row < self.len()).then(|| self.0.partition_point(|&offset| offset <= row) - 1)
    }

    /// Returns the owners of `rows`, each with its part of them, in ascending order; rows past the end have
    /// none. The cost grows with the number of owners, not of ranks.
    pub fn owners(&self, rows: Range<Gid>) -> impl Iterator<Item = (usize, Range<Gid>)> {
        let end = rows.end.min(self.len());
        let mut start = rows.start;
        std::iter::from_fn(move || {
            let owner = (start < end).then(|| self.owner(start))??;
            let part = start..end.min(self.range(owner).end);
            start = part.end;
            Some((owner, part))
        })
    }

    /// Restricts the blocks to `rows`, numbered from zero: every rank keeps those it owns. A
    /// range that ends before it starts is empty.
    #[must_use]
    pub fn restricted(&self, rows: &Range<Gid>) -> Blocks {
        let end = rows.end.max(rows.start);
        Blocks(self.0.iter().map(|offset| (*offset).clamp(rows.start, end) - rows.start).collect())
    }

    /// Replaces each row by `factor` rows that follow each other.
    ///
    /// # Errors
    /// [`Error::Offsets`] if that is more rows than 64 bits can count.
    pub fn refined(&self, factor: usize) -> Result<Blocks> {
        let offset = |&offset: &Gid| offset.checked_mul(factor as u64);
        let reason = || format!("{} times {factor} rows are more than 2^64 - 1", self.len());
        let offsets: Option<_> = self.0.iter().map(offset).collect();
        offsets.map(Blocks).ok_or_else(|| Error::Offsets { reason: reason() })
    }

    /// Returns the blocks of groups of `factor` rows that follow each other: the opposite of
    /// [`Blocks::refined`].
    ///
    /// # Errors
    /// [`Error::Offsets`] if a group would belong to two ranks, or the last one is not whole.
    pub fn coarsened(&self, factor: usize) -> Result<Blocks> {
        let factor = factor as u64;
        let whole = |&offset: &Gid| (factor > 0 && offset.is_multiple_of(factor)).then(|| offset / factor);
        if let Some(offset) = self.0.iter().find(|offset| whole(offset).is_none()) {
            let reason = format!("a rank starts or ends at {offset}, which is not a multiple of {factor}");
            return Err(Error::Offsets { reason });
        }
        Ok(Blocks(self.0.iter().filter_map(whole).collect()))
    }

    /// Returns a number that is different for other blocks, but for accidents of 1 in 2^64.
    pub(crate) fn hash(&self) -> u64 {
        // Each step is one-to-one in the offset and in what was before (Knuth, TAOCP 3, 6.4).
        let step = |hash: u64, offset: &Gid| (hash ^ offset).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
        self.0.iter().fold(self.0.len() as u64, step)
    }

    /// Returns the largest number of rows of a rank.
    pub fn longest(&self) -> u64 {
        self.0.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_blocks_differ_by_at_most_one() {
        for ranks in 1..=8 {
            for len in [0, 1, 5, 8, 1000, u64::MAX] {
                let blocks = Blocks::uniform(len, ranks);
                let sizes: Vec<u64> = (0..ranks).map(|r| blocks.range(r).end - blocks.range(r).start).collect();
                assert_eq!(blocks.len(), len);
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
                assert!(sizes.is_sorted_by(|a, b| a >= b));
            }
        }
    }

    #[test]
    fn owners_skip_empty_ranks() {
        let blocks = Blocks::from_lengths(&[0, 2, 0, 0, 3, 0]).unwrap();
        let owners: Vec<_> = (0..6).map(|row| blocks.owner(row)).collect();
        assert_eq!(owners, [Some(1), Some(1), Some(4), Some(4), Some(4), None]);
    }

    #[test]
    fn ranges_are_cut_at_their_owners() {
        let blocks = Blocks::from_lengths(&[3, 0, 4, 3]).unwrap();
        let owners = |rows| blocks.owners(rows).collect::<Vec<_>>();
        assert_eq!(owners(1..8), [(0, 1..3), (2, 3..7), (3, 7..8)]);
        assert_eq!(owners(3..3), []);
        assert_eq!(owners(9..20), [(3, 9..10)]);
        assert_eq!(blocks.restricted(&(2..8)), Blocks::from_lengths(&[1, 0, 4, 1]).unwrap());
        assert_eq!(blocks.restricted(&(4..4)), Blocks::from_lengths(&[0, 0, 0, 0]).unwrap());
        #[expect(clippy::reversed_empty_ranges, reason = "the mistake is the point")]
        let backwards = 8..2;
        assert!(blocks.restricted(&backwards).is_empty());
        assert_eq!(blocks.longest(), 4);
    }

    #[test]
    fn block_rows_and_rows() {
        let blocks = Blocks::from_lengths(&[2, 0, 1]).unwrap();
        let rows = Blocks::from_lengths(&[6, 0, 3]).unwrap();
        assert_eq!(blocks.refined(3), Ok(rows.clone()));
        assert_eq!(rows.coarsened(3), Ok(blocks.clone()));
        assert!(rows.coarsened(2).unwrap_err().to_string().contains("at 9, which is not a multiple of 2"));
        assert!(rows.coarsened(0).is_err());
        assert!(blocks.refined(usize::MAX).unwrap_err().to_string().contains("more than 2^64 - 1"));
    }

    #[test]
    fn other_blocks_have_other_hashes() {
        let lists: [&[u64]; 6] = [&[3, 4], &[4, 3], &[7], &[3, 0, 4], &[0, 3, 4], &[3, 4, 0]];
        let mut hashes: Vec<u64> = lists.map(|list| Blocks::from_lengths(list).unwrap().hash()).into();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 6);
    }

    #[test]
    fn bad_offsets_are_named() {
        let reason = |offsets: &[u64]| Blocks::from_offsets(offsets).unwrap_err().to_string();
        assert!(reason(&[0]).contains("fewer than two"));
        assert!(reason(&[1, 2]).contains("the first is 1"));
        assert!(reason(&[0, 5, 3]).contains("rank 1 would own 5..3"));
        assert!(Blocks::from_lengths(&[u64::MAX, 1]).unwrap_err().to_string().contains("2^64"));
        assert_eq!(Blocks::from_offsets(&[0, 2, 2]).unwrap().ranks(), 2);
    }
}
