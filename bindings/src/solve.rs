//! Solves: with a named method, for one right-hand side or several, and by the automatic choice.
//!
//! The solution is computed in a copy of the guess and written into the memory of the vector that was given, which
//! NumPy arrays may see.

use std::path::PathBuf;
use std::time::Duration;

use dolmen::core::{AdjointOperator, Comm, CsrMatrix, Layout, LinearOperator, Reduction, Snapshot as CoreSnapshot};
use dolmen::solvers::{
    Analysis, Automatic, BlockCg, MethodSettings, Monitor, Norm, PreconditionerSettings, Progress, Settings, Solution,
};
use dolmen::{Checkpointer, Result, Resumed};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::{agree, local, outcome};
use crate::gil::released;
use crate::matrix::Matrix;
use crate::monitor::Watch;
use crate::multi_vector::MultiVector;
use crate::operator::{Operator, given};
use crate::report::{Report, Snapshot};
use crate::typed::Element;
use crate::vector::Vector;

/// Arguments of a solve, as the Python layer gives them in a dictionary.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options<'py> {
    preconditioner: Option<PyRef<'py, Operator>>,
    projection: Option<PyRef<'py, Operator>>,
    rtol: f64,
    atol: f64,
    dtol: f64,
    max_iterations: Option<usize>,
    norm: NormName,
    fast: bool,
    monitor: Option<Py<PyAny>>,
    snapshots: Option<Py<PyAny>>,
    snapshot_every: usize,
    resume: Option<PyRef<'py, Snapshot>>,
    checkpoint: Option<Checkpoint>,
}

/// A norm by its name.
struct NormName(Norm);

impl FromPyObject<'_, '_> for NormName {
    type Error = PyErr;

    fn extract(name: Borrowed<'_, '_, PyAny>) -> PyResult<NormName> {
        match name.extract::<String>()?.as_str() {
            "true" => Ok(NormName(Norm::True)),
            "preconditioned" => Ok(NormName(Norm::Preconditioned)),
            "natural" => Ok(NormName(Norm::Natural)),
            other => Err(PyValueError::new_err(format!("norm={other:?} is not known"))),
        }
    }
}

/// A folder of checkpoints, the seconds between two of them, a text that has to be the same when a run resumes, and
/// whether this one does.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Checkpoint {
    pub(crate) folder: PathBuf,
    every: f64,
    config: String,
    pub(crate) resume: bool,
}

/// Solves `A x = b`, or `min |b - A x|`, with a method by its text: `gmres(restart=50)`.
#[pyfunction]
pub(crate) fn solve<'py>(
    py: Python<'py>,
    a: &Operator,
    b: &Bound<'py, PyAny>,
    x: &Bound<'py, PyAny>,
    method: &str,
    options: Options<'py>,
) -> PyResult<Py<PyAny>> {
    each!(&a.any, a => {
        if let Ok(b) = b.cast::<MultiVector>() {
            return several(py, &**a, b, x.cast::<MultiVector>()?, &options);
        }
        let report = one(py, &**a, b.cast::<Vector>()?, x.cast::<Vector>()?, method, &options)?;
        Ok(Py::new(py, report)?.into_any())
    })
}

fn one<T: Element>(
    py: Python<'_>,
    a: &dyn AdjointOperator<T>,
    b: &Bound<'_, Vector>,
    x: &Bound<'_, Vector>,
    method: &str,
    options: &Options<'_>,
) -> PyResult<Report> {
    let method: MethodSettings = agree(py, a.range().comm(), local(py, method.parse()))?;
    let mut solution = T::expect(&x.try_borrow()?.any, "the solution")?.clone();
    let b = b.try_borrow()?;
    let b = T::expect(&b.any, "the right-hand side")?;
    let [preconditioner, projection] = options.helpers::<T>()?;
    let layouts = [a.domain(), a.range()];
    let (report, kept) = options.watched(py, layouts, |monitor, resume| {
        let settings = options.settings(monitor, resume);
        let report = match method.method().is_least_squares() {
            true => method.least_squares(settings, preconditioner)?.solve(a, b, &mut solution)?,
            false => {
                let settings = preconditioner.into_iter().fold(settings, |settings, m| settings.preconditioner(m));
                let settings = projection.into_iter().fold(settings, |settings, p| settings.projection(p));
                method.solver(settings)?.solve(a, b, &mut solution)?
            }
        };
        Ok(report)
    })?;
    local(py, T::expect_mut(&mut x.try_borrow_mut()?.any, "the solution")?.copy_from(&solution))?;
    kept.told(py)?;
    Ok(Report { report })
}

