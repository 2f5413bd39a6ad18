//! Exact sums on a fixed grid of bins.
//!
//! The exponent range is cut into bins of 40 bits. Every summand is split, by rounding to nearest,
//! into its parts in the three highest bins in use, and each bin is an integer sum, which is
//! associative. Parts below the third bin (less than 2^-80 of the largest summand's bin) are
//! dropped, for every order of summation alike. The result has the same bits in any order, and is
//! closer to the exact sum than a plain loop; merging two sums adds 128-bit integers.
//!
//! Ahrens, Demmel, Nguyen, "Algorithms for Efficient Reproducible Floating Point Summation",
//! ACM TOMS 46 (2020) 22: the grid, the extraction of a bin by adding and subtracting 1.5 ulp of
//! a large number, and the last bit set to avoid ties. Keeping the bins as 128-bit integers
//! instead of floating-point carries is ours.
//!
//! Cost: about ten instructions for each vector register of summands.

use bytemuck::{Pod, Zeroable};

use crate::comm::Merge;
use crate::scalar::Real;
use crate::simd;

/// Bits of a bin.
const WIDTH: i64 = 40;
/// Bins that are kept.
const FOLDS: usize = 3;
/// Exponent of the unit of bin 0: the smallest subnormal number.
const FLOOR: i64 = -1074;
/// Lowest top bin. One above the minimum, so that the last-bit trick cannot reach the unit of the
/// lowest bin; sums of numbers below 2^-1000 lose accuracy, not reproducibility.
const LOWEST_TOP: i64 = 3;
/// Highest top bin whose rounding constant is finite.
const HIGHEST_TOP: i64 = 51;
/// Summands that are handled at once; also keeps each lane within the 2^11 additions that a bin
/// of 40 bits can take before it could overflow its 53-bit number.
const CHUNK: usize = 1024;
/// Independent lanes of a chunk.
const LANES: usize = 16;

/// A sum in progress, the same for any order of its summands.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct BinnedSum {
    /// Integer sums in units of bins `top`, `top - 1`, `top - 2`.
    bins: [i128; FOLDS],
    top: i64,
    /// Sum of the summands that are not finite; zero if all are.
    special: f64,
}

impl Default for BinnedSum {
    fn default() -> BinnedSum {
        BinnedSum { bins: [0; FOLDS], top: LOWEST_TOP, special: 0.0 }
    }
}

impl Merge for BinnedSum {
    fn merge(&mut self, other: &BinnedSum) {
        let mut other = *other;
        self.raise(other.top);
        other.raise(self.top);
        for (mine, theirs) in self.bins.iter_mut().zip(other.bins) {
            *mine += theirs;
        }
        self.special += other.special;
    }
}

/// Biased exponent of a number; 0 for subnormal numbers, 2047 for infinities and NaN.
#[inline(always)]
fn biased_exponent(value: f64) -> i64 {
    ((value.to_bits() >> 52) & 0x7ff).cast_signed()
}

/// Returns the smallest bin `t` with `|value| < 2^(WIDTH - 1)` units of bin `t`.
fn top_bin(value: f64) -> i64 {
    let above = biased_exponent(value).max(1) - 1022;
    // (x + 39) / 40 rounds up; the 39 of the bin's half width and of the ceiling cancel.
    ((above - FLOOR) / WIDTH).max(LOWEST_TOP)
}

/// 1.5 * 2^52 units of a bin: adding it rounds to a multiple of the unit.
fn rounder(bin: i64) -> f64 {
    power_of_two(bin * WIDTH + FLOOR + 52) * 1.5
}

fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023).clamp(1, 2046).cast_unsigned()) << 52)
}

/// Sums of one chunk in the bins whose rounding constants are given, in units of each bin.
#[inline(always)]
fn extract(values: &[f64], rounders: [f64; FOLDS]) -> Option<[i64; FOLDS]> {
    let mut lanes = rounders.map(|rounder| [rounder; LANES]);
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut padded = [0.0; LANES];
    padded[..rest.len()].copy_from_slice(rest);
    for group in groups.iter().chain(std::iter::once(&padded)) {
        deposit(group, &mut lanes);
    }
    let mut sums = [0i64; FOLDS];
    for (fold, sum) in sums.iter_mut().enumerate() {
        for lane in lanes[fold] {
            if lane.is_nan() {
                return None;
            }
            *sum += lane.to_bits().cast_signed() - rounders[fold].to_bits().cast_signed();
        }
    }
    Some(sums)
}

