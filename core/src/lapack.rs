//! The LAPACK routines behind [`dense`](crate::dense).
//!
//! `lapack-src` only makes the linker find OpenBLAS, which has LAPACK's Fortran interface (LAPACKE
//! it need not have). The routines are declared in `ffi`, for all four scalars and with the lengths
//! of their arrays checked.

extern crate lapack_src as _;

mod ffi;

pub(crate) use ffi::{Info, Lapack};
