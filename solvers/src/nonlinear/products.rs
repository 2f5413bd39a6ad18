//! Products with a Jacobian by differences of the function (Brown and Saad, SIAM J. Sci. Stat. Comput. 11 (1990) 450;
//! the step of Pernice and Walker, SIAM J. Sci. Comput. 19 (1998) 302).

use std::cell::RefCell;

use dolmen_core::{Layout, LinearOperator, Result, Scalar, Vector};

use crate::nonlinear::evaluation::Evaluation;
use crate::nonlinear::settings::epsilon;

/// `J v = (F(x + h v) - F(x)) / h`, with `h = (eps (1 + |x|))^(1/2) / |v|`. One evaluation a product.
pub(super) struct DifferenceProducts<'e, 'a, T: Scalar> {
    evaluation: &'e Evaluation<'a, T>,
    x: &'e Vector<T>,
    /// `F(x)`.
    f: &'e Vector<T>,
    /// The step for `|v| = 1`.
    step: f64,
    moved: RefCell<Vector<T>>,
}

impl<'e, 'a, T: Scalar> DifferenceProducts<'e, 'a, T> {
    /// # Collective
    pub(super) fn new(evaluation: &'e Evaluation<'a, T>, x: &'e Vector<T>, f: &'e Vector<T>) -> Self {
        let step = (epsilon::<T>() * (1.0 + x.norm2())).sqrt();
        DifferenceProducts { evaluation, x, f, step, moved: RefCell::new(Vector::zeros(x.layout())) }
    }
}

impl<T: Scalar> LinearOperator<T> for DifferenceProducts<'_, '_, T> {
    fn domain(&self) -> &Layout {
        self.x.layout()
    }

    fn range(&self) -> &Layout {
        self.x.layout()
    }

    fn compute(&self, v: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let size = v.norm2();
        if size == 0.0 {
            y.fill(T::ZERO);
            return Ok(());
        }
        let h = self.step / size;
        let moved = &mut *self.moved.borrow_mut();
        moved.waxpy(T::from_parts(h, 0.0), v, self.x)?;
        self.evaluation.apply(moved, y)?;
        y.axpy(-T::ONE, self.f)?;
        y.scale(T::from_parts(1.0 / h, 0.0));
        Ok(())
    }
}
