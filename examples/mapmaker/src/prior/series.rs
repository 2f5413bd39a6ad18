//! The baselines of one detector in one stationary interval.

use std::ops::Range;

use dolmen_core::{Gid, IndexMap, Lid, index::at};

/// Baselines of one detector in one interval, one after the other in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    /// The detector.
    pub(crate) detector: usize,
    /// Samples of each baseline but the last, which may be shorter.
    pub(crate) length: u64,
    /// Bits of the sampling rate, in Hz.
    pub(crate) rate: u64,
    first: Gid,
    step: Gid,
    count: u64,
    positions: Vec<Lid>,
}

impl Series {
    /// Creates a series of `count` baselines from `first` on, `step` numbers apart, of `length` samples each at `rate`
    /// Hz.
    pub(crate) fn new(detector: usize, length: u64, rate: f64, first: Gid, step: Gid, count: u64) -> Series {
        Series { detector, length, rate: rate.to_bits(), first, step, count, positions: Vec::new() }
    }

    /// Returns the numbers of the baselines.
    pub(crate) fn baselines(&self) -> impl Iterator<Item = Gid> + use<> {
        let (first, step) = (self.first, self.step);
        (0..self.count).map(move |i| first + i * step)
    }

    /// Returns the number of the baseline in the middle.
    pub(crate) fn middle(&self) -> Gid {
        self.first + self.count / 2 * self.step
    }

    /// Returns those of the baselines that a rank owns, counted from the first of its own.
    pub(crate) fn among(&self, owned: &Range<Gid>) -> Vec<Lid> {
        let skipped = owned.start.saturating_sub(self.first).div_ceil(self.step);
        let from = (skipped..self.count).map(|i| self.first + i * self.step).take_while(|&id| id < owned.end);
        from.map(|id| Lid::try_from(id - owned.start).expect("invariant: counted by the caller")).collect()
    }

    /// Looks up the baselines in a map that has all of them.
    pub(crate) fn locate(&mut self, map: &IndexMap) {
        let position = |baseline| map.global_to_local(baseline).expect("invariant: the map has all baselines");
        self.positions = self.baselines().map(position).collect();
    }

    /// Returns the positions of the baselines in the map in which they were looked up.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> {
        self.positions.iter().map(|&position| at(position))
    }

    /// Returns the number of baselines.
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }
}
