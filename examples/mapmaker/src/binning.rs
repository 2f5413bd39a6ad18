//! Sums over the samples of each pixel, `P^T W v`, with the same bits on any number of ranks.
//!
//! A pixel is hit by samples of several ranks, and floating-point sums depend on how they are
//! grouped. The sums are therefore made in fixed point: every term is scaled by one power of two,
//! chosen from a global bound so that no pixel can overflow, and added as a 64-bit integer.
//! Integer sums are exact and do not care for order. One unit is the bound times 2^-61, so with a
//! thousand hits in a pixel a term keeps about 50 bits.

use dolmen_core::{Combine, index::at};

use crate::pixels::Pixels;
use crate::samples::{Part, Samples};
use crate::small::{outer, packed_len};

/// The weights of a sample for the Stokes parameters of the map.
#[inline(always)]
pub fn weights<const N: usize>(cos: f64, sin: f64) -> [f64; N] {
    const { assert!(N >= 1 && N <= 3, "I, QU or IQU") };
    std::array::from_fn(|i| match (N, i) {
        (1, _) | (3, 0) => 1.0,
        (2, 0) | (3, 1) => cos,
        _ => sin,
    })
}

/// Reused memory of pixel sums.
#[derive(Default)]
pub struct Workspace {
    seen: Vec<i64>,
    owned: Vec<i64>,
}

/// A term in units of the fixed-point scale, rounded towards zero.
#[expect(clippy::cast_possible_truncation, reason = "the scale keeps terms below 2^62")]
#[inline(always)]
fn fixed(term: f64) -> i64 {
    term as i64
}

/// The largest power of two by which sums bounded by `bound` fit 62 bits.
fn scale_for(bound: f64) -> f64 {
    debug_assert!(bound > 0.0 && bound.is_finite());
    let exponent = i32::try_from((bound.to_bits() >> 52) & 0x7ff).expect("invariant: 11 bits") - 1022;
    // Bounds below 2^-939 would need a scale that is not a number; they lose bits instead.
    2f64.powi((61 - exponent).min(1000))
}

/// The samples of a run and the pixels they are summed to.
pub struct Binning<'a> {
    /// The map's pixels.
    pub pixels: &'a Pixels,
    /// This rank's samples.
    pub samples: &'a Samples,
    /// No pixel's weights add up to more than this; the same on all ranks.
    pub bound: f64,
}

/// Number of samples in each pixel that this rank owns.
///
/// # Collective
pub fn count_hits(pixels: &Pixels, samples: &Samples) -> Vec<i64> {
    let mut seen = vec![0i64; pixels.seen.len()];
    for &pixel in &samples.pixel {
        seen[at(pixel)] += 1;
    }
    let mut owned = vec![0; pixels.layout.local_len()];
    pixels.plan.start_export(&seen, 1).finish(Combine::Add, &mut owned);
    owned
}

impl Binning<'_> {
    /// Sums `sample weight * value(baseline, sample) * Stokes weights` over the samples of each
    /// pixel, where no value is larger than `largest` (the same on all ranks). Leaves `N` sums
    /// for each pixel that this rank owns in `sums`.
    ///
    /// # Collective
    pub fn sum_values<const N: usize>(
        &self,
        part: Part,
        largest: f64,
        value: impl Fn(usize, usize) -> f64,
        work: &mut Workspace,
        sums: &mut Vec<f64>,
    ) {
        let samples = self.samples;
        self.sum_terms(N, largest, work, sums, |scale, seen| {
            for baseline in 0..samples.baselines() {
                let weight = samples.weight[baseline] * scale;
                for i in samples.range(baseline, part) {
                    let term = weight * value(baseline, i);
                    let slots = &mut seen[at(samples.pixel[i]) * N..][..N];
                    for (slot, stokes) in slots.iter_mut().zip(weights::<N>(samples.cos[i], samples.sin[i])) {
                        *slot += fixed(term * stokes);
                    }
                }
            }
        });
    }

    /// The blocks `P^T W P` of the pixels that this rank owns, packed.
    ///
    /// # Collective
    pub fn sum_blocks<const N: usize>(&self) -> Vec<f64> {
        let (samples, size) = (self.samples, packed_len(N));
        let mut sums = Vec::new();
        self.sum_terms(size, 1.0, &mut Workspace::default(), &mut sums, |scale, seen| {
            for baseline in 0..samples.baselines() {
                let weight = samples.weight[baseline] * scale;
                for i in samples.range(baseline, Part::All) {
                    let slots = &mut seen[at(samples.pixel[i]) * size..][..size];
                    outer(weights::<N>(samples.cos[i], samples.sin[i]), |k, term| slots[k] += fixed(weight * term));
                }
            }
        });
        sums
    }

    /// Adds up fixed-point sums of `width` values a pixel over the ranks.
    fn sum_terms(
        &self,
        width: usize,
        largest: f64,
        work: &mut Workspace,
        sums: &mut Vec<f64>,
        accumulate: impl FnOnce(f64, &mut [i64]),
    ) {
        let pixels = self.pixels;
        work.seen.clear();
        work.seen.resize(pixels.seen.len() * width, 0);
        work.owned.clear();
        work.owned.resize(pixels.layout.local_len() * width, 0);
        sums.clear();
        let total = self.bound * largest;
        if total == 0.0 {
            sums.resize(work.owned.len(), 0.0);
            return;
        }
        let scale = scale_for(total);
        accumulate(scale, &mut work.seen);
        pixels.plan.start_export(&work.seen, width).finish(Combine::Add, &mut work.owned);
        #[expect(clippy::cast_precision_loss, reason = "rounded once to double precision")]
        sums.extend(work.owned.iter().map(|&sum| sum as f64 / scale));
    }
}

/// The largest absolute value over all ranks.
///
/// # Collective
pub fn largest(pixels: &Pixels, values: impl Iterator<Item = f64>) -> f64 {
    let mut largest = [values.fold(0.0f64, |max, value| max.max(value.abs()))];
    pixels.layout.comm().all_reduce_max(&mut largest);
    largest[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_leave_room_for_the_bound() {
        assert!(1e-300 * scale_for(1e-300) <= 2f64.powi(61));
        for bound in [1e-200, 1e-9, 0.99, 1.0, 1.01, 12345.678, 1e100] {
            let scaled = bound * scale_for(bound);
            assert!((2f64.powi(60)..2f64.powi(61) * 1.0001).contains(&scaled), "{bound}: {scaled}");
        }
    }

    #[test]
    fn weights_of_each_kind_of_map() {
        assert_eq!(weights::<1>(0.6, 0.8), [1.0]);
        assert_eq!(weights::<2>(0.6, 0.8), [0.6, 0.8]);
        assert_eq!(weights::<3>(0.6, 0.8), [1.0, 0.6, 0.8]);
    }
}
