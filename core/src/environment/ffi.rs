//! What MPI libraries need from their surroundings to start and to end well.
#![allow(unsafe_code)]

use std::env;

/// What launchers and batch systems leave in the environment of a rank.
const LAUNCHED: [&str; 6] = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMIX_NAMESPACE", "PMI_RANK", "PMI_FD", "PMI_PORT"];
/// Tells Open MPI that a process without a launcher has no use for a daemon.
const ISOLATED: &str = "OMPI_MCA_ess_singleton_isolated";

/// Keeps Open MPI from starting a daemon for a process that no launcher has started. The daemon serves
/// `MPI_Comm_spawn` alone, its start takes a tenth of a second, and a thread of this process talks to it
/// until the end. Called before MPI is initialised; what the user has set stays.
pub(crate) fn start_without_daemon() {
    if env::var_os(ISOLATED).is_none() && LAUNCHED.iter().all(|name| env::var_os(name).is_none()) {
        // SAFETY: `Comm::run` is at the top of the program's main function, before MPI and BLAS have been used:
        // no other thread reads the environment.
        unsafe { env::set_var(ISOLATED, "1") };
    }
}

/// Keeps all shared libraries of this process in memory until its end. Open MPI unloads its components
/// while threads of its own still run, which may be about to execute their code: on a busy machine one of
/// a thousand short programs crashed after its last line. Called before MPI is finalised.
#[cfg(target_os = "linux")]
pub(crate) fn keep_libraries() {
    use std::collections::BTreeSet;
    use std::ffi::CString;

    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    for path in files.filter(|path| path.contains(".so")).collect::<BTreeSet<_>>() {
        if let Ok(path) = CString::new(path) {
            // SAFETY: the path ends with a zero byte. With RTLD_NOLOAD nothing is loaded and no initialiser
            // runs; a library that is there already is marked.
            unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
        }
    }
}

/// Elsewhere nothing is known of the fault that this keeps away on Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_libraries() {}
