//! Vectors.
//!
//! A vector's memory is seen by NumPy arrays ([`Vector::local`]), so it stays where it is as long as the object lives:
//! no method replaces the vector inside.
#![allow(unsafe_code)]

use dolmen::core::random::Philox;
use dolmen::core::{Reduction, Vector as CoreVector};
use numpy::ndarray::ArrayView1;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::errors::{agree, local};
use crate::gil::released;
use crate::layout::Layout;
use crate::typed::{Any, Element, Vectors, number, to_python};

/// The owned entries of a distributed vector.
#[pyclass(unsendable, module = "dolmen._dolmen")]
pub(crate) struct Vector {
    pub(crate) any: Any<Vectors>,
}

impl From<Any<Vectors>> for Vector {
    fn from(any: Any<Vectors>) -> Vector {
        Vector { any }
    }
}

impl<T: Element> From<CoreVector<T>> for Vector {
    fn from(vector: CoreVector<T>) -> Vector {
        Vector { any: T::wrap(vector) }
    }
}

#[pymethods]
impl Vector {
    #[staticmethod]
    fn zeros(layout: &Layout, dtype: &str) -> PyResult<Vector> {
        for_dtype!(dtype, T => {
            require_memory::<T>(&layout.layout, 1)?;
            Ok(CoreVector::<T>::zeros(&layout.layout).into())
        })
    }

    /// The entries of rank `root`, spread over the layout; other ranks give none.
    #[staticmethod]
    fn scatter(
        py: Python<'_>,
        layout: &Layout,
        root: usize,
        dtype: &str,
        values: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vector> {
        for_dtype!(dtype, T => {
            let comm = layout.layout.comm();
            let given = agree(py, comm, values.map_or(Ok(Vec::new()), |values| copied::<T>(values)))?;
            let vector = local(py, released(py, || CoreVector::<T>::scatter(&layout.layout, root, &given)))?;
            Ok(vector.into())
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

    /// The owned entries as a NumPy array on the memory of the vector, which it keeps alive.
    #[getter]
    pub(crate) fn local<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        fn view<'py, T: Element>(owned: *const [T], owner: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
            // SAFETY: the memory belongs to `owner`, which the array keeps alive, and does not move.
            unsafe { PyArray1::borrow_from_array(&ArrayView1::from(&*owned), owner).into_any() }
        }
        let owner = this.clone().into_any();
        let vector = this.try_borrow().map_err(|_| being_written())?;
        Ok(each!(&vector.any, x => view(x.owned(), owner)))
    }

    pub(crate) fn copy(&self) -> Vector {
        each!(&self.any, x => x.clone().into())
    }

    fn copy_from(&mut self, py: Python<'_>, x: &Vector) -> PyResult<()> {
        each!(&mut self.any, y => { let x = of(y, x)?; local(py, y.copy_from(x)) })
    }

    /// The vector with its numbers converted; complex ones lose their imaginary part in a real type.
    fn astype(&self, dtype: &str) -> PyResult<Vector> {
        each!(&self.any, x => for_dtype!(dtype, T => Ok(converted::<_, T>(x).into())))
    }

    fn conjugate(&mut self) {
        each!(&mut self.any, x => x.conj());
    }

    fn sum(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        each!(&self.any, x => to_python(py, collective(py, x, || x.sum(Reduction::Reproducible))))
    }

    /// The largest or the smallest entry with its row, of a real vector; nothing for an empty one.
    fn extreme(&self, py: Python<'_>, largest: bool) -> PyResult<Option<(u64, f64)>> {
        match &self.any {
            Any::F4(x) => Ok(collective(py, x, || if largest { x.max_at() } else { x.min_at() })
                .map(|(row, value)| (row, f64::from(value)))),
            Any::F8(x) => Ok(collective(py, x, || if largest { x.max_at() } else { x.min_at() })),
            _ => Err(PyValueError::new_err("complex numbers have no order; take abs, real or imag first")),
        }
    }

    /// Entries at any rows, on each rank its own.
    fn get<'py>(&self, py: Python<'py>, rows: PyReadonlyArray1<'_, u64>) -> PyResult<Bound<'py, PyAny>> {
        let rows = rows.as_array().to_vec();
        each!(&self.any, x => {
            let values = local(py, released(py, || x.get_entries(&rows)))?;
            Ok(PyArray1::from_vec(py, values).into_any())
        })
    }

    /// Sets or adds entries at any rows, from any rank.
    fn set(
        &mut self,
        py: Python<'_>,
        rows: PyReadonlyArray1<'_, u64>,
        values: &Bound<'_, PyAny>,
        add: bool,
    ) -> PyResult<()> {
        each!(&mut self.any, x => {
            let comm = x.comm().clone();
            let values = agree(py, &comm, like(x, values))?;
            let entries: Vec<_> = rows.as_array().iter().copied().zip(values).collect();
            local(py, released(py, || if add { x.add_entries(&entries) } else { x.set_entries(&entries) }))
        })
    }

    fn gather<'py>(&self, py: Python<'py>, root: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
        each!(&self.any, x => {
            let values = local(py, released(py, || x.gather(root)))?;
            Ok(values.map(|values| PyArray1::from_vec(py, values).into_any()))
        })
    }

    fn gather_all<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        each!(&self.any, x => PyArray1::from_vec(py, released(py, || x.gather_all())).into_any())
    }

    fn redistributed(&self, py: Python<'_>, layout: &Layout) -> PyResult<Vector> {
        each!(&self.any, x => Ok(local(py, released(py, || x.redistributed(&layout.layout)))?.into()))
    }

