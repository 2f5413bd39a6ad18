//! This rank's samples, grouped by baseline, flagged ones left out.
//!
//! Every sample has its pixel and the cosine and sine of twice its polarization angle (times the
//! polarization efficiency), so that a pass over the data does no trigonometry. Leaving bad
//! samples out, instead of marking them, keeps branches out of the passes.

use std::ops::Range;

use dolmen_core::{Comm, Lid, index::at, index::to_len};

use crate::baselines::Baselines;
use crate::config::Convention;
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::memory::{gigabytes, require};
use crate::pixels::{PixelNumbering, Pixels};
use crate::tod::check::{Located, agree_on_earliest};
use crate::tod::{Detector, Piece, Tod};

/// Samples of all detectors read at once, beside at least one stretch of one detector.
const READ_SAMPLES: u64 = 1 << 18;

/// Samples in memory. Baseline `b` has samples `starts[b]..starts[b + 1]`; those up to
/// `solved[b]` take part in the solve for the baseline offsets.
#[derive(Default)]
pub struct Samples {
    /// Position in this rank's seen pixels.
    pub pixel: Vec<Lid>,
    /// `eta cos 2 psi`.
    pub cos: Vec<f64>,
    /// `eta sin 2 psi`, in the convention of the map.
    pub sin: Vec<f64>,
    /// The signal.
    pub signal: Vec<f64>,
    /// First sample of each baseline, and the end of the last.
    pub starts: Vec<usize>,
    /// End of each baseline's samples that take part in the solve.
    pub solved: Vec<usize>,
    /// Inverse noise variance of each baseline's samples.
    pub weight: Vec<f64>,
}

/// The samples that a pass over the data visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All good samples.
    All,
    /// The good samples in pixels that are not masked, which the solve uses.
    Solved,
}

impl Samples {
    /// Returns the number of baselines on this rank.
    pub fn baselines(&self) -> usize {
        self.weight.len()
    }

    /// Returns the samples of a baseline.
    pub fn range(&self, baseline: usize, part: Part) -> Range<usize> {
        let end = match part {
            Part::All => self.starts[baseline + 1],
            Part::Solved => self.solved[baseline],
        };
        self.starts[baseline]..end
    }

    /// Reads this rank's share of all observations.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The earliest of what [`Reader::read`](crate::tod::Reader::read) found on all ranks, or too
    /// little memory; the same on all ranks.
    pub fn read(
        comm: &Comm,
        tod: &Tod,
        baselines: &Baselines,
        healpix: Healpix,
        convention: Convention,
    ) -> Result<(Samples, Pixels)> {
        let description = tod.description();
        let turn = if convention == description.convention { 1.0 } else { -1.0 };
        let mut samples = Samples::with_room_for(comm, baselines.local_samples())?;
        let mut numbering = PixelNumbering::new(healpix.pixel_count())?;
        for observation in 0..description.observations.len() {
            let reader = tod.reader(observation)?;
            let rate = description.observations[observation].sample_rate;
            let mut earliest: Option<Located> = None;
            for block in blocks(baselines.owned(observation)) {
                let Block { time, detectors, stretches } = block;
                // Pieces of one stretch, with different detectors, may still hold an earlier error.
                if earliest.as_ref().is_some_and(|found| found.time < time.start) {
                    break;
                }
                let pieces = match reader.read(&healpix, detectors.clone(), time.clone()) {
                    Ok(pieces) => pieces,
                    Err(found) => {
                        earliest = Some(found.or_earlier(earliest));
                        continue;
                    }
                };
                for (stretch, owned) in &stretches {
                    let within = (stretch.start - time.start)..(stretch.end - time.start);
                    for detector in owned.clone() {
                        let piece = &pieces[detector - detectors.start];
                        let detector = &description.detectors[detector];
                        samples.append(piece, within.clone(), detector, rate, turn, &mut numbering);
                    }
                }
            }
            agree_on_earliest(comm, description.detectors.len(), earliest)?;
        }
        let pixels = Pixels::new(comm, healpix, numbering, &mut samples.pixel)?;
        Ok((samples, pixels))
    }

    /// No samples, and memory for `count` on this rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// Some rank has too little memory.
    fn with_room_for(comm: &Comm, count: u64) -> Result<Samples> {
        const BYTES: f64 = (size_of::<Lid>() + 3 * size_of::<f64>()) as f64;
        let mut all = [count];
        comm.all_reduce_sum(&mut all);
        let what = format!("{} samples need {}", all[0], gigabytes(BYTES * all[0] as f64));
        require(comm, BYTES * count as f64, &what)?;
        let mut samples = Samples { starts: vec![0], ..Samples::default() };
        let reserved = || -> Result<()> {
            let count = to_len("samples", count)?;
            let reals = [&mut samples.cos, &mut samples.sin, &mut samples.signal];
            reals
                .into_iter()
                .try_for_each(|values| values.try_reserve_exact(count))
                .and_then(|()| samples.pixel.try_reserve_exact(count))
                .map_err(|_| Error::Memory(what))
        };
        comm.agree(reserved())?;
        Ok(samples)
    }

