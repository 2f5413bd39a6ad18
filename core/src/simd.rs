//! Kernels compiled for the processor at hand.
//!
//! The crate is built for the baseline of its architecture, so that one binary runs everywhere;
//! [`dispatch`] runs a kernel compiled for AVX2 where there is AVX2. Rust never contracts a
//! product and a sum, so both paths round alike and give the same bits.

mod ffi;

pub(crate) use ffi::{dispatch, prefetch};
