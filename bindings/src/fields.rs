//! Fields of a system, and preconditioners made of one for each.

use std::rc::Rc;

use dolmen::core::CsrMatrix;
use dolmen::solvers::{
    Additive, Fields as CoreFields, LeastSquaresCommutator, Multiplicative, OnField, SchurComplement, SchurForm,
    SchurPreconditioner,
};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

use crate::errors::{agree, local};
use crate::gil::released;
use crate::layout::Layout;
use crate::matrix::Matrix;
use crate::operator::{Operator, Shared};
use crate::typed::Element;
use crate::vector::Vector;

/// A division of the rows of a system.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Fields {
    fields: CoreFields,
}

impl Fields {
    /// Returns the result of a check, the same on all ranks.
    ///
    /// # Collective
    fn agreed<R>(&self, py: Python<'_>, result: PyResult<R>) -> PyResult<R> {
        agree(py, self.fields.layout().comm(), result)
    }

    /// Refuses the number of a field that there is not.
    fn require(&self, field: usize) -> PyResult<usize> {
        let count = self.fields.count();
        let text = || format!("there is no field {field}; there are {count}, from 0");
        if field < count { Ok(field) } else { Err(PyIndexError::new_err(text())) }
    }
}

fn operator<T: Element>(_: &CsrMatrix<T>, operator: &Operator, what: &str) -> PyResult<Shared<T>> {
    T::expect(&operator.any, what).cloned()
}

#[pymethods]
impl Fields {
    /// From the number of the field of each row that this rank owns.
    #[new]
    fn new(py: Python<'_>, layout: &Layout, labels: PyReadonlyArray1<'_, u64>, count: usize) -> PyResult<Fields> {
        let (layout, labels) = (&layout.layout, labels.as_array().to_vec());
        let label = |row| {
            let position = layout.global_to_owned(row).expect("invariant: asked of owned rows");
            usize::try_from(labels[position]).unwrap_or(usize::MAX)
        };
        Ok(Fields { fields: local(py, released(py, || CoreFields::new(layout, count, label)))? })
    }

    #[getter]
    fn layout(&self) -> Layout {
        self.fields.layout().clone().into()
    }

    #[getter]
    fn count(&self) -> usize {
        self.fields.count()
    }

    fn layout_of(&self, field: usize) -> PyResult<Layout> {
        Ok(self.fields.layout_of(self.require(field)?).clone().into())
    }

