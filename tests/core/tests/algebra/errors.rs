//! Operands that do not fit together give the same error on all ranks, and stay unchanged.

use dolmen_core::{Comm, CsrMatrix, Gid, Layout, Result, ndarray::Array2};
use dolmen_tests::TestResult;

/// All ranks fail alike, with a message that contains `part`.
pub(crate) fn fails<V>(comm: &Comm, result: Result<V>, part: &str) -> TestResult {
    let message = result.err().ok_or_else(|| format!("no error that says '{part}'"))?.to_string();
    assert!(message.contains(part), "'{message}' does not say '{part}'");
    let first = comm.gather(0, message.as_bytes());
    let same = first.is_none_or(|all| all.iter().all(|other| *other == all[0]));
    Ok(comm.agree(if same { Ok(()) } else { Err("the ranks say different things") })?)
}

/// Rows `i` with 2 on the diagonal and -1 left and right of it.
pub(crate) fn laplacian(range: &Layout, domain: &Layout) -> Result<CsrMatrix<f64>> {
    let end = domain.global_len();
    CsrMatrix::from_rows(range, domain, |row, entries| {
        for column in row.saturating_sub(1).min(end)..end.min(row + 2) {
            entries.push(column, if column == row { 2.0 } else { -1.0 });
        }
    })
}

pub(crate) fn products(comm: &Comm) -> TestResult {
    let (long, short) = (Layout::uniform(comm, 10), Layout::uniform(comm, 7));
    let elsewhere = Layout::uniform(&comm.duplicate(), 10);
    let (a, p) = (laplacian(&long, &long)?, laplacian(&long, &short)?);
    let mismatch = "different layouts (10 and";
    fails(comm, p.transpose()?.multiply(&p.transpose()?), mismatch)?;
    fails(
        comm,
        a.multiply(&laplacian(&elsewhere, &elsewhere)?),
        "different communicators (all ranks, and a copy of all ranks)",
    )?;
    fails(comm, a.triple_product(&laplacian(&short, &short)?), mismatch)?;
    fails(comm, p.triple_product(&p), "different layouts")?;
    fails(comm, a.add(1.0, &p, 1.0), mismatch)?;
    fails(comm, p.overlapping_block(1), "different layouts")
}

/// Wrong indices that the last rank alone gives.
pub(crate) fn indices(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let a = laplacian(&layout, &layout)?;
    let last = comm.rank() + 1 == comm.size();
    let on_last = |bad: &[Gid]| if last { bad.to_vec() } else { Vec::new() };
    fails(comm, a.submatrix(&on_last(&[10]), &[]), "row of a submatrix: global index 10 is outside 0..10")?;
    fails(comm, a.submatrix(&[], &on_last(&[3, 11])), "column of a submatrix: global index 11 is outside 0..10")?;
    fails(comm, a.submatrix(&[], &on_last(&[3, 3])), "column of a submatrix: global index 3 is given twice")?;
    if comm.size() > 1 {
        fails(comm, a.submatrix(&[], &[7]), "column of a submatrix: global index 7 is given twice")?;
    }
    Ok(())
}

pub(crate) fn shapes(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let a = laplacian(&layout, &layout)?;
    let all = a.gather_all()?;
    let (root, longer) = (comm.size() - 1, Layout::uniform(comm, 11));
    fails(comm, a.gather(root + 1), "there is no rank")?;
    fails(comm, CsrMatrix::scatter(&layout, &layout, root + 1, Some(&all)), "there is no rank")?;
    fails(comm, CsrMatrix::scatter(&longer, &layout, root, Some(&all)), "expected 11 by 10 entries, found 10 by 10")?;
    fails(comm, CsrMatrix::scatter(&layout, &layout, root, None::<&dolmen_core::SerialCsr<f64>>), "found 0 by 0")?;
    let dense = Array2::<f64>::zeros((10, if comm.rank() == root { 9 } else { 10 }));
    fails(comm, CsrMatrix::from_dense(&layout, &layout, &dense), "expected 10 by 10 entries, found 10 by 9")
}

pub(crate) fn plans(comm: &Comm) -> TestResult {
    let (long, short) = (Layout::uniform(comm, 10), Layout::uniform(comm, 7));
    let (mut a, p) = (laplacian(&long, &long)?, laplacian(&long, &short)?);
    let same = laplacian(&long, &long)?;
    let pattern = "sparsity patterns of the matrices differ";
    fails(comm, a.plan_multiply(&same, &same), pattern)?;
    fails(comm, a.plan_multiply(&same, &p), "different layouts")?;
    fails(comm, p.plan_transpose(&p), "different layouts")?;
    fails(comm, a.plan_triple_product(&a, &p), "different layouts")?;
    // The pattern of one rank alone differs.
    let last = comm.rank() + 1 == comm.size();
    let diagonal = CsrMatrix::from_rows(&long, &long, |row, entries| {
        entries.push(row, 1.0);
        if last {
            entries.push(0, 1.0);
        }
    })?;
    fails(comm, diagonal.plan_transpose(&same), pattern)?;
    fails(comm, same.plan_multiply(&diagonal, &same), pattern)?;
    let (square, transpose, coarse) = (a.multiply(&a)?, p.transpose()?, a.triple_product(&p)?);
    let plan = square.plan_multiply(&a, &a)?;
    fails(comm, square.clone().refill_multiply(&plan, &a, &diagonal), pattern)?;
    fails(comm, a.refill_multiply(&plan, &same, &same), pattern)?;
    fails(comm, a.plan_add(&a, &square), pattern)?;
    let plan = square.plan_add(&a, &square)?;
    fails(comm, square.clone().refill_add(&plan, 1.0, &diagonal, 1.0, &square), pattern)?;
    let plan = transpose.plan_transpose(&p)?;
    fails(comm, transpose.clone().refill_transpose(&plan, &CsrMatrix::from_rows(&long, &short, |_, _| {})?), pattern)?;
    let plan = coarse.plan_triple_product(&a, &p)?;
    fails(comm, coarse.clone().refill_triple_product(&plan, &diagonal, &p), pattern)?;
    assert!(a.get(5, 5).is_none_or(|value| value == 2.0), "a refused refill changes nothing");
    Ok(())
}