#[inline(always)]
fn deposit(group: &[f64; LANES], lanes: &mut [[f64; LANES]; FOLDS]) {
    let odd = |value: f64| f64::from_bits(value.to_bits() | 1);
    for i in 0..LANES {
        let mut rest = group[i];
        for lane in &mut lanes[..FOLDS - 1] {
            let sum = lane[i] + odd(rest);
            rest -= sum - lane[i];
            lane[i] = sum;
        }
        lanes[FOLDS - 1][i] += odd(rest);
    }
}

#[inline(always)]
fn largest(values: &[f64]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for i in 0..LANES {
            let size = group[i].abs();
            lanes[i] = if size > lanes[i] { size } else { lanes[i] };
        }
    }
    rest.iter().chain(&lanes).fold(0.0, |max, value| if value.abs() > max { value.abs() } else { max })
}

impl BinnedSum {
    /// Returns true if the sum of this number alone certainly is the number itself: bins keep all of its bits.
    pub(crate) fn keeps(value: f64) -> bool {
        const KEPT: std::ops::Range<f64> = 1e-280..1e280;
        value.to_bits() == 0 || KEPT.contains(&value.abs())
    }

    /// Adds all of `values`.
    pub fn add(&mut self, values: &[f64]) {
        for chunk in values.chunks(CHUNK) {
            simd::dispatch(|| self.add_chunk(chunk));
        }
    }

    #[inline(always)]
    fn add_chunk(&mut self, chunk: &[f64]) {
        let largest = largest(chunk);
        let top = top_bin(largest).max(self.top);
        if biased_exponent(largest) == 2047 || top > HIGHEST_TOP {
            return self.add_rare(chunk);
        }
        self.raise(top);
        match extract(chunk, [top, top - 1, top - 2].map(rounder)) {
            Some(sums) => self.collect(sums),
            None => self.add_rare(chunk),
        }
    }

    fn collect(&mut self, sums: [i64; FOLDS]) {
        for (bin, sum) in self.bins.iter_mut().zip(sums) {
            *bin += i128::from(sum);
        }
    }

    /// Chunks with NaN or infinities, or so large that the rounding constant would overflow: those
    /// are scaled down by two bins first, which changes no bit of what is kept.
    #[cold]
    fn add_rare(&mut self, chunk: &[f64]) {
        let mut finite = [0.0; CHUNK];
        for (slot, &value) in finite.iter_mut().zip(chunk) {
            if value.is_finite() {
                *slot = value;
            } else {
                self.special += value;
            }
        }
        let finite = &mut finite[..chunk.len()];
        self.raise(top_bin(largest(finite)));
        let mut shift = 0;
        if self.top > HIGHEST_TOP {
            shift = 2;
            let scale = power_of_two(-shift * WIDTH);
            finite.iter_mut().for_each(|value| *value *= scale);
        }
        let rounders = [self.top, self.top - 1, self.top - 2].map(|bin| rounder(bin - shift));
        let sums = extract(finite, rounders).expect("invariant: only finite values are left");
        self.collect(sums);
    }

    /// Moves to a higher top bin; what falls below the third bin is dropped.
    #[inline]
    fn raise(&mut self, top: i64) {
        while self.top < top {
            self.bins = [0, self.bins[0], self.bins[1]];
            self.top += 1;
        }
    }

    /// Adds the products `a[i] * b[i]`, each rounded once to double precision.
    pub fn add_products<T: Real>(&mut self, a: &[T], b: &[T]) {
        let mut buffer = [0.0; CHUNK];
        for (a, b) in a.chunks(CHUNK).zip(b.chunks(CHUNK)) {
            simd::dispatch(|| {
                for ((slot, a), b) in buffer.iter_mut().zip(a).zip(b) {
                    *slot = a.to_f64() * b.to_f64();
                }
                self.add_chunk(&buffer[..a.len()]);
            });
        }
    }

