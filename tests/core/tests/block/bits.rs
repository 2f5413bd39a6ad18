//! One set of blocks, dealt to the ranks differently on each number of them: products must have
//! the same bits all the same, and those of the matrix without blocks.

use bytemuck::cast_slice;
use dolmen_core::{AdjointOperator, BlockCsrMatrix, Comm, Duplicates, Gid, LinearOperator, Real, Scalar, Vector};
use dolmen_core_tests::{checksum, layout, value};
use dolmen_tests::{Checksums, TestResult};

const POINTS: u64 = 80;

/// A number with a full mantissa, so that the order of a sum shows in double precision too.
fn number<T: Scalar>(seed: u64, index: u64) -> T {
    value::<T>(seed, index).scale(T::Real::from_f64(1.0 / 3.0))
}

/// Uneven numbers of points, none on the second rank.
fn lengths(comm: &Comm) -> Vec<u64> {
    let size = comm.size() as u64;
    let mut lengths: Vec<u64> = (0..size).map(|rank| if rank == 1 { 0 } else { 3 * rank + 1 }).collect();
    lengths[0] += POINTS - lengths.iter().sum::<u64>();
    lengths
}

/// Near the diagonal and far from it, several times.
fn triplets<T: Scalar>(comm: &Comm, order: usize) -> Vec<(Gid, Gid, Vec<T>)> {
    let size = comm.size() as u64;
    let mine = (0..600u64).filter(|t| (t * t / 7) % size == comm.rank() as u64);
    let block = |t: u64| (0..(order * order) as u64).map(|part| number(t, part)).collect();
    let mut mine: Vec<_> = mine.map(|t| (t % POINTS, (t % POINTS + t * t % 11 * (t % 7)) % POINTS, block(t))).collect();
    if size.is_multiple_of(2) {
        mine.reverse();
    }
    mine
}

pub(crate) fn checksums<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    let points = layout(comm, &lengths(comm));
    for order in 1..7 {
        let a = BlockCsrMatrix::from_triplets(order, &points, &points, triplets::<T>(comm, order), Duplicates::Add)?;
        let x = Vector::from_fn(a.domain(), |row| number(7, row));
        let (mut y, mut z) = (x.clone(), x.clone());
        a.apply(&x, &mut y)?;
        let plain = a.to_csr()?;
        plain.apply(&x, &mut z)?;
        let same = |y: &Vector<T>, z: &Vector<T>| cast_slice::<T, u8>(y.owned()) == cast_slice::<T, u8>(z.owned());
        comm.agree(if same(&y, &z) { Ok(()) } else { Err("other bits than without blocks") })?;
        sums.push((format!("product {order}"), checksum(comm, y.owned())));
        a.apply_adjoint(&x, &mut y)?;
        plain.apply_adjoint(&x, &mut z)?;
        comm.agree(if same(&y, &z) { Ok(()) } else { Err("other bits of the adjoint than without blocks") })?;
        sums.push((format!("adjoint product {order}"), checksum(comm, y.owned())));
        let jacobi = a.block_diagonal().ok_or("a square matrix")?.inverse()?;
        jacobi.apply(&x, &mut y)?;
        sums.push((format!("block Jacobi {order}"), checksum(comm, y.owned())));
    }
    Ok(sums)
}
