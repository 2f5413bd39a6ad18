//! Preconditioners made of several: their sum, or one after the other.
//!
//! A preconditioner that a program computes by itself, PETSc's shell, is a
//! [`FnOperator`](dolmen_core::FnOperator), and any operator may stand here as well.

use std::cell::RefCell;

use dolmen_core::{AdjointOperator, Layout, LinearOperator, Result as CoreResult, Scalar, Vector};

use crate::error::{Error, Result};

pub(crate) const ADDITIVE: &str = "additive composition";
pub(crate) const MULTIPLICATIVE: &str = "multiplicative composition";

/// `M_1 + M_2 + ...`, applied to the same residual.
pub struct Additive<T, M> {
    parts: Vec<M>,
    work: RefCell<Vector<T>>,
}

impl<T: Scalar, M: LinearOperator<T>> Additive<T, M> {
    /// Creates the sum of `parts`; of different kinds, they are boxes or references of `dyn LinearOperator`.
    ///
    /// # Errors
    /// [`Error::Setting`] without any; mismatched layouts.
    pub fn new(parts: Vec<M>) -> Result<Additive<T, M>> {
        let first = first_of(ADDITIVE, &parts)?;
        for part in &parts {
            first.domain().require_same(part.domain(), ADDITIVE)?;
            first.range().require_same(part.range(), ADDITIVE)?;
        }
        // A preconditioner has one layout; only then does the work vector serve both directions.
        first.domain().require_same(first.range(), ADDITIVE)?;
        let work = RefCell::new(Vector::zeros(first.range()));
        Ok(Additive { parts, work })
    }

    fn sum(&self, y: &mut Vector<T>, apply: impl Fn(&M, &mut Vector<T>) -> CoreResult<()>) -> CoreResult<()> {
        let work = &mut *self.work.borrow_mut();
        apply(&self.parts[0], y)?;
        for part in &self.parts[1..] {
            apply(part, work)?;
            y.axpy(T::ONE, work)?;
        }
        Ok(())
    }
}

/// Returns the first of several parts, or refuses none.
pub(crate) fn first_of<'p, M>(method: &'static str, parts: &'p [M]) -> Result<&'p M> {
    let none = Error::Setting { method, setting: "number of parts", value: 0.0, expected: "one or more" };
    parts.first().ok_or(none)
}

impl<T: Scalar, M: LinearOperator<T>> LinearOperator<T> for Additive<T, M> {
    fn domain(&self) -> &Layout {
        self.parts[0].domain()
    }

    fn range(&self) -> &Layout {
        self.parts[0].range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.sum(y, |part, y| part.compute(x, y))
    }
}

impl<T: Scalar, M: AdjointOperator<T>> AdjointOperator<T> for Additive<T, M> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.sum(y, |part, y| part.compute_adjoint(x, y))
    }
}

/// Each part on the residual that those before it leave: `x = x + M_k (b - A x)` for each `k` in
/// order, from zero (Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., section 14.3.1).
///
/// With Hermitian parts given forwards and backwards, as `[&m1, &m2, &m1]`, it is Hermitian.
pub struct Multiplicative<T, A, M> {
    a: A,
    parts: Vec<M>,
    work: RefCell<[Vector<T>; 2]>,
}

impl<T: Scalar, A: LinearOperator<T>, M: LinearOperator<T>> Multiplicative<T, A, M> {
    /// Creates the composition of `parts` for the operator `a`.
    ///
    /// # Errors
    /// [`Error::Setting`] without any; mismatched layouts.
    pub fn new(a: A, parts: Vec<M>) -> Result<Multiplicative<T, A, M>> {
        first_of(MULTIPLICATIVE, &parts)?;
        a.domain().require_same(a.range(), MULTIPLICATIVE)?;
        for part in &parts {
            a.range().require_same(part.domain(), MULTIPLICATIVE)?;
            a.domain().require_same(part.range(), MULTIPLICATIVE)?;
        }
        let zeros = || Vector::zeros(a.domain());
        let work = RefCell::new([zeros(), zeros()]);
        Ok(Multiplicative { a, parts, work })
    }
}

/// Computes `y = y + M (x - A y)` for each part, the first from zero.
fn descend<'p, T: Scalar, M: 'p>(
    mut parts: impl Iterator<Item = &'p M>,
    [residual, change]: &mut [Vector<T>; 2],
    x: &Vector<T>,
    y: &mut Vector<T>,
    product: impl Fn(&Vector<T>, &mut Vector<T>) -> CoreResult<()>,
    apply: impl Fn(&M, &Vector<T>, &mut Vector<T>) -> CoreResult<()>,
) -> CoreResult<()> {
    if let Some(first) = parts.next() {
        apply(first, x, y)?;
    }
    for part in parts {
        product(y, residual)?;
        residual.axpby(T::ONE, x, -T::ONE)?;
        apply(part, residual, change)?;
        y.axpy(T::ONE, change)?;
    }
    Ok(())
}

impl<T: Scalar, A: LinearOperator<T>, M: LinearOperator<T>> LinearOperator<T> for Multiplicative<T, A, M> {
    fn domain(&self) -> &Layout {
        self.a.range()
    }

    fn range(&self) -> &Layout {
        self.a.domain()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let work = &mut *self.work.borrow_mut();
        let product = |x: &Vector<T>, y: &mut Vector<T>| self.a.compute(x, y);
        descend(self.parts.iter(), work, x, y, product, |part, x, y| part.compute(x, y))
    }
}

/// The adjoints of the parts in reverse order, with that of the operator.
impl<T: Scalar, A: AdjointOperator<T>, M: AdjointOperator<T>> AdjointOperator<T> for Multiplicative<T, A, M> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let work = &mut *self.work.borrow_mut();
        let product = |x: &Vector<T>, y: &mut Vector<T>| self.a.compute_adjoint(x, y);
        descend(self.parts.iter().rev(), work, x, y, product, |part, x, y| part.compute_adjoint(x, y))
    }
}
