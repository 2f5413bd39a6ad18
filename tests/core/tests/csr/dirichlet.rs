//! Rows and columns of prescribed unknowns, shifts and added entries, against their definition on dense matrices.
//! Entries are small whole numbers, so that every answer is exact.

use dolmen_core::{Comm, CsrMatrix, Gid, Layout, LinearOperator, Result, Scalar, Vector};
use dolmen_core_tests::{checksum, fails, uneven_layout, varying};
use dolmen_tests::{Checksums, TestResult, oracle};

const ROWS: u64 = 23;

fn whole<T: Scalar>(value: u64) -> T {
    let value = f64::from(u8::try_from(value % 7).unwrap_or(0));
    T::from_parts(value - 2.0, 3.0 - value)
}

/// A band and a few entries far from it; the diagonal dominates.
fn entry<T: Scalar>(row: u64, column: u64) -> Option<T> {
    let near = row.abs_diff(column) <= 2 || (row * 5 + 1) % ROWS == column || (column * 5 + 1) % ROWS == row;
    let dominant = if row == column { T::from_parts(64.0, 0.0) } else { T::ZERO };
    near.then(|| whole::<T>(3 * row + 5 * column) + dominant)
}

fn matrix<T: Scalar>(layout: &Layout) -> Result<CsrMatrix<T>> {
    CsrMatrix::from_rows(layout, layout, |row, entries| {
        (0..ROWS).for_each(|column| entry(row, column).into_iter().for_each(|value| entries.push(column, value)));
    })
}

/// Returns the rows that this rank names: any rank's, and some of them twice.
fn named(comm: &Comm) -> Vec<Gid> {
    let mine = |index: u64| index % comm.size() as u64 == comm.rank() as u64;
    [3, 3, 0, ROWS - 1, 11].into_iter().zip(0..).filter(|(_, index)| mine(*index)).map(|(row, _)| row).collect()
}

fn is_named(row: Gid) -> bool {
    [0, 3, 11, ROWS - 1].contains(&row)
}

/// Checks that a matrix stores exactly the pattern of [`entry`], with these values.
fn has<T: Scalar>(a: &CsrMatrix<T>, expected: impl Fn(Gid, Gid, T) -> T) -> std::result::Result<(), String> {
    for row in a.rows() {
        let i = row.index();
        let wanted = (0..ROWS).filter_map(|j| Some((j, expected(i, j, entry(i, j)?))));
        let (found, wanted): (Vec<_>, Vec<_>) = (row.into_iter().collect(), wanted.collect());
        if found != wanted {
            return Err(format!("row {i}: {found:?}, expected {wanted:?}"));
        }
    }
    Ok(())
}

pub(crate) fn agrees<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = uneven_layout(comm, ROWS)?;
    let diagonal = T::from_parts(5.0, -1.0);
    let value = |row: Gid| whole::<T>(row + 1);
    let x = Vector::from_fn(&layout, value);
    let rhs = |row: Gid| whole::<T>(2 * row);
    let zeroed = |i: Gid, j: Gid, a: T| match (is_named(i), i == j) {
        (true, true) => diagonal,
        (true, false) => T::ZERO,
        (false, _) => a,
    };
    let mut a = matrix::<T>(&layout)?;
    let mut b = Vector::from_fn(&layout, rhs);
    a.zero_rows(&named(comm), diagonal, Some((&x, &mut b)))?;
    comm.agree(has(&a, zeroed))?;
    let expected = |row: Gid| if is_named(row) { diagonal * value(row) } else { rhs(row) };
    comm.agree(same(&b, expected))?;
    let by_rows = dense_solution(|i, j| entry(i, j).map_or(T::ZERO, |a| zeroed(i, j, a)), expected);

    let mut a = matrix::<T>(&layout)?;
    let mut b = Vector::from_fn(&layout, rhs);
    a.zero_rows_columns(&named(comm), diagonal, Some((&x, &mut b)))?;
    let both = |i: Gid, j: Gid, a: T| if is_named(j) && i != j { T::ZERO } else { zeroed(i, j, a) };
    comm.agree(has(&a, both))?;
    let known =
        |row: Gid| (0..ROWS).filter(|j| is_named(*j)).filter_map(|j| Some(entry::<T>(row, j)? * value(j))).sum::<T>();
    let corrected = |row: Gid| if is_named(row) { expected(row) } else { rhs(row) - known(row) };
    comm.agree(same(&b, corrected))?;
    let by_both = dense_solution(|i, j| entry(i, j).map_or(T::ZERO, |a| both(i, j, a)), corrected);
    for (one, other) in by_rows.iter().zip(&by_both) {
        use dolmen_core::Real;
        assert!((*one - *other).abs().to_f64() < 1e-4, "{one} and {other} differ");
    }
    // The adjoint is that of the new values.
    let ones = Vector::from_fn(&layout, |_| T::ONE);
    let mut sums = Vector::zeros(&layout);
    dolmen_core::AdjointOperator::apply_adjoint(&a, &ones, &mut sums)?;
    let column = |j: Gid| (0..ROWS).filter_map(|i| Some(both(i, j, entry(i, j)?))).sum::<T>().conj();
    comm.agree(same(&sums, column))?;

    let mut a = matrix::<T>(&layout)?;
    a.zero_rows_columns(&named(comm), T::ZERO, None)?;
    comm.agree(has(&a, |i, j, a| if is_named(i) || is_named(j) { T::ZERO } else { a }))?;
    shifted_and_added::<T>(comm, &layout)
}

