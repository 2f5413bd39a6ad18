//! Results of solves, the progress of one under way, and its state.

use dolmen::core::Snapshot as CoreSnapshot;
use dolmen::solvers::{Norm, Progress as CoreProgress, SolveReport};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::typed::{Any, Element, Snapshots};
use crate::vector::Vector;

/// The state of a solve after an iteration.
#[pyclass(frozen, get_all, module = "dolmen._dolmen")]
pub(crate) struct Progress {
    iteration: usize,
    residual: f64,
    target: f64,
    limit: usize,
}

#[pymethods]
impl Progress {
    fn __repr__(&self) -> String {
        let Progress { iteration, residual, target, limit } = self;
        format!("Progress(iteration={iteration}, residual={residual:e}, target={target:e}, limit={limit})")
    }
}

pub(crate) fn progress(now: &CoreProgress) -> Progress {
    let CoreProgress { iteration, residual, target, limit, .. } = *now;
    Progress { iteration, residual, target, limit }
}

/// The outcome of a solve.
#[pyclass(frozen, module = "dolmen._dolmen")]
pub(crate) struct Report {
    pub(crate) report: SolveReport,
}

#[pymethods]
impl Report {
    /// The fields by name.
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = &self.report;
        let fields = PyDict::new(py);
        fields.set_item("method", report.method)?;
        fields.set_item("reason", format!("{:?}", report.reason))?;
        fields.set_item("converged", report.converged())?;
        fields.set_item("iterations", report.iterations)?;
        fields.set_item("history", PyArray1::from_slice(py, &report.history))?;
        fields.set_item("norm", name_of(report.norm))?;
        fields.set_item("rhs_norm", report.rhs_norm)?;
        fields.set_item("target", report.target)?;
        fields.set_item("true_residual", report.true_residual)?;
        fields.set_item("relative_residual", report.relative_residual())?;
        fields.set_item("normal_residual", report.normal_residual)?;
        fields.set_item("damp", report.damp)?;
        fields.set_item("weighted", report.weighted)?;
        fields.set_item("applications", report.applications)?;
        fields.set_item("preconditionings", report.preconditionings)?;
        fields.set_item("time", report.time.as_secs_f64())?;
        fields.set_item("outcome", report.outcome())?;
        fields.set_item("explanation", report.explain())?;
        fields.set_item("text", report.to_string())?;
        Ok(fields)
    }
}

fn name_of(norm: Norm) -> &'static str {
    match norm {
        Norm::True => "true",
        Norm::Preconditioned => "preconditioned",
        Norm::Natural => "natural",
    }
}

/// The state of a solver, from which it resumes.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Snapshot {
    pub(crate) any: Any<Snapshots>,
}

impl<T: Element> From<CoreSnapshot<T>> for Snapshot {
    fn from(snapshot: CoreSnapshot<T>) -> Snapshot {
        Snapshot { any: T::wrap(snapshot) }
    }
}

#[pymethods]
impl Snapshot {
    #[getter]
    fn method(&self) -> &str {
        each!(&self.any, snapshot => snapshot.method())
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.any.dtype()
    }

    #[getter]
    fn integers(&self) -> Vec<(String, u64)> {
        each!(&self.any, snapshot => snapshot.integers().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    #[getter]
    fn reals(&self) -> Vec<(String, Vec<f64>)> {
        each!(&self.any, snapshot => snapshot.all_reals().map(|(name, values)| (name.to_owned(), values.to_vec())).collect())
    }

    #[getter]
    fn vector_names(&self) -> Vec<String> {
        each!(&self.any, snapshot => snapshot.vectors().map(|(name, _)| name.to_owned()).collect())
    }

    /// A copy of the vector of this name.
    fn vector(&self, name: &str) -> Option<Vector> {
        each!(&self.any, snapshot => snapshot.vector(name).map(|vector| vector.clone().into()))
    }
}
