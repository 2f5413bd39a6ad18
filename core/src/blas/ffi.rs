//! The BLAS and LAPACK routines in use, behind safe functions on column-major slices.
//!
//! Declared here by their Fortran interface with 32-bit integers, as OpenBLAS exports them; the
//! lengths of character arguments, which Fortran compilers append, are not read by OpenBLAS.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

use num_complex::{Complex32, Complex64};

/// The largest number of rows or columns that these routines can count.
pub(crate) const MAX_DIMENSION: u64 = i32::MAX.unsigned_abs() as u64;

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_num_threads() -> c_int;
    fn openblas_get_config() -> *const c_char;
    fn openblas_get_corename() -> *const c_char;
}

pub(super) fn set_num_threads(threads: c_int) {
    // SAFETY: takes any positive count; called once, before other threads use BLAS.
    unsafe { openblas_set_num_threads(threads) }
}

/// Threads that the library uses in this rank.
pub(crate) fn num_threads() -> c_int {
    // SAFETY: takes nothing and reads a number.
    unsafe { openblas_get_num_threads() }
}

/// Configuration and name of the processor, in the library's words.
pub(crate) fn descriptions() -> [String; 2] {
    // SAFETY: take nothing and return strings that end in zero and live as long as the library.
    let texts = unsafe { [openblas_get_config(), openblas_get_corename()].map(|text| CStr::from_ptr(text)) };
    texts.map(|text| text.to_string_lossy().trim().to_owned())
}

pub(crate) fn int(dimension: usize) -> c_int {
    c_int::try_from(dimension).expect("invariant: dimensions are checked against MAX_DIMENSION")
}

/// The dense kernels of one scalar. Matrices are column-major and fill their slices.
pub trait Blas: Sized {
    /// Computes `c = alpha op(a) b + beta c` for `c` of `m` by `n`, summed over `k`; `op(a)` is `a`, of `m`
    /// by `k`, or the conjugate transpose of `a`, of `k` by `m`.
    fn gemm(adjoint: bool, shape: [usize; 3], alpha: Self, a: &[Self], b: &[Self], beta: Self, c: &mut [Self]);
}

macro_rules! blas {
    ($t:ty, $adjoint:literal, $gemm:ident) => {
        unsafe extern "C" {
            fn $gemm(
                transa: *const c_char,
                transb: *const c_char,
                m: *const c_int,
                n: *const c_int,
                k: *const c_int,
                alpha: *const $t,
                a: *const $t,
                lda: *const c_int,
                b: *const $t,
                ldb: *const c_int,
                beta: *const $t,
                c: *mut $t,
                ldc: *const c_int,
            );
        }

        impl Blas for $t {
            fn gemm(adjoint: bool, [m, n, k]: [usize; 3], alpha: $t, a: &[$t], b: &[$t], beta: $t, c: &mut [$t]) {
                assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "invariant: arrays fit the shape");
                let [ta, tb] = [if adjoint { $adjoint } else { b'N' }, b'N'].map(u8::cast_signed);
                let lda = int(if adjoint { k } else { m }.max(1));
                let (ldb, ldc) = (int(k.max(1)), int(m.max(1)));
                let [m, n, k] = [m, n, k].map(int);
                // SAFETY: the arrays have the lengths that the shape asks for, checked above.
                unsafe {
                    $gemm(
                        &ta,
                        &tb,
                        &m,
                        &n,
                        &k,
                        &alpha,
                        a.as_ptr(),
                        &lda,
                        b.as_ptr(),
                        &ldb,
                        &beta,
                        c.as_mut_ptr(),
                        &ldc,
                    );
                }
            }
        }
    };
}

blas!(f32, b'T', sgemm_);
blas!(f64, b'T', dgemm_);
blas!(Complex32, b'C', cgemm_);
blas!(Complex64, b'C', zgemm_);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gemm_by_hand() {
        let i = Complex64::I;
        let one = Complex64::ONE;
        // a = [1 i; 2 0; 0 1], b = [1 0; 1 i]
        let a = [one, one * 2.0, Complex64::ZERO, i, Complex64::ZERO, one];
        let b = [one, one, Complex64::ZERO, i];
        let mut c = [one; 6];
        Blas::gemm(false, [3, 2, 2], one, &a, &b, one, &mut c);
        assert_eq!(c, [one * 2.0 + i, one * 3.0, one * 2.0, Complex64::ZERO, one, one + i]);
        let mut gram = [Complex64::ZERO; 4];
        Blas::gemm(true, [2, 2, 3], one, &a, &a, Complex64::ZERO, &mut gram);
        assert_eq!(gram, [one * 5.0, -i, i, one * 2.0]);
    }
}
