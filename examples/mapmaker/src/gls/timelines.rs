//! The samples of this rank's series in memory.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use dolmen_core::{Comm, Stored, index::at};
use realfft::RealFftPlanner;

use crate::baselines::Baselines;
use crate::config::Convention;
use crate::error::Result;
use crate::filter::Filter;
use crate::healpix::Healpix;
use crate::pixels::{PixelNumbering, Pixels};
use crate::reading::read_baselines;
use crate::simulate::noise::{NoiseModel, fast_length};
use crate::tod::{Detector, Tod};
use crate::weight::inverse_variance;

/// Number of a sample without a pixel.
pub(super) const GAP: u32 = u32::MAX;

/// Length of the gap behind an interval, in `1 / fknee`, the time over which noise is correlated.
const BEHIND: f64 = 4.0;

/// One detector in one interval.
pub(super) struct Series {
    /// Its samples among those of the rank.
    pub(super) samples: Range<usize>,
    /// Its samples without a pixel, and those of the period behind the interval.
    pub(super) gaps: usize,
    /// The inverse of its noise.
    pub(super) filter: Rc<Filter>,
    /// Variance of its white noise.
    pub(super) variance: f64,
}

/// One sample; all but the first is zero in a gap.
pub(super) struct Sample {
    /// Number of the pixel among those that this rank sees, ascending, or [`GAP`].
    pub(super) number: u32,
    /// Weight of Q.
    pub(super) cos: f64,
    /// Weight of U.
    pub(super) sin: f64,
}

/// Samples for a map of `N` Stokes parameters.
pub(super) struct Timelines<const N: usize, S> {
    /// Series with at least one good sample.
    pub(super) series: Vec<Series>,
    /// The number of each sample's pixel.
    pub(super) numbers: Vec<u32>,
    /// Weights of Q and U; none for a map of intensity.
    angles: Vec<[S; 2]>,
    /// The signal, less the mean of its series.
    signal: Vec<S>,
    /// Largest sum of the sizes of a filter's kernel.
    pub(super) gain: f64,
}

impl<const N: usize, S: Stored> Timelines<N, S> {
    /// Reads the series of this rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A sample that cannot be read or is bad, as [`read_baselines`] says; more pixels than a rank can count.
    pub(super) fn read(comm: &Comm, tod: &Tod, healpix: Healpix, convention: Convention) -> Result<(Self, Pixels)> {
        // A baseline without end is a whole interval.
        let whole = Baselines::new(comm, tod.description(), f64::MAX)?;
        let mut numbering = PixelNumbering::new(healpix.pixel_count())?;
        let (mut filters, mut series_signal) = (Filters::default(), Vec::new());
        let mut timelines =
            Timelines { series: Vec::new(), numbers: Vec::new(), angles: Vec::new(), signal: Vec::new(), gain: 0.0 };
        read_baselines(comm, tod, &whole, &healpix, convention, |stretch| {
            let start = timelines.numbers.len();
            let good = stretch.good();
            if good == 0 {
                return;
            }
            series_signal.clear();
            stretch.visit_all(|sample| {
                let (number, cos, sin, signal) = match sample {
                    Some((pixel, cos, sin, signal)) => (numbering.number(pixel), cos, sin, signal),
                    None => (GAP, 0.0, 0.0, 0.0),
                };
                timelines.numbers.push(number);
                series_signal.push(signal);
                if N > 1 {
                    timelines.angles.push([cos, sin].map(S::rounded));
                }
            });
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
            let mean = series_signal.iter().sum::<f64>() / good as f64;
            timelines.signal.extend(series_signal.iter().map(|signal| S::rounded(signal - mean)));
            let samples = start..timelines.numbers.len();
            let filter = filters.get(stretch.detector, stretch.rate, samples.len());
            let variance = 1.0 / inverse_variance(stretch.detector.net, stretch.rate);
            timelines.series.push(Series { samples, gaps: 0, filter, variance });
        })?;
        timelines.gain = filters.gain;
        let (pixels, order) = Pixels::new(comm, healpix, numbering)?;
        timelines.renumber(&order);
        Ok((timelines, pixels))
    }

    /// Counts pixels by ascending numbers; `order` gives the present number of each.
    fn renumber(&mut self, order: &[u32]) {
        let mut ascending = vec![0; order.len()];
        (0..).zip(order).for_each(|(new, &old)| ascending[at(old)] = new);
        self.numbers.iter_mut().filter(|number| **number != GAP).for_each(|number| *number = ascending[at(*number)]);
    }

    /// Takes the samples in pixels that are not solved out of the map, and counts the gaps. `solved` is zero at the others.
    pub(super) fn leave_out_unsolved(&mut self, solved: &[u8]) {
        let unsolved = |number: u32| number != GAP && solved[at(number)] == 0;
        self.numbers.iter_mut().filter(|number| unsolved(**number)).for_each(|number| *number = GAP);
        for series in &mut self.series {
            let within = self.numbers[series.samples.clone()].iter().filter(|number| **number == GAP).count();
            series.gaps = within + series.filter.period() - series.samples.len();
        }
        self.series.retain(|series| series.gaps < series.filter.period());
    }

    /// Returns the number of gaps in all series.
    pub(super) fn gaps(&self) -> usize {
        self.series.iter().map(|series| series.gaps).sum()
    }

    /// Takes the signal, which is needed once.
    pub(super) fn take_signal(&mut self) -> Vec<S> {
        std::mem::take(&mut self.signal)
    }

    /// Returns the samples of a series.
    pub(super) fn samples(&self, series: &Series) -> impl Iterator<Item = Sample> {
        series.samples.clone().map(|i| {
            let [cos, sin] = if N > 1 { self.angles[i].map(S::widened) } else { [0.0; 2] };
            Sample { number: self.numbers[i], cos, sin }
        })
    }
}

/// Filters that were made, by noise, sampling rate and number of samples.
#[derive(Default)]
struct Filters {
    planner: Option<RealFftPlanner<f64>>,
    made: HashMap<[u64; 6], Rc<Filter>>,
    gain: f64,
}

impl Filters {
    fn get(&mut self, detector: &Detector, rate: f64, samples: usize) -> Rc<Filter> {
        let Detector { net, fknee: f_knee, alpha, fmin: f_min, .. } = *detector;
        let [net_bits, f_knee_bits, alpha_bits, f_min_bits, rate_bits] =
            [net, f_knee, alpha, f_min, rate].map(f64::to_bits);
        let key = [net_bits, f_knee_bits, alpha_bits, f_min_bits, rate_bits, samples as u64];
        if let Some(filter) = self.made.get(&key) {
            return Rc::clone(filter);
        }
        let noise = NoiseModel { net, f_knee, alpha, f_min };
        let planner = self.planner.get_or_insert_with(RealFftPlanner::new);
        let period = fast_length(samples + behind(f_knee, rate, samples));
        let power = |frequency: f64| (net * net + noise.drift_psd(frequency)) * rate;
        let filter = Rc::new(Filter::new(planner, period, rate, power));
        self.gain = self.gain.max(filter.kernel().iter().map(|value| value.abs()).sum());
        self.made.insert(key, Rc::clone(&filter));
        filter
    }
}

/// Returns the samples between the end of an interval and the beginning of the next period, at least.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn behind(f_knee: f64, rate: f64, samples: usize) -> usize {
    if f_knee == 0.0 { 0 } else { ((BEHIND * rate / f_knee).ceil() as usize).min(samples) }
}