    fn rows_of<'py>(&self, py: Python<'py>, field: usize) -> PyResult<Bound<'py, PyArray1<u64>>> {
        Ok(PyArray1::from_vec(py, self.fields.rows_of(self.require(field)?)))
    }

    fn take(&self, py: Python<'_>, field: usize, x: &Vector) -> PyResult<Vector> {
        fn taken<T: Element>(
            py: Python<'_>,
            fields: &CoreFields,
            field: usize,
            x: &dolmen::core::Vector<T>,
        ) -> PyResult<Vector> {
            let mut part = dolmen::core::Vector::<T>::zeros(fields.layout_of(field));
            local(py, fields.take(field, x, &mut part))?;
            Ok(T::wrap(part).into())
        }
        let field = self.require(field)?;
        each!(&x.any, x => taken(py, &self.fields, field, x))
    }

    fn put(&self, py: Python<'_>, field: usize, part: &Vector, x: &mut Vector) -> PyResult<()> {
        fn put<T: Element>(
            py: Python<'_>,
            fields: &CoreFields,
            field: usize,
            part: &Vector,
            x: &mut dolmen::core::Vector<T>,
        ) -> PyResult<()> {
            local(py, fields.put(field, T::expect(&part.any, "the part")?, x))
        }
        let field = self.require(field)?;
        each!(&mut x.any, x => put(py, &self.fields, field, part, x))
    }

    fn block(&self, py: Python<'_>, matrix: &Matrix, row: usize, column: usize) -> PyResult<Matrix> {
        self.agreed(py, self.require(row).and(self.require(column)))?;
        each!(&matrix.any, a => Ok(local(py, released(py, || self.fields.block(a, row, column)))?.into()))
    }

    fn schur_of_diagonal(&self, py: Python<'_>, matrix: &Matrix) -> PyResult<Matrix> {
        each!(&matrix.any, a => Ok(local(py, released(py, || self.fields.schur_of_diagonal(a)))?.into()))
    }

    fn product_of_couplings(&self, py: Python<'_>, matrix: &Matrix) -> PyResult<Matrix> {
        each!(&matrix.any, a => Ok(local(py, released(py, || self.fields.product_of_couplings(a)))?.into()))
    }

    fn on_field(&self, py: Python<'_>, field: usize, part: &Operator) -> PyResult<Operator> {
        self.agreed(py, self.require(field))?;
        each!(&part.any, m => Ok(Operator::new(local(py, OnField::new(&self.fields, field, Rc::clone(m)))?)))
    }

    fn preconditioner(
        &self,
        py: Python<'_>,
        matrix: &Matrix,
        form: &str,
        inverse: &Operator,
        complement: &Operator,
    ) -> PyResult<Operator> {
        let form = match form {
            "diagonal" => Ok(SchurForm::Diagonal),
            "lower" => Ok(SchurForm::Lower),
            "upper" => Ok(SchurForm::Upper),
            "full" => Ok(SchurForm::Full),
            other => {
                let text = format!("form={other:?} is not known; use \"diagonal\", \"lower\", \"upper\" or \"full\"");
                Err(PyValueError::new_err(text))
            }
        };
        each!(&matrix.any, a => {
            let operators = operator(a, inverse, "the inverse").and_then(|inverse| {
                Ok((inverse, operator(a, complement, "the complement")?))
            });
            let (form, (inverse, complement)) = self.agreed(py, form.and_then(|form| Ok((form, operators?))))?;
            let made = released(py, || SchurPreconditioner::new(a, &self.fields, form, inverse, complement));
            Ok(Operator::new(local(py, made)?))
        })
    }

    fn complement(&self, py: Python<'_>, matrix: &Matrix, inverse: &Operator) -> PyResult<Operator> {
        each!(&matrix.any, a => {
            let inverse = self.agreed(py, operator(a, inverse, "the inverse"))?;
            Ok(Operator::new(local(py, released(py, || SchurComplement::new(a, &self.fields, inverse)))?))
        })
    }

    fn commutator(&self, py: Python<'_>, matrix: &Matrix, inverse: &Operator) -> PyResult<Operator> {
        each!(&matrix.any, a => {
            let inverse = self.agreed(py, operator(a, inverse, "the inverse"))?;
            Ok(Operator::new(local(py, released(py, || LeastSquaresCommutator::new(a, &self.fields, inverse)))?))
        })
    }
}

/// The sum of preconditioners.
#[pyfunction]
pub(crate) fn additive(py: Python<'_>, parts: Vec<PyRef<'_, Operator>>) -> PyResult<Operator> {
    let Some(first) = parts.first() else { return Err(PyValueError::new_err("give one preconditioner or more")) };
    each!(&first.any, first => {
        let parts = parts.iter().map(|part| alike(first, part)).collect::<PyResult<Vec<_>>>()?;
        Ok(Operator::new(local(py, Additive::new(parts))?))
    })
}

/// Preconditioners one after the other.
#[pyfunction]
pub(crate) fn multiplicative(py: Python<'_>, a: &Operator, parts: Vec<PyRef<'_, Operator>>) -> PyResult<Operator> {
    each!(&a.any, a => {
        let parts = parts.iter().map(|part| alike(a, part)).collect::<PyResult<Vec<_>>>()?;
        Ok(Operator::new(local(py, Multiplicative::new(Rc::clone(a), parts))?))
    })
}

fn alike<T: Element>(_: &Shared<T>, part: &Operator) -> PyResult<Shared<T>> {
    T::expect(&part.any, "a part").cloned()
}
