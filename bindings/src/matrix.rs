//! Sparse matrices.

use std::rc::Rc;

use dolmen::core::{CsrMatrix, Duplicates, LinearOperator, RefillPlan as CorePlan, Vector as CoreVector};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{agree, local};
use crate::gil::released;
use crate::layout::Layout;
use crate::multi_vector::{MultiVector, columns};
use crate::operator::Operator;
use crate::typed::{Any, Element, Matrices, number};
use crate::vector::{Vector, operands, require_memory};

/// A matrix in compressed rows. Operators and preconditioners share it; where one does, a change of values is made in a
/// copy, and they keep what they were made from.
#[pyclass(unsendable, module = "dolmen._dolmen")]
pub(crate) struct Matrix {
    pub(crate) any: Any<Matrices>,
}

impl<T: Element> From<CsrMatrix<T>> for Matrix {
    fn from(matrix: CsrMatrix<T>) -> Matrix {
        Matrix { any: T::wrap(Rc::new(matrix)) }
    }
}

/// Rows, columns and values.
type Triplets<'py> = (PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, u64>, Bound<'py, PyAny>);

fn duplicates(name: &str) -> PyResult<Duplicates> {
    match name {
        "add" => Ok(Duplicates::Add),
        "insert" => Ok(Duplicates::Insert),
        other => Err(PyValueError::new_err(format!("duplicates={other:?} is not known; use \"add\" or \"insert\""))),
    }
}

#[pymethods]
impl Matrix {
    /// From triplets, given on any rank.
    #[staticmethod]
    fn from_coo(
        py: Python<'_>,
        range: &Layout,
        domain: &Layout,
        entries: Triplets<'_>,
        dtype: &str,
        same: &str,
    ) -> PyResult<Matrix> {
        let duplicates = duplicates(same)?;
        let (rows, columns, values) = entries;
        let (range, domain) = (&range.layout, &domain.layout);
        for_dtype!(dtype, T => {
            let values: PyReadonlyArray1<'_, T> = agree(py, range.comm(), values.extract())?;
            let (rows, columns, values) = (rows.as_array(), columns.as_array(), values.as_array());
            let triplets = rows.iter().zip(columns.iter()).zip(values.iter()).map(|((row, column), value)| (*row, *column, *value));
            let matrix = local(py, released(py, || CsrMatrix::from_triplets(range, domain, triplets, duplicates)))?;
            Ok(matrix.into())
        })
    }

