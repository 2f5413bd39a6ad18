//! The list of baselines: which samples each offset belongs to, and which rank owns it.
//!
//! A baseline is one detector over one stretch of time and never crosses an interval. They are
//! numbered in time, detectors innermost, so that a rank's block is a stretch of time of (nearly)
//! all detectors: attitudes are read once, and a rank sees few pixels.

use std::ops::Range;

use dolmen_core::{Comm, Layout, index::to_len};

use crate::config::Per;
use crate::error::Result;
use crate::prior::Series;
use crate::templates::Group;
use crate::tod::Description;

/// Stretches of time of one observation, and the number of its first baseline.
struct Stretches {
    times: Vec<Range<u64>>,
    /// The detectors.
    detectors: Vec<usize>,
    /// First stretch of each interval, and the number of all.
    intervals: Vec<usize>,
    first: u64,
    /// Number of its first series.
    first_series: u64,
    /// Number of detectors in the observations before that have baselines.
    detectors_before: u64,
    /// Samples of a stretch, unless it is the last of its interval.
    length: u64,
    /// Samples a second, in Hz.
    rate: f64,
}

impl Stretches {
    fn interval_count(&self) -> usize {
        self.intervals.len() - 1
    }
}

/// All baselines of a run. Every rank knows all of them.
pub struct Baselines {
    observations: Vec<Stretches>,
    layout: Layout,
}

/// One baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The observation.
    pub observation: usize,
    /// The detector.
    pub detector: usize,
    /// Samples of the observation.
    pub time: Range<u64>,
}

/// Cuts intervals into stretches of `length` samples; the last of an interval may be shorter.
pub(crate) fn cut(intervals: &[Range<u64>], length: u64) -> Vec<Range<u64>> {
    let pieces = |interval: &Range<u64>| {
        let (start, end) = (interval.start, interval.end);
        // A baseline longer than the interval is the interval; sums then cannot overflow.
        let length = length.min(end - start);
        (0..(end - start).div_ceil(length)).map(move |i| start + i * length..end.min(start + (i + 1) * length))
    };
    intervals.iter().flat_map(pieces).collect()
}

impl Baselines {
    /// Cuts all observations into baselines of `seconds` and spreads them over the ranks.
    ///
    /// # Errors
    /// None in practice: a count beyond the address space.
    pub fn new(comm: &Comm, description: &Description, seconds: f64) -> Result<Baselines> {
        let mut observations = Vec::new();
        let (mut first, mut first_series, mut detectors_before) = (0, 0, 0);
        for observation in &description.observations {
            let rate = observation.sample_rate;
            let length = samples(seconds * rate);
            let times = cut(&observation.intervals, length);
            let mut intervals: Vec<usize> = observation
                .intervals
                .iter()
                .map(|interval| times.partition_point(|time| time.start < interval.start))
                .collect();
            intervals.push(times.len());
            let detectors = observation.detectors.clone();
            let each = detectors.len() as u64;
            let count = times.len() as u64 * each;
            observations.push(Stretches {
                times,
                detectors,
                intervals,
                first,
                first_series,
                detectors_before,
                length,
                rate,
            });
            detectors_before += if count > 0 { each } else { 0 };
            first += count;
            first_series += observation.intervals.len() as u64 * each;
        }
        to_len("baselines", first)?;
        Ok(Baselines { observations, layout: Layout::uniform(comm, first) })
    }

    /// Returns the baselines' distribution.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns a baseline by its number.
    pub fn get(&self, number: u64) -> Baseline {
        let observation = self.observations.partition_point(|stretches| stretches.first <= number) - 1;
        let stretches = &self.observations[observation];
        let within = to_len("baseline", number - stretches.first).expect("invariant: checked at construction");
        let detectors = &stretches.detectors;
        let time = stretches.times[within / detectors.len()].clone();
        Baseline { observation, detector: detectors[within % detectors.len()], time }
    }

    /// Returns the number of the series, a detector in an interval, that a baseline is of.
    pub(crate) fn series_of(&self, number: u64) -> u64 {
        let observation = self.observations.partition_point(|stretches| stretches.first <= number) - 1;
        let stretches = &self.observations[observation];
        let (within, detectors) = (number - stretches.first, stretches.detectors.len() as u64);
        let before = stretches.intervals.partition_point(|&interval| interval as u64 <= within / detectors) as u64 - 1;
        stretches.first_series + before * detectors + within % detectors
    }

    /// Returns the group of a baseline.
    pub(crate) fn group_of(&self, number: u64, per: Per) -> Group {
        let observation = self.observations.partition_point(|stretches| stretches.first <= number) - 1;
        let stretches = &self.observations[observation];
        let within = to_len("baseline", number - stretches.first).expect("invariant: checked at construction");
        let (stretch, place) = (within / stretches.detectors.len(), within % stretches.detectors.len());
        let interval = stretches.intervals.partition_point(|&interval| interval <= stretch) - 1;
        self.group(observation, interval, place, per)
    }

    /// Returns all groups, by their numbers.
    pub(crate) fn groups(&self, per: Per) -> impl Iterator<Item = Group> {
        let with_baselines = |(_, stretches): &(usize, &Stretches)| !stretches.times.is_empty();
        self.observations.iter().enumerate().filter(with_baselines).flat_map(move |(observation, stretches)| {
            let times = if per == Per::Interval { stretches.interval_count() } else { 1 };
            (0..times).flat_map(move |interval| {
                (0..stretches.detectors.len()).map(move |place| self.group(observation, interval, place, per))
            })
        })
    }

