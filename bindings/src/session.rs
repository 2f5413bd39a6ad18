//! MPI from its start to the end of the process.
//!
//! MPI is finalized when Python has ended, as mpi4py and petsc4py do it: their own calls of MPI at their ends, and those
//! of objects that Python destroys last, then find it working, whichever of the packages started it. The last calls of
//! this package are made when MPI is about to be finalized, by whomever ([`leave`]).
//!
//! If this package started MPI, the exit code of the process is known by then, of which Python tells nothing: an exit code
//! on one rank while the others work is a failure, whatever raised it. A failure that is known before, such as an uncaught
//! exception, ends this rank's part when Python begins to end ([`leave_failed`]), before other packages wait for the other
//! ranks at their ends.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::io::Write as _;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, OnceLock, PoisonError};

use dolmen::core::{Comm, Session};
use pyo3::prelude::*;

use crate::gil::released;
use crate::owner;

// Not dropped with the thread: that comes before the last calls.
thread_local! {
    static SESSION: ManuallyDrop<RefCell<Option<Session>>> = const { ManuallyDrop::new(RefCell::new(None)) };
    /// The handle that finalizes MPI when it is dropped, of a rank that has left before.
    static UNIVERSE: ManuallyDrop<Cell<Option<Box<dyn Any>>>> = const { ManuallyDrop::new(Cell::new(None)) };
}

/// Reason why this rank ends before the others, and the text that one of them shows.
static FAILURE: Mutex<Option<(String, String)>> = Mutex::new(None);
/// The process that started MPI, which its children are not.
static PROCESS: OnceLock<u32> = OnceLock::new();

fn with_session<R>(f: impl FnOnce(&mut Option<Session>) -> R) -> R {
    SESSION.with(|session| f(&mut session.borrow_mut()))
}

/// Initializes MPI, unless that was done, and returns the communicator of all ranks.
///
/// # Collective
pub(crate) fn start() -> dolmen::core::Result<Comm> {
    with_session(|session| {
        if let Some(session) = session {
            return Ok(session.comm().clone());
        }
        let started = Session::start()?;
        owner::claim();
        started.before_finalize(leave);
        if PROCESS.set(std::process::id()).is_ok() {
            at_exit();
        }
        Ok(session.insert(started).comm().clone())
    })
}

/// Returns true if MPI was initialized here.
pub(crate) fn owns_mpi() -> bool {
    with_session(|session| session.as_ref().is_some_and(Session::owns_mpi))
}

fn take_universe() -> Option<Box<dyn Any>> {
    let universe = with_session(|session| session.as_mut().and_then(Session::take_universe));
    universe.map(|universe| Box::new(universe) as Box<dyn Any>)
}

/// Notes that this rank ends before the others: the reason, and the text that the lowest such rank writes to standard error.
/// None takes that back.
#[pyfunction]
#[pyo3(signature = (reason, told = String::new()))]
pub(crate) fn note_failure(reason: Option<String>, told: String) {
    *FAILURE.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(|reason| (reason, told));
}

/// Waits for the other ranks, if this one has failed. MPI works on.
#[pyfunction]
pub(crate) fn leave_failed(py: Python<'_>) {
    if FAILURE.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        UNIVERSE.with(|slot| slot.set(take_universe()));
        released(py, leave);
    }
}

/// Waits for the other ranks: MPI is about to be finalized.
fn leave() {
    owner::end();
    let Some(session) = with_session(Option::take) else { return };
    match FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => session.finish(),
        // A closed standard error must not hide that.
        Some((reason, told)) => session.fail(&reason, || drop(std::io::stderr().write_all(told.as_bytes()))),
    }
}

/// Finalizes MPI, if it was initialized here, at the end of a process with this exit code.
fn end(status: c_int) {
    if PROCESS.get() != Some(&std::process::id()) {
        return;
    }
    let Some(universe) = take_universe().or_else(|| UNIVERSE.with(|slot| slot.take())) else { return };
    let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    match (status, &*failure) {
        // An exit that was caught.
        (0, Some(_)) => *failure = None,
        (0, None) | (_, Some(_)) => (),
        (status, None) => *failure = Some((format!("exit code {status}"), String::new())),
    }
    drop(failure);
    drop(universe);
}

/// Calls [`end`] when the process ends, with its exit code.
#[cfg(target_env = "gnu")]
fn at_exit() {
    unsafe extern "C" {
        fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    extern "C" fn ended(status: c_int, _: *mut c_void) {
        end(status);
    }
    // SAFETY: a function of the C library and one of the type that it asks for. This library is never unloaded: Python
    // does not do that.
    unsafe { on_exit(ended, std::ptr::null_mut()) };
}

/// Calls [`end`] when the process ends. Other C libraries than glibc do not tell the exit code.
#[cfg(not(target_env = "gnu"))]
fn at_exit() {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> c_int;
    }
    extern "C" fn ended() {
        let failed = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        end(c_int::from(failed));
    }
    // SAFETY: as above.
    unsafe { atexit(ended) };
}
