//! The small matrix of Krylov-Schur: H on the basis, and b below it, `O V = V H + v b^T`.

use std::ops::Range;

use dolmen_core::dense::{Schur, Svd};
use dolmen_core::ndarray::{Array2, s};
use dolmen_core::{Complex64, Result, Scalar};

/// H and b, of which the first vectors are locked: they span an invariant subspace whose values are exact enough to be left
/// alone, so that H is block upper triangular.
pub(super) struct Projection {
    /// H, and in the row below the filled ones b.
    pub(super) h: Array2<Complex64>,
    pub(super) locked: usize,
    /// True if H is real, and is to stay so.
    real: bool,
}

impl Projection {
    pub(super) fn new(size: usize, real: bool) -> Projection {
        Projection { h: Array2::from_elem((size + 1, size), Complex64::ZERO), locked: 0, real }
    }

    /// Returns the Schur form of a diagonal block.
    pub(super) fn schur(&self, block: Range<usize>) -> Result<Schur> {
        Schur::factor(self.h.slice(s![block.clone(), block]))
    }

    /// Returns the values of the locked block, then those of the rest of the first `n` vectors, with the lengths of their
    /// residuals.
    pub(super) fn values(&self, n: usize) -> Result<(Vec<Complex64>, Vec<f64>)> {
        let open = self.schur(self.locked..n)?;
        let residual = |place: usize| {
            let products = (self.locked..n).zip(open.vector(place)).map(|(i, y)| self.h[(n, i)] * y);
            products.sum::<Complex64>().norm()
        };
        let open_residuals = (0..n - self.locked).map(residual);
        let residuals = std::iter::repeat_n(0.0, self.locked).chain(open_residuals).collect();
        let values = self.schur(0..self.locked)?.values().into_iter().chain(open.values()).collect();
        Ok((values, residuals))
    }

    /// Returns an orthonormal basis of the subspace of what is not locked that belongs to the chosen ones of its values;
    /// real for a real operator.
    pub(super) fn invariant_subspace(&self, chosen: &[bool]) -> Result<Array2<Complex64>> {
        let open = chosen.len();
        let mut schur = self.schur(self.locked..self.locked + open)?;
        schur.bring_to_top(chosen);
        let count = chosen.iter().filter(|chosen| **chosen).count();
        let q = schur.q().slice(s![.., ..count]).to_owned();
        if !self.real {
            return Ok(q);
        }
        // Conjugates are chosen together, so real and imaginary parts span a space of as many dimensions.
        let part = |(i, j): (usize, usize)| if j < count { q[(i, j)].re } else { q[(i, j - count)].im };
        let u = Svd::factor(Array2::from_shape_fn((open, 2 * count), part).view())?.u();
        Ok(Array2::from_shape_fn((open, count), |(i, j)| Complex64::new(u[(i, j)], 0.0)))
    }

    /// Takes the columns of `V Z` as the basis.
    pub(super) fn rotate(&mut self, z: &Array2<Complex64>, coupled: bool) {
        let ((n, count), locked) = (z.dim(), self.locked);
        let image = product(&self.h.slice(s![..n, ..n]).to_owned(), z);
        let adjoint = Array2::from_shape_fn((count, n), |(i, j)| z[(j, i)].conj());
        let h = product(&adjoint, &image);
        let b = product(&self.h.slice(s![n..=n, ..n]).to_owned(), z);
        self.h.fill(Complex64::ZERO);
        self.h.slice_mut(s![..count, ..count]).assign(&h);
        self.h.slice_mut(s![locked..count, ..locked]).fill(Complex64::ZERO);
        if coupled {
            self.h.slice_mut(s![count, locked..count]).assign(&b.slice(s![0, locked..]));
        }
    }
}

/// Returns the product of two small matrices.
fn product(a: &Array2<Complex64>, b: &Array2<Complex64>) -> Array2<Complex64> {
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| (0..a.ncols()).map(|k| a[(i, k)] * b[(k, j)]).sum())
}
