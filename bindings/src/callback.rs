//! Operators whose products Python functions compute.
//!
//! A function gets the same two vectors each time, into and out of which the solver's are copied: an array that the
//! function keeps of them stays valid. After each product the ranks agree, so that an exception on one rank ends the
//! solve on all.

use dolmen::core::{AdjointOperator, Error, Layout, LinearOperator, Result, Vector as CoreVector};
use pyo3::prelude::*;

use crate::errors::keep;
use crate::typed::Element;
use crate::vector::Vector;

/// A function `f(x, y)` that fills `y`, with its vectors.
pub(crate) struct Function {
    call: Py<PyAny>,
    x: Py<Vector>,
    y: Py<Vector>,
}

/// An operator of one function, or of two with its adjoint.
pub(crate) struct PythonOperator<T> {
    domain: Layout,
    range: Layout,
    forward: Function,
    adjoint: Option<Function>,
    scalar: std::marker::PhantomData<T>,
}

impl Function {
    pub(crate) fn new<T: Element>(py: Python<'_>, call: Py<PyAny>, from: &Layout, to: &Layout) -> PyResult<Function> {
        let zeros = |layout| Py::new(py, Vector::from(CoreVector::<T>::zeros(layout)));
        Ok(Function { call, x: zeros(from)?, y: zeros(to)? })
    }

    /// Computes `y`; all ranks return the same outcome.
    ///
    /// # Collective
    pub(crate) fn apply<T: Element>(&self, x: &CoreVector<T>, y: &mut CoreVector<T>) -> Result<()> {
        let called = Python::attach(|py| -> PyResult<()> {
            T::expect_mut(&mut self.x.try_borrow_mut(py)?.any, "x")?.owned_mut().copy_from_slice(x.owned());
            self.call.call1(py, (&self.x, &self.y))?;
            y.owned_mut().copy_from_slice(T::expect(&self.y.try_borrow(py)?.any, "y")?.owned());
            Ok(())
        });
        x.comm().agree_text(called.map_err(keep))
    }
}

impl<T: Element> PythonOperator<T> {
    pub(crate) fn new(
        py: Python<'_>,
        domain: &Layout,
        range: &Layout,
        forward: Py<PyAny>,
        adjoint: Option<Py<PyAny>>,
    ) -> PyResult<PythonOperator<T>> {
        Ok(PythonOperator {
            domain: domain.clone(),
            range: range.clone(),
            forward: Function::new::<T>(py, forward, domain, range)?,
            adjoint: adjoint.map(|adjoint| Function::new::<T>(py, adjoint, range, domain)).transpose()?,
            scalar: std::marker::PhantomData,
        })
    }
}

impl<T: Element> LinearOperator<T> for PythonOperator<T> {
    fn domain(&self) -> &Layout {
        &self.domain
    }

    fn range(&self) -> &Layout {
        &self.range
    }

    fn compute(&self, x: &CoreVector<T>, y: &mut CoreVector<T>) -> Result<()> {
        self.forward.apply(x, y)
    }
}

impl<T: Element> AdjointOperator<T> for PythonOperator<T> {
    fn compute_adjoint(&self, x: &CoreVector<T>, y: &mut CoreVector<T>) -> Result<()> {
        match &self.adjoint {
            Some(adjoint) => adjoint.apply(x, y),
            None => Err(without_adjoint()),
        }
    }
}

/// The error of an operator without an adjoint, the same on all ranks.
pub(crate) fn without_adjoint() -> Error {
    let message = "the operator has no adjoint; give it rmatvec, which computes A^H x".to_owned();
    Error::Agreed { rank: 0, everywhere: true, message }
}
