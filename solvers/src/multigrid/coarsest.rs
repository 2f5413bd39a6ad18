//! The coarsest level: its pseudo-inverse, from the eigenvalues of the dense matrix, in double precision.
//!
//! Eigenvalues that are not above the rounding errors of the matrix have no inverse: `1 / lambda` of the largest one stands
//! in for it. So the level of a singular matrix, of a problem without boundary values, is positive definite as all others
//! are, and finite. The matrix is scaled by powers of two first, and rank 0 computes for all; each rank keeps its own rows.

use dolmen_core::dense::HermitianEigen;
use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{CsrMatrix, ExchangePlan, Gid, IndexMap, LinearOperator, Real, Scalar, SerialCsr, Vector};

use crate::error::{Error, NoSpectrum, Result};
use crate::multigrid::METHOD;
use crate::multigrid::noise::{rounding, rounding_of_given};

/// The rows that belong to this rank.
pub(super) struct PseudoInverse<T> {
    rows: Vec<T>,
    all: ExchangePlan,
}

impl<T: Scalar> PseudoInverse<T> {
    /// Inverts a matrix of at most this number of rows; `scale` is that of a coarse level.
    ///
    /// # Collective
    pub(super) fn new_if_small(
        a: &CsrMatrix<T>,
        scale: Option<&Vector<T>>,
        most: usize,
    ) -> Result<Option<PseudoInverse<T>>> {
        if a.range().global_len() > most as u64 {
            return Ok(None);
        }
        let everywhere = IndexMap::new((0..a.range().global_len()).collect::<Vec<Gid>>())?;
        let all = ExchangePlan::new(a.range(), &everywhere)?;
        let comm = a.range().comm();
        let scale = scale.and_then(|scale| comm.gather(0, scale.owned())).map(|parts| parts.concat());
        let inverse = a.gather(0)?.map(|whole| inverted(&whole, scale.as_deref())).transpose();
        let mut inverse = comm.agree(inverse)?.unwrap_or_default();
        comm.broadcast(0, &mut inverse);
        let n = everywhere.len();
        let rows = a.range().owned_rows().filter_map(|row| {
            let first = usize::try_from(row).ok()? * n;
            inverse.get(first..first + n)
        });
        let rows = rows.flatten().copied().collect();
        Ok(Some(PseudoInverse { rows, all }))
    }

    /// Computes `x = A^+ b`.
    ///
    /// # Collective
    pub(super) fn solve(&self, b: &Vector<T>, x: &mut Vector<T>) -> dolmen_core::Result<()> {
        let b = self.all.import(b)?;
        for (x, row) in x.owned_mut().iter_mut().zip(self.rows.chunks_exact(b.len().max(1))) {
            *x = row.iter().zip(b.iter()).fold(T::ZERO, |sum, (&a, &b)| sum + a * b);
        }
        Ok(())
    }
}

/// Returns the rows of the pseudo-inverse, one after the other.
fn inverted<T: Scalar>(a: &SerialCsr<T>, scale: Option<&[T]>) -> Result<Vec<T>> {
    let mut dense = a.to_dense().mapv(|value| T::Double::from_parts(value.re().to_f64(), value.im().to_f64()));
    let n = a.rows();
    let mut noise: Vec<f64> = match scale {
        Some(scale) => scale.iter().map(|&scale| rounding(scale)).collect(),
        None => (0..n).map(|i| rounding_of_given(dense[[i, i]].abs(), T::Real::EPSILON.to_f64())).collect(),
    };
    // Rows that are zero to rounding are uncoupled, with as much on the diagonal as without cancellation.
    for (i, scale) in scale.into_iter().flatten().enumerate() {
        if dense[[i, i]].abs() <= noise[i] {
            dense.row_mut(i).fill(T::Double::ZERO);
            dense.column_mut(i).fill(T::Double::ZERO);
            dense[[i, i]] = T::Double::from_parts(scale.abs().to_f64(), 0.0);
        }
    }
    // Beside the largest, so that powers of two in the whole matrix change no digit.
    let exponents: Vec<i32> = (0..n).map(|i| exponent(dense[[i, i]].abs())).collect();
    let largest = exponents.iter().copied().max().unwrap_or(0);
    let powers: Vec<i32> = exponents.iter().map(|exponent| (largest - exponent) / 2).collect();
    let near_one = |value: T::Double, i: usize, j: usize| scaled(value, powers[i] + powers[j] - largest);
    dense.indexed_iter_mut().for_each(|((i, j), entry)| *entry = near_one(*entry, i, j));
    noise.iter_mut().enumerate().for_each(|(i, noise)| *noise = scaled(*noise, 2 * powers[i] - largest));
    if !dense.iter().all(|entry| entry.is_finite()) {
        return Err(Error::NoSpectrum { method: METHOD, reason: NoSpectrum::NotFinite });
    }
    let eigen = HermitianEigen::factor(dense.view())?;
    let inverse = eigen.with_values(&inverse_values(&eigen, &noise));
    let entries = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    Ok(entries.map(|(i, j)| T::from_double(near_one(inverse[[i, j]], i, j))).collect())
}

/// Returns the inverse eigenvalues, that of the largest for those which are not above the rounding errors: the error of a
/// diagonal entry is in `noise`, and that of an eigenvalue a sum of errors of any sign, weighted by its eigenvector.
fn inverse_values<D: Scalar<Real = f64>>(eigen: &HermitianEigen<D>, noise: &[f64]) -> Vec<f64> {
    let (values, vectors) = (eigen.values(), eigen.vectors());
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let of_method = f64::EPSILON * largest * (values.len().max(16) as f64);
    let columns = values.iter().zip(vectors.columns());
    let inverses = columns.map(|(&value, vector)| {
        let errors = vector.iter().zip(noise).map(|(entry, noise)| (entry.abs_sqr() * noise).powi(2));
        let is_kept = value > of_method + errors.sum::<f64>().sqrt();
        1.0 / if is_kept { value } else { largest }
    });
    inverses.collect()
}
