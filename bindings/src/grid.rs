//! Structured grids.

use dolmen::core::{Cut, Ghosted as CoreGhosted, Grid as CoreGrid, GridSettings, NaturalOrder, Stencil};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::comm::Comm;
use crate::errors::{agree, local};
use crate::gil::released;
use crate::layout::Layout;
use crate::typed::{Any, Element, Vectors};
use crate::vector::Vector;

/// Settings of a grid, as the Python layer gives them in a dictionary.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    dofs: usize,
    width: u64,
    stencil: String,
    periodic: [bool; 3],
    /// `slabs`, `boxes`, or nothing where `processes` are given.
    cut: Option<String>,
    processes: Option<[usize; 3]>,
}

impl Options {
    fn settings(self) -> PyResult<GridSettings> {
        let Options { dofs, width, periodic, .. } = self;
        let stencil = match self.stencil.as_str() {
            "star" => Stencil::Star,
            "box" => Stencil::Box,
            other => {
                let text = format!("stencil={other:?} is not known; use \"star\" or \"box\"");
                return Err(PyValueError::new_err(text));
            }
        };
        let cut = match (self.cut.as_deref(), self.processes) {
            (_, Some(processes)) => Cut::Given(processes),
            (Some("slabs"), None) => Cut::Slabs,
            (Some("boxes"), None) => Cut::Boxes,
            (other, None) => {
                let text = format!("cut={other:?} is not known; use \"slabs\", \"boxes\" or numbers of boxes");
                return Err(PyValueError::new_err(text));
            }
        };
        Ok(GridSettings { dofs, width, stencil, periodic, cut })
    }
}

/// A structured grid.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Grid {
    grid: CoreGrid,
}

#[pymethods]
impl Grid {
    #[new]
    fn new(py: Python<'_>, comm: &Comm, nodes: Vec<u64>, options: Options) -> PyResult<Grid> {
        let settings = agree(py, &comm.comm, options.settings())?;
        Ok(Grid { grid: local(py, released(py, || CoreGrid::new(&comm.comm, &nodes, settings)))? })
    }

    #[getter]
    fn layout(&self) -> Layout {
        self.grid.layout().clone().into()
    }

    #[getter]
    fn processes(&self) -> [usize; 3] {
        self.grid.processes()
    }

    /// Start and end of this rank's nodes along each axis.
    #[getter]
    fn owned(&self) -> [(u64, u64); 3] {
        self.grid.owned().map(|range| (range.start, range.end))
    }

    /// Global rows of an unknown at places of the grid; -1 where there is none.
    fn rows<'py>(
        &self,
        py: Python<'py>,
        places: [PyReadonlyArray1<'_, i64>; 3],
        dof: usize,
    ) -> Bound<'py, PyArray1<i64>> {
        let [x, y, z] = places.each_ref().map(|places| places.as_array());
        let row = |((&i, &j), &k): ((&i64, &i64), &i64)| {
            let row = self.grid.node([i, j, k]).and_then(|node| self.grid.row(node, dof));
            row.and_then(|row| i64::try_from(row).ok()).unwrap_or(-1)
        };
        PyArray1::from_vec(py, x.iter().zip(y.iter()).zip(z.iter()).map(row).collect())
    }

    fn ghosted(&self, py: Python<'_>) -> PyResult<Ghosted> {
        Ok(Ghosted { ghosted: local(py, released(py, || self.grid.ghosted()))? })
    }

    fn natural_order(&self, py: Python<'_>) -> PyResult<Natural> {
        Ok(Natural { order: local(py, released(py, || self.grid.natural_order()))? })
    }
}

/// A plan for the nodes around a rank's box.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Ghosted {
    ghosted: CoreGhosted,
}

#[pymethods]
impl Ghosted {
    /// Start and end of the places along each axis.
    #[getter]
    fn ranges(&self) -> [(i64, i64); 3] {
        self.ghosted.ranges().each_ref().map(|range| (range.start, range.end))
    }

    fn import_<'py>(&self, py: Python<'py>, x: &Vector) -> PyResult<Bound<'py, PyAny>> {
        each!(&x.any, x => {
            let mut values = Vec::new();
            local(py, released(py, || self.ghosted.import(x, &mut values)))?;
            Ok(PyArray1::from_vec(py, values).into_any())
        })
    }
}

/// Plans between the orders of a grid.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Natural {
    order: NaturalOrder,
}

#[pymethods]
impl Natural {
    fn to_natural(&self, py: Python<'_>, x: &Vector) -> PyResult<Vector> {
        each!(&x.any, x => Ok(wrapped(local(py, released(py, || self.order.to_natural(x)))?)))
    }

    fn to_distributed(&self, py: Python<'_>, natural: &Vector) -> PyResult<Vector> {
        each!(&natural.any, x => Ok(wrapped(local(py, released(py, || self.order.to_distributed(x)))?)))
    }
}

fn wrapped<T: Element>(vector: dolmen::core::Vector<T>) -> Vector {
    let any: Any<Vectors> = T::wrap(vector);
    any.into()
}
