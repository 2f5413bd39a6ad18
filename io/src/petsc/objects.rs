//! Objects of a file and their positions, found from their headers, which hold the length of each.

use crate::fault::Fault;
use crate::source::Source;
use dolmen_core::memory;

const MATRIX: i64 = 1_211_216;
const VECTOR: i64 = 1_211_214;
const INDEX_SET: i64 = 1_211_218;

/// The integers of a build of PETSc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexWidth {
    /// 32 bits, the default of PETSc.
    Bits32,
    /// 64 bits, of builds `--with-64-bit-indices`.
    Bits64,
}

impl IndexWidth {
    /// Creates the narrower one that holds numbers up to `most`.
    pub(crate) fn for_numbers(most: u64) -> Self {
        if i32::try_from(most).is_ok() { IndexWidth::Bits32 } else { IndexWidth::Bits64 }
    }

    pub(super) fn bytes(self) -> u64 {
        match self {
            IndexWidth::Bits32 => 4,
            IndexWidth::Bits64 => 8,
        }
    }
}

/// The kinds of numbers of a build of PETSc, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    F64,
    Complex64,
    F32,
}

impl Numbers {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Numbers::F64 => 8,
            Numbers::Complex64 => 16,
            Numbers::F32 => 4,
        }
    }
}

/// An object of a file; positions are bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    Sparse { rows: u64, columns: u64, entries: u64, lengths: u64, indices: u64, values: u64 },
    Dense { rows: u64, columns: u64, values: u64 },
    Vector { length: u64, values: u64, numbers: Numbers },
}

/// All that a file holds.
#[derive(Debug, PartialEq)]
pub(super) struct Contents {
    pub(super) width: IndexWidth,
    pub(super) numbers: Numbers,
    /// Matrices and vectors; other objects are passed over.
    pub(super) objects: Vec<Object>,
}

/// Returns the width of the integers by the class number at the start of a file.
fn width_of(head: &[u8]) -> Option<IndexWidth> {
    let known = |class: i64| matches!(class, MATRIX | VECTOR | INDEX_SET);
    let narrow = head.first_chunk().map(|bytes| i64::from(i32::from_be_bytes(*bytes)));
    let wide = head.first_chunk().map(|bytes| i64::from_be_bytes(*bytes));
    match (narrow, wide) {
        (Some(class), _) if known(class) => Some(IndexWidth::Bits32),
        (_, Some(class)) if known(class) => Some(IndexWidth::Bits64),
        _ => None,
    }
}

/// Returns true if a file starts as a PETSc binary file does.
pub(crate) fn is_petsc(head: &[u8]) -> bool {
    width_of(head).is_some()
}

