//! One number in a line, as Fortran reads it.
//!
//! Blanks within a field are dropped, a number without a point
//! has it before its last `d` digits, and one without an exponent is divided by the scale factor.

use crate::fault::quoted;

/// An edit descriptor of a number, such as `D16.9`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    /// Columns of the field.
    pub(super) width: usize,
    /// Digits behind a point that is not written.
    pub(super) decimals: i32,
    /// The exponent of ten by which numbers without an exponent are divided.
    pub(super) scale: i32,
    pub(super) whole: bool,
}

/// A field of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'l> {
    pub(super) text: &'l [u8],
    pub(super) edit: Edit,
}

impl Field<'_> {
    /// Returns a whole number, not negative.
    pub(super) fn index(&self) -> Result<u64, String> {
        let text = std::str::from_utf8(self.text).ok().map(str::trim);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{} is not a whole number", quoted(self.text)))
    }

    /// Computes a number as Fortran reads it.
    pub(super) fn value(&self) -> Result<f64, String> {
        let trimmed = self.text.trim_ascii();
        let plain = self.edit.decimals == 0 || trimmed.contains(&b'.');
        if plain
            && trimmed.contains(&b'E')
            && let Ok(value) = fast_float2::parse::<f64, _>(trimmed)
        {
            return finite(value, self.text);
        }
        self.adjusted()
    }

    fn adjusted(&self) -> Result<f64, String> {
        let wrong = || format!("{} is not a number", quoted(self.text));
        let text: Vec<u8> =
            self.text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect();
        let marked = |(place, byte): (usize, &u8)| {
            place > 0
                && (matches!(byte, b'e' | b'd' | b'q')
                    || (matches!(byte, b'+' | b'-') && !text[place - 1].is_ascii_alphabetic()))
        };
        let end = text.iter().enumerate().position(marked).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at(end);
        if !mantissa.iter().any(u8::is_ascii_digit) {
            // Infinities and NaNs, as newer Fortran writes them.
            return fast_float2::parse(&text).map_err(|_| wrong());
        }
        let digits = exponent.strip_prefix(b"e").or(exponent.strip_prefix(b"d")).or(exponent.strip_prefix(b"q"));
        let mut power: i32 = match std::str::from_utf8(digits.unwrap_or(exponent)).map_err(|_| wrong())? {
            "" if exponent.is_empty() => -self.edit.scale,
            text => text.parse().ok().filter(|power: &i32| power.abs() < 100_000).ok_or_else(wrong)?,
        };
        if !mantissa.contains(&b'.') && !self.edit.whole {
            power -= self.edit.decimals;
        }
        let number = [mantissa, format!("e{power}").as_bytes()].concat();
        finite(fast_float2::parse(&number).map_err(|_| wrong())?, self.text)
    }
}

fn finite(value: f64, field: &[u8]) -> Result<f64, String> {
    if value.is_finite() { Ok(value) } else { Err(format!("{} is too large for 64 bits", quoted(field.trim_ascii()))) }
}

#[cfg(test)]
mod tests {
    use super::super::fortran::FortranFormat;
    use super::*;

    fn value(format: &str, text: &str) -> Result<f64, String> {
        let edit = FortranFormat::parse(format.as_bytes()).unwrap().first_edit();
        Field { text: text.as_bytes(), edit }.value()
    }

    #[test]
    fn numbers_as_fortran_reads_them() {
        for (text, fields) in [
            (
                "(1P,5D16.9)",
                [(" 1.500000000D+01", 15.0), ("   1.5", 0.15), ("-1.5+101", -1.5e101), ("1500000000", 0.15)],
            ),
            ("(4E20.12)", [("  .5E 2", 50.0), ("1.5e3", 1500.0), ("12", 12e-12), ("1.d-3 ", 1e-3)]),
            ("(10F8.1)", [("   -4.0", -4.0), ("-40", -4.0), ("4", 0.4), ("+1.25", 1.25)]),
            ("(10I8)", [("   -4", -4.0), ("40", 40.0), ("+7", 7.0), ("0", 0.0)]),
        ] {
            for (field, expected) in fields {
                assert_eq!(value(text, field), Ok(expected), "{text} {field}");
            }
        }
        assert!(value("(5E16.8)", "Infinity").unwrap().is_infinite());
        for field in ["", "   ", "abc", "1.5E", "1.5E+", "--1", "1.2.3", "1e999999999", "E5", "\u{fffd}"] {
            assert!(value("(5E16.8)", field).unwrap_err().contains("is not a number"), "{field:?}");
        }
        assert!(value("(5E16.8)", "1.0E999").unwrap_err().contains("too large"));
    }
}
