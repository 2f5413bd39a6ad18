//! A NumPy array in a member of the file.

use super::zip::Member;
use crate::EXACT;
use crate::error::Result as IoResult;
use crate::fault::{Fault, quoted, settle};
use crate::files::Field;
use crate::source::Source;
use dolmen_core::{Comm, Scalar};
use std::ops::Range;

/// The longest header that is read.
const LONGEST_HEADER: u64 = 1 << 16;

/// Returns true if a file starts as an array of NumPy does.
pub(crate) fn is_npy(head: &[u8]) -> bool {
    head.starts_with(b"\x93NUMPY")
}

/// Type of the numbers of an array.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Type {
    big_endian: bool,
    /// `i`, `u`, `b`, `f`, `c`, or `S` and `U` for text.
    kind: u8,
    /// Of one number.
    bytes: u64,
}

/// An array of the file.
#[derive(Clone, Debug)]
pub(super) struct Array {
    member: Member,
    kind: Type,
    pub(super) shape: Vec<u64>,
    /// True if entries of a column follow each other, not those of a row.
    pub(super) by_columns: bool,
    /// Start of the numbers in the member.
    start: u64,
}

impl Array {
    pub(super) fn find(source: &Source, members: &[Member], name: &str) -> Result<Option<Array>, Fault> {
        let file = format!("{name}.npy");
        members.iter().find(|member| member.name == file).map(|member| Array::of(source, member)).transpose()
    }

    /// Returns the array that a member holds.
    pub(super) fn of(source: &Source, member: &Member) -> Result<Array, Fault> {
        let wrong = |what: &str| member.fault(what);
        let mut head = Vec::new();
        member.read(source, 0..member.bytes.min(LONGEST_HEADER), |bytes| head.extend_from_slice(bytes))?;
        let version =
            head.get(6).filter(|_| head.starts_with(b"\x93NUMPY")).ok_or_else(|| wrong("is not a NumPy array"))?;
        let short = || head.get(8..10).map(|bytes| (10_usize, usize::from(bytes[0]) | usize::from(bytes[1]) << 8));
        let long = || Some((12, usize::try_from(u32::from_le_bytes(*head.get(8..12)?.first_chunk()?)).ok()?));
        let lengths = if *version == 1 { short() } else { long() };
        let text =
            lengths.and_then(|(start, length)| head.get(start..start.checked_add(length)?).map(|text| (start, text)));
        let (start, text) = text.ok_or_else(|| wrong("ends within its header"))?;
        let (shape, by_columns) = shape(text).map_err(&wrong_text(member))?;
        let array = Array {
            member: member.clone(),
            kind: kind(text).map_err(&wrong_text(member))?,
            shape,
            by_columns,
            start: (start + text.len()) as u64,
        };
        let count = array.shape.iter().try_fold(1_u64, |count, length| count.checked_mul(*length));
        let needed = count
            .and_then(|count| count.checked_mul(array.kind.bytes))
            .and_then(|bytes| bytes.checked_add(array.start));
        if needed != Some(member.bytes) {
            return Err(wrong(&format!("does not have the size of an array of shape {:?}", array.shape)));
        }
        Ok(array)
    }

