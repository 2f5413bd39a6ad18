//! The adjoint test: `<A x, y> = <x, A^H y>` for random vectors.
//!
//! An adjoint that is not the adjoint makes LSQR, normal equations and gradients wrong without any
//! of them failing, so every pair of hand-written operators should be put to this test (Claerbout,
//! "Earth Soundings Analysis: Processing versus Inversion", 1992, chapter 5: the dot-product test).

use crate::error::Result;
use crate::operator::AdjointOperator;
use crate::random::Philox;
use crate::scalar::Scalar;
use crate::vector::Vector;

/// Computes `|<A x, y> - <x, A^H y>| / (|A x| |y|)` for normally distributed random `x` and `y`: a small
/// multiple of the precision of `T` if the adjoint is right, of order one over the square root of
/// the length, or more, if it is wrong. Zero if both products are zero.
///
/// # Collective
/// The same value on any number of ranks if the operator has the same bits.
///
/// # Errors
/// An error of the operator.
pub fn check_adjoint<T: Scalar>(a: &(impl AdjointOperator<T> + ?Sized), seed: u64) -> Result<f64> {
    let random = Philox::new(seed);
    let [mut x, mut adjoint_y] = [Vector::zeros(a.domain()), Vector::zeros(a.domain())];
    let [mut y, mut image_x] = [Vector::zeros(a.range()), Vector::zeros(a.range())];
    x.fill_normal(&random, 0);
    y.fill_normal(&random, 1);
    a.apply(&x, &mut image_x)?;
    a.apply_adjoint(&y, &mut adjoint_y)?;
    let difference = (image_x.dot(&y)? - x.dot(&adjoint_y)?).abs();
    if difference == 0.0 {
        return Ok(0.0);
    }
    Ok(difference / (image_x.norm2() * y.norm2()))
}
