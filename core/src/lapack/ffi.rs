//! Fortran LAPACK with 32-bit integers, as OpenBLAS exports it. All matrices are column-major and
//! fill their slices; triangles are lower ones.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};

use crate::blas::int;
use crate::lapack::routines::{Info, Lapack};
use crate::scalar::{Complex32, Complex64, Scalar};

const LOWER: &c_char = &b'L'.cast_signed();
const PLAIN: &c_char = &b'N'.cast_signed();
const VECTORS: &c_char = &b'V'.cast_signed();
const THIN: &c_char = &b'S'.cast_signed();
const UPPER: &c_char = &b'U'.cast_signed();

/// Converts the `info` of a routine: a failure, or a mistake in its arguments.
fn outcome(info: c_int) -> Result<(), Info> {
    match usize::try_from(info).expect("invariant: the arguments of LAPACK are valid") {
        0 => Ok(()),
        at => Err(Info(at)),
    }
}

/// Columns of `len` numbers, `n` in each.
fn columns(n: usize, len: usize) -> c_int {
    assert!(n > 0 && len.is_multiple_of(n), "invariant: columns fill the array");
    int(len / n)
}

/// Returns the length of a workspace that LAPACK has asked for.
fn asked<T: Scalar>(answer: T) -> c_int {
    let length = crate::Real::to_f64(answer.re()).ceil();
    // Single precision may have rounded a long one down by one part in 2^23.
    let length = length + (length / f64::from(1 << 23)).ceil();
    assert!((0.0..f64::from(c_int::MAX)).contains(&length), "invariant: a workspace that 32 bits can count");
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    let length = length as c_int;
    length.max(1)
}

fn array<E: bytemuck::Zeroable + Clone>(len: c_int) -> Vec<E> {
    vec![E::zeroed(); usize::try_from(len).expect("invariant: lengths are not negative")]
}

