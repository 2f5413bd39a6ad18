//! Small tables (datasets of compound type) that every rank holds whole, such as a
//! list of detectors.
//!
//! A table is read and written as rows of bytes in a packed memory type made from
//! the file's own description, and taken apart here: one call of the library for
//! any columns. Long tables are read by [`Dataset::read_member_slab`] instead.

use super::dataset::Dataset;
use super::element::ElementType;
use super::file::H5File;
use super::layout::Layout;
use super::slab::Slab;
use crate::error::Result;
use dolmen_core::memory;
use hdf5::types::{CompoundField, CompoundType, FloatSize, IntSize, TypeDescriptor};

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TableColumn {
    /// Strings, stored in UTF-8 in `bytes` bytes each, padded with zeros.
    Text {
        /// The size of a stored string; of strings that were read with variable length, that of the longest.
        bytes: usize,
        /// One string a row.
        values: Vec<String>,
    },
    /// Integers.
    Integer(Vec<i64>),
    /// Floating-point numbers.
    Real(Vec<f64>),
    /// Arrays of `length` floating-point numbers, one array after the other.
    Reals {
        /// The number of values in a row.
        length: usize,
        /// The values of all rows.
        values: Vec<f64>,
    },
}

impl TableColumn {
    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Text { values, .. } => values.len(),
            Self::Integer(values) => values.len(),
            Self::Real(values) => values.len(),
            Self::Reals { length, values } => values.len() / (*length).max(1),
        }
    }

    /// Creates an empty column for members of this type, and their type in memory; none if
    /// they are not read.
    fn for_element(element: &ElementType) -> Option<(Self, TypeDescriptor)> {
        let column = match element {
            ElementType::Float { .. } => Self::Real(Vec::new()),
            ElementType::Integer { bytes, signed, .. } if *bytes < 8 || *signed => Self::Integer(Vec::new()),
            ElementType::Text { bytes: Some(bytes), .. } => Self::Text { bytes: *bytes, values: Vec::new() },
            ElementType::Array { shape, element } => match (shape.as_slice(), element.as_ref()) {
                ([length], ElementType::Float { .. }) => Self::Reals { length: *length, values: Vec::new() },
                _ => return None,
            },
            _ => return None,
        };
        // The library does not convert between ASCII and UTF-8, which are the same here.
        let descriptor = match element {
            ElementType::Text { bytes: Some(bytes), utf8: false } => TypeDescriptor::FixedAscii(*bytes),
            _ => column.descriptor(),
        };
        Some((column, descriptor))
    }

    /// Returns the type of a value in memory, which is also that in files written here.
    fn descriptor(&self) -> TypeDescriptor {
        match self {
            Self::Text { bytes, .. } => TypeDescriptor::FixedUnicode(*bytes),
            Self::Integer(_) => TypeDescriptor::Integer(IntSize::U8),
            Self::Real(_) => TypeDescriptor::Float(FloatSize::U8),
            Self::Reals { length, .. } => {
                TypeDescriptor::FixedArray(Box::new(TypeDescriptor::Float(FloatSize::U8)), *length)
            }
        }
    }

    /// Appends the bytes of one row.
    fn pack(&self, row: usize, bytes: &mut Vec<u8>) {
        match self {
            Self::Text { bytes: size, values } => {
                let end = bytes.len() + size;
                bytes.extend_from_slice(values[row].as_bytes());
                bytes.resize(end, 0);
            }
            Self::Integer(values) => bytes.extend(values[row].to_ne_bytes()),
            Self::Real(values) => bytes.extend(values[row].to_ne_bytes()),
            Self::Reals { length, values } => {
                bytes.extend(values[row * length..(row + 1) * length].iter().flat_map(|value| value.to_ne_bytes()));
            }
        }
    }

    /// Takes one row's value from its bytes.
    fn unpack(&mut self, bytes: &[u8]) {
        match self {
            Self::Text { values, .. } => {
                let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                values.push(String::from_utf8_lossy(text).trim_end().to_owned());
            }
            Self::Integer(values) => values.extend(bytes.as_chunks().0.iter().map(|value| i64::from_ne_bytes(*value))),
            Self::Real(values) | Self::Reals { values, .. } => {
                values.extend(bytes.as_chunks().0.iter().map(|value| f64::from_ne_bytes(*value)));
            }
        }
    }
}

impl H5File {
    /// Reads a whole table: its columns with their names, in order.
    ///
    /// # Collective
    ///
    /// Every rank gets all of it.
    ///
    /// # Errors
    ///
    /// There is no such dataset, it is not a table of one dimension, or a column is
    /// neither number, string nor one-dimensional array of floats.
    pub fn read_table(&self, name: &str) -> Result<Vec<(String, TableColumn)>> {
        self.read_table_where(name, |_| true)
    }

    /// Reads those columns of a table that are wanted, as [`H5File::read_table`] does. Others may be of any type.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`H5File::read_table`]. Names that the table has not are left out.
    pub fn read_table_columns(&self, name: &str, wanted: &[&str]) -> Result<Vec<(String, TableColumn)>> {
        self.read_table_where(name, |column| wanted.contains(&column))
    }

