//! Stacked vectors: in a file of any format the blocks follow each other, whatever the number of ranks.

use std::fs;

use dolmen_core::{BlockLayout, Layout, MultiVector};
use dolmen_io::{Vectors, write_vectors};
use dolmen_tests::{Case, Comm, Folder, TestResult, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![case("stacked_vectors_on_other_ranks", &[4], on_other_ranks)]
}

const LEN: u64 = 300 + 111;

fn stack(comm: &Comm) -> TestResult<Layout> {
    let [first, second] = [300, 111].map(|len| Layout::uniform(comm, len));
    Ok(BlockLayout::new(&[&first, &second])?.stacked().clone())
}

fn entry(row: u64, column: usize) -> f64 {
    row as f64 + 0.125 * column as f64
}

fn on_other_ranks(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let some = |count: usize| comm.split((comm.rank() < count).then_some(0), comm.rank());
    for name in ["x.mtx", "x.mtx.gz", "x.npy", "x.petsc"] {
        let path = |ranks: usize| folder.path().join(format!("{ranks} {name}"));
        for before in [1, 2, 4] {
            if let Some(writers) = some(before)? {
                let vectors = MultiVector::from_fn(&stack(&writers)?, 3, entry);
                write_vectors(&vectors, path(before))?;
            }
            comm.barrier();
            let same = name.ends_with(".gz") || fs::read(path(1))? == fs::read(path(before))?;
            assert!(same, "{name} of {before} ranks");
            for after in [1, 3] {
                let Some(readers) = some(after)? else { continue };
                for layout in [stack(&readers)?, Layout::uniform(&readers, LEN)] {
                    let (Vectors::Real(found), _) = Vectors::read(path(before), &layout)? else { panic!("{name}") };
                    let expected = MultiVector::from_fn(&layout, 3, entry);
                    assert!(found.owned() == expected.owned(), "{name}, {before} to {after} ranks, {layout:?}");
                }
            }
            comm.barrier();
        }
    }
    by_columns(comm, &folder)?;
    folder.remove(comm);
    Ok(())
}

/// An array of NumPy that stores column after column.
fn by_columns(comm: &Comm, folder: &Folder) -> TestResult {
    let path = folder.path().join("columns.npy");
    if comm.rank() == 0 {
        let header = format!("{{'descr': '<f8', 'fortran_order': True, 'shape': ({LEN}, 3), }}");
        let mut bytes = [b"\x93NUMPY\x01\x00v\x00", format!("{header:<117}\n").as_bytes()].concat();
        (0..3).for_each(|column| bytes.extend((0..LEN).flat_map(|row| entry(row, column).to_le_bytes())));
        fs::write(&path, bytes)?;
    }
    comm.barrier();
    let layout = stack(comm)?;
    let (Vectors::Real(found), _) = Vectors::read(&path, &layout)? else { panic!("real numbers") };
    assert!(found.owned() == MultiVector::from_fn(&layout, 3, entry).owned());
    Ok(())
}
