//! Periodograms of timelines with gaps, and what a spectrum of noise lets one expect of them.
//!
//! A series of samples, less its mean, is multiplied by a window: a taper that rises and falls smoothly at the ends, and is
//! zero at samples that are not good. What its periodogram has in the mean, for noise of a given spectrum, is computed
//! exactly, with the leakage of the window and the subtraction of the mean (the "debiased" Whittle likelihood of
//! Sykulski et al., Biometrika 106, 2019, with the gaps of Guillaumin et al., J. R. Stat. Soc. B 84, 2022). So nothing is made
//! up in gaps, and gaps bias nothing.

use std::f64::consts::PI;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex64;

use crate::simulate::noise::fast_length;

/// Part of a series over which the taper rises, and falls.
const EDGE: f64 = 0.1;
/// Bins of frequency in a factor of ten.
const BINS: f64 = 16.0;
/// Least frequency that counts, in units of the inverse length of the series: below it, the window and the subtraction of the
/// mean leave little.
const LEAST: f64 = 2.0;

/// Means over the frequencies of a bin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bin {
    /// Number of the bin on a grid that all series share.
    pub(crate) number: i32,
    /// Independent frequencies.
    pub(crate) weight: f64,
    /// The mean.
    pub(crate) power: f64,
}

/// Returns the frequency in the middle of a bin, in Hz.
pub(crate) fn frequency(number: i32) -> f64 {
    10f64.powf((f64::from(number) + 0.5) / BINS)
}

/// Returns the bin of a frequency in Hz.
#[expect(clippy::cast_possible_truncation, reason = "frequencies of finite logarithm")]
pub(crate) fn bin_of(frequency: f64) -> i32 {
    (BINS * frequency.log10()).floor() as i32
}

/// The window of a series.
pub(crate) struct Window<'p> {
    planner: &'p mut RealFftPlanner<f64>,
    rate: f64,
    /// Samples of the period: twice as many as frequencies that count, at least twice those of the series.
    period: usize,
    weights: Vec<f64>,
    /// Transforms of the window and of its square, the latter divided by the sum of squares.
    transforms: [Vec<Complex64>; 2],
    /// Correlations of the window at each lag, one at zero.
    correlations: Vec<f64>,
    sum: f64,
    squares: f64,
    /// Time in s of which the frequencies are independent.
    time: f64,
}

