//! Files that appear under their name only when they are complete.
//!
//! A writer fills `NAME.tmp` in the same folder; publishing it syncs, renames and
//! syncs the folder, so that a crash leaves the old file or the new one, never a
//! mixture. Rank 0 alone creates, renames and removes. A program that is killed leaves
//! `NAME.tmp` behind; the next one to write NAME removes it.

mod ffi;

pub(crate) use ffi::{await_writeback, forget, start_writeback};

use crate::error::{Error, Result};
use dolmen_core::Comm;
use dolmen_core::text::shown;
use std::cell::{Cell, OnceCell};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file that is being written under a temporary name.
///
/// Dropping it unpublished removes the temporary file; that communicates nothing.
#[derive(Debug)]
pub(crate) struct StagedFile {
    target: PathBuf,
    temporary: PathBuf,
    /// Whether this rank removes the temporary file when it is dropped.
    remove: bool,
    /// False once the file system has said that it cannot reserve space.
    reservable: Cell<bool>,
    /// Opened when data are first sent to the disk before the file is complete.
    under_way: OnceCell<File>,
}

impl StagedFile {
    /// Creates the empty temporary file.
    ///
    /// # Collective
    pub(crate) fn create(comm: &Comm, target: &Path) -> Result<Self> {
        let temporary = temporary_path(target);
        let create = || -> Result<bool> {
            if comm.rank() != 0 {
                return Ok(false);
            }
            if target.is_dir() {
                return Err(Error::argument(target, "is a folder; name a file"));
            }
            create_anew(&temporary).map_err(|error| Error::io(&temporary, "create", error))?;
            Ok(true)
        };
        let remove = comm.agree(create())?;
        Ok(Self {
            target: target.to_owned(),
            temporary,
            remove,
            reservable: Cell::new(true),
            under_way: OnceCell::new(),
        })
    }

    /// The name to write to.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes sure that the disk has room for the file's first `bytes` bytes. Where the
    /// file system cannot reserve, that is logged once, and writing may fail later.
    ///
    /// # Collective
    pub(crate) fn reserve(&self, comm: &Comm, bytes: u64) -> Result<()> {
        let reserve = || {
            if comm.rank() != 0 {
                return Ok(());
            }
            let file = OpenOptions::new().write(true).open(&self.temporary)?;
            if self.reservable.get() && !ffi::reserve(&file, bytes)? {
                self.reservable.set(false);
                let path = shown(&self.temporary);
                tracing::warn!(%path, "the file system cannot reserve space: if it fills up, writing may fail or hang");
            }
            Ok(())
        };
        let action = format!("reserve {bytes} bytes on disk");
        Ok(comm.agree(reserve().map_err(|error| Error::io(&self.temporary, action, error)))?)
    }

    /// Has the system begin to bring to disk what was written, so that to sync the file takes less time.
    pub(crate) fn start_writeback(&self) -> io::Result<()> {
        if self.under_way.get().is_none() {
            let _ = self.under_way.set(OpenOptions::new().write(true).open(&self.temporary)?);
        }
        self.under_way.get().map_or(Ok(()), |file| start_writeback(file, 0..0))
    }

    /// Gives back what was reserved beyond the file's end, and brings the file to
    /// disk. Every rank has closed it.
    ///
    /// # Collective
    pub(crate) fn sync(&self, comm: &Comm) -> Result<()> {
        let sync = || {
            let file = OpenOptions::new().write(true).open(&self.temporary)?;
            if comm.rank() == 0 {
                file.set_len(file.metadata()?.len())?;
            }
            file.sync_all()
        };
        Ok(comm.agree(sync().map_err(|error| Error::io(&self.temporary, "sync", error)))?)
    }

    /// Gives the temporary file its name. Every rank has closed and synced it.
    ///
    /// # Collective
    pub(crate) fn publish(mut self, comm: &Comm) -> Result<()> {
        let publish = || -> Result<()> {
            if comm.rank() != 0 {
                return Ok(());
            }
            let renamed = fs::rename(&self.temporary, &self.target);
            renamed.map_err(|error| Error::io(&self.target, "rename to", error))?;
            sync_folder_of(&self.target)
        };
        comm.agree(publish())?;
        self.remove = false;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.remove {
            return;
        }
        // Emptied first: a library may hold it open, which keeps its space.
        let emptied = OpenOptions::new().write(true).open(&self.temporary).and_then(|file| file.set_len(0));
        if let Err(error) = emptied.and_then(|()| fs::remove_file(&self.temporary))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %shown(&self.temporary), %error, "cannot remove a temporary file");
        }
    }
}

/// The name under which a file is written.
pub(crate) fn temporary_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".tmp");
    PathBuf::from(name)
}

/// Creates a file in the place of what a program that was killed has left. That is removed and not
/// emptied, because a process of the program may still be writing to it.
fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// Makes a rename survive a power cut.
fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::io(folder, "sync", error))
}
