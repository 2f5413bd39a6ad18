//! Binned maps of all timelines and of parts: blocks of pixels are inverted, and applied to the sums of the signal.

use dolmen_io::fits::UNSEEN;

use crate::config::Config;
use crate::parts::PartMaps;
use crate::pixel_blocks::{invert, multiply_each, packed_len, rcond};
use crate::pixel_sums::OwnedSums;

/// Arrays over owned pixels that are made of their sums.
pub(crate) struct Kept {
    /// Samples of each pixel.
    pub(crate) hits: Vec<i64>,
    /// Reciprocal condition number of each block.
    pub(crate) rcond: Vec<f64>,
    /// Inverse blocks, packed; zero where a pixel is not solved.
    pub(crate) covariance: Vec<f64>,
    /// The binned map, interleaved.
    pub(crate) binned: Vec<f64>,
    /// True for each pixel that is solved.
    pub(crate) solved: Vec<bool>,
}

impl Kept {
    /// Inverts the blocks of all pixels, and bins.
    pub(crate) fn new<const N: usize>(config: &Config, sums: OwnedSums) -> Kept {
        let OwnedSums { hits, blocks, signal: mut binned } = sums;
        let (rcond, covariance) = condition::<N>(config, &hits, &blocks);
        drop(blocks);
        let solved = covariance.chunks_exact(packed_len(N)).map(|block| block[0] > 0.0).collect();
        multiply_each::<N>(&covariance, &mut binned);
        Kept { hits, rcond, covariance, binned, solved }
    }
}

/// Maps of a part of the timelines.
pub(crate) struct KeptPart {
    /// Its arrays over owned pixels.
    pub(crate) kept: Kept,
    /// Its samples on this rank.
    samples: u64,
    /// Its destriped map, once it is made.
    pub(crate) destriped: Option<Vec<f64>>,
}

impl KeptPart {
    /// Inverts the blocks of all parts. Pixels that the map of all has not are in no part.
    pub(crate) fn all<const N: usize>(config: &Config, parts: Vec<(OwnedSums, u64)>, solved: &[bool]) -> Vec<KeptPart> {
        let part = |(sums, samples)| {
            let mut kept = Kept::new::<N>(config, sums);
            let blocks = kept.covariance.chunks_exact_mut(packed_len(N));
            for ((own, block), _) in kept.solved.iter_mut().zip(blocks).zip(solved).filter(|(_, all)| !**all) {
                *own = false;
                block.fill(0.0);
            }
            KeptPart { kept, samples, destriped: None }
        };
        parts.into_iter().map(part).collect()
    }

    /// Names the part, and marks its pixels without a solution.
    pub(crate) fn finish(self, name: String, width: usize) -> PartMaps {
        let Kept { hits, covariance, binned, solved, .. } = self.kept;
        PartMaps {
            name,
            samples: self.samples,
            hits,
            covariance: hide_unsolved(covariance, &solved, packed_len(width)),
            binned: hide_unsolved(binned, &solved, width),
            destriped: self.destriped.map(|map| hide_unsolved(map, &solved, width)),
        }
    }
}

/// Condition and inverse of each pixel's block; the inverse is zero where the pixel is not solved.
fn condition<const N: usize>(config: &Config, hits: &[i64], blocks: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let size = packed_len(N);
    let mut conditions = Vec::with_capacity(hits.len());
    let mut inverses = Vec::with_capacity(blocks.len());
    for (&hits, block) in hits.iter().zip(blocks.chunks_exact(size)) {
        let rcond = rcond::<N>(block);
        conditions.push(rcond);
        let enough = hits.unsigned_abs() >= config.map.min_hits && rcond >= config.map.rcond_min;
        match invert::<N>(block) {
            Some(inverse) if enough => inverses.extend_from_slice(&inverse[..size]),
            _ => inverses.extend(std::iter::repeat_n(0.0, size)),
        }
    }
    (conditions, inverses)
}

/// Marks pixels without a solution.
pub(crate) fn hide_unsolved(mut values: Vec<f64>, solved: &[bool], width: usize) -> Vec<f64> {
    for (values, &solved) in values.chunks_exact_mut(width).zip(solved) {
        if !solved {
            values.fill(UNSEEN);
        }
    }
    values
}
