//! Preconditioners by their text, and the lists of what there is.

use std::rc::Rc;

use dolmen::core::{CsrMatrix, LinearOperator};
use dolmen::solvers::{Key, Method, MethodSettings, Multigrid, PreconditionerKind, PreconditionerSettings};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{agree, local};
use crate::gil::released;
use crate::matrix::Matrix;
use crate::multi_vector::MultiVector as Vectors;
use crate::operator::Operator;
use crate::typed::Element;

/// Makes a preconditioner of a matrix from a text such as `schwarz(overlap=1, ilu(2))`; nothing for `none`.
#[pyfunction]
pub(crate) fn precondition(py: Python<'_>, matrix: &Matrix, settings: &str) -> PyResult<Option<Operator>> {
    let settings: PyResult<PreconditionerSettings> = local(py, settings.parse());
    let settings = each!(&matrix.any, a => agree(py, a.range().comm(), settings))?;
    each!(&matrix.any, a => Ok(local(py, released(py, || settings.make_shared(a)))?.map(Operator::new)))
}

/// Makes multigrid of a matrix from a text such as `multigrid(block=3)`, perhaps with near-null-space vectors. Gives the
/// operator and the table of its levels.
#[pyfunction]
pub(crate) fn multigrid(
    py: Python<'_>,
    matrix: &Matrix,
    settings: &str,
    near_null_space: Option<&Vectors>,
) -> PyResult<(Operator, String)> {
    fn made<T: Element>(
        py: Python<'_>,
        a: &Rc<CsrMatrix<T>>,
        settings: &str,
        near_null_space: Option<&Vectors>,
    ) -> PyResult<(Operator, String)> {
        let settings = local(py, settings.parse()).and_then(|settings| match settings {
            PreconditionerSettings::Multigrid(settings) => Ok(settings),
            other => Err(PyValueError::new_err(format!("expected settings of multigrid, got {other}"))),
        });
        let vectors = near_null_space.map(|vectors| T::expect(&vectors.any, "near_null_space")).transpose();
        let both = settings.and_then(|settings| Ok((settings, vectors?)));
        let (settings, vectors) = agree(py, a.range().comm(), both)?;
        let made = released(py, || match vectors {
            Some(vectors) => Multigrid::with_near_null_space(a, settings, vectors),
            None => Multigrid::with_settings(a, settings),
        });
        let multigrid = local(py, made)?;
        let levels = multigrid.to_string();
        Ok((Operator::new(multigrid), levels))
    }
    each!(&matrix.any, a => made(py, a, settings, near_null_space))
}

/// Computes the rigid-body modes of nodes from their coordinates.
#[pyfunction]
pub(crate) fn rigid_body_modes(py: Python<'_>, coordinates: &Vectors, dtype: &str) -> PyResult<Vectors> {
    let coordinates = f64::expect(&coordinates.any, "coordinates")?;
    for_dtype!(dtype, T => Ok(local(py, released(py, || dolmen::solvers::rigid_body_modes::<T>(coordinates)))?.into()))
}

/// Names of settings with their defaults and what they may be.
type Keys = Vec<(String, String, String)>;

fn keys(keys: Vec<Key>) -> Keys {
    keys.into_iter().map(|key| (key.name.to_owned(), key.value, key.expected)).collect()
}

/// The methods: name, title, whether it is for least squares, and its settings.
#[pyfunction]
pub(crate) fn methods() -> Vec<(&'static str, &'static str, bool, Keys)> {
    let described = |method: &Method| {
        (method.name(), method.title(), method.is_least_squares(), keys(MethodSettings::from(*method).keys()))
    };
    Method::ALL.iter().map(described).collect()
}

/// The preconditioners: name and settings.
#[pyfunction]
pub(crate) fn preconditioners() -> Vec<(&'static str, Keys)> {
    let described = |kind: &PreconditionerKind| (kind.name(), keys(PreconditionerSettings::from(*kind).keys()));
    PreconditionerKind::ALL.iter().map(described).collect()
}
