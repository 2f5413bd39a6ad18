//! Checkpoints of a program's own state.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use dolmen::io::checkpoint::{Checkpoint, CheckpointStore as CoreStore, Restored as CoreRestored};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::comm::Comm;
use crate::errors::local;
use crate::gil::released;
use crate::layout::Layout;
use crate::vector::Vector;

/// A folder of checkpoints, which no other store has while this one is open.
#[pyclass(unsendable, module = "dolmen._dolmen")]
pub(crate) struct CheckpointStore {
    store: Option<CoreStore>,
}

/// Numbers, texts and lists of a checkpoint, by their names.
type Named<V> = Vec<(String, V)>;

#[pymethods]
impl CheckpointStore {
    #[new]
    fn new(py: Python<'_>, comm: &Comm, folder: PathBuf, keep: usize) -> PyResult<CheckpointStore> {
        let store = local(py, released(py, || CoreStore::open(&comm.comm, folder)))?;
        Ok(CheckpointStore { store: Some(store.keep(keep)) })
    }

    /// Gives the folder back.
    fn close(&mut self) {
        self.store = None;
    }

    fn is_empty(&self, py: Python<'_>) -> PyResult<bool> {
        let store = self.store.as_ref().ok_or_else(closed)?;
        local(py, released(py, || store.is_empty()))
    }

    /// Writes a checkpoint and returns its number and file.
    fn save(
        &mut self,
        py: Python<'_>,
        config: &str,
        texts: Named<String>,
        integers: Named<u64>,
        reals: Named<Vec<f64>>,
        vectors: Vec<(String, PyRef<'_, Vector>)>,
    ) -> PyResult<(u64, PathBuf)> {
        let store = self.store.as_mut().ok_or_else(closed)?;
        let mut checkpoint = Checkpoint::new(config);
        for (name, value) in texts {
            checkpoint = checkpoint.text(&name, value);
        }
        for (name, value) in integers {
            checkpoint = checkpoint.integer(&name, value);
        }
        for (name, values) in &reals {
            checkpoint = checkpoint.reals(name, values);
        }
        for (name, vector) in &vectors {
            each!(&vector.any, x => checkpoint = checkpoint.vector(name, x));
        }
        let saved = local(py, released(py, || store.save(&checkpoint)))?;
        Ok((saved.generation, saved.path))
    }

    /// The newest valid checkpoint, if there is any.
    fn load(&mut self, py: Python<'_>) -> PyResult<Option<Restored>> {
        let store = self.store.as_mut().ok_or_else(closed)?;
        let restored = local(py, released(py, || store.load()))?;
        Ok(restored.map(|restored| Restored { restored }))
    }
}

fn closed() -> PyErr {
    PyRuntimeError::new_err("the store of checkpoints is closed")
}

/// The content of a checkpoint.
#[pyclass(unsendable, module = "dolmen._dolmen")]
pub(crate) struct Restored {
    restored: CoreRestored,
}

#[pymethods]
impl Restored {
    fn require_config(&self, py: Python<'_>, config: &str) -> PyResult<()> {
        local(py, self.restored.require_config(config))
    }

    /// File, number, time, ranks, configuration, and what was skipped.
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let facts = PyDict::new(py);
        let restored = &self.restored;
        let time = restored.time().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        facts.set_item("path", restored.path())?;
        facts.set_item("generation", restored.generation())?;
        facts.set_item("time", time)?;
        facts.set_item("ranks", restored.ranks())?;
        facts.set_item("config", restored.config())?;
        let skipped: Vec<_> = restored.skipped().iter().map(|skipped| (&skipped.path, &skipped.reason)).collect();
        facts.set_item("skipped", skipped)?;
        Ok(facts)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.restored.text(name)
    }

    fn integer(&self, name: &str) -> Option<u64> {
        self.restored.integer(name)
    }

    fn reals(&self, name: &str) -> Option<Vec<f64>> {
        self.restored.reals(name).map(<[f64]>::to_vec)
    }

    /// Takes a vector out.
    fn take_vector(&mut self, py: Python<'_>, name: &str, layout: &Layout, dtype: &str) -> PyResult<Option<Vector>> {
        for_dtype!(dtype, T => {
            let taken = released(py, || self.restored.take_vector::<T>(name, &layout.layout));
            Ok(local(py, taken)?.map(Vector::from))
        })
    }
}
