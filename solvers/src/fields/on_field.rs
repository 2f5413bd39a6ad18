//! An operator on one field as an operator on all of them.

use std::cell::RefCell;

use dolmen_core::{AdjointOperator, Layout, LinearOperator, Result as CoreResult, Scalar, Vector};

use crate::error::Result;
use crate::fields::{Fields, METHOD, require_on};

/// An operator on one field, as one on the whole system that gives zeros in the other fields.
pub struct OnField<T, M> {
    fields: Fields,
    field: usize,
    operator: M,
    /// A vector of the field for the input, and one for the output.
    work: RefCell<[Vector<T>; 2]>,
}

impl<T: Scalar, M: LinearOperator<T>> OnField<T, M> {
    /// Creates the operator.
    ///
    /// # Collective
    ///
    /// # Errors
    /// Mismatched layouts.
    ///
    /// # Panics
    /// As [`Fields::layout_of`].
    pub fn new(fields: &Fields, field: usize, operator: M) -> Result<OnField<T, M>> {
        let layout = fields.layout_of(field);
        layout.comm().compare(|| format!("operator on field {field}"));
        require_on(METHOD, &[(layout, &operator)])?;
        let work = RefCell::new([Vector::zeros(layout), Vector::zeros(layout)]);
        Ok(OnField { fields: fields.clone(), field, operator, work })
    }

    fn apply_with(
        &self,
        x: &Vector<T>,
        y: &mut Vector<T>,
        apply: impl Fn(&M, &Vector<T>, &mut Vector<T>) -> CoreResult<()>,
    ) -> CoreResult<()> {
        let [input, output] = &mut *self.work.borrow_mut();
        let field = &self.fields.fields[self.field];
        field.take(x.owned(), input.owned_mut());
        apply(&self.operator, input, output)?;
        y.fill(T::ZERO);
        field.put(output.owned(), y.owned_mut());
        Ok(())
    }
}

impl<T: Scalar, M: LinearOperator<T>> LinearOperator<T> for OnField<T, M> {
    fn domain(&self) -> &Layout {
        &self.fields.layout
    }

    fn range(&self) -> &Layout {
        &self.fields.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.apply_with(x, y, |operator, x, y| operator.compute(x, y))
    }
}

impl<T: Scalar, M: AdjointOperator<T>> AdjointOperator<T> for OnField<T, M> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.apply_with(x, y, |operator, x, y| operator.compute_adjoint(x, y))
    }
}
