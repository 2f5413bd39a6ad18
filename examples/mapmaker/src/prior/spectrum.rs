//! The spectrum of baseline offsets, and its inverse as a filter.

use std::rc::Rc;
use std::sync::Arc;

use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::Series;
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
        let filter = Rc::new(Filter::new(planner, &spectrum, series.len()));
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
}

/// Multiplication by the inverse spectrum, on a period of at least twice the length of a series.
pub(super) struct Filter {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    /// The inverse of the power at each frequency, divided by the period; zero at frequency zero.
    factors: Vec<f64>,
}

impl Filter {
    fn new(planner: &mut RealFftPlanner<f64>, spectrum: &Spectrum, len: usize) -> Filter {
        let period = fast_length(2 * len);
        let forward = planner.plan_fft_forward(period);
        let inverse = planner.plan_fft_inverse(period);
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^33 values")]
        let factor = |k: usize| {
            let frequency = k as f64 / (period as f64 * spectrum.duration);
            if k == 0 { 0.0 } else { 1.0 / (spectrum.power(frequency) * period as f64) }
        };
        let factors = (0..forward.complex_len()).map(factor).collect();
        Filter { forward, inverse, factors }
    }

    /// Filters values, which are padded with zeros to the period.
    pub(super) fn apply(&self, values: &mut Vec<f64>, spectrum: &mut Vec<Complex64>, scratch: &mut Vec<Complex64>) {
        values.resize(self.forward.len(), 0.0);
        spectrum.resize(self.forward.complex_len(), Complex64::ZERO);
        let scratch_len = self.forward.get_scratch_len().max(self.inverse.get_scratch_len());
        scratch.resize(scratch_len.max(scratch.len()), Complex64::ZERO);
        let fits = "invariant: buffers of the plan's lengths, real at the ends of the spectrum";
        self.forward.process_with_scratch(values, spectrum, scratch).expect(fits);
        spectrum.iter_mut().zip(&self.factors).for_each(|(value, factor)| *value *= factor);
        // Rounding can leave an imaginary part where there is none.
        for end in [0, spectrum.len() - 1] {
            spectrum[end].im = 0.0;
        }
        self.inverse.process_with_scratch(spectrum, values, scratch).expect(fits);
    }

    /// Returns the kernel from its middle on, of a width in `widths` that has `power` of the kernel's power, for series
    /// of `len`.
    pub(super) fn band(&self, widths: std::ops::RangeInclusive<usize>, power: f64, len: usize) -> Vec<f64> {
        let (mut kernel, mut spectrum, mut scratch) = (vec![1.0], Vec::new(), Vec::new());
        self.apply(&mut kernel, &mut spectrum, &mut scratch);
        let all: f64 = kernel.iter().map(|value| value * value).sum();
        let within =
            |width: usize| kernel[0].powi(2) + 2.0 * kernel[1..=width].iter().map(|value| value * value).sum::<f64>();
        let widest = (len - 1).min(*widths.end());
        let narrowest = widest.min(*widths.start());
        let width = (narrowest..=widest).find(|&width| within(width) >= power * all).unwrap_or(widest);
        kernel.truncate(width + 1);
        kernel
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
        let filter = Filter::new(&mut RealFftPlanner::new(), &spectrum, 8);
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
        let filter = Filter::new(&mut RealFftPlanner::new(), &Spectrum::new(noise, 40, 40.0), 3600);
        assert!((11..=101).contains(&filter.band(10..=100, 0.99999, 3600).len()));
        assert_eq!(filter.band(10..=100, 2.0, 3600).len(), 101);
        assert_eq!(filter.band(10..=100, 0.99999, 4).len(), 4);
        assert_eq!(filter.band(10..=100, 0.99999, 1).len(), 1);
    }
}
