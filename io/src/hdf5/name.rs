//! Names of files in any encoding, for a library that takes UTF-8 only.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A name in UTF-8 of a file that is there: its own, or, if that is in another encoding, the one that the
/// system gives to an open file, for as long as this lives.
pub(super) struct Utf8Name {
    name: PathBuf,
    _open: Option<File>,
}

impl Utf8Name {
    fn of(path: &Path, options: &OpenOptions) -> Result<Utf8Name> {
        if path.to_str().is_some() {
            return Ok(Utf8Name { name: path.to_owned(), _open: None });
        }
        let file = options.open(path).map_err(|error| Error::io(path, "open", error))?;
        Ok(Utf8Name { name: format!("/proc/self/fd/{}", file.as_raw_fd()).into(), _open: Some(file) })
    }

    /// Of a file to read.
    pub(super) fn to_read(path: &Path) -> Result<Utf8Name> {
        Utf8Name::of(path, OpenOptions::new().read(true))
    }

    /// Of a file to write.
    pub(super) fn to_write(path: &Path) -> Result<Utf8Name> {
        Utf8Name::of(path, OpenOptions::new().read(true).write(true))
    }

    pub(super) fn path(&self) -> &Path {
        &self.name
    }
}