impl Contents {
    /// Walks through the objects with each kind of numbers until one fits the file.
    pub(super) fn find(source: &Source) -> Result<Contents, Fault> {
        let head = source.head();
        let Some(width) = width_of(&head) else {
            return Err(Fault::new("byte 0", "is not the class number of a matrix or a vector of PETSc"));
        };
        let mut first = None;
        for numbers in [Numbers::F64, Numbers::Complex64, Numbers::F32] {
            match walk(source, width, numbers) {
                Ok(objects) => return Ok(Contents { width, numbers, objects }),
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        Err(first.expect("invariant: kinds of numbers were tried"))
    }
}

fn walk(source: &Source, width: IndexWidth, numbers: Numbers) -> Result<Vec<Object>, Fault> {
    let (mut objects, mut position) = (Vec::new(), 0);
    while position < source.length() {
        let (object, end) = object_at(source, position, width, numbers)?;
        objects.extend(object);
        position = end;
    }
    Ok(objects)
}

/// Returns the object at a position, if it is a matrix or a vector, and where it ends.
fn object_at(source: &Source, start: u64, width: IndexWidth, numbers: Numbers) -> Result<(Option<Object>, u64), Fault> {
    let integer = width.bytes();
    let number = |index: u64, what: &str| integer_at(source, start + index * integer, width, what);
    let size = |index: u64, what: &str| -> Result<u64, Fault> {
        let value = number(index, what)?;
        let place = format!("byte {}", start + index * integer);
        u64::try_from(value).map_err(|_| Fault::new(place, format!("the {what} is {value}, which is negative")))
    };
    let behind = |position: u64, count: Option<u64>, bytes: u64, what: &str| {
        let end = count.and_then(|count| count.checked_mul(bytes)).and_then(|bytes| bytes.checked_add(position));
        end.filter(|end| *end <= source.length()).ok_or_else(|| {
            let count = count.map_or_else(|| "more than 2^64".to_owned(), |count| count.to_string());
            let what = format!("announces {count} {what}, but the file ends at byte {}", source.length());
            Fault::new(format!("byte {start}"), what)
        })
    };
    match number(0, "class number")? {
        VECTOR => {
            let (length, values) = (size(1, "length of a vector")?, start + 2 * integer);
            let end = |numbers: Numbers| behind(values, Some(length), numbers.bytes(), "entries of a vector");
            // A PETSc of complex numbers can have stored texts as vectors of real ones.
            let real = end(Numbers::F64).ok().filter(|end| leads_on(source, *end, width));
            match (end(numbers), real) {
                (Ok(end), _) if leads_on(source, end, width) => {
                    Ok((Some(Object::Vector { length, values, numbers }), end))
                }
                (_, Some(end)) => Ok((Some(Object::Vector { length, values, numbers: Numbers::F64 }), end)),
                (end, None) => Ok((Some(Object::Vector { length, values, numbers }), end?)),
            }
        }
        INDEX_SET => {
            let count = size(1, "length of an index set")?;
            Ok((None, behind(start + 2 * integer, Some(count), integer, "indices")?))
        }
        MATRIX => {
            let (rows, columns) = (size(1, "number of rows")?, size(2, "number of columns")?);
            let lengths = start + 4 * integer;
            if number(3, "number of entries")? == -1 {
                let end = behind(lengths, rows.checked_mul(columns), numbers.bytes(), "entries")?;
                return Ok((Some(Object::Dense { rows, columns, values: lengths }), end));
            }
            let entries = size(3, "number of entries")?;
            let indices = behind(lengths, Some(rows), integer, "row lengths")?;
            let values = behind(indices, Some(entries), integer, "columns of entries")?;
            let end = behind(values, Some(entries), numbers.bytes(), "values of entries")?;
            Ok((Some(Object::Sparse { rows, columns, entries, lengths, indices, values }), end))
        }
        other => {
            let what = format!(
                "{other} is not the class number of a matrix, a vector or an index set, with any kind of numbers"
            );
            Err(Fault::new(format!("byte {start}"), what))
        }
    }
}

/// Returns true if the file ends at a position, or another object starts there.
fn leads_on(source: &Source, position: u64, width: IndexWidth) -> bool {
    let class = || integer_at(source, position, width, "class number").ok();
    position == source.length() || class().is_some_and(|class| matches!(class, MATRIX | VECTOR | INDEX_SET))
}

fn integer_at(source: &Source, position: u64, width: IndexWidth, what: &str) -> Result<i64, Fault> {
    let mut bytes = [0; 8];
    let bytes = &mut bytes[..if width == IndexWidth::Bits32 { 4 } else { 8 }];
    match source.read_at(bytes, position) {
        Ok(read) if read == bytes.len() => {}
        Ok(_) => {
            return Err(Fault::new(format!("byte {position}"), format!("the file ends where the {what} should be")));
        }
        Err(error) => return Err(Fault::new(format!("byte {position}"), error.to_string())),
    }
    Ok(match width {
        IndexWidth::Bits32 => i32::all_from_be(bytes).next().map(i64::from),
        IndexWidth::Bits64 => i64::all_from_be(bytes).next(),
    }
    .expect("invariant: as many bytes as one integer has"))
}

/// The integers of a file, which stay as wide in memory: there are as many of them as of values.
pub(super) trait Integer: Copy + Into<i64> + TryInto<u64> {
    /// Integers from their bytes.
    fn all_from_be(bytes: &[u8]) -> impl Iterator<Item = Self>;
}

impl Integer for i32 {
    fn all_from_be(bytes: &[u8]) -> impl Iterator<Item = i32> {
        bytes.as_chunks().0.iter().map(|bytes| i32::from_be_bytes(*bytes))
    }
}

impl Integer for i64 {
    fn all_from_be(bytes: &[u8]) -> impl Iterator<Item = i64> {
        bytes.as_chunks().0.iter().map(|bytes| i64::from_be_bytes(*bytes))
    }
}

/// Reads this number of integers, and shows each piece of them to `look` while it is at hand, with where it starts.
pub(super) fn read_integers<I: Integer>(
    source: &Source,
    position: u64,
    count: u64,
    mut look: impl FnMut(usize, &[I]),
) -> crate::error::Result<Vec<I>> {
    let mut found = memory::with_capacity(usize::try_from(count).unwrap_or(0));
    source.read_pieces(position..position + count * size_of::<I>() as u64, |bytes| {
        let start = found.len();
        found.extend(I::all_from_be(bytes));
        look(start, &found[start..]);
    })?;
    Ok(found)
}
