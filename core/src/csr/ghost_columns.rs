//! Local numbers of columns: owned ones first, ghosts behind them in ascending global order.
//!
//! During assembly the ghosts are not all known yet, so a ghost gets the next free number when it
//! is first met; [`ColumnCodes::finish`] sorts them and says how the numbers change.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::error::{Error, Result};
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::index_map::IndexMap;

/// Multiplicative hashing (Knuth, TAOCP 3, 6.4): ids are not chosen by an adversary.
#[derive(Default)]
struct GidHasher(u64);

impl Hasher for GidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

/// Numbers of columns in the order in which they are met.
pub(crate) struct ColumnCodes {
    first: Gid,
    owned: Lid,
    bound: Gid,
    ghosts: HashMap<Gid, Lid, BuildHasherDefault<GidHasher>>,
}

impl ColumnCodes {
    /// For a rank that owns columns `first..first + owned` of `bound`.
    pub(crate) fn new(first: Gid, owned: Lid, bound: Gid) -> ColumnCodes {
        ColumnCodes { first, owned, bound, ghosts: HashMap::default() }
    }

    /// Returns the number of a column.
    ///
    /// # Errors
    /// A column past the end, or more of them than 32 bits can count.
    #[inline(always)]
    pub(crate) fn code(&mut self, column: Gid) -> Result<Lid> {
        match Lid::try_from(column.wrapping_sub(self.first)) {
            Ok(offset) if offset < self.owned => Ok(offset),
            _ => self.ghost(column),
        }
    }

    #[inline(never)]
    fn ghost(&mut self, column: Gid) -> Result<Lid> {
        if column >= self.bound {
            return Err(Error::IndexOutOfRange { what: "matrix column", index: column, bound: self.bound });
        }
        if let Some(&code) = self.ghosts.get(&column) {
            return Ok(code);
        }
        // One number is kept back, so that the count of columns fits too.
        let count = to_lid("columns of the matrix on one rank", at(self.owned) + self.ghosts.len() + 1)?;
        self.ghosts.insert(column, count - 1);
        Ok(count - 1)
    }

    /// Returns the final numbers, and for each ghost code, in their order, its final number.
    pub(crate) fn finish(self) -> (Columns, Vec<Lid>) {
        let mut met: Vec<(Gid, Lid)> = self.ghosts.into_iter().collect();
        met.sort_unstable();
        let mut renumbered = vec![0; met.len()];
        for (number, &(_, code)) in (self.owned..).zip(&met) {
            renumbered[at(code - self.owned)] = number;
        }
        let below = met.partition_point(|&(gid, _)| gid < self.first);
        let below = to_lid("ghosts", below).expect("invariant: counted by ColumnCodes::ghost");
        let ghosts = IndexMap::new(met.into_iter().map(|(gid, _)| gid).collect())
            .expect("invariant: counted by ColumnCodes::ghost");
        (Columns { first: self.first, owned: self.owned, below, ghosts }, renumbered)
    }
}

/// The columns that are present on a rank and their local numbers.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    first: Gid,
    owned: Lid,
    /// Ghosts that come before the owned columns in global order.
    below: Lid,
    ghosts: IndexMap,
}

impl Columns {
    /// Returns the columns that other ranks own.
    pub(crate) fn ghosts(&self) -> &IndexMap {
        &self.ghosts
    }

    /// Returns the number of all columns.
    pub(super) fn len(&self) -> usize {
        self.owned() + self.ghosts.len()
    }

