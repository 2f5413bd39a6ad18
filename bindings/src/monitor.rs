//! Monitors of a solve: a Python function, snapshots for it, and Ctrl-C.

use std::time::{Duration, Instant};

use dolmen::core::{Error, Snapshot as CoreSnapshot};
use dolmen::solvers::{Monitor, Progress, Request};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::keep;
use crate::report::{Snapshot, progress};
use crate::typed::Element;

/// Time between two looks at the signals of Python.
const LOOK: Duration = Duration::from_millis(50);

/// Tells a Python function of the progress. An exception, in the function or by Ctrl-C, stops the solve on all ranks.
pub(crate) struct Watch<'f> {
    function: Option<&'f Py<PyAny>>,
    /// A function that takes snapshots.
    snapshots: Option<&'f Py<PyAny>>,
    looked: Instant,
    failure: Option<PyErr>,
}

impl<'f> Watch<'f> {
    pub(crate) fn new(function: Option<&'f Py<PyAny>>, snapshots: Option<&'f Py<PyAny>>) -> Watch<'f> {
        Watch { function, snapshots, looked: Instant::now(), failure: None }
    }

    /// Returns the exception that stopped the solve, if one of this rank did.
    pub(crate) fn result(self) -> PyResult<()> {
        self.failure.map_or(Ok(()), Err)
    }

    pub(crate) fn request(&mut self, now: &Progress) -> Request {
        if self.failure.is_some() {
            return Request::Stop;
        }
        let looks = self.looked.elapsed() >= LOOK;
        if self.function.is_none() && !looks {
            return Request::Continue;
        }
        let answer = Python::attach(|py| {
            if looks {
                self.looked = Instant::now();
                py.check_signals()?;
            }
            let Some(function) = self.function else { return Ok(Request::Continue) };
            meaning(function.bind(py).call1((progress(now),))?)
        });
        answer.unwrap_or_else(|failure| {
            self.failure = Some(failure);
            Request::Stop
        })
    }
}

/// The request that a function's result stands for.
fn meaning(answer: Bound<'_, PyAny>) -> PyResult<Request> {
    if answer.is_none() {
        return Ok(Request::Continue);
    }
    if let Ok(stop) = answer.extract::<bool>() {
        return Ok(if stop { Request::Stop } else { Request::Continue });
    }
    match answer.extract::<String>().as_deref() {
        Ok("snapshot") => Ok(Request::Snapshot),
        Ok("stop") => Ok(Request::Stop),
        _ => Err(PyValueError::new_err(format!(
            "the monitor returned {answer}; expected None to continue, True or \"stop\", or \"snapshot\""
        ))),
    }
}

impl<T: Element> Monitor<T> for Watch<'_> {
    fn progress(&mut self, now: &Progress) -> Request {
        self.request(now)
    }

    fn snapshot(&mut self, snapshot: CoreSnapshot<T>) -> dolmen::solvers::Result<()> {
        let Some(function) = self.snapshots else { return Ok(()) };
        let taken = Python::attach(|py| function.call1(py, (Snapshot::from(snapshot),)).map(drop));
        let failed = |error| Error::Agreed { rank: 0, everywhere: false, message: keep(error) };
        Ok(taken.map_err(failed)?)
    }
}
