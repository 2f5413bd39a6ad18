//! Reading this rank's samples once, baseline by baseline.

use std::ops::Range;

use dolmen_core::Comm;

use crate::baselines::Baselines;
use crate::config::Convention;
use crate::error::Result;
use crate::healpix::Healpix;
use crate::tod::check::{Located, agree_on_earliest};
use crate::tod::{Angle, Detector, Piece, Tod};

/// Samples of all detectors read at once, beside at least one stretch of one detector.
const READ_SAMPLES: u64 = 1 << 18;

/// Returns the number of samples that are read at once, if baselines have up to `longest`.
pub(crate) fn read_at_once(longest: f64) -> f64 {
    longest.max(READ_SAMPLES as f64)
}

/// The samples of one baseline, flagged ones among them, within a piece.
pub(crate) struct Stretch<'p> {
    piece: &'p Piece,
    within: Range<usize>,
    /// Number of the first sample in its observation.
    pub(crate) first: u64,
    /// The detector that took them.
    pub(crate) detector: &'p Detector,
    /// Samples a second, in Hz.
    pub(crate) rate: f64,
    /// The sign of `sin 2 psi` in the convention of the map.
    turn: f64,
    /// Angles that were asked for, over the piece.
    angles: &'p [Vec<f64>],
}

impl Stretch<'_> {
    /// Visits the samples that are not flagged: pixel, `eta cos 2 psi`, `eta sin 2 psi` in the convention of the map,
    /// signal.
    #[inline]
    pub(crate) fn visit(&self, mut sample: impl FnMut(u64, f64, f64, f64)) {
        self.visit_all(|good| {
            if let Some((pixel, cos, sin, signal)) = good {
                sample(pixel, cos, sin, signal);
            }
        });
    }

    /// Visits all samples, as [`Stretch::visit`] does; `None` for those that are flagged.
    #[inline]
    pub(crate) fn visit_all(&self, mut sample: impl FnMut(Option<(u64, f64, f64, f64)>)) {
        let (piece, efficiency) = (self.piece, self.detector.efficiency);
        for i in self.within.clone() {
            if piece.flagged[i] {
                sample(None);
                continue;
            }
            let (sin, cos) = (2.0 * piece.pointing[i].psi).sin_cos();
            sample(Some((piece.pointing[i].pixel, efficiency * cos, efficiency * self.turn * sin, piece.signal[i])));
        }
    }

    /// Returns the angles that were asked for, over all samples.
    pub(crate) fn angles(&self) -> impl Iterator<Item = &[f64]> {
        self.angles.iter().map(|values| &values[self.within.clone()])
    }

    /// Returns the number of samples that are not flagged.
    pub(crate) fn good(&self) -> usize {
        self.piece.flagged[self.within.clone()].iter().filter(|flagged| !**flagged).count()
    }
}