impl<'p> Window<'p> {
    /// Creates the window of a series at `rate` Hz; `good` is true for its good samples, of which there is at least one.
    pub(crate) fn new(planner: &'p mut RealFftPlanner<f64>, rate: f64, good: &[bool]) -> Window<'p> {
        let len = good.len();
        let period = 2 * fast_length(len);
        let taper = |i: usize| {
            let from_end = (i.min(len - 1 - i) as f64 + 0.5) / (EDGE * len as f64);
            if from_end < 1.0 { 0.5 - 0.5 * (PI * from_end).cos() } else { 1.0 }
        };
        let weights: Vec<f64> = good.iter().enumerate().map(|(i, &good)| if good { taper(i) } else { 0.0 }).collect();
        let power = |exponent: i32| weights.iter().map(|weight| weight.powi(exponent)).sum::<f64>();
        let (sum, squares, fourth) = (power(1), power(2), power(4));
        let mut window = Window {
            planner,
            rate,
            period,
            weights,
            transforms: Default::default(),
            correlations: vec![],
            sum,
            squares,
            time: 0.0,
        };
        window.time = squares * squares / (fourth * rate);
        let square: Vec<f64> = window.weights.iter().map(|weight| weight * weight / squares).collect();
        let weights = window.weights.clone();
        window.transforms = [window.transform(weights), window.transform(square)];
        let product = window.transforms[0].iter().map(|value| (value.norm_sqr() / squares).into()).collect();
        window.correlations = window.back(product);
        window
    }

    fn transform(&mut self, mut values: Vec<f64>) -> Vec<Complex64> {
        values.resize(self.period, 0.0);
        let plan = self.planner.plan_fft_forward(self.period);
        let mut spectrum = plan.make_output_vec();
        plan.process(&mut values, &mut spectrum).expect("invariant: buffers of the plan's lengths");
        spectrum
    }

    /// Returns the series of which a spectrum is the transform.
    fn back(&mut self, mut spectrum: Vec<Complex64>) -> Vec<f64> {
        let plan = self.planner.plan_fft_inverse(self.period);
        let last = spectrum.len() - 1;
        (spectrum[0].im, spectrum[last].im) = (0.0, 0.0);
        let mut values = plan.make_output_vec();
        plan.process(&mut spectrum, &mut values).expect("invariant: buffers of the plan's lengths, real at the ends");
        values.iter_mut().for_each(|value| *value /= self.period as f64);
        values
    }

    /// Returns means over bins of frequencies, of a value for each of the spectrum's.
    fn bins(&self, value: impl Fn(usize) -> f64) -> Vec<Bin> {
        let step = self.rate / self.period as f64;
        let length = self.weights.len() as f64 / self.rate;
        let mut bins: Vec<Bin> = Vec::new();
        // Every other frequency: those of half the period.
        for k in (2..self.period / 2).step_by(2).filter(|&k| k as f64 * step >= LEAST / length) {
            let number = bin_of(k as f64 * step);
            if bins.last().is_none_or(|bin| bin.number != number) {
                bins.push(Bin { number, weight: 0.0, power: 0.0 });
            }
            let bin = bins.last_mut().expect("invariant: it was pushed");
            bin.weight += 1.0;
            bin.power += value(k);
        }
        for bin in &mut bins {
            bin.power /= bin.weight;
            bin.weight *= 2.0 * step * self.time;
        }
        bins
    }

    /// Returns the periodogram of the series in bins, in the square of its unit times s; two-sided, as all spectra here.
    pub(crate) fn periodogram(&mut self, signal: &[f64]) -> Vec<Bin> {
        // Samples that are not good may be anything.
        let tapered = |offset: f64| {
            let both = signal.iter().zip(&self.weights);
            both.map(move |(value, &weight)| if weight > 0.0 { weight * (value - offset) } else { 0.0 })
        };
        let mean = tapered(0.0).sum::<f64>() / self.sum;
        let values = tapered(mean).collect();
        let spectrum = self.transform(values);
        let scale = 1.0 / (self.squares * self.rate);
        self.bins(|k| spectrum[k].norm_sqr() * scale)
    }

    /// Returns the expectation of the periodogram in bins, for noise with a spectrum that is a function of the frequency in
    /// Hz, and is zero at frequency zero unless it is white.
    ///
    /// With the transform `A_k` of the window times the noise, the mean of which is subtracted, this is the mean square of
    /// `A_k - A_0 W_k / W_0`, where `W_k` is the transform of the window.
    pub(crate) fn expected(&mut self, spectrum: impl Fn(f64) -> f64) -> Vec<Bin> {
        let step = self.rate / self.period as f64;
        let power: Vec<f64> = (0..=self.period / 2).map(|k| spectrum(k as f64 * step)).collect();
        let covariances = self.back(power.iter().map(|&power| power.into()).collect());
        let products = covariances.iter().zip(&self.correlations).map(|(r, c)| r * c).collect();
        let squares = self.transform(products);
        // Of the window convolved with the covariance: what A_0 has in common with each sample.
        let common = self.transforms[0].iter().zip(&power).map(|(w, power)| w * power / self.squares).collect();
        let common = self.back(common);
        let weighted = common.iter().zip(&self.weights).map(|(value, weight)| value * weight).collect();
        let cross = self.transform(weighted);
        let window = self.transforms[0].clone();
        let zero = cross[0].re;
        self.bins(|k| {
            let share = window[k] / window[0].re;
            squares[k].re - 2.0 * (share.conj() * cross[k]).re + share.norm_sqr() * zero
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dolmen_core::random::Philox;

    /// The expectation by dense algebra: the covariance of all pairs of samples.
    #[test]
    fn expectations_equal_those_of_dense_covariances() {
        let (rate, len) = (8.0, 60);
        let good: Vec<bool> = (0..len).map(|i| i % 7 != 2 && !(30..38).contains(&i)).collect();
        let mut planner = RealFftPlanner::new();
        let mut window = Window::new(&mut planner, rate, &good);
        let spectrum = |f: f64| if f == 0.0 { 0.0 } else { 2.0 + (0.5 / f).powf(1.7) };
        let (period, weights) = (window.period, window.weights.clone());
        let step = rate / period as f64;
        let covariance = |lag: usize| -> f64 {
            let term = |k: usize| {
                spectrum(k.min(period - k) as f64 * step) * (2.0 * PI * (k * lag % period) as f64 / period as f64).cos()
            };
            (0..period).map(term).sum::<f64>() * step
        };
        let lags: Vec<f64> = (0..len).map(covariance).collect();
        let (sum, squares): (f64, f64) = (weights.iter().sum(), weights.iter().map(|w| w * w).sum());
        // x = w (r - sum(w r) / sum(w)), so that cov(x_i, x_j) = w_i w_j (R_ij - m_i - m_j + m).
        let mean: Vec<f64> =
            (0..len).map(|i| (0..len).map(|j| weights[j] * lags[i.abs_diff(j)]).sum::<f64>() / sum).collect();
        let all = (0..len).map(|i| weights[i] * mean[i]).sum::<f64>() / sum;
        let dense = |k: usize| -> f64 {
            let mut power = 0.0;
            for i in 0..len {
                for j in 0..len {
                    let angle = 2.0 * PI * (k as f64) * (i as f64 - j as f64) / period as f64;
                    power += weights[i] * weights[j] * (lags[i.abs_diff(j)] - mean[i] - mean[j] + all) * angle.cos();
                }
            }
            power / (squares * rate)
        };
        let expected = window.bins(dense);
        let found = window.expected(spectrum);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found.power / expected.power - 1.0).abs() < 1e-10, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn periodograms_of_white_noise_have_its_level() {
        let (rate, len) = (10.0, 20_000);
        let good: Vec<bool> = (0..len).map(|i| i % 100 > 20).collect();
        let mut signal = vec![0.0; len];
        Philox::new(4).fill_normal(0, 0, &mut signal);
        signal
            .iter_mut()
            .zip(&good)
            .for_each(|(value, &good)| *value = if good { 5.0 + 2.0 * *value } else { f64::NAN });
        let mut planner = RealFftPlanner::new();
        let mut window = Window::new(&mut planner, rate, &good);
        let (found, expected) = (window.periodogram(&signal), window.expected(|_| 0.4));
        let weight: f64 = found.iter().map(|bin| bin.weight).sum();
        // About half as many frequencies as good samples, less those of the taper.
        assert!((0.6..0.8).contains(&(weight / (len as f64 / 2.0))), "{weight}");
        let ratio = found.iter().zip(&expected).map(|(a, b)| a.weight * a.power / b.power).sum::<f64>() / weight;
        assert!((ratio - 1.0).abs() < 4.0 / weight.sqrt(), "{ratio}");
    }
}
