//! Attributes of files, groups and datasets.
//!
//! Values are read by rank 0 and sent to the others: it is the rank whose child process has read them before
//! (`guard`), and they are the same for all.

mod raw;
mod value;

pub use raw::RawAttribute;
pub use value::Attribute;

use super::element::ElementType;
use super::error::reason;
use super::file::H5File;
use super::{ffi, outside, space};
use crate::error::{Error, Result};
use hdf5::Location;
use hdf5::types::{VarLenAscii, VarLenUnicode};

/// Bytes of an attribute that are read, in the file or in memory.
const MOST: usize = 16 << 20;

impl H5File {
    /// Returns the names of the attributes of a group or dataset (`/` is the file), sorted.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such group or dataset.
    pub fn attribute_names(&self, object: &str) -> Result<Vec<String>> {
        self.require_complete()?;
        let names = self.open_object(object).and_then(|place| place.attr_names());
        let wrong =
            |what| Error::Object { path: self.path().to_owned(), object: format!("attributes of {object}"), what };
        let mut names = self.comm().agree(names.map_err(|error| wrong(reason(&error))))?;
        names.sort();
        Ok(names)
    }

    /// Reads the value of an attribute of a group or dataset (`/` is the file), or `None` if
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
            let location = location(self.file(), object, self.allows_external())?;
            if !ffi::has_attribute(&location, name)? {
                return Ok(None);
            }
            read_value(&location.attr(name)?)?.map(Some).map_err(hdf5::Error::from)
        };
        let value = if self.comm().rank() == 0 { read() } else { Ok(None) };
        let value = value.map_err(|error| self.attribute_error(object, name, reason(&error)));
        let mut value = [self.comm().agree(value)?];
        self.share(&mut value)?;
        let [value] = value;
        Ok(value)
    }

    /// Gives all ranks the values that rank 0 has.
    ///
    /// # Collective
    pub(super) fn share(&self, values: &mut [Option<Attribute>]) -> Result<()> {
        let comm = self.comm();
        let mut bytes = if comm.rank() == 0 { value::encode(values) } else { Vec::new() };
        comm.broadcast(0, &mut bytes);
        let count = values.len();
        let differs =
            || Error::File { path: self.path().to_owned(), what: "the ranks see different attributes".into() };
        let shared = value::decode(&bytes).filter(|shared| shared.len() == count).ok_or_else(differs);
        values.iter_mut().zip(comm.agree(shared)?).for_each(|(place, value)| *place = value);
        Ok(())
    }

    /// Reads the text of a required attribute.
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

    /// Reads the value of a required numeric attribute.
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

    /// Reads the value of a required integer attribute.
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
            let location = location(file, object, false)?;
            if ffi::has_attribute(&location, name)? {
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

fn location(file: &hdf5::File, object: &str, follow: bool) -> hdf5::Result<Location> {
    if object != "/" && !outside::exists(file, object, follow) {
        return Err(format!("{object} does not exist").into());
    }
    outside::open(file, object, follow)
}

/// Returns the attributes of a group or dataset, sorted by name; with their values if they are wanted, of a type
/// that is read, and not too large.
pub(super) fn read_all(location: &Location, values: bool) -> hdf5::Result<Vec<(String, Option<Attribute>)>> {
    let mut names = location.attr_names()?;
    names.sort();
    let read = |name: String| {
        if !values {
            return Ok((name, None));
        }
        let attribute = location.attr(&name)?;
        let value = read_value(&attribute)?.ok();
        if value.is_none() {
            // For the child process: what the library crashes over is met there.
            drop(raw::read(&attribute));
        }
        Ok((name, value))
    };
    names.into_iter().map(read).collect()
}

/// Returns the value, or why it is not read: an error of the library is that of a damaged file.
fn read_value(attribute: &hdf5::Attribute) -> hdf5::Result<Result<Attribute, String>> {
    let (element, count) = (ffi::describe(&attribute.dtype()?)?, attribute.space()?.size());
    let bytes = count.saturating_mul(attribute.dtype()?.size().max(size_of::<u64>()));
    if bytes > MOST {
        return Ok(Err(format!("takes {bytes} bytes; at most {MOST} are read")));
    }
    let single = count == 1;
    let text = |bytes: &[u8]| Attribute::Text(String::from_utf8_lossy(bytes).into_owned());
    Ok(Ok(match element {
        ElementType::Integer { bytes: 1..=8, signed: true, .. } => {
            let values = attribute.read_raw::<i64>()?;
            if let [value] = values[..] { Attribute::Integer(value) } else { Attribute::Integers(values) }
        }
        ElementType::Integer { bytes: 1..=8, .. } => return Ok(unsigned(&attribute.read_raw::<u64>()?)),
        ElementType::Float { .. } => {
            let values = attribute.read_raw::<f64>()?;
            if let [value] = values[..] { Attribute::Real(value) } else { Attribute::Reals(values) }
        }
        ElementType::Text { bytes: None, utf8: true } if single => text(first::<VarLenUnicode>(attribute)?.as_bytes()),
        ElementType::Text { bytes: None, .. } if single => text(first::<VarLenAscii>(attribute)?.as_bytes()),
        ElementType::Text { bytes: Some(_), .. } if single => ffi::read_fixed_text(attribute).map(Attribute::Text)?,
        other => return Ok(Err(format!("{count} values, each {other}, are not read"))),
    }))
}

fn unsigned(values: &[u64]) -> Result<Attribute, String> {
    let signed = |value: &u64| i64::try_from(*value).map_err(|_| format!("{value} exceeds 2^63"));
    let values = values.iter().map(signed).collect::<Result<Vec<i64>, String>>()?;
    Ok(if let [value] = values[..] { Attribute::Integer(value) } else { Attribute::Integers(values) })
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
