//! Stacked vectors: in a file the blocks follow each other, whatever the number of ranks.

use std::path::Path;

use dolmen_core::{BlockLayout, CsrMatrix, Layout as Distribution, MultiVector, Vector};
use dolmen_io::fits::{ColumnData, Header, TableColumn, write_table};
use dolmen_io::hdf5::{H5File, Layout};
use dolmen_tests::{Comm, Folder, TestResult, message};

use crate::on_other_ranks;

const LEN: u64 = 3000 + 1111;

fn stack(comm: &Comm) -> TestResult<Distribution> {
    let [first, second] = [3000, 1111].map(|len| Distribution::uniform(comm, len));
    Ok(BlockLayout::new(&[&first, &second])?.stacked().clone())
}

fn layouts(dimensions: usize) -> [Layout; 3] {
    let chunk = [vec![1000], vec![500, 2]][dimensions - 1].clone();
    [Layout::Contiguous, Layout::Chunked(chunk.clone()), Layout::Compressed { chunk, level: 4 }]
}

fn entry(row: u64, column: usize) -> f64 {
    row as f64 + 0.125 * column as f64
}

fn filled(distribution: &Distribution) -> (Vector<f64>, MultiVector<f64>) {
    (Vector::from_fn(distribution, |row| entry(row, 0)), MultiVector::from_fn(distribution, 3, entry))
}

fn write(comm: &Comm, path: &Path) -> TestResult {
    let file = H5File::create(comm, path)?;
    let (x, xs) = filled(&stack(comm)?);
    for (number, (one, two)) in layouts(1).iter().zip(&layouts(2)).enumerate() {
        file.write_vector(&format!("x{number}"), &x, one)?;
        file.write_multi_vector(&format!("xs{number}"), &xs, two)?;
    }
    Ok(file.close()?)
}

fn read(comm: &Comm, path: &Path) -> TestResult {
    let file = H5File::open(comm, path)?;
    for distribution in [stack(comm)?, Distribution::uniform(comm, LEN)] {
        let (x, xs) = filled(&distribution);
        for number in 0..3 {
            let name = format!("x{number}");
            assert_eq!(file.read_vector::<f64>(&name, &distribution)?.owned(), x.owned(), "{distribution:?}");
            let mut found = Vector::<f64>::zeros(&distribution);
            file.read_vector_into(&name, &mut found)?;
            assert_eq!(found.owned(), x.owned(), "{distribution:?}");
            let found = file.read_multi_vector::<f64>(&format!("xs{number}"), &distribution)?;
            assert!(found.columns() == 3 && found.owned() == xs.owned(), "{distribution:?}");
        }
    }
    Ok(file.close()?)
}

pub(crate) fn come_back(comm: &Comm) -> TestResult {
    on_other_ranks(comm, &[(write, read)])
}

pub(crate) fn refused(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let (stack, plain) = (stack(comm)?, Distribution::uniform(comm, LEN));
    let path = folder.path().join("a.h5");
    let file = H5File::create(comm, &path)?;
    file.write_matrix("a", &CsrMatrix::<f64>::from_rows(&plain, &plain, |_, _| {})?, &Layout::Contiguous)?;
    for [range, domain] in [[&stack, &plain], [&plain, &stack]] {
        let refused = message(comm, file.read_matrix::<f64>("a", range, domain))?;
        assert!(refused.contains("of a matrix: a stacked layout of 2 blocks"), "{refused}");
    }
    file.close()?;
    let data = vec![0.0; stack.local_len()];
    let column = TableColumn { name: "X", unit: "", repeat: 1, data: ColumnData::F64(&data) };
    let table = write_table(&stack, folder.path().join("x.fits"), &Header::default(), &[column]);
    assert!(message(comm, table)?.contains("rows of a FITS table: a stacked layout of 2 blocks"));
    folder.remove(comm);
    Ok(())
}
