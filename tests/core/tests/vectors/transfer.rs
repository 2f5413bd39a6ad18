//! Entries that change ranks: redistribution, gathering, scattering, setting.

use dolmen_core::{Comm, Layout, Redistribute, Scalar, Vector};
use dolmen_tests::TestResult;
use proptest::prelude::*;

use dolmen_core_tests::{
    all_scalars, close, dense, inner, layout, lengths, multi_vector, property, require, same_entries, two_lengths,
    value, vector, verdict,
};

pub(crate) fn transfers(comm: &Comm) -> TestResult {
    property(comm, 24, (two_lengths(comm.size()), 0u64..1000, 0usize..4), |((from, to), seed, columns)| {
        let (from, to) = (layout(comm, from), layout(comm, to));
        all_scalars!(redistribution(&from, &to, *seed, *columns));
        all_scalars!(gather_and_scatter(&from, *seed));
        all_scalars!(subvectors(&from, *seed));
        Ok(())
    })
}

fn redistribution<T: Scalar>(from: &Layout, to: &Layout, seed: u64, columns: usize) -> TestResult {
    let expected = dense::<T>(seed, from.global_len());
    let plan = Redistribute::new(from, to)?;
    let mut x = vector(from, seed);
    let mut y = Vector::zeros(to);
    // Twice, with other values in between: buffers are used again.
    plan.apply(&vector(from, seed + 5), &mut y)?;
    plan.apply(&x, &mut y)?;
    same_entries("apply", &y, &expected);
    x.fill(T::ZERO);
    plan.apply_reverse(&y, &mut x)?;
    same_entries("apply_reverse", &x, &expected);
    same_entries("redistributed", &x.redistributed(to)?, &expected);
    let mut many = multi_vector::<T>(from, columns, seed);
    let mut moved = multi_vector(to, columns, seed + 100);
    plan.apply_columns(&many, &mut moved)?;
    require(moved.owned() == multi_vector(to, columns, seed).owned(), || "apply_columns".to_owned());
    many.fill(T::ZERO);
    plan.apply_columns_reverse(&moved, &mut many)?;
    require(many.owned() == multi_vector(from, columns, seed).owned(), || "apply_columns_reverse".to_owned());
    Ok(())
}

fn gather_and_scatter<T: Scalar>(layout: &Layout, seed: u64) -> TestResult {
    let comm = layout.comm();
    let expected = dense::<T>(seed, layout.global_len());
    let x = vector(layout, seed);
    require(x.gather_all() == expected, || "gather_all".to_owned());
    for root in [0, comm.size() - 1] {
        let gathered = x.gather(root)?;
        require(gathered == (comm.rank() == root).then(|| expected.clone()), || "gather".to_owned());
        let scattered = Vector::scatter(layout, root, &gathered.unwrap_or_default())?;
        same_entries("scatter", &scattered, &expected);
    }
    Ok(())
}

fn subvectors<T: Scalar>(layout: &Layout, seed: u64) -> TestResult {
    let len = layout.global_len();
    let x = vector::<T>(layout, seed);
    for rows in [0..len, len / 3..len / 3 * 2, len..len, 0..len.min(1)] {
        let part = x.subvector(rows.clone())?;
        let expected: Vec<T> = rows.clone().map(|row| value(seed, row)).collect();
        same_entries("subvector", &part, &expected);
        let mut whole = vector::<T>(layout, seed + 1);
        whole.set_subvector(rows.clone(), &part)?;
        let salt = |row| if rows.contains(&row) { seed } else { seed + 1 };
        let expected: Vec<T> = (0..len).map(|row| value(salt(row), row)).collect();
        same_entries("set_subvector", &whole, &expected);
    }
    Ok(())
}

/// A rank that gives an entry, the entry's place as a share of all rows, and a seed for its value.
type Given = (usize, u64, u64);

pub(crate) fn entries(comm: &Comm) -> TestResult {
    let given = prop::collection::vec((0..comm.size(), 0u64..1000, 0u64..1000), 0..30);
    property(comm, 24, (lengths(comm.size()), given), |(lengths, given)| {
        let layout = layout(comm, lengths);
        if layout.global_len() == 0 {
            return Ok(());
        }
        let mut given: Vec<Given> = given.iter().map(|&(r, at, s)| (r, at % layout.global_len(), s)).collect();
        given.sort_by_key(|&(rank, ..)| rank);
        all_scalars!(set_and_add(&layout, &given));
        Ok(())
    })
}

fn set_and_add<T: Scalar>(layout: &Layout, given: &[Given]) -> TestResult {
    let me = layout.comm().rank();
    let mine = given.iter().filter(|(rank, ..)| *rank == me);
    let mine: Vec<(u64, T)> = mine.map(|&(_, row, seed)| (row, value(seed, row))).collect();
    let (mut set, mut added) = (vector::<T>(layout, 1), vector::<T>(layout, 1));
    set.set_entries(&mine)?;
    added.add_entries(&mine)?;
    let (mut expected_set, mut expected_sum) = (dense::<T>(1, layout.global_len()), dense::<T>(1, layout.global_len()));
    for &(_, row, seed) in given {
        expected_set[usize::try_from(row)?] = value(seed, row);
        expected_sum[usize::try_from(row)?] += value(seed, row);
    }
    same_entries("set_entries", &set, &expected_set);
    same_entries("add_entries", &added, &expected_sum);
    let rows: Vec<u64> = mine.iter().map(|(row, _)| *row).rev().collect();
    let found = set.get_entries(&rows)?;
    for (row, found) in rows.iter().zip(&found) {
        let expected = expected_set[usize::try_from(*row)?];
        require(*found == expected, || "get_entries".to_owned());
        require(set.get(*row).is_none_or(|own| own == expected), || "get".to_owned());
    }
    require(found.len() == rows.len(), || "as many entries as rows".to_owned());
    Ok(())
}

/// The answer on a part of the ranks is the answer on all of them.
pub(crate) fn sub_communicators(comm: &Comm) -> TestResult {
    let color = (comm.rank() % 3 != 2).then(|| u32::from(comm.rank() % 3 == 1));
    let Some(part) = comm.split(color, comm.rank())? else {
        return Ok(verdict(comm)?);
    };
    let layout = Layout::uniform(&part, 50);
    let (x, y) = (vector::<f64>(&layout, 1), vector(&layout, 2));
    close("dot", x.dot(&y)?, inner(&dense(1, 50), &dense(2, 50)), 50.0);
    require(x.gather_all() == dense::<f64>(1, 50), || "gather_all".to_owned());
    let whole = Layout::on_one_rank(&part, 50, part.size() - 1)?;
    same_entries("redistributed", &y.redistributed(&whole)?, &dense(2, 50));
    part.free();
    Ok(verdict(comm)?)
}