    /// Appends one baseline: the unflagged samples of `within` a piece.
    fn append(
        &mut self,
        piece: &Piece,
        within: Range<u64>,
        detector: &Detector,
        rate: f64,
        turn: f64,
        numbering: &mut PixelNumbering,
    ) {
        let position = |sample| usize::try_from(sample).expect("invariant: a piece is in memory");
        for i in position(within.start)..position(within.end) {
            if piece.flagged[i] {
                continue;
            }
            let (sin, cos) = (2.0 * piece.pointing[i].psi).sin_cos();
            self.pixel.push(numbering.number(piece.pointing[i].pixel));
            self.cos.push(detector.efficiency * cos);
            self.sin.push(detector.efficiency * turn * sin);
            self.signal.push(piece.signal[i]);
        }
        self.starts.push(self.signal.len());
        self.solved.push(self.signal.len());
        self.weight.push(1.0 / (detector.net * detector.net * rate));
    }

    /// Drops the samples in pixels that are not `good`, and moves those in pixels that are not
    /// `solved` to the end of their baseline, out of the solve. Both by position among the seen
    /// pixels. Otherwise the order is kept, so that sums stay the same on any number of ranks.
    pub fn select(&mut self, good: &[bool], solved: &[bool]) {
        let mut order = Vec::new();
        let mut kept = 0;
        for baseline in 0..self.baselines() {
            let all = self.range(baseline, Part::All);
            let pixel = &self.pixel;
            let part =
                |wanted: bool| all.clone().filter(move |&i| good[at(pixel[i])] && solved[at(pixel[i])] == wanted);
            order.clear();
            order.extend(part(true));
            let end_of_solved = kept + order.len();
            order.extend(part(false));
            move_to(&mut self.pixel, kept, &order);
            move_to(&mut self.cos, kept, &order);
            move_to(&mut self.sin, kept, &order);
            move_to(&mut self.signal, kept, &order);
            self.starts[baseline] = kept;
            self.solved[baseline] = end_of_solved;
            kept += order.len();
        }
        self.starts[self.weight.len()] = kept;
        self.pixel.truncate(kept);
        self.cos.truncate(kept);
        self.sin.truncate(kept);
        self.signal.truncate(kept);
    }
}

/// Moves the values at `order` to the positions from `start`, none of them before it.
fn move_to<T: Copy>(values: &mut [T], start: usize, order: &[usize]) {
    let picked: Vec<T> = order.iter().map(|&i| values[i]).collect();
    values[start..][..picked.len()].copy_from_slice(&picked);
}

type Stretch = (Range<u64>, Range<usize>);

/// Stretches that are read at once, and the time and the detectors around all of them.
struct Block {
    time: Range<u64>,
    detectors: Range<usize>,
    stretches: Vec<Stretch>,
}

/// Groups consecutive stretches into blocks, and splits the detectors of those that are too long.
fn blocks(stretches: impl Iterator<Item = Stretch>) -> Vec<Block> {
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
fn split((time, detectors): Stretch) -> impl Iterator<Item = Stretch> {
    let most = (READ_SAMPLES / (time.end - time.start)).max(1);
    let most = usize::try_from(most).expect("invariant: READ_SAMPLES is small");
    detectors.clone().step_by(most).map(move |first| (time.clone(), first..detectors.end.min(first + most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_drops_bad_pixels_and_sets_masked_ones_aside() {
        let mut samples = Samples {
            pixel: vec![0, 1, 2, 1, 0],
            cos: vec![20.0, 21.0, 22.0, 23.0, 24.0],
            sin: vec![30.0, 31.0, 32.0, 33.0, 34.0],
            signal: vec![10.0, 11.0, 12.0, 13.0, 14.0],
            starts: vec![0, 4, 5],
            solved: vec![4, 5],
            weight: vec![1.0, 2.0],
        };
        samples.select(&[true, true, false], &[false, true, true]);
        assert_eq!(samples.pixel, [1, 1, 0, 0]);
        assert_eq!(samples.cos, [21.0, 23.0, 20.0, 24.0]);
        assert_eq!(samples.sin, [31.0, 33.0, 30.0, 34.0]);
        assert_eq!(samples.signal, [11.0, 13.0, 10.0, 14.0]);
        assert_eq!(samples.range(0, Part::Solved), 0..2);
        assert_eq!(samples.range(0, Part::All), 0..3);
        assert_eq!(samples.range(1, Part::Solved), 3..3);
        assert_eq!(samples.range(1, Part::All), 3..4);
    }

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
