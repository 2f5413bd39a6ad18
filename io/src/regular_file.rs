//! Regular files, opened for reading: the one place that asks what a path names before anything reads it.
//!
//! To open a pipe waits for its other end, and a device has no end. Links to regular files are followed.

use crate::error::{Error, Result};
use crate::fault::require_same;
use dolmen_core::Comm;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Opens a regular file for reading. Not collective.
///
/// # Errors
///
/// There is no such file, it cannot be read, or it is a folder, a pipe, a device or a socket.
pub fn open_regular(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let failed = |error| Error::io(path, "open", error);
    // Asked before opening, which of some devices has effects, and after it: the path may name another file by then.
    require_regular(path, &fs::metadata(path).map_err(failed)?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    require_regular(path, &file.metadata().map_err(failed)?)?;
    Ok(file)
}

/// Opens one regular file for reading on all ranks.
///
/// # Collective
///
/// # Errors
///
/// [`open_regular`] fails on any rank, or the ranks see different files under this name.
pub fn open_on_all_ranks(comm: &Comm, path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let file = agree_on_sight(comm, open_regular(path))?;
    let seen = file.metadata().map(|file| (file.len(), file.mtime(), file.mtime_nsec()));
    let seen = comm.agree(seen.map_err(|error| Error::io(path, "examine", error)))?;
    require_same(comm, path, &seen)?;
    Ok(file)
}

/// Agrees on the outcome of opening a file that all ranks have to see. If some do, the error says so.
///
/// # Collective
pub(crate) fn agree_on_sight<T>(comm: &Comm, opened: Result<T>) -> Result<T> {
    comm.agree(opened).map_err(|error| match error {
        Error::OnRank { rank, error } => Error::NotSeen { rank, error },
        other => other,
    })
}

fn require_regular(path: &Path, file: &Metadata) -> Result<()> {
    if file.is_file() {
        Ok(())
    } else if file.is_dir() {
        Err(Error::argument(path, "is a folder; name a file"))
    } else {
        Err(Error::argument(path, "is not a regular file; copy its contents into one"))
    }
}

/// Opens a file for writing, but not a pipe or a device: `options` say how.
pub(crate) fn open_to_write(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}
