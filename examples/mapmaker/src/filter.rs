//! Noise that is stationary, as a filter: the inverse of its spectrum, applied by FFT to values on a period.

use std::sync::Arc;

use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Multiplication by the inverse of a spectrum, but for its mean, which is free.
pub(crate) struct Filter {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    /// The inverse of the power at each frequency, divided by the period; zero at frequency zero.
    factors: Vec<f64>,
}

impl Filter {
    /// Creates the filter of values at `rate` Hz whose spectrum, in each of their bins, is `power` at a frequency in Hz.
    pub(crate) fn new(
        planner: &mut RealFftPlanner<f64>,
        period: usize,
        rate: f64,
        power: impl Fn(f64) -> f64,
    ) -> Filter {
        let forward = planner.plan_fft_forward(period);
        let inverse = planner.plan_fft_inverse(period);
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^33 values")]
        let factor =
            |k: usize| if k == 0 { 0.0 } else { 1.0 / (power(k as f64 * rate / period as f64) * period as f64) };
        let factors = (0..forward.complex_len()).map(factor).collect();
        Filter { forward, inverse, factors }
    }

    /// Returns the length of the period.
    pub(crate) fn period(&self) -> usize {
        self.forward.len()
    }

    /// Returns the kernel: the response to a one, over the period.
    pub(crate) fn kernel(&self) -> Vec<f64> {
        let (mut kernel, mut spectrum, mut scratch) = (vec![1.0], Vec::new(), Vec::new());
        self.apply(&mut kernel, &mut spectrum, &mut scratch);
        kernel
    }

    /// Filters values, which are padded with zeros to the period.
    pub(crate) fn apply(&self, values: &mut Vec<f64>, spectrum: &mut Vec<Complex64>, scratch: &mut Vec<Complex64>) {
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
    pub(crate) fn band(&self, widths: std::ops::RangeInclusive<usize>, power: f64, len: usize) -> Vec<f64> {
        let mut kernel = self.kernel();
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
