//! The LAPACK routines behind [`dense`](crate::dense).
//!
//! `lapack-src` only makes the linker find OpenBLAS, which has LAPACK's Fortran interface (LAPACKE
//! it need not have). The routines are declared in `ffi`, for all four scalars and with the lengths
//! of their arrays checked.
//!
//! Eigenvalues and singular values want workspaces of several `n^2` words, whose length LAPACK
//! computes in 32-bit integers and does not check for overflow: the limits here keep it from that.

extern crate lapack_src as _;

mod ffi;
mod routines;
mod schur;

use crate::blas::MAX_DIMENSION;
use crate::error::{Error, Result};

pub(crate) use routines::{Info, Lapack};
pub(crate) use schur::{gees, trsen};

/// Words of a workspace that 32-bit integers can count, less what is added against rounding.
const LONGEST_WORKSPACE: u64 = MAX_DIMENSION - (1 << 10);

/// Refuses matrices whose eigenvalues LAPACK cannot find: `heevd` takes `1 + 6 n + 2 n^2` words.
pub(crate) fn require_eigen_size(order: usize) -> Result<()> {
    require("rows of a Hermitian matrix for its eigenvalues", order, |n| 1 + 6 * n + 2 * n * n)
}

/// Refuses matrices whose singular values LAPACK cannot find, by the smaller side: `gesdd` takes
/// `7 k + 4 k^2` words, of complex ones `5 k + 6 k^2` real ones at most.
pub(crate) fn require_svd_size(smaller_side: usize, complex: bool) -> Result<()> {
    let squares = if complex { 6 } else { 4 };
    require("smaller side of a matrix for its singular values", smaller_side, |k| 7 * k + squares * k * k)
}

fn require(what: &'static str, size: usize, words: impl Fn(u64) -> u64) -> Result<()> {
    let (size, limit) = (size as u64, largest(words));
    if size <= limit { Ok(()) } else { Err(Error::TooLarge { what, size, limit }) }
}

/// Computes the largest number for which the words, which ascend, are not too many.
fn largest(words: impl Fn(u64) -> u64) -> u64 {
    let (mut fits, mut beyond) = (0, MAX_DIMENSION + 1);
    while beyond - fits > 1 {
        let middle = fits.midpoint(beyond);
        if words(middle) <= LONGEST_WORKSPACE {
            fits = middle;
        } else {
            beyond = middle;
        }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_stay_below_32_bits() {
        assert!(require_eigen_size(32_766).is_ok());
        assert!(require_svd_size(23_169, false).is_ok());
        assert!(require_svd_size(18_918, true).is_ok());
        // From 46 341 on the 32-bit sum would be positive again, and far too small.
        for order in [32_767, 46_341, 1 << 16, 1 << 31] {
            let error = require_eigen_size(order).unwrap_err().to_string();
            assert!(error.contains(&format!("eigenvalues: {order} is more than the 32766")), "{error}");
        }
        assert!(require_svd_size(23_170, false).is_err() && require_svd_size(18_919, true).is_err());
    }
}