    /// Returns the columns without the ghosts that are not among `numbers`, which are changed to the new ones.
    pub(super) fn without_unused(self, numbers: &mut [Lid]) -> Columns {
        if self.ghosts.is_empty() {
            return self;
        }
        let mut codes = vec![None; self.ghosts.len()];
        let ghosts = || self.ghosts.gids().iter();
        for &number in numbers.iter().filter(|number| **number >= self.owned) {
            codes[at(number - self.owned)] = Some(0);
        }
        if codes.iter().all(Option::is_some) {
            return self;
        }
        let used = codes.iter_mut().filter(|code| code.is_some());
        (self.owned..).zip(used).for_each(|(number, code)| *code = Some(number));
        for number in numbers.iter_mut().filter(|number| **number >= self.owned) {
            *number = codes[at(*number - self.owned)].expect("invariant: it was counted as used");
        }
        let kept = ghosts().zip(&codes).filter(|(_, code)| code.is_some()).map(|(&gid, _)| gid);
        let below = ghosts().zip(&codes).filter(|(gid, code)| **gid < self.first && code.is_some()).count();
        let below = to_lid("ghosts", below).expect("invariant: fewer than before");
        let ghosts = IndexMap::new(kept.collect()).expect("invariant: fewer than before");
        Columns { below, ghosts, ..self }
    }

    /// Common numbers for these columns and `others`, and those of each.
    ///
    /// # Errors
    /// A column past the end, or more of them than 32 bits can count.
    pub(super) fn joined(&self, bound: Gid, others: &[Gid]) -> Result<(Numbering, Vec<Lid>)> {
        let mut codes = ColumnCodes::new(self.first, self.owned, bound);
        let mut coded = |columns: &[Gid]| columns.iter().map(|&column| codes.code(column)).collect::<Result<Vec<_>>>();
        let (mut ghosts, mut others) = (coded(self.ghosts.gids())?, coded(others)?);
        let (columns, renumbered) = codes.finish();
        for number in ghosts.iter_mut().chain(&mut others).filter(|number| **number >= self.owned) {
            *number = renumbered[at(*number - self.owned)];
        }
        Ok((Numbering { columns, own: Numbers { owned: self.owned, ghosts } }, others))
    }

    /// Returns the numbers of these columns among `all`, one past the last for one that is not among them.
    pub(super) fn numbers_in(&self, all: &Columns) -> Numbers {
        let none = to_lid("columns", all.len()).expect("invariant: columns were counted");
        let number = |&column: &Gid| all.to_local(column).unwrap_or(none);
        Numbers { owned: self.owned, ghosts: self.ghosts.gids().iter().map(number).collect() }
    }

    /// Returns the number of owned columns.
    pub(crate) fn owned(&self) -> usize {
        at(self.owned)
    }

    /// Returns a key that sorts local numbers in global order.
    #[inline(always)]
    pub(crate) fn rank_of(&self, number: Lid) -> Lid {
        if number < self.owned {
            return number + self.below;
        }
        let ghost = number - self.owned;
        if ghost < self.below { ghost } else { number }
    }

    /// Returns the number with a key: the inverse of [`Columns::rank_of`].
    #[inline(always)]
    pub(super) fn at_rank(&self, rank: Lid) -> Lid {
        if rank < self.below {
            return rank + self.owned;
        }
        if rank - self.below < self.owned { rank - self.below } else { rank }
    }

    /// Returns the global column of a local number.
    #[inline]
    pub(crate) fn to_global(&self, number: Lid) -> Gid {
        if number < self.owned { self.first + u64::from(number) } else { self.ghosts.gids()[at(number - self.owned)] }
    }

    /// Returns the local number of a global column, if it is present here.
    pub(crate) fn to_local(&self, column: Gid) -> Option<Lid> {
        if (self.first..self.first + u64::from(self.owned)).contains(&column) {
            return to_lid("columns", local(column - self.first)).ok();
        }
        Some(self.owned + self.ghosts.global_to_local(column)?)
    }
}

/// Columns of several matrices numbered together, and the numbers of those of one.
pub(super) struct Numbering {
    pub(super) columns: Columns,
    pub(super) own: Numbers,
}

/// Other numbers for local columns: owned ones keep theirs.
pub(super) struct Numbers {
    owned: Lid,
    ghosts: Vec<Lid>,
}

