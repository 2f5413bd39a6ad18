//! Profiles of where the time goes.

use std::path::PathBuf;

use dolmen::core::profile::{EventSummary, Profile as CoreProfile, Spread};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::comm::Comm;
use crate::errors::local;
use crate::gil::released;

/// A recording under way.
#[pyclass(unsendable, module = "dolmen._dolmen")]
pub(crate) struct Profile {
    profile: Option<CoreProfile>,
}

#[pyfunction]
pub(crate) fn start_profile(py: Python<'_>, comm: &Comm) -> PyResult<Profile> {
    let profile = local(py, released(py, || CoreProfile::start(&comm.comm)))?;
    Ok(Profile { profile: Some(profile) })
}

#[pymethods]
impl Profile {
    /// Stops to record: the table, the events, and the trace in a file if there is a path.
    fn finish<'py>(&mut self, py: Python<'py>, trace: Option<PathBuf>) -> PyResult<(String, Vec<Bound<'py, PyDict>>)> {
        let profile = self.profile.take().ok_or_else(|| PyRuntimeError::new_err("the profile is finished already"))?;
        let (summary, timeline) = released(py, || profile.finish());
        if let Some(path) = trace {
            local(py, released(py, || timeline.write(path)))?;
        }
        let events = summary.events().iter().map(|event| described(py, event)).collect::<PyResult<Vec<_>>>()?;
        Ok((summary.to_string(), events))
    }
}

fn described<'py>(py: Python<'py>, event: &EventSummary) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("name", &event.name)?;
    fields.set_item("depth", event.depth)?;
    fields.set_item("count", event.count)?;
    fields.set_item("time", spread(event.time))?;
    fields.set_item("own_time", spread(event.own_time))?;
    fields.set_item("flops", event.flops)?;
    fields.set_item("bytes", event.bytes)?;
    fields.set_item("messages", event.messages)?;
    fields.set_item("message_bytes", event.message_bytes)?;
    Ok(fields)
}

/// The shortest, the longest and the mean time over the ranks, in s.
fn spread(time: Spread) -> (f64, f64, f64) {
    (time.min, time.max, time.mean)
}
