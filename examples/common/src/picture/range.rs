//! Which values the ends of a color map stand for.

/// Choice of the ends of the color map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// From `min` to `max`.
    Fixed {
        /// Value of the first color.
        min: f64,
        /// Value of the last color.
        max: f64,
    },
    /// From one percentile of the seen values to another, in percent.
    Percentiles {
        /// Percentile of the first color.
        lower: f64,
        /// Percentile of the last color.
        upper: f64,
    },
    /// From `-v` to `v`, where `v` is this percentile, in percent, of the seen absolute values.
    Symmetric {
        /// The percentile.
        percentile: f64,
    },
    /// From the least to the greatest positive value, in steps of equal ratio.
    Logarithmic,
}

/// The values at the ends of a color map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Value of the first color.
    pub min: f64,
    /// Value of the last color.
    pub max: f64,
    /// True if equal steps of color are equal ratios of values.
    pub logarithmic: bool,
}

impl Range {
    /// Chooses limits for `values`; `None` if no value can be shown.
    ///
    /// Not-a-number and infinite values are unseen; so are values below or at zero if the range
    /// is logarithmic.
    #[must_use]
    pub fn limits(self, values: &[f64]) -> Option<Limits> {
        let linear = |min, max| Limits { min, max, logarithmic: false };
        let mut seen: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        match self {
            Self::Fixed { min, max } => Some(linear(min, max)),
            Self::Percentiles { lower, upper } => {
                let min = percentile(&mut seen, lower)?;
                Some(linear(min, percentile(&mut seen, upper)?))
            }
            Self::Symmetric { percentile: share } => {
                seen.iter_mut().for_each(|value| *value = value.abs());
                let end = percentile(&mut seen, share)?;
                Some(linear(-end, end))
            }
            Self::Logarithmic => {
                seen.retain(|&value| value > 0.0);
                Some(Limits { min: percentile(&mut seen, 0.0)?, max: percentile(&mut seen, 100.0)?, logarithmic: true })
            }
        }
    }
}

impl Limits {
    /// Returns the position of `value` between the limits, from 0 to 1; `None` if it cannot be shown.
    pub fn fraction(self, value: f64) -> Option<f64> {
        let shown = value.is_finite() && (value > 0.0 || !self.logarithmic);
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        let (min, max) = (scale(self.min), scale(self.max));
        shown.then(|| if max > min { ((scale(value) - min) / (max - min)).clamp(0.0, 1.0) } else { 0.5 })
    }
}

/// Returns the value below which `share` percent of `values` lie, by the nearest rank.
fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded and between 0 and the last rank"
    )]
    let rank = (last as f64 * share.clamp(0.0, 100.0) / 100.0).round() as usize;
    Some(*values.select_nth_unstable_by(rank, f64::total_cmp).1)
}

/// Returns a number for a label: three significant digits, without useless zeros.
pub fn label(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(0.001..99_999.5).contains(&size) {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", trimmed(digits));
    }
    let decimals = [(99.95, 0), (9.995, 1), (0.9995, 2), (0.099_95, 3), (0.009_995, 4)];
    let places = decimals.iter().find(|(least, _)| size >= *least);
    trimmed(&format!("{value:.*}", places.map_or(5, |(_, places)| *places))).to_owned()
}

/// Without zeros at the end of a decimal fraction.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [f64; 7] = [3.0, f64::NAN, -4.0, 1.0, f64::INFINITY, 0.0, 2.0];

    fn ends(range: Range, values: &[f64]) -> Option<(f64, f64)> {
        range.limits(values).map(|limits| (limits.min, limits.max))
    }

    #[test]
    fn limits_by_hand() {
        let fixed = Range::Fixed { min: -1.0, max: 2.0 };
        assert_eq!(ends(fixed, &[]), Some((-1.0, 2.0)));
        let quartiles = Range::Percentiles { lower: 25.0, upper: 75.0 };
        assert_eq!(ends(quartiles, &VALUES), Some((0.0, 2.0)));
        let all = Range::Symmetric { percentile: 100.0 };
        assert_eq!(ends(all, &VALUES), Some((-4.0, 4.0)));
        let half = Range::Symmetric { percentile: 50.0 };
        assert_eq!(ends(half, &VALUES), Some((-2.0, 2.0)));
        assert_eq!(ends(Range::Logarithmic, &VALUES), Some((1.0, 3.0)));
    }

    #[test]
    fn nothing_seen_has_no_limits() {
        for range in
            [Range::Symmetric { percentile: 99.0 }, Range::Percentiles { lower: 1.0, upper: 99.0 }, Range::Logarithmic]
        {
            assert_eq!(range.limits(&[f64::NAN]), None);
        }
        assert_eq!(Range::Logarithmic.limits(&[0.0, -1.0]), None);
    }

    #[test]
    fn fractions() {
        let linear = Limits { min: -1.0, max: 3.0, logarithmic: false };
        assert_eq!(linear.fraction(0.0), Some(0.25));
        assert_eq!(linear.fraction(9.0), Some(1.0));
        assert_eq!(linear.fraction(f64::NAN), None);
        let decades = Limits { min: 1.0, max: 100.0, logarithmic: true };
        let middle = decades.fraction(10.0).expect("a positive value");
        assert!((middle - 0.5).abs() < 1e-15);
        assert_eq!(decades.fraction(0.0), None);
        let flat = Limits { min: 2.0, max: 2.0, logarithmic: false };
        assert_eq!(flat.fraction(2.0), Some(0.5));
    }

    #[test]
    fn labels_have_three_digits() {
        let cases = [
            (0.0, "0"),
            (300.0, "300"),
            (-299.7, "-300"),
            (123_456.0, "1.23e5"),
            (12_345.0, "12345"),
            (99.96, "100"),
            (12.34, "12.3"),
            (9.996, "10"),
            (1.5, "1.5"),
            (0.25, "0.25"),
            (0.012_34, "0.0123"),
            (0.001_234, "0.00123"),
            (-0.000_5, "-5e-4"),
        ];
        for (value, text) in cases {
            assert_eq!(label(value), text);
        }
    }
}
