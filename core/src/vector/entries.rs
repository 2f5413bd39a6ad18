//! Filling, setting and getting single entries.
//!
//! Random entries are a function of seed, stream and global index, so a vector is the same on any
//! number of ranks. Entries that are set from anywhere travel to their owners by a sparse exchange.

use std::collections::BTreeMap;

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Result};
use crate::index::Gid;
use crate::layout::{Layout, Run};
use crate::memory;
use crate::random::Philox;
use crate::reduce::BinnedSum;
use crate::scalar::{Real, Scalar};
use crate::vector::Vector;

/// Random numbers that are drawn at once.
const DRAWN: usize = 512;

/// Number of positions for one entry from which on entries are sorted by comparing them.
const SPARSE: usize = 8;

/// An entry on its way to its owner. Double precision holds all four scalars exactly.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Entry {
    row: Gid,
    parts: [f64; 2],
}

/// Entries by the ranks that they are sent to.
type Messages = Vec<(usize, Vec<Entry>)>;

impl Entry {
    fn value<T: Scalar>(&self) -> T {
        T::from_parts(self.parts[0], self.parts[1])
    }
}

impl<T: Scalar> Vector<T> {
    /// Fills the vector with random entries, uniform in `[0, 1)`; for complex numbers both parts are.
    ///
    /// Entry `i` is number `i` of the stream, or numbers `2 i` and `2 i + 1` for complex entries.
    pub fn fill_uniform(&mut self, random: &Philox, stream: u64) {
        fill_uniform(&self.layout, &mut self.owned, random, stream);
    }

    /// Fills the vector with normally distributed random entries of mean 0 and variance 1; complex ones circularly,
    /// with variance 1/2 in each part.
    ///
    /// Entry `i` is number `i` of the stream, or numbers `2 i` and `2 i + 1` for complex entries.
    pub fn fill_normal(&mut self, random: &Philox, stream: u64) {
        fill_normal(&self.layout, &mut self.owned, random, stream);
    }

    /// Replaces entries; each rank gives any, wherever they live. Of several values for one entry
    /// the last one of the highest rank stays.
    ///
    /// # Collective
    /// Messages to the owners only.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`], agreed over the ranks; nothing is changed then.
    pub fn set_entries(&mut self, entries: &[(Gid, T)]) -> Result<()> {
        let parts = self.to_owners("set_entries", entries)?;
        parts.into_iter().flatten().for_each(|(position, value)| self.owned[position] = value);
        Ok(())
    }

    /// Adds to entries; each rank gives any, wherever they live. What is added to one entry is
    /// summed independently of order and rank first, so the result has the same bits however the
    /// contributions are spread.
    ///
    /// # Collective
    /// Messages to the owners only.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`], agreed over the ranks; nothing is changed then.
    pub fn add_entries(&mut self, entries: &[(Gid, T)]) -> Result<()> {
        let [lower, mut entries, higher] = self.to_owners("add_entries", entries)?;
        entries.extend([lower, higher].iter().flatten());
        let mut parts = Vec::new();
        by_position(entries, self.owned.len(), |position, same| self.owned[position] += exact_sum(same, &mut parts));
        Ok(())
    }

    /// Returns the entries at any global indices, in the order they are asked for.
    ///
    /// # Collective
    /// Messages to the owners and back.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`], agreed over the ranks.
    pub fn get_entries(&self, rows: &[Gid]) -> Result<Vec<T>> {
        self.comm().agree(self.require_rows("get_entries", rows.iter()))?;
        let positions = self.positions_by_owner(rows);
        let groups = || positions.chunk_by(|a, b| a.0 == b.0);
        let question = |group: &[(usize, usize)]| (group[0].0, group.iter().map(|(_, at)| rows[*at]).collect());
        let questions: Vec<(usize, Vec<Gid>)> = groups().map(question).collect();
        let answer = |row: Gid| self.owned[self.owned_position(row)];
        let answers: Vec<(usize, Vec<T>)> = self
            .comm()
            .sparse_exchange(&questions)
            .into_iter()
            .map(|(rank, rows)| (rank, rows.into_iter().map(answer).collect()))
            .collect();
        let mut values = vec![T::ZERO; rows.len()];
        // Answers come by ascending owner, as the groups do.
        for (group, (_, found)) in groups().zip(self.comm().sparse_exchange(&answers)) {
            for ((_, position), value) in group.iter().zip(found) {
                values[*position] = value;
            }
        }
        Ok(values)
    }

    /// Sends entries to their owners; returns positions and values of those for this rank: from lower ranks, its own,
    /// and from higher ranks, each by ascending rank.
    fn to_owners(&self, what: &'static str, entries: &[(Gid, T)]) -> Result<[Vec<(usize, T)>; 3]> {
        let (own, messages) = self.comm().agree(self.by_owner(what, entries))?;
        let received = self.comm().sparse_exchange(&messages);
        let (lower, higher) = received.split_at(received.partition_point(|&(rank, _)| rank < self.comm().rank()));
        let placed = |entry: &Entry| (self.owned_position(entry.row), entry.value());
        let all = |parts: &[(usize, Vec<Entry>)]| parts.iter().flat_map(|(_, entries)| entries).map(placed).collect();
        Ok([all(lower), own, all(higher)])
    }

