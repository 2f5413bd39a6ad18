//! The routines that each scalar has.

use std::ffi::c_int;

/// Cause of a failed factorization: LAPACK's `info`, the one-based place or count of the failure.
#[derive(Debug, PartialEq, Eq)]
pub struct Info(pub(crate) usize);

/// The dense factorizations of one scalar.
pub trait Lapack: Sized {
    /// Householder QR of `a` of `m` by `n`: R in and above the diagonal, reflectors below, their
    /// factors in `tau` of length `min(m, n)`.
    fn geqrf(m: usize, n: usize, a: &mut [Self], tau: &mut [Self]);

    /// The first `tau.len()` columns of Q from the reflectors of [`Lapack::geqrf`], in place.
    fn ungqr(m: usize, a: &mut [Self], tau: &[Self]);

    /// Solves `R x = b` for the upper triangle of `r` of `n` by `n`, in place.
    fn trtrs(n: usize, r: &[Self], b: &mut [Self]) -> Result<(), Info>;

    /// Computes the Cholesky factor L of a Hermitian matrix, in the lower triangle.
    fn potrf(n: usize, a: &mut [Self]) -> Result<(), Info>;

    /// Solves with the factor of [`Lapack::potrf`], in place.
    fn potrs(n: usize, a: &[Self], b: &mut [Self]);

    /// LU with partial pivoting; `pivots` are one-based.
    fn getrf(n: usize, a: &mut [Self], pivots: &mut [c_int]) -> Result<(), Info>;

    /// Solves with the factors of [`Lapack::getrf`], in place.
    fn getrs(n: usize, a: &[Self], pivots: &[c_int], b: &mut [Self]);

    /// Computes the eigenvalues, ascending, of a Hermitian matrix; its eigenvectors take its place.
    fn heevd(n: usize, a: &mut [Self]) -> Result<Vec<f64>, Info>;

    /// Computes the eigenvalues, ascending, of `A x = w B x` for a Hermitian `a` and a Hermitian positive definite `b`, which
    /// is destroyed; eigenvectors with `x^H B x = 1` take the place of `a`. An `info` above `n` says that the pivot
    /// `info - n` of `b` is not positive.
    fn hegvd(n: usize, a: &mut [Self], b: &mut [Self]) -> Result<Vec<f64>, Info>;

    /// The singular values, descending, and vectors of `a` of `m` by `n`, which is destroyed: `u` of `m`
    /// by `k`, `vt` of `k` by `n`, `k = min(m, n)`.
    fn gesdd(shape: [usize; 2], a: &mut [Self], u: &mut [Self], vt: &mut [Self]) -> Result<Vec<f64>, Info>;

    /// Computes the Cholesky factor of a Hermitian band matrix of `width` subdiagonals: column `j` of `band`,
    /// of length `width + 1`, starts with entry `(j, j)`.
    fn pbtrf(width: usize, band: &mut [Self]) -> Result<(), Info>;

    /// Solves with the factor of [`Lapack::pbtrf`], in place.
    fn pbtrs(width: usize, band: &[Self], b: &mut [Self]);
}
