//! Sums over the samples of each pixel, `P^T W v`, with the same bits on any number of ranks.
//!
//! A pixel is hit by samples of several ranks, and floating-point sums depend on how they are
//! grouped. The sums are therefore made in fixed point, which is exact and does not care for order:
//! every term is scaled by one power of two, chosen from a global bound so that no pixel can
//! overflow, and split into a whole number and a fraction, which are added as 64-bit integers. One
//! unit of the fraction is less than 2^-100 of the bound, so a pixel keeps all the bits of its own
//! terms even where another pixel holds an outlier or a detector weighs a million times as much.

use dolmen_core::{Combine, index::at};

use crate::pixel_blocks::{outer, packed_len};
use crate::pixels::Pixels;
use crate::samples::{Part, Samples};

/// Computes the weights of a sample for the Stokes parameters of the map.
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

/// Integers that hold one sum: its whole units and its fractions.
const LIMBS: usize = 2;

/// Conversion of terms to integers.
#[derive(Clone, Copy)]
struct Scale {
    /// Units in one: a power of two.
    units: f64,
    /// Fractions in a unit: a power of two that as many terms as a pixel has hits cannot overflow.
    fractions: f64,
}

impl Scale {
    /// For pixels of at most `hits` terms whose sizes add up to at most `bound`.
    fn new(bound: f64, hits: f64) -> Scale {
        Scale { units: power_below(bound), fractions: power_below(hits) }
    }

    /// Adds a term to a sum.
    #[inline(always)]
    fn add(self, term: f64, sum: &mut [i64]) {
        // Scaling by powers of two, taking the whole part and the difference are all exact.
        let scaled = term * self.units;
        let whole = truncate(scaled);
        sum[0] += whole;
        #[expect(clippy::cast_precision_loss, reason = "the whole part of a double is a double")]
        let fraction = scaled - whole as f64;
        sum[1] += truncate(fraction * self.fractions);
    }

    /// Computes a sum as a number, rounded.
    #[expect(clippy::cast_precision_loss, reason = "rounding to double precision is the purpose")]
    fn value(self, sum: &[i64]) -> f64 {
        (sum[0] as f64 + sum[1] as f64 / self.fractions) / self.units
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the scale keeps sums below 2^62")]
#[inline(always)]
fn truncate(value: f64) -> i64 {
    value as i64
}

/// Returns a power of two by which sums bounded by `bound` fit 62 bits.
fn power_below(bound: f64) -> f64 {
    debug_assert!(bound > 0.0 && bound.is_finite());
    let exponent = i32::try_from((bound.to_bits() >> 52) & 0x7ff).expect("invariant: 11 bits") - 1022;
    // Bounds below 2^-939 would need a power that is not a number; they lose bits instead.
    2f64.powi((61 - exponent).min(1000))
}

/// Bounds on what one pixel holds, over all ranks.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Largest number of samples.
    pub hits: f64,
    /// Largest weight of a sample.
    pub weight: f64,
}

/// The samples of a run and the pixels they are summed to.
pub struct Binning<'a> {
    /// The map's pixels.
    pub pixels: &'a Pixels,
    /// This rank's samples.
    pub samples: &'a Samples,
    /// Bounds on the sums of a pixel, the same on all ranks.
    pub bound: Bound,
}

/// Counts the samples in each pixel that this rank owns.
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
                let weight = samples.weight[baseline];
                for i in samples.range(baseline, part) {
                    let term = weight * value(baseline, i);
                    let sums = &mut seen[at(samples.pixel[i]) * N * LIMBS..][..N * LIMBS];
                    let stokes = weights::<N>(samples.cos[i], samples.sin[i]);
                    for (sum, stokes) in sums.as_chunks_mut::<LIMBS>().0.iter_mut().zip(stokes) {
                        scale.add(term * stokes, sum);
                    }
                }
            }
        });
    }

    /// Computes the blocks `P^T W P` of the pixels that this rank owns, packed.
    ///
    /// # Collective
    pub fn sum_blocks<const N: usize>(&self) -> Vec<f64> {
        let (samples, size) = (self.samples, packed_len(N));
        let mut sums = Vec::new();
        self.sum_terms(size, 1.0, &mut Workspace::default(), &mut sums, |scale, seen| {
            for baseline in 0..samples.baselines() {
                let weight = samples.weight[baseline];
                for i in samples.range(baseline, Part::All) {
                    let sums = &mut seen[at(samples.pixel[i]) * size * LIMBS..][..size * LIMBS];
                    outer(weights::<N>(samples.cos[i], samples.sin[i]), |k, term| {
                        scale.add(weight * term, &mut sums[k * LIMBS..][..LIMBS]);
                    });
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
        accumulate: impl FnOnce(Scale, &mut [i64]),
    ) {
        let pixels = self.pixels;
        work.seen.clear();
        work.seen.resize(pixels.seen.len() * width * LIMBS, 0);
        work.owned.clear();
        work.owned.resize(pixels.layout.local_len() * width * LIMBS, 0);
        sums.clear();
        let total = self.bound.hits * self.bound.weight * largest;
        if total == 0.0 {
            sums.resize(work.owned.len() / LIMBS, 0.0);
            return;
        }
        let scale = Scale::new(total, self.bound.hits);
        accumulate(scale, &mut work.seen);
        pixels.plan.start_export(&work.seen, width * LIMBS).finish(Combine::Add, &mut work.owned);
        sums.extend(work.owned.as_chunks::<LIMBS>().0.iter().map(|sum| scale.value(sum)));
    }
}

/// Computes the largest absolute value over all ranks.
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
        assert!(1e-300 * power_below(1e-300) <= 2f64.powi(61));
        for bound in [1e-200, 1e-9, 0.99, 1.0, 1.01, 12345.678, 1e100] {
            let scaled = bound * power_below(bound);
            assert!((2f64.powi(60)..2f64.powi(61) * 1.0001).contains(&scaled), "{bound}: {scaled}");
        }
    }

    #[test]
    fn small_terms_survive_beside_an_outlier() {
        // A bound of 1e12 from another pixel; this one holds a thousand terms of a microkelvin.
        let scale = Scale::new(1e12 * 1000.0, 1000.0);
        let mut sum = [0; LIMBS];
        for i in 0..1000 {
            scale.add(1e-6 * (1.0 + 1e-3 * f64::from(i)), &mut sum);
        }
        let exact = 1e-6 * (1000.0 + 1e-3 * 499_500.0);
        assert!((scale.value(&sum) / exact - 1.0).abs() < 1e-12, "{}", scale.value(&sum));
    }

    #[test]
    fn weights_of_each_kind_of_map() {
        assert_eq!(weights::<1>(0.6, 0.8), [1.0]);
        assert_eq!(weights::<2>(0.6, 0.8), [0.6, 0.8]);
        assert_eq!(weights::<3>(0.6, 0.8), [1.0, 0.6, 0.8]);
    }
}
