//! A temporary folder that all ranks of a test share.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use dolmen_core::Comm;
use tempfile::TempDir;

/// Made by rank 0, known to all.
pub struct Folder {
    path: PathBuf,
    /// On rank 0 only.
    owned: Option<TempDir>,
}

impl Folder {
    /// A folder whose name does not depend on the rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// If rank 0 cannot make it.
    pub fn new(comm: &Comm) -> io::Result<Self> {
        let owned = (comm.rank() == 0).then(tempfile::tempdir).transpose()?;
        let mut path =
            owned.as_ref().map_or_else(Vec::new, |folder| folder.path().as_os_str().as_encoded_bytes().to_vec());
        comm.broadcast(0, &mut path);
        Ok(Self { path: OsString::from_vec(path).into(), owned })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it when all ranks are done with it.
    ///
    /// # Collective
    pub fn remove(self, comm: &Comm) {
        comm.barrier();
        drop(self.owned);
    }
}
