//! Sums as whole numbers, which do not depend on the order of their terms.
//!
//! Floating-point sums depend on how they are grouped. Here every term is split into digits of a power of two, which
//! are added as 64-bit integers: exact, and the same in any order and on any number of ranks. [`Scale`] needs a bound
//! of the sum before the first term; [`Digits`] needs the largest term only, and takes larger ones as they come.

/// Integers that hold one sum of a [`Scale`]: its whole units and its fractions.
pub(crate) const LIMBS: usize = 2;

/// Conversion of terms to integers, for sums whose bound is known.
///
/// One unit of the fraction is less than 2^-100 of the bound times the number of terms, so that a sum keeps all the
/// bits of its own terms even where another one holds an outlier or a detector weighs a million times as much.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// Units in one: a power of two.
    units: f64,
    /// Fractions in a unit: a power of two that as many terms as a sum has cannot overflow.
    fractions: f64,
}

impl Scale {
    /// For sums of at most `terms` terms whose sizes add up to at most `bound`.
    pub(crate) fn new(bound: f64, terms: f64) -> Scale {
        Scale { units: power_below(bound), fractions: power_below(terms) }
    }

    /// Adds a term to a sum.
    #[inline(always)]
    pub(crate) fn add(self, term: f64, sum: &mut [i64]) {
        // Scaling by powers of two, taking the whole part and the difference are all exact.
        let scaled = term * self.units;
        let whole = truncate(scaled);
        sum[0] += whole;
        sum[1] += truncate((scaled - number(whole)) * self.fractions);
    }

    /// Computes a sum as a number, rounded.
    pub(crate) fn value(self, sum: &[i64]) -> f64 {
        (number(sum[0]) + number(sum[1]) / self.fractions) / self.units
    }
}

/// Integers that hold one sum of [`Digits`].
pub(crate) const DIGITS: usize = 3;

/// Conversion of terms to three digits of a power of two, for sums of terms of unknown size.
///
/// The places of digits are fixed: those of a term do not depend on what was added before. A term that needs a higher
/// place than there is moves all sums up, and the lowest digit of each is dropped, which therefore is never part
/// of the result: only the places that the largest term of all leaves are. Two digits and a bit remain at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits {
    /// Bits of a digit: as many terms as there may be do not overflow 62 bits.
    bits: i32,
    /// Place of the first digit, whose unit is `2^(bits place)`.
    place: i64,
}

impl Digits {
    /// For sums of at most `terms` terms.
    pub(crate) fn new(terms: u64) -> Digits {
        let bits = i32::try_from(terms.leading_zeros()).expect("invariant: at most 64") - 2;
        // The lowest place at which the number of units in one is a number; smaller terms lose bits.
        let bits = bits.clamp(1, 52);
        Digits { bits, place: i64::from(-900 / bits) }
    }

    /// Makes room for terms up to `largest`; returns the number of places by which sums move up.
    pub(crate) fn raise(&mut self, largest: f64) -> usize {
        if largest == 0.0 {
            return 0;
        }
        let needed = i64::from(exponent_above(largest) - 1).div_euclid(i64::from(self.bits));
        self.raise_to(needed)
    }

    /// Makes the place of the first digit at least `place`; returns the number of places by which sums move up.
    pub(crate) fn raise_to(&mut self, place: i64) -> usize {
        let by = usize::try_from(place - self.place).unwrap_or(0);
        self.place = self.place.max(place);
        by
    }

    /// Returns the place of the first digit.
    pub(crate) fn place(&self) -> i64 {
        self.place
    }

    /// Moves a sum up by places.
    pub(crate) fn shift(sum: &mut [i64], by: usize) {
        let by = by.min(DIGITS);
        sum.copy_within(..DIGITS - by, by);
        sum[..by].fill(0);
    }

    /// Returns the conversion itself.
    pub(crate) fn converter(&self) -> Converter {
        let place = i32::try_from(self.place).expect("invariant: exponents of doubles");
        Converter { units: 2f64.powi(-self.bits * place), radix: 2f64.powi(self.bits) }
    }
}

/// The conversion at one place.
#[derive(Clone, Copy)]
pub(crate) struct Converter {
    /// Units of the first digit in one.
    units: f64,
    radix: f64,
}

impl Converter {
    /// Adds a term to a sum.
    #[inline(always)]
    pub(crate) fn add(self, term: f64, sum: &mut [i64]) {
        // All steps are exact.
        let first = term * self.units;
        let whole = truncate(first);
        let second = (first - number(whole)) * self.radix;
        let middle = truncate(second);
        sum[0] += whole;
        sum[1] += middle;
        sum[2] += truncate((second - number(middle)) * self.radix);
    }

    /// Computes a sum as a number, rounded.
    pub(crate) fn value(self, sum: &[i64]) -> f64 {
        (number(sum[0]) + (number(sum[1]) + number(sum[2]) / self.radix) / self.radix) / self.units
    }
}

#[expect(clippy::cast_possible_truncation, reason = "scales keep terms below 2^62")]
#[inline(always)]
fn truncate(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::cast_precision_loss, reason = "exact for the whole part of a double, rounded once for a sum")]
#[inline(always)]
fn number(value: i64) -> f64 {
    value as f64
}

/// Returns the least exponent of a power of two above a positive number.
fn exponent_above(value: f64) -> i32 {
    i32::try_from((value.to_bits() >> 52) & 0x7ff).expect("invariant: 11 bits") - 1022
}

/// Returns a power of two by which sums bounded by `bound` fit 62 bits.
fn power_below(bound: f64) -> f64 {
    debug_assert!(bound > 0.0 && bound.is_finite());
    // Bounds below 2^-939 would need a power that is not a number; they lose bits instead.
    2f64.powi((61 - exponent_above(bound)).min(1000))
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
        let mut digits = Digits::new(1 << 25);
        assert!(digits.raise(1e12) > 0);
        let (mut sum, mut other) = ([0; LIMBS], [0; DIGITS]);
        for i in 0..1000 {
            scale.add(1e-6 * (1.0 + 1e-3 * f64::from(i)), &mut sum);
            digits.converter().add(1e-6 * (1.0 + 1e-3 * f64::from(i)), &mut other);
        }
        let exact = 1e-6 * (1000.0 + 1e-3 * 499_500.0);
        assert!((scale.value(&sum) / exact - 1.0).abs() < 1e-12, "{}", scale.value(&sum));
        let found = digits.converter().value(&other);
        assert!((found / exact - 1.0).abs() < 1e-9, "{found}");
    }

    /// Terms of many sizes, in ascending, descending and mixed order.
    #[test]
    fn digits_do_not_depend_on_the_order_of_terms() {
        let mut terms: Vec<f64> = (0..400).map(|i| (f64::from(i) - 170.3) * 10f64.powi(i % 41 - 20)).collect();
        let sum = |terms: &[f64]| {
            let mut digits = Digits::new(1 << 30);
            let mut sum = [0; DIGITS];
            for &term in terms {
                Digits::shift(&mut sum, digits.raise(term.abs()));
                digits.converter().add(term, &mut sum);
            }
            (sum, digits.converter().value(&sum))
        };
        let (mixed, value) = sum(&terms);
        terms.sort_by(f64::total_cmp);
        assert_eq!(sum(&terms).0, mixed);
        terms.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        assert_eq!(sum(&terms).0, mixed);
        let plain: f64 = terms.iter().sum();
        assert!((value / plain - 1.0).abs() < 1e-13, "{value} {plain}");
        terms.reverse();
        assert_eq!(sum(&terms).0, mixed);
    }
}
