//! Chebyshev iteration on the upper part of the spectrum of `D^-1 A`: the smoother of a level (Adams, Brezina, Hu
//! and Tuminaro, J. Comput. Phys. 188 (2003) 593; the recurrence is algorithm 12.1 of Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed.). It has no inner products, and the bits are the same on any number of ranks.
//!
//! [`ChebyshevPolynomial`](crate::ChebyshevPolynomial) has the same recurrence from zero, for any operator. A smoother
//! also goes on from a solution that is there, takes one pass over the vectors a step, and leaves rows of zeros alone.

use dolmen_core::{CsrMatrix, Diagonal, LinearOperator, Real, Scalar, Vector};

use crate::error::{Defect, Error, NoSpectrum, Result};
use crate::multigrid::METHOD;
use crate::multigrid::noise::rounding;
use crate::precond::chebyshev::{SAFETY, scaled_spectrum};

/// Upper over lower end of the interval: what is below is left to the coarser levels. From 4 to 10 all Laplacians that
/// were tried take as many iterations, 30 takes a third more.
const RATIO: f64 = 6.0;
/// A bound of the spectrum that is taken as it is: rows of Laplacians reach it.
const SHARP: f64 = 2.0 + 1e-6;
/// The smoother of a matrix.
pub(super) struct Smoother<T> {
    /// The inverse diagonal; zero where the row of a coarse level is zero to rounding.
    inverse: Vector<T>,
    /// An upper bound or estimate of the largest eigenvalue of `D^-1 A`; zero if all rows are zero to rounding.
    largest: f64,
}

impl<T: Scalar> Smoother<T> {
    /// Prepares to smooth. On coarse levels, which may be singular, `scale` has the diagonal that rows would have without
    /// cancellation.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Unfit`] with the row of an entry that is not finite, or of a diagonal entry that is not positive, on
    /// coarse levels negative beyond rounding; [`Error::NoSpectrum`].
    pub(super) fn new(a: &CsrMatrix<T>, scale: Option<&Vector<T>>) -> Result<Smoother<T>> {
        let inverse = inverse_diagonal(a, scale)?;
        let mut bound = [row_bound(a, &inverse)];
        let mut zeros = [inverse.owned().iter().filter(|entry| **entry == T::ZERO).count() as u64];
        a.range().comm().all_reduce_max(&mut bound);
        a.range().comm().all_reduce_sum(&mut zeros);
        if !bound[0].is_finite() {
            require_finite(a)?;
            return Err(Error::NoSpectrum { method: METHOD, reason: NoSpectrum::NotFinite });
        }
        let largest = if bound[0] <= SHARP || zeros[0] > 0 {
            bound[0]
        } else {
            let [_, largest] = scaled_spectrum(a, &Diagonal::new(inverse.clone())).map_err(as_multigrid)?;
            bound[0].min(SAFETY * largest)
        };
        Ok(Smoother { inverse, largest })
    }

    pub(super) fn inverse(&self) -> &Vector<T> {
        &self.inverse
    }

    pub(super) fn largest(&self) -> f64 {
        self.largest
    }

