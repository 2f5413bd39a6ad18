//! Columns of binary tables as their header describes them (FITS Standard 4.0, section 7.3).

use super::header::{Header, Value};

/// The type of a column's elements as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnType {
    /// `L`: true, false or null.
    Logical,
    /// `X`: a bit.
    Bit,
    /// `B`: an unsigned byte.
    Byte,
    /// `I`: a 16-bit integer.
    Int16,
    /// `J`: a 32-bit integer.
    Int32,
    /// `K`: a 64-bit integer.
    Int64,
    /// `A`: a character.
    Text,
    /// `E`: a 32-bit floating-point number.
    Float32,
    /// `D`: a 64-bit floating-point number.
    Float64,
    /// `C`: a complex number of two 32-bit numbers.
    Complex32,
    /// `M`: a complex number of two 64-bit numbers.
    Complex64,
}

impl ColumnType {
    fn parse(letter: char) -> Option<ColumnType> {
        Some(match letter {
            'L' => ColumnType::Logical,
            'X' => ColumnType::Bit,
            'B' => ColumnType::Byte,
            'I' => ColumnType::Int16,
            'J' => ColumnType::Int32,
            'K' => ColumnType::Int64,
            'A' => ColumnType::Text,
            'E' => ColumnType::Float32,
            'D' => ColumnType::Float64,
            'C' => ColumnType::Complex32,
            'M' => ColumnType::Complex64,
            _ => return None,
        })
    }

    /// Returns its letter in TFORM.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            ColumnType::Logical => 'L',
            ColumnType::Bit => 'X',
            ColumnType::Byte => 'B',
            ColumnType::Int16 => 'I',
            ColumnType::Int32 => 'J',
            ColumnType::Int64 => 'K',
            ColumnType::Text => 'A',
            ColumnType::Float32 => 'E',
            ColumnType::Float64 => 'D',
            ColumnType::Complex32 => 'C',
            ColumnType::Complex64 => 'M',
        }
    }

    /// Returns the size of this number of elements, in bytes.
    pub(super) fn bytes(self, elements: u64) -> Option<u64> {
        match self {
            ColumnType::Bit => Some(elements.div_ceil(8)),
            ColumnType::Logical | ColumnType::Byte | ColumnType::Text => Some(elements),
            ColumnType::Int16 => elements.checked_mul(2),
            ColumnType::Int32 | ColumnType::Float32 => elements.checked_mul(4),
            ColumnType::Int64 | ColumnType::Float64 | ColumnType::Complex32 => elements.checked_mul(8),
            ColumnType::Complex64 => elements.checked_mul(16),
        }
    }
}

/// A column of a binary table.
#[derive(Clone, Debug)]
pub struct Column {
    /// TTYPE, or empty.
    pub name: String,
    /// TUNIT, or empty.
    pub unit: String,
    /// The type of its elements.
    pub kind: ColumnType,
    /// The number of elements in a row; zero where each row has its own number of them.
    pub repeat: u64,
    pub(super) offset: u64,
    pub(super) width: u64,
    pub(super) storage: Storage,
    pub(super) scale: f64,
    pub(super) zero: f64,
    /// TZERO, where the stored integers are only shifted by a whole number: the
    /// convention for unsigned integers.
    pub(super) whole_zero: Option<i128>,
    pub(super) null: Option<i64>,
}

/// Position of the elements of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// In the row.
    Row,
    /// In the heap; the row has their number and place, as integers of 32 bits.
    Heap32,
    /// The same with integers of 64 bits.
    Heap64,
}

/// Reads the column descriptions of a table whose rows have `row_bytes` bytes.
pub(super) fn parse_columns(header: &Header, row_bytes: u64) -> std::result::Result<Vec<Column>, String> {
    let fields = header.integer("TFIELDS").ok_or("TFIELDS is missing or not an integer")?;
    let mut columns = Vec::new();
    let mut offset = 0_u64;
    for number in 1..=fields {
        let column = parse_column(header, number, offset)?;
        offset = offset
            .checked_add(column.width)
            .filter(|end| *end <= row_bytes)
            .ok_or_else(|| format!("column {number} ends beyond the row of {row_bytes} bytes"))?;
        columns.push(column);
    }
    Ok(columns)
}

fn parse_column(header: &Header, number: i64, offset: u64) -> std::result::Result<Column, String> {
    let keyword = |root: &str| format!("{root}{number}");
    let text = |root: &str| header.text(&keyword(root)).unwrap_or_default().to_owned();
    let real = |root: &str, default: f64| match header.get(&keyword(root)) {
        None => Ok(default),
        Some(_) => (header.real(&keyword(root))).ok_or_else(|| format!("{} is not a number", keyword(root))),
    };
    let form = text("TFORM");
    let (kind, repeat, storage, width) =
        parse_form(&form).ok_or_else(|| format!("TFORM{number} = {form:?} is not a column format"))?;
    let null = match header.get(&keyword("TNULL")) {
        None => None,
        Some(Value::Integer(null)) => Some(*null),
        Some(_) => return Err(format!("TNULL{number} is not an integer")),
    };
    let (scale, zero) = (real("TSCAL", 1.0)?, real("TZERO", 0.0)?);
    // Unsigned 64-bit integers have 2^63. The formatting is exact and spares a cast that
    // could truncate.
    let whole_zero =
        (scale == 1.0 && zero.fract() == 0.0 && zero.abs() < 1e19).then(|| format!("{zero:.0}").parse().ok()).flatten();
    Ok(Column {
        name: text("TTYPE"),
        unit: text("TUNIT"),
        kind,
        repeat,
        offset,
        width,
        storage,
        scale,
        zero,
        whole_zero,
        null,
    })
}

/// Splits TFORM into type, repeat count, storage and width in bytes.
fn parse_form(form: &str) -> Option<(ColumnType, u64, Storage, u64)> {
    let form = form.trim();
    let letter_at = form.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = form.split_at(letter_at);
    let repeat: u64 = match digits {
        "" => 1,
        digits => digits.parse().ok()?,
    };
    let mut letters = rest.chars();
    let letter = letters.next()?;
    let (storage, bytes) = match letter {
        'P' => (Storage::Heap32, 8),
        'Q' => (Storage::Heap64, 16),
        _ => {
            let kind = ColumnType::parse(letter)?;
            return Some((kind, repeat, Storage::Row, kind.bytes(repeat)?));
        }
    };
    let kind = ColumnType::parse(letters.next()?)?;
    (repeat <= 1).then_some((kind, 0, storage, repeat * bytes))
}
