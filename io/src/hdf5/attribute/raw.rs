//! Attributes of any type and shape.

use super::{MOST, location};
use crate::error::Result;
use crate::hdf5::element::ElementType;
use crate::hdf5::error::reason;
use crate::hdf5::file::H5File;
use crate::hdf5::raw::RawValues;
use crate::hdf5::{ffi, space};
use dolmen_core::Portable;
use hdf5::types::{VarLenAscii, VarLenUnicode};
use hdf5::{Datatype, Extents};

/// The value of an attribute, with its type and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAttribute {
    /// The type of its elements, as [`ElementType::dtype`] gives it.
    pub dtype: String,
    /// The number of elements in each dimension: empty for a scalar, none if it has no elements at all (h5py's
    /// `Empty`).
    pub shape: Option<Vec<usize>>,
    /// Its elements.
    pub values: RawValues,
}

impl RawAttribute {
    fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.dtype.pack(&mut bytes);
        self.shape.as_ref().map(Vec::len).pack(&mut bytes);
        self.shape.iter().flatten().for_each(|length| length.pack(&mut bytes));
        match &self.values {
            RawValues::Bytes(values) => (false, values.clone()).pack(&mut bytes),
            RawValues::Texts(texts) => {
                (true, texts.len()).pack(&mut bytes);
                texts.iter().for_each(|text| text.pack(&mut bytes));
            }
        }
        bytes
    }

    fn unpack(mut bytes: &[u8]) -> Option<RawAttribute> {
        let bytes = &mut bytes;
        let dtype = String::unpack(bytes)?;
        let shape = match Option::<usize>::unpack(bytes)? {
            None => None,
            Some(dimensions) => Some((0..dimensions).map(|_| usize::unpack(bytes)).collect::<Option<_>>()?),
        };
        let values = match bool::unpack(bytes)? {
            false => RawValues::Bytes(Vec::<u8>::unpack(bytes)?),
            true => {
                let count = usize::unpack(bytes)?;
                RawValues::Texts((0..count).map(|_| String::unpack(bytes)).collect::<Option<_>>()?)
            }
        };
        Some(RawAttribute { dtype, shape, values })
    }
}

impl H5File {
    /// Reads an attribute of a group or dataset (`/` is the file) of any type that has fixed size, or of strings; `None`
    /// if there is no such attribute.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`H5File::attribute`].
    pub fn raw_attribute(&self, object: &str, name: &str) -> Result<Option<RawAttribute>> {
        self.require_complete()?;
        let read = || -> hdf5::Result<Option<RawAttribute>> {
            let location = location(self.file(), object, self.allows_external())?;
            if !ffi::has_attribute(&location, name)? {
                return Ok(None);
            }
            read(&location.attr(name)?).map(Some)
        };
        let value = if self.comm().rank() == 0 { read() } else { Ok(None) };
        let value = self.comm().agree(value.map_err(|error| self.attribute_error(object, name, reason(&error))))?;
        let mut bytes = value.as_ref().map_or_else(Vec::new, RawAttribute::pack);
        self.comm().broadcast(0, &mut bytes);
        Ok(RawAttribute::unpack(&bytes))
    }

    /// Writes an attribute of a group or dataset (`/` is the file), or replaces it; the byte order is this machine's.
    ///
    /// # Collective
    ///
    /// With the same value on all ranks.
    ///
    /// # Errors
    ///
    /// As [`H5File::write_attribute`]; also if such elements are not written, or the values are not those of the
    /// shape.
    pub fn write_raw_attribute(
        &self,
        object: &str,
        name: &str,
        element: &ElementType,
        shape: Option<&[usize]>,
        values: &RawValues,
    ) -> Result<()> {
        let bytes = match values {
            RawValues::Bytes(bytes) => bytes.len(),
            RawValues::Texts(texts) => texts.iter().map(|text| 16 + text.len()).sum(),
        };
        self.reserve(space::attribute_bytes(name, bytes))?;
        let write = |file: &hdf5::File| -> hdf5::Result<()> {
            let location = location(file, object, false)?;
            if ffi::has_attribute(&location, name)? {
                location.delete_attr(name)?;
            }
            write(&location, name, element, shape, values)
        };
        self.on_holders(|file| write(file).map_err(|error| self.attribute_error(object, name, reason(&error))))?;
        Ok(())
    }
}

