#![allow(unsafe_code)]
//! Calls of the operating system that the standard library does not offer.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Reserves disk space for the first `bytes` bytes of a file, whose length stays.
/// False if the file system cannot do it.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<bool> {
    let bytes = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: the descriptor is open for the whole call, which touches no memory.
    let reserved = uninterrupted(|| unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, bytes) });
    match reserved.as_ref().map_err(io::Error::raw_os_error) {
        Err(Some(libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(false),
        _ => reserved.map(|()| true),
    }
}

/// Makes a call again if a signal came between, as file systems in memory let it.
fn uninterrupted(call: impl Fn() -> libc::c_int) -> io::Result<()> {
    loop {
        if call() == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Has the system begin to bring written bytes to disk, where it can.
pub(crate) fn start_writeback(file: &File, bytes: Range<u64>) -> io::Result<()> {
    write_back(file, bytes, libc::SYNC_FILE_RANGE_WRITE)
}

/// Waits until written bytes have left for the disk, where the system can tell.
pub(crate) fn await_writeback(file: &File, bytes: Range<u64>) -> io::Result<()> {
    let before = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE;
    write_back(file, bytes, before | libc::SYNC_FILE_RANGE_WAIT_AFTER)
}

/// Lets the system forget bytes that have reached the disk. That is advice: if it is not followed, nothing is wrong.
pub(crate) fn forget(file: &File, bytes: Range<u64>) {
    let offset = |position: u64| libc::off64_t::try_from(position);
    if let (Ok(start), Ok(length)) = (offset(bytes.start), offset(bytes.end - bytes.start)) {
        // SAFETY: the descriptor is open for the whole call, which touches no memory of this process.
        unsafe { libc::posix_fadvise64(file.as_raw_fd(), start, length, libc::POSIX_FADV_DONTNEED) };
    }
}

fn write_back(file: &File, bytes: Range<u64>, flags: libc::c_uint) -> io::Result<()> {
    let offset = |position: u64| libc::off64_t::try_from(position).map_err(|_| io::ErrorKind::FileTooLarge);
    let (start, length) = (offset(bytes.start)?, offset(bytes.end - bytes.start)?);
    // SAFETY: the descriptor is open for the whole call, which touches no memory.
    let done = uninterrupted(|| unsafe { libc::sync_file_range(file.as_raw_fd(), start, length, flags) });
    match done.as_ref().map_err(io::Error::raw_os_error) {
        // What it cannot do is left to the sync at the end.
        Err(Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE)) => Ok(()),
        _ => done,
    }
}
