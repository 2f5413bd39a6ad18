//! Matrices of rectangular blocks by columns: their products are those of the matrix without blocks, and have the same
//! bits on any number of ranks, at any scale.

use bytemuck::cast_slice;
use dolmen_core::{
    AdjointOperator, ColumnBlockMatrix, Comm, CsrMatrix, Duplicates, Gid, Layout, LinearOperator, Stored, Vector,
};
use dolmen_core_tests::{checksum, fails, layout, value};
use dolmen_tests::{Checksums, TestResult};

const ROWS: u64 = 60;
const COLUMNS: u64 = 37;

/// Uneven numbers, none on the second rank.
fn uneven(comm: &Comm, all: u64) -> Layout {
    let size = comm.size() as u64;
    let mut lengths: Vec<u64> = (0..size).map(|rank| if rank == 1 { 0 } else { rank + 1 }).collect();
    lengths[0] += all - lengths.iter().sum::<u64>();
    layout(comm, &lengths)
}

/// Blocks of the columns that this rank owns, some of them twice: rows, columns and values. Rows ascend or not.
fn blocks<S: Stored>(
    columns: &Layout,
    shape: [usize; 2],
    ascending: bool,
    stored: impl Fn(f64) -> S,
) -> (Vec<Gid>, Vec<Gid>, Vec<S>) {
    let mut all: Vec<(Gid, Gid, u64)> = (0..400).map(|t| ((t * t / 3 + t % 5) % ROWS, t * 7 % COLUMNS, t)).collect();
    all.retain(|&(_, column, _)| columns.range().contains(&column));
    if ascending {
        all.sort_unstable();
    }
    let len = (shape[0] * shape[1]) as u64;
    let values = all.iter().flat_map(|&(_, _, t)| (0..len).map(move |part| value::<f64>(t, part) / 3.0));
    let values = values.map(stored).collect();
    (all.iter().map(|block| block.0).collect(), all.iter().map(|block| block.1).collect(), values)
}

fn matrix<S: Stored>(
    comm: &Comm,
    shape: [usize; 2],
    ascending: bool,
    stored: impl Fn(f64) -> S,
) -> TestResult<ColumnBlockMatrix<S>> {
    let (rows, columns) = (uneven(comm, ROWS), uneven(comm, COLUMNS));
    let (row_ids, column_ids, values) = blocks(&columns, shape, ascending, stored);
    Ok(ColumnBlockMatrix::new(&rows, &columns, shape, row_ids, &column_ids, values)?)
}

/// The same matrix without blocks.
fn plain<S: Stored>(a: &ColumnBlockMatrix<S>, comm: &Comm, stored: impl Fn(f64) -> S) -> TestResult<CsrMatrix<f64>> {
    let [r, c] = a.block_shape();
    let (rows, columns, values) = blocks(&uneven(comm, COLUMNS), [r, c], true, stored);
    let (len, [r, c]) = (r * c, [r as u64, c as u64]);
    let mut triplets = Vec::new();
    for ((&row, &column), block) in rows.iter().zip(&columns).zip(values.chunks_exact(len)) {
        for (part, value) in (0..).zip(block) {
            triplets.push((row * r + part % r, column * c + part / r, value.widened()));
        }
    }
    Ok(CsrMatrix::from_triplets(a.range(), a.domain(), triplets, Duplicates::Add)?)
}

fn agrees_for<S: Stored>(comm: &Comm, shape: [usize; 2], stored: impl Fn(f64) -> S + Copy) -> TestResult {
    let a = matrix(comm, shape, false, stored)?;
    let plain = plain(&a, comm, stored)?;
    let within = |most: f64, off: f64, what: &str| {
        comm.agree(if off < most { Ok(()) } else { Err(format!("{shape:?}: {what} by {off:e}")) })
    };
    let x = Vector::from_fn(a.domain(), |row| value::<f64>(3, row));
    let (mut y, mut z) = (Vector::zeros(a.range()), Vector::zeros(a.range()));
    a.apply(&x, &mut y)?;
    plain.apply(&x, &mut z)?;
    z.axpy(-1.0, &y)?;
    // At most half a unit for each term of a row, which are below a hundred.
    within(1e-12, z.norm_inf() / y.norm_inf(), "products differ")?;
    let w = Vector::from_fn(a.range(), |row| value::<f64>(5, row));
    let (mut u, mut v) = (Vector::zeros(a.domain()), Vector::zeros(a.domain()));
    a.apply_adjoint(&w, &mut u)?;
    plain.apply_adjoint(&w, &mut v)?;
    v.axpy(-1.0, &u)?;
    within(1e-13, v.norm_inf() / u.norm_inf(), "adjoint products differ")?;
    let (one, other) = (y.dot(&w)?, x.dot(&u)?);
    within(1e-12, (one - other).abs() / (y.norm2() * w.norm2()), "not adjoint")?;
    Ok(())
}