    /// Returns the number of groups that this rank owns, and the largest of those of one time.
    pub(crate) fn owned_groups(&self, per: Per) -> [f64; 2] {
        let range = self.layout.range();
        let (mut groups, mut most) = (0u32, 0);
        for group in self.groups(per).filter(|group| range.contains(&group.middle())) {
            groups = groups.saturating_add(1);
            most = most.max(self.observations[group.observation].detectors.len());
        }
        [f64::from(groups), most as f64]
    }

    /// Returns the group of the detector at a place of the list of an observation, in an interval or in all.
    fn group(&self, observation: usize, interval: usize, place: usize, per: Per) -> Group {
        let stretches = &self.observations[observation];
        let (step, place) = (stretches.detectors.len() as u64, place as u64);
        let (bounds, first_of_time) = match per {
            Per::Interval => {
                let bounds = stretches.intervals[interval]..stretches.intervals[interval + 1];
                (bounds, stretches.first_series + interval as u64 * step)
            }
            Per::Observation => (0..stretches.times.len(), stretches.detectors_before),
        };
        let times = &stretches.times[bounds.clone()];
        Group {
            number: first_of_time + place,
            first_of_time,
            observation,
            detector: stretches.detectors[to_len("detector", place).expect("invariant: a place of a list")],
            samples: times[0].start..times[times.len() - 1].end,
            first: stretches.first + bounds.start as u64 * step + place,
            step,
            count: times.len() as u64,
        }
    }

    /// Returns the number of the interval that a baseline lies in, counted over all observations.
    pub(crate) fn interval_of(&self, number: u64) -> u64 {
        let observation = self.observations.partition_point(|stretches| stretches.first <= number) - 1;
        let before: usize = self.observations[..observation].iter().map(Stretches::interval_count).sum();
        let stretches = &self.observations[observation];
        let stretch = (number - stretches.first) / stretches.detectors.len() as u64;
        (before + stretches.intervals.partition_point(|&interval| interval as u64 <= stretch)) as u64 - 1
    }

    /// Returns the number of intervals of all observations.
    pub(crate) fn interval_count(&self) -> u64 {
        self.observations.iter().map(|stretches| stretches.interval_count() as u64).sum()
    }

    /// Returns the number of series.
    pub(crate) fn series_count(&self) -> u64 {
        let count = |stretches: &Stretches| stretches.interval_count() as u64 * stretches.detectors.len() as u64;
        self.observations.iter().map(count).sum()
    }

    /// Returns the samples of the longest baseline.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(crate) fn longest(&self) -> f64 {
        let times = self.observations.iter().flat_map(|stretches| &stretches.times);
        times.map(|time| time.end - time.start).max().unwrap_or(1) as f64
    }

    /// Returns the samples of the longest interval.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(crate) fn longest_interval(&self) -> f64 {
        let intervals = self.observations.iter().flat_map(|stretches| {
            let whole = |bounds: &[usize]| {
                let of = &stretches.times[bounds[0]..bounds[1]];
                of.last().map_or(0, |last| last.end - of[0].start)
            };
            stretches.intervals.windows(2).map(whole)
        });
        intervals.max().unwrap_or(1) as f64
    }

    /// Returns the number of samples in all baselines, flagged ones included.
    pub fn samples(&self) -> u64 {
        let count = |stretches: &Stretches| {
            let time: u64 = stretches.times.iter().map(|time| time.end - time.start).sum();
            time * stretches.detectors.len() as u64
        };
        self.observations.iter().map(count).sum()
    }

    /// Returns the baselines of each detector in each interval.
    pub(crate) fn series(&self) -> impl Iterator<Item = Series> {
        self.observations.iter().flat_map(move |stretches| {
            let step = stretches.detectors.len() as u64;
            stretches.intervals.windows(2).flat_map(move |bounds| {
                let first = stretches.first + bounds[0] as u64 * step;
                let longest = stretches.times.get(bounds[0]).map_or(1, |time| time.end - time.start);
                let (length, count) = (stretches.length.min(longest), (bounds[1] - bounds[0]) as u64);
                (first..)
                    .zip(&stretches.detectors)
                    .map(move |(first, &detector)| Series::new(detector, length, stretches.rate, first, step, count))
            })
        })
    }

    /// Returns the stretches of an observation whose baselines this rank owns, with the detectors, counted
    /// among those of the observation: all, except in the first and the last stretch of a rank's block.
    pub fn owned(&self, observation: usize) -> impl Iterator<Item = (Range<u64>, Range<usize>)> {
        let stretches = &self.observations[observation];
        let (owned, detectors) = (self.layout.range(), stretches.detectors.len() as u64);
        stretches.times.iter().enumerate().filter_map(move |(i, time)| {
            let first = stretches.first + i as u64 * detectors;
            let from = owned.start.clamp(first, first + detectors) - first;
            let to = owned.end.clamp(first, first + detectors) - first;
            let position = |number| to_len("detector", number).expect("invariant: a detector number");
            (from < to).then(|| (time.clone(), position(from)..position(to)))
        })
    }
}

/// Returns a positive number of samples nearest to `count`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and one is the least")]
fn samples(count: f64) -> u64 {
    (count.round() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_cut_without_crossing() {
        assert_eq!(cut(&[0..10, 12..15], 4), [0..4, 4..8, 8..10, 12..15]);
        assert_eq!(cut(&[], 4), []);
        assert_eq!(cut(&[100..200, 300..301], u64::MAX), [100..200, 300..301]);
        assert_eq!(samples(0.2), 1);
        assert_eq!(samples(1949.9999), 1950);
    }
}