fn several<T: Element>(
    py: Python<'_>,
    a: &dyn AdjointOperator<T>,
    b: &Bound<'_, MultiVector>,
    x: &Bound<'_, MultiVector>,
    options: &Options<'_>,
) -> PyResult<Py<PyAny>> {
    let mut solution = T::expect(&x.try_borrow()?.any, "the solutions")?.clone();
    let b = b.try_borrow()?;
    let b = T::expect(&b.any, "the right-hand sides")?;
    let [preconditioner, projection] = options.helpers::<T>()?;
    let layouts = [a.domain(), a.range()];
    let (reports, kept) = options.watched(py, layouts, |monitor, resume| {
        let solver = BlockCg::from(options.settings(monitor, resume));
        let solver = preconditioner.into_iter().fold(solver, |solver, m| solver.preconditioner(m));
        let solver = projection.into_iter().fold(solver, |solver, p| solver.projection(p));
        Ok(solver.solve(a, b, &mut solution)?)
    })?;
    local(py, T::expect_mut(&mut x.try_borrow_mut()?.any, "the solutions")?.copy_from(&solution))?;
    kept.told(py)?;
    let reports = reports.into_iter().map(|report| Py::new(py, Report { report })).collect::<PyResult<Vec<_>>>()?;
    Ok(PyList::new(py, reports)?.into_any().unbind())
}

/// Solves a system with a matrix by methods and preconditioners that are chosen from it; a text names one or both.
#[pyfunction]
pub(crate) fn automatic<'py>(
    py: Python<'py>,
    a: &Matrix,
    b: &Bound<'py, Vector>,
    x: &Bound<'py, Vector>,
    method: Option<&str>,
    preconditioner: Option<&str>,
    options: Options<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    each!(&a.any, a => chosen(py, a, b, x, [method, preconditioner], &options))
}

fn chosen<'py, T: Element>(
    py: Python<'py>,
    a: &CsrMatrix<T>,
    b: &Bound<'py, Vector>,
    x: &Bound<'py, Vector>,
    [method, preconditioner]: [Option<&str>; 2],
    options: &Options<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let parsed = || -> dolmen::solvers::Result<(Option<MethodSettings>, Option<PreconditionerSettings>)> {
        Ok((method.map(str::parse).transpose()?, preconditioner.map(str::parse).transpose()?))
    };
    let (method, preconditioner) = agree(py, a.range().comm(), local(py, parsed()))?;
    let mut solution = T::expect(&x.try_borrow()?.any, "the solution")?.clone();
    let b = b.try_borrow()?;
    let b = T::expect(&b.any, "the right-hand side")?;
    let (solved, kept) = options.watched(py, [a.domain(), a.range()], |monitor, resume| {
        let mut solver = Automatic::new().rtol(options.rtol).atol(options.atol).monitor(monitor);
        solver = method.into_iter().fold(solver, Automatic::solver);
        solver = preconditioner.into_iter().fold(solver, Automatic::preconditioner);
        solver = options.max_iterations.into_iter().fold(solver, Automatic::max_iterations);
        solver = resume.into_iter().fold(solver, Automatic::resume);
        Ok(solver.solve(a, b, &mut solution)?)
    })?;
    local(py, T::expect_mut(&mut x.try_borrow_mut()?.any, "the solution")?.copy_from(&solution))?;
    kept.told(py)?;
    described(py, &solved)
}

fn described<'py>(py: Python<'py>, solved: &Solution) -> PyResult<Bound<'py, PyDict>> {
    let attempts = PyList::empty(py);
    for attempt in &solved.attempts {
        let told = PyDict::new(py);
        told.set_item("method", attempt.method.to_string())?;
        told.set_item("preconditioner", attempt.preconditioner.to_string())?;
        told.set_item("reason", &attempt.reason)?;
        told.set_item("summary", attempt.summary())?;
        told.set_item("setup_time", attempt.setup.as_secs_f64())?;
        told.set_item("solved", attempt.solved)?;
        told.set_item("true_relative_residual", attempt.true_relative_residual)?;
        let report = attempt.outcome.as_ref().ok().cloned();
        told.set_item("report", report.map(|report| Py::new(py, Report { report })).transpose()?)?;
        attempts.append(told)?;
    }
    let solution = PyDict::new(py);
    solution.set_item("attempts", attempts)?;
    solution.set_item("analysis", facts(py, &solved.analysis)?)?;
    let kept = solved.attempts.iter().position(|attempt| std::ptr::eq(attempt, solved.kept()));
    solution.set_item("kept", kept)?;
    Ok(solution)
}

