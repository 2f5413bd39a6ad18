//! Layouts.

use dolmen::core::{BlockLayout, Blocks, Layout as CoreLayout};
use pyo3::prelude::*;

use crate::comm::Comm;
use crate::errors::local;
use crate::gil::released;

/// Which rank owns which rows.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Layout {
    pub(crate) layout: CoreLayout,
}

impl From<CoreLayout> for Layout {
    fn from(layout: CoreLayout) -> Layout {
        Layout { layout }
    }
}

#[pymethods]
impl Layout {
    #[staticmethod]
    fn uniform(py: Python<'_>, comm: &Comm, global_len: u64) -> PyResult<Layout> {
        let comm = &comm.comm;
        // The lengths of all ranks, so that others than this are an exception instead of the end of the job.
        let layout = released(py, || -> dolmen::Result<CoreLayout> {
            let blocks = Blocks::uniform(global_len, comm.size());
            Ok(CoreLayout::from_blocks(comm, blocks)?)
        });
        local(py, layout).map(Layout::from)
    }

    #[staticmethod]
    fn from_local(py: Python<'_>, comm: &Comm, local_len: usize) -> PyResult<Layout> {
        local(py, released(py, || CoreLayout::from_local_len(&comm.comm, local_len))).map(Layout::from)
    }

    #[staticmethod]
    fn on_one_rank(py: Python<'_>, comm: &Comm, global_len: u64, root: usize) -> PyResult<Layout> {
        local(py, released(py, || CoreLayout::on_one_rank(&comm.comm, global_len, root))).map(Layout::from)
    }

    #[staticmethod]
    fn stacked(py: Python<'_>, blocks: Vec<PyRef<'_, Layout>>) -> PyResult<Layout> {
        let blocks: Vec<&CoreLayout> = blocks.iter().map(|block| &block.layout).collect();
        let stacked = local(py, BlockLayout::new(&blocks))?;
        Ok(stacked.stacked().clone().into())
    }

    fn restricted(&self, py: Python<'_>, start: u64, stop: u64) -> PyResult<Layout> {
        local(py, self.layout.restricted(&(start..stop))).map(Layout::from)
    }

    fn refined(&self, py: Python<'_>, factor: usize) -> PyResult<Layout> {
        local(py, self.layout.refined(factor)).map(Layout::from)
    }

    #[getter]
    fn comm(&self) -> Comm {
        Comm { comm: self.layout.comm().clone() }
    }

    #[getter]
    fn global_len(&self) -> u64 {
        self.layout.global_len()
    }

    #[getter]
    fn local_len(&self) -> usize {
        self.layout.local_len()
    }

    /// The owned runs of rows: start and end of each.
    #[getter]
    fn runs(&self) -> Vec<(u64, u64)> {
        self.layout.runs().iter().map(|run| (run.rows.start, run.rows.end)).collect()
    }

    fn owner(&self, row: u64) -> Option<usize> {
        self.layout.owner(row)
    }

    fn __eq__(&self, other: &Layout) -> bool {
        self.layout == other.layout
    }
}
