//! A look at a small part of the timelines, from which the size of a run is estimated.

use std::collections::HashSet;
use std::ops::Range;

use dolmen_core::Comm;

use crate::baselines::Baselines;
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::merging::Merger;
use crate::pixels::PixelNumbering;
use crate::tod::Tod;

/// Samples that each rank reads at most, beside at least one stretch of time of all detectors.
const READ: u64 = 1 << 17;

/// Estimates for this rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Survey {
    /// Samples in its baselines, flagged ones among them.
    pub samples: u64,
    /// Samples of which the estimates are made.
    pub read: u64,
    /// Pixels that its samples hit.
    pub seen: f64,
    /// Pairs of a pixel and a baseline.
    pub pairs: f64,
}

/// Pixels and pairs that were met in the stretches that were read.
struct Met {
    merger: Merger<1>,
    /// Pixels of the first and of the second half of the stretches.
    halves: [HashSet<u64>; 2],
    read: u64,
    pairs: u64,
}

/// Estimates how many pixels and pairs this rank's samples have; returns with them the first error of a sample that is
/// bad or cannot be read.
///
/// # Collective
///
/// # Errors
/// An observation cannot be opened.
pub fn survey(comm: &Comm, tod: &Tod, baselines: &Baselines, healpix: &Healpix) -> Result<(Survey, Option<Error>)> {
    let observations = tod.description().observations.len();
    let length = |(time, detectors): &(Range<u64>, Range<usize>)| (time.end - time.start) * detectors.len() as u64;
    let (mut count, mut samples) = (0u64, 0u64);
    for stretch in (0..observations).flat_map(|observation| baselines.owned(observation)) {
        count += 1;
        samples += length(&stretch);
    }
    let wanted = (READ * count / samples.max(1)).clamp(1, count.max(1));
    let mut met = Met {
        merger: Merger::new(PixelNumbering::new(healpix.pixel_count())?),
        halves: Default::default(),
        read: 0,
        pairs: 0,
    };
    let (mut position, mut fault) = (0, None);
    tod.for_each_observation(comm, |observation, reader| {
        for (time, detectors) in baselines.owned(observation) {
            // The stretches that are read lie evenly among all.
            let (before, after) = (position * wanted / count, (position + 1) * wanted / count);
            let half = usize::from(2 * position >= count);
            position += 1;
            if before == after {
                continue;
            }
            let end = time.end.min(time.start + READ / detectors.len() as u64 + 1);
            match reader.read(healpix, detectors, time.start..end) {
                Ok(pieces) => pieces.iter().for_each(|piece| met.add(half, piece)),
                Err(found) => fault = fault.take().or(Some(found.error)),
            }
        }
        Ok(())
    })?;
    Ok((met.extrapolate(samples, healpix.pixel_count()), fault))
}

impl Met {
    fn add(&mut self, half: usize, piece: &crate::tod::Piece) {
        self.merger.clear();
        for (pointing, (&signal, &flagged)) in piece.pointing.iter().zip(piece.signal.iter().zip(&piece.flagged)) {
            self.read += 1;
            if !flagged {
                self.halves[half].insert(pointing.pixel);
                self.merger.add(pointing.pixel, 1.0, 0.0, signal);
            }
        }
        self.pairs += self.merger.pairs().len() as u64;
    }

    /// Extrapolates to all samples. Pixels are as many as two catches of one population tell by what they have in common
    /// (Lincoln and Petersen), but not more than their number grows with the samples, nor than there are.
    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    fn extrapolate(&self, samples: u64, pixels: u64) -> Survey {
        let times = samples as f64 / self.read.max(1) as f64;
        let [first, second] = &self.halves;
        let common = first.intersection(second).count() as f64;
        let met = first.len() as f64 + second.len() as f64 - common;
        let population = first.len() as f64 * second.len() as f64 / common;
        let most = (met * times).min(pixels as f64);
        let seen = if population.is_finite() { population.clamp(met.min(most), most) } else { most };
        Survey { samples, read: self.read, seen, pairs: self.pairs as f64 * times }
    }
}

/// Returns the estimates of all ranks.
///
/// # Collective
pub fn gather(comm: &Comm, survey: &Survey) -> Vec<Survey> {
    let Survey { samples, read, seen, pairs } = *survey;
    let all = comm.all_gather([samples, read, seen.to_bits(), pairs.to_bits()]);
    let unpacked = |[samples, read, seen, pairs]: [u64; 4]| Survey {
        samples,
        read,
        seen: f64::from_bits(seen),
        pairs: f64::from_bits(pairs),
    };
    all.into_iter().map(unpacked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_extrapolated_from_two_catches() {
        let met = |first: Range<u64>, second: Range<u64>| Met {
            merger: Merger::new(PixelNumbering::new(48).unwrap()),
            halves: [first.collect(), second.collect()],
            read: 200,
            pairs: 100,
        };
        let seen = |met: Met, samples| met.extrapolate(samples, 10_000).seen;
        // Half of each catch is in the other: twice as many as in one of them.
        assert_eq!(seen(met(0..100, 50..150), 200_000), 200.0);
        // Nothing in common: as many as samples and the sphere allow.
        assert_eq!(seen(met(0..100, 100..200), 2000), 2000.0);
        assert_eq!(seen(met(0..100, 100..200), 2_000_000), 10_000.0);
        assert_eq!(seen(met(0..0, 0..0), 2000), 0.0);
        let survey = met(0..100, 0..100).extrapolate(2000, 10_000);
        assert_eq!((survey.pairs, survey.seen), (1000.0, 100.0));
    }
}