    /// Returns the sum, rounded to double precision.
    pub fn value(&self) -> f64 {
        if self.special != 0.0 || self.special.is_nan() {
            return if self.special.is_nan() { f64::NAN } else { self.special };
        }
        // Carry upwards, so that the lower bins are in 0..2^40.
        let [mut high, mut middle, mut low] = self.bins;
        middle += low >> WIDTH;
        low &= (1 << WIDTH) - 1;
        high += middle >> WIDTH;
        middle &= (1 << WIDTH) - 1;
        let unit = self.top * WIDTH + FLOOR;
        // As many bins as fit 127 bits; the rest is below the last bit of the result.
        if high.unsigned_abs() < 1 << 46 {
            to_f64((((high << WIDTH) | middle) << WIDTH) | low, unit - 2 * WIDTH)
        } else {
            to_f64((high << WIDTH) | middle, unit - WIDTH)
        }
    }
}

/// Returns `integer * 2^exponent`, rounded.
#[expect(clippy::cast_precision_loss, reason = "rounding to double precision is the purpose")]
fn to_f64(integer: i128, exponent: i64) -> f64 {
    let half = exponent / 2;
    integer as f64 * exact_power(half) * exact_power(exponent - half)
}

/// Returns a power of two, subnormal ones included.
fn exact_power(exponent: i64) -> f64 {
    if exponent < -1022 { power_of_two(exponent + 60) * power_of_two(-60) } else { power_of_two(exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = BinnedSum::default();
        sum.add(values);
        sum.value()
    }

    /// Returns the same sum from parts added separately and merged in another order.
    fn merged(values: &[f64], parts: usize) -> f64 {
        let mut total = BinnedSum::default();
        let pieces: Vec<_> = values.chunks(values.len().div_ceil(parts).max(1)).collect();
        for piece in pieces.into_iter().rev() {
            let mut part = BinnedSum::default();
            piece.iter().rev().for_each(|&value| part.add(&[value]));
            total.merge(&part);
        }
        total.value()
    }

    #[test]
    fn simple_sums_are_exact() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[1.0, 2.0, -4.0]), -1.0);
        assert_eq!(sum(&[1e16, 1.0, -1e16]), 1.0);
        let big = 2f64.powi(940);
        assert_eq!(sum(&[f64::MAX, -f64::MAX, big]), big);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&vec![0.1; 10_000]), 1000.0);
    }

    #[test]
    fn numbers_that_are_kept_are_their_own_sums() {
        let mut kept = 0;
        for exponent in -1074..1024 {
            for mantissa in [1.0, 1.0 + f64::EPSILON, 1.1, 4.0 / 3.0, 2.0 - f64::EPSILON] {
                for value in [mantissa * exact_power(exponent), -mantissa * exact_power(exponent)] {
                    if BinnedSum::keeps(value) {
                        assert_eq!(sum(&[value]).to_bits(), value.to_bits(), "{value:e}");
                        kept += 1;
                    }
                }
            }
        }
        assert!(kept > 18_000);
        assert!(BinnedSum::keeps(0.0) && sum(&[0.0]).to_bits() == 0);
        assert!([-0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE].iter().all(|value| !BinnedSum::keeps(*value)));
    }

    #[test]
    fn special_values_win() {
        assert!(sum(&[1.0, f64::NAN]).is_nan());
        assert_eq!(sum(&[1.0, f64::INFINITY, -1e308]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    fn wide() -> impl Strategy<Value = f64> {
        (-1.0f64..1.0, -1060i32..1023).prop_map(|(m, e)| m * 2f64.powi(e / 2) * 2f64.powi(e - e / 2))
    }

    proptest! {
        #[test]
        fn order_and_parts_do_not_matter(values in prop::collection::vec(wide(), 0..3000), parts in 1usize..9) {
            prop_assert_eq!(sum(&values).to_bits(), merged(&values, parts).to_bits());
        }

        #[test]
        fn sums_are_close_to_exact(values in prop::collection::vec(-1e6f64..1e6, 1..3000)) {
            // Integers of 2^-30 units are exact in i128.
            let grid: Vec<f64> = values.iter().map(|v| (v * 2f64.powi(30)).round() / 2f64.powi(30)).collect();
            #[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^63")]
            let exact: i128 = grid.iter().map(|v| i128::from((v * 2f64.powi(30)) as i64)).sum();
            #[expect(clippy::cast_precision_loss, reason = "the reference is rounded once")]
            let exact = exact as f64 / 2f64.powi(30);
            prop_assert_eq!(sum(&grid), exact);
        }
    }
}
