//! Elements of any type of fixed size as bytes, and strings of variable length: tables, booleans, enumerations, fixed
//! strings. Who takes them apart knows the type by [`ElementType::dtype`].

use super::dataset::Dataset;
use super::element::{ByteOrder, ElementType};
use super::error::reason;
use super::ffi;
use super::file::H5File;
use super::layout::Layout;
use super::slab::Slab;
use crate::error::Result;
use dolmen_core::memory;
use hdf5::types::{CompoundField, CompoundType, FloatSize, IntSize, TypeDescriptor};

/// Elements in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValues {
    /// Elements of fixed size, without gaps, in the byte order of their type.
    Bytes(Vec<u8>),
    /// Strings of variable length.
    Texts(Vec<String>),
}

impl ElementType {
    /// Returns the size of an element without gaps; none if that is not fixed, or the type is not known.
    pub(super) fn packed_bytes(&self) -> Option<usize> {
        match self {
            Self::Float { bytes: bytes @ (2 | 4 | 8), order } => (*order != ByteOrder::Other).then_some(*bytes),
            Self::Integer { bytes: bytes @ (1 | 2 | 4 | 8), order, .. } => {
                (*bytes == 1 || *order != ByteOrder::Other).then_some(*bytes)
            }
            Self::Boolean => Some(1),
            Self::Enumeration(base) => base.packed_bytes(),
            Self::Text { bytes, .. } => *bytes,
            Self::Array { shape, element } => {
                shape.iter().try_fold(element.packed_bytes()?, |bytes, length| bytes.checked_mul(*length))
            }
            Self::Compound { members, .. } => {
                members.iter().try_fold(0_usize, |bytes, member| bytes.checked_add(member.element.packed_bytes()?))
            }
            Self::Float { .. } | Self::Integer { .. } | Self::Other(_) => None,
        }
    }

    /// Returns the type of new elements in a file and in memory; none if such elements are not written.
    pub(super) fn descriptor(&self) -> Option<TypeDescriptor> {
        Some(match self {
            Self::Float { bytes, .. } => TypeDescriptor::Float(FloatSize::from_int(*bytes)?),
            Self::Integer { bytes, signed: true, .. } => TypeDescriptor::Integer(IntSize::from_int(*bytes)?),
            Self::Integer { bytes, .. } => TypeDescriptor::Unsigned(IntSize::from_int(*bytes)?),
            Self::Boolean => TypeDescriptor::Boolean,
            Self::Text { bytes: None, .. } => TypeDescriptor::VarLenUnicode,
            Self::Text { bytes: Some(0), .. } => return None,
            Self::Text { bytes: Some(bytes), utf8: true } => TypeDescriptor::FixedUnicode(*bytes),
            Self::Text { bytes: Some(bytes), .. } => TypeDescriptor::FixedAscii(*bytes),
            Self::Array { shape, element } => match shape.as_slice() {
                [length] => TypeDescriptor::FixedArray(Box::new(element.descriptor()?), *length),
                _ => return None,
            },
            Self::Compound { members, .. } => {
                let (mut fields, mut size) = (Vec::new(), 0_usize);
                for (index, member) in members.iter().enumerate() {
                    let (name, ty, offset) = (member.name.clone(), member.element.descriptor()?, size);
                    size = size.checked_add(ty.size())?;
                    fields.push(CompoundField { name, ty, offset, index });
                }
                TypeDescriptor::Compound(CompoundType { fields, size })
            }
            Self::Enumeration(_) | Self::Other(_) => return None,
        })
    }
}

impl H5File {
    /// Creates a dataset of elements of a type of fixed size, as [`H5File::create_dataset`] does; the byte order is
    /// this machine's.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`H5File::create_dataset`]; also if elements of this type are not written.
    pub fn create_dataset_of(
        &self,
        name: &str,
        element: &ElementType,
        shape: &[u64],
        layout: &Layout,
    ) -> Result<Dataset<'_>> {
        let fixed = element.descriptor().filter(|_| element.packed_bytes().is_some());
        let refused = || self.dataset_error(name, format!("elements of {element} are not written"));
        let descriptor = self.comm().agree(fixed.ok_or_else(refused))?;
        self.create_dataset_as(name, &descriptor, shape, layout)
    }
}

impl Dataset<'_> {
    /// Reads this rank's slab, as [`Dataset::read_slab`] does, of elements of any type of fixed size, or of strings.
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read_slab`]; also if elements of this type are not read.
    pub fn read_raw(&self, start: &[u64], count: &[u64]) -> Result<RawValues> {
        let slab = Slab::new(self.shape(), start, count).map_err(|what| self.error(what));
        if let ElementType::Text { bytes: None, .. } = self.element_type() {
            return self.agree(slab.and_then(|slab| self.texts(None, &slab))).map(RawValues::Texts);
        }
        let prepared = slab.and_then(|slab| {
            let width = self.element_type().packed_bytes();
            let width = width.ok_or_else(|| self.error(format!("holds {}, which is not read", self.element_type())))?;
            self.require_stored(slab.elements(), width)?;
            let packed = self.stored_type().and_then(|stored| ffi::packed(&stored));
            let packed = packed.map_err(|error| self.error(reason(&error)))?;
            if packed.size() != width {
                return Err(
                    self.error("holds elements with unused bytes between their members, which is not supported")
                );
            }
            let bytes = usize::try_from(slab.elements()).ok().and_then(|count| count.checked_mul(width));
            let bytes = bytes.and_then(memory::try_zeros::<u8>);
            let bytes = bytes.ok_or_else(|| self.error("the slab does not fit into the memory"))?;
            Ok((packed, slab, bytes))
        });
        let (packed, slab, mut bytes) = self.agree(prepared)?;
        self.read_bytes(&packed, &slab, &mut bytes)?;
        Ok(RawValues::Bytes(bytes))
    }

    /// Writes this rank's slab to a dataset of [`H5File::create_dataset_of`].
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// As [`Dataset::write_slab`].
    pub fn write_raw(&self, start: &[u64], count: &[u64], bytes: &[u8]) -> Result<()> {
        let slab = Slab::new(self.shape(), start, count).map_err(|what| self.error(what));
        let prepared = slab.and_then(|slab| {
            let width = self.element_type().packed_bytes().unwrap_or(0) as u64;
            let stored = self.stored_type().map_err(|error| self.error(reason(&error)))?;
            if slab.elements().checked_mul(width) != Some(bytes.len() as u64) || stored.size() as u64 != width {
                return Err(self.error(format!("a slab of {} elements is not {} bytes", slab.elements(), bytes.len())));
            }
            Ok((stored, slab))
        });
        let (stored, slab) = self.agree(prepared)?;
        self.write_bytes(&stored, &slab, bytes)
    }
}
