//! Nonlinear systems whose functions and Jacobians Python computes.

use std::cell::RefCell;

use dolmen::core::{CsrMatrix, Error, Layout, LinearOperator, Result as CoreResult, Vector as CoreVector};
use dolmen::solvers::{
    Anderson, Forcing, Jacobian, LineSearch, Newton, NonlinearCg, NonlinearReport as CoreReport,
    PreconditionerSettings, Progress, Request, SolverChoice,
};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::callback::Function;
use crate::errors::{agree, keep, local, outcome};
use crate::gil::released;
use crate::matrix::Matrix;
use crate::monitor::Watch;
use crate::operator::{Operator, given};
use crate::typed::Element;
use crate::vector::Vector;

/// Settings that all methods have, as the Python layer gives them in a dictionary.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Common<'py> {
    rtol: f64,
    atol: f64,
    dtol: f64,
    max_iterations: usize,
    max_evaluations: Option<usize>,
    monitor: Option<Py<PyAny>>,
    preconditioner: Option<PyRef<'py, Operator>>,
}

/// Settings of Newton's method.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct NewtonOptions<'py> {
    linear: String,
    /// A text, in place of an operator; nothing for the default.
    settings: Option<String>,
    line_search: String,
    trust_region: bool,
    radius: Option<f64>,
    forcing: Option<f64>,
    max_linear_iterations: usize,
    lag_jacobian: usize,
    lag_preconditioner: usize,
    projection: Option<PyRef<'py, Operator>>,
}

/// A Jacobian: what it is, and the matrix or the function of it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Source<'py> {
    /// `matrix`, `operator`, `colored` or `free`.
    kind: String,
    matrix: Option<PyRef<'py, Matrix>>,
    /// Returns the native matrix or operator at a vector.
    function: Option<Py<PyAny>>,
}

/// The outcome of a nonlinear solve.
#[pyclass(frozen, module = "dolmen._dolmen")]
pub(crate) struct NonlinearReport {
    report: CoreReport,
}

#[pymethods]
impl NonlinearReport {
    /// The fields by name.
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = &self.report;
        let fields = PyDict::new(py);
        fields.set_item("method", report.method)?;
        fields.set_item("reason", format!("{:?}", report.reason))?;
        fields.set_item("converged", report.converged())?;
        fields.set_item("iterations", report.iterations)?;
        fields.set_item("history", PyArray1::from_slice(py, &report.history))?;
        fields.set_item("target", report.target)?;
        fields.set_item("residual", report.residual)?;
        fields.set_item("last_step", report.last_step)?;
        fields.set_item("evaluations", report.evaluations)?;
        fields.set_item("jacobians", report.jacobians)?;
        fields.set_item("preconditioners", report.preconditioners)?;
        fields.set_item("linear_iterations", report.linear_iterations)?;
        fields.set_item("linear_failures", report.linear_failures)?;
        fields.set_item("failure", report.failure.as_ref().map(|error| error.message()))?;
        fields.set_item("time", report.time.as_secs_f64())?;
        fields.set_item("outcome", report.outcome())?;
        fields.set_item("explanation", report.explain())?;
        fields.set_item("text", report.to_string())?;
        Ok(fields)
    }
}

/// A Python function that returns a native object for a vector, of which it gets the same copy each time.
struct Maker {
    call: Py<PyAny>,
    x: Py<Vector>,
}

impl Maker {
    fn new<T: Element>(py: Python<'_>, call: Py<PyAny>, layout: &Layout) -> PyResult<Maker> {
        Ok(Maker { call, x: Py::new(py, Vector::from(CoreVector::<T>::zeros(layout)))? })
    }

    /// Calls the function, and takes what `read` finds in its result.
    fn make<T: Element, R>(
        &self,
        x: &CoreVector<T>,
        read: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<R>,
    ) -> CoreResult<R> {
        let made = Python::attach(|py| -> PyResult<R> {
            T::expect_mut(&mut self.x.try_borrow_mut(py)?.any, "x")?.owned_mut().copy_from_slice(x.owned());
            read(self.call.bind(py).call1((&self.x,))?.as_any())
        });
        // The caller agrees on it over the ranks.
        made.map_err(|error| Error::Agreed { rank: x.comm().rank(), everywhere: false, message: keep(error) })
    }
}

fn matrix_of<T: Element>(found: &Bound<'_, PyAny>) -> PyResult<CsrMatrix<T>> {
    let matrix = found.cast::<Matrix>()?.try_borrow()?;
    Ok(T::expect(&matrix.any, "the Jacobian")?.as_ref().clone())
}

