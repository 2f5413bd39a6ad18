//! Operators of one part: the identity, a diagonal, a multiple, an adjoint.

use crate::error::Result;
use crate::layout::Layout;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::scalar::Scalar;
use crate::vector::{Vector, update};

/// The identity on a layout.
pub struct Identity {
    layout: Layout,
}

impl Identity {
    /// Creates the identity on vectors of `layout`.
    pub fn new(layout: &Layout) -> Identity {
        Identity { layout: layout.clone() }
    }
}

impl<T: Scalar> LinearOperator<T> for Identity {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        y.copy_from(x)
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        let mut ones = Vector::zeros(&self.layout);
        ones.fill(T::ONE);
        Some(ones)
    }
}

impl<T: Scalar> AdjointOperator<T> for Identity {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        y.copy_from(x)
    }
}

/// Multiplication by one number for each entry: a diagonal matrix.
pub struct Diagonal<T> {
    entries: Vector<T>,
}

impl<T: Scalar> Diagonal<T> {
    /// Creates the diagonal matrix of these entries.
    pub fn new(entries: Vector<T>) -> Diagonal<T> {
        Diagonal { entries }
    }

    /// Returns the entries.
    pub fn entries(&self) -> &Vector<T> {
        &self.entries
    }
}

impl<T: Scalar> LinearOperator<T> for Diagonal<T> {
    fn domain(&self) -> &Layout {
        self.entries.layout()
    }

    fn range(&self) -> &Layout {
        self.entries.layout()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        update([y], [x, &self.entries], |_, [x, d]| [x * d])
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        Some(self.entries.clone())
    }

    fn as_diagonal(&self) -> Option<&Vector<T>> {
        Some(&self.entries)
    }
}

impl<T: Scalar> AdjointOperator<T> for Diagonal<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        update([y], [x, &self.entries], |_, [x, d]| [d.conj() * x])
    }
}

/// `alpha A`.
pub struct Scaled<T, A> {
    alpha: T,
    a: A,
}

impl<T: Scalar, A: LinearOperator<T>> Scaled<T, A> {
    /// Creates the operator `alpha A`.
    pub fn new(alpha: T, a: A) -> Scaled<T, A> {
        Scaled { alpha, a }
    }
}

impl<T: Scalar, A: LinearOperator<T>> LinearOperator<T> for Scaled<T, A> {
    fn domain(&self) -> &Layout {
        self.a.domain()
    }

    fn range(&self) -> &Layout {
        self.a.range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.a.compute(x, y)?;
        y.scale(self.alpha);
        Ok(())
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        let mut diagonal = self.a.diagonal()?;
        diagonal.scale(self.alpha);
        Some(diagonal)
    }
}

impl<T: Scalar, A: AdjointOperator<T>> AdjointOperator<T> for Scaled<T, A> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.a.compute_adjoint(x, y)?;
        y.scale(self.alpha.conj());
        Ok(())
    }
}

/// `A^H` as an operator: domain and range change places.
pub struct Adjoint<A>(A);

impl<A> Adjoint<A> {
    /// Creates the adjoint of `a`.
    pub fn new(a: A) -> Adjoint<A> {
        Adjoint(a)
    }
}

impl<T: Scalar, A: AdjointOperator<T>> LinearOperator<T> for Adjoint<A> {
    fn domain(&self) -> &Layout {
        self.0.range()
    }

    fn range(&self) -> &Layout {
        self.0.domain()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.0.compute_adjoint(x, y)
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        let mut diagonal = self.0.diagonal()?;
        diagonal.conj();
        Some(diagonal)
    }
}

impl<T: Scalar, A: AdjointOperator<T>> AdjointOperator<T> for Adjoint<A> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.0.compute(x, y)
    }
}
