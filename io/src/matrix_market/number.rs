//! One line of the body: indices and a value.

use crate::EXACT;
use crate::fault::quoted;
use crate::files::Field;
use fast_float2::FastFloat;

/// Rest of a line.
pub(super) struct Words<'l>(pub(super) &'l [u8]);

impl<'l> Words<'l> {
    fn skip_blanks(&mut self) {
        let blank = |byte: &u8| byte.is_ascii_whitespace();
        let word = self.0.iter().position(|byte| !blank(byte)).unwrap_or(self.0.len());
        self.0 = &self.0[word..];
    }

    /// Returns the word at the start of the rest.
    fn word(&self) -> &'l [u8] {
        let end = self.0.iter().position(u8::is_ascii_whitespace).unwrap_or(self.0.len());
        &self.0[..end]
    }

    fn ends_at(&self, length: usize) -> bool {
        self.0.get(length).is_none_or(u8::is_ascii_whitespace)
    }

    /// Returns an index from 1 to `bound`, as one from 0.
    #[inline]
    pub(super) fn index(&mut self, what: &str, bound: u64) -> Result<u64, String> {
        self.skip_blanks();
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = |value: Option<u64>, digit: &u8| value?.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        let value = self.0[..digits].iter().fold(Some(0), value);
        if digits == 0 || !self.ends_at(digits) {
            return Err(self.not_a(&format!("{what} number")));
        }
        match value {
            Some(value) if (1..=bound).contains(&value) => {
                self.0 = &self.0[digits..];
                Ok(value - 1)
            }
            _ => {
                let word = String::from_utf8_lossy(self.word());
                Err(format!("{what} {word} is outside 1 to {bound}; indices count from 1"))
            }
        }
    }

    /// Computes a value of a field; in single precision rounded once, to that.
    #[inline]
    pub(super) fn value(&mut self, field: Field, single: bool) -> Result<(f64, f64), String> {
        match field {
            Field::Pattern => Ok((1.0, 0.0)),
            Field::Integer => Ok((self.integer()?, 0.0)),
            Field::Real => Ok((self.real(single)?, 0.0)),
            Field::Complex => Ok((self.real(single)?, self.real(single)?)),
        }
    }

    /// Refuses what follows the last value.
    #[inline]
    pub(super) fn end(mut self) -> Result<(), String> {
        self.skip_blanks();
        if self.0.is_empty() { Ok(()) } else { Err(format!("{} follows the entry", quoted(self.0.trim_ascii_end()))) }
    }

    fn real(&mut self, single: bool) -> Result<f64, String> {
        if single { self.float::<f32>().map(f64::from) } else { self.float::<f64>() }
    }

    #[inline]
    fn float<F: FastFloat + Into<f64>>(&mut self) -> Result<F, String> {
        self.skip_blanks();
        let (value, length) = match fast_float2::parse_partial::<F, _>(self.0) {
            Ok((value, length)) if self.ends_at(length) => (value, length),
            _ => self.fortran_float()?,
        };
        // "inf" is a value, 1e999 is a mistake.
        if value.into().is_infinite() && self.0[..length].iter().any(u8::is_ascii_digit) {
            return Err(format!("{} is too large for {} bits", quoted(&self.0[..length]), 8 * size_of::<F>()));
        }
        self.0 = &self.0[length..];
        Ok(value)
    }

    /// Returns a number whose exponent is marked by D, as Fortran writes double precision.
    #[cold]
    fn fortran_float<F: FastFloat>(&self) -> Result<(F, usize), String> {
        let word = self.word();
        let text: Vec<u8> = word.iter().map(|byte| if matches!(byte, b'd' | b'D') { b'e' } else { *byte }).collect();
        let number = word.iter().any(u8::is_ascii_digit).then(|| fast_float2::parse(&text).ok()).flatten();
        number.map(|value| (value, word.len())).ok_or_else(|| self.not_a("number"))
    }

    fn integer(&mut self) -> Result<f64, String> {
        self.skip_blanks();
        let word = self.word();
        let parsed: Option<i128> = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        let Some(value) = parsed else { return Err(self.not_a("whole number")) };
        let (negative, size) = (value < 0, u64::try_from(value.unsigned_abs()));
        let Some(size) = size.ok().filter(|size| *size <= EXACT) else {
            return Err(format!("{} is beyond 2^53, where f64 cannot hold every integer", quoted(word)));
        };
        self.0 = &self.0[word.len()..];
        Ok(if negative { -(size as f64) } else { size as f64 })
    }

    #[cold]
    fn not_a(&self, kind: &str) -> String {
        match self.word() {
            [] => format!("the line ends where a {kind} is expected"),
            word => format!("{} is not a {kind}", quoted(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, field: Field) -> Result<(f64, f64), String> {
        let mut words = Words(text.as_bytes());
        let value = words.value(field, false)?;
        words.end().map(|()| value)
    }

    #[test]
    fn numbers_as_programs_write_them() {
        for (text, expected) in [
            ("1", 1.0),
            (" -.5 ", -0.5),
            ("4.", 4.0),
            ("+1.5e+3\r", 1500.0),
            ("1.5D-3", 0.0015),
            ("1d2", 100.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e-999", 0.0),
            ("0.1000000000000000055511151231257827", 0.1),
        ] {
            assert_eq!(value(text, Field::Real), Ok((expected, 0.0)), "{text}");
        }
        assert!(value("nan", Field::Real).unwrap().0.is_nan());
        assert_eq!(value("1 -2", Field::Complex), Ok((1.0, -2.0)));
        assert_eq!(value("-9007199254740992", Field::Integer), Ok((-9_007_199_254_740_992.0, 0.0)));
        assert_eq!(value("", Field::Pattern), Ok((1.0, 0.0)));
    }

    #[test]
    fn single_precision_is_rounded_once() {
        // Halfway between two f32 but for the last digit, which f64 cannot hold.
        let mut words = Words(b"1.00000017881393432617187500000001");
        assert_eq!(words.value(Field::Real, true), Ok((f64::from(1.000_000_2_f32), 0.0)));
        assert!(Words(b"1e39").value(Field::Real, true).unwrap_err().contains("too large for 32 bits"));
    }

    #[test]
    fn what_is_no_number_is_named() {
        for (text, field, part) in [
            ("", Field::Real, "the line ends where a number is expected"),
            ("1 ", Field::Complex, "the line ends where a number is expected"),
            ("1e999", Field::Real, "'1e999' is too large for 64 bits"),
            ("-1d400", Field::Real, "too large"),
            ("1,5", Field::Real, "'1,5' is not a number"),
            ("dnd", Field::Real, "'dnd' is not a number"),
            ("0x10", Field::Real, "'0x10' is not a number"),
            ("1e", Field::Real, "'1e' is not a number"),
            ("1.5", Field::Integer, "'1.5' is not a whole number"),
            ("9007199254740993", Field::Integer, "beyond 2^53"),
            ("1 2", Field::Real, "'2' follows the entry"),
            ("7", Field::Pattern, "'7' follows the entry"),
        ] {
            let message = value(text, field).unwrap_err();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }

    #[test]
    fn indices_count_from_one() {
        assert_eq!(Words(b" 5 x").index("row", 5), Ok(4));
        for (text, part) in [
            ("0", "row 0 is outside 1 to 5"),
            ("6", "row 6 is outside 1 to 5"),
            ("18446744073709551617", "row 18446744073709551617 is outside"),
            ("-1", "'-1' is not a row number"),
            ("1.0", "'1.0' is not a row number"),
            ("", "the line ends where a row number is expected"),
        ] {
            let message = Words(text.as_bytes()).index("row", 5).unwrap_err();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }
}