    /// Returns positions and values of own entries, and other ranks' entries by owner, otherwise in the given order.
    fn by_owner(&self, what: &'static str, entries: &[(Gid, T)]) -> Result<(Vec<(usize, T)>, Messages)> {
        let mut own = memory::with_capacity(entries.len());
        let mut foreign = BTreeMap::<usize, Vec<Entry>>::new();
        for &(row, value) in entries {
            if let Some(position) = self.layout.global_to_owned(row) {
                own.push((position, value));
            } else if let Some(owner) = self.layout.owner(row) {
                let parts = [value.re().to_f64(), value.im().to_f64()];
                foreign.entry(owner).or_default().push(Entry { row, parts });
            } else {
                return Err(Error::IndexOutOfRange { what, index: row, bound: self.global_len() });
            }
        }
        Ok((own, foreign.into_iter().collect()))
    }

    fn require_rows<'r>(&self, what: &'static str, mut rows: impl Iterator<Item = &'r Gid>) -> Result<()> {
        let bound = self.global_len();
        match rows.find(|row| **row >= bound) {
            Some(&index) => Err(Error::IndexOutOfRange { what, index, bound }),
            None => Ok(()),
        }
    }

    /// Owners and positions of `rows`, by owner and then by position.
    fn positions_by_owner(&self, rows: &[Gid]) -> Vec<(usize, usize)> {
        let owner = |row| self.layout.owner(row).expect("invariant: rows are checked before");
        let mut positions: Vec<(usize, usize)> = rows.iter().enumerate().map(|(at, &row)| (owner(row), at)).collect();
        positions.sort_unstable();
        positions
    }

    fn owned_position(&self, row: Gid) -> usize {
        self.layout.global_to_owned(row).expect("invariant: entries are sent to their owner")
    }
}

/// Calls `f` with each of `len` positions that is among the entries, ascending, and with all its values in any order.
fn by_position<T: Scalar>(mut entries: Vec<(usize, T)>, len: usize, mut f: impl FnMut(usize, &[T])) {
    if entries.len() < len / SPARSE {
        entries.sort_unstable_by_key(|&(position, _)| position);
        let mut values = Vec::new();
        for same in entries.chunk_by(|a, b| a.0 == b.0) {
            values.clear();
            values.extend(same.iter().map(|&(_, value)| value));
            f(same[0].0, &values);
        }
        return;
    }
    // A counting sort: `ends` are first the starts.
    let mut ends = memory::zeros::<usize>(len + 1);
    entries.iter().for_each(|&(position, _)| ends[position + 1] += 1);
    (0..len).for_each(|position| ends[position + 1] += ends[position]);
    let mut values = memory::zeros::<T>(entries.len());
    for (position, value) in entries {
        values[ends[position]] = value;
        ends[position] += 1;
    }
    let mut start = 0;
    for (position, &end) in ends[..len].iter().enumerate() {
        if start < end {
            f(position, &values[start..end]);
        }
        start = end;
    }
}

/// Computes the sum of some numbers, which does not depend on their order. `parts` is memory for the work.
pub(crate) fn exact_sum<T: Scalar>(values: &[T], parts: &mut Vec<f64>) -> T {
    let mut of = |part: fn(&T) -> f64| {
        if let [one] = values
            && BinnedSum::keeps(part(one))
        {
            return part(one);
        }
        parts.clear();
        parts.extend(values.iter().map(part));
        let mut sum = BinnedSum::default();
        sum.add(parts);
        sum.value()
    };
    let re = of(|value| value.re().to_f64());
    T::from_parts(re, if T::COMPLEX { of(|value| value.im().to_f64()) } else { 0.0 })
}

/// Uniform numbers for this rank's entries on a layout.
pub(crate) fn fill_uniform<T: Scalar>(layout: &Layout, entries: &mut [T], random: &Philox, stream: u64) {
    let draw = |index, numbers: &mut [f64]| random.fill_uniform(stream, index, numbers);
    fill_runs(layout.runs(), entries, draw, below_one::<T::Real>);
}

