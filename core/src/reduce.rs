//! Sums that do not depend on the number of ranks.
//!
//! A floating-point sum changes with its order, so a norm computed on 4 ranks differs in its last
//! bits from the one on 3, and an iterative solver then takes another path. [`BinnedSum`] adds
//! exactly instead, on a fixed grid: the exponent range is cut into bins of 40 bits, every summand
//! is split, by rounding to nearest, into its parts in the three highest bins in use, and each bin
//! is an integer sum, which is associative. Parts below the third bin (less than 2^-80 of the
//! largest summand's bin) are dropped, for every order of summation alike. The result has the
//! same bits on any number of ranks, lanes and threads, and is closer to the exact sum than a
//! plain loop; one reduction of 64 bytes merges the ranks.
//!
//! Ahrens, Demmel, Nguyen, "Algorithms for Efficient Reproducible Floating Point Summation",
//! ACM TOMS 46 (2020) 22: the grid, the extraction of a bin by adding and subtracting 1.5 ulp of
//! a large number, and the last bit set to avoid ties. Keeping the bins as 128-bit integers
//! instead of floating-point carries is ours: merging is then an addition.
//!
//! Cost: about ten instructions for each vector register of summands, hidden behind memory for
//! long vectors.

use std::cell::RefCell;

use bytemuck::{Pod, Zeroable};

use crate::comm::{Comm, Merge};
use crate::scalar::{Real, Scalar};
use crate::simd;

/// How sums over all ranks are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// The same bits on any number of ranks.
    #[default]
    Reproducible,
    /// Plain floating-point sums, whose last bits depend on the distribution.
    Fast,
}

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

/// The smallest bin `t` with `|value| < 2^(WIDTH - 1)` units of bin `t`.
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

    /// The sum, rounded to double precision.
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

/// `integer * 2^exponent`, rounded.
#[expect(clippy::cast_precision_loss, reason = "rounding to double precision is the purpose")]
fn to_f64(integer: i128, exponent: i64) -> f64 {
    let half = exponent / 2;
    integer as f64 * exact_power(half) * exact_power(exponent - half)
}

/// A power of two, subnormal ones included.
fn exact_power(exponent: i64) -> f64 {
    if exponent < -1022 { power_of_two(exponent + 60) * power_of_two(-60) } else { power_of_two(exponent) }
}

/// Reproducible partial sums of a complex number: real and imaginary part.
pub(crate) type BinnedPair = [BinnedSum; 2];

/// Which inner product: `conj(a) b` (BLAS `dotc`) or `a b` (BLAS `dotu`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Conjugated,
    Bilinear,
}

/// Entries of long vectors that are handled at once when several sums read the same vector.
pub(crate) const BLOCK: usize = CHUNK / 2;

/// Adds the products of the entries of `a` and `b`, each rounded once to double precision.
pub(crate) fn add_dot<T: Scalar>(sums: &mut BinnedPair, a: &[T], b: &[T], form: Form) {
    let [re, im] = sums;
    if !T::COMPLEX {
        return re.add_products(T::parts(a), T::parts(b));
    }
    let sign = if form == Form::Conjugated { 1.0 } else { -1.0 };
    let mut products = [[0.0; CHUNK]; 2];
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let (a, _) = T::parts(a).as_chunks::<2>();
        let (b, _) = T::parts(b).as_chunks::<2>();
        simd::dispatch(|| {
            let [re_products, im_products] = products.each_mut().map(|buffer| buffer.as_chunks_mut::<2>().0);
            for (((re, im), a), b) in re_products.iter_mut().zip(im_products).zip(a).zip(b) {
                let [a, b] = [a, b].map(|parts| parts.map(Real::to_f64));
                *re = [a[0] * b[0], sign * a[1] * b[1]];
                *im = [a[0] * b[1], -sign * a[1] * b[0]];
            }
            re.add_chunk(&products[0][..2 * a.len()]);
            im.add_chunk(&products[1][..2 * a.len()]);
        });
    }
}

/// Adds `f` of each value, in double precision.
pub(crate) fn add_mapped<T: Copy>(sum: &mut BinnedSum, values: &[T], f: impl Fn(T) -> f64) {
    let mut buffer = [0.0; CHUNK];
    for values in values.chunks(CHUNK) {
        for (slot, &value) in buffer.iter_mut().zip(values) {
            *slot = f(value);
        }
        sum.add(&buffer[..values.len()]);
    }
}

