//! Release of the interpreter's lock during long calls.
#![allow(unsafe_code)]

use pyo3::Python;

/// A closure, or its result, that stays on its thread.
struct SameThread<F>(F);

// SAFETY: `Python::detach` calls the closure and returns its result on the thread that calls `detach`; nothing is sent.
unsafe impl<F> Send for SameThread<F> {}

impl<R, F: FnOnce() -> R> SameThread<F> {
    fn call(self) -> SameThread<R> {
        SameThread((self.0)())
    }
}

/// Lets other Python threads run while `work` does. `work` must not touch Python objects, other than through
/// [`Python::attach`]: PyO3 asks for [`Send`] to keep them out, which would keep out all handles of MPI too.
pub(crate) fn released<R>(py: Python<'_>, work: impl FnOnce() -> R) -> R {
    let work = SameThread(work);
    py.detach(move || work.call()).0
}
