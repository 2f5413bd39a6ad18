//! Where a matrix or a vector is: a file, or one of several objects in it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use dolmen_core::Comm;
use dolmen_core::text::{escaped, shown};
use dolmen_io::open_regular;
use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// Between the name of a file and that of an object in it.
const SEPARATOR: &str = "::";

/// `FILE`, or `FILE::OBJECT`: a group or dataset of HDF5, a column of FITS. Shown escaped.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub(crate) file: PathBuf,
    pub(crate) object: Option<String>,
}

/// Kinds of files, by what they can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Groups and datasets.
    Hdf5,
    /// Tables and images.
    Fits,
    /// One matrix, or vectors.
    Single,
}

/// Names of files may be in any encoding, those of objects are in UTF-8.
impl From<OsString> for Location {
    fn from(text: OsString) -> Location {
        let bytes = text.as_bytes();
        match bytes.windows(SEPARATOR.len()).position(|piece| piece == SEPARATOR.as_bytes()) {
            Some(end) => Location {
                file: OsStr::from_bytes(&bytes[..end]).into(),
                object: Some(String::from_utf8_lossy(&bytes[end + SEPARATOR.len()..]).into_owned()),
            },
            None => Location::whole(text.into()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.file))?;
        self.object.iter().try_for_each(|object| write!(f, "{SEPARATOR}{}", escaped(object)))
    }
}

impl Location {
    /// A file as a whole.
    pub(crate) fn whole(file: PathBuf) -> Location {
        Location { file, object: None }
    }

    /// An error about the file.
    pub(crate) fn error(&self, what: impl Into<String>) -> Error {
        Error::File { path: self.file.clone(), what: what.into() }
    }

    /// Refuses the name of an object where a file can have but one.
    pub(crate) fn require_no_object(&self) -> Result<()> {
        match &self.object {
            None => Ok(()),
            Some(object) => {
                Err(self.error(format!("has no objects of their own name, such as {object}; HDF5 and FITS do")))
            }
        }
    }

    /// What the file is by its first bytes, or else by its name.
    ///
    /// # Collective
    pub(crate) fn kind(&self, comm: &Comm) -> Kind {
        let mut found = [0];
        if comm.rank() == 0 {
            found = [match self.kind_by_contents() {
                None => 0,
                Some(Kind::Hdf5) => 1,
                Some(Kind::Fits) => 2,
                Some(Kind::Single) => 3,
            }];
        }
        comm.all_reduce_max(&mut found);
        match found {
            [1] => Kind::Hdf5,
            [2] => Kind::Fits,
            [3] => Kind::Single,
            // An error about such a file should speak of the format that its name promises.
            _ => self.kind_by_name(),
        }
    }

    /// What the file is by its first bytes, if they are known and can be read.
    fn kind_by_contents(&self) -> Option<Kind> {
        let file = open_regular(&self.file).ok()?;
        if is_hdf5(&file).unwrap_or(false) {
            Some(Kind::Hdf5)
        } else if head(&file).is_ok_and(|head| head.starts_with(b"SIMPLE  =")) {
            Some(Kind::Fits)
        } else {
            dolmen_io::is_known(&self.file).then_some(Kind::Single)
        }
    }

    /// The kind that the name of the file asks for.
    pub(crate) fn kind_by_name(&self) -> Kind {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends_with(&[".h5", ".hdf5"]) {
            Kind::Hdf5
        } else if ends_with(&[".fits", ".fits.gz", ".fit"]) {
            Kind::Fits
        } else {
            Kind::Single
        }
    }
}

/// Whether a file has the signature of HDF5: at its start, or behind a block of the user's such as
/// MATLAB's, whose size is a power of two.
fn is_hdf5(file: &File) -> std::io::Result<bool> {
    let mut signature = [0; 8];
    for start in [0, 512, 1024, 2048, 4096] {
        if file.read_at(&mut signature, start)? == signature.len() && signature == *b"\x89HDF\r\n\x1a\n" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first bytes of a file, unpacked.
fn head(mut file: &File) -> std::io::Result<Vec<u8>> {
    const LENGTH: u64 = 16;
    let mut bytes = Vec::new();
    file.take(LENGTH).read_to_end(&mut bytes)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        bytes.clear();
        file.rewind()?;
        MultiGzDecoder::new(file).take(LENGTH).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Location {
        OsString::from(text).into()
    }

    #[test]
    fn an_object_follows_two_colons() {
        let column = parse("a/map.fits::TEMPERATURE");
        assert_eq!((column.file.as_path(), column.object.as_deref()), (Path::new("a/map.fits"), Some("TEMPERATURE")));
        assert_eq!(column.to_string(), "a/map.fits::TEMPERATURE");
        let whole = parse("a:b.h5");
        assert_eq!((whole.file.as_path(), whole.object), (Path::new("a:b.h5"), None));
        let odd = Location::from(OsStr::from_bytes(b"a\xff\x1b.h5::x\ny").to_owned());
        assert_eq!((odd.to_string().as_str(), odd.object.as_deref()), ("a\\xff\\u{1b}.h5::x\\ny", Some("x\ny")));
    }

    #[test]
    fn names_ask_for_kinds() {
        for (name, kind) in
            [("a.H5", Kind::Hdf5), ("a.hdf5::/x", Kind::Hdf5), ("m.fits.gz", Kind::Fits), ("a.mtx", Kind::Single)]
        {
            assert_eq!(parse(name).kind_by_name(), kind, "{name}");
        }
    }
}
