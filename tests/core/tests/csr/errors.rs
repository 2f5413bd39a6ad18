//! A mistake of one rank is the same error on all of them, and changes nothing.

use dolmen_core::{
    AdjointOperator, Comm, Complex64, CsrBuilder, CsrMatrix, Duplicates, Gid, Layout, LinearOperator, MultiVector,
    Result, Vector,
};
use dolmen_core_tests::fails;
use dolmen_tests::TestResult;

/// Rows `i` with 2 on the diagonal and -1 left and right of it.
fn laplacian(layout: &Layout) -> Result<CsrMatrix<f64>> {
    let end = layout.global_len();
    CsrMatrix::from_rows(layout, layout, |row, entries| {
        for column in row.saturating_sub(1)..end.min(row + 2) {
            entries.push(column, if column == row { 2.0 } else { -1.0 });
        }
    })
}

fn last(comm: &Comm) -> bool {
    comm.rank() + 1 == comm.size()
}

pub(crate) fn bad_triplets(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let with = |row: Gid, column: Gid| {
        let bad = last(comm).then_some((row, column, 1.0));
        CsrMatrix::from_triplets(&layout, &layout, [(0, 0, 1.0)].into_iter().chain(bad), Duplicates::Add)
    };
    fails(comm, with(10, 0), "matrix row: global index 10 is outside 0..10")?;
    fails(comm, with(u64::MAX, 0), "matrix row: global index 18446744073709551615")?;
    fails(comm, with(0, 10), "matrix entry (0, 10): there are only 10 columns")?;
    fails(comm, with(9, 12), "matrix entry (9, 12): there are only 10 columns")?;
    let rows = CsrMatrix::from_rows(&layout, &layout, |row, entries| entries.push(row * row, 1.0));
    let first = Layout::range(&layout).find(|row| row * row >= 10).map(|row| (row, row * row));
    let first = comm.all_gather(first.map_or([u64::MAX; 2], |(row, column)| [row, column]));
    let [row, column] = first.into_iter().min().unwrap_or_default();
    fails(comm, rows, &format!("matrix entry ({row}, {column}): there are only 10 columns"))?;
    let elsewhere = Layout::uniform(&comm.duplicate(), 10);
    fails(comm, CsrBuilder::<f64>::new(&layout, &elsewhere, Duplicates::Add).build(), "rows and columns of a matrix")
}

pub(crate) fn bad_parts(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 6);
    let rows = layout.local_len();
    let with = |starts: Vec<usize>, columns: Vec<Gid>| {
        let values = vec![1.0; columns.len()];
        let (starts, columns, values) =
            if last(comm) { (starts, columns, values) } else { (vec![0; rows + 1], Vec::new(), Vec::new()) };
        CsrMatrix::from_local_parts(&layout, &layout, starts, &columns, values)
    };
    fails(comm, with(vec![0; rows], Vec::new()), "row starts")?;
    fails(comm, with(vec![0; rows + 1], vec![0]), "end of the last row")?;
    let mut starts = vec![1; rows + 1];
    starts[0] = 0;
    let first = Layout::uniform(comm, 6).blocks().range(comm.size() - 1).start;
    fails(comm, with(starts.clone(), vec![6]), &format!("matrix entry ({first}, 6): there are only 6 columns"))?;
    starts[1] = 2;
    fails(comm, with(starts, vec![0]), "local row 1 would be 2..1")
}

pub(crate) fn bad_operands(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let a = laplacian(&layout)?;
    let (x, other) = (Vector::zeros(&layout), Vector::zeros(&Layout::uniform(comm, 11)));
    let mut y = x.clone();
    let mut wrong = other.clone();
    let mismatch = "different layouts (10 and 11";
    fails(comm, a.apply(&other, &mut y), mismatch)?;
    fails(comm, a.apply(&x, &mut wrong), mismatch)?;
    fails(comm, a.apply_add(&other, &mut y), mismatch)?;
    fails(comm, a.apply_adjoint(&x, &mut wrong), mismatch)?;
    fails(comm, a.apply_transpose(&other, &mut y), mismatch)?;
    fails(comm, a.clone().scale_rows(&other), mismatch)?;
    fails(comm, a.clone().scale_columns(&other), mismatch)?;
    let many = |layout: &Layout, columns| MultiVector::zeros(layout, columns);
    fails(comm, a.apply_many(&many(&layout, 2), &mut many(other.layout(), 2)), mismatch)?;
    fails(
        comm,
        a.apply_many(&many(&layout, 2), &mut many(&layout, 3)),
        "several vectors: expected 10 by 2 entries, found 10 by 3",
    )
}

