//! Detector noise: white noise, and 1/f drifts by FFT.
//!
//! The two-sided power spectral density is `NET^2 [1 + (f_knee / max(f, f_min))^alpha]`. The
//! white part is drawn sample by sample; its standard deviation is `NET sqrt(f_s)`. The other
//! part, the drift, is drawn in Fourier space, one stationary interval of one detector at a
//! time, on a period of at least twice the interval, of which the first part is kept: so the
//! interval's end does not join its beginning. The mean over the period is zero, which leaves
//! a destriper nothing to miss, since the offset of an interval cannot be told from the sky's.
//!
//! All random numbers are functions of the seed, the detector, the interval and the index in it,
//! so that the noise does not depend on which rank computes it.

use std::f64::consts::FRAC_1_SQRT_2;
use std::sync::Arc;

use dolmen_core::random::Philox;
use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner};

/// First index of the drifts' random numbers; white noise has the indices below.
const DRIFT: u64 = 1 << 62;

/// The noise of one detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseModel {
    /// Noise-equivalent temperature, the white level, in K sqrt(s).
    pub net: f64,
    /// Frequency at which the drift has the power of the white noise, in Hz.
    pub f_knee: f64,
    /// Slope of the drift's spectrum.
    pub alpha: f64,
    /// Frequency below which the drift's spectrum is flat, in Hz; positive.
    pub f_min: f64,
}

impl NoiseModel {
    /// Returns the standard deviation of the white noise of a sample, in K, at `sample_rate` Hz.
    #[must_use]
    pub fn sigma(&self, sample_rate: f64) -> f64 {
        self.net * sample_rate.sqrt()
    }

    /// Computes two-sided power spectral density of the drift at `frequency` Hz, in K^2 s.
    #[must_use]
    pub fn drift_psd(&self, frequency: f64) -> f64 {
        if self.f_knee == 0.0 {
            return 0.0;
        }
        let ratio = self.f_knee / frequency.abs().max(self.f_min);
        self.net * self.net * ratio.powf(self.alpha)
    }
}

/// Writes the white noise of samples `first_sample`, ... of `detector` to `out`, in K.
///
/// `first_sample` counts from the start of the simulation.
pub fn white_noise(random: &Philox, detector: u32, first_sample: u64, sigma: f64, out: &mut [f64]) {
    random.fill_normal(u64::from(detector), first_sample, out);
    for sample in out {
        *sample *= sigma;
    }
}

/// Drifts of intervals of one length and sampling rate; keeps the FFT's plan and memory.
pub struct DriftGenerator {
    length: usize,
    sample_rate: f64,
    inverse: Arc<dyn ComplexToReal<f64>>,
    normals: Vec<f64>,
    spectrum: Vec<Complex64>,
    drift: Vec<f64>,
    scratch: Vec<Complex64>,
}

impl DriftGenerator {
    /// Creates a generator for intervals of `length` samples at `sample_rate` Hz.
    #[must_use]
    pub fn new(length: usize, sample_rate: f64) -> Self {
        let period = fast_length(2 * length.max(1));
        let inverse = RealFftPlanner::new().plan_fft_inverse(period);
        Self {
            length,
            sample_rate,
            normals: vec![0.0; 2 * inverse.complex_len()],
            spectrum: inverse.make_input_vec(),
            drift: inverse.make_output_vec(),
            scratch: inverse.make_scratch_vec(),
            inverse,
        }
    }

    /// Returns the drift of `detector` in `interval`, in K: one value a sample of the interval.
    pub fn drift(&mut self, random: &Philox, model: &NoiseModel, detector: u32, interval: u32) -> &[f64] {
        let stream = u64::from(interval) << 32 | u64::from(detector);
        random.fill_normal(stream, DRIFT, &mut self.normals);
        let period = self.drift.len() as f64;
        let step = self.sample_rate / period;
        let last = self.spectrum.len() - 1;
        // E|c_k|^2 = P(f_k) f_s / N gives sum_k |c_k|^2 = integral of P(f) df.
        let bins = self.spectrum.iter_mut().zip(self.normals.chunks_exact(2));
        for (k, (bin, pair)) in bins.enumerate() {
            let amplitude = (model.drift_psd(k as f64 * step) * step).sqrt();
            *bin = match k {
                0 => Complex64::ZERO,
                _ if k == last => Complex64::new(amplitude * pair[0], 0.0),
                _ => Complex64::new(pair[0], pair[1]) * (amplitude * FRAC_1_SQRT_2),
            };
        }
        self.inverse
            .process_with_scratch(&mut self.spectrum, &mut self.drift, &mut self.scratch)
            .expect("invariant: the buffers are the plan's own and the ends of the spectrum are real");
        &self.drift[..self.length]
    }
}

