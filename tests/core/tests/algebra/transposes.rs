//! Transposes of matrices whose patterns are symmetric, or nearly so, against matrices of the swapped triplets.

use std::collections::BTreeMap;

use dolmen_core::{Comm, CsrMatrix, Duplicates, Gid, Layout, Result};
use dolmen_tests::TestResult;

use crate::dense::Dense;
use crate::findings::Findings;

/// All 512 patterns of three rows, among them those in which a row of the transpose ends in the next one, and those
/// that are symmetric on some ranks only.
pub(crate) fn small(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 3);
    let mut found = Findings::default();
    for pattern in 0..512u32 {
        let mut dense = Dense::<f64>::empty(3, 3);
        let places = dense.rows.iter_mut().flatten();
        (0..9).zip(places).for_each(|(bit, place)| *place = (pattern >> bit & 1 == 1).then_some(f64::from(bit + 1)));
        let a = crate::cases::matrix(&layout, &layout, &dense)?;
        found.matrix(&format!("transpose of pattern {pattern}"), &a.transpose()?, &dense.transposed());
    }
    Ok(found.outcome()?)
}

/// Rows of many lengths, which move within their windows of storage, and lines of a grid.
pub(crate) fn large(comm: &Comm) -> TestResult {
    const ROWS: Gid = 1500;
    let layout = Layout::uniform(comm, ROWS);
    let symmetric = |row: Gid| {
        let far = [row * row % 7 + 2, row % 11 * 13 + 1];
        let lines = if row < 500 { vec![1, 20] } else { far.to_vec() };
        lines.into_iter().filter_map(move |step| Some((row, row.checked_sub(step)?))).chain([(row, row)])
    };
    let mut entries = BTreeMap::new();
    for (row, column) in (0..ROWS).flat_map(symmetric) {
        entries.insert((row, column), (row + 2 * column) as f64);
        entries.insert((column, row), (column + 2 * row) as f64);
    }
    compare(comm, &layout, &entries, "a symmetric pattern")?;
    // One rank's rows stay symmetric where another one's are not.
    for extra in [(0, ROWS - 1), (ROWS - 1, 0), (700, 901)] {
        let mut entries = entries.clone();
        entries.insert(extra, 0.5);
        compare(comm, &layout, &entries, &format!("an entry at {extra:?} alone"))?;
    }
    Ok(())
}

/// Row 100 of the transpose has an entry more than the matrix, the column of which is the first of row 0, and that row
/// is stored behind row 100, the longest of its window.
pub(crate) fn ends_of_rows(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 300);
    let special = [0, 100, 200, 201];
    let alone = |row: Gid| special.contains(&row);
    let mut entries = BTreeMap::new();
    let mut both = |i: Gid, j: Gid| {
        entries.insert((i, j), (i + 2 * j) as f64);
        entries.insert((j, i), (j + 2 * i) as f64);
    };
    for row in (0..300).filter(|row| !alone(*row)) {
        both(row, row);
        if row % 2 == 0 {
            both(row, row + 1);
        }
    }
    [130, 140, 150, 200].into_iter().for_each(|column| both(100, column));
    [200, 201].into_iter().for_each(|column| both(0, column));
    both(201, 201);
    entries.remove(&(100, 200));
    compare(comm, &layout, &entries, "rows one of which ends in the next")
}

fn compare(comm: &Comm, layout: &Layout, entries: &BTreeMap<(Gid, Gid), f64>, what: &str) -> TestResult {
    let own = |row: &Gid| layout.range().contains(row);
    let of = |triplets: Vec<(Gid, Gid, f64)>| -> Result<CsrMatrix<f64>> {
        let mine = triplets.into_iter().filter(|triplet| own(&triplet.0));
        CsrMatrix::from_triplets(layout, layout, mine, Duplicates::Add)
    };
    let mut a = of(entries.iter().map(|(&(i, j), &value)| (i, j, value)).collect())?;
    let mut expected = of(entries.iter().map(|(&(i, j), &value)| (j, i, value)).collect())?;
    let mut transpose = a.transpose()?;
    same(&format!("{what} on {} ranks", comm.size()), &transpose, &expected);
    // The transpose keeps its values when those of the matrix change, and the other way round.
    a.scale(3.0);
    same(what, &transpose, &expected);
    transpose.scale(2.0);
    expected.scale(2.0);
    same(what, &transpose, &expected);
    same(what, &a.transpose()?.transpose()?, &a);
    let plan = transpose.plan_transpose(&a)?;
    transpose.refill_transpose(&plan, &a)?;
    expected.scale(1.5);
    same(what, &transpose, &expected);
    Ok(())
}

fn same(what: &str, found: &CsrMatrix<f64>, expected: &CsrMatrix<f64>) {
    assert_eq!(found.ghost_columns(), expected.ghost_columns(), "ghosts of {what}");
    for (found, expected) in found.rows().zip(expected.rows()) {
        assert!(found.entries().eq(expected.entries()), "row {} of the transpose of {what}", found.index());
    }
}
