//! Columns of a file as vectors of a layout.

use crate::error::{Error, Result};
use crate::files::most_rows;
use dolmen_core::{CsrMatrix, Layout, LinearOperator, MultiVector, Redistribute, Scalar};
use std::collections::BTreeMap;
use std::path::Path;

/// Vectors on `rows` from runs of values: each rank gives values that follow each other, column
/// after column, with the number of the first.
///
/// # Collective
pub(crate) fn place_columns<'v, T: Scalar>(
    rows: &Layout,
    columns: usize,
    runs: impl Iterator<Item = (u64, &'v [T])>,
) -> MultiVector<T> {
    let mut vectors = MultiVector::zeros(rows, columns);
    let length = rows.global_len();
    let mut parts: BTreeMap<usize, (Vec<[u64; 3]>, Vec<T>)> = BTreeMap::new();
    for (first, mut values) in runs {
        let mut number = first;
        while !values.is_empty() {
            let (column, row) = (number / length, number % length);
            let end = row.saturating_add(values.len() as u64).min(length);
            for (rank, part) in rows.owners(row..end) {
                let (own, rest) = values.split_at(to_usize(part.end - part.start));
                let (places, sent) = parts.entry(rank).or_default();
                places.push([column, part.start, own.len() as u64]);
                sent.extend_from_slice(own);
                values = rest;
            }
            number += end - row;
        }
    }
    let (places, values): (Vec<_>, Vec<_>) =
        parts.into_iter().map(|(rank, (places, values))| ((rank, places), (rank, values))).unzip();
    let places = rows.comm().sparse_exchange(&places);
    let values = rows.comm().sparse_exchange(&values);
    for ((_, places), (_, values)) in places.into_iter().zip(values) {
        let mut values = &values[..];
        for [column, row, count] in places {
            let (own, rest) = values.split_at(to_usize(count));
            let start = rows.global_to_owned(row).expect("invariant: sent to the owner");
            vectors.column_mut(to_usize(column))[start..][..own.len()].copy_from_slice(own);
            values = rest;
        }
    }
    vectors
}

/// Returns the columns of a matrix, read from a file with this number of bytes of contents, as vectors on `rows`;
/// zero where it stores nothing.
///
/// # Collective
///
/// # Errors
/// More zeros than a file of its size is worth.
pub(crate) fn columns_of<T: Scalar>(
    path: &Path,
    matrix: &CsrMatrix<T>,
    rows: &Layout,
    bytes: u64,
) -> Result<MultiVector<T>> {
    let columns = matrix.domain().global_len();
    let entries = rows.global_len().saturating_mul(columns);
    if entries > most_rows(bytes) {
        let what =
            format!("{columns} sparse columns would make {entries} entries, nearly all zero; read it as a matrix");
        return Err(Error::argument(path, what));
    }
    let columns = to_usize(columns);
    let mut vectors = MultiVector::zeros(matrix.range(), columns);
    for (position, row) in matrix.rows().enumerate() {
        row.entries().for_each(|(column, value)| vectors.column_mut(to_usize(column))[position] = value);
    }
    let mut placed = MultiVector::zeros(rows, columns);
    Redistribute::new(matrix.range(), rows)?.apply_columns(&vectors, &mut placed)?;
    Ok(placed)
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).expect("invariant: part of what is in memory")
}
