//! The first lines of a file: what it holds and how much of it.

use crate::fault::{Fault, quoted};
use crate::files::{Field, Storage, Symmetry};
use crate::text::Lines;
use std::io::BufRead;

/// Contents of the lines above the entries.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) storage: Storage,
    pub(super) field: Field,
    pub(super) symmetry: Symmetry,
    pub(super) rows: u64,
    pub(super) columns: u64,
    /// Entries that the file stores.
    pub(super) entries: u64,
    /// Lines up to the one with the sizes, which is the last of the header.
    pub(super) lines: u64,
    /// Bytes of these lines.
    pub(super) bytes: u64,
    /// True if blanks stand before the first line.
    pub(super) is_indented: bool,
    /// True if NaN and infinity are refused.
    pub(super) finite: bool,
}

/// The fault of an entry of a right-hand side.
const NOT_FINITE: &str = "the value is NaN or infinite; no x solves a system with such a right-hand side";

impl Header {
    pub(super) fn read(lines: &mut Lines<impl BufRead>) -> Result<Header, Fault> {
        let mut is_indented = false;
        let (storage, field, symmetry) = loop {
            let Some(line) = lines.next_line()? else { return Err(Fault::line(1, "the file is empty")) };
            is_indented |= line.first().is_some_and(u8::is_ascii_whitespace);
            if !line.trim_ascii().is_empty() {
                let found = banner(line);
                break found.map_err(|what| Fault::line(lines.number, what))?;
            }
        };
        let sizes = loop {
            match lines.next_line()? {
                None => return Err(Fault::line(lines.number, "the file ends before the line with the sizes")),
                Some(line) if is_comment(line) => {}
                Some(line) => break sizes(line, storage, symmetry),
            }
        };
        let [rows, columns, entries] = sizes.map_err(|what| Fault::line(lines.number, what))?;
        let (lines, bytes, finite) = (lines.number, lines.bytes, false);
        Ok(Header { storage, field, symmetry, rows, columns, entries, lines, bytes, is_indented, finite })
    }

    /// Refuses a value that is not finite where that matters.
    #[inline]
    pub(super) fn check_finite(&self, (re, im): (f64, f64)) -> Result<(), String> {
        if self.finite && !(re.is_finite() && im.is_finite()) { Err(NOT_FINITE.into()) } else { Ok(()) }
    }
}

/// Returns true for a line without content: blank, or a comment.
pub(super) fn is_comment(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'%'))
}

fn banner(line: &[u8]) -> Result<(Storage, Field, Symmetry), String> {
    let text = String::from_utf8_lossy(line).to_ascii_lowercase();
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some("%%matrixmarket") {
        return Err(format!("a MatrixMarket file starts with %%MatrixMarket, this one with {}", quoted(line)));
    }
    let mut word = |name: &str| words.next().ok_or_else(|| format!("the header ends before its {name}"));
    let unknown = |name: &str, word: &str, known: &str| Err(format!("{name} '{word}' is not known; it is {known}"));
    match word("object")? {
        "matrix" => {}
        other => return unknown("object", other, "matrix"),
    }
    let storage = match word("format")? {
        "coordinate" => Storage::Coordinate,
        "array" => Storage::Array,
        other => return unknown("format", other, "coordinate or array"),
    };
    let field = match word("field")? {
        "real" => Field::Real,
        "integer" | "unsigned-integer" => Field::Integer,
        "complex" => Field::Complex,
        "pattern" => Field::Pattern,
        other => return unknown("field", other, "real, integer, complex or pattern"),
    };
    let symmetry = match word("symmetry")? {
        "general" => Symmetry::General,
        "symmetric" => Symmetry::Symmetric,
        "skew-symmetric" => Symmetry::SkewSymmetric,
        "hermitian" => Symmetry::Hermitian,
        other => return unknown("symmetry", other, "general, symmetric, skew-symmetric or Hermitian"),
    };
    if let Some(extra) = words.next() {
        return Err(format!("'{extra}' follows the symmetry, where the line should end"));
    }
    match (storage, field, symmetry) {
        (Storage::Array, Field::Pattern, _) => Err("an array has values, so its field cannot be pattern".into()),
        (_, Field::Pattern, Symmetry::SkewSymmetric) => {
            Err("a pattern has no values, so it cannot be skew-symmetric".into())
        }
        (_, Field::Real | Field::Integer | Field::Pattern, Symmetry::Hermitian) => {
            Err(format!("a Hermitian matrix is complex, this one is {field}; call it symmetric"))
        }
        _ => Ok((storage, field, symmetry)),
    }
}