/// Makes a Jacobian of what the Python layer gives.
///
/// # Collective
fn jacobian<T: Element>(py: Python<'_>, source: Source<'_>, layout: &Layout) -> PyResult<Jacobian<'static, T>> {
    let Source { kind, matrix, function } = source;
    let matrix = matrix.map(|matrix| T::expect(&matrix.any, "the Jacobian").map(|a| a.as_ref().clone())).transpose();
    let maker = function.map(|function| Maker::new::<T>(py, function, layout)).transpose();
    let (matrix, maker) = agree(py, layout.comm(), matrix.and_then(|matrix| Ok((matrix, maker?))))?;
    match (kind.as_str(), matrix, maker) {
        ("matrix", Some(first), Some(maker)) => Ok(Jacobian::matrix(first, move |x, a| {
            *a = maker.make(x, matrix_of)?;
            Ok(())
        })),
        ("operator", _, Some(maker)) => Ok(Jacobian::operator(move |x| {
            let operator = maker.make(x, |found| {
                let operator = found.cast::<Operator>()?.try_borrow()?;
                T::expect(&operator.any, "the Jacobian").cloned()
            })?;
            Ok(Box::new(operator) as Box<dyn LinearOperator<T>>)
        })),
        ("colored", Some(pattern), _) => local(py, released(py, || Jacobian::colored(&pattern))),
        _ => Ok(Jacobian::matrix_free()),
    }
}

/// Applies settings that all methods have.
macro_rules! with_common {
    ($solver:expr, $common:ident, $monitor:ident) => {{
        let solver = $solver.rtol($common.rtol).atol($common.atol).dtol($common.dtol).monitor(&mut $monitor);
        let solver = solver.max_iterations($common.max_iterations);
        match $common.max_evaluations {
            Some(most) => solver.max_evaluations(most),
            None => solver,
        }
    }};
}

/// Runs a solve with a function of Python, and a monitor; gives the solution and the report.
///
/// # Collective
fn run<T: Element>(
    py: Python<'_>,
    function: Py<PyAny>,
    guess: &CoreVector<T>,
    monitor: Option<&Py<PyAny>>,
    solve: impl FnOnce(
        &dyn Fn(&CoreVector<T>, &mut CoreVector<T>) -> CoreResult<()>,
        &mut dyn FnMut(&Progress) -> bool,
        &mut CoreVector<T>,
    ) -> dolmen::solvers::Result<CoreReport>,
) -> PyResult<(Vector, NonlinearReport)> {
    let (layout, mut x) = (guess.layout(), guess.clone());
    let function = Function::new::<T>(py, function, layout, layout);
    let function = agree(py, layout.comm(), function)?;
    let mut watch = Watch::new(monitor, None);
    let snapshots = RefCell::new(false);
    let solved = released(py, || {
        let mut tell = |progress: &Progress| match watch.request(progress) {
            Request::Stop => true,
            Request::Snapshot => {
                *snapshots.borrow_mut() = true;
                true
            }
            _ => false,
        };
        solve(&|x, y| function.apply(x, y), &mut tell, &mut x)
    });
    let report = outcome(py, layout.comm(), solved)?;
    let refused = if snapshots.into_inner() {
        Err(PyValueError::new_err("the monitor asked for a snapshot; a nonlinear solve has none: return True to stop"))
    } else {
        watch.result()
    };
    agree(py, layout.comm(), refused)?;
    Ok((x.into(), NonlinearReport { report }))
}

fn line_search(name: &str) -> PyResult<LineSearch> {
    match name {
        "full" => Ok(LineSearch::Full),
        "backtracking" => Ok(LineSearch::Backtracking),
        "cubic" => Ok(LineSearch::Cubic),
        other => {
            let text = format!("line_search={other:?} is not known; use \"full\", \"backtracking\" or \"cubic\"");
            Err(PyValueError::new_err(text))
        }
    }
}

/// Solves `F(x) = 0` by Newton's method.
#[pyfunction]
#[pyo3(signature = (function, guess, jacobian, approximation, common, options))]
pub(crate) fn newton<'py>(
    py: Python<'py>,
    function: Py<PyAny>,
    guess: &Vector,
    jacobian: Source<'py>,
    approximation: Option<Source<'py>>,
    common: Common<'py>,
    options: NewtonOptions<'py>,
) -> PyResult<(Vector, NonlinearReport)> {
    each!(&guess.any, guess => by_newton(py, function, guess, [Some(jacobian), approximation], &common, &options))
}

