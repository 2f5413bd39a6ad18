//! The BLAS library that each rank uses by itself.
//!
//! `blas-src` and `openblas-src` only make the linker find OpenBLAS. The few routines that a
//! distributed library needs are declared in `ffi`, for all four scalars and with the lengths of
//! their arrays checked.

extern crate blas_src as _;
extern crate openblas_src as _;

mod ffi;

pub(crate) use ffi::{Blas, MAX_DIMENSION, descriptions, int, num_threads};

/// Holds OpenBLAS to one thread: ranks are the parallelism, and unbound ranks would otherwise
/// each start as many threads as there are cores. `OPENBLAS_NUM_THREADS` in the environment wins.
pub(crate) fn use_one_thread() {
    if std::env::var_os("OPENBLAS_NUM_THREADS").is_none() {
        ffi::set_num_threads(1);
    }
}