/// Returns the least even number from `least` on whose only prime factors are 2, 3 and 5.
pub(crate) fn fast_length(least: usize) -> usize {
    let smooth = |mut number: usize| {
        for factor in [2, 3, 5] {
            while number.is_multiple_of(factor) {
                number /= factor;
            }
        }
        number == 1
    };
    (least.div_ceil(2)..).find(|&half| smooth(half)).map_or(least, |half| 2 * half)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: NoiseModel = NoiseModel { net: 2.0, f_knee: 1.0, alpha: 1.5, f_min: 0.1 };

    #[test]
    fn psd_at_the_knee_below_f_min_and_without_a_knee() {
        assert_eq!(MODEL.drift_psd(1.0), 4.0);
        assert_eq!(MODEL.drift_psd(-1.0), 4.0);
        assert!((MODEL.drift_psd(0.001) - 4.0 * 10_f64.powf(1.5)).abs() < 1e-12);
        let white = NoiseModel { f_knee: 0.0, ..MODEL };
        assert_eq!(white.drift_psd(0.001), 0.0);
    }

    #[test]
    fn white_noise_has_its_variance() {
        let sigma = MODEL.sigma(25.0);
        assert_eq!(sigma, 10.0);
        let mut samples = vec![0.0; 100_000];
        white_noise(&Philox::new(1), 3, 0, sigma, &mut samples);
        let count = samples.len() as f64;
        let variance = samples.iter().map(|x| x * x).sum::<f64>() / count;
        assert!((variance / 100.0 - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{variance}");
    }

    #[test]
    fn white_noise_does_not_depend_on_where_it_is_cut() {
        let random = Philox::new(1);
        let (mut whole, mut tail) = ([0.0; 20], [0.0; 9]);
        white_noise(&random, 3, 100, 1.5, &mut whole);
        white_noise(&random, 3, 111, 1.5, &mut tail);
        assert_eq!(whole[11..], tail);
    }

    /// Periodograms of whole periods, averaged: bin k is P(f_k) times a chi-squared of two
    /// degrees of freedom, so the average of M has a relative error of M^-1/2, and the sum of
    /// the squared errors over K bins is K (1 +- (2/K)^1/2 and a little).
    #[test]
    fn the_averaged_periodogram_follows_the_psd() {
        let (rate, count) = (16.0, 400_u32);
        let mut generator = DriftGenerator::new(256, rate);
        let period = generator.drift.len();
        let forward = RealFftPlanner::<f64>::new().plan_fft_forward(period);
        let mut power = vec![0.0; forward.complex_len()];
        for interval in 0..count {
            generator.drift(&Philox::new(5), &MODEL, 2, interval);
            let mut spectrum = forward.make_output_vec();
            forward.process(&mut generator.drift.clone(), &mut spectrum).expect("buffers of the plan's lengths");
            for (sum, bin) in power.iter_mut().zip(&spectrum) {
                *sum += bin.norm_sqr() / (period as f64 * rate) / f64::from(count);
            }
        }
        assert!(power[0] < 1e-20);
        let inner = 1..power.len() - 1;
        let bins = inner.len() as f64;
        let chi_squared: f64 = inner
            .map(|k| {
                let expected = MODEL.drift_psd(k as f64 * rate / period as f64);
                (power[k] / expected - 1.0).powi(2) * f64::from(count)
            })
            .sum();
        assert!((chi_squared / bins - 1.0).abs() < 5.0 * (2.0 / bins).sqrt(), "{chi_squared} for {bins}");
    }

    #[test]
    fn the_variance_of_the_kept_part_is_the_integral_of_the_psd() {
        let (rate, count) = (16.0, 400_u32);
        let mut generator = DriftGenerator::new(300, rate);
        let period = generator.drift.len();
        let step = rate / period as f64;
        let integral = (1..period).map(|k| MODEL.drift_psd(k.min(period - k) as f64 * step) * step).sum::<f64>();
        let mut variance = 0.0;
        for interval in 0..count {
            let drift = generator.drift(&Philox::new(6), &MODEL, 0, interval);
            assert_eq!(drift.len(), 300);
            variance += drift.iter().map(|x| x * x).sum::<f64>() / 300.0 / f64::from(count);
        }
        // The drift forgets in about 1/f_min = 10 s: an interval of 19 s counts as two values.
        assert!((variance / integral - 1.0).abs() < 5.0 * (2.0 / (2.0 * f64::from(count))).sqrt());
    }

    #[test]
    fn detectors_and_intervals_drift_apart_and_repeat() {
        let mut generator = DriftGenerator::new(50, 10.0);
        let mut draw = |detector, interval| generator.drift(&Philox::new(1), &MODEL, detector, interval).to_vec();
        let first = draw(0, 0);
        assert_ne!(first, draw(1, 0));
        assert_ne!(first, draw(0, 1));
        assert_eq!(first, draw(0, 0));
    }

    #[test]
    fn fast_lengths_are_even_and_smooth() {
        for (least, expected) in [(1, 2), (2, 2), (14, 16), (7, 8), (98, 100), (1025, 1080)] {
            assert_eq!(fast_length(least), expected);
        }
    }

    #[test]
    fn intervals_of_one_sample_and_of_none() {
        assert!(DriftGenerator::new(0, 1.0).drift(&Philox::new(1), &MODEL, 0, 0).is_empty());
        let mut single = DriftGenerator::new(1, 1.0);
        assert!(single.drift(&Philox::new(1), &MODEL, 0, 0)[0].is_finite());
    }
}
