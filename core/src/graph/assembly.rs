//! From edges given anywhere to sorted rows of a symmetric pattern.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::index::{Gid, local, to_lid};
use crate::layout::Layout;

/// Compressed rows by global columns: those of row `i` are `columns[starts[i]..starts[i + 1]]`,
/// ascending and without repetition.
pub(super) struct Rows {
    pub(super) starts: Vec<usize>,
    pub(super) columns: Vec<Gid>,
}

/// Both directions of all edges but loops, each with the owner of its first end.
///
/// # Collective
pub(super) fn symmetric_rows(layout: &Layout, edges: impl IntoIterator<Item = (Gid, Gid)>) -> Result<Rows> {
    let comm = layout.comm();
    let mut own: Vec<[Gid; 2]> = Vec::new();
    let mut foreign: BTreeMap<usize, Vec<[Gid; 2]>> = BTreeMap::new();
    let sorted = to_lid("vertices of a graph on one rank", layout.local_len()).and_then(|_| {
        edges.into_iter().try_for_each(|(one, other)| {
            for (from, to) in [(one, other), (other, one)] {
                let Some(owner) = owner(layout, from) else {
                    return Err(Error::IndexOutOfRange { what: "vertex", index: from, bound: layout.global_len() });
                };
                if one != other {
                    if owner == comm.rank() { &mut own } else { foreign.entry(owner).or_default() }.push([from, to]);
                }
            }
            Ok(())
        })
    });
    comm.agree(sorted)?;
    let received = comm.sparse_exchange(&foreign.into_iter().collect::<Vec<_>>());
    own.extend(received.into_iter().flat_map(|(_, pairs)| pairs));
    Ok(rows(layout, &own))
}

/// Returns the owner of a vertex; most edges are between vertices of one rank.
fn owner(layout: &Layout, vertex: Gid) -> Option<usize> {
    if layout.range().contains(&vertex) { Some(layout.comm().rank()) } else { layout.blocks().owner(vertex) }
}

/// Groups pairs by their first end, which is owned, and sorts each group.
fn rows(layout: &Layout, pairs: &[[Gid; 2]]) -> Rows {
    let (first, count) = (layout.range().start, layout.local_len());
    let mut starts = vec![0; count + 1];
    for [from, _] in pairs {
        starts[local(from - first) + 1] += 1;
    }
    for row in 0..count {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut columns = vec![0; pairs.len()];
    for &[from, to] in pairs {
        let slot = &mut next[local(from - first)];
        columns[*slot] = to;
        *slot += 1;
    }
    normalized(starts, columns)
}

/// Sorts each row and drops repetitions.
fn normalized(mut starts: Vec<usize>, mut columns: Vec<Gid>) -> Rows {
    let (mut from, mut end) = (0, 0);
    for row in 1..starts.len() {
        let to = starts[row];
        columns[from..to].sort_unstable();
        let first = end;
        for entry in from..to {
            let column = columns[entry];
            if end == first || columns[end - 1] != column {
                columns[end] = column;
                end += 1;
            }
        }
        starts[row] = end;
        from = to;
    }
    columns.truncate(end);
    Rows { starts, columns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_repetitions_dropped() {
        let rows = normalized(vec![0, 3, 3, 4, 8], vec![9, 2, 9, 7, 1, 1, 0, 1]);
        assert_eq!(rows.starts, [0, 2, 2, 3, 5]);
        assert_eq!(rows.columns, [2, 9, 7, 0, 1]);
    }
}
