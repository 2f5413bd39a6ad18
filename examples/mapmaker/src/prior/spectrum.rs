//! The spectrum of baseline offsets, and its inverse as a filter.

use std::rc::Rc;

use realfft::RealFftPlanner;

use super::Series;
use crate::filter::Filter;
use crate::simulate::noise::{NoiseModel, fast_length};
use crate::tod::Detector;

/// Filters that were made, each for one noise and length.
#[derive(Default)]
pub(super) struct Filters {
    planner: Option<RealFftPlanner<f64>>,
    made: Vec<([u64; 7], Rc<Filter>)>,
}

impl Filters {
    /// Returns the filter of a series of a detector.
    pub(super) fn get(&mut self, detector: &Detector, series: &Series) -> Rc<Filter> {
        let [net, f_knee, alpha, f_min] = [detector.net, detector.fknee, detector.alpha, detector.fmin];
        let noise = [net, f_knee, alpha, f_min].map(f64::to_bits);
        let key = [noise[0], noise[1], noise[2], noise[3], series.length, series.rate, series.len() as u64];
        if let Some((_, filter)) = self.made.iter().find(|(made, _)| *made == key) {
            return Rc::clone(filter);
        }
        let spectrum =
            Spectrum::new(NoiseModel { net, f_knee, alpha, f_min }, series.length, f64::from_bits(series.rate));
        let planner = self.planner.get_or_insert_with(RealFftPlanner::new);
        let filter = Rc::new(spectrum.inverse(planner, series.len()));
        self.made.push((key, Rc::clone(&filter)));
        filter
    }
}

/// The power spectrum of the offsets of baselines, `P_a(f) = 1/T sum_m P(f + m/T) sinc^2(pi T (f + m/T))`: that of the
/// drifts, `P`, averaged over the length `T` of a baseline and aliased.
///
/// The sum runs over `|m| <= n / 2` for baselines of `n` samples: drifts that are sampled have no frequencies above half the
/// sampling rate.
pub(super) struct Spectrum {
    noise: NoiseModel,
    /// Length of a baseline, in s.
    duration: f64,
    /// Largest `m`.
    aliases: i32,
}

impl Spectrum {
    fn new(noise: NoiseModel, samples: u64, rate: f64) -> Spectrum {
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let duration = samples as f64 / rate;
        Spectrum { noise, duration, aliases: i32::try_from(samples / 2).unwrap_or(i32::MAX) }
    }

    /// Computes the power at a frequency above zero and up to `1 / (2 T)`, in Hz.
    fn power(&self, frequency: f64) -> f64 {
        let phase = std::f64::consts::PI * self.duration * frequency;
        let sine = phase.sin();
        let alias = |m: i32| {
            let distance = phase + std::f64::consts::PI * f64::from(m);
            self.noise.drift_psd(frequency + f64::from(m) / self.duration) * (sine / distance).powi(2)
        };
        // From the smallest terms to the largest.
        let pairs = (1..=self.aliases).rev().map(|m| alias(m) + alias(-m));
        (pairs.sum::<f64>() + alias(0)) / self.duration
    }

    /// Creates the filter of a series of `len` baselines, on a period of at least twice its length.
    fn inverse(&self, planner: &mut RealFftPlanner<f64>, len: usize) -> Filter {
        Filter::new(planner, fast_length(2 * len), 1.0 / self.duration, |frequency| self.power(frequency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For drifts of a flat spectrum the aliased sum over all frequencies is the variance of a mean of white noise.
    #[test]
    fn a_flat_spectrum_averages_as_white_noise() {
        let noise = NoiseModel { net: 2.0, f_knee: 1.0, alpha: 0.0, f_min: 1e-6 };
        let spectrum = Spectrum::new(noise, 4000, 100.0);
        for frequency in [0.001, 0.005, 0.0125] {
            let power = spectrum.power(frequency);
            assert!((power * 40.0 / 4.0 - 1.0).abs() < 1e-3, "{power}");
        }
    }

    #[test]
    fn the_filter_inverts_the_spectrum_of_a_wave() {
        let noise = NoiseModel { net: 1.0, f_knee: 0.1, alpha: 1.5, f_min: 1e-4 };
        let spectrum = Spectrum::new(noise, 10, 10.0);
        let filter = spectrum.inverse(&mut RealFftPlanner::new(), 8);
        let wave = |i: usize| (std::f64::consts::TAU * 3.0 * i as f64 / 16.0).cos();
        let mut values: Vec<f64> = (0..16).map(wave).collect();
        filter.apply(&mut values, &mut Vec::new(), &mut Vec::new());
        for (i, value) in values.into_iter().enumerate() {
            assert!((value * spectrum.power(3.0 / 16.0) - wave(i)).abs() < 1e-13, "{i}: {value}");
        }
        // A constant is free.
        let mut values = vec![5.0; 16];
        filter.apply(&mut values, &mut Vec::new(), &mut Vec::new());
        assert!(values.iter().all(|value| value.abs() < 1e-10), "{values:?}");
    }

    #[test]
    fn bands_hold_most_of_the_kernel() {
        let noise = NoiseModel { net: 1.0, f_knee: 0.1, alpha: 1.0, f_min: 1e-5 };
        let filter = Spectrum::new(noise, 40, 40.0).inverse(&mut RealFftPlanner::new(), 3600);
        assert!((11..=101).contains(&filter.band(10..=100, 0.99999, 3600).len()));
        assert_eq!(filter.band(10..=100, 2.0, 3600).len(), 101);
        assert_eq!(filter.band(10..=100, 0.99999, 4).len(), 4);
        assert_eq!(filter.band(10..=100, 0.99999, 1).len(), 1);
    }
}
