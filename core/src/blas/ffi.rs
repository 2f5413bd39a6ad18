//! OpenBLAS calls outside the BLAS standard.
#![allow(unsafe_code)]

use std::ffi::c_int;

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
}

pub(super) fn set_num_threads(threads: c_int) {
    // SAFETY: takes any positive count; called once, before other threads use BLAS.
    unsafe { openblas_set_num_threads(threads) }
}