    /// From this rank's rows in compressed form, with global columns.
    #[staticmethod]
    fn from_csr(
        py: Python<'_>,
        range: &Layout,
        domain: &Layout,
        starts: PyReadonlyArray1<'_, u64>,
        columns: PyReadonlyArray1<'_, i64>,
        values: &Bound<'_, PyAny>,
        dtype: &str,
    ) -> PyResult<Matrix> {
        let (range, domain) = (&range.layout, &domain.layout);
        for_dtype!(dtype, T => {
            let values: PyReadonlyArray1<'_, T> = agree(py, range.comm(), values.extract())?;
            let values = values.as_array().to_vec();
            let starts = starts.as_array().iter().map(|start| usize::try_from(*start).unwrap_or(usize::MAX)).collect();
            let columns = columns.as_array().to_vec();
            let make = || CsrMatrix::<T>::from_local_parts(range, domain, starts, &columns, values);
            Ok(local(py, released(py, make))?.into())
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

    #[getter]
    fn global_entries(&self) -> u64 {
        each!(&self.any, a => a.global_entries())
    }

    #[getter]
    fn local_entries(&self) -> usize {
        each!(&self.any, a => a.local_entries())
    }

    #[getter]
    fn ghost_columns<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        each!(&self.any, a => PyArray1::from_slice(py, a.ghost_columns()))
    }

    /// This rank's rows in compressed form: starts, global columns and values.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        each!(&self.any, a => {
            let (mut starts, mut columns, mut values) = (vec![0_u64], Vec::new(), Vec::new());
            for row in a.rows() {
                columns.extend(row.columns());
                values.extend_from_slice(row.values());
                starts.push(columns.len() as u64);
            }
            let arrays = (PyArray1::from_vec(py, starts), PyArray1::from_vec(py, columns), PyArray1::from_vec(py, values));
            arrays.into_pyobject(py)
        })
    }

    fn copy(&self) -> Matrix {
        each!(&self.any, a => (**a).clone().into())
    }

    fn astype(&self, py: Python<'_>, dtype: &str) -> PyResult<Matrix> {
        each!(&self.any, a => for_dtype!(dtype, T => {
            Ok(local(py, released(py, || converted::<_, T>(a)))?.into())
        }))
    }

    fn operator(&self) -> Operator {
        each!(&self.any, a => Operator::of_matrix(Rc::clone(a)))
    }

    fn apply_many(&self, py: Python<'_>, x: &MultiVector, y: &mut MultiVector) -> PyResult<()> {
        each!(&self.any, a => {
            let (x, y) = columns(x, y)?;
            local(py, released(py, || a.apply_many(x, y)))
        })
    }

    fn transpose(&self, py: Python<'_>) -> PyResult<Matrix> {
        each!(&self.any, a => Ok(local(py, released(py, || a.transpose()))?.into()))
    }

    fn adjoint(&self, py: Python<'_>) -> PyResult<Matrix> {
        each!(&self.any, a => Ok(local(py, released(py, || a.adjoint_once().map(|a| a.into_owned())))?.into()))
    }

    fn add(
        &self,
        py: Python<'_>,
        alpha: &Bound<'_, PyAny>,
        other: &Matrix,
        beta: &Bound<'_, PyAny>,
    ) -> PyResult<Matrix> {
        each!(&self.any, a => {
            let (alpha, other, beta) = (number(alpha)?, alike(a, other)?, number(beta)?);
            Ok(local(py, released(py, || a.add(alpha, other, beta)))?.into())
        })
    }

    fn multiply(&self, py: Python<'_>, right: &Matrix) -> PyResult<Matrix> {
        each!(&self.any, a => {
            let right = alike(a, right)?;
            Ok(local(py, released(py, || a.multiply(right)))?.into())
        })
    }

    fn triple_product(&self, py: Python<'_>, p: &Matrix) -> PyResult<Matrix> {
        each!(&self.any, a => {
            let p = alike(a, p)?;
            Ok(local(py, released(py, || a.triple_product(p)))?.into())
        })
    }

    fn submatrix(
        &self,
        py: Python<'_>,
        rows: PyReadonlyArray1<'_, u64>,
        columns: PyReadonlyArray1<'_, u64>,
    ) -> PyResult<Matrix> {
        let (rows, columns) = (rows.as_array().to_vec(), columns.as_array().to_vec());
        each!(&self.any, a => Ok(local(py, released(py, || a.submatrix(&rows, &columns)))?.into()))
    }

    fn diagonal(&self, py: Python<'_>) -> PyResult<Option<Vector>> {
        each!(&self.any, a => Ok(released(py, || a.diagonal()).map(Vector::from)))
    }

    fn row_sums(&self, py: Python<'_>) -> Vector {
        each!(&self.any, a => released(py, || a.row_sums()).into())
    }

    fn column_sums(&self, py: Python<'_>) -> PyResult<Vector> {
        each!(&self.any, a => Ok(local(py, released(py, || a.column_sums()))?.into()))
    }

    fn norm(&self, py: Python<'_>, kind: &str) -> PyResult<f64> {
        each!(&self.any, a => match kind {
            "fro" => Ok(released(py, || a.norm_frobenius())),
            "1" => local(py, released(py, || a.norm_one())),
            "inf" => Ok(released(py, || a.norm_inf())),
            other => Err(PyValueError::new_err(format!("ord={other} is not known; use \"fro\", 1 or inf"))),
        })
    }

    fn scale(&mut self, factor: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, a => Rc::make_mut(a).scale(number(factor)?));
        Ok(())
    }

    fn scale_rows(&mut self, py: Python<'_>, factors: &Vector) -> PyResult<()> {
        each!(&mut self.any, a => { let factors = factors_of(a, factors)?; local(py, Rc::make_mut(a).scale_rows(factors)) })
    }

    fn scale_columns(&mut self, py: Python<'_>, factors: &Vector) -> PyResult<()> {
        each!(&mut self.any, a => {
            let factors = factors_of(a, factors)?;
            local(py, released(py, || Rc::make_mut(a).scale_columns(factors)))
        })
    }

    /// Columns and values of a row; nothing if another rank owns it.
    fn row<'py>(&self, py: Python<'py>, row: u64) -> PyResult<Option<Bound<'py, PyTuple>>> {
        each!(&self.any, a => {
            let Some(row) = a.row(row) else { return Ok(None) };
            let columns = PyArray1::from_iter(py, row.columns());
            (columns, PyArray1::from_slice(py, row.values())).into_pyobject(py).map(Some)
        })
    }

    /// Replaces rows, and columns of the same numbers if `both` says so, by `diagonal` on the main diagonal. `boundary`
    /// is a vector of known values, and the right-hand side that they correct.
    fn zero_rows(
        &mut self,
        py: Python<'_>,
        rows: PyReadonlyArray1<'_, u64>,
        both: bool,
        diagonal: &Bound<'_, PyAny>,
        boundary: Option<(PyRef<'_, Vector>, PyRefMut<'_, Vector>)>,
    ) -> PyResult<()> {
        let rows = rows.as_array().to_vec();
        each!(&mut self.any, a => {
            let diagonal = agree(py, a.range().comm(), number(diagonal))?;
            let mut boundary = boundary;
            let known = boundary.as_mut().map(|(x, b)| known_values(a, x, b)).transpose();
            let known = agree(py, a.range().comm(), known)?;
            let a = Rc::make_mut(a);
            local(py, released(py, || match both {
                true => a.zero_rows_columns(&rows, diagonal, known),
                false => a.zero_rows(&rows, diagonal, known),
            }))
        })
    }

    fn shift(&mut self, py: Python<'_>, sigma: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, a => {
            let sigma = agree(py, a.range().comm(), number(sigma))?;
            local(py, released(py, || Rc::make_mut(a).shift(sigma)))
        })
    }

    /// Adds to stored entries, given on any rank.
    fn add_entries(&mut self, py: Python<'_>, entries: Triplets<'_>) -> PyResult<()> {
        let (rows, columns, values) = entries;
        each!(&mut self.any, a => {
            let values = agree(py, a.range().comm(), values_of(a, &values))?;
            let (rows, columns, values) = (rows.as_array(), columns.as_array(), values.as_array());
            let triplets = rows.iter().zip(columns.iter()).zip(values.iter()).map(|((row, column), value)| (*row, *column, *value));
            local(py, released(py, || Rc::make_mut(a).add_entries(triplets)))
        })
    }

    fn plan_refill(
        &self,
        py: Python<'_>,
        rows: PyReadonlyArray1<'_, u64>,
        columns: PyReadonlyArray1<'_, u64>,
        same: &str,
    ) -> PyResult<RefillPlan> {
        let duplicates = duplicates(same)?;
        let places: Vec<_> = rows.as_array().iter().copied().zip(columns.as_array().iter().copied()).collect();
        each!(&self.any, a => {
            let plan = local(py, released(py, || a.plan_refill(places, duplicates)))?;
            Ok(RefillPlan { plan })
        })
    }

    fn refill(&mut self, py: Python<'_>, plan: &RefillPlan, values: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, a => {
            let values = agree(py, a.range().comm(), values_of(a, values))?;
            let values = values.as_array().to_vec();
            local(py, released(py, || Rc::make_mut(a).refill(&plan.plan, &values)))
        })
    }
}

