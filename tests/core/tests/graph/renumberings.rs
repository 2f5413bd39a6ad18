//! Matrices and vectors in other numbers: products of small whole numbers are the same ones.

use dolmen_core::{
    Comm, CsrMatrix, Gid, Graph, Layout, LinearOperator, MultiVector, Partitioner, Real, Renumbering, Scalar, Vector,
};
use dolmen_tests::TestResult;

use crate::cases::{on_graphs, positions};
use crate::pattern::Pattern;

/// A number from its index, small and whole.
fn number<T: Scalar>(index: u64) -> T {
    T::from_parts((index % 7) as f64 - 3.0, (index % 5) as f64 - 2.0)
}

pub(crate) fn products<T: Scalar>(comm: &Comm) -> TestResult {
    on_graphs(comm, |graph, pattern| {
        let matrix = matrix::<T>(graph, pattern)?;
        let partition = Partitioner::new(comm.size()).partition(graph)?.renumbering()?;
        let reversed = reversed(graph.layout())?;
        for (rows, columns) in [(&partition, &partition), (&reversed, &partition), (&partition, &reversed)] {
            let renumbered = matrix.renumbered(rows, columns)?;
            let right = same_entries(&matrix, &renumbered, rows, columns)
                .and_then(|()| same_products(&matrix, &renumbered, rows, columns));
            comm.agree(right.map_err(|error| error.to_string()))?;
        }
        Ok(comm.agree(columns_there_and_back::<T>(&partition).map_err(|error| error.to_string()))?)
    })
}

/// Two entries for each edge, with different values, and a diagonal with gaps.
fn matrix<T: Scalar>(graph: &Graph, pattern: &Pattern) -> TestResult<CsrMatrix<T>> {
    let layout = graph.layout();
    Ok(CsrMatrix::from_rows(layout, layout, |row, entries| {
        for &other in &pattern.neighbors[positions(&[row])[0]] {
            entries.push(other as u64, number(3 * row + other as u64));
        }
        if row % 3 > 0 {
            entries.push(row, number(row + 1));
        }
    })?)
}

/// Backwards, on a layout with all rows on the last rank but one.
fn reversed(layout: &Layout) -> TestResult<Renumbering> {
    let (comm, len) = (layout.comm(), layout.global_len());
    let to = Layout::on_one_rank(comm, len, comm.size().saturating_sub(2))?;
    Ok(Renumbering::new(layout, &to, layout.range().map(|row| len - 1 - row).collect())?)
}

/// Entries by brute force: all of the old matrix, renamed.
fn same_entries<T: Scalar>(
    old: &CsrMatrix<T>,
    new: &CsrMatrix<T>,
    rows: &Renumbering,
    columns: &Renumbering,
) -> TestResult {
    let comm = old.range().comm();
    let (row_numbers, column_numbers) = (all(comm, rows.new_ids()), all(comm, columns.new_ids()));
    let entry = |(row, column, value): (Gid, Gid, T)| {
        [row, column, value.re().to_f64().to_bits(), value.im().to_f64().to_bits()]
    };
    let entries = |a: &CsrMatrix<T>| {
        let triplets = |row| a.row(row).into_iter().flat_map(move |r| r.entries().map(move |(c, v)| (row, c, v)));
        all(comm, &a.range().range().flat_map(triplets).map(entry).collect::<Vec<_>>())
    };
    let name = |[row, column, re, im]: [u64; 4]| {
        [row_numbers[positions(&[row])[0]], column_numbers[positions(&[column])[0]], re, im]
    };
    let mut expected: Vec<_> = entries(old).into_iter().map(name).collect();
    expected.sort_unstable();
    let found = entries(new);
    crate::cases::ensure(found == expected, || format!("entries {found:?} instead of {expected:?}"))
}

fn all<V: bytemuck::Pod>(comm: &Comm, mine: &[V]) -> Vec<V> {
    crate::cases::gathered(comm, mine)
}

/// `A x`, and the new matrix on the moved `x`, moved back.
fn same_products<T: Scalar>(
    old: &CsrMatrix<T>,
    new: &CsrMatrix<T>,
    rows: &Renumbering,
    columns: &Renumbering,
) -> TestResult {
    let x = Vector::from_fn(old.domain(), number::<T>);
    let mut expected = Vector::zeros(old.range());
    old.apply(&x, &mut expected)?;
    let (mut moved, mut product) = (Vector::zeros(columns.to()), Vector::zeros(rows.to()));
    columns.apply(&x, &mut moved)?;
    new.apply(&moved, &mut product)?;
    let mut found = Vector::zeros(old.range());
    rows.apply_reverse(&product, &mut found)?;
    let holds = found.owned() == expected.owned();
    if holds { Ok(()) } else { Err(format!("product {found:?} instead of {expected:?}").into()) }
}

/// Three columns arrive where the new numbers say, and come back as they were.
fn columns_there_and_back<T: Scalar>(renumbering: &Renumbering) -> TestResult {
    let value = |row: Gid, column: usize| number::<T>(row * 11 + 5 * column as u64 + row / 7);
    let x = MultiVector::from_fn(renumbering.from(), 3, value);
    let mut y = MultiVector::zeros(renumbering.to(), 3);
    renumbering.apply_columns(&x, &mut y)?;
    let numbers = all(renumbering.from().comm(), renumbering.new_ids());
    let mut old_ids = vec![0; numbers.len()];
    (0..).zip(positions(&numbers)).for_each(|(old, new)| old_ids[new] = old);
    let expected =
        MultiVector::from_fn(renumbering.to(), 3, |row, column| value(old_ids[positions(&[row])[0]], column));
    let mut back = MultiVector::from_fn(renumbering.from(), 3, |_, _| T::ONE);
    renumbering.apply_columns_reverse(&y, &mut back)?;
    let holds = y.owned() == expected.owned() && back.owned() == x.owned();
    if holds { Ok(()) } else { Err(format!("{y:?} instead of {expected:?}, back {back:?}").into()) }
}
