//! Eigenvalues and singular values: by the choice from a matrix, or with a named method.

use dolmen::Result;
use dolmen::core::{AdjointOperator, Comm, Complex64, CsrMatrix, LinearOperator, Snapshot as CoreSnapshot};
use dolmen::solvers::{
    AutomaticEigen, EigenReport, EigenSolution, Eigenpairs, GeneralEigenpairs, GolubKahan, KrylovSchur, Lanczos,
    Lobpcg, Monitor, Region, SingularTriplets, Which,
};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{agree, outcome};
use crate::gil::released;
use crate::matrix::Matrix;
use crate::monitor::Watch;
use crate::multi_vector::MultiVector;
use crate::operator::{Operator, given};
use crate::report::Snapshot;
use crate::typed::Element;

/// Arguments of a search, as the Python layer gives them in a dictionary.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options<'py> {
    count: usize,
    part: Part,
    /// The number to be near to, instead of the part.
    shift: Option<Complex64>,
    mass: Option<PyRef<'py, Operator>>,
    /// The inverse of `A - shift M`, or without a shift of the mass matrix.
    inverse: Option<PyRef<'py, Operator>>,
    preconditioner: Option<PyRef<'py, Operator>>,
    start: Option<PyRef<'py, MultiVector>>,
    basis: Option<usize>,
    rtol: f64,
    max_iterations: usize,
    monitor: Option<Py<PyAny>>,
    snapshots: Option<Py<PyAny>>,
    snapshot_every: usize,
    resume: Option<PyRef<'py, Snapshot>>,
}

/// A part of the plane by its name.
struct Part(Region);

impl FromPyObject<'_, '_> for Part {
    type Error = PyErr;

    fn extract(name: Borrowed<'_, '_, PyAny>) -> PyResult<Part> {
        match name.extract::<String>()?.as_str() {
            "LM" => Ok(Part(Region::LargestMagnitude)),
            "SM" => Ok(Part(Region::SmallestMagnitude)),
            "LR" => Ok(Part(Region::LargestReal)),
            "SR" => Ok(Part(Region::SmallestReal)),
            "LI" => Ok(Part(Region::LargestImaginary)),
            other => Err(PyValueError::new_err(format!("which={other:?} is not known"))),
        }
    }
}

/// Gives a method the settings that all methods have.
macro_rules! settled {
    ($method:expr, $options:expr, $monitor:expr, $resume:expr) => {{
        let method = $method.rtol($options.rtol).max_iterations($options.max_iterations);
        let method = method.monitor($monitor).snapshot_every($options.snapshot_every);
        $resume.into_iter().fold(method, |method, snapshot| method.resume(snapshot))
    }};
}

/// Finds eigenvalues of a matrix by a method that is chosen from it.
#[pyfunction]
pub(crate) fn automatic_eigen<'py>(
    py: Python<'py>,
    a: &Matrix,
    mass: Option<&Matrix>,
    hermitian: bool,
    options: Options<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    each!(&a.any, a => chosen(py, a, mass, hermitian, &options))
}

fn chosen<'py, T: Element>(
    py: Python<'py>,
    a: &CsrMatrix<T>,
    mass: Option<&Matrix>,
    hermitian: bool,
    options: &Options<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let mass = mass.map(|mass| T::expect(&mass.any, "the mass matrix")).transpose()?;
    let found = options.watched(py, a.range().comm(), |monitor: &mut dyn Monitor<T>, _| {
        let method = AutomaticEigen::new(options.count).region(options.region()).rtol(options.rtol);
        let method = method.max_iterations(options.max_iterations).monitor(monitor);
        let method = mass.into_iter().fold(method, |method, mass| method.mass(mass));
        Ok(if hermitian { method.require_hermitian().solve(a)? } else { method.solve(a)? })
    })?;
    let EigenSolution { values, vectors, imaginary, why, report, .. } = found;
    let told = told(py, &report, &values)?;
    told.set_item("vectors", Py::new(py, MultiVector::from(vectors))?)?;
    told.set_item("imaginary", imaginary.map(|part| Py::new(py, MultiVector::from(part))).transpose()?)?;
    told.set_item("why", why)?;
    Ok(told)
}

