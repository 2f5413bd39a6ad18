//! The first four or five lines: what the file holds and in which columns.

use super::fortran::FortranFormat;
use crate::fault::{Fault, quoted};
use crate::files::{Field, Format, Symmetry};
use crate::text::Lines;
use std::io::BufRead;

/// Contents of the lines above the numbers.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) format: Format,
    pub(super) field: Field,
    pub(super) symmetry: Symmetry,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) entries: u64,
    pub(super) pointers: FortranFormat,
    pub(super) indices: FortranFormat,
    /// None for a pattern.
    pub(super) values: Option<FortranFormat>,
    pub(super) behind: Behind,
}

/// The rest of a file, behind its matrix.
#[derive(Clone, Debug)]
pub(super) enum Behind {
    Nothing,
    Vectors(RightHandSides),
    /// Right-hand sides of type M, stored like the matrix, which are not read.
    SparseVectors,
}

/// Full vectors behind the matrix: as many of each kind as there are right-hand sides.
#[derive(Clone, Debug)]
pub(super) struct RightHandSides {
    pub(super) count: u64,
    pub(super) format: FortranFormat,
    pub(super) has_guesses: bool,
    pub(super) has_solutions: bool,
}

/// Returns true if a text starts as a Harwell-Boeing or Rutherford-Boeing file, recognized by the
/// third line, where the type of the matrix, three letters, is followed by blanks and a number.
pub(crate) fn is_harwell_boeing(head: &[u8]) -> bool {
    let third = head.split(|&byte| byte == b'\n').nth(2).unwrap_or_default();
    let kind = third.get(..3).is_some_and(|kind| kind.iter().all(u8::is_ascii_alphabetic));
    kind && third.get(3..14).is_some_and(|gap| gap.trim_ascii().is_empty()) && !columns(third, 14, 14).is_empty()
}

/// Columns of a line, blank where the line is shorter.
fn columns(line: &[u8], from: usize, count: usize) -> &[u8] {
    line.get(from..).map_or(&b""[..], |rest| &rest[..rest.len().min(count)]).trim_ascii()
}

fn number(line: &[u8], from: usize, what: &str) -> Result<u64, String> {
    let field = columns(line, from, 14);
    let parsed = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        let (from, to) = (from + 1, from + 14);
        format!("columns {from} to {to} should be the {what}, a whole number, not {}", quoted(field))
    })
}

impl Header {
    pub(super) fn read(lines: &mut Lines<impl BufRead>) -> Result<Header, Fault> {
        let mut next = |what: &str| -> Result<Vec<u8>, Fault> {
            let ended = Fault::line(lines.number + 1, format!("the file ends before {what}"));
            lines.next_line()?.map(<[u8]>::to_vec).ok_or(ended)
        };
        next("the title")?;
        let counts = next("the numbers of lines")?;
        let kind = next("the type of the matrix")?;
        let formats = next("the formats")?;
        let at = |line: u64| move |what: String| Fault::line(line, what);
        let (field, symmetry) = parse_type(columns(&kind, 0, 3)).map_err(at(3))?;
        let size = |from, what: &str| number(&kind, from, what).map_err(at(3));
        let (rows, width, entries) =
            (size(14, "number of rows")?, size(28, "number of columns")?, size(42, "number of entries")?);
        if symmetry != Symmetry::General && rows != width {
            return Err(Fault::line(
                3,
                format!("a {symmetry} matrix is square, this one has {rows} rows and {width} columns"),
            ));
        }
        let parse = |from, length| FortranFormat::parse(columns(&formats, from, length)).map_err(at(4));
        let value_lines = number(&counts, 42, "number of lines of values").map_err(at(2))?;
        let whole = |format: FortranFormat, what: &str| match format.is_whole() {
            true => Ok(format),
            false => Err(Fault::line(4, format!("the format of {what} is not one of whole numbers"))),
        };
        let (pointers, indices) = (whole(parse(0, 16)?, "pointers")?, whole(parse(16, 16)?, "row indices")?);
        let values = match field {
            Field::Pattern => None,
            _ if value_lines == 0 && entries > 0 => {
                return Err(Fault::line(2, format!("there are no lines of values, but the matrix is {field}")));
            }
            _ => Some(parse(32, 20)?),
        };
        // Rutherford-Boeing keeps right-hand sides in other files and does not count their lines.
        let rutherford = columns(&counts, 56, 14).is_empty();
        let vector_lines =
            if rutherford { 0 } else { number(&counts, 56, "number of lines of right-hand sides").map_err(at(2))? };
        let behind = match vector_lines {
            0 => Behind::Nothing,
            _ => match &next("the type of right-hand sides")?[..] {
                [b'M' | b'm', ..] => Behind::SparseVectors,
                line => Behind::Vectors(right_hand_sides(line, parse(52, 20)?).map_err(at(5))?),
            },
        };
        let format = if rutherford { Format::RutherfordBoeing } else { Format::HarwellBoeing };
        Ok(Header { format, field, symmetry, rows, columns: width, entries, pointers, indices, values, behind })
    }
}

fn parse_type(text: &[u8]) -> Result<(Field, Symmetry), String> {
    let upper = text.to_ascii_uppercase();
    let &[field, symmetry, form] = &upper[..] else {
        return Err(format!("{} is not the type of a matrix, three letters such as RUA", quoted(text)));
    };
    let unknown = |letter: u8, meaning: &str| {
        Err(format!("type {}: '{}' {meaning}", String::from_utf8_lossy(text), char::from(letter).escape_default()))
    };
    let field = match field {
        b'R' => Field::Real,
        b'C' => Field::Complex,
        b'I' => Field::Integer,
        b'P' => Field::Pattern,
        b'Q' => return unknown(field, "keeps its values in another file, which is not supported"),
        _ => return unknown(field, "is none of the fields R, C, I, P"),
    };
    let symmetry = match symmetry {
        b'U' | b'R' => Symmetry::General,
        b'S' => Symmetry::Symmetric,
        b'Z' => Symmetry::SkewSymmetric,
        b'H' => Symmetry::Hermitian,
        _ => return unknown(symmetry, "is none of the symmetries U, R, S, Z, H"),
    };
    match form {
        b'A' => Ok((field, symmetry)),
        b'E' => unknown(form, "is an elemental matrix, which is not supported; assemble it"),
        _ => unknown(form, "is neither A, assembled, nor E, elemental"),
    }
}

fn right_hand_sides(line: &[u8], format: FortranFormat) -> Result<RightHandSides, String> {
    let letter = |place: usize| line.get(place).map(u8::to_ascii_uppercase);
    match letter(0) {
        Some(b'F') => Ok(RightHandSides {
            count: number(line, 14, "number of right-hand sides")?,
            format,
            has_guesses: letter(1) == Some(b'G'),
            has_solutions: letter(2) == Some(b'X'),
        }),
        _ => Err(format!("{} is not a type of right-hand sides, such as F", quoted(columns(line, 0, 3)))),
    }
}
