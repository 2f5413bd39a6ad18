//! One run at a time in a folder of checkpoints.
//!
//! The lock is `flock` on a file that stays: the kernel releases it when the process ends, however it
//! does, and the file itself means nothing.

use crate::regular_file::open_to_write;
use dolmen_core::text::shown;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The name of the file.
pub(super) const NAME: &str = ".lock";
/// Time that a killed run may take to be gone.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// Locks a folder for as long as the file is open; none where the file system has no locks.
pub(super) fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(NAME);
    let file = open_to_write(&path, File::options().write(true).create(true).truncate(false));
    let file = file.map_err(|error| io::Error::new(error.kind(), format!("its file {NAME}: {error}")))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let what = "another run is using it; wait until that ends, or name another folder";
                return Err(io::Error::new(ErrorKind::WouldBlock, what));
            }
            Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                tracing::warn!(path = %shown(&path), %error, "cannot lock a folder of checkpoints");
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Returns true if the file system has no locks, as some on clusters.
fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(libc::ENOLCK)
}
