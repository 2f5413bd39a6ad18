//! Sums and parts of random matrices against the dense oracle, exactly.

use std::collections::BTreeSet;

use dolmen_core::{Comm, CsrMatrix, Gid, Layout, LinearOperator, Renumbering, Scalar, SerialCsr};
use dolmen_tests::TestResult;

use crate::cases::{self, Sample, matrix};
use crate::dense::Dense;
use crate::findings::Findings;

pub(crate) fn agree<T: Scalar>(comm: &Comm) -> TestResult {
    cases::check(comm, |comm, sample, found| {
        sums::<T>(comm, sample, found)?;
        blocks::<T>(comm, sample, found)?;
        submatrices::<T>(comm, sample, found)?;
        permutations::<T>(comm, sample, found)?;
        whole::<T>(comm, sample, found)
    })
}

fn at(index: Gid) -> usize {
    usize::try_from(index).expect("a small matrix")
}

fn sums<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let [one, other] = [&sample.tall, &sample.other].map(|entries| entries.dense::<T>(sample.rows, sample.columns));
    let (a, b) = (matrix(&range, &domain, &one)?, matrix(&range, &domain, &other)?);
    let (alpha, beta) = (T::from_parts(2.0, 1.0), T::from_parts(-3.0, 0.5));
    let expected = |alpha: T, beta: T| one.map(|x| alpha * x).plus(&other.map(|x| beta * x));
    let mut sum = a.add(alpha, &b, beta)?;
    found.matrix("alpha A + beta B", &sum, &expected(alpha, beta));
    found.matrix("A - A", &a.add(T::ONE, &a, -T::ONE)?, &one.map(|_| T::ZERO));
    let plan = sum.plan_add(&b, &a)?;
    let mut doubled = b.clone();
    doubled.scale(T::ONE + T::ONE);
    sum.refill_add(&plan, beta, &doubled, alpha, &a)?;
    found.matrix("refilled sum", &sum, &expected(alpha, beta + beta));
    if sum.global_entries() > a.global_entries() {
        found.require("a plan for too small a pattern", a.plan_add(&a, &b).is_err(), true);
    }
    Ok(())
}

/// Some rows and columns of a dense matrix.
fn select<T: Scalar>(dense: &Dense<T>, rows: &[Gid], columns: &[Gid]) -> Dense<T> {
    let row = |&row: &Gid| columns.iter().map(|&column| dense.rows[at(row)][at(column)]).collect();
    Dense { rows: rows.iter().map(row).collect(), columns: columns.len() }
}

fn serial<T: Scalar>(what: &str, block: &SerialCsr<T>, expected: &Dense<T>, found: &mut Findings) {
    found.require(what, (block.rows(), block.columns()), (expected.rows.len(), expected.columns));
    found.require(what, block.row_offsets().last().copied(), Some(block.values().len()));
    for (row, expected) in expected.rows.iter().enumerate().take(block.rows()) {
        let (columns, values) = block.row(row);
        let entries: Vec<(u32, T)> = columns.iter().copied().zip(values.iter().copied()).collect();
        found.require(what, entries, (0..).zip(expected).filter_map(|(j, value)| Some((j, (*value)?))).collect());
    }
}

fn blocks<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let tall = sample.tall.dense::<T>(sample.rows, sample.columns);
    let own: (Vec<Gid>, Vec<Gid>) = (range.range().collect(), domain.range().collect());
    let mut a = matrix(&range, &domain, &tall)?;
    let mut block = a.local_block();
    // Neither sees what the other's values become, though they may share them till then.
    a.scale(T::ZERO);
    serial("local block", &block, &select(&tall, &own.0, &own.1), found);
    let again = a.local_block();
    block.values_mut().fill(T::ONE);
    found.require("values of the matrix", again.values().iter().all(|&value| value == T::ZERO), true);
    let dense = sample.square.dense::<T>(sample.rows, sample.rows);
    let a = matrix(&range, &range, &dense)?;
    let mut rows: BTreeSet<Gid> = range.range().collect();
    for levels in 0..4 {
        let (map, block) = a.overlapping_block(levels)?;
        let expected: Vec<Gid> = rows.iter().copied().collect();
        found.require("rows of an overlapping block", map.gids(), &expected);
        serial("overlapping block", &block, &select(&dense, &expected, &expected), found);
        let stored = |row: &Gid| (0..).zip(&dense.rows[at(*row)]).filter_map(|(j, value)| value.map(|_| j));
        let reached: Vec<Gid> = expected.iter().flat_map(stored).collect();
        rows.extend(reached);
    }
    Ok(())
}

