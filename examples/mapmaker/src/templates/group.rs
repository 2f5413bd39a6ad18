//! The baselines of one detector over which the amplitudes of its templates are constant.

use std::ops::Range;

use dolmen_core::Gid;

/// Baselines of one detector in one interval, or in one observation, one after the other in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Number among all groups: observation by observation, in time, detectors innermost.
    pub number: Gid,
    /// Number of the first group of the same time.
    pub first_of_time: Gid,
    /// The observation.
    pub observation: usize,
    /// The detector.
    pub detector: usize,
    /// Samples of the observation, from the first to the last.
    pub samples: Range<u64>,
    /// First baseline.
    pub first: Gid,
    /// Difference of the numbers of neighbors.
    pub step: Gid,
    /// Number of baselines.
    pub count: u64,
}

impl Group {
    /// Returns the numbers of the baselines.
    pub fn baselines(&self) -> impl Iterator<Item = Gid> + use<> {
        let (first, step) = (self.first, self.step);
        (0..self.count).map(move |i| first + i * step)
    }

    /// Returns the number of the baseline in the middle, whose rank owns the group.
    pub fn middle(&self) -> Gid {
        self.first + self.count / 2 * self.step
    }

    /// Returns true if all baselines are among those that a rank owns.
    pub fn lies_in(&self, owned: &Range<Gid>) -> bool {
        owned.contains(&self.first) && owned.contains(&(self.first + (self.count - 1) * self.step))
    }
}