fn by_newton<T: Element>(
    py: Python<'_>,
    function: Py<PyAny>,
    guess: &CoreVector<T>,
    [source, approximation]: [Option<Source<'_>>; 2],
    common: &Common<'_>,
    options: &NewtonOptions<'_>,
) -> PyResult<(Vector, NonlinearReport)> {
    let comm = guess.comm();
    let parsed = || -> PyResult<(SolverChoice, LineSearch)> {
        let mut choice: SolverChoice = local(py, options.linear.parse())?;
        if let Some(settings) = &options.settings {
            let settings: PreconditionerSettings = local(py, settings.parse())?;
            local(py, choice.precondition(settings))?;
        }
        Ok((choice, line_search(&options.line_search)?))
    };
    let (choice, line_search) = agree(py, comm, parsed())?;
    let fixed = agree(py, comm, given::<T>(&common.preconditioner, "the preconditioner"))?;
    let projection = agree(py, comm, given::<T>(&options.projection, "the projection"))?;
    let mut made = match source {
        Some(source) => jacobian::<T>(py, source, guess.layout())?,
        None => Jacobian::matrix_free(),
    };
    if let Some(approximation) = approximation {
        made = made.preconditioned_by(jacobian(py, approximation, guess.layout())?);
    }
    run(py, function, guess, common.monitor.as_ref(), |function, mut monitor, x| {
        let newton = Newton::new().linear(choice).max_linear_iterations(options.max_linear_iterations);
        let newton = newton.lag_jacobian(options.lag_jacobian).lag_preconditioner(options.lag_preconditioner);
        let newton = newton.forcing(options.forcing.map_or(Forcing::EisenstatWalker, Forcing::Fixed));
        let newton = match options.trust_region {
            true => newton.trust_region(options.radius),
            false => newton.line_search(line_search),
        };
        let newton = fixed.into_iter().fold(newton, |newton, m| newton.preconditioner(m));
        let newton = projection.into_iter().fold(newton, |newton, p| newton.projection(p));
        with_common!(newton, common, monitor).solve(function, &mut made, x)
    })
}

/// Solves `F(x) = 0` by Anderson mixing.
#[pyfunction]
pub(crate) fn anderson<'py>(
    py: Python<'py>,
    function: Py<PyAny>,
    guess: &Vector,
    common: Common<'py>,
    depth: usize,
    damping: f64,
) -> PyResult<(Vector, NonlinearReport)> {
    fn solve<T: Element>(
        py: Python<'_>,
        function: Py<PyAny>,
        guess: &CoreVector<T>,
        common: &Common<'_>,
        (depth, damping): (usize, f64),
    ) -> PyResult<(Vector, NonlinearReport)> {
        let m = agree(py, guess.comm(), given::<T>(&common.preconditioner, "the preconditioner"))?;
        run(py, function, guess, common.monitor.as_ref(), |function, mut monitor, x| {
            let solver = Anderson::new().depth(depth).damping(damping);
            let solver = m.into_iter().fold(solver, |solver, m| solver.preconditioner(m));
            with_common!(solver, common, monitor).solve(function, x)
        })
    }
    each!(&guess.any, guess => solve(py, function, guess, &common, (depth, damping)))
}

/// Solves `F(x) = 0`, where `F` is a gradient, by nonlinear conjugate gradients.
#[pyfunction]
pub(crate) fn nonlinear_cg<'py>(
    py: Python<'py>,
    function: Py<PyAny>,
    guess: &Vector,
    common: Common<'py>,
) -> PyResult<(Vector, NonlinearReport)> {
    fn solve<T: Element>(
        py: Python<'_>,
        function: Py<PyAny>,
        guess: &CoreVector<T>,
        common: &Common<'_>,
    ) -> PyResult<(Vector, NonlinearReport)> {
        let m = agree(py, guess.comm(), given::<T>(&common.preconditioner, "the preconditioner"))?;
        run(py, function, guess, common.monitor.as_ref(), |function, mut monitor, x| {
            let solver = m.into_iter().fold(NonlinearCg::new(), |solver, m| solver.preconditioner(m));
            with_common!(solver, common, monitor).solve(function, x)
        })
    }
    each!(&guess.any, guess => solve(py, function, guess, &common))
}
