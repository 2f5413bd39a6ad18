//! Projection onto the complement of a null space.

use std::cell::RefCell;

use dolmen_core::{AdjointOperator, Layout, LinearOperator, Real, Reduction, Scalar, Vector};

use crate::error::Result;

/// The orthogonal projection that removes the components along given vectors, for
/// [`Settings::projection`](crate::Settings::projection).
pub struct NullSpace<T: Scalar> {
    layout: Layout,
    /// Orthonormal.
    basis: Vec<Vector<T>>,
    products: RefCell<Products<T>>,
}

/// Inner products with the basis, as sums and as factors.
struct Products<T: Scalar> {
    sums: Vec<T::Double>,
    factors: Vec<T>,
}

impl<T: Scalar> NullSpace<T> {
    /// Removes what lies in the span of `vectors`, which need not be orthogonal but independent.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](dolmen_core::Error::LayoutMismatch), or
    /// [`RankDeficient`](dolmen_core::Error::RankDeficient) if a vector depends on those before it.
    pub fn new(layout: &Layout, vectors: Vec<Vector<T>>) -> Result<NullSpace<T>> {
        let products = RefCell::new(Products { sums: Vec::new(), factors: Vec::new() });
        let mut space = NullSpace { layout: layout.clone(), basis: Vec::with_capacity(vectors.len()), products };
        for (column, mut vector) in vectors.into_iter().enumerate() {
            layout.require_same(vector.layout(), "null space")?;
            let before = vector.norm2();
            // Twice is enough (Parlett, "The Symmetric Eigenvalue Problem", section 6.9).
            space.remove(&mut vector)?;
            space.remove(&mut vector)?;
            let rest = vector.norm2();
            let noise = 100.0 * T::Real::EPSILON.to_f64() * before;
            if rest.is_nan() || rest <= noise {
                return Err(dolmen_core::Error::RankDeficient { operation: "null space", column }.into());
            }
            vector.scale(T::from_parts(1.0 / rest, 0.0));
            space.basis.push(vector);
        }
        Ok(space)
    }

    /// Removes the mean: the null space of problems with Neumann boundaries and of graph Laplacians.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`NullSpace::new`], for a layout without rows.
    pub fn constants(layout: &Layout) -> Result<NullSpace<T>> {
        NullSpace::new(layout, vec![Vector::from_fn(layout, |_| T::ONE)])
    }

    /// Returns the orthonormal basis.
    pub fn basis(&self) -> &[Vector<T>] {
        &self.basis
    }

    fn remove(&self, y: &mut Vector<T>) -> dolmen_core::Result<()> {
        let Products { sums, factors } = &mut *self.products.borrow_mut();
        sums.resize(self.basis.len(), T::Double::ZERO);
        factors.resize(self.basis.len(), T::ZERO);
        y.multi_dot(&self.basis, Reduction::Reproducible, sums)?;
        for (factor, sum) in factors.iter_mut().zip(sums) {
            *factor = -T::from_double(*sum);
        }
        y.multi_axpy(factors, &self.basis)
    }
}

impl<T: Scalar> LinearOperator<T> for NullSpace<T> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> dolmen_core::Result<()> {
        y.copy_from(x)?;
        self.remove(y)
    }
}

impl<T: Scalar> AdjointOperator<T> for NullSpace<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> dolmen_core::Result<()> {
        self.compute(x, y)
    }
}
