//! Timelines compressed to what maps and offsets are made of; the samples themselves are dropped.
//!
//! Samples are read once, merged baseline by baseline ([`merging`](crate::merging)), and added to the sums of their pixels
//! ([`pixel_sums`](crate::pixel_sums)); where offsets are solved for, the pairs of pixels and baselines are kept
//! ([`pairs`](crate::pairs)).

use dolmen_core::index::{at, to_lid};
use dolmen_core::{Comm, Stored};

use crate::angle_spread::AngleSpread;
use crate::baselines::Baselines;
use crate::config::Convention;
use crate::error::Result;
use crate::extremes::Extremes;
use crate::healpix::Healpix;
use crate::merging::Merger;
use crate::pairs::PairStore;
use crate::parts::Part;
use crate::pixel_sums::{OwnedSums, PixelSums};
use crate::pixels::{PixelNumbering, Pixels};
use crate::reading::read_baselines;
use crate::tod::Tod;
use crate::weight::{inverse_variance, weight};

/// The timelines of this rank, compressed for a map of `N` Stokes parameters.
pub(crate) struct Compressed<const N: usize, S> {
    /// Sums of the pixels that this rank owns.
    pub(crate) sums: OwnedSums,
    /// The same of each part, with the number of its samples on this rank.
    pub(crate) parts: Vec<(OwnedSums, u64)>,
    /// Pairs of pixels and baselines, if they are kept.
    pub(crate) pairs: Option<PairStore<N, S>>,
    /// Weight and signal of each baseline that is not left out.
    pub(crate) baselines: Vec<BaselineSums>,
    /// Number of samples that are not flagged.
    pub(crate) samples: u64,
    /// Spread of the polarization angles.
    pub(crate) angles: AngleSpread,
}

/// Parts of the timelines that are read, and what is kept of them.
pub(crate) struct Selection<'s> {
    /// True to keep the pairs of pixels and baselines.
    pub(crate) pairs: bool,
    /// True if the baselines of a detector are linked by a prior.
    pub(crate) prior: bool,
    /// Parts that have sums of their own.
    pub(crate) parts: &'s [Part],
    /// True for each baseline of this rank that is left out; empty if none is.
    pub(crate) left_out: &'s [bool],
}

/// Sums over the samples of a baseline.
#[derive(Clone, Copy)]
pub(crate) struct BaselineSums {
    /// Inverse noise variance of a sample.
    pub(crate) weight: f64,
    /// Sum of the signal, without weight.
    pub(crate) signal: f64,
}

impl<const N: usize, S: Stored> Compressed<N, S> {
    /// Reads the selected part of this rank's share of all observations.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A sample that cannot be read or is bad, as [`read_baselines`] says; more pixels or baselines than a rank can
    /// count; a sample that is too large beside the others. The same on all ranks.
    pub(crate) fn read(
        comm: &Comm,
        tod: &Tod,
        baselines: &Baselines,
        healpix: Healpix,
        convention: Convention,
        selection: &Selection<'_>,
    ) -> Result<(Self, Pixels)> {
        comm.agree(to_lid("baselines of a rank", baselines.layout().local_len()))?;
        let mut merger = Merger::<N>::new(PixelNumbering::new(healpix.pixel_count())?);
        let weight = largest_weight(tod) * baselines.longest();
        let new_sums = || PixelSums::<N>::new(baselines.samples(), weight, healpix.pixel_count());
        let mut sums = new_sums();
        let mut parts: Vec<(PixelSums<N>, u64)> = selection.parts.iter().map(|_| (new_sums(), 0)).collect();
        let mut pairs = selection.pairs.then(|| PairStore::new(healpix.pixel_count()));
        let mut list = Vec::with_capacity(baselines.layout().local_len());
        let mut angles = AngleSpread::default();
        let (mut extremes, first) = (Extremes::default(), baselines.layout().range().start);
        let (mut samples, mut next) = (0, 0);
        read_baselines(comm, tod, baselines, &healpix, convention, |stretch| {
            let number = next;
            next += 1;
            if selection.left_out.get(at(number)) == Some(&true) {
                return;
            }
            merger.clear();
            stretch.visit(|pixel, cos, sin, signal| merger.add(pixel, cos, sin, signal));
            let weight = inverse_variance(stretch.detector.net, stretch.rate);
            sums.add(merger.pairs(), weight);
            if let Some(pairs) = &mut pairs {
                pairs.add(number, merger.pairs());
            }
            list.push(BaselineSums { weight, signal: merger.pairs().iter().map(|pair| pair.signal).sum() });
            let hits = merger.pairs().iter().map(|pair| u64::from(pair.hits)).sum::<u64>();
            samples += hits;
            for (part, (sums, samples)) in selection.parts.iter().zip(&mut parts) {
                if part.members[at(number)] {
                    sums.add(merger.pairs(), weight);
                    *samples += hits;
                }
            }
            let global = first + u64::from(number);
            angles.add(selection.prior.then(|| baselines.series_of(global)), merger.pairs());
            extremes.add(global, merger.pairs(), weight);
        })?;
        extremes.require_alike(comm, tod, baselines)?;
        let (pixels, order) = Pixels::new(comm, healpix, merger.into_numbering())?;
        let sums = sums.into_owned(&pixels, &order);
        let parts = parts.into_iter().map(|(sums, samples)| (sums.into_owned(&pixels, &order), samples)).collect();
        Ok((Compressed { sums, parts, pairs, baselines: list, samples, angles }, pixels))
    }
}

/// Returns the largest weight of a sample.
fn largest_weight(tod: &Tod) -> f64 {
    let description = tod.description();
    let rates = description.observations.iter().map(|observation| observation.sample_rate);
    let weights = rates.flat_map(|rate| description.detectors.iter().map(move |detector| weight(detector.net, rate)));
    weights.fold(0.0, |largest, weight| weight.unwrap_or(0.0).max(largest))
}
