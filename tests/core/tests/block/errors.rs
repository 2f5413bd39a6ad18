//! A mistake of one rank is the same error on all of them.

use dolmen_core::dense::{HermitianBanded, SmallBlocks};
use dolmen_core::{
    AdjointOperator, BandedDiagonal, BlockCsrMatrix, BlockDiagonal, Comm, CsrMatrix, Duplicates, Gid, Layout,
    LinearOperator, Vector,
};
use dolmen_core_tests::fails;
use dolmen_tests::TestResult;

fn last(comm: &Comm) -> bool {
    comm.rank() + 1 == comm.size()
}

/// Unit blocks of order two on the diagonal and right of it.
fn chain(points: &Layout) -> dolmen_core::Result<BlockCsrMatrix<f64>> {
    BlockCsrMatrix::from_rows(2, points, points, |row, blocks| {
        for column in row..points.global_len().min(row + 2) {
            blocks.push(column, &[1.0, 0.0, 0.0, 1.0]);
        }
    })
}

pub(crate) fn bad_blocks(comm: &Comm) -> TestResult {
    let points = Layout::uniform(comm, 10);
    let with = |row: Gid, column: Gid, len: usize| {
        let bad = last(comm).then(|| (row, column, vec![1.0; len]));
        BlockCsrMatrix::from_triplets(2, &points, &points, bad, Duplicates::Add)
    };
    fails(comm, with(10, 0, 4), "matrix row: global index 10 is outside 0..10")?;
    fails(comm, with(0, 10, 4), "matrix entry (0, 10): there are only 10 columns")?;
    fails(comm, with(9, 12, 4), "matrix entry (9, 12): there are only 10 columns")?;
    fails(comm, with(9, 9, 3), "block of a block matrix: expected 2 by 2 entries, found 3 by 1")?;
    let short = BlockCsrMatrix::from_rows(2, &points, &points, |row, blocks| {
        blocks.push(row, &[1.0; 4][..if row == 9 { 1 } else { 4 }]);
    });
    fails(comm, short, "found 1 by 1")?;
    let none = BlockCsrMatrix::<f64>::from_triplets(0, &points, &points, [(0, 0, [])], Duplicates::Add);
    fails(comm, none, "order of a block matrix")?;
    let elsewhere = Layout::uniform(&comm.duplicate(), 10);
    let apart = BlockCsrMatrix::<f64>::from_rows(2, &points, &elsewhere, |_, _| {});
    fails(comm, apart, "rows and columns of a matrix")?;
    let odd = Layout::uniform(comm, 9);
    let plain = CsrMatrix::from_rows(&odd, &odd, |row, entries| entries.push(row, 1.0))?;
    fails(comm, BlockCsrMatrix::from_csr(2, &plain), "which is not a multiple of 2")?;
    let far = Layout::uniform(comm, u64::MAX);
    fails(comm, BlockCsrMatrix::<f64>::from_rows(2, &far, &far, |_, _| {}), "more than 2^64 - 1")
}

pub(crate) fn bad_operands(comm: &Comm) -> TestResult {
    let points = Layout::uniform(comm, 10);
    let mut a = chain(&points)?;
    let (x, points_only) = (Vector::zeros(a.domain()), Vector::zeros(&points));
    let mut y = x.clone();
    fails(comm, a.apply(&points_only, &mut y), "different layouts (20 and 10")?;
    fails(comm, a.apply_adjoint(&x, &mut points_only.clone()), "different layouts (20 and 10")?;
    let before: Vec<Vec<f64>> = a.rows().flat_map(|row| row.blocks()).map(|(_, block)| block.to_vec()).collect();
    fails(comm, a.plan_refill(last(comm).then_some((0, 5)), Duplicates::Add), "entry (0, 5) is not in the pattern")?;
    let plan = a.plan_refill([(0, 1)], Duplicates::Insert)?;
    fails(comm, a.refill(&plan, &[1.0; 4][..if last(comm) { 3 } else { 4 }]), "values of a refill: expected 4")?;
    let other = chain(&points)?.plan_refill([], Duplicates::Add)?;
    fails(comm, a.refill(&other, &[]), "refill with a plan made for another matrix")?;
    let after: Vec<Vec<f64>> = a.rows().flat_map(|row| row.blocks()).map(|(_, block)| block.to_vec()).collect();
    assert_eq!(before, after);
    // What the adjoint shows follows a refill.
    let ones = Vector::from_fn(a.range(), |_| 1.0);
    a.apply_adjoint(&ones, &mut y)?;
    assert!(y.get(3).is_none_or(|entry| entry == 2.0));
    a.refill(&plan, &[5.0, 0.0, 0.0, 7.0])?;
    a.apply_adjoint(&ones, &mut y)?;
    assert!(y.get(3).is_none_or(|entry| entry == 7.0) && y.get(0).is_none_or(|entry| entry == 0.0));
    Ok(())
}

pub(crate) fn failing_factorizations(comm: &Comm) -> TestResult {
    let points = Layout::uniform(comm, 10);
    let first = points.range().start;
    let unit = |block: usize, i: usize, j: usize| {
        // The second pivot of global block 7 is zero.
        let singular = first + block as u64 == 7 && i == 1;
        if i == j && !singular { 1.0 } else { 0.0 }
    };
    let a = BlockDiagonal::new(&points, SmallBlocks::from_fn(3, points.local_len(), unit))?;
    fails(comm, a.inverse(), "batched LU factorization: the pivot of row 22 is zero")?;
    fails(comm, a.inverse_definite(), "batched Cholesky factorization: the pivot of row 22 is not positive")?;
    let short = SmallBlocks::<f64>::zeros(3, points.local_len() - usize::from(last(comm)));
    fails(comm, BlockDiagonal::new(&points, short), "blocks of a block-diagonal matrix: expected")?;
    let segments = |spoilt: Gid| -> Vec<HermitianBanded<f64>> {
        let segment = |row: Gid| HermitianBanded::toeplitz(1, &[if row == spoilt { -1.0 } else { 2.0 }]);
        points.range().map(segment).collect()
    };
    let banded = BandedDiagonal::new(&points, segments(8))?;
    fails(comm, banded.factor(), "banded Cholesky factorization: the pivot of row 8 is not positive")?;
    let mut few = segments(20);
    if last(comm) {
        few.pop();
    }
    fails(comm, BandedDiagonal::new(&points, few), "rows of the segments of a band matrix: expected")
}
