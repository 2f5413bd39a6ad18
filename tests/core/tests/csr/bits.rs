//! One set of triplets, dealt to the ranks differently on each number of them: assembly, products
//! and norms must have the same bits all the same.

use std::cmp::Reverse;

use dolmen_core::random::Philox;
use dolmen_core::{AdjointOperator, Comm, CsrMatrix, Duplicates, Gid, LinearOperator, Scalar, Vector};
use dolmen_core_tests::{checksum, uneven_layout, varying};
use dolmen_tests::{Checksums, TestResult};

const ROWS: u64 = 300;
const COLUMNS: u64 = 280;
const TRIPLETS: u64 = 6000;

/// A whole number below `end`.
fn below(stream: u64, index: u64, end: u64) -> u64 {
    let wanted = Philox::new(6).uniform(stream, index) * end as f64;
    (0..end).rev().find(|&whole| whole as f64 <= wanted).unwrap_or(0)
}

/// Triplet `t`: in a band or anywhere, repeated in both.
fn triplet<T: Scalar>(t: u64) -> (Gid, Gid, T) {
    let row = below(0, t, ROWS);
    let column = if t.is_multiple_of(2) { (row + below(1, t, 5)) % COLUMNS } else { below(1, t, COLUMNS) };
    (row, column, varying(1, t))
}

/// Returns the entries of this rank, in an order of its own.
fn given<T: Scalar>(comm: &Comm) -> Vec<(Gid, Gid, T)> {
    let (rank, size) = (comm.rank() as u64, comm.size() as u64);
    let mut mine: Vec<u64> = (0..TRIPLETS).filter(|&t| below(10 + size, t, size) == rank).collect();
    mine.sort_by_cached_key(|&t| Reverse(below(20 + size, t, 1000)));
    mine.into_iter().map(triplet).collect()
}

pub(crate) fn checksums<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let (range, domain) = (uneven_layout(comm, ROWS)?, uneven_layout(comm, COLUMNS)?);
    let mut a = CsrMatrix::from_triplets(&range, &domain, given::<T>(comm), Duplicates::Add)?;
    let mut sums = Checksums::new();
    let mut note = |name: &str, sum| sums.push((name.to_owned(), sum));
    note("pattern", checksum(comm, &a.rows().flat_map(|row| row.columns()).collect::<Vec<_>>()));
    note("values", checksum(comm, &values(&a)));
    let x = Vector::from_fn(&domain, |column| varying(2, column));
    let u = Vector::from_fn(&range, |row| varying(3, row));
    let (mut y, mut z) = (u.clone(), x.clone());
    a.apply(&x, &mut y)?;
    note("product", checksum(comm, y.owned()));
    a.apply_add(&x, &mut y)?;
    note("sum and product", checksum(comm, y.owned()));
    a.apply_adjoint(&u, &mut z)?;
    note("adjoint product", checksum(comm, z.owned()));
    a.apply_transpose(&u, &mut z)?;
    note("transposed product", checksum(comm, z.owned()));
    note("adjoint", checksum(comm, &values(a.adjoint()?)));
    note("row sums", checksum(comm, a.row_sums().owned()));
    note("column sums", checksum(comm, a.column_sums()?.owned()));
    let norms = [a.norm_frobenius(), a.norm_one()?, a.norm_inf()];
    note("norms", checksum(comm, &if comm.rank() == 0 { norms.to_vec() } else { Vec::new() }));
    let before = values(&a);
    a.scale(T::ZERO);
    a.refill_triplets(given::<T>(comm), Duplicates::Add)?;
    let bits = |values: &[T]| bytemuck::cast_slice::<T, u8>(values).to_vec();
    assert_eq!(bits(&before), bits(&values(&a)), "a refill has the bits of the assembly");
    a.scale_columns(&x)?;
    a.scale_rows(&u)?;
    note("scaled", checksum(comm, &values(&a)));
    Ok(sums)
}

fn values<T: Scalar>(a: &CsrMatrix<T>) -> Vec<T> {
    a.rows().flat_map(|row| row.values()).copied().collect()
}