    /// Improves `x` as a solution of `A x = b` by `degree` steps; it is zero before if `from_zero` says so, whatever it
    /// holds. It is left alone, or zero, where all rows are zero to rounding.
    ///
    /// # Collective
    pub(super) fn smooth(
        &self,
        a: &CsrMatrix<T>,
        degree: usize,
        b: &Vector<T>,
        x: &mut Vector<T>,
        from_zero: bool,
        [residual, step]: [&mut Vector<T>; 2],
    ) -> dolmen_core::Result<()> {
        if self.largest == 0.0 {
            x.owned_mut().iter_mut().filter(|_| from_zero).for_each(|x| *x = T::ZERO);
            return Ok(());
        }
        let (high, low) = (self.largest, self.largest / RATIO);
        let (theta, delta) = ((high + low) / 2.0, (high - low) / 2.0);
        let sigma = theta / delta;
        let (mut rho, mut factors) = (1.0 / sigma, [0.0, 1.0 / theta]);
        for number in 0..degree {
            let is_first = number == 0 && from_zero;
            if !is_first {
                a.apply(x, residual)?;
            }
            let [old, new] = factors.map(|factor| T::from_parts(factor, 0.0));
            let vectors = b.owned().iter().zip(residual.owned()).zip(self.inverse.owned());
            let changing = x.owned_mut().iter_mut().zip(step.owned_mut());
            if is_first {
                changing.zip(vectors).for_each(|((x, step), ((&b, _), &inverse))| {
                    *step = new * (inverse * b);
                    *x = *step;
                });
            } else if number == 0 {
                changing.zip(vectors).for_each(|((x, step), ((&b, &product), &inverse))| {
                    *step = new * (inverse * (b - product));
                    *x += *step;
                });
            } else {
                changing.zip(vectors).for_each(|((x, step), ((&b, &product), &inverse))| {
                    *step = old * *step + new * (inverse * (b - product));
                    *x += *step;
                });
            }
            let next = 1.0 / (2.0 * sigma - rho);
            factors = [next * rho, 2.0 * next / delta];
            rho = next;
        }
        Ok(())
    }
}

/// Inverts the diagonal.
///
/// # Collective
fn inverse_diagonal<T: Scalar>(a: &CsrMatrix<T>, scale: Option<&Vector<T>>) -> Result<Vector<T>> {
    let mut inverse = a.diagonal().expect("invariant: a square matrix knows its diagonal");
    let mut defect = Ok(());
    for (number, row) in a.range().owned_rows().enumerate() {
        let entry = &mut inverse.owned_mut()[number];
        let (size, noise) = (entry.re().to_f64(), scale.map(|scale| rounding(scale.owned()[number])));
        let inverted = T::ONE.quotient(T::from_parts(size, 0.0));
        let is_zero = noise.is_some_and(|noise| size.abs() <= noise);
        let fault = match size {
            _ if !size.is_finite() => Some(Defect::NotFinite),
            _ if is_zero => None,
            _ if size <= 0.0 => Some(Defect::DiagonalNotPositive),
            _ => (!inverted.is_finite()).then_some(Defect::TinyDiagonal),
        };
        *entry = if is_zero { T::ZERO } else { inverted };
        if let Some(fault) = fault {
            defect = Err(Error::Unfit { method: METHOD, row, defect: fault });
            break;
        }
    }
    a.range().comm().agree(defect)?;
    Ok(inverse)
}

/// Refuses a matrix with a number that is not finite.
///
/// # Collective
fn require_finite<T: Scalar>(a: &CsrMatrix<T>) -> Result<()> {
    let mut unfit = a.rows().filter(|row| !row.values().iter().all(|value| value.is_finite()));
    let error = unfit.next().map(|row| Error::Unfit { method: METHOD, row: row.index(), defect: Defect::NotFinite });
    a.range().comm().agree(error.map_or(Ok(()), Err))
}

/// Returns the largest sum of absolute values of a row of `D^-1 A` on this rank, which no eigenvalue exceeds
/// (Gershgorin).
fn row_bound<T: Scalar>(a: &CsrMatrix<T>, inverse: &Vector<T>) -> f64 {
    let sums = a
        .rows()
        .zip(inverse.owned())
        .map(|(row, &inverse)| row.values().iter().map(|&value| (value * inverse).abs().to_f64()).sum::<f64>());
    sums.fold(0.0, |largest, sum| if sum.is_nan() { f64::INFINITY } else { largest.max(sum) })
}

/// Names multigrid in place of the estimate.
fn as_multigrid(error: Error) -> Error {
    match error {
        Error::NoSpectrum { reason, .. } => Error::NoSpectrum { method: METHOD, reason },
        other => other,
    }
}
