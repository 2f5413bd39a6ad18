//! Index maps, exchange between owners and copies, and moves between layouts.

use dolmen::core::{Combine, ExchangePlan, IndexMap as CoreMap, Redistribute as CorePlan, Scatter as CoreScatter};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{agree, local};
use crate::gil::released;
use crate::layout::Layout;
use crate::typed::{Any, Element, Vectors};
use crate::vector::Vector;

/// Any set of global ids on this rank.
#[pyclass(frozen, module = "dolmen._dolmen")]
pub(crate) struct IndexMap {
    map: CoreMap,
}

#[pymethods]
impl IndexMap {
    #[new]
    fn new(py: Python<'_>, gids: PyReadonlyArray1<'_, u64>) -> PyResult<IndexMap> {
        let gids = gids.as_array().to_vec();
        let map = local(py, released(py, || CoreMap::new(gids)))?;
        Ok(IndexMap { map })
    }

    fn __len__(&self) -> usize {
        self.map.len()
    }

    #[getter]
    fn gids<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        PyArray1::from_slice(py, self.map.gids())
    }

    /// The local position of each id; the number of ids for those that are not here.
    fn local<'py>(&self, py: Python<'py>, gids: PyReadonlyArray1<'_, u64>) -> Bound<'py, PyArray1<i64>> {
        let find = |gid: &u64| self.map.global_to_local(*gid).map_or(-1, i64::from);
        let found: Vec<i64> = gids.as_array().iter().map(find).collect();
        PyArray1::from_vec(py, found)
    }
}

/// A plan between the owners of a layout and the copies of an index map.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Exchange {
    plan: ExchangePlan,
}

#[pymethods]
impl Exchange {
    #[new]
    fn new(py: Python<'_>, layout: &Layout, map: &IndexMap) -> PyResult<Exchange> {
        let plan = local(py, released(py, || ExchangePlan::new(&layout.layout, &map.map)))?;
        Ok(Exchange { plan })
    }

    #[getter]
    fn neighbors(&self) -> usize {
        self.plan.neighbors()
    }

    /// Copies of the owners' values, in the order of the index map.
    fn import_<'py>(&self, py: Python<'py>, x: &Vector) -> PyResult<Bound<'py, PyAny>> {
        each!(&x.any, x => {
            let copies = local(py, released(py, || self.plan.import(x).map(|copies| copies.to_vec())))?;
            Ok(PyArray1::from_vec(py, copies).into_any())
        })
    }

    /// Combines copies into the owners' values.
    fn export(&self, py: Python<'_>, copies: &Bound<'_, PyAny>, combine: &str, y: &mut Vector) -> PyResult<()> {
        let combine = combination(combine)?;
        each!(&mut y.any, y => {
            let copies = agree(py, self.plan.layout().comm(), values_like(y, copies))?;
            local(py, released(py, || self.plan.export(&copies, combine, y)))
        })
    }
}

/// Returns the combination of a name.
fn combination(name: &str) -> PyResult<Combine> {
    match name {
        "add" => Ok(Combine::Add),
        "insert" => Ok(Combine::Insert),
        "max" => Ok(Combine::Max),
        "min" => Ok(Combine::Min),
        other => {
            let text = format!("combine={other:?} is not known; use \"add\", \"insert\", \"max\" or \"min\"");
            Err(PyValueError::new_err(text))
        }
    }
}

/// Reads an array of the scalar of a vector.
fn values_like<T: Element>(_: &dolmen::core::Vector<T>, array: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    let array: PyReadonlyArray1<'_, T> = array.extract()?;
    Ok(array.as_array().to_vec())
}

/// A plan that moves vectors from one layout to another.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Redistribute {
    plan: CorePlan,
}

#[pymethods]
impl Redistribute {
    #[new]
    fn new(py: Python<'_>, from: &Layout, to: &Layout) -> PyResult<Redistribute> {
        let plan = local(py, released(py, || CorePlan::new(&from.layout, &to.layout)))?;
        Ok(Redistribute { plan })
    }

    fn apply(&self, py: Python<'_>, x: &Vector) -> PyResult<Vector> {
        each!(&x.any, x => moved(py, x, |y| self.plan.apply(x, y), self.plan.to()))
    }

    fn apply_reverse(&self, py: Python<'_>, y: &Vector) -> PyResult<Vector> {
        each!(&y.any, y => moved(py, y, |x| self.plan.apply_reverse(y, x), self.plan.from()))
    }
}

/// A plan that moves entries between two lists of global indices.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Scatter {
    plan: CoreScatter,
}

#[pymethods]
impl Scatter {
    #[new]
    fn new(
        py: Python<'_>,
        source: &Layout,
        from: PyReadonlyArray1<'_, u64>,
        target: &Layout,
        to: PyReadonlyArray1<'_, u64>,
    ) -> PyResult<Scatter> {
        let (from, to) = (from.as_array().to_vec(), to.as_array().to_vec());
        let made = released(py, || CoreScatter::new(&source.layout, &from, &target.layout, &to));
        Ok(Scatter { plan: local(py, made)? })
    }

    fn reversed(&self, py: Python<'_>) -> PyResult<Scatter> {
        Ok(Scatter { plan: local(py, released(py, || self.plan.reversed()))? })
    }

    #[getter]
    fn source(&self) -> Layout {
        self.plan.source().clone().into()
    }

    #[getter]
    fn target(&self) -> Layout {
        self.plan.target().clone().into()
    }

    fn apply(&self, py: Python<'_>, x: &Vector, combine: &str, y: &mut Vector) -> PyResult<()> {
        let combine = combination(combine)?;
        each!(&mut y.any, y => {
            let x = like(y, x)?;
            local(py, released(py, || self.plan.apply(x, combine, y)))
        })
    }
}

fn like<'v, T: Element>(_: &dolmen::core::Vector<T>, x: &'v Vector) -> PyResult<&'v dolmen::core::Vector<T>> {
    T::expect(&x.any, "the source")
}

fn moved<T: Element>(
    py: Python<'_>,
    _: &dolmen::core::Vector<T>,
    fill: impl FnOnce(&mut dolmen::core::Vector<T>) -> dolmen::core::Result<()>,
    layout: &dolmen::core::Layout,
) -> PyResult<Vector> {
    let mut result = dolmen::core::Vector::<T>::zeros(layout);
    local(py, released(py, || fill(&mut result)))?;
    let any: Any<Vectors> = T::wrap(result);
    Ok(any.into())
}
