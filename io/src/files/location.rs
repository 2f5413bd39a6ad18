//! Places of matrices and vectors: a file, or one of several objects in it.

use crate::error::{Error, Result};
use dolmen_core::text::{escaped, shown};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Between the name of a file and that of an object in it.
const SEPARATOR: &str = "::";

/// The place of a matrix or of vectors: `FILE`, or `FILE::OBJECT` for a group or dataset of HDF5 or a column of FITS.
///
/// Text and paths turn into locations; [`Location::whole`] is the way to a file whose name has `::` in it. A location
/// is shown escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: PathBuf,
    /// The name of an object in it; without a name it is the only one that fits.
    pub object: Option<String>,
    /// True if data are read that an HDF5 file names but that lie in other files.
    pub allow_external: bool,
}

/// Names of files may be in any encoding, those of objects are in UTF-8.
impl<P: AsRef<OsStr>> From<P> for Location {
    fn from(text: P) -> Location {
        let bytes = text.as_ref().as_bytes();
        let end = bytes.windows(SEPARATOR.len()).position(|piece| piece == SEPARATOR.as_bytes());
        let (file, object) = match end {
            Some(end) => (&bytes[..end], Some(String::from_utf8_lossy(&bytes[end + SEPARATOR.len()..]).into_owned())),
            None => (bytes, None),
        };
        Location { object, ..Location::whole(OsStr::from_bytes(file)) }
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Location {
        location.clone()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.file))?;
        self.object.iter().try_for_each(|object| write!(f, "{SEPARATOR}{}", escaped(object)))
    }
}

impl Location {
    /// Names a file as a whole.
    pub fn whole(path: impl Into<PathBuf>) -> Location {
        Location { file: path.into(), object: None, allow_external: false }
    }

    /// Reads data that an HDF5 file names but that lie in other files, if `allow` says so: see
    /// [`OpenOptions::allow_external`](crate::hdf5::OpenOptions::allow_external).
    #[must_use]
    pub fn allow_external(mut self, allow: bool) -> Location {
        self.allow_external = allow;
        self
    }

    /// Returns an error about the file.
    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        Error::argument(&self.file, what)
    }

    /// Refuses the name of an object where a file can have but one.
    pub(super) fn require_no_object(&self) -> Result<()> {
        match &self.object {
            None => Ok(()),
            Some(object) => Err(self.error(format!("has no objects that a name could select; leave out ::{object}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn an_object_follows_two_colons() {
        let column = Location::from("a/map.fits::TEMPERATURE");
        assert_eq!((column.file.as_path(), column.object.as_deref()), (Path::new("a/map.fits"), Some("TEMPERATURE")));
        assert_eq!(column.to_string(), "a/map.fits::TEMPERATURE");
        let whole = Location::from(Path::new("a:b.h5"));
        assert_eq!((whole.file.as_path(), whole.object), (Path::new("a:b.h5"), None));
        let odd = Location::from(OsStr::from_bytes(b"a\xff\x1b.h5::x\ny").to_owned());
        assert_eq!((odd.to_string().as_str(), odd.object.as_deref()), ("a\\xff\\u{1b}.h5::x\\ny", Some("x\ny")));
        assert_eq!(Location::whole("a::b.mtx").object, None);
    }
}