#[allow(clippy::cast_possible_truncation)] // values in single precision are the point
fn single(value: f64) -> f32 {
    value as f32
}

pub(crate) fn agrees(comm: &Comm) -> TestResult {
    for r in 1..=6 {
        for c in 1..=6 {
            agrees_for::<f64>(comm, [r, c], |value| value)?;
        }
        agrees_for::<f32>(comm, [r, 1], single)?;
    }
    agrees_for::<f32>(comm, [2, 3], single)
}

pub(crate) fn checksums(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    let mut scaled_back = Vec::new();
    for (of_matrix, of_operand) in
        [(1.0, 1.0), (2f64.powi(-565), 1.0), (2f64.powi(400), 2f64.powi(160)), (1.0, 2f64.powi(-565))]
    {
        let a = matrix(comm, [3, 1], comm.size().is_multiple_of(2), |value| value * of_matrix)?;
        let x = Vector::from_fn(a.domain(), |row| value::<f64>(7, row) * of_operand);
        let mut y = Vector::zeros(a.range());
        a.apply(&x, &mut y)?;
        let name = format!("{of_matrix:e} {of_operand:e}");
        sums.push((format!("product {name}"), checksum(comm, y.owned())));
        scaled_back.push(y.owned().iter().map(|y| y / of_matrix / of_operand).collect::<Vec<f64>>());
        let w = Vector::from_fn(a.range(), |row| value::<f64>(9, row) * of_operand);
        let mut u = Vector::zeros(a.domain());
        a.apply_adjoint(&w, &mut u)?;
        sums.push((format!("adjoint product {name}"), checksum(comm, u.owned())));
    }
    let same = scaled_back.iter().all(|y| cast_slice::<f64, u8>(y) == cast_slice::<f64, u8>(&scaled_back[0]));
    comm.agree(if same { Ok(()) } else { Err("powers of two change digits") })?;
    Ok(sums)
}

pub(crate) fn odd_operands(comm: &Comm) -> TestResult {
    let a = matrix(comm, [3, 1], true, single)?;
    let mut y = Vector::from_fn(a.range(), |_| 1.0);
    a.apply(&Vector::zeros(a.domain()), &mut y)?;
    assert!(y.owned().iter().all(|&y| y == 0.0));
    for bad in [f64::NAN, f64::INFINITY] {
        let x = Vector::from_fn(a.domain(), |row| if row == 11 { bad } else { 1.0 });
        a.apply(&x, &mut y)?;
        assert!(y.owned().iter().all(|y| y.is_nan()), "{bad}");
    }
    // Sums as large as the bound allows, of one sign.
    let (rows, columns) = (Layout::uniform(comm, 1), Layout::uniform(comm, 100));
    let mine: Vec<Gid> = columns.range().collect();
    let full = ColumnBlockMatrix::new(&rows, &columns, [1, 1], vec![0; mine.len()], &mine, vec![0.999f32; mine.len()])?;
    let x = Vector::from_fn(full.domain(), |_| -1.999);
    let mut y = Vector::zeros(full.range());
    full.apply(&x, &mut y)?;
    let expected = -100.0 * 1.999 * f64::from(0.999f32);
    // A bound of 2^8, hence a unit of 2^-43, half of which each of the hundred terms may be off.
    assert!(y.owned().iter().all(|y| (y - expected).abs() < 50.0 * 2f64.powi(-43)), "{y:?}");
    let empty = ColumnBlockMatrix::<f64>::new(&rows, &columns, [2, 2], vec![], &[], vec![])?;
    let mut y = Vector::from_fn(empty.range(), |_| 1.0);
    empty.apply(&Vector::from_fn(empty.domain(), |_| 1.0), &mut y)?;
    assert!(y.owned().iter().all(|&y| y == 0.0) && empty.local_blocks() == 0 && empty.block_rows().is_empty());
    Ok(())
}

