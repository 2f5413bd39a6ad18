//! Jacobians as a program gives them: a matrix with its values at a point, an operator, or differences.

use std::rc::Rc;

use dolmen_core::{CsrMatrix, LinearOperator, Scalar, Vector, profile};

use crate::error::{Error, Result};
use crate::nonlinear::colored::ColoredDifferences;
use crate::nonlinear::evaluation::Evaluation;

/// An operator that is made for a point.
type Made<'a, T> = Box<dyn LinearOperator<T> + 'a>;
type Make<'a, T> = Box<dyn FnMut(&Vector<T>) -> dolmen_core::Result<Made<'a, T>> + 'a>;
type Fill<'a, T> = Box<dyn FnMut(&Vector<T>, &mut CsrMatrix<T>) -> dolmen_core::Result<()> + 'a>;

/// The Jacobian of a function: how products with it are computed, and the matrix, if any, of which preconditioners are
/// made.
pub struct Jacobian<'a, T: Scalar> {
    pub(super) products: Products<'a, T>,
    matrix: Option<Assembled<'a, T>>,
}

/// Source of products.
pub(super) enum Products<'a, T: Scalar> {
    /// The matrix.
    Matrix,
    /// An operator that is made anew for each point.
    Operator(Make<'a, T>),
    /// Differences of the function.
    Differences,
}

/// A matrix and what fills it.
struct Assembled<'a, T: Scalar> {
    matrix: Rc<CsrMatrix<T>>,
    source: Source<'a, T>,
}

enum Source<'a, T: Scalar> {
    Function(Fill<'a, T>),
    Colored(Box<ColoredDifferences<T>>),
}

impl<'a, T: Scalar> Jacobian<'a, T> {
    /// Takes a matrix that `fill(x, a)` fills with the values at `x`, or replaces: on all ranks together.
    pub fn matrix(
        a: CsrMatrix<T>,
        fill: impl FnMut(&Vector<T>, &mut CsrMatrix<T>) -> dolmen_core::Result<()> + 'a,
    ) -> Jacobian<'a, T> {
        let source = Source::Function(Box::new(fill));
        Jacobian { products: Products::Matrix, matrix: Some(Assembled { matrix: Rc::new(a), source }) }
    }

    /// Computes a matrix of the given pattern by differences of the function: see [`ColoredDifferences`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`ColoredDifferences::new`].
    pub fn colored(pattern: &CsrMatrix<T>) -> Result<Jacobian<'a, T>> {
        let colored = ColoredDifferences::new(pattern)?;
        let matrix = Rc::new(colored.pattern().clone());
        let source = Source::Colored(Box::new(colored));
        Ok(Jacobian { products: Products::Matrix, matrix: Some(Assembled { matrix, source }) })
    }

    /// Takes `make(x)`, which returns the Jacobian at `x` as an operator: on all ranks together.
    pub fn operator(
        make: impl FnMut(&Vector<T>) -> dolmen_core::Result<Box<dyn LinearOperator<T> + 'a>> + 'a,
    ) -> Jacobian<'a, T> {
        Jacobian { products: Products::Operator(Box::new(make)), matrix: None }
    }

    /// Computes products by differences of the function, one evaluation each: nothing is assembled.
    pub fn matrix_free() -> Jacobian<'a, T> {
        Jacobian { products: Products::Differences, matrix: None }
    }

    /// Takes the matrix of another Jacobian, perhaps of a simpler function, for preconditioners; products stay what they
    /// are.
    #[must_use]
    pub fn preconditioned_by(self, approximation: Jacobian<'a, T>) -> Jacobian<'a, T> {
        Jacobian { products: self.products, matrix: approximation.matrix }
    }

    /// Describes the kind, for comparison over the ranks.
    pub(super) fn kind(&self) -> &'static str {
        match (&self.products, self.matrix.is_some()) {
            (Products::Matrix, _) => "matrix",
            (Products::Operator(_), false) => "operator",
            (Products::Operator(_), true) => "operator with a matrix for preconditioners",
            (Products::Differences, false) => "differences",
            (Products::Differences, true) => "differences with a matrix for preconditioners",
        }
    }

    /// Refuses a matrix that does not fit the unknowns.
    pub(super) fn check(&self, method: &'static str, evaluation: &Evaluation<'_, T>) -> Result<()> {
        let Some(Assembled { matrix, .. }) = &self.matrix else {
            // Differences of an approximation that has no matrix either.
            return if matches!(self.products, Products::Matrix) { Err(Error::NoMatrix { method }) } else { Ok(()) };
        };
        evaluation.require_same(method, "rows of the Jacobian", matrix.range())?;
        evaluation.require_same(method, "columns of the Jacobian", matrix.domain())
    }

    /// Returns the matrix with the last values.
    pub(super) fn assembled(&self) -> Option<&Rc<CsrMatrix<T>>> {
        self.matrix.as_ref().map(|assembled| &assembled.matrix)
    }

    /// Fills the matrix, if there is one, with the values at `x`, where the function is `f`; tells whether it did.
    ///
    /// # Collective
    pub(super) fn assemble(
        &mut self,
        method: &'static str,
        evaluation: &Evaluation<'_, T>,
        x: &Vector<T>,
        f: &Vector<T>,
    ) -> Result<bool> {
        let _event = profile::event("SNESJacobianEval");
        let Some(Assembled { matrix, source }) = &mut self.matrix else { return Ok(false) };
        // A preconditioner that keeps the matrix keeps the old values.
        let values = Rc::make_mut(matrix);
        match source {
            Source::Function(fill) => evaluation.layout.comm().agree(fill(x, values))?,
            Source::Colored(colored) => colored.fill(evaluation, x, f, values)?,
        }
        self.check(method, evaluation)?;
        Ok(true)
    }
}
