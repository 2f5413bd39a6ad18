//! The clock of a thread.

#![allow(unsafe_code)]

/// Returns the seconds that this thread has spent on a core: on a machine that others use too, the time of the work
/// itself.
pub(crate) fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock writes to a valid `timespec`, and is one that Linux always has.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(code, 0, "invariant: each thread has a clock");
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}
