//! Files that store one triangle of a matrix.

use crate::files::Symmetry;
use dolmen_core::{CsrBuilder, Scalar};
use std::cmp::Ordering;

/// Adds an entry and its mirror image.
#[inline]
pub(crate) fn push<T: Scalar>(to: &mut CsrBuilder<T>, symmetry: Symmetry, row: u64, column: u64, value: T) {
    to.push(row, column, value);
    if row != column && symmetry != Symmetry::General {
        to.push(column, row, symmetry.mirrored(value));
    }
}

/// Refuses what a file of this symmetry does not store. An entry above the diagonal may be the
/// mirror image of one below, and would then count twice.
#[inline]
pub(crate) fn check_place(symmetry: Symmetry, row: u64, column: u64, (re, im): (f64, f64)) -> Result<(), String> {
    let place = || format!("({}, {})", row + 1, column + 1);
    match (symmetry, column.cmp(&row)) {
        (Symmetry::General, _) | (_, Ordering::Less) | (Symmetry::Symmetric, Ordering::Equal) => Ok(()),
        (_, Ordering::Greater) => {
            Err(format!("entry {} is above the diagonal; a {symmetry} file stores those below it only", place()))
        }
        (Symmetry::SkewSymmetric, Ordering::Equal) if re == 0.0 && im == 0.0 => Ok(()),
        (Symmetry::Hermitian, Ordering::Equal) if im == 0.0 => Ok(()),
        (Symmetry::SkewSymmetric, Ordering::Equal) => {
            Err(format!("entry {} is on the diagonal, where a skew-symmetric matrix is zero", place()))
        }
        (Symmetry::Hermitian, Ordering::Equal) => {
            Err(format!("entry {} is on the diagonal, where a Hermitian matrix is real", place()))
        }
    }
}
