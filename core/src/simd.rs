//! Kernels compiled for the processor at hand.
//!
//! The crate is built for the baseline of its architecture, so that one binary runs everywhere;
//! [`dispatch`] runs a kernel compiled for AVX2 where there is AVX2. Rust never contracts a
//! product and a sum, so both paths round alike and give the same bits.

mod ffi;

pub(crate) use ffi::{dispatch, prefetch};

/// Distance in bytes at which kernels that read many short pieces prefetch values before their use.
/// Flat between 6 and 16 KiB on Zen 5; hardware prefetchers stop at 4 KiB pages.
pub(crate) const AHEAD: usize = 8192;