/// The facts about the matrix.
fn facts<'py>(py: Python<'py>, analysis: &Analysis) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    facts.set_item("shape", (analysis.rows, analysis.columns))?;
    facts.set_item("entries", analysis.entries)?;
    facts.set_item("norm_frobenius", analysis.norm_frobenius)?;
    facts.set_item("norm_one", analysis.norm_one)?;
    facts.set_item("norm_inf", analysis.norm_inf)?;
    facts.set_item("hermitian", analysis.hermitian)?;
    facts.set_item("symmetric", analysis.symmetric)?;
    facts.set_item("symmetric_pattern", analysis.symmetric_pattern)?;
    facts.set_item("bandwidth", (analysis.lower_bandwidth, analysis.upper_bandwidth))?;
    facts.set_item("zero_diagonal", analysis.zero_diagonal)?;
    facts.set_item("dominant_rows", analysis.dominant_rows)?;
    facts.set_item("zero_rows", analysis.zero_rows)?;
    facts.set_item("zero_columns", analysis.zero_columns)?;
    facts.set_item("zero_row_sums", analysis.zero_row_sums)?;
    Ok(facts)
}

/// The last checkpoint, or why it could not be written.
struct Kept(Result<Option<PathBuf>>);

impl Kept {
    /// Raises the failure, after the solution is safe.
    fn told(self, py: Python<'_>) -> PyResult<()> {
        local(py, self.0).map(drop)
    }
}

impl Options<'_> {
    /// The preconditioner and the projection.
    fn helpers<T: Element>(&self) -> PyResult<[Option<&dyn AdjointOperator<T>>; 2]> {
        Ok([given(&self.preconditioner, "the preconditioner")?, given(&self.projection, "the projection")?])
    }

    fn settings<'s, T: Element>(
        &self,
        monitor: &'s mut dyn Monitor<T>,
        resume: Option<&'s CoreSnapshot<T>>,
    ) -> Settings<'s, T> {
        let reduction = if self.fast { Reduction::Fast } else { Reduction::Reproducible };
        let mut settings = Settings::new().rtol(self.rtol).atol(self.atol).dtol(self.dtol).norm(self.norm.0);
        settings = settings.reduction(reduction).monitor(monitor).snapshot_every(self.snapshot_every);
        settings = self.max_iterations.into_iter().fold(settings, Settings::max_iterations);
        resume.into_iter().fold(settings, Settings::resume)
    }

    /// Runs a solve with a monitor that tells Python of it, hears Ctrl-C, and writes checkpoints if there are any.
    ///
    /// # Collective
    fn watched<T: Element, R>(
        &self,
        py: Python<'_>,
        layouts: [&Layout; 2],
        solve: impl FnOnce(&mut dyn Monitor<T>, Option<&CoreSnapshot<T>>) -> Result<R>,
    ) -> PyResult<(R, Kept)> {
        let comm = layouts[0].comm();
        let mut watch = Watch::new(self.monitor.as_ref(), self.snapshots.as_ref());
        let resume = self.resume.as_ref().map(|snapshot| T::expect(&snapshot.any, "the snapshot")).transpose()?;
        let solved = released(py, || match &self.checkpoint {
            None => Ok((solve(&mut watch, resume)?, Kept(Ok(None)))),
            Some(checkpoint) => checkpoint.kept(comm, &layouts, &mut watch, solve),
        });
        let solved = outcome(py, comm, solved)?;
        agree(py, comm, watch.result())?;
        Ok(solved)
    }
}

impl Checkpoint {
    /// Returns the time between two checkpoints.
    pub(crate) fn interval(&self) -> Duration {
        Duration::try_from_secs_f64(self.every).unwrap_or(Duration::MAX)
    }

    /// Runs a solve with checkpoints.
    ///
    /// # Collective
    fn kept<T: Element, R>(
        &self,
        comm: &Comm,
        layouts: &[&Layout],
        watch: &mut Watch<'_>,
        solve: impl FnOnce(&mut dyn Monitor<T>, Option<&CoreSnapshot<T>>) -> Result<R>,
    ) -> Result<(R, Kept)> {
        let mut ask = |progress: &Progress| watch.request(progress);
        let mut keeper = Checkpointer::new(comm, &self.folder, self.interval(), &self.config)?.ask(&mut ask);
        let resumed: Option<Resumed<T>> = match self.resume {
            true => keeper.resume(layouts)?,
            false => keeper.require_empty().map(|()| None)?,
        };
        let result = solve(&mut keeper, resumed.as_ref().map(|resumed| &resumed.snapshot))?;
        Ok((result, Kept(keeper.finish().map_err(dolmen::Error::from))))
    }
}
