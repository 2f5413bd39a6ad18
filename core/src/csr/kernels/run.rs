//! Runs: consecutive rows of a local matrix that one kernel call multiplies.

use crate::index::{Lid, at, to_lid};
use std::ops::Range;

/// Relation between the rows of a [`Run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not at all.
    General,
    /// Each has the columns of the one above plus one.
    Shifted,
    /// Shifted, with the values of the one above.
    Uniform,
}

/// Consecutive rows that one kernel call multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: Lid,
    pub(super) rows: Lid,
    pub(super) kind: Kind,
}

impl Run {
    pub(super) fn range(&self) -> Range<usize> {
        at(self.first)..at(self.first) + at(self.rows)
    }
}

/// Rows a run must have to be worth a lane kernel: two registers of them.
pub(super) const fn min_run<T>() -> usize {
    64 / size_of::<T>()
}

/// Splits rows into those without and with a ghost column, each into runs.
pub(super) fn find_runs(starts: &[usize], columns: &[u32], owned: usize, min_run: usize) -> (Vec<Run>, Vec<Run>) {
    let row = |i: usize| &columns[starts[i]..starts[i + 1]];
    let (mut interior, mut boundary) = (Vec::new(), Vec::new());
    let rows = starts.len() - 1;
    let mut first = 0;
    while first < rows {
        let mut end = first + 1;
        if row(first).iter().any(|&c| at(c) >= owned) {
            push(&mut boundary, first, end, Kind::General);
        } else {
            // Most rows of a matrix without runs end here.
            if end < rows && is_shifted(row(first), row(end)) {
                // One below the last owned column, so that no row of the run reaches a ghost.
                let room = row(first).iter().max().map_or(rows, |&c| owned - at(c));
                let stop = rows.min(first.saturating_add(room));
                while end < stop && is_shifted(row(end - 1), row(end)) {
                    end += 1;
                }
            }
            let long = end - first >= min_run;
            push(&mut interior, first, end, if long { Kind::Shifted } else { Kind::General });
        }
        first = end;
    }
    interior.shrink_to_fit();
    boundary.shrink_to_fit();
    (interior, boundary)
}

/// Returns true if `next` has the columns of `row`, each plus one.
fn is_shifted(row: &[u32], next: &[u32]) -> bool {
    row.len() == next.len() && row.iter().zip(next).all(|(&a, &b)| b.wrapping_sub(a) == 1)
}

/// Appends rows `first..end`, to the last run if both are general and adjacent.
fn push(runs: &mut Vec<Run>, first: usize, end: usize, kind: Kind) {
    let narrow = |i: usize| to_lid("rows", i).expect("invariant: rows were counted in u32");
    let (first, rows) = (narrow(first), narrow(end - first));
    match runs.last_mut() {
        Some(last) if last.kind == Kind::General && kind == last.kind && last.first + last.rows == first => {
            last.rows += rows;
        }
        _ => runs.push(Run { first, rows, kind }),
    }
}
