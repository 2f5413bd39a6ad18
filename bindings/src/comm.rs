//! The start of MPI in a Python process, and communicators.

use dolmen::core::environment as libraries;
use dolmen::io::hdf5;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::{agree, local};
use crate::gil::released;
use crate::session;

/// Initializes MPI, unless another library did, and returns the communicator of all ranks.
#[pyfunction]
pub(crate) fn start(py: Python<'_>) -> PyResult<Comm> {
    local(py, released(py, session::start)).map(|comm| Comm { comm })
}

/// Describes the libraries of this process.
#[pyfunction]
pub(crate) fn environment(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let found = PyDict::new(py);
    let mpi = libraries::mpi_library();
    found.set_item("mpi", mpi.description)?;
    found.set_item("mpi_standard", mpi.standard)?;
    found.set_item("thread_level", mpi.thread_level.name())?;
    found.set_item("node", mpi.node)?;
    found.set_item("initialized_mpi", session::owns_mpi())?;
    let blas = libraries::blas_library();
    found.set_item("blas", blas.description)?;
    found.set_item("blas_core", blas.core)?;
    found.set_item("blas_threads", blas.threads)?;
    found.set_item("cpu_features", libraries::cpu_features())?;
    found.set_item("hdf5", hdf5::library_version())?;
    Ok(found)
}

/// A communicator.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Comm {
    pub(crate) comm: dolmen::core::Comm,
}

#[pymethods]
impl Comm {
    #[staticmethod]
    fn from_fortran(py: Python<'_>, handle: i32) -> PyResult<Comm> {
        let comm = local(py, dolmen::core::Comm::from_fortran(handle))?;
        Ok(Comm { comm })
    }

    fn to_fortran(&self) -> i32 {
        self.comm.to_fortran()
    }

    #[getter]
    fn rank(&self) -> usize {
        self.comm.rank()
    }

    #[getter]
    fn size(&self) -> usize {
        self.comm.size()
    }

    #[getter]
    fn name(&self) -> &str {
        self.comm.name()
    }

    fn __eq__(&self, other: &Comm) -> bool {
        self.comm == other.comm
    }

    fn alone(&self) -> Comm {
        Comm { comm: self.comm.alone() }
    }

    fn duplicate(&self, py: Python<'_>) -> Comm {
        Comm { comm: released(py, || self.comm.duplicate()) }
    }

    fn split(&self, py: Python<'_>, color: Option<u32>, key: usize) -> PyResult<Option<Comm>> {
        let part = local(py, released(py, || self.comm.split(color, key)))?;
        Ok(part.map(|comm| Comm { comm }))
    }

    fn split_shared(&self, py: Python<'_>) -> Comm {
        Comm { comm: released(py, || self.comm.split_shared()) }
    }

    fn barrier(&self, py: Python<'_>) {
        released(py, || self.comm.barrier());
    }

    fn broadcast<'py>(&self, py: Python<'py>, root: usize, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.require_rank(root)?;
        let mut bytes = bytes.to_vec();
        released(py, || self.comm.broadcast(root, &mut bytes));
        Ok(PyBytes::new(py, &bytes))
    }

    fn gather<'py>(&self, py: Python<'py>, root: usize, bytes: &[u8]) -> PyResult<Option<Vec<Bound<'py, PyBytes>>>> {
        self.require_rank(root)?;
        let all = released(py, || self.comm.gather(root, bytes));
        Ok(all.map(|all| all.iter().map(|bytes| PyBytes::new(py, bytes)).collect()))
    }

    /// Reduces numbers over the ranks: `sum`, `min` or `max` of whole numbers or of doubles.
    fn reduce_integers(&self, py: Python<'_>, operation: &str, mut values: Vec<i64>) -> PyResult<Vec<i64>> {
        reduce(py, &self.comm, operation, &mut values)?;
        Ok(values)
    }

    fn reduce_reals(&self, py: Python<'_>, operation: &str, mut values: Vec<f64>) -> PyResult<Vec<f64>> {
        reduce(py, &self.comm, operation, &mut values)?;
        Ok(values)
    }

    /// Raises the exception of the lowest rank that gives one on all ranks.
    fn agree(&self, py: Python<'_>, error: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        agree(py, &self.comm, error.map_or(Ok(()), |error| Err(PyErr::from_value(error))))
    }

    fn abort(&self, code: i32) {
        self.comm.abort(code)
    }
}

impl Comm {
    fn require_rank(&self, rank: usize) -> PyResult<()> {
        let size = self.comm.size();
        if rank < size { Ok(()) } else { Err(PyValueError::new_err(format!("there is no rank {rank} among {size}"))) }
    }
}

fn reduce<T: dolmen::core::Reducible>(
    py: Python<'_>,
    comm: &dolmen::core::Comm,
    operation: &str,
    values: &mut [T],
) -> PyResult<()> {
    match operation {
        "sum" => released(py, || comm.all_reduce_sum(values)),
        "min" => released(py, || comm.all_reduce_min(values)),
        "max" => released(py, || comm.all_reduce_max(values)),
        other => return Err(PyValueError::new_err(format!("operation {other:?} is not known; use sum, min or max"))),
    }
    Ok(())
}
