//! `LinearOperator`: anything that maps one distributed vector to another, linearly.
//!
//! A matrix, a preconditioner (an operator that approximates an inverse), a composition, a
//! closure: solvers see only this. A vector is not an operator. The trait separates the checked
//! entry point ([`LinearOperator::apply`]) from the computation, so that implementations never
//! check layouts themselves and callers cannot forget to (the scheme of Ginkgo's `LinOp`).
//!
//! References and boxes of operators are operators, so a composition owns its parts or borrows them
//! as it is given them. Compositions allocate their work vectors once, when they are made.

mod banded;
mod block;
mod block_diagonal;
mod check;
mod compose;
mod elementary;
mod function;

use std::rc::Rc;

use crate::error::Result;
use crate::layout::Layout;
use crate::multi_vector::MultiVector;
use crate::scalar::Scalar;
use crate::vector::Vector;

pub use banded::{BandedDiagonal, BandedInverse};
pub use block::{BlockLayout, BlockOperator};
pub use block_diagonal::BlockDiagonal;
pub use check::check_adjoint;
pub use compose::{Product, Sum};
pub use elementary::{Adjoint, Diagonal, Identity, Scaled};
pub use function::{FnOperator, KnownDiagonal};

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

    /// Computes `y = A x`.
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

    /// Computes `Y = A X` column by column, from copies; layouts and numbers of columns have been
    /// checked. An operator that does it with less traffic says how. Callers use
    /// [`LinearOperator::apply_many`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`LinearOperator::compute`].
    fn compute_many(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        let (mut from, mut to) = (Vector::zeros(x.layout()), Vector::zeros(y.layout()));
        for column in 0..x.columns() {
            x.copy_column_to(column, &mut from)?;
            self.compute(&from, &mut to)?;
            y.set_column(column, &to)?;
        }
        Ok(())
    }

    /// Computes `Y = A X`, each column with the bits of [`LinearOperator::apply`].
    ///
    /// # Collective
    /// One reduction, which compares the numbers of columns over the ranks, beside what the operator sends.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if `x` is not on the domain or `y` not on the
    /// range, [`Shape`](crate::Error::Shape) if they have different numbers of columns, or
    /// [`RanksDisagree`](crate::Error::RanksDisagree) if the ranks have.
    fn apply_many(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        self.domain().require_same(x.layout(), "operator input")?;
        self.range().require_same(y.layout(), "operator output")?;
        y.require_columns(x.columns(), "operator on several columns")?;
        x.require_same_columns("LinearOperator::apply_many")?;
        self.compute_many(x, y)
    }

    /// Returns the diagonal, on the range, of an operator that knows it without being applied; `None` of
    /// one that does not, and of one whose domain is not its range. The same answer on all ranks.
    ///
    /// # Collective
    fn diagonal(&self) -> Option<Vector<T>> {
        None
    }

    /// Returns the entries of an operator that is a diagonal matrix, for callers that fuse the multiplication into
    /// another loop:
    /// `y[i] = x[i] d[i]`. The same answer on all ranks.
    fn as_diagonal(&self) -> Option<&Vector<T>> {
        None
    }
}

/// An operator that also applies its adjoint, the conjugate transpose `A^H`.
pub trait AdjointOperator<T: Scalar>: LinearOperator<T> {
    /// Computes `y = A^H x`; layouts have been checked. Callers use [`AdjointOperator::apply_adjoint`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// Whatever the implementation agreed on; all ranks return the same.
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()>;

    /// Computes `y = A^H x`, for `x` on the range and `y` on the domain.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if `x` is not on the range or `y` not on the domain.
    fn apply_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.range().require_same(x.layout(), "adjoint input")?;
        self.domain().require_same(y.layout(), "adjoint output")?;
        self.compute_adjoint(x, y)
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: Scalar, A: LinearOperator<T> + ?Sized> LinearOperator<T> for $pointer {
            fn domain(&self) -> &Layout {
                (**self).domain()
            }

            fn range(&self) -> &Layout {
                (**self).range()
            }

            fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
                (**self).compute(x, y)
            }

            fn diagonal(&self) -> Option<Vector<T>> {
                (**self).diagonal()
            }

            fn compute_many(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
                (**self).compute_many(x, y)
            }

            fn as_diagonal(&self) -> Option<&Vector<T>> {
                (**self).as_diagonal()
            }
        }

        impl<T: Scalar, A: AdjointOperator<T> + ?Sized> AdjointOperator<T> for $pointer {
            fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
                (**self).compute_adjoint(x, y)
            }
        }
    )*};
}
forward!(&A, Box<A>, Rc<A>);
