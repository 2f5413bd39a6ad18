//! Block-diagonal and banded operators and their inverses on random distributions.

use dolmen_core::dense::{HermitianBanded, SmallBlocks};
use dolmen_core::{
    AdjointOperator, BandedDiagonal, BlockDiagonal, Comm, Gid, Layout, LinearOperator, Result, Scalar, Vector,
    check_adjoint,
};
use dolmen_core_tests::{all_scalars, close, layout, lengths, property, require, same_entries, value, vector};
use dolmen_tests::TestResult;

pub(crate) fn agree(comm: &Comm) -> TestResult {
    property(comm, 30, (1usize..7, lengths(comm.size())), |(order, lengths)| {
        let points = layout(comm, lengths);
        all_scalars!(blocks(&points, *order));
        all_scalars!(bands(&points, *order));
        Ok(())
    })
}

/// Entry of a global block: random, with a heavy diagonal, and Hermitian if asked.
fn entry<T: Scalar>(order: usize, block: Gid, i: usize, j: usize, hermitian: bool) -> T {
    let at = |i: usize, j: usize| value::<T>(block, (i * order + j) as u64);
    let heavy = T::from_parts(if i == j { 12.0 } else { 0.0 }, 0.0);
    if hermitian { at(i, j) + at(j, i).conj() + heavy } else { at(i, j) + heavy }
}

fn index(row: Gid) -> usize {
    usize::try_from(row).expect("a small matrix")
}

fn blocks<T: Scalar>(points: &Layout, order: usize) -> Result<()> {
    let first = points.range().start;
    for hermitian in [false, true] {
        let mine = SmallBlocks::from_fn(order, points.local_len(), |block, i, j| {
            entry::<T>(order, first + block as u64, i, j, hermitian)
        });
        let a = BlockDiagonal::new(points, mine)?;
        let x = vector::<T>(a.domain(), 3);
        let mut y = Vector::zeros(a.range());
        a.apply(&x, &mut y)?;
        let n = order as u64;
        let expected = |row: Gid| -> T {
            let block = row / n;
            let term =
                |j: u64| entry::<T>(order, block, index(row % n), index(j), hermitian) * value::<T>(3, block * n + j);
            (0..n).map(term).sum()
        };
        same_entries("block-diagonal product", &y, &(0..x.global_len()).map(expected).collect::<Vec<T>>());
        let inverse = if hermitian { a.inverse_definite()? } else { a.inverse()? };
        let mut solved = Vector::zeros(a.domain());
        inverse.apply(&y, &mut solved)?;
        same_entries("inverse of blocks", &solved, &(0..x.global_len()).map(|row| value(3, row)).collect::<Vec<T>>());
        is_adjoint(&a)?;
        is_adjoint(&inverse)?;
        diagonal_is(&a, |row| entry(order, row / n, index(row % n), index(row % n), hermitian));
    }
    Ok(())
}

fn is_adjoint<T: Scalar>(a: &impl AdjointOperator<T>) -> Result<()> {
    close("adjoint", T::from_parts(check_adjoint(a, 5)?, 0.0), T::ZERO, 1.0);
    Ok(())
}

fn diagonal_is<T: Scalar>(a: &impl LinearOperator<T>, expected: impl Fn(Gid) -> T) {
    let Some(diagonal) = a.diagonal() else {
        return require(false, || "no diagonal".to_owned());
    };
    for (row, &entry) in diagonal.range().zip(diagonal.owned()) {
        require(entry == expected(row), || format!("diagonal, row {row}: {entry}"));
    }
}

/// Segments of 5 and 3 rows in turn, cut at the ends of ranks; bands of Toeplitz matrices.
fn bands<T: Scalar>(rows: &Layout, width: usize) -> Result<()> {
    let first_column: Vec<T> =
        (0..=width).map(|k| if k == 0 { T::from_parts(20.0, 0.0) } else { value(9, k as u64) }).collect();
    let mut segments = Vec::new();
    let (mut left, mut turn) = (rows.local_len(), 0);
    while left > 0 {
        let order = left.min(if turn % 2 == 0 { 5 } else { 3 });
        segments.push(HermitianBanded::toeplitz(order, &first_column));
        (left, turn) = (left - order, turn + 1);
    }
    let a = BandedDiagonal::new(rows, segments)?;
    let x = vector::<T>(rows, 4);
    let mut y = Vector::zeros(rows);
    a.apply(&x, &mut y)?;
    // From the definition, rank by rank.
    let mut expected = Vec::new();
    let mut start = 0;
    for segment in a.segments() {
        for i in 0..segment.order() {
            let entry = |j: usize| {
                let entry = first_column.get(i.abs_diff(j)).copied().unwrap_or(T::ZERO);
                if i < j { entry.conj() } else { entry }
            };
            expected.push((0..segment.order()).map(|j| entry(j) * x.owned()[start + j]).sum::<T>());
        }
        start += segment.order();
    }
    for (&found, &expected) in y.owned().iter().zip(&expected) {
        close("banded product", found, expected, 30.0);
    }
    let mut solved = Vector::zeros(rows);
    let inverse = a.factor()?;
    inverse.apply(&y, &mut solved)?;
    for (&found, &expected) in solved.owned().iter().zip(x.owned()) {
        close("banded solve", found, expected, 4.0);
    }
    is_adjoint(&a)?;
    is_adjoint(&inverse)?;
    diagonal_is(&a, |_| T::from_parts(20.0, 0.0));
    Ok(())
}