/// Part `rank` of a list that all ranks have, in a scrambled order.
fn part(comm: &Comm, len: u64, step: u64) -> (Vec<Gid>, Vec<Gid>) {
    let list: Vec<Gid> = (0..len).filter(|k| k % step != 1).map(|k| k * 31 % len).collect();
    let mut distinct = list.clone();
    let mut seen = BTreeSet::new();
    distinct.retain(|&index| seen.insert(index));
    let bounds = |rank: usize| distinct.len() * rank * rank / (comm.size() * comm.size());
    let mine = distinct[bounds(comm.rank())..bounds(comm.rank() + 1)].to_vec();
    (distinct, mine)
}

fn submatrices<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let dense = sample.tall.dense::<T>(sample.rows, sample.columns);
    let a = matrix(&range, &domain, &dense)?;
    let ((rows, my_rows), (columns, my_columns)) = (part(comm, sample.rows, 3), part(comm, sample.columns, 4));
    let submatrix = a.submatrix(&my_rows, &my_columns)?;
    found.matrix("submatrix", &submatrix, &select(&dense, &rows, &columns));
    found.require(
        "its layouts",
        (submatrix.range().local_len(), submatrix.domain().local_len()),
        (my_rows.len(), my_columns.len()),
    );
    // Every rank takes the same rows.
    let first: Vec<Gid> = (0..sample.rows.min(2)).collect();
    let repeated = first.repeat(comm.size());
    found.matrix("repeated rows", &a.submatrix(&first, &my_columns)?, &select(&dense, &repeated, &columns));
    Ok(())
}

fn permutations<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, _) = sample.layouts(comm)?;
    let dense = sample.square.dense::<T>(sample.rows, sample.rows);
    let a = matrix(&range, &range, &dense)?;
    // Backwards, with neighbors swapped.
    let new = |row: Gid| sample.rows - 1 - if row ^ 1 < sample.rows { row ^ 1 } else { row };
    let numbers: Vec<Gid> = range.range().map(new).collect();
    let even = Layout::uniform(comm, sample.rows);
    let old: Vec<Gid> =
        (0..sample.rows).map(|i| (0..sample.rows).find(|&row| new(row) == i).expect("a permutation")).collect();
    for layout in [&range, &even] {
        let permutation = Renumbering::new(&range, layout, numbers.clone())?;
        found.matrix("permuted", &a.renumbered(&permutation, &permutation)?, &select(&dense, &old, &old));
    }
    Ok(())
}

fn whole<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let dense = sample.tall.dense::<T>(sample.rows, sample.columns);
    let a = matrix(&range, &domain, &dense)?;
    serial("gathered", &a.gather_all()?, &dense, found);
    let root = comm.size() - 1;
    let gathered = a.gather(root)?;
    found.require("gathered on the root alone", gathered.is_some(), comm.rank() == root);
    if let Some(all) = &gathered {
        serial("gathered on the root", all, &dense, found);
    }
    found.matrix("scattered", &CsrMatrix::scatter(&range, &domain, root, gathered.as_ref())?, &dense);
    let array = a.gather_all()?.to_dense();
    let mut nonzero = dense.clone();
    nonzero.rows.iter_mut().flatten().for_each(|entry| *entry = entry.filter(|value| *value != T::ZERO));
    for ((i, j), &value) in array.indexed_iter() {
        found.require("dense", value, dense.rows[i][j].unwrap_or(T::ZERO));
    }
    found.matrix("from dense", &CsrMatrix::from_dense(&range, &domain, &array)?, &nonzero);
    Ok(())
}
