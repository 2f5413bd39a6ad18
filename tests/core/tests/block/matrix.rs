//! Every operation on random block matrices against a dense oracle, exactly: all numbers are small
//! whole ones.

use std::collections::BTreeMap;

use dolmen_core::{
    AdjointOperator, BlockCsrMatrix, Comm, CsrMatrix, Duplicates, Gid, Layout, LinearOperator, Result, Scalar, Vector,
};
use dolmen_core_tests::{layout, lengths, property, require};
use dolmen_tests::TestResult;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Sample {
    order: usize,
    rows: Vec<u64>,
    /// The same as the rows in every third sample.
    columns: Vec<u64>,
    /// Row and column, modulo their numbers, a seed of the block, and the rank that gives it.
    triplets: Vec<(u64, u64, u64, usize)>,
}

fn samples(ranks: usize) -> impl Strategy<Value = Sample> {
    let triplets = prop::collection::vec((0u64..1000, 0u64..1000, 0u64..50, 0..ranks), 0..40);
    (1usize..7, lengths(ranks), lengths(ranks), 0..3, triplets).prop_map(|(order, rows, columns, square, triplets)| {
        let columns = if square == 0 { rows.clone() } else { columns };
        let [height, width] = [&rows, &columns].map(|lengths| lengths.iter().sum::<u64>());
        let inside = |(i, j, seed, giver): (u64, u64, u64, usize)| (i % height.max(1), j % width.max(1), seed, giver);
        let triplets = if height * width == 0 { Vec::new() } else { triplets.into_iter().map(inside).collect() };
        Sample { order, rows, columns, triplets }
    })
}

/// A small whole number.
fn number<T: Scalar>(index: u64) -> T {
    T::from_parts((index % 7) as f64 - 3.0, (index % 5) as f64 - 2.0)
}

/// The block of a seed.
fn block<T: Scalar>(order: usize, seed: u64) -> Vec<T> {
    (0..(order * order) as u64).map(|part| number(3 * seed + part)).collect()
}

/// Stored blocks by row and column.
type Oracle<T> = BTreeMap<(Gid, Gid), Vec<T>>;

impl Sample {
    fn mine<T: Scalar>(&self, comm: &Comm, shift: u64) -> Vec<(Gid, Gid, Vec<T>)> {
        let mine = self.triplets.iter().filter(|&&(.., giver)| giver == comm.rank());
        mine.map(|&(i, j, seed, _)| (i, j, block(self.order, seed + shift))).collect()
    }

    fn oracle<T: Scalar>(&self, ranks: usize, duplicates: Duplicates, shift: u64) -> Oracle<T> {
        let mut oracle = Oracle::new();
        for rank in 0..ranks {
            for &(i, j, seed, _) in self.triplets.iter().filter(|&&(.., giver)| giver == rank) {
                let stored = oracle.entry((i, j)).or_insert_with(|| vec![T::ZERO; self.order * self.order]);
                let given = block::<T>(self.order, seed + shift);
                match duplicates {
                    Duplicates::Add => stored.iter_mut().zip(given).for_each(|(sum, value)| *sum += value),
                    Duplicates::Insert => *stored = given,
                }
            }
        }
        oracle
    }
}

pub(crate) fn agrees<T: Scalar>(comm: &Comm) -> TestResult {
    property(comm, 40, samples(comm.size()), |sample| check::<T>(comm, sample))
}

fn check<T: Scalar>(comm: &Comm, sample: &Sample) -> TestResult {
    let (rows, columns) = (layout(comm, &sample.rows), layout(comm, &sample.columns));
    let order = sample.order;
    for duplicates in [Duplicates::Insert, Duplicates::Add] {
        let oracle = sample.oracle::<T>(comm.size(), duplicates, 0);
        let mut a = BlockCsrMatrix::from_triplets(order, &rows, &columns, sample.mine(comm, 0), duplicates)?;
        same_blocks("assembled", &a, &oracle);
        products(&a, &oracle)?;
        let plan = a.plan_refill(sample.mine::<T>(comm, 0).into_iter().map(|(i, j, _)| (i, j)), duplicates)?;
        let values: Vec<T> = sample.mine(comm, 1).into_iter().flat_map(|(.., block)| block).collect();
        a.refill(&plan, &values)?;
        let refilled = sample.oracle(comm.size(), duplicates, 1);
        same_blocks("refilled", &a, &refilled);
        products(&a, &refilled)?;
        assembled_otherwise(&a, &refilled)?;
    }
    Ok(())
}

