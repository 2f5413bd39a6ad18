//! Blocks of vectors with their images, and what LOBPCG does with them.

use dolmen_core::dense::HermitianEigen;
use dolmen_core::ndarray::{Array2, ArrayView2, ShapeBuilder, s};
use dolmen_core::{Comm, MultiVector, Real, Reduction, Scalar};

use crate::eigen::problem::Pencil;
use crate::error::Result;

const SUMS: Reduction = Reduction::Reproducible;

/// Columns `v`, with `A v` and `M v`.
pub(super) struct Block<T> {
    pub(super) v: MultiVector<T>,
    pub(super) a: MultiVector<T>,
    /// None without a mass matrix: `v` itself.
    m: Option<MultiVector<T>>,
}

impl<T: Scalar> Block<T> {
    /// Computes the images.
    pub(super) fn new(pencil: &Pencil<'_, T>, v: MultiVector<T>) -> Result<Block<T>> {
        let (a, m) = (pencil.apply_many(&v)?, pencil.space.apply_many(&v)?);
        Ok(Block { v, a, m })
    }

    /// Returns `M v`.
    pub(super) fn massed(&self) -> &MultiVector<T> {
        self.m.as_ref().unwrap_or(&self.v)
    }

    pub(super) fn columns(&self) -> usize {
        self.v.columns()
    }

    /// Combines the columns of several blocks; the rows of the coefficients follow the columns of the blocks.
    pub(super) fn combined(blocks: &[&Block<T>], coefficients: &Array2<T>) -> Result<Block<T>> {
        let combine = |of: &dyn Fn(&Block<T>) -> &MultiVector<T>| -> Result<MultiVector<T>> {
            let mut sum = MultiVector::zeros(blocks[0].v.layout(), coefficients.ncols());
            let mut row = 0;
            for block in blocks {
                let part = coefficients.slice(s![row..row + block.columns(), ..]);
                sum.multiply_add(T::ONE, of(block), part, T::ONE, SUMS)?;
                row += block.columns();
            }
            Ok(sum)
        };
        let m = blocks[0].m.is_some().then(|| combine(&|block| block.massed())).transpose()?;
        Ok(Block { v: combine(&|block| &block.v)?, a: combine(&|block| &block.a)?, m })
    }
}

/// Returns some columns.
pub(super) fn select<T: Scalar>(from: &MultiVector<T>, columns: &[usize]) -> MultiVector<T> {
    let mut new = MultiVector::zeros(from.layout(), columns.len());
    for (to, &column) in columns.iter().enumerate() {
        new.column_mut(to).copy_from_slice(from.column(column));
    }
    new
}

/// Eigenvalues, ascending, and eigenvectors of a small Hermitian matrix, found on one rank for all.
pub(super) fn eigen<T: Scalar>(comm: &Comm, a: ArrayView2<'_, T>) -> Result<(Vec<f64>, Array2<T>)> {
    let n = a.nrows();
    let (mut values, mut vectors) = (Vec::new(), Vec::new());
    let outcome = match comm.rank() {
        0 => HermitianEigen::factor(a).map(|eigen| {
            values.extend(eigen.values().iter().map(|value| value.to_f64()));
            vectors.extend(eigen.vectors().t().iter());
        }),
        _ => Ok(()),
    };
    comm.agree(outcome)?;
    comm.broadcast(0, &mut values);
    comm.broadcast(0, &mut vectors);
    Ok((values, Array2::from_shape_vec((n, n).f(), vectors).expect("invariant: an entry for each pair")))
}

/// Returns the product of two small matrices, the first one conjugated and transposed if it is said so.
pub(super) fn product<T: Scalar>(adjoint: bool, a: &Array2<T>, b: &Array2<T>) -> Array2<T> {
    let (rows, inner) = if adjoint { (a.ncols(), a.nrows()) } else { a.dim() };
    let entry = |i, k| if adjoint { a[(k, i)].conj() } else { a[(i, k)] };
    Array2::from_shape_fn((rows, b.ncols()), |(i, j)| (0..inner).map(|k| entry(i, k) * b[(k, j)]).sum())
}

/// Returns the matrix that makes columns with this Gram matrix orthonormal, without those that depend on others to working
/// precision (SVQB: Stathopoulos and Wu, SIAM J. Sci. Comput. 23 (2002) 2165).
pub(super) fn orthonormalizer<T: Scalar>(comm: &Comm, gram: &Array2<T>) -> Result<Array2<T>> {
    let n = gram.nrows();
    let scale: Vec<T::Real> = (0..n)
        .map(|i| {
            let square = gram[(i, i)].re();
            if square > T::Real::ZERO { T::Real::ONE / square.sqrt() } else { T::Real::ZERO }
        })
        .collect();
    let scaled = Array2::from_shape_fn((n, n), |(i, j)| gram[(i, j)].scale(scale[i]).scale(scale[j]));
    let (values, vectors) = eigen(comm, scaled.view())?;
    let least = 10.0 * T::Real::EPSILON.to_f64() * n as f64 * values.last().copied().unwrap_or(0.0);
    let kept: Vec<usize> = (0..n).filter(|&j| values[j] > least).collect();
    let root = |j: usize| T::Real::from_f64(1.0 / values[j].sqrt());
    Ok(Array2::from_shape_fn((n, kept.len()), |(i, j)| vectors[(i, kept[j])].scale(scale[i]).scale(root(kept[j]))))
}

/// Makes columns orthonormal, and orthogonal to blocks that are, in the inner product of the mass matrix. Columns that
/// depend on others are dropped.
///
/// # Collective
pub(super) fn orthonormalized<T: Scalar>(
    pencil: &Pencil<'_, T>,
    mut w: MultiVector<T>,
    to: &[&Block<T>],
) -> Result<MultiVector<T>> {
    for _ in 0..2 {
        for block in to {
            let coefficients = block.massed().gram(&w, SUMS)?;
            w.multiply_add(-T::ONE, &block.v, coefficients.view(), T::ONE, SUMS)?;
        }
        let image = pencil.space.apply_many(&w)?;
        let gram = w.gram(image.as_ref().unwrap_or(&w), SUMS)?;
        let factor = orthonormalizer(pencil.comm(), &gram)?;
        let mut new = MultiVector::zeros(w.layout(), factor.ncols());
        new.multiply_add(T::ONE, &w, factor.view(), T::ZERO, SUMS)?;
        w = new;
    }
    Ok(w)
}