    fn read_table_where(&self, name: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, TableColumn)>> {
        let table = self.dataset(name)?;
        let [rows] = table.dimensions::<1>()?;
        let Form { mut columns, packed, loose } = self.comm().agree(Form::of(&table, wanted))?;
        let slab = Slab { start: vec![0], count: vec![rows] };
        if !packed.is_empty() {
            let types = packed.iter().map(|(position, ty)| (columns[*position].0.clone(), ty.clone()));
            let (row_bytes, bytes) = self.rows(&table, &row_type(types), &slab)?;
            for row in bytes.chunks_exact(row_bytes) {
                let mut rest = row;
                for (position, ty) in &packed {
                    let (value, after) = rest.split_at(ty.size());
                    columns[*position].1.unpack(value);
                    rest = after;
                }
            }
        }
        for (position, ty) in loose {
            let (name, column) = &mut columns[position];
            let values = self.comm().agree(table.texts(Some(&row_type([(name.clone(), ty)])), &slab))?;
            let bytes = values.iter().map(String::len).max().unwrap_or(0).max(1);
            *column = TableColumn::Text { bytes, values };
        }
        Ok(columns)
    }

    /// Reads all rows as bytes of a packed type, and returns the size of one.
    fn rows(&self, table: &Dataset<'_>, row_type: &TypeDescriptor, slab: &Slab) -> Result<(usize, Vec<u8>)> {
        let memory_type = self.comm().agree(table.memory_type(row_type))?;
        let (row_bytes, rows) = (memory_type.size(), slab.elements());
        let allocated = || -> Result<Vec<u8>> {
            let too_large = || table.error(format!("{rows} rows do not fit into the memory"));
            let bytes = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(row_bytes));
            let bytes = bytes.ok_or_else(too_large)?;
            table.require_stored(rows, row_bytes)?;
            memory::try_zeros(bytes).ok_or_else(too_large)
        };
        let mut bytes = self.comm().agree(allocated())?;
        table.read_bytes(&memory_type, slab, &mut bytes)?;
        Ok((row_bytes, bytes))
    }

    /// Creates a table and writes it.
    ///
    /// # Collective
    ///
    /// With the same table on all ranks; rank 0 writes it.
    ///
    /// # Errors
    ///
    /// There are no columns, they differ in length, a string is longer than its column
    /// allows or has a zero byte, the name is taken, or the file cannot be written.
    pub fn write_table(&self, name: &str, columns: &[(String, TableColumn)]) -> Result<()> {
        let rows = self.comm().agree(self.check_columns(name, columns))?;
        let descriptor = row_type(columns.iter().map(|(name, column)| (name.clone(), column.descriptor())));
        let table = self.create_dataset_as(name, &descriptor, &[rows as u64], &Layout::Contiguous)?;
        let memory_type = self.comm().agree(table.memory_type(&descriptor))?;
        let mut bytes = Vec::new();
        let mut slab = Slab::empty(1);
        if self.comm().rank() == 0 {
            slab.count[0] = rows as u64;
            for row in 0..rows {
                columns.iter().for_each(|(_, column)| column.pack(row, &mut bytes));
            }
        }
        table.write_bytes(&memory_type, &slab, &bytes)
    }

    /// Checks that columns make a table; how many rows it has.
    fn check_columns(&self, table: &str, columns: &[(String, TableColumn)]) -> Result<usize> {
        let error = |what: String| self.dataset_error(table, what);
        let Some((first, column)) = columns.first() else {
            return Err(error("a table needs at least one column".into()));
        };
        let rows = column.rows();
        for (name, column) in columns {
            if column.rows() != rows {
                return Err(error(format!("column {first} has {rows} rows, column {name} has {}", column.rows())));
            }
            match column {
                TableColumn::Text { bytes, values } => {
                    let bad = values.iter().find(|value| value.len() > *bytes || value.contains('\0'));
                    if let Some(value) = bad {
                        return Err(error(format!("column {name}: {value:?} is not a string of {bytes} bytes")));
                    }
                }
                TableColumn::Reals { length, values } if *length == 0 || values.len() % length != 0 => {
                    return Err(error(format!("column {name}: {} values do not fill rows of {length}", values.len())));
                }
                _ => {}
            }
        }
        Ok(rows)
    }
}

/// Form of a table: its columns, still empty, and how each is read.
struct Form {
    columns: Vec<(String, TableColumn)>,
    /// Columns that are read together as packed rows: their positions, and their types in memory.
    packed: Vec<(usize, TypeDescriptor)>,
    /// Columns of strings of variable length, each read alone.
    loose: Vec<(usize, TypeDescriptor)>,
}

impl Form {
    fn of(table: &Dataset<'_>, wanted: impl Fn(&str) -> bool) -> Result<Form> {
        let ElementType::Compound { members, .. } = table.element_type() else {
            return Err(table.error(format!("expected a table, found elements that are {}", table.element_type())));
        };
        let mut form = Form { columns: Vec::new(), packed: Vec::new(), loose: Vec::new() };
        for (position, member) in members.iter().filter(|member| wanted(&member.name)).enumerate() {
            let column = if let ElementType::Text { bytes: None, utf8 } = &member.element {
                let ty = if *utf8 { TypeDescriptor::VarLenUnicode } else { TypeDescriptor::VarLenAscii };
                form.loose.push((position, ty));
                TableColumn::Text { bytes: 1, values: Vec::new() }
            } else {
                let (column, ty) = TableColumn::for_element(&member.element).ok_or_else(|| {
                    table.error(format!("column {} is {}, which is not read in tables", member.name, member.element))
                })?;
                form.packed.push((position, ty));
                column
            };
            form.columns.push((member.name.clone(), column));
        }
        Ok(form)
    }
}

/// Returns the packed type of a row.
fn row_type(columns: impl IntoIterator<Item = (String, TypeDescriptor)>) -> TypeDescriptor {
    let mut size = 0;
    let mut fields = Vec::new();
    for (index, (name, ty)) in columns.into_iter().enumerate() {
        let offset = size;
        size += ty.size();
        fields.push(CompoundField { name, ty, offset, index });
    }
    TypeDescriptor::Compound(CompoundType { fields, size })
}
