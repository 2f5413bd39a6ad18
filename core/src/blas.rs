//! The BLAS library that each rank uses by itself.
//!
//! `blas-src` and `openblas-src` only make the linker find OpenBLAS. The few routines that a
//! distributed library needs are declared in `ffi`, for all four scalars and with the lengths of
//! their arrays checked.

extern crate blas_src as _;
extern crate openblas_src as _;

mod ffi;

use crate::environment::BlasLibrary;

pub(crate) use ffi::{Blas, MAX_DIMENSION, int};

/// Holds OpenBLAS to one thread: ranks are the parallelism, and unbound ranks would otherwise
/// each start as many threads as there are cores. `OPENBLAS_NUM_THREADS` in the environment wins.
pub(crate) fn use_one_thread() {
    if std::env::var_os("OPENBLAS_NUM_THREADS").is_none() {
        ffi::set_num_threads(1);
    }
}

/// Returns the library's own description of itself.
pub(crate) fn library() -> BlasLibrary {
    let [description, core] = ffi::descriptions();
    BlasLibrary { description, core, threads: usize::try_from(ffi::num_threads()).unwrap_or_default() }
}
