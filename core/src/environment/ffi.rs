//! Precautions with which MPI libraries end without a crash.
#![allow(unsafe_code)]

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