impl Numbers {
    /// Returns the other number of a local column.
    #[inline(always)]
    pub(super) fn of(&self, column: Lid) -> Lid {
        if column < self.owned { column } else { self.ghosts[at(column - self.owned)] }
    }

    /// Maps the other numbers on to a third numbering.
    pub(super) fn then(mut self, next: &Numbers) -> Numbers {
        self.ghosts.iter_mut().for_each(|number| *number = next.of(*number));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the columns of a rank that owns 4..7 of 12 columns and meets 9, 1, 5, 9 and 0.
    fn met() -> (Columns, Vec<Lid>) {
        let mut codes = ColumnCodes::new(4, 3, 12);
        let found: Vec<_> = [9, 1, 5, 9, 0].into_iter().map(|column| codes.code(column).unwrap()).collect();
        assert_eq!(found, [3, 4, 1, 3, 5]);
        codes.finish()
    }

    #[test]
    fn ghosts_are_numbered_in_global_order() {
        let (columns, renumbered) = met();
        assert_eq!(columns.ghosts().gids(), [0, 1, 9]);
        assert_eq!(renumbered, [5, 4, 3]);
    }

    #[test]
    fn local_and_global_numbers_belong_together() {
        let (columns, _) = met();
        let mut ordered: Vec<Lid> = (0..6).collect();
        ordered.sort_by_key(|&number| columns.rank_of(number));
        let global: Vec<Gid> = ordered.iter().map(|&number| columns.to_global(number)).collect();
        assert_eq!(global, [0, 1, 4, 5, 6, 9]);
        assert!(ordered.iter().zip(0..).all(|(&number, rank)| columns.rank_of(number) == rank));
        assert!((0..6).all(|number| columns.at_rank(columns.rank_of(number)) == number));
        assert!((0..6).all(|number| columns.to_local(columns.to_global(number)) == Some(number)));
        assert_eq!(columns.to_local(2), None);
        assert_eq!(columns.to_local(7), None);
    }

    #[test]
    fn columns_are_numbered_together() {
        let (numbering, others) = met().0.joined(12, &[3, 9, 6]).unwrap();
        assert_eq!(numbering.columns.ghosts().gids(), [0, 1, 3, 9]);
        assert_eq!(others, [5, 6, 2]);
        assert_eq!([1, 3, 4, 5].map(|number| numbering.own.of(number)), [1, 3, 4, 6]);
        let back = numbering.columns.numbers_in(&met().0);
        assert_eq!([1, 3, 4, 5, 6].map(|number| back.of(number)), [1, 3, 4, 6, 5]);
        let both = numbering.own.then(&back);
        assert_eq!([1, 3, 4, 5].map(|number| both.of(number)), [1, 3, 4, 5]);
    }

    #[test]
    fn unused_ghosts_are_dropped() {
        let mut numbers = [1, 5, 4, 0];
        let columns = met().0.without_unused(&mut numbers);
        assert_eq!(columns.ghosts().gids(), [1, 9]);
        assert_eq!(numbers, [1, 4, 3, 0]);
        assert_eq!(columns.below, 1);
        let all = met().0.without_unused(&mut [3, 4, 5]);
        assert_eq!(all.ghosts().gids(), [0, 1, 9]);
    }

    #[test]
    fn what_cannot_be_numbered_is_refused() {
        let mut codes = ColumnCodes::new(4, 3, 12);
        let error = codes.code(12).unwrap_err();
        assert_eq!(error, Error::IndexOutOfRange { what: "matrix column", index: 12, bound: 12 });
        let mut full = ColumnCodes::new(0, Lid::MAX - 1, u64::MAX);
        assert_eq!(full.code(u64::from(Lid::MAX)), Ok(Lid::MAX - 1));
        assert!(matches!(full.code(1 << 40), Err(Error::TooLarge { .. })));
        assert_eq!(full.code(u64::from(Lid::MAX)), Ok(Lid::MAX - 1));
    }
}
