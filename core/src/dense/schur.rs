//! The Schur form of a complex matrix.

use ndarray::{Array2, ArrayView2};

use crate::dense::{matrix, square_entries};
use crate::error::{Error, Result};
use crate::lapack::{Info, gees, trsen};
use crate::scalar::{Complex64, Scalar};

/// `A = Q T Q^H` with Q unitary and T upper triangular (LAPACK `gees`): the eigenvalues of any matrix are on the
/// diagonal of T, and the first columns of Q span invariant subspaces.
#[derive(Clone, Debug)]
pub struct Schur {
    n: usize,
    t: Vec<Complex64>,
    q: Vec<Complex64>,
}

impl Schur {
    /// Finds the Schur form of a matrix.
    ///
    /// # Errors
    /// [`Error::NoConvergence`]; [`Error::Shape`] if the matrix is not square; [`Error::NotFinite`].
    pub fn factor(a: ArrayView2<'_, Complex64>) -> Result<Schur> {
        let operation = "Schur form";
        let (n, mut t) = square_entries(operation, a)?;
        let missing = |Info(count)| Error::NoConvergence { operation, count: count as u64 };
        let q = if n > 0 { gees(n, &mut t).map_err(missing)? } else { Vec::new() };
        Ok(Schur { n, t, q })
    }

    /// Returns the eigenvalues, in the order of the diagonal of T.
    pub fn values(&self) -> Vec<Complex64> {
        self.t.iter().step_by(self.n + 1).copied().collect()
    }

    /// Returns the unitary matrix Q.
    pub fn q(&self) -> Array2<Complex64> {
        matrix(self.n, self.n, self.q.clone())
    }

    /// Returns the upper triangle T.
    pub fn t(&self) -> Array2<Complex64> {
        matrix(self.n, self.n, self.t.clone())
    }

    /// Brings the chosen eigenvalues to the top of the diagonal; their order does not change, nor that of the others.
    ///
    /// # Panics
    /// If there is not one choice for each eigenvalue.
    pub fn bring_to_top(&mut self, chosen: &[bool]) {
        assert_eq!(chosen.len(), self.n, "one choice for each eigenvalue");
        if self.n > 0 {
            trsen(self.n, chosen, &mut self.t, &mut self.q);
        }
    }

    /// Computes an eigenvector of `A` of length one for the eigenvalue at a place of the diagonal, by back substitution in
    /// T (Golub and Van Loan, "Matrix Computations", 4th ed., section 7.6.4). Pivots that cancel are replaced by
    /// rounding errors, as LAPACK does.
    ///
    /// # Panics
    /// If there is no such eigenvalue.
    pub fn vector(&self, place: usize) -> Vec<Complex64> {
        let (n, t) = (self.n, |i: usize, j: usize| self.t[j * self.n + i]);
        let value = t(place, place);
        let size = self.t.iter().fold(0.0f64, |largest, entry| largest.max(entry.abs()));
        let least = (f64::EPSILON * size).max(f64::MIN_POSITIVE);
        let mut x = vec![Complex64::ZERO; n];
        x[place] = Complex64::ONE;
        for i in (0..place).rev() {
            let sum: Complex64 = (i + 1..=place).map(|j| t(i, j) * x[j]).sum();
            let pivot = value - t(i, i);
            x[i] = sum.quotient(if pivot.abs() < least { Complex64::from_parts(least, 0.0) } else { pivot });
            // What grows is brought back, so that it does not overflow.
            let largest = x[i].abs();
            if largest > 1e100 {
                x[i..=place].iter_mut().for_each(|x| *x = x.scale(1.0 / largest));
            }
        }
        let mut vector = vec![Complex64::ZERO; n];
        for (column, &x) in self.q.chunks_exact(n).zip(&x[..=place]) {
            vector.iter_mut().zip(column).for_each(|(v, &q)| *v += q * x);
        }
        let largest = vector.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
        vector.iter_mut().for_each(|v| *v = v.scale(1.0 / largest));
        let norm = vector.iter().map(|v| v.abs_sqr()).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|v| *v = v.scale(1.0 / norm));
        vector
    }
}
