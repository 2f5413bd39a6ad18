//! Messages between single ranks: transfers with buffers of their own, and exchanges of which the
//! receivers know nothing beforehand.

mod ffi;

pub(crate) use ffi::{Misfit, Transfers, sparse_exchange};