macro_rules! lapack {
    ($t:ty, $real:ty, $geqrf:ident, $ungqr:ident, $trtrs:ident, $potrf:ident, $potrs:ident, $getrf:ident,
     $getrs:ident, $heevd:ident, $hegvd:ident, $gesdd:ident, $pbtrf:ident, $pbtrs:ident $(, $rwork:ident, $lrwork:ident)?) => {
        unsafe extern "C" {
            fn $geqrf(
                m: *const c_int, n: *const c_int, a: *mut $t, lda: *const c_int, tau: *mut $t,
                work: *mut $t, lwork: *const c_int, info: *mut c_int,
            );
            fn $ungqr(
                m: *const c_int, n: *const c_int, k: *const c_int, a: *mut $t, lda: *const c_int, tau: *const $t,
                work: *mut $t, lwork: *const c_int, info: *mut c_int,
            );
            fn $trtrs(
                uplo: *const c_char, trans: *const c_char, diag: *const c_char, n: *const c_int, nrhs: *const c_int,
                a: *const $t, lda: *const c_int, b: *mut $t, ldb: *const c_int, info: *mut c_int,
            );
            fn $potrf(uplo: *const c_char, n: *const c_int, a: *mut $t, lda: *const c_int, info: *mut c_int);
            fn $potrs(
                uplo: *const c_char, n: *const c_int, nrhs: *const c_int, a: *const $t, lda: *const c_int,
                b: *mut $t, ldb: *const c_int, info: *mut c_int,
            );
            fn $getrf(
                m: *const c_int, n: *const c_int, a: *mut $t, lda: *const c_int, pivots: *mut c_int, info: *mut c_int,
            );
            fn $getrs(
                trans: *const c_char, n: *const c_int, nrhs: *const c_int, a: *const $t, lda: *const c_int,
                pivots: *const c_int, b: *mut $t, ldb: *const c_int, info: *mut c_int,
            );
            fn $heevd(
                jobz: *const c_char, uplo: *const c_char, n: *const c_int, a: *mut $t, lda: *const c_int,
                w: *mut $real, work: *mut $t, lwork: *const c_int, $($rwork: *mut $real, $lrwork: *const c_int,)?
                iwork: *mut c_int, liwork: *const c_int, info: *mut c_int,
            );
            fn $hegvd(
                itype: *const c_int, jobz: *const c_char, uplo: *const c_char, n: *const c_int, a: *mut $t,
                lda: *const c_int, b: *mut $t, ldb: *const c_int, w: *mut $real, work: *mut $t, lwork: *const c_int,
                $($rwork: *mut $real, $lrwork: *const c_int,)? iwork: *mut c_int, liwork: *const c_int, info: *mut c_int,
            );
            fn $gesdd(
                jobz: *const c_char, m: *const c_int, n: *const c_int, a: *mut $t, lda: *const c_int, s: *mut $real,
                u: *mut $t, ldu: *const c_int, vt: *mut $t, ldvt: *const c_int, work: *mut $t, lwork: *const c_int,
                $($rwork: *mut $real,)? iwork: *mut c_int, info: *mut c_int,
            );
            fn $pbtrf(
                uplo: *const c_char, n: *const c_int, kd: *const c_int, ab: *mut $t, ldab: *const c_int,
                info: *mut c_int,
            );
            fn $pbtrs(
                uplo: *const c_char, n: *const c_int, kd: *const c_int, nrhs: *const c_int, ab: *const $t,
                ldab: *const c_int, b: *mut $t, ldb: *const c_int, info: *mut c_int,
            );
        }

        // In all of these the arrays have the lengths that the shape asks for, as is checked first.
        impl Lapack for $t {
            fn geqrf(m: usize, n: usize, a: &mut [$t], tau: &mut [$t]) {
                assert!(a.len() == m * n && tau.len() == m.min(n), "invariant: arrays fit the shape");
                let mut work = vec![<$t>::ZERO; 64 * n.max(1)];
                let lwork = int(work.len());
                let (m, n, lda, mut info) = (int(m), int(n), int(m.max(1)), 0);
                // SAFETY: lengths checked above.
                unsafe {
                    $geqrf(&m, &n, a.as_mut_ptr(), &lda, tau.as_mut_ptr(), work.as_mut_ptr(), &lwork, &mut info);
                }
                assert_eq!(info, 0, "invariant: the arguments of geqrf are valid");
            }

            fn ungqr(m: usize, a: &mut [$t], tau: &[$t]) {
                let k = tau.len();
                assert!(a.len() == m * k && k <= m, "invariant: arrays fit the shape");
                let mut work = vec![<$t>::ZERO; 64 * k.max(1)];
                let lwork = int(work.len());
                let (m, k, lda, mut info) = (int(m), int(k), int(m.max(1)), 0);
                // SAFETY: lengths checked above.
                unsafe {
                    $ungqr(&m, &k, &k, a.as_mut_ptr(), &lda, tau.as_ptr(), work.as_mut_ptr(), &lwork, &mut info);
                }
                assert_eq!(info, 0, "invariant: the arguments of ungqr are valid");
            }

            fn trtrs(n: usize, r: &[$t], b: &mut [$t]) -> Result<(), Info> {
                assert!(r.len() == n * n, "invariant: arrays fit the shape");
                let (count, n, mut info) = (columns(n, b.len()), int(n), 0);
                // SAFETY: lengths checked above.
                unsafe {
                    $trtrs(UPPER, PLAIN, PLAIN, &n, &count, r.as_ptr(), &n, b.as_mut_ptr(), &n, &mut info);
                }
                outcome(info)
            }

            fn potrf(n: usize, a: &mut [$t]) -> Result<(), Info> {
                assert!(n > 0 && a.len() == n * n, "invariant: arrays fit the shape");
                let (n, mut info) = (int(n), 0);
                // SAFETY: lengths checked above.
                unsafe { $potrf(LOWER, &n, a.as_mut_ptr(), &n, &mut info) };
                outcome(info)
            }

            fn potrs(n: usize, a: &[$t], b: &mut [$t]) {
                assert!(a.len() == n * n, "invariant: arrays fit the shape");
                let (count, n, mut info) = (columns(n, b.len()), int(n), 0);
                // SAFETY: lengths checked above.
                unsafe { $potrs(LOWER, &n, &count, a.as_ptr(), &n, b.as_mut_ptr(), &n, &mut info) };
                assert_eq!(info, 0, "invariant: the arguments of potrs are valid");
            }

            fn getrf(n: usize, a: &mut [$t], pivots: &mut [c_int]) -> Result<(), Info> {
                assert!(n > 0 && a.len() == n * n && pivots.len() == n, "invariant: arrays fit the shape");
                let (n, mut info) = (int(n), 0);
                // SAFETY: lengths checked above.
                unsafe { $getrf(&n, &n, a.as_mut_ptr(), &n, pivots.as_mut_ptr(), &mut info) };
                outcome(info)
            }

            fn getrs(n: usize, a: &[$t], pivots: &[c_int], b: &mut [$t]) {
                assert!(a.len() == n * n && pivots.len() == n, "invariant: arrays fit the shape");
                let (count, n, mut info) = (columns(n, b.len()), int(n), 0);
                let (a, pivots) = (a.as_ptr(), pivots.as_ptr());
                // SAFETY: lengths checked above; pivots are those of getrf.
                unsafe { $getrs(PLAIN, &n, &count, a, &n, pivots, b.as_mut_ptr(), &n, &mut info) };
                assert_eq!(info, 0, "invariant: the arguments of getrs are valid");
            }

            fn heevd(n: usize, a: &mut [$t]) -> Result<Vec<f64>, Info> {
                assert!(n > 0 && a.len() == n * n, "invariant: arrays fit the shape");
                let mut values: Vec<$real> = vec![0.0; n];
                let (n, mut info) = (int(n), 0);
                let (a, w) = (a.as_mut_ptr(), values.as_mut_ptr());
                // The first call asks for the lengths of the workspaces.
                let (mut work, mut lwork) = (vec![<$t>::ZERO], -1);
                let (mut iwork, mut liwork) = (vec![0], -1);
                $(let (mut $rwork, mut $lrwork): (Vec<$real>, c_int) = (vec![0.0], -1);)?
                for _ in 0..2 {
                    // SAFETY: lengths checked above; the workspaces are as long as said.
                    unsafe {
                        $heevd(
                            VECTORS, LOWER, &n, a, &n, w, work.as_mut_ptr(), &lwork,
                            $($rwork.as_mut_ptr(), &$lrwork,)? iwork.as_mut_ptr(), &liwork, &mut info,
                        );
                    }
                    if lwork < 0 {
                        (lwork, liwork) = (asked(work[0]), iwork[0].max(1));
                        $($lrwork = asked($rwork[0]); $rwork = array($lrwork);)?
                        (work, iwork) = (array(lwork), array(liwork));
                    }
                }
                outcome(info).map(|()| values.into_iter().map(f64::from).collect())
            }

            fn hegvd(n: usize, a: &mut [$t], b: &mut [$t]) -> Result<Vec<f64>, Info> {
                assert!(n > 0 && a.len() == n * n && b.len() == n * n, "invariant: arrays fit the shape");
                let mut values: Vec<$real> = vec![0.0; n];
                let (n, mut info) = (int(n), 0);
                let (a, b, w) = (a.as_mut_ptr(), b.as_mut_ptr(), values.as_mut_ptr());
                // The first call asks for the lengths of the workspaces.
                let (mut work, mut lwork) = (vec![<$t>::ZERO], -1);
                let (mut iwork, mut liwork) = (vec![0], -1);
                $(let (mut $rwork, mut $lrwork): (Vec<$real>, c_int) = (vec![0.0], -1);)?
                for _ in 0..2 {
                    // SAFETY: lengths checked above; the workspaces are as long as said.
                    unsafe {
                        $hegvd(
                            &1, VECTORS, LOWER, &n, a, &n, b, &n, w, work.as_mut_ptr(), &lwork,
                            $($rwork.as_mut_ptr(), &$lrwork,)? iwork.as_mut_ptr(), &liwork, &mut info,
                        );
                    }
                    if lwork < 0 {
                        (lwork, liwork) = (asked(work[0]), iwork[0].max(1));
                        $($lrwork = asked($rwork[0]); $rwork = array($lrwork);)?
                        (work, iwork) = (array(lwork), array(liwork));
                    }
                }
                outcome(info).map(|()| values.into_iter().map(f64::from).collect())
            }

            fn gesdd([m, n]: [usize; 2], a: &mut [$t], u: &mut [$t], vt: &mut [$t]) -> Result<Vec<f64>, Info> {
                let k = m.min(n);
                let fits = a.len() == m * n && u.len() == m * k && vt.len() == k * n;
                assert!(k > 0 && fits, "invariant: arrays fit the shape");
                let mut values: Vec<$real> = vec![0.0; k];
                let mut iwork = vec![0; 8 * k];
                // LAPACK 3.7 and later: max(5 k^2 + 5 k, 2 max(m, n) k + 2 k^2 + k).
                $(let mut $rwork: Vec<$real> = vec![0.0; 7 * k * k + 6 * k + 2 * m.max(n) * k];)?
                let (m, n, k, mut info) = (int(m), int(n), int(k), 0);
                let (mut work, mut lwork) = (vec![<$t>::ZERO], -1);
                for _ in 0..2 {
                    // SAFETY: lengths checked above; the workspaces are as long as said.
                    unsafe {
                        $gesdd(
                            THIN, &m, &n, a.as_mut_ptr(), &m, values.as_mut_ptr(), u.as_mut_ptr(), &m,
                            vt.as_mut_ptr(), &k, work.as_mut_ptr(), &lwork, $($rwork.as_mut_ptr(),)?
                            iwork.as_mut_ptr(), &mut info,
                        );
                    }
                    if lwork < 0 {
                        lwork = asked(work[0]);
                        work = array(lwork);
                    }
                }
                outcome(info).map(|()| values.into_iter().map(f64::from).collect())
            }

            fn pbtrf(width: usize, band: &mut [$t]) -> Result<(), Info> {
                let (n, kd, ld, mut info) = (columns(width + 1, band.len()), int(width), int(width + 1), 0);
                // SAFETY: `n` columns of `width + 1` fill the array.
                unsafe { $pbtrf(LOWER, &n, &kd, band.as_mut_ptr(), &ld, &mut info) };
                outcome(info)
            }

            fn pbtrs(width: usize, band: &[$t], b: &mut [$t]) {
                let (n, kd, ld, mut info) = (columns(width + 1, band.len()), int(width), int(width + 1), 0);
                let count = columns(band.len() / (width + 1), b.len());
                // SAFETY: `n` columns of `width + 1` fill the band, `count` of `n` the right-hand sides.
                unsafe { $pbtrs(LOWER, &n, &kd, &count, band.as_ptr(), &ld, b.as_mut_ptr(), &n, &mut info) };
                assert_eq!(info, 0, "invariant: the arguments of pbtrs are valid");
            }
        }
    };
}