/// Normal numbers for this rank's entries on a layout.
pub(crate) fn fill_normal<T: Scalar>(layout: &Layout, entries: &mut [T], random: &Philox, stream: u64) {
    let scale = if T::COMPLEX { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
    fill_runs(layout.runs(), entries, |index, numbers| random.fill_normal(stream, index, numbers), |x| x * scale);
}

fn fill_runs<T: Scalar>(runs: &[Run], entries: &mut [T], draw: impl Fn(u64, &mut [f64]), f: impl Fn(f64) -> f64) {
    runs.iter().for_each(|run| fill(&mut entries[run.positions.clone()], run.rows.start, &draw, &f));
}

fn fill<T: Scalar>(entries: &mut [T], first: Gid, draw: impl Fn(u64, &mut [f64]), f: impl Fn(f64) -> f64) {
    let width = 1 + usize::from(T::COMPLEX);
    let mut numbers = [0.0; DRAWN];
    let mut index = first.wrapping_mul(width as u64);
    for entries in entries.chunks_mut(DRAWN / width) {
        let numbers = &mut numbers[..entries.len() * width];
        draw(index, numbers);
        for (entry, parts) in entries.iter_mut().zip(numbers.chunks_exact(width)) {
            *entry = T::from_parts(f(parts[0]), parts.get(1).map_or(0.0, |&im| f(im)));
        }
        index = index.wrapping_add(numbers.len() as u64);
    }
}

/// Cuts a number of `[0, 1)` to the precision of `R`: rounding could give one.
fn below_one<R: Real>(x: f64) -> f64 {
    let steps = 2.0 / R::EPSILON.to_f64();
    (x * steps).floor() / steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Complex32, Complex64};
    use std::ops::Range;

    #[test]
    fn random_entries_depend_on_the_global_index_only() {
        fn pieces<T: Scalar>() {
            let random = Philox::new(11);
            let run =
                |start: u64, positions: Range<usize>| Run { rows: start..start + positions.len() as u64, positions };
            let fill = |runs: &[Run]| {
                let mut entries = vec![T::ZERO; 1500];
                fill_runs(runs, &mut entries, |index, numbers| random.fill_normal(2, index, numbers), |x| x);
                entries
            };
            let whole = fill(&[run(70, 0..1500)]);
            for cut in [0, 1, 2, 255, 256, 257, 512, 777] {
                assert_eq!(fill(&[run(70, 0..cut), run(70 + cut as u64, cut..1500)]), whole);
            }
        }
        pieces::<f32>();
        pieces::<f64>();
        pieces::<Complex32>();
        pieces::<Complex64>();
    }

    #[test]
    fn entries_are_grouped_by_position() {
        // Few entries are sorted, many are counted; positions 3 and 4 of 5 get none.
        for (len, count) in [(5, 0), (5, 40), (5, 1), (4000, 60), (4000, 3000)] {
            let entries: Vec<(usize, f64)> =
                (0..count).map(|i: u16| (usize::from(i) * 7919 % 3, f64::from(i))).collect();
            let entries: Vec<_> =
                entries.into_iter().enumerate().map(|(i, (p, v))| (p + i % 2 * (len - 5), v)).collect();
            let mut expected = std::collections::BTreeMap::<usize, Vec<f64>>::new();
            entries.iter().for_each(|&(position, value)| expected.entry(position).or_default().push(value));
            let mut found = Vec::new();
            by_position(entries, len, |position, values| {
                let mut values = values.to_vec();
                values.sort_unstable_by(f64::total_cmp);
                found.push((position, values));
            });
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{count} entries of {len} positions");
        }
    }

    #[test]
    fn sums_are_exact_ones() {
        let exact = |values: &[f64]| {
            let mut sum = BinnedSum::default();
            values.iter().for_each(|&value| sum.add(&[value]));
            sum.value().to_bits()
        };
        let tiny = f64::from_bits(3);
        for values in [&[1.5][..], &[-0.0], &[tiny], &[1e300], &[1e16, 1.0, -1e16], &[0.1, 0.2], &[f64::INFINITY]] {
            assert_eq!(exact_sum(values, &mut Vec::new()).to_bits(), exact(values), "{values:?}");
            let parts: Vec<Complex64> = values.iter().map(|&value| Complex64::new(value, -value)).collect();
            assert_eq!(exact_sum(&parts, &mut Vec::new()).re.to_bits(), exact(values), "{values:?}");
        }
    }

    #[test]
    fn single_precision_stays_below_one() {
        assert_eq!(below_one::<f64>(1.0 - f64::EPSILON / 2.0), 1.0 - f64::EPSILON / 2.0);
        let largest = <f32 as Real>::from_f64(below_one::<f32>(1.0 - f64::EPSILON / 2.0));
        assert_eq!(largest, 1.0 - f32::EPSILON / 2.0);
    }

    #[test]
    fn entries_are_the_numbers_of_the_stream() {
        let random = Philox::new(5);
        let mut entries = [Complex64::ZERO; 3];
        fill(&mut entries, 8, |index, numbers| random.fill_uniform(1, index, numbers), |x| x);
        assert_eq!(entries[1], Complex64::new(random.uniform(1, 18), random.uniform(1, 19)));
        let mut entries = [0.0f64; 3];
        fill(&mut entries, 9, |index, numbers| random.fill_normal(1, index, numbers), |x| x);
        assert_eq!(entries[2], random.normal(1, 11));
    }
}
