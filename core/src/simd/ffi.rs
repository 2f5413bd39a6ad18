//! The one call across a target-feature boundary.
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
