//! Reference matrices: MatrixMarket and Harwell-Boeing files, symmetry expanded.
//!
//! Small, strict enough for the files of the reference data, and a check on the product's own
//! reader, which is why it is not that reader.

use std::fs;
use std::io::Read;
use std::path::Path;

use dolmen_core::{Complex64, Gid};
use flate2::read::GzDecoder;

use crate::case::TestResult;

/// A matrix in full, its triplets by global row and column.
#[derive(Debug, Default)]
pub struct Triplets {
    /// Number of rows.
    pub rows: u64,
    /// Number of columns.
    pub columns: u64,
    /// Rows, columns and values, in the order of the file.
    pub entries: Vec<(Gid, Gid, Complex64)>,
}

/// Reads a matrix from a file of either format, packed by gzip if its name ends in `.gz`.
///
/// # Errors
/// A file that cannot be read or is not in one of the formats.
pub fn read_matrix(path: &Path) -> TestResult<Triplets> {
    let mut text = String::new();
    let bytes = fs::read(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(bytes)?;
    }
    if text.starts_with("%%MatrixMarket") { matrix_market(&text) } else { harwell_boeing(&text) }
}

/// Adds an entry and what the symmetry says about its mirror image.
fn push(to: &mut Triplets, symmetry: &str, row: Gid, column: Gid, value: Complex64) {
    to.entries.push((row, column, value));
    if row == column {
        return;
    }
    match symmetry {
        "symmetric" | "s" => to.entries.push((column, row, value)),
        "skew-symmetric" | "z" => to.entries.push((column, row, -value)),
        "hermitian" | "h" => to.entries.push((column, row, value.conj())),
        _ => {}
    }
}

fn matrix_market(text: &str) -> TestResult<Triplets> {
    let mut lines = text.lines().map(str::trim);
    let header = lines.next().ok_or("empty file")?.to_lowercase();
    let [_, _, format, field, symmetry] = header.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err(format!("header {header}").into());
    };
    let mut numbers = lines.filter(|line| !line.starts_with('%')).flat_map(str::split_whitespace);
    let mut next = || numbers.next().ok_or("the file ends early");
    let (rows, columns) = (next()?.parse()?, next()?.parse()?);
    let mut matrix = Triplets { rows, columns, entries: Vec::new() };
    let read = |with: &mut dyn FnMut() -> TestResult<f64>| -> TestResult<Complex64> {
        Ok(match field {
            "pattern" => Complex64::new(1.0, 0.0),
            "complex" => Complex64::new(with()?, with()?),
            _ => Complex64::new(with()?, 0.0),
        })
    };
    if format == "array" {
        for column in 0..columns {
            let first = if symmetry == "general" { 0 } else { column };
            for row in first..rows {
                let value = read(&mut || Ok(next()?.parse()?))?;
                push(&mut matrix, symmetry, row, column, value);
            }
        }
        return Ok(matrix);
    }
    let count: u64 = next()?.parse()?;
    for _ in 0..count {
        let (row, column): (Gid, Gid) = (next()?.parse()?, next()?.parse()?);
        let value = read(&mut || Ok(next()?.parse()?))?;
        push(&mut matrix, symmetry, row - 1, column - 1, value);
    }
    Ok(matrix)
}

/// Width of the fields of a Fortran format such as `(16I5)` or `(1P,4E20.12)`.
fn field_width(format: &str) -> TestResult<usize> {
    let after = format.rsplit(['I', 'E', 'D', 'F', 'G', 'i', 'e', 'd', 'f', 'g']).next().unwrap_or_default();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse().map_err(|_| format!("format {format}"))?)
}

/// Fields of fixed width on all of `lines`.
fn fields<'a>(lines: &[&'a str], width: usize) -> Vec<&'a str> {
    let cut = |line: &'a str| (0..line.len()).step_by(width).map(move |at| &line[at..line.len().min(at + width)]);
    lines.iter().flat_map(|line| cut(line)).map(str::trim).filter(|field| !field.is_empty()).collect()
}

fn harwell_boeing(text: &str) -> TestResult<Triplets> {
    let lines: Vec<&str> = text.lines().collect();
    let numbers =
        |line: &str| line.split_whitespace().filter_map(|word| word.parse::<usize>().ok()).collect::<Vec<_>>();
    let cards = numbers(lines[1]);
    let kind = lines[2][..3].to_lowercase();
    let shape = numbers(&lines[2][3..]);
    let formats: Vec<&str> = lines[3].split(')').collect();
    let first = if cards.get(4).is_some_and(|&cards| cards > 0) { 5 } else { 4 };
    let (pointers, rest) = lines[first..].split_at(cards[1]);
    let (indices, rest) = rest.split_at(cards[2]);
    let starts = parsed::<usize>(&fields(pointers, field_width(formats[0])?))?;
    let rows = parsed::<u64>(&fields(indices, field_width(formats[1])?))?;
    let values = if cards[3] == 0 { Vec::new() } else { reals(&fields(&rest[..cards[3]], field_width(formats[2])?))? };
    let value = |at: usize| match &kind[..1] {
        "p" => Complex64::new(1.0, 0.0),
        "c" => Complex64::new(values[2 * at], values[2 * at + 1]),
        _ => Complex64::new(values[at], 0.0),
    };
    let mut matrix = Triplets { rows: shape[0] as u64, columns: shape[1] as u64, entries: Vec::new() };
    for (column, bounds) in (0..).zip(starts.windows(2)) {
        for at in bounds[0] - 1..bounds[1] - 1 {
            push(&mut matrix, &kind[1..2], rows[at] - 1, column, value(at));
        }
    }
    Ok(matrix)
}

fn parsed<N: std::str::FromStr<Err: std::error::Error + 'static>>(fields: &[&str]) -> TestResult<Vec<N>> {
    fields.iter().map(|field| Ok(field.parse()?)).collect()
}

/// Fortran writes exponents as `1.5E+01`, `1.5D+01` and, with three digits, `1.5+001`.
fn reals(fields: &[&str]) -> TestResult<Vec<f64>> {
    let real = |field: &&str| {
        let text = field.to_lowercase().replace('d', "e");
        let sign = text.rfind(['+', '-']).filter(|&at| at > 0 && !text[..at].ends_with('e'));
        Ok(match sign {
            Some(at) => format!("{}e{}", &text[..at], &text[at..]).parse()?,
            None => text.parse()?,
        })
    };
    fields.iter().map(real).collect()
}
