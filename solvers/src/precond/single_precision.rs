//! A preconditioner in single precision inside a solve in double precision: half the memory and traffic of its factors or
//! levels, for an answer that is only to be near the inverse. Residuals, iterates and stopping tests stay in double
//! precision. (Single precision inside single precision is the preconditioner itself.)
//!
//! The matrix and each operand are multiplied by powers of two before they are rounded, so that they are in the range of
//! single precision, whatever their units.

use std::cell::RefCell;
use std::rc::Rc;

use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{AdjointOperator, CsrMatrix, Layout, LinearOperator, Real, Result as CoreResult, Scalar, Vector};

use crate::error::Result;

/// The preconditioner `M` of a matrix rounded to single precision, applied to operands rounded to it: `f32` for `f64`,
/// `Complex32` for `Complex64`.
///
/// It is linear and Hermitian to single precision only. Methods for preconditioners that vary,
/// [`FlexibleCg`](crate::FlexibleCg), [`Fgmres`](crate::Fgmres) and [`Gcr`](crate::Gcr), lose nothing by that; others start
/// again from the true residual where they need more digits.
///
/// ```no_run
/// # use dolmen_core::{CsrMatrix, Vector};
/// # use dolmen_solvers::{FlexibleCg, Multigrid, Result, SinglePrecision};
/// # fn f(a: &CsrMatrix<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
/// let m = SinglePrecision::new(a, |single| Multigrid::new(&single))?;
/// FlexibleCg::new().preconditioner(&m).solve(a, b, x)?;
/// # Ok(()) }
/// ```
pub struct SinglePrecision<T: Scalar, M> {
    preconditioner: M,
    /// The matrix is `2^power` times the one that the preconditioner was made of.
    power: i32,
    /// An operand and a result.
    work: RefCell<[Vector<T::Single>; 2]>,
}

impl<T: Scalar, M: LinearOperator<T::Single>> SinglePrecision<T, M> {
    /// Rounds the matrix, times a power of two, and makes the preconditioner of it. A preconditioner that keeps the
    /// rounded matrix shares it.
    ///
    /// # Collective
    /// One reduction, and an assembly without messages for entries.
    ///
    /// # Errors
    /// As `make`; mismatched layouts if the preconditioner does not fit the matrix.
    pub fn new(
        a: &CsrMatrix<T>,
        make: impl FnOnce(Rc<CsrMatrix<T::Single>>) -> Result<M>,
    ) -> Result<SinglePrecision<T, M>> {
        let power = power_of(a.norm_inf());
        let single = CsrMatrix::from_rows(a.range(), a.domain(), |row, entries| {
            let stored = a.row(row).into_iter().flatten();
            stored.for_each(|(column, value)| entries.push(column, rounded(value, -power)));
        })?;
        let preconditioner = make(Rc::new(single))?;
        a.range().require_same(preconditioner.domain(), "preconditioner in single precision")?;
        a.domain().require_same(preconditioner.range(), "preconditioner in single precision")?;
        let work = RefCell::new([Vector::zeros(a.range()), Vector::zeros(a.domain())]);
        Ok(SinglePrecision { preconditioner, power, work })
    }

    /// Returns the preconditioner in single precision, of the matrix times a power of two.
    pub fn inner(&self) -> &M {
        &self.preconditioner
    }

    /// Computes `y = M x` by `apply`, on copies in single precision.
    fn through(
        &self,
        x: &Vector<T>,
        y: &mut Vector<T>,
        [from, to]: [&mut Vector<T::Single>; 2],
        apply: impl FnOnce(&Vector<T::Single>, &mut Vector<T::Single>) -> CoreResult<()>,
    ) -> CoreResult<()> {
        let power = power_of(x.norm_inf().to_f64());
        for (low, &high) in from.owned_mut().iter_mut().zip(x.owned()) {
            *low = rounded(high, -power);
        }
        apply(from, to)?;
        for (high, low) in y.owned_mut().iter_mut().zip(to.owned()) {
            *high = scaled(T::from_parts(low.re().to_f64(), low.im().to_f64()), power - self.power);
        }
        Ok(())
    }
}

/// Returns the power of two near a size; zero where it is zero or no number.
fn power_of(size: f64) -> i32 {
    if size > 0.0 && size.is_finite() { exponent(size) } else { 0 }
}

/// Returns `2^power` times a number, in single precision.
fn rounded<T: Scalar>(value: T, power: i32) -> T::Single {
    let value = scaled(T::Double::from_parts(value.re().to_f64(), value.im().to_f64()), power);
    T::Single::from_parts(value.re(), value.im())
}

impl<T: Scalar, M: LinearOperator<T::Single>> LinearOperator<T> for SinglePrecision<T, M> {
    fn domain(&self) -> &Layout {
        self.preconditioner.domain()
    }

    fn range(&self) -> &Layout {
        self.preconditioner.range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let [from, to] = &mut *self.work.borrow_mut();
        self.through(x, y, [from, to], |x, y| self.preconditioner.compute(x, y))
    }
}

impl<T: Scalar, M: AdjointOperator<T::Single>> AdjointOperator<T> for SinglePrecision<T, M> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let [to, from] = &mut *self.work.borrow_mut();
        self.through(x, y, [from, to], |x, y| self.preconditioner.compute_adjoint(x, y))
    }
}
