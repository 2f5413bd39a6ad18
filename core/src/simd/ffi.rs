//! The one call across a target-feature boundary, and requests for cache lines.
#![allow(unsafe_code)]

/// Runs `kernel` with AVX2 code where the processor has it.
///
/// The kernel's own functions must be `#[inline(always)]`, or they are compiled for the baseline.
#[inline]
pub(crate) fn dispatch<R>(kernel: impl FnOnce() -> R) -> R {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2<R>(kernel: impl FnOnce() -> R) -> R {
            kernel()
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was found just above.
            return unsafe { with_avx2(kernel) };
        }
    }
    kernel()
}

/// Asks for the cache lines that `count` elements at `at` will be followed by, `ahead` bytes on.
#[inline(always)]
pub(crate) fn prefetch<E>(at: *const E, count: usize, ahead: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in (0..count * size_of::<E>()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is harmless, and SSE belongs to x86_64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>().wrapping_add(line + ahead)) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (at, count, ahead);
}
