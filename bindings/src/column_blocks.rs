//! Matrices of small blocks that lie where their columns are owned.

use dolmen::core::{ColumnBlockMatrix, Stored};
use numpy::{PyReadonlyArray1, PyReadonlyArray3};
use pyo3::prelude::*;

use crate::errors::local;
use crate::gil::released;
use crate::layout::Layout;
use crate::operator::Operator;

/// Blocks in single or double precision, one after the other.
#[derive(FromPyObject)]
pub(crate) enum Values<'py> {
    Single(PyReadonlyArray3<'py, f32>),
    Double(PyReadonlyArray3<'py, f64>),
}

fn made<S: Stored + numpy::Element>(
    py: Python<'_>,
    [rows, columns]: [&Layout; 2],
    [row_ids, column_ids]: [Vec<u64>; 2],
    blocks: &PyReadonlyArray3<'_, S>,
) -> PyResult<Operator> {
    let blocks = blocks.as_array();
    let (_, r, c) = blocks.dim();
    let values: Vec<S> = blocks.permuted_axes([0, 2, 1]).iter().copied().collect();
    let matrix =
        released(py, || ColumnBlockMatrix::new(&rows.layout, &columns.layout, [r, c], row_ids, &column_ids, values));
    Ok(Operator::new::<f64>(local(py, matrix)?))
}

/// Makes the matrix from global block rows and columns and the blocks, of which the last two axes are rows and columns.
#[pyfunction]
pub(crate) fn column_blocks(
    py: Python<'_>,
    rows: &Layout,
    columns: &Layout,
    row_ids: PyReadonlyArray1<'_, u64>,
    column_ids: PyReadonlyArray1<'_, u64>,
    blocks: Values<'_>,
) -> PyResult<Operator> {
    let (layouts, ids) = ([rows, columns], [row_ids, column_ids].map(|ids| ids.as_array().to_vec()));
    match &blocks {
        Values::Single(blocks) => made(py, layouts, ids, blocks),
        Values::Double(blocks) => made(py, layouts, ids, blocks),
    }
}