    pub(super) fn require(source: &Source, members: &[Member], name: &str, dimensions: usize) -> Result<Array, Fault> {
        let missing =
            || Fault::new("file", format!("has no array {name}; it is not a sparse matrix as SciPy saves it"));
        let array = Array::find(source, members, name)?.ok_or_else(missing)?;
        if array.by_columns && dimensions > 1 {
            return Err(array.fault("is stored by columns, which is not supported; save it in C order"));
        }
        if array.shape.len() == dimensions {
            return Ok(array);
        }
        Err(array.fault(format!("has {} dimensions, not {dimensions}", array.shape.len())))
    }

    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        self.member.fault(what)
    }

    /// Numbers in it.
    pub(super) fn count(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Bytes when unpacked.
    pub(super) fn bytes(&self) -> u64 {
        self.member.bytes
    }

    pub(super) fn is_packed(&self) -> bool {
        self.member.packed
    }

    pub(super) fn field(&self) -> Field {
        match self.kind.kind {
            b'c' => Field::Complex,
            b'f' => Field::Real,
            _ => Field::Integer,
        }
    }

    /// Verifies the checksum.
    ///
    /// # Collective
    pub(super) fn verify(&self, comm: &Comm, source: &Source) -> IoResult<()> {
        let verified = self.member.verify(comm, source);
        settle(comm, source.path(), verified)
    }

    /// Verifies the checksum of an array of a few numbers, on this rank alone.
    pub(super) fn verify_alone(&self, source: &Source) -> Result<(), Fault> {
        self.member.verify_alone(source)
    }

    /// Gives each number of `part` to `take`, as its bytes, least first.
    fn each(&self, source: &Source, part: Range<u64>, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        let bytes = self.start + part.start * self.kind.bytes..self.start + part.end * self.kind.bytes;
        let width = usize::try_from(self.kind.bytes).expect("invariant: numbers are short");
        // The parts of a complex number are swapped each.
        let swapped = if self.kind.kind == b'c' { width / 2 } else { width };
        let mut rest: Vec<u8> = Vec::new();
        self.member.read(source, bytes, |piece| {
            rest.extend_from_slice(piece);
            let whole = rest.len() / width * width;
            for number in rest[..whole].chunks_exact_mut(width) {
                if self.kind.big_endian {
                    number.chunks_exact_mut(swapped).for_each(<[u8]>::reverse);
                }
                take(number);
            }
            rest.drain(..whole);
        })
    }

    /// Whole numbers, such as indices.
    pub(super) fn integers(&self, source: &Source, part: Range<u64>) -> Result<Vec<i64>, Fault> {
        if !matches!(self.kind.kind, b'i' | b'u') {
            return Err(self.fault("does not hold whole numbers"));
        }
        let (mut found, mut large) = (Vec::new(), false);
        self.each(source, part, |number| match i64::try_from(integer(number, self.kind.kind == b'i')) {
            Ok(number) => found.push(number),
            Err(_) => large = true,
        })?;
        if large { Err(self.fault("holds a number above 2^63")) } else { Ok(found) }
    }

    /// Numbers as values of a matrix.
    pub(super) fn values<T: Scalar>(&self, source: &Source, part: Range<u64>) -> Result<Vec<T>, Fault> {
        let Type { kind, .. } = self.kind;
        if matches!(kind, b'S' | b'U') {
            return Err(self.fault("holds text, not numbers"));
        }
        let (mut found, mut inexact) = (Vec::new(), None);
        self.each(source, part, |number| {
            let half = number.len() / 2;
            let (re, im) = match kind {
                b'f' => (float(number), 0.0),
                b'c' => (float(&number[..half]), float(&number[half..])),
                _ => {
                    let value = integer(number, kind == b'i');
                    if value.unsigned_abs() > u128::from(EXACT) {
                        inexact = inexact.or(Some(value));
                    }
                    (value as f64, 0.0)
                }
            };
            found.push(T::from_parts(re, im));
        })?;
        match inexact {
            Some(value) => Err(self.fault(format!("holds {value}, beyond 2^53, where f64 cannot hold every integer"))),
            None => Ok(found),
        }
    }

    /// Returns a short text, such as the name of a format.
    pub(super) fn text(&self, source: &Source) -> Result<String, Fault> {
        if !matches!(self.kind.kind, b'S' | b'U') || self.count() != 1 || self.kind.bytes > 64 {
            return Err(self.fault("is not a text of at most 64 bytes"));
        }
        let mut text = Vec::new();
        self.each(source, 0..1, |bytes| text.extend(bytes.iter().filter(|byte| **byte != 0)))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn wrong_text(member: &Member) -> impl Fn(String) -> Fault + '_ {
    |what| member.fault(what)
}

fn integer(bytes: &[u8], signed: bool) -> i128 {
    let negative = signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut wide = [fill; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    i128::from_le_bytes(wide)
}

fn float(bytes: &[u8]) -> f64 {
    match bytes {
        [a, b, c, d] => f64::from(f32::from_le_bytes([*a, *b, *c, *d])),
        wide => f64::from_le_bytes(wide.try_into().expect("invariant: numbers of 4 or 8 bytes are let through")),
    }
}

/// Returns the text after a key of the header, a Python dictionary.
fn value_of<'t>(text: &'t str, key: &str) -> Result<&'t str, String> {
    let quoted_keys = [format!("'{key}'"), format!("\"{key}\"")];
    let found = quoted_keys.iter().find_map(|key| text.split_once(key.as_str()));
    let value = found.and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
    value.map(str::trim_start).ok_or_else(|| format!("has a header without {key}"))
}