fn shifted_and_added<T: Scalar>(comm: &Comm, layout: &Layout) -> TestResult {
    let mut a = matrix::<T>(layout)?;
    let sigma = T::from_parts(-3.0, 2.0);
    a.shift(sigma)?;
    comm.agree(has(&a, |i, j, a| if i == j { a + sigma } else { a }))?;
    // Every rank adds to the same entries, whoever owns them.
    a.add_entries([(0, 1, T::ONE), (ROWS - 1, ROWS - 1, sigma), (0, 1, sigma)])?;
    let ranks = T::from_parts(comm.size() as f64, 0.0);
    let added = |i: Gid, j: Gid| match (i, j) {
        (0, 1) => ranks * (T::ONE + sigma),
        (i, j) if i == ROWS - 1 && j == i => ranks * sigma,
        _ => T::ZERO,
    };
    comm.agree(has(&a, |i, j, a| a + added(i, j) + if i == j { sigma } else { T::ZERO }))?;
    Ok(())
}

fn same<T: Scalar>(x: &Vector<T>, expected: impl Fn(Gid) -> T) -> std::result::Result<(), String> {
    let differs = x.range().zip(x.owned()).find(|(row, value)| **value != expected(*row));
    differs.map_or(Ok(()), |(row, value)| Err(format!("entry {row} is {value}, expected {}", expected(row))))
}

fn dense_solution<T: Scalar>(a: impl Fn(Gid, Gid) -> T, b: impl Fn(Gid) -> T) -> Vec<T> {
    oracle::solve((0..ROWS).map(|i| (0..ROWS).map(|j| a(i, j)).collect()).collect(), (0..ROWS).map(b).collect())
}

pub(crate) fn mistakes(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let off_diagonal = || {
        CsrMatrix::from_rows(&layout, &layout, |row, entries| {
            entries.push((row + 1) % 10, 1.0);
            if row != 4 {
                entries.push(row, 2.0);
            }
        })
    };
    let mut a: CsrMatrix<f64> = off_diagonal()?;
    let last = comm.rank() + 1 == comm.size();
    let of_last = |row: Gid| if last { vec![row] } else { Vec::new() };
    fails(comm, a.zero_rows(&of_last(10), 1.0, None), "zero_rows: global index 10 is outside 0..10")?;
    fails(comm, a.zero_rows_columns(&of_last(4), 1.0, None), "entry (4, 4) is not in the pattern")?;
    fails(comm, a.shift(1.0), "entry (4, 4) is not in the pattern")?;
    fails(comm, a.add_entries(last.then_some((0, 5, 1.0))), "entry (0, 5) is not in the pattern")?;
    let x = Vector::from_fn(&layout, |_| 1.0);
    let mut other = Vector::zeros(&Layout::uniform(comm, 11));
    fails(comm, a.zero_rows(&[], 1.0, Some((&x, &mut other))), "different layouts (10 and 11")?;
    let mut wide = CsrMatrix::<f64>::from_rows(&layout, other.layout(), |row, entries| entries.push(row, 1.0))?;
    fails(comm, wide.zero_rows(&[], 1.0, None), "zero_rows: the operands live on different layouts")?;
    fails(comm, wide.shift(1.0), "shift: the operands live on different layouts")?;
    if comm.size() > 1 {
        let own = if last { 2.0 } else { 1.0 };
        fails(comm, a.zero_rows(&[0], own, None), "diagonal 1.0")?;
        fails(comm, a.shift(own), "sigma 1.0")?;
        let mut b = x.clone();
        let boundary = if last { Some((&x, &mut b)) } else { None };
        fails(comm, a.zero_rows_columns(&[0], 1.0, boundary), "boundary values")?;
    }
    let before = off_diagonal()?;
    let unchanged = a.rows().zip(before.rows()).all(|(one, other)| one.into_iter().eq(other));
    comm.agree(if unchanged { Ok(()) } else { Err("a refused change has changed the matrix") })?;
    Ok(a.zero_rows(&of_last(4), 0.0, None)?)
}

/// Right-hand sides of numbers that do not add up exactly.
pub(crate) fn checksums<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let layout = uneven_layout(comm, ROWS)?;
    let mut a = matrix::<T>(&layout)?;
    let x = Vector::from_fn(&layout, |row| varying(1, row));
    let mut b = Vector::from_fn(&layout, |row| varying(2, row));
    a.scale_rows(&Vector::from_fn(&layout, |row| varying(3, row)))?;
    a.zero_rows_columns(&named(comm), T::ONE, Some((&x, &mut b)))?;
    let mut y = Vector::zeros(&layout);
    a.apply(&x, &mut y)?;
    let sums = [("right-hand side", b.owned()), ("product", y.owned())];
    Ok(sums.map(|(name, values)| (name.to_owned(), checksum(comm, values))).to_vec())
}
