//! Filling, setting and getting single entries.
//!
//! Random entries are a function of seed, stream and global index, so a vector is the same on any
//! number of ranks. Entries that are set from anywhere travel to their owners by a sparse exchange.

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Result};
use crate::index::Gid;
use crate::layout::{Layout, Run};
use crate::random::Philox;
use crate::reduce::BinnedSum;
use crate::scalar::{Real, Scalar};
use crate::vector::Vector;

/// Random numbers that are drawn at once.
const DRAWN: usize = 512;

/// An entry on its way to its owner. Double precision holds all four scalars exactly.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Entry {
    row: Gid,
    parts: [f64; 2],
}

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
        for entry in self.to_owners("set_entries", entries)? {
            let position = self.owned_position(entry.row);
            self.owned[position] = entry.value();
        }
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
        let mut entries = self.to_owners("add_entries", entries)?;
        entries.sort_by_key(|entry| entry.row);
        for same in entries.chunk_by(|a, b| a.row == b.row) {
            let mut sums = [BinnedSum::default(); 2];
            for entry in same {
                let value: T = entry.value();
                sums[0].add(&[value.re().to_f64()]);
                sums[1].add(&[value.im().to_f64()]);
            }
            let position = self.owned_position(same[0].row);
            self.owned[position] += T::from_parts(sums[0].value(), sums[1].value());
        }
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

    /// Sends entries to their owners; returns those for this rank, by ascending rank.
    fn to_owners(&self, what: &'static str, entries: &[(Gid, T)]) -> Result<Vec<Entry>> {
        let messages = self.comm().agree(self.by_owner(what, entries))?;
        Ok(self.comm().sparse_exchange(&messages).into_iter().flat_map(|(_, entries)| entries).collect())
    }

    /// Returns the entries grouped by owner, otherwise in the given order.
    fn by_owner(&self, what: &'static str, entries: &[(Gid, T)]) -> Result<Vec<(usize, Vec<Entry>)>> {
        self.require_rows(what, entries.iter().map(|(row, _)| row))?;
        let rows: Vec<Gid> = entries.iter().map(|(row, _)| *row).collect();
        let positions = self.positions_by_owner(&rows);
        let entry = |position: usize| {
            let (row, value) = entries[position];
            Entry { row, parts: [value.re().to_f64(), value.im().to_f64()] }
        };
        let of_one = |group: &[(usize, usize)]| (group[0].0, group.iter().map(|(_, at)| entry(*at)).collect());
        Ok(positions.chunk_by(|a, b| a.0 == b.0).map(of_one).collect())
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
