//! The one system call that the standard library does not offer.
#![allow(unsafe_code)]

/// Asks the kernel to back these addresses with huge pages; it may not.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
pub(super) fn advise_huge_pages(start: *const u8, bytes: usize) {
    use std::ffi::{c_int, c_void};

    const PAGE: usize = 4096;
    const MADV_HUGEPAGE: c_int = 14;
    unsafe extern "C" {
        fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
    }
    // From the page in which the allocation starts, so that it stays one mapping, which can grow
    // without being copied.
    let before = start.addr() % PAGE;
    let (start, bytes) = (start.wrapping_sub(before), (bytes + before).next_multiple_of(PAGE));
    // SAFETY: this advice changes the contents of no page, whoever it belongs to; an error means
    // that it was not taken.
    unsafe { madvise(start.cast_mut().cast(), bytes, MADV_HUGEPAGE) };
}

/// Other systems decide for themselves.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
pub(super) fn advise_huge_pages(_start: *const u8, _bytes: usize) {}