pub(super) fn read(attribute: &hdf5::Attribute) -> hdf5::Result<RawAttribute> {
    let (datatype, space) = (attribute.dtype()?, attribute.space()?);
    let element = ffi::describe(&datatype)?;
    let shape = if space.is_null() { None } else { Some(space.shape()) };
    let count = if space.is_null() { 0 } else { space.size() };
    let bytes = count.saturating_mul(datatype.size().max(size_of::<u64>()));
    if bytes > MOST {
        return Err(format!("takes {bytes} bytes; at most {MOST} are read").into());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (dtype, values) = match &element {
        _ if count == 0 => (element.dtype(), RawValues::Bytes(Vec::new())),
        ElementType::Text { bytes: None, utf8 } => {
            let texts = match utf8 {
                true => attribute.read_raw::<VarLenUnicode>()?.iter().map(|value| text(value.as_bytes())).collect(),
                false => attribute.read_raw::<VarLenAscii>()?.iter().map(|value| text(value.as_bytes())).collect(),
            };
            (element.dtype(), RawValues::Texts(texts))
        }
        ElementType::Text { .. } if shape.as_deref() == Some(&[]) => {
            ("str".to_owned(), RawValues::Texts(vec![ffi::read_fixed_text(attribute)?]))
        }
        // Wider floats, such as long double, in double precision.
        ElementType::Float { bytes, .. } if *bytes > size_of::<f64>() => {
            ("f8".to_owned(), RawValues::Bytes(bytemuck::cast_slice(&attribute.read_raw::<f64>()?).to_vec()))
        }
        _ => {
            let packed = ffi::packed(&datatype)?;
            if element.packed_bytes() != Some(packed.size()) {
                return Err(format!("{count} values, each {element}, are not read").into());
            }
            (element.dtype(), RawValues::Bytes(ffi::read_attribute(attribute, &packed)?))
        }
    };
    Ok(RawAttribute { dtype, shape, values })
}

fn write(
    location: &hdf5::Location,
    name: &str,
    element: &ElementType,
    shape: Option<&[usize]>,
    values: &RawValues,
) -> hdf5::Result<()> {
    let descriptor = element.descriptor().ok_or_else(|| format!("values of {element} are not written"))?;
    let count = shape.map_or(0, |shape| shape.iter().product());
    let given = match values {
        RawValues::Bytes(bytes) => bytes.len() == count * descriptor.size() || shape.is_none(),
        RawValues::Texts(texts) => texts.len() == count,
    };
    if !given {
        return Err(format!("the values are not those of the shape {shape:?}").into());
    }
    let extents = shape.map_or(Extents::Null, Extents::from);
    let attribute = location.new_attr_builder().packed(true).empty_as(&descriptor).shape(extents).create(name)?;
    match values {
        _ if count == 0 => Ok(()),
        RawValues::Bytes(bytes) => ffi::write_attribute(&attribute, &Datatype::from_descriptor(&descriptor)?, bytes),
        RawValues::Texts(texts) => {
            let texts = texts.iter().map(|text| text.parse::<VarLenUnicode>());
            let texts = texts.collect::<Result<Vec<_>, _>>().map_err(|error| format!("{error}"))?;
            attribute.write_raw(&texts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let bytes =
            RawAttribute { dtype: "<i2".into(), shape: Some(vec![2, 1]), values: RawValues::Bytes(vec![1, 0, 2, 0]) };
        let texts = RawValues::Texts(vec!["é".into(), String::new()]);
        let texts = RawAttribute { dtype: "str".into(), shape: Some(vec![2]), values: texts };
        let nothing = RawAttribute { dtype: "<f8".into(), shape: None, values: RawValues::Bytes(Vec::new()) };
        for value in [bytes, texts, nothing] {
            let packed = value.pack();
            assert_eq!(RawAttribute::unpack(&packed).as_ref(), Some(&value));
            assert_eq!(RawAttribute::unpack(&packed[..packed.len() - 1]), None);
        }
        assert_eq!(RawAttribute::unpack(&[]), None);
    }
}
