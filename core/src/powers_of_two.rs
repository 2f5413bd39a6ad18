//! Exponents of double-precision numbers, and multiplication by powers of two of any size.

/// Returns the exponent `e` of a positive number, `2^e <= value < 2^(e + 1)`; zero for zero, and for
/// what is not finite.
pub fn exponent(value: f64) -> i32 {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    let biased = |value: f64| i32::try_from((value.to_bits() >> 52) & 0x7ff).expect("invariant: eleven bits");
    match biased(value) {
        0 => biased(value * power_of_two(64)) - 64 - 1023,
        biased => biased - 1023,
    }
}

/// Returns `2^exponent`, for exponents of normal numbers.
fn power_of_two(exponent: i32) -> f64 {
    let biased = u64::try_from(exponent + 1023).expect("invariant: a normal number");
    f64::from_bits(biased << 52)
}

/// Computes the power of two that brings a positive number near one, as far as there is one.
pub(crate) fn inverse_power_of_two(size: f64) -> f64 {
    let biased = (size.to_bits() >> 52) & 0x7ff;
    f64::from_bits((2046 - biased.clamp(1, 2045)) << 52)
}

/// Returns `value 2^exponent`: infinite or zero only if that is out of range.
pub(crate) fn times(mut value: f64, exponent: i32) -> f64 {
    let mut left = exponent.clamp(-2200, 2200);
    while left > 1023 {
        value *= power_of_two(1023);
        left -= 1023;
    }
    // In steps after which a number that ends as a normal one still is, so that it is rounded once.
    while left < -1022 {
        value *= power_of_two(-969);
        left += 969;
    }
    value * power_of_two(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents() {
        for (value, expected) in [(1.0, 0), (1.999, 0), (2.0, 1), (0.75, -1), (f64::MAX, 1023), (5e-324, -1074)] {
            assert_eq!(exponent(value), expected, "{value}");
        }
        assert_eq!([0.0, f64::NAN, f64::INFINITY].map(exponent), [0; 3]);
    }

    #[test]
    fn scaling_brings_any_size_near_one() {
        for size in [f64::MAX, 1e200, 3.0, 1.0, 1e-200] {
            let scaled = size * inverse_power_of_two(size);
            assert!((0.5..4.0).contains(&scaled), "{size} becomes {scaled}");
        }
        let tiny = f64::from_bits(1);
        assert!(tiny * inverse_power_of_two(tiny) > 1e-20);
    }
}
