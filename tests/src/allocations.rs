//! Counting memory requests, for tests of what must not allocate.

mod ffi;

pub use ffi::{CountingAllocator, allocations};
