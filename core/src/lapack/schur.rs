//! The Schur form of a complex matrix, and its order.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use crate::blas::int;
use crate::lapack::routines::Info;
use crate::scalar::Complex64;

const VECTORS: &c_char = &b'V'.cast_signed();
const NONE: &c_char = &b'N'.cast_signed();

unsafe extern "C" {
    fn zgees_(
        jobvs: *const c_char,
        sort: *const c_char,
        select: *const c_void,
        n: *const c_int,
        a: *mut Complex64,
        lda: *const c_int,
        sdim: *mut c_int,
        w: *mut Complex64,
        vs: *mut Complex64,
        ldvs: *const c_int,
        work: *mut Complex64,
        lwork: *const c_int,
        rwork: *mut f64,
        bwork: *mut c_int,
        info: *mut c_int,
    );
    fn ztrsen_(
        job: *const c_char,
        compq: *const c_char,
        select: *const c_int,
        n: *const c_int,
        t: *mut Complex64,
        ldt: *const c_int,
        q: *mut Complex64,
        ldq: *const c_int,
        w: *mut Complex64,
        m: *mut c_int,
        s: *mut f64,
        sep: *mut f64,
        work: *mut Complex64,
        lwork: *const c_int,
        info: *mut c_int,
    );
}

fn outcome(info: c_int) -> Result<(), Info> {
    match usize::try_from(info).expect("invariant: the arguments of LAPACK are valid") {
        0 => Ok(()),
        at => Err(Info(at)),
    }
}

/// Replaces a column-major matrix of `n` rows by T and gives Q: `A = Q T Q^H`, T upper triangular, Q unitary.
pub(crate) fn gees(n: usize, a: &mut [Complex64]) -> Result<Vec<Complex64>, Info> {
    assert!(n > 0 && a.len() == n * n, "invariant: arrays fit the shape");
    let (mut q, mut values) = (vec![Complex64::new(0.0, 0.0); n * n], vec![Complex64::new(0.0, 0.0); n]);
    let (mut work, mut rwork, mut bwork) = (vec![Complex64::new(0.0, 0.0); 64 * n], vec![0.0; n], vec![0; n]);
    let (lwork, n, mut count, mut info) = (int(work.len()), int(n), 0, 0);
    // SAFETY: all arrays have the lengths that LAPACK asks for; nothing is selected, so no function is called.
    unsafe {
        zgees_(
            VECTORS,
            NONE,
            ptr::null(),
            &n,
            a.as_mut_ptr(),
            &n,
            &mut count,
            values.as_mut_ptr(),
            q.as_mut_ptr(),
            &n,
            work.as_mut_ptr(),
            &lwork,
            rwork.as_mut_ptr(),
            bwork.as_mut_ptr(),
            &mut info,
        );
    }
    outcome(info).map(|()| q)
}

/// Brings the chosen eigenvalues to the top of a Schur form of `n` rows, in the order in which they are.
pub(crate) fn trsen(n: usize, chosen: &[bool], t: &mut [Complex64], q: &mut [Complex64]) {
    assert!(n > 0 && chosen.len() == n && t.len() == n * n && q.len() == n * n, "invariant: arrays fit the shape");
    let chosen: Vec<c_int> = chosen.iter().map(|&chosen| c_int::from(chosen)).collect();
    let (mut values, mut work) = (vec![Complex64::new(0.0, 0.0); n], vec![Complex64::new(0.0, 0.0); 1]);
    let (n, lwork, mut count, mut info) = (int(n), 1, 0, 0);
    let (mut s, mut sep) = (0.0, 0.0);
    // SAFETY: all arrays have the lengths that LAPACK asks for; no condition numbers are, so one word of workspace is.
    unsafe {
        ztrsen_(
            NONE,
            VECTORS,
            chosen.as_ptr(),
            &n,
            t.as_mut_ptr(),
            &n,
            q.as_mut_ptr(),
            &n,
            values.as_mut_ptr(),
            &mut count,
            &mut s,
            &mut sep,
            work.as_mut_ptr(),
            &lwork,
            &mut info,
        );
    }
    assert_eq!(info, 0, "invariant: a complex Schur form can take any order");
}
