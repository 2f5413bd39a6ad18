//! The end of MPI: a call before it, and precautions with which libraries end without a crash.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use mpi::ffi;

/// The function that MPI calls before it is finalized.
static LAST: OnceLock<fn()> = OnceLock::new();

/// Lets MPI call `last` when it is about to be finalized; the first function that is given counts. By the MPI
/// standard (11.2.4) the attributes of the communicator of one process are deleted before all else.
pub(crate) fn before_finalize(last: fn()) {
    if LAST.set(last).is_err() {
        return;
    }
    let mut key = 0;
    // SAFETY: functions of the types that MPI asks for, live out-parameters, constants of the library.
    unsafe {
        ffi::MPI_Comm_create_keyval(Some(copy), Some(delete), &raw mut key, std::ptr::null_mut());
        ffi::MPI_Comm_set_attr(ffi::RSMPI_COMM_SELF, key, std::ptr::null_mut());
    }
}

/// Keeps the attribute from copies of the communicator.
unsafe extern "C" fn copy(
    _: ffi::MPI_Comm,
    _: c_int,
    _: *mut c_void,
    _: *mut c_void,
    _: *mut c_void,
    is_copied: *mut c_int,
) -> c_int {
    // SAFETY: an out-parameter, by the MPI standard.
    unsafe { is_copied.write(0) };
    0
}

unsafe extern "C" fn delete(_: ffi::MPI_Comm, _: c_int, _: *mut c_void, _: *mut c_void) -> c_int {
    if let Some(last) = LAST.get() {
        last();
    }
    0
}

/// Keeps all shared libraries of this process in memory until its end. Open MPI unloads its components
/// while threads of its own still run, which may be about to execute their code: on a busy machine one of
/// a thousand short programs crashed after its last line. (Open MPI's `ess_singleton_isolated` avoids some of
/// these threads, but such processes share a folder, and fail where several start at once.) Called before MPI is
/// finalized.
#[cfg(target_os = "linux")]
pub(crate) fn keep_libraries() {
    use std::collections::BTreeSet;
    use std::ffi::CString;

    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    for path in files.filter(|path| path.contains(".so")).collect::<BTreeSet<_>>() {
        if let Ok(path) = CString::new(path) {
            // SAFETY: the path ends with a zero byte. With RTLD_NOLOAD nothing is loaded and no initializer
            // runs; a library that is there already is marked.
            unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
        }
    }
}

/// Does nothing: the fault that this prevents on Linux is not known elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_libraries() {}
