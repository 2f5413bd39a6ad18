//! Operators of two parts: linear combinations and products.

use std::cell::RefCell;

use crate::error::Result;
use crate::layout::Layout;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// `alpha A + beta B`.
pub struct Sum<T, A, B> {
    alpha: T,
    a: A,
    beta: T,
    b: B,
    /// Result of `B`, on the range.
    forward: RefCell<Vector<T>>,
    /// Result of `B^H`, on the domain.
    backward: RefCell<Vector<T>>,
}

impl<T: Scalar, A: LinearOperator<T>, B: LinearOperator<T>> Sum<T, A, B> {
    /// Creates the operator `alpha A + beta B`.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if the domains or the ranges differ.
    pub fn new(alpha: T, a: A, beta: T, b: B) -> Result<Sum<T, A, B>> {
        a.domain().require_same(b.domain(), "domains of a sum of operators")?;
        a.range().require_same(b.range(), "ranges of a sum of operators")?;
        let forward = RefCell::new(Vector::zeros(a.range()));
        let backward = RefCell::new(Vector::zeros(a.domain()));
        Ok(Sum { alpha, a, beta, b, forward, backward })
    }
}

impl<T: Scalar, A: LinearOperator<T>, B: LinearOperator<T>> LinearOperator<T> for Sum<T, A, B> {
    fn domain(&self) -> &Layout {
        self.a.domain()
    }

    fn range(&self) -> &Layout {
        self.a.range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let mut other = self.forward.borrow_mut();
        self.a.compute(x, y)?;
        self.b.compute(x, &mut other)?;
        y.axpby(self.beta, &other, self.alpha)
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        let mut diagonal = self.a.diagonal()?;
        let other = self.b.diagonal()?;
        diagonal.map_with(&other, |a, b| self.alpha * a + self.beta * b).ok()?;
        Some(diagonal)
    }
}

impl<T: Scalar, A: AdjointOperator<T>, B: AdjointOperator<T>> AdjointOperator<T> for Sum<T, A, B> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let mut other = self.backward.borrow_mut();
        self.a.compute_adjoint(x, y)?;
        self.b.compute_adjoint(x, &mut other)?;
        y.axpby(self.beta.conj(), &other, self.alpha.conj())
    }
}

/// `A B`: first `B`, then `A`.
pub struct Product<T, A, B> {
    a: A,
    b: B,
    /// Result of `B` and operand of `A`.
    between: RefCell<Vector<T>>,
}

impl<T: Scalar, A: LinearOperator<T>, B: LinearOperator<T>> Product<T, A, B> {
    /// Creates the operator `A B`.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if `A` does not take what `B` gives.
    pub fn new(a: A, b: B) -> Result<Product<T, A, B>> {
        a.domain().require_same(b.range(), "product of operators")?;
        let between = RefCell::new(Vector::zeros(a.domain()));
        Ok(Product { a, b, between })
    }
}

impl<T: Scalar, A: LinearOperator<T>, B: LinearOperator<T>> LinearOperator<T> for Product<T, A, B> {
    fn domain(&self) -> &Layout {
        self.b.domain()
    }

    fn range(&self) -> &Layout {
        self.a.range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let mut between = self.between.borrow_mut();
        self.b.compute(x, &mut between)?;
        self.a.compute(&between, y)
    }
}

impl<T: Scalar, A: AdjointOperator<T>, B: AdjointOperator<T>> AdjointOperator<T> for Product<T, A, B> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let mut between = self.between.borrow_mut();
        self.a.compute_adjoint(x, &mut between)?;
        self.b.compute_adjoint(&between, y)
    }
}
