//! Several vectors of one layout, as columns.
//!
//! As with vectors, NumPy arrays see the memory, which stays where it is.
#![allow(unsafe_code)]

use dolmen::core::{MultiVector as CoreVectors, Reduction, Vector as CoreVector};
use numpy::ndarray::Array2;
use numpy::{PyArray2, ToPyArray};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::errors::local;
use crate::gil::released;
use crate::layout::Layout;
use crate::typed::{Any, Element, MultiVectors, number};
use crate::vector::{Vector, being_written, require_memory};

/// The owned entries of several vectors.
#[pyclass(unsendable, module = "dolmen._dolmen")]
pub(crate) struct MultiVector {
    pub(crate) any: Any<MultiVectors>,
}

impl<T: Element> From<CoreVectors<T>> for MultiVector {
    fn from(vectors: CoreVectors<T>) -> MultiVector {
        MultiVector { any: T::wrap(vectors) }
    }
}

#[pymethods]
impl MultiVector {
    #[staticmethod]
    fn zeros(layout: &Layout, columns: usize, dtype: &str) -> PyResult<MultiVector> {
        for_dtype!(dtype, T => {
            require_memory::<T>(&layout.layout, columns)?;
            Ok(CoreVectors::<T>::zeros(&layout.layout, columns).into())
        })
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.any.dtype()
    }

    #[getter]
    fn layout(&self) -> Layout {
        each!(&self.any, x => x.layout().clone().into())
    }

    #[getter]
    fn columns(&self) -> usize {
        each!(&self.any, x => x.columns())
    }

    /// The owned entries as a NumPy array of rows and columns on the memory of the vectors, which it keeps alive.
    #[getter]
    fn local<'py>(this: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        fn view<'py, T: Element>(vectors: *const CoreVectors<T>, owner: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
            // SAFETY: the memory belongs to `owner`, which the array keeps alive, and does not move.
            unsafe { PyArray2::borrow_from_array(&(*vectors).view(), owner).into_any() }
        }
        let owner = this.clone().into_any();
        let vectors = this.try_borrow().map_err(|_| being_written())?;
        Ok(each!(&vectors.any, x => view(x, owner)))
    }

    fn copy(&self) -> MultiVector {
        each!(&self.any, x => x.clone().into())
    }

    /// A copy of a column.
    fn column(&self, py: Python<'_>, column: usize) -> PyResult<Vector> {
        each!(&self.any, x => {
            require_column(column, x.columns())?;
            let mut vector = CoreVector::zeros(x.layout());
            local(py, x.copy_column_to(column, &mut vector))?;
            Ok(vector.into())
        })
    }

    fn set_column(&mut self, py: Python<'_>, column: usize, vector: &Vector) -> PyResult<()> {
        each!(&mut self.any, x => {
            require_column(column, x.columns())?;
            let vector = as_column(x, vector)?;
            local(py, x.set_column(column, vector))
        })
    }

    fn fill(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, x => x.fill(number(value)?));
        Ok(())
    }

    fn scale(&mut self, alpha: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, x => x.scale(number(alpha)?));
        Ok(())
    }

    fn axpy(&mut self, py: Python<'_>, alpha: &Bound<'_, PyAny>, x: &MultiVector) -> PyResult<()> {
        each!(&mut self.any, y => { let (alpha, x) = (number(alpha)?, same(y, x)?); local(py, y.axpy(alpha, x)) })
    }

    /// The inner products of all columns with all columns of `y`, conjugating this one.
    fn gram<'py>(&self, py: Python<'py>, y: &MultiVector) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.any, x => {
            let y = same(x, y)?;
            let gram = local(py, released(py, || x.gram(y, Reduction::Reproducible)))?;
            Ok(gram.to_pyarray(py).into_any())
        })
    }

    fn norms(&self, py: Python<'_>) -> PyResult<Vec<f64>> {
        each!(&self.any, x => {
            let mut norms = vec![0.0; x.columns()];
            local(py, released(py, || x.column_norms(Reduction::Reproducible, &mut norms)))?;
            Ok(norms)
        })
    }

    /// Makes the columns orthonormal and returns the triangular factor.
    fn qr<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&mut self.any, x => {
            let r = local(py, released(py, || x.tsqr()))?;
            Ok(r.to_pyarray(py).into_any())
        })
    }

    /// Adds `x` times a small matrix, the same on all ranks, to the columns.
    fn multiply_add(&mut self, py: Python<'_>, x: &MultiVector, coefficients: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, y => {
            let x = same(y, x)?;
            let coefficients = matrix_like(y, coefficients)?;
            local(py, released(py, || multiply_add(y, x, &coefficients)))
        })
    }
}

/// Returns the argument and the result of an operator of this scalar.
pub(crate) fn columns<'v, T: Element>(
    x: &'v MultiVector,
    y: &'v mut MultiVector,
) -> PyResult<(&'v CoreVectors<T>, &'v mut CoreVectors<T>)> {
    Ok((T::expect(&x.any, "the multi-vector")?, T::expect_mut(&mut y.any, "the result")?))
}

fn multiply_add<T: Element>(
    y: &mut CoreVectors<T>,
    x: &CoreVectors<T>,
    coefficients: &Array2<T>,
) -> dolmen::core::Result<()> {
    y.multiply_add(T::ONE, x, coefficients.view(), T::ONE, Reduction::Reproducible)
}

fn matrix_like<T: Element>(_: &CoreVectors<T>, array: &Bound<'_, PyAny>) -> PyResult<Array2<T>> {
    let array: numpy::PyReadonlyArray2<'_, T> = array.extract()?;
    Ok(array.as_array().to_owned())
}

fn same<'v, T: Element>(_: &CoreVectors<T>, operand: &'v MultiVector) -> PyResult<&'v CoreVectors<T>> {
    T::expect(&operand.any, "the multi-vector")
}

fn as_column<'v, T: Element>(_: &CoreVectors<T>, vector: &'v Vector) -> PyResult<&'v CoreVector<T>> {
    T::expect(&vector.any, "the vector")
}

fn require_column(column: usize, columns: usize) -> PyResult<()> {
    if column < columns {
        return Ok(());
    }
    Err(PyIndexError::new_err(format!("there is no column {column} among {columns}")))
}
