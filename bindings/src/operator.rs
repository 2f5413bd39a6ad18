//! Linear operators of any kind: matrices, Python functions, C functions, preconditioners, and what is made of them.

use std::rc::Rc;

use dolmen::core::{
    Adjoint, AdjointOperator, CsrMatrix, Diagonal, Identity, KnownDiagonal, LinearOperator, Product, Scaled, Sum,
};
use dolmen::solvers::NullSpace;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::callback::PythonOperator;
use crate::errors::{local, outcome};
use crate::foreign::ForeignOperator;
use crate::gil::released;
use crate::layout::Layout;
use crate::multi_vector::{MultiVector, columns};
use crate::typed::{Any, Element, Operators, number};
use crate::vector::{Vector, operands};

/// Returns the operator of an argument that has to be of this scalar, if it is given.
pub(crate) fn given<'o, T: Element>(
    operator: &'o Option<PyRef<'_, Operator>>,
    what: &str,
) -> PyResult<Option<&'o dyn AdjointOperator<T>>> {
    operator.as_ref().map(|operator| Ok(&**T::expect(&operator.any, what)?)).transpose()
}

/// A linear operator with its adjoint.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Operator {
    pub(crate) any: Any<Operators>,
}

pub(crate) type Shared<T> = Rc<dyn AdjointOperator<T>>;

impl<T: Element> From<Shared<T>> for Operator {
    fn from(operator: Shared<T>) -> Operator {
        Operator { any: T::wrap(operator) }
    }
}

impl Operator {
    pub(crate) fn new<T: Element>(operator: impl AdjointOperator<T> + 'static) -> Operator {
        Operator::from(Rc::new(operator) as Shared<T>)
    }

    pub(crate) fn of_matrix<T: Element>(matrix: Rc<CsrMatrix<T>>) -> Operator {
        Operator::from(matrix as Shared<T>)
    }
}

#[pymethods]
impl Operator {
    /// Functions `f(x, y)` of Python that fill `y`, given the vectors that they get each time.
    #[staticmethod]
    #[pyo3(signature = (domain, range, dtype, forward, adjoint))]
    fn from_functions(
        py: Python<'_>,
        domain: &Layout,
        range: &Layout,
        dtype: &str,
        forward: Py<PyAny>,
        adjoint: Option<Py<PyAny>>,
    ) -> PyResult<Operator> {
        let (domain, range) = (&domain.layout, &range.layout);
        for_dtype!(dtype, T => Ok(Operator::new(PythonOperator::<T>::new(py, domain, range, forward, adjoint)?)))
    }

    /// A C function on the owned entries, by its address.
    #[staticmethod]
    fn from_address(
        domain: &Layout,
        range: &Layout,
        dtype: &str,
        forward: usize,
        adjoint: usize,
        data: usize,
    ) -> PyResult<Operator> {
        if forward == 0 {
            return Err(PyValueError::new_err("the address of the function is zero"));
        }
        let (domain, range) = (&domain.layout, &range.layout);
        for_dtype!(dtype, T => Ok(Operator::new(ForeignOperator::<T>::new(domain, range, forward, adjoint, data))))
    }

    #[staticmethod]
    fn identity(layout: &Layout, dtype: &str) -> PyResult<Operator> {
        for_dtype!(dtype, T => Ok(Operator::from(Rc::new(Identity::new(&layout.layout)) as Shared<T>)))
    }

    #[staticmethod]
    fn diagonal(entries: &Vector) -> Operator {
        each!(&entries.any, entries => Operator::new(Diagonal::new(entries.clone())))
    }

    /// The projection onto the complement of the span of vectors; of constants, without any.
    #[staticmethod]
    fn without(py: Python<'_>, layout: &Layout, dtype: &str, vectors: Vec<PyRef<'_, Vector>>) -> PyResult<Operator> {
        for_dtype!(dtype, T => {
            let basis = vectors.iter().map(|v| T::expect(&v.any, "a vector of the null space").cloned());
            let basis = basis.collect::<PyResult<Vec<dolmen::core::Vector<T>>>>()?;
            let layout = &layout.layout;
            let made = released(py, || match basis.is_empty() {
                true => NullSpace::<T>::constants(layout),
                false => NullSpace::new(layout, basis),
            });
            Ok(Operator::new(local(py, made)?))
        })
    }

    /// `alpha self + beta other`.
    fn sum(
        &self,
        py: Python<'_>,
        alpha: &Bound<'_, PyAny>,
        other: &Operator,
        beta: &Bound<'_, PyAny>,
    ) -> PyResult<Operator> {
        each!(&self.any, a => {
            let (alpha, b, beta) = (number(alpha)?, alike(a, other)?, number(beta)?);
            Ok(Operator::new(local(py, Sum::new(alpha, Rc::clone(a), beta, b))?))
        })
    }

    /// `self other`.
    fn product(&self, py: Python<'_>, other: &Operator) -> PyResult<Operator> {
        each!(&self.any, a => {
            let b = alike(a, other)?;
            Ok(Operator::new(local(py, Product::new(Rc::clone(a), b))?))
        })
    }

    fn scaled(&self, alpha: &Bound<'_, PyAny>) -> PyResult<Operator> {
        each!(&self.any, a => Ok(Operator::new(Scaled::new(number(alpha)?, Rc::clone(a)))))
    }

    fn adjoint(&self) -> Operator {
        each!(&self.any, a => Operator::new(Adjoint::new(Rc::clone(a))))
    }

    fn with_diagonal(&self, py: Python<'_>, diagonal: &Vector) -> PyResult<Operator> {
        each!(&self.any, a => {
            let diagonal = entries_of(a, diagonal)?;
            Ok(Operator::new(local(py, KnownDiagonal::new(Rc::clone(a), diagonal))?))
        })
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.any.dtype()
    }

    #[getter]
    fn range(&self) -> Layout {
        each!(&self.any, a => a.range().clone().into())
    }

    #[getter]
    fn domain(&self) -> Layout {
        each!(&self.any, a => a.domain().clone().into())
    }

    fn apply(&self, py: Python<'_>, x: &Vector, y: &mut Vector) -> PyResult<()> {
        each!(&self.any, a => {
            let (x, y) = operands(x, y)?;
            outcome(py, a.domain().comm(), released(py, || a.apply(x, y)))
        })
    }

    fn apply_adjoint(&self, py: Python<'_>, x: &Vector, y: &mut Vector) -> PyResult<()> {
        each!(&self.any, a => {
            let (x, y) = operands(x, y)?;
            outcome(py, a.domain().comm(), released(py, || a.apply_adjoint(x, y)))
        })
    }

    fn apply_many(&self, py: Python<'_>, x: &MultiVector, y: &mut MultiVector) -> PyResult<()> {
        each!(&self.any, a => {
            let (x, y) = columns(x, y)?;
            outcome(py, a.domain().comm(), released(py, || a.apply_many(x, y)))
        })
    }
}

fn alike<T: Element>(_: &Shared<T>, other: &Operator) -> PyResult<Shared<T>> {
    T::expect(&other.any, "the operator").cloned()
}

fn entries_of<T: Element>(_: &Shared<T>, vector: &Vector) -> PyResult<dolmen::core::Vector<T>> {
    T::expect(&vector.any, "the diagonal").cloned()
}