/// Finds eigenvalues of a Hermitian operator by LOBPCG or by Lanczos' method.
#[pyfunction]
pub(crate) fn hermitian_eigen<'py>(
    py: Python<'py>,
    a: &Operator,
    lobpcg: bool,
    options: Options<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    each!(&a.any, a => {
        let found = if lobpcg { by_lobpcg(py, &**a, &options)? } else { by_lanczos(py, &**a, &options)? };
        let Eigenpairs { values, vectors, report } = found;
        let told = told(py, &report, &values)?;
        told.set_item("vectors", Py::new(py, MultiVector::from(vectors))?)?;
        Ok(told)
    })
}

fn by_lobpcg<T: Element>(py: Python<'_>, a: &dyn AdjointOperator<T>, options: &Options<'_>) -> PyResult<Eigenpairs<T>> {
    let (mass, preconditioner) = (options.mass::<T>()?, given(&options.preconditioner, "the preconditioner")?);
    let start = options.start.as_ref().map(|start| T::expect(&start.any, "X")).transpose()?;
    options.watched(py, a.domain().comm(), |monitor, resume| {
        let method = settled!(Lobpcg::new(options.count).which(options.which()), options, monitor, resume);
        let method = mass.into_iter().fold(method, |method, mass| method.mass(mass));
        let method = preconditioner.into_iter().fold(method, |method, m| method.preconditioner(m));
        Ok(start.into_iter().fold(method, |method, start| method.start(start)).solve(a)?)
    })
}

fn by_lanczos<T: Element>(
    py: Python<'_>,
    a: &dyn AdjointOperator<T>,
    options: &Options<'_>,
) -> PyResult<Eigenpairs<T>> {
    let (mass, inverse) = (options.mass::<T>()?, given(&options.inverse, "the inverse")?);
    options.watched(py, a.domain().comm(), |monitor, resume| {
        let method = settled!(Lanczos::new(options.count).which(options.which()), options, monitor, resume);
        let method = options.basis.into_iter().fold(method, Lanczos::basis);
        let method = match (options.shift, mass, inverse) {
            (Some(shift), Some(mass), Some(inverse)) => method.shift_invert_mass(shift.re, mass, inverse),
            (Some(shift), None, Some(inverse)) => method.shift_invert(shift.re, inverse),
            (None, Some(mass), Some(inverse)) => method.mass(mass, inverse),
            _ => method,
        };
        Ok(method.solve(a)?)
    })
}

/// Finds eigenvalues of any operator by Krylov-Schur.
#[pyfunction]
pub(crate) fn general_eigen<'py>(py: Python<'py>, a: &Operator, options: Options<'py>) -> PyResult<Bound<'py, PyDict>> {
    each!(&a.any, a => {
        let GeneralEigenpairs { values, vectors, imaginary, report } = by_krylov_schur(py, &**a, &options)?;
        let told = told(py, &report, &values)?;
        told.set_item("vectors", Py::new(py, MultiVector::from(vectors))?)?;
        told.set_item("imaginary", imaginary.map(|part| Py::new(py, MultiVector::from(part))).transpose()?)?;
        Ok(told)
    })
}

fn by_krylov_schur<T: Element>(
    py: Python<'_>,
    a: &dyn AdjointOperator<T>,
    options: &Options<'_>,
) -> PyResult<GeneralEigenpairs<T>> {
    let (mass, inverse) = (options.mass::<T>()?, given(&options.inverse, "the inverse")?);
    options.watched(py, a.domain().comm(), |monitor, resume| {
        let method = settled!(KrylovSchur::new(options.count).region(options.region()), options, monitor, resume);
        let method = options.basis.into_iter().fold(method, KrylovSchur::basis);
        let shift = options.shift.map(|shift| T::from_parts(shift.re, shift.im));
        let method = match (shift, mass, inverse) {
            (Some(shift), Some(mass), Some(inverse)) => method.shift_invert_mass(shift, mass, inverse),
            (Some(shift), None, Some(inverse)) => method.shift_invert(shift, inverse),
            _ => method,
        };
        Ok(method.solve(a)?)
    })
}