    fn subvector(&self, py: Python<'_>, start: u64, stop: u64) -> PyResult<Vector> {
        each!(&self.any, x => Ok(local(py, x.subvector(start..stop))?.into()))
    }

    fn set_subvector(&mut self, py: Python<'_>, start: u64, stop: u64, part: &Vector) -> PyResult<()> {
        each!(&mut self.any, x => { let part = of(x, part)?; local(py, x.set_subvector(start..stop, part)) })
    }

    fn fill_random(&mut self, seed: u64, stream: u64, normal: bool) {
        let random = Philox::new(seed);
        each!(&mut self.any, x => if normal { x.fill_normal(&random, stream) } else { x.fill_uniform(&random, stream) });
    }
}

/// Methods of [`VectorBase`](crate::base::VectorBase).
impl Vector {
    pub(crate) fn fill(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, x => x.fill(number(value)?));
        Ok(())
    }

    pub(crate) fn scale(&mut self, alpha: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&mut self.any, x => x.scale(number(alpha)?));
        Ok(())
    }

    pub(crate) fn axpy(&mut self, py: Python<'_>, alpha: &Bound<'_, PyAny>, x: &Vector) -> PyResult<()> {
        each!(&mut self.any, y => { let (alpha, x) = (number(alpha)?, of(y, x)?); local(py, y.axpy(alpha, x)) })
    }

    pub(crate) fn axpby(
        &mut self,
        py: Python<'_>,
        alpha: &Bound<'_, PyAny>,
        x: &Vector,
        beta: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        each!(&mut self.any, y => {
            let (alpha, x, beta) = (number(alpha)?, of(y, x)?, number(beta)?);
            local(py, y.axpby(alpha, x, beta))
        })
    }

    /// `sum conj(self) x`.
    pub(crate) fn dot(&self, py: Python<'_>, x: &Vector, fast: bool) -> PyResult<Py<PyAny>> {
        each!(&self.any, y => {
            let x = of(y, x)?;
            let value = collective(py, y, || if fast { Reduction::Fast.dot(y, x) } else { y.dot(x) });
            to_python(py, local(py, value)?)
        })
    }

    /// The norm of order 1, 2 or infinity.
    pub(crate) fn norm(&self, py: Python<'_>, order: f64, fast: bool) -> PyResult<f64> {
        each!(&self.any, x => Ok(match (order, fast) {
            (1.0, _) => collective(py, x, || x.norm1()),
            (2.0, false) => collective(py, x, || x.norm2()),
            (2.0, true) => collective(py, x, || Reduction::Fast.norm2(x)),
            (f64::INFINITY, _) => collective(py, x, || real(x.norm_inf())),
            _ => return Err(PyValueError::new_err(format!("ord={order} is not known; use 1, 2 or inf"))),
        }))
    }
}

/// The error of an object that a call under way changes.
pub(crate) fn being_written() -> PyErr {
    PyRuntimeError::new_err(
        "the vector is being written by a call under way; use the vector that the function was given",
    )
}

/// Refuses more entries than the memory of this rank has room for.
pub(crate) fn require_memory<T: Element>(layout: &dolmen::core::Layout, columns: usize) -> PyResult<()> {
    const SMALL: usize = 1 << 24;
    let count = layout.local_len().checked_mul(columns);
    if count.is_some_and(|count| count <= SMALL || dolmen::core::memory::try_zeros::<T>(count).is_some()) {
        return Ok(());
    }
    let (rows, dtype) = (layout.local_len(), T::DTYPE);
    let text =
        format!("{rows} rows of {columns} column(s) of {dtype} do not fit into the memory of one rank; use more ranks");
    Err(PyMemoryError::new_err(text))
}

/// Runs a reduction; short ones on one rank keep the interpreter's lock, whose release costs more than they do.
fn collective<T: Element, R>(py: Python<'_>, x: &CoreVector<T>, reduce: impl FnOnce() -> R) -> R {
    const SHORT: usize = 1 << 14;
    if x.comm().size() == 1 && x.owned().len() <= SHORT { reduce() } else { released(py, reduce) }
}

fn real<R: dolmen::core::Real>(value: R) -> f64 {
    value.to_f64()
}

/// Returns the operand, which has to be of the scalar of `like`.
pub(crate) fn of<'v, T: Element>(_: &CoreVector<T>, operand: &'v Vector) -> PyResult<&'v CoreVector<T>> {
    T::expect(&operand.any, "the vector")
}

/// Returns the argument and the result of an operator of this scalar.
pub(crate) fn operands<'v, T: Element>(
    x: &'v Vector,
    y: &'v mut Vector,
) -> PyResult<(&'v CoreVector<T>, &'v mut CoreVector<T>)> {
    Ok((T::expect(&x.any, "the vector")?, T::expect_mut(&mut y.any, "the result")?))
}

fn like<T: Element>(_: &CoreVector<T>, values: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    copied(values)
}

fn copied<T: Element>(values: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    let array: PyReadonlyArray1<'_, T> = values.extract()?;
    Ok(array.as_array().to_vec())
}

fn converted<S: Element, T: Element>(x: &CoreVector<S>) -> CoreVector<T> {
    use dolmen::core::Real;
    let mut result = CoreVector::<T>::zeros(x.layout());
    for (to, from) in result.owned_mut().iter_mut().zip(x.owned()) {
        *to = T::from_parts(from.re().to_f64(), from.im().to_f64());
    }
    result
}