#[rustfmt::skip]
mod routines {
    use super::*;

    lapack!(f32, f32, sgeqrf_, sorgqr_, strtrs_, spotrf_, spotrs_, sgetrf_, sgetrs_, ssyevd_, ssygvd_, sgesdd_, spbtrf_, spbtrs_);
    lapack!(f64, f64, dgeqrf_, dorgqr_, dtrtrs_, dpotrf_, dpotrs_, dgetrf_, dgetrs_, dsyevd_, dsygvd_, dgesdd_, dpbtrf_, dpbtrs_);
    lapack!(Complex32, f32, cgeqrf_, cungqr_, ctrtrs_, cpotrf_, cpotrs_, cgetrf_, cgetrs_, cheevd_, chegvd_, cgesdd_, cpbtrf_, cpbtrs_, rwork, lrwork);
    lapack!(Complex64, f64, zgeqrf_, zungqr_, ztrtrs_, zpotrf_, zpotrs_, zgetrf_, zgetrs_, zheevd_, zhegvd_, zgesdd_, zpbtrf_, zpbtrs_, rwork, lrwork);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qr_of_a_column_is_its_length() {
        let mut a = [3.0, 0.0, -4.0];
        let mut tau = [0.0];
        Lapack::geqrf(3, 1, &mut a, &mut tau);
        assert!((f64::abs(a[0]) - 5.0).abs() < 1e-15);
        let sign = a[0].signum();
        Lapack::ungqr(3, &mut a, &tau);
        for (q, expected) in a.iter().zip([0.6, 0.0, -0.8]) {
            assert!((q * sign - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn workspaces_are_never_too_short() {
        assert_eq!(asked(100.0), 101);
        assert_eq!(asked(0.0), 1);
        // The f32 nearest to 2^24 + 1 is 2^24.
        assert!(asked(16_777_216.0f32) > 16_777_217);
    }
}