/// Finds singular values of an operator; with its matrix by a method that is chosen from that.
#[pyfunction]
pub(crate) fn singular_values<'py>(
    py: Python<'py>,
    a: &Operator,
    matrix: Option<&Matrix>,
    options: Options<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    each!(&a.any, a => singular(py, &**a, matrix, &options))
}

fn singular<'py, T: Element>(
    py: Python<'py>,
    a: &dyn AdjointOperator<T>,
    matrix: Option<&Matrix>,
    options: &Options<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let matrix = matrix.map(|matrix| T::expect(&matrix.any, "the matrix")).transpose()?;
    let (found, why) = options.watched(py, a.domain().comm(), |monitor, resume| {
        let method = settled!(GolubKahan::new(options.count).which(options.which()), options, monitor, resume);
        let method = options.basis.into_iter().fold(method, GolubKahan::basis);
        Ok(match matrix {
            Some(matrix) => method.solve_matrix(matrix).map(|(found, why)| (found, Some(why)))?,
            None => (method.solve(a)?, None),
        })
    })?;
    let SingularTriplets { values, u, v, report } = found;
    let told = told(py, &report, &values)?;
    told.set_item("u", Py::new(py, MultiVector::from(u))?)?;
    told.set_item("v", Py::new(py, MultiVector::from(v))?)?;
    told.set_item("why", why)?;
    Ok(told)
}

impl Options<'_> {
    fn region(&self) -> Region {
        self.shift.map_or(self.part.0, Region::Nearest)
    }

    /// The part of the real line.
    fn which(&self) -> Which {
        match self.region() {
            Region::Nearest(shift) => Which::Nearest(shift.re),
            Region::LargestReal => Which::Largest,
            Region::SmallestReal => Which::Smallest,
            Region::SmallestMagnitude => Which::Nearest(0.0),
            _ => Which::LargestMagnitude,
        }
    }

    fn mass<T: Element>(&self) -> PyResult<Option<&dyn AdjointOperator<T>>> {
        given(&self.mass, "the mass matrix")
    }

    /// Runs a search with a monitor that tells Python of it and hears Ctrl-C.
    ///
    /// # Collective
    fn watched<T: Element, R>(
        &self,
        py: Python<'_>,
        comm: &Comm,
        search: impl FnOnce(&mut dyn Monitor<T>, Option<&CoreSnapshot<T>>) -> Result<R>,
    ) -> PyResult<R> {
        let mut watch = Watch::new(self.monitor.as_ref(), self.snapshots.as_ref());
        let resume = self.resume.as_ref().map(|snapshot| T::expect(&snapshot.any, "the snapshot")).transpose()?;
        let found = released(py, || search(&mut watch, resume));
        let found = outcome(py, comm, found)?;
        agree(py, comm, watch.result())?;
        Ok(found)
    }
}

/// Returns the values and the fields of the report by name.
fn told<'py, V: numpy::Element>(py: Python<'py>, report: &EigenReport, values: &[V]) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("method", report.method)?;
    fields.set_item("reason", format!("{:?}", report.reason))?;
    fields.set_item("converged", report.converged())?;
    fields.set_item("iterations", report.iterations)?;
    fields.set_item("residuals", PyArray1::from_slice(py, &report.residuals))?;
    fields.set_item("is_converged", PyArray1::from_slice(py, &report.is_converged))?;
    fields.set_item("tolerance", report.tolerance)?;
    fields.set_item("applications", report.applications)?;
    fields.set_item("time", report.time.as_secs_f64())?;
    fields.set_item("outcome", report.outcome())?;
    fields.set_item("explanation", report.explain())?;
    fields.set_item("text", report.to_string())?;
    let told = PyDict::new(py);
    told.set_item("report", fields)?;
    told.set_item("values", PyArray1::from_slice(py, values))?;
    Ok(told)
}