fn kind(header: &[u8]) -> Result<Type, String> {
    let text = String::from_utf8_lossy(header);
    let value = value_of(&text, "descr")?;
    let name = value.split(['\'', '"']).nth(1).filter(|_| value.starts_with(['\'', '"'])).unwrap_or_default();
    let refused = || format!("has numbers of type {}, which is not supported", quoted(name.as_bytes()));
    let (&[order, kind], digits) = name.as_bytes().split_first_chunk().ok_or_else(refused)?;
    let size: u64 = std::str::from_utf8(digits).ok().and_then(|size| size.parse().ok()).ok_or_else(refused)?;
    let bytes = if kind == b'U' { size.saturating_mul(4) } else { size };
    let known = match kind {
        b'b' => bytes == 1,
        b'i' | b'u' => matches!(bytes, 1 | 2 | 4 | 8),
        b'f' => matches!(bytes, 4 | 8),
        b'c' => matches!(bytes, 8 | 16),
        b'S' | b'U' => (1..=1024).contains(&bytes),
        _ => false,
    };
    let big_endian = order == b'>';
    if known && matches!(order, b'<' | b'>' | b'|' | b'=') {
        Ok(Type { big_endian, kind, bytes })
    } else {
        Err(refused())
    }
}

/// Returns the shape, and whether the array is stored by columns.
fn shape(header: &[u8]) -> Result<(Vec<u64>, bool), String> {
    let text = String::from_utf8_lossy(header);
    let inner =
        value_of(&text, "shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inner, _)| inner);
    let lengths =
        inner.map(|inner| inner.split(',').map(str::trim).filter(|length| !length.is_empty()).map(str::parse));
    let shape: Vec<u64> = lengths.and_then(|lengths| lengths.collect::<Result<_, _>>().ok()).ok_or("has no shape")?;
    let order = value_of(&text, "fortran_order")?;
    // Of one dimension, an array is stored in both orders.
    let by_columns = order.starts_with("True") && shape.len() > 1;
    Ok((shape, by_columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them() {
        let header = b"{'descr': '>c16', 'fortran_order': False, 'shape': (3, 4), }          \n";
        assert_eq!(kind(header), Ok(Type { big_endian: true, kind: b'c', bytes: 16 }));
        assert_eq!(shape(header), Ok((vec![3, 4], false)));
        let header = b"{'descr': '|S3', 'fortran_order': True, 'shape': (), }";
        assert_eq!(kind(header), Ok(Type { big_endian: false, kind: b'S', bytes: 3 }));
        assert_eq!(shape(header), Ok((vec![], false)));
        let header = b"{'descr': '<f8', 'fortran_order': True, 'shape': (3, 4), }";
        assert_eq!(shape(header), Ok((vec![3, 4], true)));
        for (header, part) in [
            ("{'descr': '<f2', 'shape': (1,)}", "type '<f2', which is not supported"),
            ("{'descr': '<f', 'shape': (1,)}", "not supported"),
            ("{'descr': [('a', '<f8')], 'shape': (1,)}", "type '', which is not"),
            ("{'shape': (1,)}", "without descr"),
        ] {
            assert!(kind(header.as_bytes()).unwrap_err().contains(part), "{header}");
        }
        for (header, part) in [
            ("{'fortran_order': False, 'shape': (1, -2)}", "has no shape"),
            ("{'shape': (1,)}", "without fortran_order"),
            ("{'fortran_order': False}", "without shape"),
        ] {
            assert!(shape(header.as_bytes()).unwrap_err().contains(part), "{header}");
        }
    }

    #[test]
    fn integers_of_any_width() {
        assert_eq!(integer(&[0xff], true), -1);
        assert_eq!(integer(&[0xff], false), 255);
        assert_eq!(integer(&[0, 0, 0, 0x80], true), -(1 << 31));
        assert_eq!(integer(&[0xff; 8], false), (1 << 64) - 1);
    }
}
