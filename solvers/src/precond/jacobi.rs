//! Jacobi: division by the diagonal. The same bits on any number of ranks.

use dolmen_core::{Diagonal, LinearOperator, Scalar, Vector};

use crate::error::{Defect, Error, Result};
use crate::precond::forward::forward;

const METHOD: &str = "Jacobi";

/// The inverse of the diagonal of an operator.
pub struct Jacobi<T> {
    inverse: Diagonal<T>,
}

impl<T: Scalar> Jacobi<T> {
    /// Takes the diagonal that `a` knows.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NoDiagonal`]; a row whose diagonal entry is zero or not finite, on any rank.
    pub fn new(a: &(impl LinearOperator<T> + ?Sized)) -> Result<Jacobi<T>> {
        Ok(Jacobi { inverse: Diagonal::new(inverse_diagonal(METHOD, a)?) })
    }

    /// Takes the diagonal of an operator whose values have changed.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`Jacobi::new`]; this preconditioner is then unchanged.
    pub fn refill(&mut self, a: &(impl LinearOperator<T> + ?Sized)) -> Result<()> {
        *self = Jacobi::new(a)?;
        Ok(())
    }
}

/// Computes one over each entry of the diagonal.
///
/// # Collective
pub(super) fn inverse_diagonal<T: Scalar>(
    method: &'static str,
    a: &(impl LinearOperator<T> + ?Sized),
) -> Result<Vector<T>> {
    let mut diagonal = a.diagonal().ok_or(Error::NoDiagonal { method })?;
    let unfit = (diagonal.layout().owned_rows())
        .zip(diagonal.owned())
        .find_map(|(row, &value)| invert(value).err().map(|defect| Error::Unfit { method, row, defect }));
    diagonal.comm().agree(unfit.map_or(Ok(()), Err))?;
    diagonal.reciprocal();
    Ok(diagonal)
}

/// Returns one over an entry of a diagonal.
pub(crate) fn invert<T: Scalar>(value: T) -> std::result::Result<T, Defect> {
    let inverse = T::ONE.quotient(value);
    match (value.is_finite(), inverse.is_finite()) {
        (false, _) => Err(Defect::NotFinite),
        (true, true) => Ok(inverse),
        (true, false) if value == T::ZERO => Err(Defect::ZeroDiagonal),
        (true, false) => Err(Defect::TinyDiagonal),
    }
}

forward!(Jacobi to inverse);
