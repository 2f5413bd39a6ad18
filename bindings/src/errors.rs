//! Errors of the toolkit as exceptions, and exceptions that all ranks raise together.
//!
//! An error keeps its kind: `dolmen._errors` has a class for each group of kinds, which derives from the class that
//! Python users catch (`ValueError`, `OSError`, ...). An exception that a Python function raised on one rank travels
//! pickled to the others, so that it comes back as itself on all.

use std::cell::RefCell;
use std::fmt::{Debug, Display};
use std::path::Path;

use dolmen::core::{Comm, Error as CoreError};
use dolmen::io::Error as IoError;
use dolmen::solvers::Error as SolverError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

thread_local! {
    /// An exception of a Python function on this rank, of which the toolkit carries the text.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Keeps an exception until the call in which it was raised returns, and gives its text.
pub(crate) fn keep(error: PyErr) -> String {
    let text = error.to_string();
    RAISED.with_borrow_mut(|raised| *raised = Some(error));
    text
}

/// Returns the result of a collective call. Where it failed because of a Python function, its exception is raised.
///
/// # Collective
/// A broadcast after a failure.
pub(crate) fn outcome<R, E: Into<dolmen::Error>>(py: Python<'_>, comm: &Comm, result: Result<R, E>) -> PyResult<R> {
    let error: dolmen::Error = match result {
        Ok(value) => {
            // A function that failed in a place that goes on after failures.
            RAISED.with_borrow_mut(Option::take);
            return Ok(value);
        }
        Err(error) => error.into(),
    };
    match failed_rank(&error) {
        Some(rank) => {
            let mine = RAISED.with_borrow_mut(Option::take);
            Err(share(py, comm, rank, mine)?.unwrap_or_else(|| exception(py, &error)))
        }
        None => Err(exception(py, &error)),
    }
}

/// Returns the result of a call that does not communicate, or that cannot run a Python function.
pub(crate) fn local<R, E: Into<dolmen::Error>>(py: Python<'_>, result: Result<R, E>) -> PyResult<R> {
    result.map_err(|error| exception(py, &error.into()))
}

/// Raises an exception of the lowest rank that has one on all ranks.
///
/// # Collective
/// A reduction, on several ranks; a broadcast after a failure.
pub(crate) fn agree<R>(py: Python<'_>, comm: &Comm, result: PyResult<R>) -> PyResult<R> {
    if comm.size() == 1 {
        return result;
    }
    let (value, mine) = match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    };
    let text = mine.as_ref().map_or(Ok(()), |error| Err(error.to_string()));
    match crate::gil::released(py, || comm.agree_text(text)) {
        Ok(()) => value.ok_or_else(|| PyRuntimeError::new_err("invariant: no rank failed")),
        Err(CoreError::Agreed { rank, .. }) => {
            let error = share(py, comm, rank, mine)?;
            Err(error.unwrap_or_else(|| PyRuntimeError::new_err("invariant: that rank has an exception")))
        }
        Err(other) => Err(exception(py, &other.into())),
    }
}

/// The rank whose function failed, of an error that is known by its text.
fn failed_rank(error: &dolmen::Error) -> Option<usize> {
    let core = match error.cause() {
        dolmen::Error::Core(error) | dolmen::Error::Solvers(SolverError::Core(error)) => error,
        dolmen::Error::Io(IoError::Core(error)) => error,
        _ => return None,
    };
    match (core.cause(), error) {
        (CoreError::Agreed { .. }, dolmen::Error::OnRank { rank, .. }) => Some(*rank),
        (CoreError::Agreed { rank, .. }, _) => Some(*rank),
        _ => None,
    }
}

/// Sends the exception of `rank`, if it has one, to all others; a rank that has one of its own keeps that.
///
/// # Collective
fn share(py: Python<'_>, comm: &Comm, rank: usize, mine: Option<PyErr>) -> PyResult<Option<PyErr>> {
    let module = py.import("dolmen._errors")?;
    let mut bytes: Vec<u8> = match &mine {
        Some(error) if comm.rank() == rank => module.getattr("pack")?.call1((error.value(py), rank))?.extract()?,
        _ => Vec::new(),
    };
    comm.broadcast(rank, &mut bytes);
    if bytes.is_empty() {
        return Ok(None);
    }
    if let (Some(error), true) = (mine, comm.rank() == rank) {
        return Ok(Some(error));
    }
    let error = module.getattr("unpack")?.call1((PyBytes::new(py, &bytes),))?;
    Ok(Some(PyErr::from_value(error)))
}

