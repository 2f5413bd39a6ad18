//! Rounding errors of the matrices of coarse levels, which cancel where a part of the problem has no boundary values.
//!
//! A level's scale has, for each row, what its diagonal would be about if nothing canceled: the sum of the diagonal of the
//! finer level over the aggregate. To it comes the scale of that level, whose errors are passed on. Errors of several rows
//! have any sign, so of `m` rows in an aggregate they grow by about `sqrt(m)`.
//!
//! Sums over an aggregate are weighted by the squares of the entries of the prolongator if its columns are orthonormal.

use dolmen_core::{AdjointOperator, CsrMatrix, LinearOperator, Real, Scalar, Vector};

use crate::error::Result;

/// Largest rounding error of an entry of a coarse level, in units of the precision and of the row's scale.
const ROUNDING: f64 = 64.0;
/// The same of the matrix that was given, in units of the precision and of its diagonal.
const GIVEN: f64 = 4.0;

/// Returns the size up to which a diagonal entry of a row with this scale is only rounding errors.
pub(super) fn rounding<T: Scalar>(scale: T) -> f64 {
    ROUNDING * T::Real::EPSILON.to_f64() * scale.abs().to_f64()
}

/// Returns the size of the rounding errors of a diagonal entry of the matrix that was given, in numbers of this precision.
pub(super) fn rounding_of_given(diagonal: f64, precision: f64) -> f64 {
    GIVEN * precision * diagonal
}

/// Returns the scale of the next level.
///
/// # Collective
pub(super) fn next_scale<T: Scalar>(
    a: &CsrMatrix<T>,
    scale: Option<&Vector<T>>,
    tentative: &CsrMatrix<T>,
) -> Result<Vector<T>> {
    let diagonal = a.diagonal().expect("invariant: a square matrix knows its diagonal");
    let sums = |values: &Vector<T>| -> Result<Vector<T>> {
        let mut sums = Vector::zeros(tentative.domain());
        tentative.apply_adjoint(values, &mut sums)?;
        Ok(sums)
    };
    let mut next = sums(&diagonal)?;
    if let Some(scale) = scale {
        let (passed, counts) = (sums(scale)?, sums(&Vector::from_fn(a.range(), |_| T::ONE))?);
        let parts = passed.owned().iter().zip(counts.owned());
        for (next, (&passed, &count)) in next.owned_mut().iter_mut().zip(parts) {
            *next += passed.scale(T::Real::ONE / count.re().sqrt());
        }
    }
    Ok(next)
}

/// Returns the scale of the next level from the weights that its unknowns give to rows, which sum to one.
///
/// # Collective
pub(super) fn weighted_scale<T: Scalar>(
    a: &CsrMatrix<T>,
    scale: Option<&Vector<T>>,
    weights: &CsrMatrix<T>,
) -> Result<Vector<T>> {
    let diagonal = a.diagonal().expect("invariant: a square matrix knows its diagonal");
    let mut next = Vector::zeros(weights.range());
    weights.apply(&diagonal, &mut next)?;
    if let Some(scale) = scale {
        let mut passed = Vector::zeros(weights.range());
        weights.apply(scale, &mut passed)?;
        for ((next, &passed), row) in next.owned_mut().iter_mut().zip(passed.owned()).zip(weights.rows()) {
            // Independent errors of equal size, with these weights.
            let squares = row.values().iter().map(|weight| weight.abs_sqr().to_f64());
            let spread = squares.fold(0.0, |sum, square| sum + square).sqrt();
            *next += passed.scale(T::Real::from_f64(spread));
        }
    }
    Ok(next)
}
