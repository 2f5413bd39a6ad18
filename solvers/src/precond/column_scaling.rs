//! Column scaling of least-squares problems: each column divided by its length, which is nearly the
//! best that a diagonal can do for the condition number (van der Sluis, Numer. Math. 14, 1969).

use dolmen_core::{CsrMatrix, Diagonal, LinearOperator, Real, Scalar, Vector};

use crate::error::Result;
use crate::precond::forward::forward;

/// One over the length of each column of a matrix; one for columns of zeros.
pub struct ColumnScaling<T> {
    factors: Diagonal<T>,
}

impl<T: Scalar> ColumnScaling<T> {
    /// Takes the lengths of the columns of `a`, and makes its [adjoint](CsrMatrix::adjoint).
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`CsrMatrix::adjoint`].
    pub fn new(a: &CsrMatrix<T>) -> Result<ColumnScaling<T>> {
        let mut factors = Vector::from_fn(a.domain(), |_| T::ONE);
        for (factor, column) in factors.owned_mut().iter_mut().zip(a.adjoint()?.rows()) {
            // Scaled by the largest, so that squares neither overflow nor vanish.
            let largest = column.values().iter().map(|value| value.abs().to_f64()).fold(0.0, f64::max);
            let parts = column.values().iter().map(|value| (value.abs().to_f64() / largest).powi(2));
            let inverse = T::ONE.quotient(T::from_parts(largest * parts.sum::<f64>().sqrt(), 0.0));
            if largest > 0.0 && inverse.is_finite() {
                *factor = inverse;
            }
        }
        Ok(ColumnScaling { factors: Diagonal::new(factors) })
    }
}

forward!(ColumnScaling to factors);