/// Returns the exception of an error that all ranks have.
pub(crate) fn exception(py: Python<'_>, error: &dolmen::Error) -> PyErr {
    let (rank, cause) = match error {
        dolmen::Error::OnRank { rank, .. } => (Some(*rank), error.cause()),
        other => (None, other),
    };
    let (class, kind, path) = classify(cause);
    made(py, (class, error.to_string(), kind, rank, path))
}

fn made(py: Python<'_>, fields: (&str, String, String, Option<usize>, Option<String>)) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let make = py.import("dolmen._errors")?.getattr("make")?;
        Ok(PyErr::from_value(make.call1(fields)?))
    };
    make().unwrap_or_else(|failure| failure)
}

/// Returns the exception of a call that is not made as it has to be, on this rank.
pub(crate) fn misuse(py: Python<'_>, class: &str, text: &str) -> PyErr {
    made(py, (class, text.to_owned(), class.trim_end_matches("Error").to_owned(), None, None))
}

/// Returns the exception of an error of another library that all ranks have.
pub(crate) fn failed(py: Python<'_>, class: &str, error: &(impl Debug + Display), path: Option<&Path>) -> PyErr {
    let path = path.map(|path| path.to_string_lossy().into_owned());
    made(py, (class, error.to_string(), kind(error), None, path))
}

/// The class of an error, its kind and the file that it is about.
fn classify(error: &dolmen::Error) -> (&'static str, String, Option<String>) {
    match error {
        dolmen::Error::Core(error) => (core_class(error), kind(error), None),
        dolmen::Error::Solvers(error) => (solver_class(error), kind(error), None),
        dolmen::Error::Io(error) => {
            let cause = error.cause();
            let path = cause.path().map(|path| path.to_string_lossy().into_owned());
            (io_class(cause), kind(cause), path)
        }
        other => ("Error", kind(other), None),
    }
}

/// The name of the variant.
fn kind(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// The class of an error of vectors, matrices and communication.
pub(crate) fn core_class(error: &CoreError) -> &'static str {
    match error {
        CoreError::RanksDisagree { .. } => "RanksDisagreeError",
        CoreError::LayoutMismatch { .. }
        | CoreError::CommMismatch { .. }
        | CoreError::StackedLayout { .. }
        | CoreError::LocalLength { .. }
        | CoreError::Shape { .. }
        | CoreError::PatternMismatch { .. }
        | CoreError::NotRows { .. }
        | CoreError::Offsets { .. } => "LayoutError",
        CoreError::IndexOutOfRange { .. }
        | CoreError::NoSuchColumn { .. }
        | CoreError::ForeignRow { .. }
        | CoreError::ForeignColumn { .. }
        | CoreError::NotStored { .. }
        | CoreError::NotAPermutation { .. }
        | CoreError::NoSuchRank { .. }
        | CoreError::Repeated { .. } => "GlobalIndexError",
        CoreError::RankDeficient { .. }
        | CoreError::NotPositiveDefinite { .. }
        | CoreError::Singular { .. }
        | CoreError::ZeroEigenvalue { .. }
        | CoreError::NoConvergence { .. }
        | CoreError::NotFinite { .. } => "SingularError",
        CoreError::TooLarge { .. } | CoreError::GraphTooLarge { .. } => "TooLargeError",
        CoreError::Environment { .. } | CoreError::Threads { .. } | CoreError::Grid { .. } => "SettingError",
        _ => "Error",
    }
}

/// The class of an error of a solver.
pub(crate) fn solver_class(error: &SolverError) -> &'static str {
    match error {
        SolverError::Core(error) => core_class(error.cause()),
        SolverError::Layout { .. } => "LayoutError",
        SolverError::Unfit { .. }
        | SolverError::Level { .. }
        | SolverError::Singular { .. }
        | SolverError::NoSpectrum { .. }
        | SolverError::MassNotPositive { .. }
        | SolverError::Unstable { .. } => "SingularError",
        SolverError::OutOfMemory { .. } => "TooLargeError",
        SolverError::NotConverged(_) => "NotConvergedError",
        SolverError::OutOfRange { .. } => "RangeError",
        _ => "SettingError",
    }
}

fn io_class(error: &IoError) -> &'static str {
    match error {
        IoError::Core(error) => core_class(error.cause()),
        IoError::Length { .. } => "LayoutError",
        _ => "FileError",
    }
}