/// Methods of [`MatrixBase`](crate::base::MatrixBase).
impl Matrix {
    /// `y = A x`.
    pub(crate) fn apply(&self, py: Python<'_>, x: &Vector, y: &mut Vector) -> PyResult<()> {
        each!(&self.any, a => {
            let (x, y) = operands(x, y)?;
            local(py, quick(py, a, || a.apply(x, y)))
        })
    }

    /// `y += A x`.
    pub(crate) fn apply_add(&self, py: Python<'_>, x: &Vector, y: &mut Vector) -> PyResult<()> {
        each!(&self.any, a => {
            let (x, y) = operands(x, y)?;
            local(py, quick(py, a, || a.apply_add(x, y)))
        })
    }

    /// `y = A^T x`.
    pub(crate) fn apply_transpose(&self, py: Python<'_>, x: &Vector, y: &mut Vector) -> PyResult<()> {
        each!(&self.any, a => {
            let (x, y) = operands(x, y)?;
            local(py, quick(py, a, || a.apply_transpose(x, y)))
        })
    }

    /// `A x` as a new vector; nothing where `x` has another type of entries.
    pub(crate) fn product(&self, py: Python<'_>, x: &Vector) -> PyResult<Option<Vector>> {
        each!(&self.any, a => {
            let Some(x) = of_scalar(a, x) else { return Ok(None) };
            let mut y = result_of(a)?;
            local(py, quick(py, a, || a.apply(x, &mut y)))?;
            Ok(Some(y.into()))
        })
    }
}

