//! The coarsest level: its pseudo-inverse, from the eigenvalues of the dense matrix.
//!
//! A singular matrix, of a problem without boundary values, needs nothing else: what it sends to zero stays zero. The
//! matrix is scaled by powers of two first, and rank 0 computes for all; each rank keeps its own rows.

use dolmen_core::dense::HermitianEigen;
use dolmen_core::scaling::exponent;
use dolmen_core::{CsrMatrix, ExchangePlan, Gid, IndexMap, LinearOperator, Real, Scalar, SerialCsr, Vector};

use crate::error::Result;

/// The rows that belong to this rank.
pub(super) struct PseudoInverse<T> {
    rows: Vec<T>,
    all: ExchangePlan,
}

impl<T: Scalar> PseudoInverse<T> {
    /// Inverts a matrix of at most this number of rows.
    ///
    /// # Collective
    pub(super) fn new_if_small(a: &CsrMatrix<T>, most: usize) -> Result<Option<PseudoInverse<T>>> {
        if a.range().global_len() > most as u64 {
            return Ok(None);
        }
        let everywhere = IndexMap::new((0..a.range().global_len()).collect::<Vec<Gid>>())?;
        let all = ExchangePlan::new(a.range(), &everywhere)?;
        let inverse = a.gather(0)?.map(|whole| inverted(&whole)).transpose();
        let mut inverse = a.range().comm().agree(inverse)?.unwrap_or_default();
        a.range().comm().broadcast(0, &mut inverse);
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
fn inverted<T: Scalar>(a: &SerialCsr<T>) -> Result<Vec<T>> {
    let mut dense = a.to_dense();
    let n = a.rows();
    // Beside the largest, so that powers of two in the whole matrix change no digit.
    let exponents: Vec<i32> = (0..n).map(|i| exponent(dense[[i, i]].abs().to_f64())).collect();
    let largest = exponents.iter().copied().max().unwrap_or(0);
    let powers: Vec<i32> = exponents.iter().map(|exponent| (largest - exponent) / 2).collect();
    let scaled = |value: T, i: usize, j: usize| dolmen_core::scaling::scaled(value, powers[i] + powers[j] - largest);
    dense.indexed_iter_mut().for_each(|((i, j), entry)| *entry = scaled(*entry, i, j));
    let eigen = HermitianEigen::factor(dense.view())?;
    let (values, vectors) = (eigen.values(), eigen.vectors());
    let largest = values.iter().map(|value| value.abs().to_f64()).fold(0.0, f64::max);
    let zero = T::Real::EPSILON.to_f64() * largest * (n.max(16) as f64);
    let kept: Vec<(usize, T)> = (values.iter().enumerate())
        .filter(|(_, value)| value.to_f64() > zero)
        .map(|(k, value)| (k, T::from_parts(1.0 / value.to_f64(), 0.0)))
        .collect();
    let entry = |i: usize, j: usize| {
        let terms = kept.iter().map(|&(k, inverse)| vectors[[i, k]] * inverse * vectors[[j, k]].conj());
        scaled(terms.fold(T::ZERO, |sum, term| sum + term), i, j)
    };
    Ok((0..n).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).collect())
}
