//! Operators that a program writes itself: closures, and what they know beside their product.

use std::fmt::Display;

use crate::error::Result;
use crate::layout::Layout;
use crate::multi_vector::MultiVector;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// A closure as an operator (PETSc's shell matrix), or two closures as one with its adjoint.
///
/// All ranks call it together, and it may communicate. Of its errors there are two kinds. Those that
/// all ranks return together, as every collective call of this crate does, pass through; closures
/// that have no others cost nothing more ([`FnOperator::new`]). A closure that may fail on one rank
/// while it succeeds on others would leave those waiting in the next reduction; its ranks have to
/// agree after each product ([`FnOperator::fallible`]).
pub struct FnOperator<F, G = ()> {
    domain: Layout,
    range: Layout,
    function: F,
    adjoint: G,
}

impl<F> FnOperator<F> {
    /// Creates an operator from `function(x, y)`, which computes `y = A x` for `x` on `domain` and `y` on `range`,
    /// on all ranks. It fails on all ranks or on none.
    pub fn new(domain: &Layout, range: &Layout, function: F) -> FnOperator<F> {
        FnOperator { domain: domain.clone(), range: range.clone(), function, adjoint: () }
    }

    /// Adds `adjoint(x, y)`, which computes `y = A^H x` for `x` on the range and `y` on the domain. It
    /// fails on all ranks or on none.
    pub fn with_adjoint<G>(self, adjoint: G) -> FnOperator<F, G> {
        FnOperator { domain: self.domain, range: self.range, function: self.function, adjoint }
    }

    /// Works like [`FnOperator::with_adjoint`], but `adjoint` may fail on one rank alone, as
    /// [`FnOperator::fallible`] says.
    pub fn with_fallible_adjoint<T: Scalar, E: Display>(
        self,
        adjoint: impl Fn(&Vector<T>, &mut Vector<T>) -> std::result::Result<(), E>,
    ) -> FnOperator<F, impl Fn(&Vector<T>, &mut Vector<T>) -> Result<()>> {
        self.with_adjoint(agreeing(adjoint))
    }
}

impl FnOperator<()> {
    /// Works like [`FnOperator::new`], but `function` may fail on one rank alone, with any error. After
    /// each product the ranks agree: if it failed on one, all of them return
    /// [`Error::Agreed`](crate::Error::Agreed) with that rank and its message. This costs one more
    /// reduction of two words a product.
    ///
    /// The function itself must not leave other ranks waiting: it communicates before anything can
    /// fail, or not at all.
    pub fn fallible<T: Scalar, E: Display>(
        domain: &Layout,
        range: &Layout,
        function: impl Fn(&Vector<T>, &mut Vector<T>) -> std::result::Result<(), E>,
    ) -> FnOperator<impl Fn(&Vector<T>, &mut Vector<T>) -> Result<()>> {
        FnOperator::new(domain, range, agreeing(function))
    }
}

/// Calls `function`; all ranks return the same outcome.
fn agreeing<T: Scalar, E: Display>(
    function: impl Fn(&Vector<T>, &mut Vector<T>) -> std::result::Result<(), E>,
) -> impl Fn(&Vector<T>, &mut Vector<T>) -> Result<()> {
    move |x, y| x.comm().agree_text(function(x, y))
}

impl<F, G> FnOperator<F, G> {
    /// Adds the diagonal of the operator: see [`KnownDiagonal`].
    ///
    /// # Errors
    /// As [`KnownDiagonal::new`].
    pub fn with_diagonal<T: Scalar>(self, diagonal: Vector<T>) -> Result<KnownDiagonal<T, FnOperator<F, G>>>
    where
        FnOperator<F, G>: LinearOperator<T>,
    {
        KnownDiagonal::new(self, diagonal)
    }
}

impl<T: Scalar, F, G> LinearOperator<T> for FnOperator<F, G>
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

impl<T: Scalar, F, G> AdjointOperator<T> for FnOperator<F, G>
where
    F: Fn(&Vector<T>, &mut Vector<T>) -> Result<()>,
    G: Fn(&Vector<T>, &mut Vector<T>) -> Result<()>,
{
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        (self.adjoint)(x, y)
    }
}

/// An operator that does not know its diagonal, together with it, for preconditioners that ask for no
/// more than that.
///
/// [`LinearOperator::diagonal`] gives a copy of what was given, and nothing checks that it is the
/// diagonal: another vector makes another preconditioner, perhaps a better one, while products, and
/// so residuals, stay what they are. Products are those of the operator:
/// [`LinearOperator::as_diagonal`], which stands for all of the operator, stays `None`.
pub struct KnownDiagonal<T, A> {
    a: A,
    diagonal: Vector<T>,
}

impl<T: Scalar, A: LinearOperator<T>> KnownDiagonal<T, A> {
    /// Gives `a` a known `diagonal`, on its domain, which is its range.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if the diagonal is not on the domain, or the
    /// domain is not the range.
    pub fn new(a: A, diagonal: Vector<T>) -> Result<KnownDiagonal<T, A>> {
        a.domain().require_same(a.range(), "operator with a diagonal")?;
        a.domain().require_same(diagonal.layout(), "diagonal of an operator")?;
        Ok(KnownDiagonal { a, diagonal })
    }
}

impl<T: Scalar, A: LinearOperator<T>> LinearOperator<T> for KnownDiagonal<T, A> {
    fn domain(&self) -> &Layout {
        self.a.domain()
    }

    fn range(&self) -> &Layout {
        self.a.range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.a.compute(x, y)
    }

    fn compute_many(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        self.a.compute_many(x, y)
    }

    fn diagonal(&self) -> Option<Vector<T>> {
        Some(self.diagonal.clone())
    }
}

impl<T: Scalar, A: AdjointOperator<T>> AdjointOperator<T> for KnownDiagonal<T, A> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.a.compute_adjoint(x, y)
    }
}
