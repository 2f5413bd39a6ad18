//! This rank's samples, grouped by baseline, flagged ones left out.
//!
//! Every sample has its pixel and the cosine and sine of twice its polarisation angle (times the
//! polarisation efficiency), so that a pass over the data does no trigonometry. Leaving bad
//! samples out, instead of marking them, keeps branches out of the passes.

use std::ops::Range;

use dolmen_core::{Comm, Lid, index::at};

use crate::baselines::Baselines;
use crate::config::Convention;
use crate::error::Result;
use crate::healpix::Healpix;
use crate::pixels::{PixelNumbering, Pixels};
use crate::tod::{Detector, Piece, Tod};

/// Samples read at once, beside at least one stretch.
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

/// Which samples a pass over the data visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All good samples.
    All,
    /// Those that take part in the solve: not the masked ones.
    Solved,
}

impl Samples {
    /// Number of baselines on this rank.
    pub fn baselines(&self) -> usize {
        self.weight.len()
    }

    /// The samples of a baseline.
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
    /// Whatever [`Reader::read`](crate::tod::Reader::read) found on any rank; the same on all.
    pub fn read(
        comm: &Comm,
        tod: &Tod,
        baselines: &Baselines,
        healpix: Healpix,
        convention: Convention,
    ) -> Result<(Samples, Pixels)> {
        let description = tod.description();
        let turn = if convention == description.convention { 1.0 } else { -1.0 };
        let mut samples = Samples { starts: vec![0], ..Samples::default() };
        let mut numbering = PixelNumbering::new(healpix.pixel_count())?;
        for observation in 0..description.observations.len() {
            let reader = tod.reader(observation)?;
            let rate = description.observations[observation].sample_rate;
            let mut read = || -> Result<()> {
                for block in blocks(baselines.owned(observation)) {
                    let time = block[0].0.start..block[block.len() - 1].0.end;
                    let (first, last) = (&block[0].1, &block[block.len() - 1].1);
                    let detectors = first.start.min(last.start)..first.end.max(last.end);
                    let pieces = reader.read(&healpix, detectors.clone(), time.clone())?;
                    for (stretch, owned) in &block {
                        let within = (stretch.start - time.start)..(stretch.end - time.start);
                        for detector in owned.clone() {
                            let piece = &pieces[detector - detectors.start];
                            let detector = &description.detectors[detector];
                            samples.append(piece, within.clone(), detector, rate, turn, &mut numbering);
                        }
                    }
                }
                Ok(())
            };
            let outcome = read();
            comm.agree(outcome)?;
        }
        let pixels = Pixels::new(comm, healpix, numbering, &mut samples.pixel)?;
        Ok((samples, pixels))
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
        let mut kept = Samples { starts: vec![0], ..Samples::default() };
        for baseline in 0..self.baselines() {
            let all = self.range(baseline, Part::All);
            for wanted in [true, false] {
                for i in all.clone() {
                    let pixel = at(self.pixel[i]);
                    if good[pixel] && solved[pixel] == wanted {
                        kept.pixel.push(self.pixel[i]);
                        kept.cos.push(self.cos[i]);
                        kept.sin.push(self.sin[i]);
                        kept.signal.push(self.signal[i]);
                    }
                }
                if wanted {
                    kept.solved.push(kept.signal.len());
                }
            }
            kept.starts.push(kept.signal.len());
        }
        kept.weight = std::mem::take(&mut self.weight);
        *self = kept;
    }
}

type Stretch = (Range<u64>, Range<usize>);

/// Groups consecutive stretches into blocks that are read at once.
fn blocks(stretches: impl Iterator<Item = Stretch>) -> Vec<Vec<Stretch>> {
    let mut blocks: Vec<Vec<Stretch>> = Vec::new();
    for stretch in stretches {
        match blocks.last_mut() {
            Some(block) if follows(block, &stretch) => block.push(stretch),
            _ => blocks.push(vec![stretch]),
        }
    }
    blocks
}

/// Whether a stretch can be read with a block: no gap between them, and not too much in all.
fn follows(block: &[Stretch], stretch: &Stretch) -> bool {
    block[block.len() - 1].0.end == stretch.0.start && stretch.0.end - block[0].0.start <= READ_SAMPLES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_drops_bad_pixels_and_sets_masked_ones_aside() {
        let mut samples = Samples {
            pixel: vec![0, 1, 2, 1, 0],
            cos: vec![0.0; 5],
            sin: vec![0.0; 5],
            signal: vec![10.0, 11.0, 12.0, 13.0, 14.0],
            starts: vec![0, 4, 5],
            solved: vec![4, 5],
            weight: vec![1.0, 2.0],
        };
        samples.select(&[true, true, false], &[false, true, true]);
        assert_eq!(samples.signal, [11.0, 13.0, 10.0, 14.0]);
        assert_eq!(samples.range(0, Part::Solved), 0..2);
        assert_eq!(samples.range(0, Part::All), 0..3);
        assert_eq!(samples.range(1, Part::Solved), 3..3);
        assert_eq!(samples.range(1, Part::All), 3..4);
    }

    #[test]
    fn blocks_hold_at_least_one_stretch_and_no_gap() {
        let stretch = |start: u64, end: u64| (start..end, 0..4);
        let long = READ_SAMPLES + 5;
        let gap = long + 21;
        let all = [stretch(0, long), stretch(long, long + 10), stretch(long + 10, long + 20), stretch(gap, gap + 1)];
        let lengths: Vec<usize> = blocks(all.into_iter()).iter().map(Vec::len).collect();
        assert_eq!(lengths, [1, 2, 1]);
    }
}