/// Places of triplets in a matrix, for refills.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct RefillPlan {
    plan: CorePlan,
}

/// Runs a product; a short one on one rank keeps the interpreter's lock, whose release costs more than it does.
fn quick<T: Element, R>(py: Python<'_>, a: &CsrMatrix<T>, product: impl FnOnce() -> R) -> R {
    const SHORT: usize = 1 << 13;
    if a.range().comm().size() == 1 && a.local_entries() <= SHORT { product() } else { released(py, product) }
}

fn result_of<T: Element>(a: &CsrMatrix<T>) -> PyResult<CoreVector<T>> {
    require_memory::<T>(a.range(), 1)?;
    Ok(CoreVector::zeros(a.range()))
}

fn of_scalar<'v, T: Element>(_: &CsrMatrix<T>, x: &'v Vector) -> Option<&'v CoreVector<T>> {
    T::of(&x.any)
}

fn alike<'m, T: Element>(_: &CsrMatrix<T>, other: &'m Matrix) -> PyResult<&'m CsrMatrix<T>> {
    T::expect(&other.any, "the matrix").map(|other| &**other)
}

fn factors_of<'v, T: Element>(_: &CsrMatrix<T>, factors: &'v Vector) -> PyResult<&'v CoreVector<T>> {
    T::expect(&factors.any, "the vector of factors")
}

/// Values of `x`, and the right-hand side that they correct.
type Known<'v, T> = (&'v CoreVector<T>, &'v mut CoreVector<T>);

fn known_values<'v, T: Element>(_: &CsrMatrix<T>, x: &'v Vector, b: &'v mut Vector) -> PyResult<Known<'v, T>> {
    Ok((T::expect(&x.any, "the known values")?, T::expect_mut(&mut b.any, "the right-hand side")?))
}

fn values_of<'py, T: Element>(_: &CsrMatrix<T>, values: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray1<'py, T>> {
    values.extract()
}

fn converted<S: Element, T: Element>(a: &CsrMatrix<S>) -> dolmen::core::Result<CsrMatrix<T>> {
    use dolmen::core::Real;
    CsrMatrix::from_rows(a.range(), a.domain(), |row, entries| {
        for (column, value) in a.row(row).into_iter().flat_map(|row| row.entries()) {
            entries.push(column, T::from_parts(value.re().to_f64(), value.im().to_f64()));
        }
    })
}