/// Rows that are there already give the matrix that single blocks give.
pub(crate) fn from_rows(comm: &Comm) -> TestResult {
    let (rows, columns) = (uneven(comm, ROWS), uneven(comm, COLUMNS));
    let (row_ids, column_ids, values) = blocks(&columns, [3, 1], true, single);
    let mut starts = vec![0];
    row_ids.chunk_by(|a, b| a == b).for_each(|row| starts.push(starts.last().copied().unwrap_or(0) + row.len()));
    let mut distinct = row_ids.clone();
    distinct.dedup();
    let first = columns.range().start;
    let numbers = column_ids.iter().map(|id| u32::try_from(id - first)).collect::<Result<_, _>>()?;
    let a = ColumnBlockMatrix::from_rows(&rows, &columns, [3, 1], distinct, starts, numbers, values.clone())?;
    let b = ColumnBlockMatrix::new(&rows, &columns, [3, 1], row_ids, &column_ids, values)?;
    assert_eq!((a.block_rows(), a.local_blocks()), (b.block_rows(), b.local_blocks()));
    let x = Vector::from_fn(a.domain(), |row| value::<f64>(7, row));
    let (mut y, mut z) = (Vector::zeros(a.range()), Vector::zeros(a.range()));
    a.apply(&x, &mut y)?;
    b.apply(&x, &mut z)?;
    assert_eq!(y.owned(), z.owned());
    let (mut u, mut v) = (Vector::zeros(a.domain()), Vector::zeros(a.domain()));
    a.apply_adjoint(&y, &mut u)?;
    b.apply_adjoint(&y, &mut v)?;
    assert_eq!(u.owned(), v.owned());
    Ok(())
}

/// A product through a diagonal has the bits of its parts, where one rank has blocks in all rows and elsewhere.
pub(crate) fn through(comm: &Comm) -> TestResult {
    for all in [true, false] {
        let (rows, columns) = (uneven(comm, ROWS), uneven(comm, COLUMNS));
        let (mut row_ids, column_ids, values) = blocks(&columns, [3, 1], false, single);
        if all {
            row_ids.iter_mut().zip(0..).for_each(|(row, block): (&mut Gid, Gid)| *row = block % ROWS);
        }
        let a = ColumnBlockMatrix::new(&rows, &columns, [3, 1], row_ids, &column_ids, values)?;
        let factor = |row: usize| 1.0 + 0.1 * (rows.range().start + row as u64) as f64;
        let middle = |row: usize, sums: &mut [f64]| sums.iter_mut().for_each(|sum| *sum *= factor(row));
        let x = Vector::from_fn(a.domain(), |row| value::<f64>(7, row));
        let (mut work, mut y, mut z) = (Vector::zeros(a.range()), Vector::zeros(a.domain()), Vector::zeros(a.domain()));
        a.multiply_through(&x, middle, &mut work, &mut y)?;
        a.apply(&x, &mut work)?;
        work.owned_mut().chunks_exact_mut(3).enumerate().for_each(|(row, sums)| middle(row, sums));
        a.apply_adjoint(&work, &mut z)?;
        assert_eq!(y.owned(), z.owned());
        assert!(z.norm_inf() > 0.0);
    }
    Ok(())
}

