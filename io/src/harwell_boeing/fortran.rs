//! Numbers in columns of fixed width, as a Fortran format describes them.
//!
//! What Fortran reads is what counts: blanks within a field are dropped, a number without a point
//! has it before its last `d` digits, and one without an exponent is divided by the scale factor.

use crate::fault::{Fault, quoted};
use crate::text::Lines;
use std::io::BufRead;

/// A format such as `(16I5)` or `(1P,5D16.9)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FortranFormat {
    /// Fields of a line.
    per_line: usize,
    /// Columns of a field.
    width: usize,
    /// Digits behind a point that is not written.
    decimals: i32,
    /// The exponent of ten by which numbers without an exponent are divided.
    scale: i32,
    whole: bool,
}

/// The characters of a format that are still to be read.
struct Cursor<'f>(&'f [u8]);

impl Cursor<'_> {
    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        let number = std::str::from_utf8(number).ok()?.parse().ok()?;
        self.0 = rest;
        Some(number)
    }

    /// `[kP[,]] [r] (format)` or `[kP[,]] [r] letter w [.d [Ee]]`
    fn group(&mut self, scale: i32, depth: usize) -> Option<FortranFormat> {
        let negative = self.take(b"-").is_some();
        let count = self.number();
        if self.take(b"P").is_some() {
            let scale = i32::try_from(count?).ok().filter(|scale| *scale < 100)?;
            self.take(b",");
            return self.group(if negative { -scale } else { scale }, depth);
        }
        let repeat = count.unwrap_or(1);
        if negative || repeat == 0 {
            return None;
        }
        if depth > 0 && self.take(b"(").is_some() {
            let inner = self.group(scale, depth - 1)?;
            self.take(b")")?;
            return Some(FortranFormat { per_line: inner.per_line.checked_mul(repeat)?, ..inner });
        }
        let letter = self.take(b"IEDFGQ")?;
        self.take(b"SN");
        let width = self.number().filter(|width| (1..=255).contains(width))?;
        let decimals = if self.take(b".").is_some() { self.number()? } else { 0 };
        if self.take(b"ED").is_some() {
            self.number()?;
        }
        let decimals = i32::try_from(decimals).ok().filter(|decimals| *decimals < 256)?;
        Some(FortranFormat { per_line: repeat, width, decimals, scale, whole: letter == b'I' })
    }
}

impl FortranFormat {
    pub(super) fn parse(text: &[u8]) -> Result<FortranFormat, String> {
        let compact: Vec<u8> =
            text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_uppercase).collect();
        let inner = compact.strip_prefix(b"(").and_then(|text| text.strip_suffix(b")"));
        let parsed = inner.and_then(|inner| {
            let mut cursor = Cursor(inner);
            cursor.group(0, 1).filter(|_| cursor.0.is_empty())
        });
        parsed.ok_or_else(|| {
            format!("{} is not a format of numbers, such as (16I5) or (1P,4E20.12)", quoted(text.trim_ascii()))
        })
    }

    /// Whether it is a format of whole numbers.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Lines that so many numbers take.
    pub(super) fn lines(&self, count: u64) -> u64 {
        count.div_ceil(self.per_line as u64)
    }

    /// Gives the next `count` fields to `take`; they start on a new line.
    pub(super) fn read(
        &self,
        lines: &mut Lines<impl BufRead>,
        what: &str,
        count: u64,
        take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), Fault> {
        self.read_vectors(lines, what, count, count, take)
    }

    /// As [`FortranFormat::read`], of vectors of `each` fields, which may start on a new line each.
    pub(super) fn read_vectors(
        &self,
        lines: &mut Lines<impl BufRead>,
        what: &str,
        count: u64,
        each: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let mut done = 0;
        while done < count {
            let ended = Fault::line(lines.number, format!("the file ends after {done} of {count} {what}"));
            let Some(line) = lines.next_line()? else { return Err(ended) };
            let fields = line.trim_ascii_end().chunks(self.width).take(self.per_line);
            let wanted = count - done;
            let taken = fields
                .take(usize::try_from(wanted).unwrap_or(usize::MAX))
                .try_fold(0, |taken, field| take(field).map(|()| taken + 1));
            let taken: u64 = taken.map_err(|what| Fault::line(lines.number, what))?;
            done += taken;
            if taken < wanted.min(self.per_line as u64) && (taken == 0 || !done.is_multiple_of(each)) {
                let expected = wanted.min(self.per_line as u64);
                return Err(Fault::line(lines.number, format!("has {taken} of the {what}, not {expected}")));
            }
        }
        Ok(())
    }

    /// A whole number, not negative.
    pub(super) fn index(&self, field: &[u8]) -> Result<u64, String> {
        let text = std::str::from_utf8(field).ok().map(str::trim);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{} is not a whole number", quoted(field)))
    }

    /// A number as Fortran reads it.
    pub(super) fn value(&self, field: &[u8]) -> Result<f64, String> {
        let trimmed = field.trim_ascii();
        let plain = self.decimals == 0 || trimmed.contains(&b'.');
        if plain
            && trimmed.contains(&b'E')
            && let Ok(value) = fast_float2::parse::<f64, _>(trimmed)
        {
            return finite(value, field);
        }
        self.adjusted(field)
    }

    fn adjusted(&self, field: &[u8]) -> Result<f64, String> {
        let wrong = || format!("{} is not a number", quoted(field));
        let text: Vec<u8> =
            field.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect();
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
            "" if exponent.is_empty() => -self.scale,
            text => text.parse().ok().filter(|power: &i32| power.abs() < 100_000).ok_or_else(wrong)?,
        };
        if !mantissa.contains(&b'.') && !self.whole {
            power -= self.decimals;
        }
        let number = [mantissa, format!("e{power}").as_bytes()].concat();
        finite(fast_float2::parse(&number).map_err(|_| wrong())?, field)
    }
}

