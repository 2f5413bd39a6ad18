#![allow(unsafe_code)]
//! A child process that does one thing, within limits, and says a text.

use std::ffi::c_int;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::panic;
use std::time::{Duration, Instant};

/// Limits on the memory and time of a child process.
pub(super) struct Limits {
    /// CPU time.
    pub(super) seconds: u64,
    /// Bytes of memory beyond what this process has.
    pub(super) memory: u64,
}

/// The end of a child process.
pub(super) enum Ended {
    /// With this text.
    Said(String),
    /// By a signal that is no limit of time.
    Killed(c_int),
    /// After its time.
    Late,
    /// With this exit code.
    Failed(c_int),
    /// There was none.
    NotStarted(io::Error),
}

/// Times its CPU time that a child may wait, for a disk or a processor.
const PATIENCE: u64 = 6;

/// Exit code after a panic.
const PANICKED: c_int = 101;

/// Signals that a child shall die of, whatever this process does with them.
const DEADLY: [c_int; 10] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSYS,
    libc::SIGXCPU,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGPIPE,
];

/// Has a child do `work` and say its text.
pub(super) fn in_child(limits: &Limits, work: impl FnOnce() -> String) -> Ended {
    let (reader, writer) = match io::pipe() {
        Ok(ends) => ends,
        Err(error) => return Ended::NotStarted(error),
    };
    // SAFETY: the child has this thread alone, and ends without returning from here. It uses the memory
    // allocator, which the C library keeps usable over a fork, and HDF5, whose lock the caller holds; it takes no
    // other lock that another thread may have held, and never calls MPI.
    match unsafe { libc::fork() } {
        -1 => Ended::NotStarted(io::Error::last_os_error()),
        0 => be_the_child(limits, reader, writer, work),
        child => {
            drop(writer);
            watch(child, reader, limits)
        }
    }
}

fn be_the_child(limits: &Limits, reader: PipeReader, mut writer: PipeWriter, work: impl FnOnce() -> String) -> ! {
    confine(limits);
    drop(reader);
    // A panic must not reach the hook of this process, which ends an MPI job.
    panic::set_hook(Box::new(|_| exit(PANICKED)));
    let said = work();
    exit(c_int::from(writer.write_all(said.as_bytes()).is_err()))
}

/// Ends the child at once: what this process does at its end is not the child's to do.
fn exit(code: c_int) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

fn confine(limits: &Limits) {
    for signal in DEADLY {
        // SAFETY: sets the default action of a signal that exists.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    limit(libc::RLIMIT_CORE, 0);
    limit(libc::RLIMIT_CPU, limits.seconds);
    if let Some(mapped) = mapped() {
        limit(libc::RLIMIT_AS, mapped.saturating_add(limits.memory));
    }
    // Libraries print what they think of a file.
    if let Ok(null) = fs::OpenOptions::new().write(true).open("/dev/null") {
        for stream in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            // SAFETY: an open file becomes a standard stream of the child.
            unsafe { libc::dup2(null.as_raw_fd(), stream) };
        }
    }
}

#[cfg(target_os = "linux")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_os = "linux"))]
type Resource = c_int;

/// Lowers a limit, unless a lower one is in force.
fn limit(resource: Resource, most: u64) {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limits` outlives the call, which fills it.
    if unsafe { libc::getrlimit(resource, &raw mut limits) } == 0 {
        limits.rlim_cur = limits.rlim_cur.min(most);
        // SAFETY: as above; the call only reads it. Without the limit the child's end is less sure, no more.
        unsafe { libc::setrlimit(resource, &raw const limits) };
    }
}

/// Bytes of address space that this process has, where the system tells.
fn mapped() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Waits for a child; kills it if it takes too long.
fn watch(child: libc::pid_t, mut reader: PipeReader, limits: &Limits) -> Ended {
    let end = Instant::now() + Duration::from_secs(limits.seconds.saturating_mul(PATIENCE));
    let mut said = Vec::new();
    let mut late = false;
    while !late && wait_for_text(&reader, end) {
        let mut piece = [0; 4096];
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        late = Instant::now() > end;
    }
    late |= Instant::now() > end;
    if late {
        // SAFETY: a child that has not been waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    let mut status = 0;
    // SAFETY: our own child, and `status` outlives the call.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Ended::NotStarted(error);
        }
    }
    match status {
        _ if late => Ended::Late,
        _ if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGXCPU => Ended::Late,
        _ if libc::WIFSIGNALED(status) => Ended::Killed(libc::WTERMSIG(status)),
        _ if libc::WEXITSTATUS(status) != 0 => Ended::Failed(libc::WEXITSTATUS(status)),
        _ => Ended::Said(String::from_utf8_lossy(&said).into_owned()),
    }
}

/// Waits until there is something to read, or the other end is closed; not longer than until `end`.
fn wait_for_text(reader: &PipeReader, end: Instant) -> bool {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let milliseconds = c_int::try_from(left.as_millis()).unwrap_or(c_int::MAX);
        let mut asked = libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one description of an open file, which outlives the call.
        match unsafe { libc::poll(&raw mut asked, 1, milliseconds) } {
            0 => return false,
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { seconds: 1, memory: 64 << 20 };

    #[test]
    fn a_child_says_its_text() {
        let text = "x".repeat(100_000);
        assert!(matches!(in_child(&LIMITS, || text.clone()), Ended::Said(said) if said == text));
    }

    #[test]
    fn crashes_loops_and_greed_end_the_child_alone() {
        let crash = in_child(&LIMITS, || {
            // SAFETY: sends a signal to the child.
            unsafe { libc::raise(libc::SIGSEGV) };
            String::new()
        });
        assert!(matches!(crash, Ended::Killed(libc::SIGSEGV)));
        let mut turns = 0_u64;
        let endless = in_child(&LIMITS, || {
            loop {
                turns = std::hint::black_box(turns.wrapping_add(1));
            }
        });
        assert!(matches!(endless, Ended::Late));
        let greedy = in_child(&LIMITS, || String::from_utf8(vec![b' '; 128 << 20]).unwrap_or_default());
        assert!(matches!(greedy, Ended::Killed(libc::SIGABRT)));
        let panicked = in_child(&LIMITS, || panic!("in the child"));
        assert!(matches!(panicked, Ended::Failed(PANICKED)));
    }
}
