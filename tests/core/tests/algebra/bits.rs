//! One matrix on different numbers of ranks: every operation must have the same bits.

use dolmen_core::{Comm, CsrMatrix, Gid, Layout, Renumbering, Scalar};
use dolmen_core_tests::{uneven_layout, varying};
use dolmen_tests::{Checksums, TestResult};

const ROWS: u64 = 300;
const COLUMNS: u64 = 90;

/// A band, with runs of equal values, and a few entries far from it in every seventh row.
fn banded<T: Scalar>(range: &Layout, domain: &Layout, stream: u64) -> TestResult<CsrMatrix<T>> {
    let columns = domain.global_len();
    Ok(CsrMatrix::from_rows(range, domain, |row, entries| {
        let middle = row * columns / range.global_len();
        for column in middle.saturating_sub(2)..columns.min(middle + 3) {
            let index = if row < ROWS / 3 { column + 5 - middle } else { row * columns + column };
            entries.push(column, varying(stream, index));
        }
        if row % 7 == 0 {
            (0..3).for_each(|k| entries.push((row * 31 + k * 17) % columns, varying(stream, row * columns + k)));
        }
    })?)
}

/// Of the entries of all ranks in global order.
pub(crate) fn checksum<T: Scalar>(comm: &Comm, a: &CsrMatrix<T>) -> u64 {
    let columns: Vec<Gid> = a.rows().flat_map(|row| row.columns()).collect();
    let values: Vec<T> = a.rows().flat_map(|row| row.values()).copied().collect();
    dolmen_core_tests::checksum(comm, &columns).wrapping_mul(31) ^ dolmen_core_tests::checksum(comm, &values)
}

pub(crate) fn checksums<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let (fine, coarse) = (uneven_layout(comm, ROWS)?, uneven_layout(comm, COLUMNS)?);
    let a = banded::<T>(&fine, &fine, 1)?;
    let p = banded::<T>(&fine, &coarse, 2)?;
    let aggregates = CsrMatrix::from_rows(&fine, &coarse, |row, entries| {
        entries.push(row * 7 / 3 % COLUMNS, varying(3, row));
    })?;
    let mut sums = Checksums::new();
    let mut note = |name: &str, a: &CsrMatrix<T>| sums.push((name.to_owned(), checksum(comm, a)));
    note("transpose", &p.transpose()?);
    note("adjoint", p.adjoint()?);
    let mut square = a.multiply(&a)?;
    note("square", &square);
    note("rectangular product", &p.transpose()?.multiply(&a)?);
    let mut galerkin = a.triple_product(&p)?;
    note("triple product", &galerkin);
    note("triple product as two", &p.adjoint()?.multiply(&a.multiply(&p)?)?);
    let mut aggregated = a.triple_product(&aggregates)?;
    note("triple product of aggregates", &aggregated);
    note("sum", &a.add(varying(4, 0), &square, varying(4, 1))?);
    let mine = |len: u64, keep: u64| -> Vec<Gid> {
        let size = comm.size() as u64;
        let all: Vec<Gid> = (0..len).filter(|k| k % keep != 0).map(|k| len - 1 - k).collect();
        let rank = comm.rank() as u64;
        (0..).zip(all).filter(|(k, _)| k * size / len == rank).map(|(_, index)| index).collect()
    };
    note("submatrix", &square.submatrix(&mine(ROWS, 3), &mine(ROWS, 5))?);
    let backwards: Vec<Gid> = fine.range().map(|row| ROWS - 1 - row).collect();
    let backwards = Renumbering::new(&fine, &fine, backwards)?;
    note("permuted", &a.renumbered(&backwards, &backwards)?);
    let (before, plans) = (
        [&square, &galerkin, &aggregated].map(|a| checksum(comm, a)),
        (
            square.plan_multiply(&a, &a)?,
            galerkin.plan_triple_product(&a, &p)?,
            aggregated.plan_triple_product(&a, &aggregates)?,
        ),
    );
    for result in [&mut square, &mut galerkin, &mut aggregated] {
        result.scale(T::ZERO);
    }
    square.refill_multiply(&plans.0, &a, &a)?;
    galerkin.refill_triple_product(&plans.1, &a, &p)?;
    aggregated.refill_triple_product(&plans.2, &a, &aggregates)?;
    assert_eq!([&square, &galerkin, &aggregated].map(|a| checksum(comm, a)), before, "refills have the same bits");
    let two = checksum(comm, &p.adjoint()?.multiply(&a.multiply(&p)?)?);
    assert_eq!(two, before[1], "a triple product has the bits of two products");
    Ok(sums)
}
