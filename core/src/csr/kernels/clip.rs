//! Runs cut to a range of rows, so that threads can share a matrix.

use std::ops::Range;

use crate::index::{Lid, at, to_lid};

use super::run::{Kind, Run};

/// The part of a list of runs that lies in a range of rows: the runs inside, and what is left of
/// those at its ends.
pub(super) struct Clipped<'r> {
    first: Option<Run>,
    inside: &'r [Run],
    last: Option<Run>,
}

impl<'r> Clipped<'r> {
    /// Pieces of runs with fewer than `min_run` rows become general.
    pub(super) fn new(runs: &'r [Run], rows: &Range<usize>, min_run: usize) -> Clipped<'r> {
        let begin = runs.partition_point(|run| run.range().end <= rows.start);
        let end = runs.partition_point(|run| at(run.first) < rows.end);
        let mut inside = if rows.is_empty() { &[] } else { &runs[begin..end] };
        let mut cut = |at_end: bool| {
            let run = if at_end { inside.last() } else { inside.first() }?;
            let Range { start, end } = run.range();
            if start >= rows.start && end <= rows.end {
                return None;
            }
            inside = if at_end { &inside[..inside.len() - 1] } else { &inside[1..] };
            Some(piece(*run, start.max(rows.start)..end.min(rows.end), min_run))
        };
        let first = cut(false);
        let last = cut(true);
        Clipped { first, inside, last }
    }

    /// Returns the runs, in order.
    pub(super) fn slices(&self) -> [&[Run]; 3] {
        [self.first.as_slice(), self.inside, self.last.as_slice()]
    }
}

fn piece(run: Run, rows: Range<usize>, min_run: usize) -> Run {
    let narrow = |row: usize| -> Lid { to_lid("rows", row).expect("invariant: rows of a run are counted in u32") };
    let kind = if rows.len() < min_run { Kind::General } else { run.kind };
    Run { first: narrow(rows.start), rows: narrow(rows.len()), kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_where_rows_end() {
        let run = |first, rows, kind| Run { first, rows, kind };
        // Rows 3 and 4 are in another list.
        let runs = [run(0, 3, Kind::General), run(5, 10, Kind::Shifted), run(15, 8, Kind::Uniform)];
        let clipped = |rows: Range<usize>| {
            let clipped = Clipped::new(&runs, &rows, 4);
            let expected: Vec<usize> = (0..3).chain(5..23).filter(|row| rows.contains(row)).collect();
            let found: Vec<usize> = clipped.slices().into_iter().flatten().flat_map(Run::range).collect();
            assert_eq!(found, expected, "{rows:?}");
            clipped.slices().concat()
        };
        assert_eq!(clipped(0..23), runs);
        assert_eq!(clipped(5..15), runs[1..2]);
        assert_eq!(clipped(1..19), [run(1, 2, Kind::General), runs[1], run(15, 4, Kind::Uniform)]);
        assert_eq!(clipped(7..12), [run(7, 5, Kind::Shifted)]);
        assert_eq!(clipped(6..18), [run(6, 9, Kind::Shifted), run(15, 3, Kind::General)]);
        for rows in [0..0, 3..5, 4..4, 9..9, 23..23, 23..30] {
            assert_eq!(clipped(rows), []);
        }
        (0..23).for_each(|row| drop(clipped(row..row + 1)));
    }
}
