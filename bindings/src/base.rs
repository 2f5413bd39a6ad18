//! Base classes of the Python layer's vectors and matrices.
//!
//! They hold the native object and the methods whose work is shorter than a call of a Python function: on vectors of ten
//! entries such a call takes as long as an inner product. Every other method is in the Python layer.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::matrix::Matrix;
use crate::owner;
use crate::vector::Vector;

/// Base class of `dolmen.Vector`.
#[pyclass(subclass, frozen, module = "dolmen._dolmen")]
pub(crate) struct VectorBase {
    native: Py<Vector>,
}

/// Returns the native part of an argument that has to be a vector.
fn native_of<'a>(argument: &'a Bound<'_, PyAny>, name: &str) -> PyResult<&'a Py<Vector>> {
    let Ok(vector) = argument.cast::<VectorBase>() else { return Err(no_vector(argument, name)) };
    Ok(&vector.get().native)
}

#[cold]
fn no_vector(argument: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let found =
        argument.get_type().name().map_or_else(|_| "object of another type".to_owned(), |name| name.to_string());
    let text = format!("{name} is a {found}, expected a dolmen.Vector; dolmen.array makes one of each rank's entries");
    PyTypeError::new_err(text)
}

impl VectorBase {
    fn vector(&self, py: Python<'_>) -> PyResult<&Py<Vector>> {
        owner::require(py)?;
        Ok(&self.native)
    }
}

#[pymethods]
impl VectorBase {
    #[new]
    fn new(native: Py<Vector>) -> VectorBase {
        VectorBase { native }
    }

    #[getter(_native)]
    fn native(&self, py: Python<'_>) -> PyResult<Py<Vector>> {
        Ok(self.vector(py)?.clone_ref(py))
    }

    /// The owned entries: a writable NumPy array on the memory of the vector, without a copy.
    #[getter]
    fn local<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Vector::local(self.vector(py)?.bind(py))
    }

    #[setter]
    fn set_local(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        self.local(py)?.set_item(py.Ellipsis(), values)
    }

    /// Set all entries to a number.
    fn fill(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.vector(py)?.try_borrow_mut(py)?.fill(value)
    }

    /// Multiply all entries by a number.
    fn scale(&self, py: Python<'_>, alpha: &Bound<'_, PyAny>) -> PyResult<()> {
        self.vector(py)?.try_borrow_mut(py)?.scale(alpha)
    }

    /// Add ``alpha * x``.
    fn axpy(&self, py: Python<'_>, alpha: &Bound<'_, PyAny>, x: &Bound<'_, PyAny>) -> PyResult<()> {
        let (x, mut y) = (native_of(x, "x")?, self.vector(py)?.try_borrow_mut(py)?);
        if x.is(&self.native) { y.scale(&alpha.add(1)?) } else { y.axpy(py, alpha, &*x.try_borrow(py)?) }
    }

    /// Replace this vector by ``alpha * x + beta * self``.
    fn axpby(
        &self,
        py: Python<'_>,
        alpha: &Bound<'_, PyAny>,
        x: &Bound<'_, PyAny>,
        beta: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (x, mut y) = (native_of(x, "x")?, self.vector(py)?.try_borrow_mut(py)?);
        if x.is(&self.native) { y.scale(&alpha.add(beta)?) } else { y.axpby(py, alpha, &*x.try_borrow(py)?, beta) }
    }

    /// Return ``sum(conj(self) * x)``, as `numpy.vdot`. Collective.
    ///
    /// Parameters
    /// ----------
    /// fast : bool
    ///     Sum in the order of the hardware, so that the last bits depend on the number of ranks.
    #[pyo3(signature = (x, fast = false))]
    fn dot(&self, py: Python<'_>, x: &Bound<'_, PyAny>, fast: bool) -> PyResult<Py<PyAny>> {
        let x = native_of(x, "x")?;
        self.vector(py)?.try_borrow(py)?.dot(py, &*x.try_borrow(py)?, fast)
    }

    /// Return the norm of order 1, 2 or ``inf``. Collective.
    #[pyo3(signature = (ord = 2.0, fast = false))]
    fn norm(&self, py: Python<'_>, ord: f64, fast: bool) -> PyResult<f64> {
        self.vector(py)?.try_borrow(py)?.norm(py, ord, fast)
    }
}

/// Base class of `dolmen.CsrMatrix`.
#[pyclass(subclass, frozen, module = "dolmen._dolmen")]
pub(crate) struct MatrixBase {
    native: Py<Matrix>,
}

impl MatrixBase {
    fn matrix(&self, py: Python<'_>) -> PyResult<&Py<Matrix>> {
        owner::require(py)?;
        Ok(&self.native)
    }

    /// Runs a product of two vectors; of `x` a copy where it is the result too.
    fn product(
        &self,
        py: Python<'_>,
        [x, y]: [&Bound<'_, PyAny>; 2],
        product: impl FnOnce(&Matrix, &Vector, &mut Vector) -> PyResult<()>,
    ) -> PyResult<()> {
        let (x, y, matrix) = (native_of(x, "x")?, native_of(y, "y")?, self.matrix(py)?.try_borrow(py)?);
        if x.is(y) {
            let copy = x.try_borrow(py)?.copy();
            return product(&matrix, &copy, &mut *y.try_borrow_mut(py)?);
        }
        let x = x.try_borrow(py)?;
        product(&matrix, &x, &mut *y.try_borrow_mut(py)?)
    }
}

#[pymethods]
impl MatrixBase {
    #[new]
    fn new(native: Py<Matrix>) -> MatrixBase {
        MatrixBase { native }
    }

    #[getter(_matrix)]
    fn native(&self, py: Python<'_>) -> PyResult<Py<Matrix>> {
        Ok(self.matrix(py)?.clone_ref(py))
    }

    /// Returns the native part of ``A x``; None where the entries of `x` are of another type.
    fn _product(&self, py: Python<'_>, x: &Bound<'_, PyAny>) -> PyResult<Option<Vector>> {
        self.matrix(py)?.try_borrow(py)?.product(py, &*native_of(x, "x")?.try_borrow(py)?)
    }

    /// Compute ``y = A x`` into a vector that exists. Collective.
    fn apply(&self, py: Python<'_>, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<()> {
        self.product(py, [x, y], |a, x, y| a.apply(py, x, y))
    }

    /// Compute ``y += A x``. Collective.
    fn apply_add(&self, py: Python<'_>, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<()> {
        self.product(py, [x, y], |a, x, y| a.apply_add(py, x, y))
    }

    /// Compute ``y = A.T x``. Collective.
    fn apply_transpose(&self, py: Python<'_>, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<()> {
        self.product(py, [x, y], |a, x, y| a.apply_transpose(py, x, y))
    }
}
