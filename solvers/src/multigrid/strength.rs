//! Strong entries of a matrix: those which tie unknowns together, and along which unknowns are aggregated.
//!
//! An entry is strong if its absolute value is above a threshold times the geometric mean of its two diagonal entries.
//! Nodes of several unknowns are tied together if any entry between them is strong.

use dolmen_core::index::at;
use dolmen_core::{CsrMatrix, ExchangePlan, Gid, Graph, IndexMap, Layout, LinearOperator, Real, Scalar};

use crate::error::Result;

/// Share of a diagonal entry that must be left when weak entries are added to it.
const LEFT: f64 = 0.1;

/// Returns the test for strong entries, which takes row, column and value of an own row.
///
/// # Collective
fn strength<T: Scalar>(a: &CsrMatrix<T>, threshold: f64) -> Result<impl Fn(Gid, Gid, T) -> bool> {
    let diagonal = a.diagonal().expect("invariant: a square matrix knows its diagonal");
    let ghosts = IndexMap::new(a.ghost_columns().to_vec())?;
    let imported = ExchangePlan::new(a.range(), &ghosts)?.import(&diagonal)?.to_vec();
    let size = move |row: Gid| match diagonal.layout().global_to_owned(row) {
        Some(place) => diagonal.owned()[place].abs().to_f64(),
        None => {
            imported[at(ghosts.global_to_local(row).expect("invariant: a column is owned or a ghost"))].abs().to_f64()
        }
    };
    let limit = threshold * threshold;
    Ok(move |row: Gid, column: Gid, value: T| {
        let value = value.abs().to_f64();
        (value / size(row)) * (value / size(column)) > limit
    })
}

/// Returns the strong part of a matrix, with the rest added to its diagonal; none if all of it is strong.
///
/// # Collective
pub(super) fn strong_part<T: Scalar>(a: &CsrMatrix<T>, threshold: f64) -> Result<Option<CsrMatrix<T>>> {
    let is_strong = strength(a, threshold)?;
    let entries = a.rows().flat_map(|row| row.entries().map(move |(column, value)| (row.index(), column, value)));
    let weak = entries.filter(|&(row, column, value)| row != column && !is_strong(row, column, value));
    let mut weak = [weak.count() as u64];
    a.range().comm().all_reduce_sum(&mut weak);
    if weak[0] == 0 { Ok(None) } else { filtered(a, is_strong).map(Some) }
}

/// Returns the entries of a matrix off its diagonal that are kept; the others are added to the diagonal, unless they would
/// leave little of it.
///
/// # Collective
pub(super) fn filtered<T: Scalar>(a: &CsrMatrix<T>, keep: impl Fn(Gid, Gid, T) -> bool) -> Result<CsrMatrix<T>> {
    let mut rows = a.rows();
    Ok(CsrMatrix::from_rows(a.range(), a.domain(), |number, row| {
        let Some(given) = rows.next() else { return };
        let (mut own, mut dropped) = (T::ZERO, T::ZERO);
        for (column, value) in given.entries() {
            if column == number {
                own = value;
            } else if keep(number, column, value) {
                row.push(column, value);
            } else {
                dropped += value;
            }
        }
        let sum = own + dropped;
        let is_left = sum.re().to_f64() > LEFT * own.re().to_f64();
        row.push(number, if is_left { sum } else { own });
    })?)
}

/// Returns the graph of the nodes of `block` unknowns, with an edge between those that a strong entry ties together. A
/// node is owned where its first row is.
///
/// # Collective
pub(super) fn node_graph<T: Scalar>(a: &CsrMatrix<T>, threshold: f64, block: usize) -> Result<Graph> {
    let (rows, block) = (a.range().range(), block as u64);
    let first_rows = rows.end.div_ceil(block) - rows.start.div_ceil(block);
    let comm = a.range().comm();
    let nodes = comm.agree(dolmen_core::index::to_len("nodes of a rank", first_rows))?;
    let nodes = Layout::from_local_len(comm, nodes)?;
    let is_strong = strength(a, threshold)?;
    let mut edges: Vec<(Gid, Gid)> = Vec::new();
    for row in a.rows() {
        let node = row.index() / block;
        let strong = row.entries().filter(|&(column, value)| is_strong(row.index(), column, value));
        for other in strong.map(|(column, _)| column / block).filter(|&other| other != node) {
            // Columns of one node follow each other.
            if edges.last() != Some(&(node, other)) {
                edges.push((node, other));
            }
        }
    }
    edges.sort_unstable();
    edges.dedup();
    Ok(Graph::from_edges(&nodes, edges)?)
}
