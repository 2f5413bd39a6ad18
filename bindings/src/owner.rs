//! The one thread that uses the objects of this package: that which started MPI.
//!
//! Classes of the Python layer reach their native objects through the base classes here and in [`base`](crate::base), so
//! that a call of another thread, or after the end of MPI, is an exception before anything else happens.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::misuse;

/// The owner is the address of that thread's own mark.
static OWNER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = 0;
/// MPI has ended. No mark has this address.
const ENDED: usize = 1;

thread_local!(static MARK: Cell<usize> = const { Cell::new(0) });

fn this_thread() -> usize {
    MARK.with(|mark| ptr::from_ref(mark).addr())
}

/// Makes this thread the owner.
pub(crate) fn claim() {
    OWNER.store(this_thread(), Ordering::Relaxed);
}

/// Lets nobody use objects from here on.
pub(crate) fn end() {
    OWNER.store(ENDED, Ordering::Relaxed);
}

/// Raises an exception unless this thread is the owner.
#[inline]
pub(crate) fn require(py: Python<'_>) -> PyResult<()> {
    if OWNER.load(Ordering::Relaxed) == this_thread() { Ok(()) } else { refused(py) }
}

#[cold]
fn refused(py: Python<'_>) -> PyResult<()> {
    match OWNER.load(Ordering::Relaxed) {
        NOBODY => Ok(()),
        ENDED => {
            Err(misuse(py, "EndedError", "dolmen has ended in this process: MPI was finalized, or the program failed"))
        }
        _ => {
            let text = "objects of dolmen are used on the thread that started MPI, here it is another one; give other \
                        threads arrays (x.local), and make the calls on that thread";
            Err(misuse(py, "ThreadError", text))
        }
    }
}

/// Raises an exception unless this thread may use objects of this package.
#[pyfunction]
pub(crate) fn require_owner(py: Python<'_>) -> PyResult<()> {
    require(py)
}

/// Base class of those of the Python layer that have a native object.
#[pyclass(subclass, module = "dolmen._dolmen")]
pub(crate) struct Owned {
    native: Option<Py<PyAny>>,
}

#[pymethods]
impl Owned {
    /// Arguments are those of derived classes.
    #[new]
    #[pyo3(signature = (*_arguments, **_named))]
    fn new(_arguments: &Bound<'_, PyTuple>, _named: Option<&Bound<'_, PyDict>>) -> Owned {
        Owned { native: None }
    }

    #[getter(_native)]
    fn native(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        require(py)?;
        Ok(self.native.as_ref().map(|native| native.clone_ref(py)))
    }

    #[setter(_native)]
    fn set_native(&mut self, native: Option<Py<PyAny>>) {
        self.native = native;
    }
}
