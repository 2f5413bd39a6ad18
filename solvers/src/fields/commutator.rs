//! The least-squares commutator (Elman 1999; Elman, Howle, Shadid, Shuttleworth and Tuminaro 2006): an approximation of the
//! inverse of the Schur complement of a flow, that needs `A00` in products only.

use std::cell::RefCell;

use dolmen_core::{AdjointOperator, CsrMatrix, Layout, LinearOperator, Result as CoreResult, Scalar, Vector};

use crate::error::Result;
use crate::fields::{Fields, require_on};

const METHOD: &str = "least-squares commutator";

/// `-(A10 A01)^-1 A10 A00 A01 (A10 A01)^-1`, near the inverse of `-A10 A00^-1 A01` where `A00` nearly commutes with `A01`, as
/// convection and diffusion do with the gradient. `A11` is taken to be zero.
pub struct LeastSquaresCommutator<T, M> {
    /// `A00`.
    block: CsrMatrix<T>,
    /// `A01` and `A10`.
    couplings: [CsrMatrix<T>; 2],
    inverse: M,
    /// Two vectors of the first field, one of the second.
    work: RefCell<[Vector<T>; 3]>,
}

impl Fields {
    /// Computes `A10 A01`, of whose inverse [`LeastSquaresCommutator`] needs an approximation: of gradient and divergence it is a
    /// Laplacian, for which multigrid is good.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if there are not two fields; mismatched layouts.
    pub fn product_of_couplings<T: Scalar>(&self, a: &CsrMatrix<T>) -> Result<CsrMatrix<T>> {
        self.require_two(METHOD)?;
        Ok(self.block(a, 1, 0)?.multiply(&self.block(a, 0, 1)?)?)
    }
}

impl<T: Scalar, M: LinearOperator<T>> LeastSquaresCommutator<T, M> {
    /// Creates the approximation for `a`, with `inverse` for that of `A10 A01`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`Fields::product_of_couplings`].
    pub fn new(a: &CsrMatrix<T>, fields: &Fields, inverse: M) -> Result<LeastSquaresCommutator<T, M>> {
        fields.require_two(METHOD)?;
        let [first, second] = [fields.layout_of(0), fields.layout_of(1)];
        require_on(METHOD, &[(second, &inverse)])?;
        let couplings = [fields.block(a, 0, 1)?, fields.block(a, 1, 0)?];
        let work = RefCell::new([Vector::zeros(first), Vector::zeros(first), Vector::zeros(second)]);
        Ok(LeastSquaresCommutator { block: fields.block(a, 0, 0)?, couplings, inverse, work })
    }
}

impl<T: Scalar, M: LinearOperator<T>> LinearOperator<T> for LeastSquaresCommutator<T, M> {
    fn domain(&self) -> &Layout {
        self.inverse.domain()
    }

    fn range(&self) -> &Layout {
        self.inverse.range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let [coupled, moved, back] = &mut *self.work.borrow_mut();
        self.inverse.compute(x, back)?;
        self.couplings[0].compute(back, coupled)?;
        self.block.compute(coupled, moved)?;
        self.couplings[1].compute(moved, back)?;
        self.inverse.compute(back, y)?;
        y.scale(-T::ONE);
        Ok(())
    }
}

impl<T: Scalar, M: AdjointOperator<T>> AdjointOperator<T> for LeastSquaresCommutator<T, M> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let [coupled, moved, back] = &mut *self.work.borrow_mut();
        self.inverse.compute_adjoint(x, back)?;
        self.couplings[1].compute_adjoint(back, coupled)?;
        self.block.compute_adjoint(coupled, moved)?;
        self.couplings[0].compute_adjoint(moved, back)?;
        self.inverse.compute_adjoint(back, y)?;
        y.scale(-T::ONE);
        Ok(())
    }
}