pub(crate) fn failed_changes(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let mut a = laplacian(&layout)?;
    let mut b = a.clone();
    let same_pattern = laplacian(&layout)?.plan_refill([], Duplicates::Add)?;
    let entries = |a: &CsrMatrix<f64>| a.rows().flat_map(|row| row.entries().collect::<Vec<_>>()).collect::<Vec<_>>();
    let before = entries(&a);
    // An entry of the first row, given by the last rank.
    let bad = |column| last(comm).then_some((0, column, 7.0));
    fails(comm, a.refill_triplets(bad(5), Duplicates::Add), "entry (0, 5) is not in the pattern")?;
    fails(comm, a.refill_triplets(bad(10), Duplicates::Add), "entry (0, 10) is not in the pattern")?;
    fails(comm, a.plan_refill(last(comm).then_some((10, 0)), Duplicates::Add), "matrix row: global index 10")?;
    let plan = a.plan_refill([(0, 0), (9, 9)], Duplicates::Insert)?;
    fails(comm, a.refill(&plan, &[1.0; 3][..if last(comm) { 3 } else { 2 }]), "values of a refill: expected 2")?;
    fails(comm, a.refill(&same_pattern, &[]), "refill with a plan made for another matrix")?;
    let first_row = layout.range().start;
    let set = |a: &mut CsrMatrix<f64>, column| a.set(last(comm).then_some((first_row, column, 3.0)));
    fails(comm, set(&mut a, if first_row < 5 { 9 } else { 0 }), "is not in the pattern")?;
    if comm.size() > 1 {
        fails(comm, a.set(last(comm).then_some((0, 0, 3.0))), "row 0 of the matrix belongs to another rank")?;
    }
    assert_eq!(entries(&a), before);
    // Clones share a pattern, and with it plans.
    b.refill(&plan, &[5.0, comm.rank() as f64])?;
    assert!(b.get(0, 0).is_none_or(|value| value == 5.0) && b.get(0, 1).is_none_or(|value| value == 0.0));
    assert!(b.get(9, 9).is_none_or(|value| value == (comm.size() - 1) as f64));
    Ok(())
}

pub(crate) fn changes_are_seen(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let mut a = laplacian(&layout)?;
    let ones = Vector::from_fn(&layout, |_| 1.0);
    let mut y = Vector::zeros(&layout);
    a.apply_adjoint(&ones, &mut y)?;
    assert!(y.get(5).is_none_or(|value| value == 0.0));
    let owned = layout.range().contains(&4);
    a.set(owned.then_some((4, 5, 10.0)))?;
    a.apply_adjoint(&ones, &mut y)?;
    assert!(y.get(5).is_none_or(|value| value == 11.0), "column 5 is -1 + 2 + 10");
    a.apply(&ones, &mut y)?;
    assert!(y.get(4).is_none_or(|value| value == 11.0), "row 4 is -1 + 2 + 10");
    assert!(a.diagonal().is_some_and(|diagonal| diagonal.owned().iter().all(|&value| value == 2.0)));
    Ok(())
}

pub(crate) fn nan_is_a_value(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 4);
    let mut a = laplacian(&layout)?;
    a.set(layout.range().contains(&3).then_some((3, 3, f64::NAN)))?;
    assert!(a.norm_inf().is_nan() && a.norm_one()?.is_nan() && a.norm_frobenius().is_nan());
    let mut y = Vector::zeros(&layout);
    a.apply(&Vector::from_fn(&layout, |_| 1.0), &mut y)?;
    assert_eq!(y.get(3).map(f64::is_nan), y.range().contains(&3).then_some(true));
    assert_eq!(y.get(2).unwrap_or(0.0), 0.0);
    Ok(())
}

/// Norms that are numbers are found, whatever the size of their squares.
pub(crate) fn norms_of_any_size(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 2);
    let norms = |entries: [Complex64; 2]| -> TestResult<[f64; 3]> {
        let a = CsrMatrix::from_rows(&layout, &layout, |row, out| {
            out.push(row, entries[usize::from(row == 1)]);
        })?;
        Ok([a.norm_frobenius(), a.norm_one()?, a.norm_inf()])
    };
    let within = |found: f64, expected: f64| (found - expected).abs() <= 4.0 * f64::EPSILON * expected;
    for size in [1e-300, 1e-160, 1.0, 1e160, 3e307] {
        let [frobenius, one, inf] = norms([Complex64::new(3.0 * size, 0.0), Complex64::new(0.0, -4.0 * size)])?;
        assert!(within(frobenius, 5.0 * size), "{size}: {frobenius}");
        assert_eq!([one, inf], [4.0 * size; 2]);
        let [frobenius, one, inf] = norms([Complex64::new(3.0 * size, 4.0 * size), Complex64::ZERO])?;
        assert!([frobenius, one, inf].iter().all(|norm| within(*norm, 5.0 * size)), "{size}: {frobenius}");
    }
    assert_eq!(norms([Complex64::ZERO; 2])?, [0.0; 3]);
    assert_eq!(norms([Complex64::ONE, Complex64::new(0.0, f64::NEG_INFINITY)])?, [f64::INFINITY; 3]);
    assert_eq!(norms([Complex64::new(f64::MAX, 0.0); 2])?[0], f64::INFINITY);
    Ok(())
}
