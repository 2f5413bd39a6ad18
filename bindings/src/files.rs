//! Matrices and vectors in files of any format.

use dolmen::io::{self, Description, Location, Matrix as FileMatrix, Vectors as FileVectors};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::comm::Comm;
use crate::errors::local;
use crate::gil::released;
use crate::layout::Layout;
use crate::matrix::Matrix;
use crate::multi_vector::MultiVector;

fn location(name: &str, allow_external: bool) -> Location {
    Location::from(name).allow_external(allow_external)
}

fn described<'py>(py: Python<'py>, description: &Description) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("format", description.format.to_string())?;
    fields.set_item("storage", description.storage.to_string())?;
    fields.set_item("field", description.field.to_string())?;
    fields.set_item("symmetry", description.symmetry.to_string())?;
    fields.set_item("shape", (description.rows, description.columns))?;
    fields.set_item("entries", description.entries)?;
    fields.set_item("right_hand_sides", description.right_hand_sides)?;
    fields.set_item("block_size", description.block_size)?;
    fields.set_item("is_vectors", description.is_vectors())?;
    Ok(fields)
}

/// The size and kind of what a file holds.
#[pyfunction]
pub(crate) fn describe<'py>(
    py: Python<'py>,
    comm: &Comm,
    name: &str,
    allow_external: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let from = location(name, allow_external);
    let description = local(py, released(py, || io::describe(&comm.comm, from)))?;
    described(py, &description)
}

/// Reads a matrix, of real or complex numbers as the file has them.
#[pyfunction]
pub(crate) fn read_matrix(py: Python<'_>, comm: &Comm, name: &str, allow_external: bool) -> PyResult<Matrix> {
    let from = location(name, allow_external);
    let (matrix, _) = local(py, released(py, || FileMatrix::read(&comm.comm, from)))?;
    Ok(match matrix {
        FileMatrix::Real(matrix) => matrix.into(),
        FileMatrix::Complex(matrix) => matrix.into(),
    })
}

/// Reads vectors on a layout.
#[pyfunction]
pub(crate) fn read_vectors(py: Python<'_>, layout: &Layout, name: &str, allow_external: bool) -> PyResult<MultiVector> {
    let from = location(name, allow_external);
    let (vectors, _) = local(py, released(py, || FileVectors::read(from, &layout.layout)))?;
    Ok(match vectors {
        FileVectors::Real(vectors) => vectors.into(),
        FileVectors::Complex(vectors) => vectors.into(),
    })
}

#[pyfunction]
pub(crate) fn write_matrix(py: Python<'_>, matrix: &Matrix, name: &str) -> PyResult<()> {
    each!(&matrix.any, a => local(py, released(py, || io::write_matrix(a, name))))
}

#[pyfunction]
pub(crate) fn write_vectors(py: Python<'_>, vectors: &MultiVector, name: &str) -> PyResult<()> {
    each!(&vectors.any, x => local(py, released(py, || io::write_vectors(x, name))))
}
