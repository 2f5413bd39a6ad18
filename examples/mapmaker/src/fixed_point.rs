//! Sums as whole numbers, which do not depend on the order of their terms.
//!
//! Floating-point sums depend on how they are grouped. Here every term is split into digits of a power of two, which
//! are added as 64-bit integers: exact, and the same in any order and on any number of ranks. A [`Converter`] is made for a known
//! bound of the terms, or by [`Digits`], which take larger terms as they come.

use dolmen_core::scaling::exponent;

/// 1.5 2^52: adding it to a number below 2^51 rounds that to a whole number, in the last bits of the sum.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Conversion between terms and the digits of sums.
///
/// The last digit's unit is `2^-(bits K)` of the bound of the terms, for `K` digits: a sum keeps all the bits of
/// its own terms even where another one holds an outlier or a detector weighs a million times as much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converter {
    /// Units of the first digit in one: a power of two.
    units: f64,
    /// Units of a digit in one of the digit before: a power of two.
    radix: f64,
    /// Bits of a digit.
    bits: i32,
}

impl Converter {
    /// For at most `terms` terms, none of which is larger than `bound`.
    pub(crate) fn new(bound: f64, terms: u64) -> Converter {
        let bits = bits_of_a_digit(terms);
        // Bounds below 2^-950 would need a power that is not a number; they lose bits instead.
        Converter::with_units((bits - 1 - exponent(bound)).min(1000), bits)
    }

    fn with_units(exponent: i32, bits: i32) -> Converter {
        Converter { units: 2f64.powi(exponent), radix: 2f64.powi(bits), bits }
    }

    /// Adds a term to a sum.
    #[inline(always)]
    pub(crate) fn add<const K: usize>(self, term: f64, sum: &mut [i64; K]) {
        // Scaling by powers of two, rounding to whole numbers and the differences are all exact.
        let mut left = term * self.units;
        for digit in sum {
            let shifted = left + ROUNDER;
            *digit += shifted.to_bits().wrapping_sub(ROUNDER.to_bits()).cast_signed();
            left = (left - (shifted - ROUNDER)) * self.radix;
        }
    }

    /// Computes a sum as a number, rounded.
    #[expect(clippy::cast_precision_loss, reason = "rounding to double precision is the purpose")]
    pub(crate) fn value<const K: usize>(self, sum: &[i64; K]) -> f64 {
        // One sum can have several sets of digits; with all but the first below the radix there is one.
        let mut digits = *sum;
        for i in (1..K).rev() {
            let carry = digits[i] >> self.bits;
            digits[i] -= carry << self.bits;
            digits[i - 1] += carry;
        }
        digits.iter().rev().fold(0.0, |value, &digit| value / self.radix + digit as f64) / self.units
    }
}

/// A conversion of terms of unknown size.
///
/// The places of digits are fixed: those of a term do not depend on what was added before. A term that needs a higher
/// place than there is moves all sums up, and their lowest digit is dropped, which therefore is never part
/// of the result: only the places that the largest term of all leaves are. One digit less and a bit remain at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits {
    bits: i32,
    /// Place of the first digit, whose unit is `2^(bits place)`.
    place: i32,
}

impl Digits {
    /// For sums of at most `terms` terms.
    pub(crate) fn new(terms: u64) -> Digits {
        let bits = bits_of_a_digit(terms);
        // The lowest place at which the number of units in one is a number; smaller terms lose bits.
        Digits { bits, place: -900 / bits }
    }

    /// Makes room for terms up to `largest`; returns the number of places by which sums move up.
    pub(crate) fn raise(&mut self, largest: f64) -> usize {
        if largest == 0.0 {
            return 0;
        }
        self.raise_to(exponent(largest).div_euclid(self.bits))
    }

    /// Makes the place of the first digit at least `place`; returns the number of places by which sums move up.
    pub(crate) fn raise_to(&mut self, place: i32) -> usize {
        let by = usize::try_from(place - self.place).unwrap_or(0);
        self.place = self.place.max(place);
        by
    }

    /// Returns the place of the first digit.
    pub(crate) fn place(&self) -> i32 {
        self.place
    }

    /// Moves a sum up by places.
    pub(crate) fn shift(sum: &mut [i64], by: usize) {
        let by = by.min(sum.len());
        sum.copy_within(..sum.len() - by, by);
        sum[..by].fill(0);
    }

    /// Returns the conversion at the present place.
    pub(crate) fn converter(&self) -> Converter {
        Converter::with_units(-self.bits * self.place, self.bits)
    }
}

/// Returns the bits of a digit with which as many terms do not overflow 62 bits, and one fits a rounder.
fn bits_of_a_digit(terms: u64) -> i32 {
    (i32::try_from(terms.leading_zeros()).expect("invariant: at most 64") - 2).clamp(1, 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_any_size_fit() {
        for bound in [1e-300, 1e-200, 1e-9, 0.99, 1.0, 1.01, 12345.678, 1e100] {
            let converter = Converter::new(bound, 1000);
            let mut sum = [0; 2];
            (0..1000).for_each(|_| converter.add(-bound, &mut sum));
            assert!(sum[0].unsigned_abs() < 1 << 62, "{bound}: {sum:?}");
            let found = converter.value(&sum);
            assert!((found / bound + 1000.0).abs() < if bound < 1e-280 { 1e-3 } else { 1e-12 }, "{bound}: {found}");
        }
    }

    #[test]
    fn small_terms_survive_beside_an_outlier() {
        // Terms of 1e11 in another sum; this one holds a thousand terms that are 1e12 times as small.
        let converter = Converter::new(1e11, 1 << 25);
        let mut digits = Digits::new(1 << 25);
        assert!(digits.raise(1e11) > 0);
        let (mut sum, mut other) = ([0; 3], [0; 3]);
        for i in 0..1000 {
            converter.add(0.1 * (1.0 + 1e-3 * f64::from(i)), &mut sum);
            digits.converter().add(0.1 * (1.0 + 1e-3 * f64::from(i)), &mut other);
        }
        let exact = 0.1 * (1000.0 + 1e-3 * 499_500.0);
        assert!((converter.value(&sum) / exact - 1.0).abs() < 1e-12, "{}", converter.value(&sum));
        let found = digits.converter().value(&other);
        assert!((found / exact - 1.0).abs() < 1e-9, "{found}");
    }

    /// Terms of many sizes, in ascending, descending and mixed order.
    #[test]
    fn sums_do_not_depend_on_the_order_of_terms() {
        let mut terms: Vec<f64> = (0..400).map(|i| (f64::from(i) - 170.3) * 10f64.powi(i % 41 - 20)).collect();
        let sum = |terms: &[f64]| {
            let mut digits = Digits::new(1 << 30);
            let mut sum = [0; 3];
            for &term in terms {
                Digits::shift(&mut sum, digits.raise(term.abs()));
                digits.converter().add(term, &mut sum);
            }
            digits.converter().value(&sum)
        };
        let mixed = sum(&terms);
        let plain: f64 = terms.iter().sum();
        assert!((mixed / plain - 1.0).abs() < 1e-13, "{mixed} {plain}");
        terms.sort_by(f64::total_cmp);
        assert_eq!(sum(&terms).to_bits(), mixed.to_bits());
        terms.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        assert_eq!(sum(&terms).to_bits(), mixed.to_bits());
        terms.reverse();
        assert_eq!(sum(&terms).to_bits(), mixed.to_bits());
    }
}