/// Plain partial sum of the products of the entries of `a` and `b`, in sixteen lanes.
pub(crate) fn fast_dot<T: Scalar>(a: &[T], b: &[T], form: Form) -> T {
    match form {
        Form::Conjugated => fast_sum(a, b, |a, b| a.conj() * b),
        Form::Bilinear => fast_sum(a, b, |a, b| a * b),
    }
}

/// Plain sum of `f(a[i], b[i])`, in sixteen lanes.
pub(crate) fn fast_sum<A: Copy, T: Scalar>(a: &[A], b: &[A], f: impl Fn(A, A) -> T) -> T {
    simd::dispatch(|| {
        let mut lanes = [T::ZERO; LANES];
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for i in 0..LANES {
                lanes[i] += f(a[i], b[i]);
            }
        }
        let rest: T = a_rest.iter().zip(b_rest).map(|(&a, &b)| f(a, b)).sum();
        lanes.into_iter().sum::<T>() + rest
    })
}

/// Memory of reductions of any number of sums, kept from one to the next.
#[derive(Default)]
struct Scratch {
    pairs: Vec<BinnedPair>,
    partial: Vec<BinnedSum>,
    total: Vec<BinnedSum>,
    plain: Vec<[f64; 2]>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());

/// Sums over all ranks in one reduction, the same bits on any number of ranks: `add` gives this
/// rank's part of each. Nothing is allocated once as many sums were taken before.
pub(crate) fn sum_binned<T: Scalar>(comm: &Comm, sums: &mut [T], add: impl FnOnce(&mut [BinnedPair])) {
    SCRATCH.with_borrow_mut(|scratch| {
        let Scratch { pairs, partial, total, .. } = scratch;
        pairs.clear();
        pairs.resize(sums.len(), BinnedPair::default());
        add(pairs);
        // The imaginary parts of real sums are not sent.
        let parts = 1 + usize::from(T::COMPLEX);
        partial.clear();
        partial.extend(pairs.iter().flat_map(|pair| &pair[..parts]));
        total.clear();
        total.resize(partial.len(), BinnedSum::default());
        comm.all_reduce_merge(partial, total);
        for (sum, parts) in sums.iter_mut().zip(total.chunks_exact(parts)) {
            *sum = T::from_parts(parts[0].value(), parts.get(1).map_or(0.0, BinnedSum::value));
        }
    });
}

/// Replaces each of this rank's plain sums by the sum over all ranks, in one reduction.
pub(crate) fn sum_plain<T: Scalar>(comm: &Comm, sums: &mut [T]) {
    SCRATCH.with_borrow_mut(|scratch| {
        let plain = &mut scratch.plain;
        plain.clear();
        plain.extend(sums.iter().map(|sum| [sum.re().to_f64(), sum.im().to_f64()]));
        comm.all_reduce_sum(plain.as_flattened_mut());
        for (sum, [re, im]) in sums.iter_mut().zip(plain) {
            *sum = T::from_parts(*re, *im);
        }
    });
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

    /// The same sum from parts added separately and merged in another order.
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
    fn special_values_win() {
        assert!(sum(&[1.0, f64::NAN]).is_nan());
        assert_eq!(sum(&[1.0, f64::INFINITY, -1e308]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn dot_products_of_all_scalars() {
        use crate::{Complex32, Complex64};
        fn value<T: Scalar>(a: &[T], b: &[T], form: Form) -> (f64, f64) {
            let mut sums = BinnedPair::default();
            add_dot(&mut sums, a, b, form);
            (sums[0].value(), sums[1].value())
        }
        assert_eq!(value(&[1.0f32, 2.0], &[3.0, 4.0], Form::Conjugated), (11.0, 0.0));
        let (a, b) = (Complex64::new(1.0, 2.0), Complex64::new(3.0, -5.0));
        assert_eq!(value(&[a], &[b], Form::Conjugated), (-7.0, -11.0));
        assert_eq!(value(&[a], &[b], Form::Bilinear), (13.0, 1.0));
        assert_eq!(value(&[a; 1500], &[b; 1500], Form::Bilinear), (13.0 * 1500.0, 1500.0));
        assert_eq!(fast_dot(&[a; 33], &[b; 33], Form::Conjugated), (a.conj() * b) * 33.0);
        assert_eq!(fast_dot(&[a; 33], &[b; 33], Form::Bilinear), (a * b) * 33.0);
        assert_eq!(
            value(&[Complex32::new(3.0, 4.0); 3], &[Complex32::new(3.0, 4.0); 3], Form::Conjugated),
            (75.0, 0.0)
        );
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