fn finite(value: f64, field: &[u8]) -> Result<f64, String> {
    if value.is_finite() { Ok(value) } else { Err(format!("{} is too large for 64 bits", quoted(field.trim_ascii()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> FortranFormat {
        FortranFormat::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn formats_as_files_have_them() {
        let parts = |text| {
            let format = format(text);
            (format.per_line, format.width, format.decimals, format.scale, format.whole)
        };
        assert_eq!(parts("(16I5)          "), (16, 5, 0, 0, true));
        assert_eq!(parts("(1P,5D16.9)"), (5, 16, 9, 1, false));
        assert_eq!(parts(" (1p4e20.12e3)"), (4, 20, 12, 1, false));
        assert_eq!(parts("(10F8.1)"), (10, 8, 1, 0, false));
        assert_eq!(parts("(3(1PE25.16))"), (3, 25, 16, 1, false));
        assert_eq!(parts("(-2P,ES20.12)"), (1, 20, 12, -2, false));
        for text in [
            "",
            "16I5",
            "(I)",
            "(0I5)",
            "(16A5)",
            "(16I5",
            "(16I5,X)",
            "(I999999999999999999999)",
            "((((I5))))",
            "(P5E3)",
        ] {
            assert!(FortranFormat::parse(text.as_bytes()).unwrap_err().contains("is not a format"), "{text}");
        }
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
                assert_eq!(format(text).value(field.as_bytes()), Ok(expected), "{text} {field}");
            }
        }
        let real = format("(5E16.8)");
        assert!(real.value(b"Infinity").unwrap().is_infinite());
        for field in ["", "   ", "abc", "1.5E", "1.5E+", "--1", "1.2.3", "1e999999999", "E5", "\u{fffd}"] {
            assert!(real.value(field.as_bytes()).unwrap_err().contains("is not a number"), "{field:?}");
        }
        assert!(real.value(b"1.0E999").unwrap_err().contains("too large"));
    }

    #[test]
    fn fields_follow_each_other_over_lines() {
        let read = |text: &str, count| {
            let (mut lines, mut found) = (Lines::new(text.as_bytes()), Vec::new());
            let format = format("(3I2)");
            let result = format.read(&mut lines, "pointers", count, |field| {
                found.push(format.index(field)?);
                Ok(())
            });
            result.map(|()| found).map_err(|fault| format!("{}: {}", fault.place, fault.what))
        };
        assert_eq!(read(" 1 2 3\n 4 5\n 6", 5), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(read("010203junk\n04", 4), Ok(vec![1, 2, 3, 4]));
        assert_eq!(read(" 1 2\n 3", 3), Err("line 1: has 2 of the pointers, not 3".into()));
        assert_eq!(read(" 1 2 3\n", 4), Err("line 1: the file ends after 3 of 4 pointers".into()));
        let (mut lines, mut found) = (Lines::new(" 1 2 3\n 4\n 5 6 7\n 8\n".as_bytes()), 0);
        let counted = format("(3I2)").read_vectors(&mut lines, "numbers", 8, 4, |_| {
            found += 1;
            Ok(())
        });
        assert!(counted.is_ok() && found == 8);
        assert_eq!(read(" 1-2 3\n", 3), Err("line 1: '-2' is not a whole number".into()));
    }
}
