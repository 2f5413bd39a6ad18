//! The limit of a process on the size of its files.
#![allow(unsafe_code)]

use std::io;

/// Lets all writes beyond `bytes` of any file fail from now on.
pub(crate) fn limit_file_size(bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: ignoring a signal installs no handler; the limit outlives the call.
    let status = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