/// Reads this rank's share of all observations; passes each of its baselines, in order.
///
/// # Collective
///
/// # Errors
/// The earliest of what [`Reader::read`](crate::tod::Reader::read) found on all ranks, the same on all ranks.
pub(crate) fn read_baselines(
    comm: &Comm,
    tod: &Tod,
    baselines: &Baselines,
    healpix: &Healpix,
    convention: Convention,
    visit: impl FnMut(Stretch<'_>),
) -> Result<()> {
    read_with_angles(comm, tod, baselines, healpix, convention, &[], visit)
}

/// Reads this rank's share of all observations, as [`read_baselines`] does, with some of their angles.
///
/// # Collective
///
/// # Errors
/// Those of [`read_baselines`], and the first angle that is bad.
pub(crate) fn read_with_angles(
    comm: &Comm,
    tod: &Tod,
    baselines: &Baselines,
    healpix: &Healpix,
    convention: Convention,
    angles: &[Angle],
    mut visit: impl FnMut(Stretch<'_>),
) -> Result<()> {
    let description = tod.description();
    let turn = if convention == description.convention { 1.0 } else { -1.0 };
    tod.for_each_observation(comm, |number, reader| {
        let observation = &description.observations[number];
        let rate = observation.sample_rate;
        let mut earliest: Option<Located> = None;
        for Block { time, detectors, stretches } in blocks(baselines.owned(number)) {
            // Pieces of one stretch, with different detectors, may still hold an earlier error.
            if earliest.as_ref().is_some_and(|found| found.time < time.start) {
                break;
            }
            let pieces = match reader.read(healpix, detectors.clone(), time.clone()) {
                Ok(pieces) => pieces,
                Err(found) => {
                    earliest = Some(found.or_earlier(earliest));
                    continue;
                }
            };
            let good = |sample: usize| pieces.iter().any(|piece| !piece.flagged[sample]);
            let read = |&angle: &Angle| reader.angle(angle, time.clone(), good);
            let angles = match angles.iter().map(read).collect::<std::result::Result<Vec<_>, _>>() {
                Ok(angles) => angles,
                Err(found) => {
                    earliest = Some(found.or_earlier(earliest));
                    continue;
                }
            };
            let position = |sample: u64| usize::try_from(sample - time.start).expect("invariant: in memory");
            for (stretch, owned) in &stretches {
                for place in owned.clone() {
                    let piece = &pieces[place - detectors.start];
                    let detector = &description.detectors[observation.detectors[place]];
                    let within = position(stretch.start)..position(stretch.end);
                    let (first, angles) = (stretch.start, &angles[..]);
                    visit(Stretch { piece, within, first, detector, rate, turn, angles });
                }
            }
        }
        agree_on_earliest(comm, observation.detectors.len(), earliest)
    })
}

/// Samples of a stretch of time, and detectors.
type Share = (Range<u64>, Range<usize>);

/// Shares that are read at once, and the time and the detectors around all of them.
struct Block {
    time: Range<u64>,
    detectors: Range<usize>,
    stretches: Vec<Share>,
}

/// Groups consecutive stretches into blocks, and splits the detectors of those that are too long.
fn blocks(stretches: impl Iterator<Item = Share>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (time, detectors) in stretches.flat_map(split) {
        let taken = blocks.last_mut().is_some_and(|block| block.take(&time, &detectors));
        if !taken {
            let stretches = vec![(time.clone(), detectors.clone())];
            blocks.push(Block { time, detectors, stretches });
        }
    }
    blocks
}

impl Block {
    /// Adds a stretch, unless there is a gap before it or it is too much in all.
    fn take(&mut self, time: &Range<u64>, detectors: &Range<usize>) -> bool {
        let around = self.detectors.start.min(detectors.start)..self.detectors.end.max(detectors.end);
        let samples = (time.end - self.time.start) * around.len() as u64;
        let fits = self.time.end == time.start && samples <= READ_SAMPLES;
        if fits {
            self.time.end = time.end;
            self.detectors = around;
            self.stretches.push((time.clone(), detectors.clone()));
        }
        fits
    }
}

/// Returns a stretch in parts of as many detectors as are read at once.
fn split((time, detectors): Share) -> impl Iterator<Item = Share> {
    let most = (READ_SAMPLES / (time.end - time.start)).max(1);
    let most = usize::try_from(most).expect("invariant: READ_SAMPLES is small");
    detectors.clone().step_by(most).map(move |first| (time.clone(), first..detectors.end.min(first + most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_at_least_one_stretch_and_no_gap() {
        let stretch = |start: u64, end: u64| (start..end, 0..4);
        let long = READ_SAMPLES / 4;
        let gap = long + 21;
        let all = [stretch(0, long), stretch(long, long + 10), stretch(long + 10, long + 20), stretch(gap, gap + 1)];
        let lengths: Vec<usize> = blocks(all.into_iter()).iter().map(|block| block.stretches.len()).collect();
        assert_eq!(lengths, [1, 2, 1]);
    }

    #[test]
    fn long_stretches_are_read_by_few_detectors() {
        let found = blocks(std::iter::once((0..READ_SAMPLES / 2, 1..6)));
        let detectors: Vec<Range<usize>> = found.into_iter().map(|block| block.detectors).collect();
        assert_eq!(detectors, [1..3, 3..5, 5..6]);
        assert_eq!(blocks(std::iter::once((0..9 * READ_SAMPLES, 0..3))).len(), 3);
    }
}
