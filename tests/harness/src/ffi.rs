//! The system calls that the standard library does not offer.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// File descriptor of the rank's records, for handlers that may not lock or allocate.
static RECORDS: AtomicI32 = AtomicI32::new(-1);

/// The signals that end a faulty rank, with the record each one leaves.
const FATAL: [(libc::c_int, &[u8]); 5] = [
    (libc::SIGSEGV, b"\x1esignal SIGSEGV"),
    (libc::SIGBUS, b"\x1esignal SIGBUS"),
    (libc::SIGILL, b"\x1esignal SIGILL"),
    (libc::SIGFPE, b"\x1esignal SIGFPE"),
    (libc::SIGABRT, b"\x1esignal SIGABRT"),
];

/// The handlers that ours run before, in the order of [`FATAL`].
static PREVIOUS: [OnceLock<libc::sigaction>; FATAL.len()] = [const { OnceLock::new() }; FATAL.len()];

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn pid(id: u32) -> io::Result<libc::pid_t> {
    libc::pid_t::try_from(id).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// Sends a signal to one process.
pub(crate) fn signal(id: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: kill takes two integers and touches no memory of ours.
    check(unsafe { libc::kill(pid(id)?, signal) })
}

/// Sends a signal to all processes of a group.
pub(crate) fn signal_group(id: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: killpg takes two integers and touches no memory of ours.
    check(unsafe { libc::killpg(pid(id)?, signal) })
}

/// Lets the process that `command` starts receive SIGTERM when the thread that started it ends,
/// so that an interrupted test run leaves no job behind.
pub(crate) fn end_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call, which is
    // async-signal-safe, and builds an error without allocating.
    unsafe {
        command.pre_exec(|| check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM)));
    }
}

/// Sends all further output of this process, from any language, to `file`.
pub(crate) fn redirect_output(file: &File) -> io::Result<()> {
    for descriptor in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: both descriptors are open; dup2 closes and reopens the second atomically.
        check(unsafe { libc::dup2(file.as_raw_fd(), descriptor) })?;
    }
    Ok(())
}

/// Writes what this process has printed so far, in any language, and what its libraries hold back.
pub(crate) fn flush_output() -> io::Result<()> {
    io::stdout().flush()?;
    // SAFETY: a null pointer means all streams, each of which the library locks.
    check(unsafe { libc::fflush(std::ptr::null_mut()) })
}

/// Lets `old`, with the same descriptor as before, be the file `new`.
pub(crate) fn replace(old: &File, new: &File) -> io::Result<()> {
    // SAFETY: both descriptors are open; dup3 closes and reopens the second atomically.
    check(unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) })
}

/// Makes a pipe with a name.
pub(crate) fn make_pipe(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that ends with a zero byte.
    check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) })
}

/// Waits until there is something to read, for `timeout` at most; returns whether there is.
pub(crate) fn wait_readable(file: &File, timeout: Duration) -> io::Result<bool> {
    let mut descriptor = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one descriptor is passed, and it is valid for reading and writing.
    match unsafe { libc::poll(&raw mut descriptor, 1, milliseconds) } {
        -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => Ok(false),
        -1 => Err(io::Error::last_os_error()),
        ready => Ok(ready > 0),
    }
}

/// Records, in the file `records`, if this process leaves by `exit` before [`stop_recording`].
pub(crate) fn record_exit(records: &'static File) {
    extern "C" fn on_exit() {
        write(b"\x1eexited ");
    }
    RECORDS.store(records.as_raw_fd(), Ordering::Relaxed);
    // SAFETY: the handler is a plain function without arguments that never unwinds. Failure to
    // register costs a detail of the report.
    unsafe { libc::atexit(on_exit) };
}

/// Ends what [`record_exit`] and [`record_fatal_signals`] began.
pub(crate) fn stop_recording() {
    RECORDS.store(-1, Ordering::Relaxed);
}

/// Records the fatal signals of this process, then lets them do what they did before. Called
/// after MPI has installed its handlers, which would otherwise replace these.
pub(crate) fn record_fatal_signals() {
    for (&(number, _), previous) in FATAL.iter().zip(&PREVIOUS) {
        // SAFETY: all-zero bytes are a valid sigaction (integers, a set of bits, an Option).
        let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
        let mut new = old;
        new.sa_sigaction = on_fatal_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // A stack overflow is reported from the alternate stack that Rust has set up.
        new.sa_flags = libc::SA_ONSTACK;
        // SAFETY: the old action is read into a valid place.
        if unsafe { libc::sigaction(number, std::ptr::null(), &raw mut old) } == 0 && previous.set(old).is_ok() {
            // SAFETY: the new action is complete, and its handler is async-signal-safe: it loads
            // atomics and calls write and sigaction.
            unsafe { libc::sigaction(number, &raw const new, std::ptr::null_mut()) };
        }
    }
}

extern "C" fn on_fatal_signal(number: libc::c_int) {
    for ((signal, record), previous) in FATAL.iter().zip(&PREVIOUS) {
        if *signal == number
            && let Some(previous) = previous.get()
        {
            write(record);
            // The faulting instruction runs again after this handler and goes to the previous one,
            // which so gets the address it needs to tell a stack overflow from other faults.
            // SAFETY: the previous action was filled in by sigaction.
            unsafe { libc::sigaction(number, previous, std::ptr::null_mut()) };
        }
    }
}

/// Appends to the rank's records without locks or allocations.
fn write(record: &[u8]) {
    let descriptor = RECORDS.load(Ordering::Relaxed);
    if descriptor >= 0 {
        // SAFETY: the buffer is valid for its length, and the descriptor belongs to a file that is
        // never closed.
        unsafe { libc::write(descriptor, record.as_ptr().cast(), record.len()) };
    }
}
