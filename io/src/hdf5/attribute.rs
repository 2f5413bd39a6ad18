//! Attributes of files, groups and datasets.

use super::file::{H5File, reason};
use super::space;
use crate::error::{Error, Result};
use hdf5::types::{TypeDescriptor, VarLenAscii, VarLenUnicode};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// A string; written in UTF-8 and of variable length.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A list of floating-point numbers.
    Reals(Vec<f64>),
    /// A list of integers.
    Integers(Vec<i64>),
}

impl Attribute {
    /// The size of the value.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Reals(values) => 8 * values.len(),
            Self::Integers(values) => 8 * values.len(),
        }
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Attribute {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&[f64]> for Attribute {
    fn from(value: &[f64]) -> Self {
        Self::Reals(value.to_vec())
    }
}

impl From<&[i64]> for Attribute {
    fn from(value: &[i64]) -> Self {
        Self::Integers(value.to_vec())
    }
}

impl H5File {
    /// The names of the attributes of a group or dataset (`/` is the file), sorted.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such group or dataset.
    pub fn attribute_names(&self, object: &str) -> Result<Vec<String>> {
        self.require_complete()?;
        let names = location(self.file(), object).and_then(|location| location.attr_names());
        let wrong =
            |what| Error::Object { path: self.path().to_owned(), object: format!("attributes of {object}"), what };
        let mut names = self.comm().agree(names.map_err(|error| wrong(reason(&error))))?;
        names.sort();
        Ok(names)
    }

    /// The value of an attribute of a group or dataset (`/` is the file), or none if
    /// there is no such attribute.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such group or dataset, or the attribute is of a type that
    /// [`Attribute`] does not know.
    pub fn attribute(&self, object: &str, name: &str) -> Result<Option<Attribute>> {
        self.require_complete()?;
        let read = || -> hdf5::Result<Option<Attribute>> {
            let location = location(self.file(), object)?;
            if !location.attr_names()?.iter().any(|present| present == name) {
                return Ok(None);
            }
            read_value(&location.attr(name)?).map(Some)
        };
        let value = read().map_err(|error| self.attribute_error(object, name, reason(&error)));
        Ok(self.comm().agree(value)?)
    }

    /// The text of an attribute that has to be there.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// It is not there, or not a string.
    pub fn attribute_text(&self, object: &str, name: &str) -> Result<String> {
        match self.attribute(object, name)? {
            Some(Attribute::Text(value)) => Ok(value),
            other => Err(self.unexpected(object, name, "a string", other)),
        }
    }

    /// The value of a numeric attribute that has to be there.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// It is not there, or not one number.
    pub fn attribute_f64(&self, object: &str, name: &str) -> Result<f64> {
        match self.attribute(object, name)? {
            Some(Attribute::Real(value)) => Ok(value),
            Some(Attribute::Integer(value)) => Ok(value as f64),
            other => Err(self.unexpected(object, name, "a number", other)),
        }
    }

    /// The value of an integer attribute that has to be there.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// It is not there, or not one integer.
    pub fn attribute_i64(&self, object: &str, name: &str) -> Result<i64> {
        match self.attribute(object, name)? {
            Some(Attribute::Integer(value)) => Ok(value),
            other => Err(self.unexpected(object, name, "an integer", other)),
        }
    }

    /// Writes an attribute of a group or dataset (`/` is the file), or replaces it.
    ///
    /// # Collective
    ///
    /// With the same value on all ranks.
    ///
    /// # Errors
    ///
    /// There is no such group or dataset, a string has a zero byte, or the file is only
    /// read.
    pub fn write_attribute(&self, object: &str, name: &str, value: impl Into<Attribute>) -> Result<()> {
        let value = value.into();
        self.reserve(space::attribute_bytes(name, value.bytes()))?;
        let write = |file: &hdf5::File| -> hdf5::Result<()> {
            let location = location(file, object)?;
            if location.attr_names()?.iter().any(|present| present == name) {
                location.delete_attr(name)?;
            }
            write_value(&location, name, &value)
        };
        self.on_holders(|file| write(file).map_err(|error| self.attribute_error(object, name, reason(&error))))?;
        Ok(())
    }

    fn unexpected(&self, object: &str, name: &str, wanted: &str, found: Option<Attribute>) -> Error {
        let found = match found {
            None => "it is missing".to_owned(),
            Some(Attribute::Text(value)) => format!("found the string {value:?}"),
            Some(Attribute::Integer(value)) => format!("found the integer {value}"),
            Some(Attribute::Real(value)) => format!("found {value}"),
            Some(Attribute::Reals(values)) => format!("found {} numbers", values.len()),
            Some(Attribute::Integers(values)) => format!("found {} integers", values.len()),
        };
        self.attribute_error(object, name, format!("expected {wanted}; {found}"))
    }

    fn attribute_error(&self, object: &str, name: &str, what: String) -> Error {
        let object = format!("attribute {name} of {object}");
        Error::Object { path: self.path().to_owned(), object, what }
    }
}

fn location(file: &hdf5::File, object: &str) -> hdf5::Result<hdf5::Location> {
    if object != "/" && !file.link_exists(object) {
        return Err(format!("{object} does not exist").into());
    }
    match file.group(object) {
        Ok(group) => group.as_location(),
        Err(_) => file.dataset(object)?.as_location(),
    }
}

fn read_value(attribute: &hdf5::Attribute) -> hdf5::Result<Attribute> {
    let single = attribute.size() == 1;
    match attribute.dtype()?.to_descriptor()? {
        TypeDescriptor::Integer(_) if single => first::<i64>(attribute).map(Attribute::Integer),
        TypeDescriptor::Unsigned(_) if single => {
            let value = first::<u64>(attribute)?;
            i64::try_from(value).map(Attribute::Integer).map_err(|_| format!("{value} exceeds 2^63").into())
        }
        TypeDescriptor::Float(_) if single => first::<f64>(attribute).map(Attribute::Real),
        TypeDescriptor::Float(_) => attribute.read_raw::<f64>().map(Attribute::Reals),
        TypeDescriptor::Integer(_) => attribute.read_raw::<i64>().map(Attribute::Integers),
        TypeDescriptor::Unsigned(_) => {
            let values = attribute.read_raw::<u64>()?.into_iter().map(|value| i64::try_from(value).ok()).collect();
            Option::map(values, Attribute::Integers).ok_or_else(|| "an integer exceeds 2^63".into())
        }
        TypeDescriptor::VarLenUnicode if single => {
            first::<VarLenUnicode>(attribute).map(|text| Attribute::Text(text.to_string()))
        }
        TypeDescriptor::VarLenAscii if single => {
            first::<VarLenAscii>(attribute).map(|text| Attribute::Text(text.to_string()))
        }
        TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_) if single => {
            super::ffi::read_fixed_text(attribute).map(Attribute::Text)
        }
        other => Err(format!("values of type {other} are not read").into()),
    }
}

fn first<T: hdf5::H5Type>(attribute: &hdf5::Attribute) -> hdf5::Result<T> {
    let values = attribute.read_raw::<T>()?;
    values.into_iter().next().ok_or_else(|| "has no value".into())
}

fn write_value(location: &hdf5::Location, name: &str, value: &Attribute) -> hdf5::Result<()> {
    match value {
        Attribute::Text(text) => {
            let text: VarLenUnicode = text.parse().map_err(|error| format!("{error}"))?;
            location.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&text)
        }
        Attribute::Integer(value) => location.new_attr::<i64>().create(name)?.write_scalar(value),
        Attribute::Real(value) => location.new_attr::<f64>().create(name)?.write_scalar(value),
        Attribute::Reals(values) => {
            location.new_attr::<f64>().shape(values.len()).create(name)?.write_raw(values.as_slice())
        }
        Attribute::Integers(values) => {
            location.new_attr::<i64>().shape(values.len()).create(name)?.write_raw(values.as_slice())
        }
    }
}
