#![allow(unsafe_code)]
//! The one call of the operating system that the standard library does not offer.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Reserves disk space for the first `bytes` bytes of a file, whose length stays.
/// False if the file system cannot do it.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<bool> {
    let bytes = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: the descriptor is open for the whole call, which touches no memory.
    let status = unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, bytes) };
    if status == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(false),
        _ => Err(error),
    }
}
