//! Hermitian band matrices along the diagonal, one for each segment of the rows, and their inverse.
//!
//! Segments are what is correlated with itself alone: the baselines of one detector in one interval,
//! whose prior is a band matrix. A segment belongs to one rank; its factorization and its product
//! are local, so that the bits depend on the segments and not on the number of ranks.

use crate::dense::{BandedCholesky, HermitianBanded};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::operator::block_diagonal::in_matrix;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// A matrix with Hermitian band matrices, of any orders and widths, along the diagonal.
#[derive(Clone, Debug)]
pub struct BandedDiagonal<T> {
    layout: Layout,
    segments: Vec<HermitianBanded<T>>,
}

impl<T: Scalar> BandedDiagonal<T> {
    /// Creates the operator from the segments that fill this rank's rows of `layout`, in order.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LocalLength`], agreed over the ranks, if the rows of a rank's segments are not those
    /// that it owns; [`Error::StackedLayout`].
    pub fn new(layout: &Layout, segments: Vec<HermitianBanded<T>>) -> Result<BandedDiagonal<T>> {
        layout.require_contiguous("band matrices along the diagonal")?;
        let (expected, found) = (layout.local_len(), segments.iter().map(HermitianBanded::order).sum());
        let what = "rows of the segments of a band matrix";
        let fits = if expected == found { Ok(()) } else { Err(Error::LocalLength { what, expected, found }) };
        layout.comm().agree(fits)?;
        Ok(BandedDiagonal { layout: layout.clone(), segments })
    }

    /// Returns this rank's segments.
    pub fn segments(&self) -> &[HermitianBanded<T>] {
        &self.segments
    }

    /// Factors each segment, `A = L L^H`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`] or [`Error::NotFinite`], agreed over the ranks, which names the
    /// row where the first failing segment of the first rank that has one fails.
    pub fn factor(&self) -> Result<BandedInverse<T>> {
        let mut first = self.layout.range().start;
        let factors: Result<Vec<_>> = self
            .segments
            .iter()
            .map(|segment| {
                let factor = BandedCholesky::factor(segment).map_err(|error| in_matrix(error, first));
                first += segment.order() as u64;
                factor
            })
            .collect();
        let factors = self.layout.comm().agree(factors)?;
        Ok(BandedInverse { layout: self.layout.clone(), factors })
    }
}

impl<T: Scalar> LinearOperator<T> for BandedDiagonal<T> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let (mut x, mut y) = (x.owned(), y.owned_mut());
        for segment in &self.segments {
            let (x_here, x_after) = x.split_at(segment.order());
            let (y_here, y_after) = y.split_at_mut(segment.order());
            segment.multiply(x_here, y_here)?;
            (x, y) = (x_after, y_after);
        }
        Ok(())
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        let mut diagonal = Vector::zeros(&self.layout);
        let entries = self.segments.iter().flat_map(|segment| (0..segment.order()).map(|row| segment.get(row, row)));
        diagonal.owned_mut().iter_mut().zip(entries).for_each(|(slot, entry)| *slot = entry);
        Some(diagonal)
    }
}

/// Hermitian, so its own adjoint.
impl<T: Scalar> AdjointOperator<T> for BandedDiagonal<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.compute(x, y)
    }
}

/// The inverse of a [`BandedDiagonal`], made by [`BandedDiagonal::factor`]: two triangular solves a
/// segment.
#[derive(Clone, Debug)]
pub struct BandedInverse<T> {
    layout: Layout,
    factors: Vec<BandedCholesky<T>>,
}

impl<T: Scalar> BandedInverse<T> {
    /// Returns the factors of this rank's segments.
    pub fn factors(&self) -> &[BandedCholesky<T>] {
        &self.factors
    }
}

impl<T: Scalar> LinearOperator<T> for BandedInverse<T> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        y.copy_from(x)?;
        let mut rest = y.owned_mut();
        for factor in &self.factors {
            let (here, after) = rest.split_at_mut(factor.order());
            factor.solve(here)?;
            rest = after;
        }
        Ok(())
    }
}

/// Hermitian, so its own adjoint.
impl<T: Scalar> AdjointOperator<T> for BandedInverse<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.compute(x, y)
    }
}