/// Rows, columns, and entries that are stored.
fn sizes(line: &[u8], storage: Storage, symmetry: Symmetry) -> Result<[u64; 3], String> {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (names, expected) = match storage {
        Storage::Array => ("rows and columns", 2),
        _ => ("rows, columns and entries", 3),
    };
    if words.len() != expected {
        return Err(format!(
            "the sizes should be {names}, {expected} numbers; the line is {}",
            quoted(line.trim_ascii())
        ));
    }
    let mut numbers = [0; 3];
    for (number, word) in numbers.iter_mut().zip(words) {
        let parsed: Option<u64> = word.parse().ok();
        *number =
            parsed.ok_or_else(|| format!("{} is not a size, a whole number below 2^64", quoted(word.as_bytes())))?;
    }
    let [rows, columns, _] = numbers;
    if symmetry != Symmetry::General && rows != columns {
        return Err(format!("a {symmetry} matrix is square, this one has {rows} rows and {columns} columns"));
    }
    if storage == Storage::Array {
        numbers[2] = array_entries(rows, columns, symmetry).ok_or("the array has more than 2^64 - 1 entries")?;
    }
    Ok(numbers)
}

/// Returns the number of entries that an array stores: all, or those on and below the diagonal, or those below it.
fn array_entries(rows: u64, columns: u64, symmetry: Symmetry) -> Option<u64> {
    let (n, m) = (u128::from(rows), u128::from(columns));
    let entries = match symmetry {
        Symmetry::General => n * m,
        Symmetry::Symmetric | Symmetry::Hermitian => n * (n + 1) / 2,
        Symmetry::SkewSymmetric => n * n.saturating_sub(1) / 2,
    };
    u64::try_from(entries).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Header, String> {
        Header::read(&mut Lines::new(text.as_bytes())).map_err(|fault| format!("{}: {}", fault.place, fault.what))
    }

    #[test]
    fn comments_blank_lines_and_case_do_not_matter() {
        let header =
            read("%%matrixmarket MATRIX Coordinate Complex HERMITIAN\r\n% c\r\n\r\n  % d\r\n 3  3 2\r\n1 1 1 0")
                .unwrap();
        let expected = Header {
            storage: Storage::Coordinate,
            field: Field::Complex,
            symmetry: Symmetry::Hermitian,
            rows: 3,
            columns: 3,
            entries: 2,
            lines: 5,
            bytes: 75,
            is_indented: false,
            finite: false,
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn arrays_count_what_they_store() {
        let entries =
            |words: &str| read(&format!("%%MatrixMarket matrix array {words}\n")).map(|header| header.entries);
        assert_eq!(entries("real general\n4 3"), Ok(12));
        assert_eq!(entries("real symmetric\n4 4"), Ok(10));
        assert_eq!(entries("complex hermitian\n4 4"), Ok(10));
        assert_eq!(entries("integer skew-symmetric\n4 4"), Ok(6));
        assert_eq!(entries("integer skew-symmetric\n0 0"), Ok(0));
        assert!(entries("real general\n18446744073709551615 2").unwrap_err().contains("line 2: the array has more"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("", "line 1: the file is empty"),
            ("%%MatrixMarkt matrix coordinate real general\n", "line 1: a MatrixMarket file starts with"),
            ("%%MatrixMarket vector coordinate real general\n", "object 'vector' is not known"),
            ("%%MatrixMarket matrix coordinate real\n", "line 1: the header ends before its symmetry"),
            ("%%MatrixMarket matrix elemental real general\n", "format 'elemental' is not known"),
            ("%%MatrixMarket matrix coordinate quaternion general\n", "field 'quaternion' is not known"),
            ("%%MatrixMarket matrix coordinate real upper\n", "symmetry 'upper' is not known"),
            ("%%MatrixMarket matrix coordinate real general x\n", "'x' follows the symmetry"),
            ("%%MatrixMarket matrix array pattern general\n", "its field cannot be pattern"),
            ("%%MatrixMarket matrix coordinate pattern skew-symmetric\n", "no values"),
            ("%%MatrixMarket matrix coordinate real hermitian\n", "is complex, this one is real"),
            ("%%MatrixMarket matrix coordinate real general\n% only\n", "line 2: the file ends before"),
            ("%%MatrixMarket matrix coordinate real general\n\n3 3\n", "line 3: the sizes should be rows, columns"),
            ("%%MatrixMarket matrix array real general\n3 3 9\n", "line 2: the sizes should be rows and columns"),
            ("%%MatrixMarket matrix coordinate real general\n3 -3 1\n", "line 2: '-3' is not a size"),
            (
                "%%MatrixMarket matrix coordinate real general\n3 3 99999999999999999999\n",
                "'99999999999999999999' is not a",
            ),
            ("%%MatrixMarket matrix coordinate real symmetric\n3 4 1\n", "has 3 rows and 4 columns"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }
}