fn same_blocks<T: Scalar>(what: &str, a: &BlockCsrMatrix<T>, oracle: &Oracle<T>) {
    let found: Oracle<T> = a
        .rows()
        .flat_map(|row| row.blocks().map(move |(column, block)| ((row.index(), column), block.to_vec())))
        .collect();
    let mine = a.block_range().range();
    let expected: Oracle<T> = oracle.clone().into_iter().filter(|((row, _), _)| mine.contains(row)).collect();
    require(found == expected, || format!("{what}: {found:?} instead of {expected:?}"));
    require(a.global_blocks() == oracle.len() as u64 && a.local_blocks() == expected.len(), || what.to_owned());
    let got = |&(row, column): &(Gid, Gid)| a.get(row, column) == expected.get(&(row, column)).map(Vec::as_slice);
    require(oracle.keys().all(got) && a.get(0, a.block_domain().global_len()).is_none(), || format!("{what}: get"));
}

/// `A x` or `A^H x` from the definition.
fn times<T: Scalar>(oracle: &Oracle<T>, order: usize, adjoint: bool, row: Gid) -> T {
    let n = order as u64;
    let at = |index: u64| usize::try_from(index).expect("a small matrix");
    let mut sum = T::ZERO;
    for (&(i, j), block) in oracle {
        let (own, other) = if adjoint { (j, i) } else { (i, j) };
        if own == row / n {
            for k in 0..n {
                let place = if adjoint { (row % n) * n + k } else { k * n + row % n };
                let entry = block[at(place)];
                sum += if adjoint { entry.conj() } else { entry } * number::<T>(other * n + k);
            }
        }
    }
    sum
}

fn same_vector<T: Scalar>(what: &str, found: &Vector<T>, expected: impl Fn(Gid) -> T) {
    for (row, &entry) in found.range().zip(found.owned()) {
        let expected = expected(row);
        require(entry == expected, || format!("{what}, row {row}: {entry} instead of {expected}"));
    }
}

fn products<T: Scalar>(a: &BlockCsrMatrix<T>, oracle: &Oracle<T>) -> Result<()> {
    let n = a.order();
    let (x, u) = (Vector::from_fn(a.domain(), number::<T>), Vector::from_fn(a.range(), number::<T>));
    let (mut y, mut z) = (u.clone(), x.clone());
    y.fill(number(5));
    a.apply(&x, &mut y)?;
    same_vector("A x", &y, |row| times(oracle, n, false, row));
    a.apply_adjoint(&u, &mut z)?;
    same_vector("A^H u", &z, |row| times(oracle, n, true, row));
    let diagonal = |row: Gid| {
        let (point, inside) = (row / n as u64, usize::try_from(row % n as u64).unwrap_or(0));
        oracle.get(&(point, point)).map_or(T::ZERO, |block| block[inside * n + inside])
    };
    require(a.diagonal().is_some() == (a.range() == a.domain()), || "a diagonal of a square matrix".to_owned());
    if let (Some(found), Some(blocks)) = (a.diagonal(), a.block_diagonal()) {
        same_vector("diagonal", &found, diagonal);
        same_vector("block diagonal", &blocks.diagonal().unwrap_or(found), diagonal);
        for (point, block) in a.block_range().range().zip(blocks.blocks().entries().chunks_exact(n * n)) {
            let zeros = vec![T::ZERO; n * n];
            require(block == oracle.get(&(point, point)).unwrap_or(&zeros), || format!("diagonal block {point}"));
        }
    }
    Ok(())
}

fn assembled_otherwise<T: Scalar>(a: &BlockCsrMatrix<T>, oracle: &Oracle<T>) -> Result<()> {
    let (rows, columns): (&Layout, &Layout) = (a.block_range(), a.block_domain());
    let by_rows = BlockCsrMatrix::from_rows(a.order(), rows, columns, |row, blocks| {
        // Backwards, and each block in two parts.
        let halves =
            |block: &[T]| block.iter().map(|value| value.scale(T::Real::ONE + T::Real::ONE)).collect::<Vec<_>>();
        let minus = |block: &[T]| block.iter().map(|&value| -value).collect::<Vec<_>>();
        for (&(_, column), block) in oracle.range((row, 0)..=(row, Gid::MAX)).rev() {
            blocks.push(column, &halves(block));
            blocks.push(column, &minus(block));
        }
    })?;
    same_blocks("by rows", &by_rows, oracle);
    let plain: CsrMatrix<T> = a.to_csr()?;
    let n = a.order() as u64;
    require(plain.global_entries() == a.global_blocks() * n * n, || "entries without blocks".to_owned());
    same_blocks("from a matrix without blocks", &BlockCsrMatrix::from_csr(a.order(), &plain)?, oracle);
    let x = Vector::from_fn(a.domain(), number::<T>);
    let mut y = Vector::zeros(a.range());
    plain.apply(&x, &mut y)?;
    same_vector("A x without blocks", &y, |row| times(oracle, a.order(), false, row));
    Ok(())
}
