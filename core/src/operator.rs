//! `LinearOperator`: anything that maps one distributed vector to another, linearly.
//!
//! A matrix, a preconditioner (an operator that approximates an inverse), a composition, a
//! closure: solvers see only this. A vector is not an operator. The trait separates the checked
//! entry point ([`LinearOperator::apply`]) from the computation, so that implementations never
//! check layouts themselves and callers cannot forget to (the scheme of Ginkgo's `LinOp`).

use crate::error::Result;
use crate::layout::Layout;
use crate::scalar::Scalar;
use crate::vector::Vector;

/// A linear map from vectors on `domain` to vectors on `range`.
pub trait LinearOperator<T: Scalar> {
    /// Layout of the vectors that the operator takes.
    fn domain(&self) -> &Layout;

    /// Layout of the vectors that the operator gives.
    fn range(&self) -> &Layout;

    /// Computes `y = A x`; layouts have been checked. Callers use [`LinearOperator::apply`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// Whatever the implementation agreed on; all ranks return the same.
    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()>;

    /// `y = A x`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if `x` is not on the domain or `y` not on the range.
    fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.domain().require_same(x.layout(), "operator input")?;
        self.range().require_same(y.layout(), "operator output")?;
        self.compute(x, y)
    }
}

/// A closure as an operator (PETSc's shell matrix).
pub struct FnOperator<F> {
    domain: Layout,
    range: Layout,
    function: F,
}

impl<F> FnOperator<F> {
    /// `function(x, y)` computes `y = A x` for `x` on `domain` and `y` on `range`, on all ranks.
    pub fn new(domain: &Layout, range: &Layout, function: F) -> FnOperator<F> {
        FnOperator { domain: domain.clone(), range: range.clone(), function }
    }
}

impl<T: Scalar, F> LinearOperator<T> for FnOperator<F>
where
    F: Fn(&Vector<T>, &mut Vector<T>) -> Result<()>,
{
    fn domain(&self) -> &Layout {
        &self.domain
    }

    fn range(&self) -> &Layout {
        &self.range
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        (self.function)(x, y)
    }
}

/// Multiplication by one number for each entry: a diagonal matrix.
pub struct Diagonal<T> {
    entries: Vector<T>,
}

impl<T: Scalar> Diagonal<T> {
    /// The diagonal matrix of these entries.
    pub fn new(entries: Vector<T>) -> Diagonal<T> {
        Diagonal { entries }
    }

    /// The entries.
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
        y.copy_from(x)?;
        y.multiply(&self.entries)
    }
}