pub(crate) fn bad_rows(comm: &Comm) -> TestResult {
    let last = comm.rank() + 1 == comm.size();
    let (rows, columns) = (Layout::uniform(comm, 10), Layout::uniform(comm, 12));
    let with = |row_ids: &[Gid], starts: &[usize], numbers: &[u32], values: &[f64]| {
        let (row_ids, starts) = if last { (row_ids.to_vec(), starts.to_vec()) } else { (vec![], vec![0]) };
        let (numbers, values) = if last { (numbers.to_vec(), values.to_vec()) } else { (vec![], vec![]) };
        ColumnBlockMatrix::from_rows(&rows, &columns, [2, 1], row_ids, starts, numbers, values)
    };
    let ones = [1.0; 4];
    fails(comm, with(&[5, 5], &[0, 1, 2], &[0, 1], &ones), "the block rows do not ascend")?;
    fails(comm, with(&[5, 10], &[0, 1, 2], &[0, 1], &ones), "row of a block: global index 10 is outside 0..10")?;
    for starts in [&[0, 2][..], &[0, 2, 1]] {
        fails(comm, with(&[5, 6], starts, &[0, 1], &ones), "the first blocks of rows do not ascend")?;
    }
    for starts in [[0, 1, 3], [1, 1, 2]] {
        fails(comm, with(&[5, 6], &starts, &[0, 1], &ones), "do not run from 0 to the number of blocks")?;
    }
    fails(comm, with(&[5, 6], &[0, 1, 2], &[0, 12], &ones), "column of a block: global index 12 is outside 0..")?;
    fails(comm, with(&[5, 6], &[0, 1, 2], &[0, 1], &ones[1..]), "values of the blocks of a matrix: expected 4")?;
    let entry = columns.blocks().range(comm.size() - 1).start + 1;
    let found = with(&[5, 6], &[0, 1, 2], &[0, 1], &[1.0, 1.0, 1.0, f64::NAN]);
    fails(comm, found, &format!("entry (13, {entry}) is not finite"))?;
    assert_eq!(with(&[5, 6], &[0, 1, 2], &[0, 1], &ones)?.block_rows().len(), if last { 2 } else { 0 });
    Ok(())
}

pub(crate) fn bad_blocks(comm: &Comm) -> TestResult {
    let last = comm.rank() + 1 == comm.size();
    let (rows, columns) = (Layout::uniform(comm, 10), Layout::uniform(comm, 12));
    let with = |shape: [usize; 2], row: Gid, column: Gid, values: Vec<f64>| {
        let (row_ids, column_ids) = if last { (vec![row], vec![column]) } else { (vec![], vec![]) };
        let values = if last { values } else { vec![] };
        ColumnBlockMatrix::new(&rows, &columns, shape, row_ids, &column_ids, values)
    };
    fails(comm, with([3, 1], 10, 11, vec![1.0; 3]), "row of a block: global index 10 is outside 0..10")?;
    let outside = "block column 12 of the matrix belongs to another rank";
    fails(comm, with([3, 1], 1, 12, vec![1.0; 3]), outside)?;
    if comm.size() > 1 {
        fails(comm, with([3, 1], 1, 0, vec![1.0; 3]), "block column 0 of the matrix belongs to another rank")?;
        let differs = with([3, 1 + usize::from(last)], 1, 11, vec![1.0; 6]);
        fails(comm, differs, "blocks of a matrix by columns: 3 x 1 (rank")?;
    }
    fails(comm, with([3, 1], 1, 11, vec![1.0; 2]), "values of the blocks of a matrix: expected 3")?;
    fails(comm, with([2, 2], 1, 11, vec![1.0, 1.0, f64::NAN, 1.0]), "entry (2, 23) is not finite")?;
    fails(comm, with([0, 1], 1, 11, vec![]), "block of a matrix by columns: expected 1 by 1 entries, found 0 by 1")?;
    fails(comm, with([3, 7], 1, 11, vec![1.0; 21]), "expected 3 by 6 entries, found 3 by 7")?;
    let elsewhere = Layout::uniform(&comm.duplicate(), 12);
    let apart = ColumnBlockMatrix::<f64>::new(&rows, &elsewhere, [1, 1], vec![], &[], vec![]);
    fails(comm, apart, "matrix of blocks by columns")?;
    let a = with([3, 1], 1, 11, vec![1.0; 3])?;
    let mut y = Vector::zeros(a.range());
    fails(comm, a.apply(&Vector::zeros(&rows), &mut y), "different layouts")
}
