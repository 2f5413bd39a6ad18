//! Files that appear under their name only when they are complete.
//!
//! A writer fills `NAME.tmp` in the same folder; publishing it syncs, renames and
//! syncs the folder, so that a crash leaves the old file or the new one, never a
//! mixture. Rank 0 alone creates, renames and removes. A program that is killed leaves
//! `NAME.tmp` behind; the next one to write NAME removes it.

mod ffi;

pub(crate) use ffi::{await_writeback, forget, start_writeback};

use crate::error::{Error, Result};
use crate::regular_file::agree_on_sight;
use dolmen_core::Comm;
use dolmen_core::text::shown;
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file that is being written under a temporary name, open on every rank.
///
/// Dropping it unpublished removes the temporary file; that communicates nothing.
#[derive(Debug)]
pub(crate) struct StagedFile {
    target: PathBuf,
    temporary: PathBuf,
    file: File,
    /// True if this rank removes the temporary file when it is dropped.
    remove: bool,
    /// False once the file system has said that it cannot reserve space.
    reservable: Cell<bool>,
}

impl StagedFile {
    /// Creates the empty temporary file, and sees to it that all ranks see it: not those of a node with a folder of
    /// the same name.
    ///
    /// # Collective
    pub(crate) fn create(comm: &Comm, target: &Path) -> Result<Self> {
        let temporary = temporary_path(target);
        let staged = |file, remove| {
            let (target, temporary) = (target.to_owned(), temporary.clone());
            Self { target, temporary, file, remove, reservable: Cell::new(true) }
        };
        let created = if comm.rank() == 0 {
            create_here(target, &temporary).map(|file| Some(staged(file, true)))
        } else {
            Ok(None)
        };
        let created = comm.agree(created)?;
        if comm.size() == 1 {
            return Ok(created.expect("invariant: rank 0 has created it"));
        }
        // What one rank writes the others have to read.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut mark = format!("{} {}", std::process::id(), time.as_nanos()).into_bytes();
        comm.broadcast(0, &mut mark);
        let marked = created.as_ref().map_or(Ok(()), |created| created.file.write_all_at(&mark, 0));
        comm.agree(marked.map_err(|error| Error::io(&temporary, "write", error)))?;
        let seen = match created {
            Some(created) => Ok(created),
            None => open_marked(&temporary, &mark).map(|file| staged(file, false)),
        };
        let seen = agree_on_sight(comm, seen)?;
        let emptied = if seen.remove { seen.file.set_len(0) } else { Ok(()) };
        comm.agree(emptied.map_err(|error| Error::io(&temporary, "truncate", error)))?;
        Ok(seen)
    }

    /// Returns the name to write to.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Returns the file, for reading and writing by position.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Makes sure that the disk has room for the file's first `bytes` bytes. Where the file system cannot reserve, a
    /// full disk is found when the data are written.
    ///
    /// # Collective
    pub(crate) fn reserve(&self, comm: &Comm, bytes: u64) -> Result<()> {
        let reserve = || {
            if comm.rank() == 0 && self.reservable.get() && !ffi::reserve(&self.file, bytes)? {
                self.reservable.set(false);
                tracing::debug!(path = %shown(&self.temporary), "the file system cannot reserve space");
            }
            Ok(())
        };
        let action = format!("reserve {bytes} bytes on disk");
        comm.agree(reserve().map_err(|error| Error::io(&self.temporary, action, error)))
    }

    /// Brings the file to disk, and gives back what was reserved beyond its end.
    ///
    /// # Collective
    pub(crate) fn sync(&self, comm: &Comm) -> Result<()> {
        let failed = |error| Error::io(&self.temporary, "sync", error);
        comm.agree(self.file.sync_all().map_err(failed))?;
        // Only now does rank 0 see the length that all ranks together have given it.
        let cut = || self.file.set_len(self.file.metadata()?.len()).and_then(|()| self.file.sync_all());
        comm.agree(if comm.rank() == 0 { cut().map_err(failed) } else { Ok(()) })
    }

    /// Gives the temporary file its name. Every rank has synced it.
    ///
    /// # Collective
    pub(crate) fn publish(mut self, comm: &Comm) -> Result<()> {
        comm.agree(if comm.rank() == 0 { self.rename() } else { Ok(()) })
    }

    fn rename(&mut self) -> Result<()> {
        let renamed = fs::rename(&self.temporary, &self.target);
        renamed.map_err(|error| Error::io(&self.target, "rename to", error))?;
        // From here on what is open is the target, which may not be emptied.
        self.remove = false;
        sync_folder_of(&self.target)
    }
}

/// Proves that a file can be made or replaced, and that all ranks see it, before there is anything to write.
///
/// # Collective
///
/// # Errors
///
/// It is a folder, a pipe or a device, or its folder does not exist, cannot be written or is another on some rank.
pub fn require_writable(comm: &Comm, path: impl AsRef<Path>) -> Result<()> {
    StagedFile::create(comm, path.as_ref()).map(drop)
}

/// Proves that files can be made in a folder, and that all ranks see them.
///
/// # Collective
///
/// # Errors
///
/// It does not exist, cannot be written, or is another on some rank.
pub fn require_writable_folder(comm: &Comm, folder: impl AsRef<Path>) -> Result<()> {
    let mut number = vec![std::process::id()];
    comm.broadcast(0, &mut number);
    require_writable(comm, folder.as_ref().join(format!(".dolmen-probe-{}", number[0])))
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.remove {
            return;
        }
        // Emptied first: a library may hold it open, which keeps its space.
        if let Err(error) = self.file.set_len(0).and_then(|()| fs::remove_file(&self.temporary))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %shown(&self.temporary), %error, "cannot remove a temporary file");
        }
    }
}

/// Returns the name under which a file is written.
pub(crate) fn temporary_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".tmp");
    PathBuf::from(name)
}

/// Refuses a target that a file must not replace, and creates the temporary file.
fn create_here(target: &Path, temporary: &Path) -> Result<File> {
    match target.metadata() {
        Ok(found) if found.is_dir() => return Err(Error::argument(target, "is a folder; name a file")),
        Ok(found) if !found.is_file() => return Err(Error::argument(target, "is not a regular file; name another")),
        _ => {}
    }
    create_anew(temporary).map_err(|error| Error::io(temporary, "create", error))
}

/// Opens the temporary file that another rank has created, if this is that file.
fn open_marked(temporary: &Path, mark: &[u8]) -> Result<File> {
    let failed = |error| Error::io(temporary, "open", error);
    let file = OpenOptions::new().read(true).write(true).open(temporary).map_err(failed)?;
    let mut found = vec![0; mark.len()];
    file.read_exact_at(&mut found, 0).map_err(failed)?;
    if found == mark {
        Ok(file)
    } else {
        Err(Error::argument(temporary, "is not the file that rank 0 created; choose a folder that all nodes share"))
    }
}

/// Creates a file in the place of what a program that was killed has left. That is removed and not
/// emptied, because a process of the program may still be writing to it.
fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().read(true).write(true).create_new(true).open(path),
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
