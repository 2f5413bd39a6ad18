//! PETSc's binary files: round trips with integers of both widths, and malformed files. Files that
//! PETSc wrote are among the reference files.

use std::fs;

use dolmen_core::{BlockCsrMatrix, Complex64, CsrMatrix, Duplicates, Layout, MultiVector, Scalar};
use dolmen_io::petsc::{self, IndexWidth};
use dolmen_io::{Matrix, Vectors, describe};
use dolmen_tests::{Case, Comm, Folder, TestResult, case, shared};

use crate::support::{bits_of, hard, made, put, require_refused, require_same};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("petsc_matrices_round_trip", &[1, 2, 3], matrices_round_trip),
        case("petsc_vectors_round_trip", &[1, 2, 3], vectors_round_trip),
        case("petsc_files_of_petsc_are_written_again", &[1, 2, 3], files_of_petsc_are_written_again),
        case("petsc_malformed_files_are_refused_alike", &[1, 2, 3], malformed_files_are_refused_alike),
    ]
}

const WIDTHS: [IndexWidth; 2] = [IndexWidth::Bits32, IndexWidth::Bits64];

fn round_trip<T: Scalar>(comm: &Comm, folder: &Folder) -> TestResult {
    let path = folder.path().join("trip.petsc");
    for (rows, columns) in [(50, 50), (7, 90), (90, 7), (3, 1)] {
        let matrix = made::<T>(comm, rows, columns)?;
        for width in WIDTHS {
            petsc::write_matrix(&path, &matrix, width, 1)?;
            require_same(&petsc::read_matrix::<T>(comm, &path)?.0, &matrix);
        }
    }
    Ok(())
}

fn matrices_round_trip(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    round_trip::<f64>(comm, &folder)?;
    round_trip::<f32>(comm, &folder)?;
    round_trip::<Complex64>(comm, &folder)?;
    let path = folder.path().join("blocks.petsc");
    let layout = Layout::uniform(comm, 20).refined(3)?;
    let entries = layout.range().map(|row| (row, (row * 7) % 60, hard(row)));
    let matrix = CsrMatrix::from_triplets(&layout, &layout, entries, Duplicates::Insert)?;
    let matrix = BlockCsrMatrix::from_csr(3, &matrix)?;
    petsc::write_matrix(&path, &matrix.to_csr()?, IndexWidth::Bits32, 3)?;
    assert_eq!(describe(comm, &path)?.block_size, 3);
    assert_eq!(petsc::read_matrix::<f64>(comm, &path)?.0.global_entries(), matrix.to_csr()?.global_entries());
    let message =
        petsc::write_matrix(&path, &made::<f64>(comm, 50, 50)?, IndexWidth::Bits32, 3).unwrap_err().to_string();
    assert!(message.contains("50 by 50 entries are not blocks of 3"), "{message}");
    petsc::write_matrix(&path, &made::<f64>(comm, 50, 50)?, IndexWidth::Bits32, 1)?;
    assert_eq!(describe(comm, &path)?.block_size, 1, "an old block size is removed");
    folder.remove(comm);
    Ok(())
}

fn vectors_round_trip(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("v.petsc");
    let rows = Layout::from_local_len(comm, 5 + 4 * comm.rank())?;
    for columns in [1, 4] {
        let vectors = MultiVector::from_fn(&rows, columns, |row, column| hard(row * 31 + column as u64));
        for width in WIDTHS {
            petsc::write_vectors(&path, &vectors, width)?;
            let (read, description) = petsc::read_vectors::<f64>(&path, &rows)?;
            assert_eq!(bits_of(read.owned()), bits_of(vectors.owned()));
            assert_eq!((description.rows, description.columns), (rows.global_len(), columns as u64));
        }
    }
    let complex = MultiVector::from_fn(&rows, 2, |row, column| Complex64::new(hard(row), hard(column as u64)));
    petsc::write_vectors(&path, &complex, IndexWidth::Bits32)?;
    assert_eq!(bits_of(petsc::read_vectors::<Complex64>(&path, &rows)?.0.owned()), bits_of(complex.owned()));
    let message = petsc::read_vectors::<f64>(&path, &rows).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("holds complex numbers, which f64 cannot"), "{message}");
    let message = Matrix::read(comm, &path).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("holds vectors and no matrix"), "{message}");
    let message = petsc::write_vectors(&path, &MultiVector::<f64>::zeros(&rows, 0), IndexWidth::Bits32).unwrap_err();
    assert!(message.to_string().contains("no columns to write"));
    folder.remove(comm);
    Ok(())
}

/// Files that PETSc wrote have the same bytes when read and written again.
fn files_of_petsc_are_written_again(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let folder = Folder::new(comm)?;
    let path = folder.path().join("again.petsc");
    for name in ["bcsstk09.petsc", "lp_share1b.petsc", "baij2.petsc", "ext_bfw62b.petsc"] {
        let original = shared.join("data/petsc").join(name);
        let (matrix, _) = Matrix::read(comm, &original)?;
        matrix.write(&path)?;
        assert!(fs::read(&path)? == fs::read(&original)?, "{name}");
    }
    let original = shared.join("data/petsc/lp_share1b_Av.vec");
    let (vectors, _) = petsc::read_vectors::<f64>(&original, &Layout::uniform(comm, 117))?;
    petsc::write_vectors(&path, &vectors, IndexWidth::Bits32)?;
    assert!(fs::read(&path)? == fs::read(&original)?);
    folder.remove(comm);
    Ok(())
}

fn integers(numbers: &[i32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A matrix of 3 by 4 with entries (0, 1) = 1, (2, 0) = 2, (2, 3) = 3.
pub(crate) fn small(header: &[i32], lengths: &[i32], columns: &[i32], values: &[f64]) -> Vec<u8> {
    let values = values.iter().flat_map(|value| value.to_be_bytes());
    [header, lengths, columns].map(integers).concat().into_iter().chain(values).collect()
}

fn malformed_files_are_refused_alike(comm: &Comm) -> TestResult {
    const MATRIX: i32 = 1_211_216;
    const VECTOR: i32 = 1_211_214;
    let folder = Folder::new(comm)?;
    let (lengths, columns, values) = ([1, 0, 2], [1, 0, 3], [1.0, 2.0, 3.0]);
    let good = small(&[MATRIX, 3, 4, 3], &lengths, &columns, &values);
    put(comm, &folder.path().join("good.petsc"), &good)?;
    let (Matrix::Real(matrix), _) = Matrix::read(comm, folder.path().join("good.petsc"))? else {
        return Err("is real".into());
    };
    let dense = matrix.gather_all()?.to_dense();
    assert_eq!(dense.into_raw_vec_and_offset().0, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 3.0]);
    for (bytes, expected) in [
        (good[..good.len() - 1].to_vec(), "byte 0: announces 3 values of entries, but the file ends at byte 63"),
        (good[..20].to_vec(), "byte 0: announces 3 row lengths"),
        (good[..8].to_vec(), "byte 8: the file ends where the number of columns should be"),
        ([&good[..], &[0; 7]].concat(), "byte 64: 0 is not the class number of a matrix"),
        (small(&[MATRIX, -3, 4, 3], &lengths, &columns, &values), "byte 4: the number of rows is -3"),
        (small(&[MATRIX, 3, 4, -2], &lengths, &columns, &values), "byte 12: the number of entries is -2"),
        (small(&[MATRIX, i32::MAX, 4, 3], &lengths, &columns, &values), "byte 0: announces 2147483647 row lengths"),
        (
            small(&[MATRIX, 3, 4, i32::MAX], &lengths, &columns, &values),
            "byte 0: announces 2147483647 columns of entries",
        ),
        (
            small(&[MATRIX, 3, i32::MAX, 3], &lengths, &columns, &values),
            "header: a matrix of 3 by 2147483647 is too large",
        ),
        (small(&[MATRIX, i32::MAX, i32::MAX, -1], &[], &[], &values), "byte 0: announces 4611686014132420609 entries"),
        (
            small(&[MATRIX, 3, 4, 3], &[1, -1, 2], &columns, &values),
            "byte 20: row 1 (from 0) has -1 entries, of 3 in all",
        ),
        (
            small(&[MATRIX, 3, 4, 3], &[1, 0, 4], &columns, &values),
            "byte 24: row 2 (from 0) has 4 entries, of 3 in all",
        ),
        (
            small(&[MATRIX, 3, 4, 3], &[1, 0, 1], &columns, &values),
            "byte 16: 3 entries are announced, but the rows have 2",
        ),
        (small(&[MATRIX, 3, 4, 3], &lengths, &[1, 4, 3], &values), "byte 32: column 4 is outside 0 to 4 - 1"),
        (small(&[MATRIX, 3, 4, 3], &lengths, &[1, 0, -3], &values), "byte 36: column -3 is outside 0 to 4 - 1"),
        (
            small(&[VECTOR, 5], &[], &[], &values),
            "byte 0: announces 5 entries of a vector, but the file ends at byte 32",
        ),
        (small(&[VECTOR, -5], &[], &[], &values), "byte 4: the length of a vector is -5"),
    ] {
        require_refused(comm, &folder, "bad.petsc", &bytes, expected)?;
    }
    let two = [small(&[VECTOR, 1], &[], &[], &[1.0]), small(&[VECTOR, 2], &[], &[], &[1.0, 2.0])].concat();
    let path = folder.path().join("two.petsc");
    put(comm, &path, &two)?;
    let length =
        |length| Vectors::read(&path, &Layout::uniform(comm, length)).map(|(_, description)| description.columns);
    assert_eq!((length(1)?, length(2)?), (1, 1));
    let message = length(3).unwrap_err().to_string();
    assert!(message.contains("its vectors have 1 entries, but the layout they are read into has 3"), "{message}");
    put(comm, &folder.path().join("two.petsc.info"), b"-vecload_block_size x\n")?;
    let message = describe(comm, &path).unwrap_err().to_string();
    assert!(message.contains("two.petsc.info: -vecload_block_size: is not followed by a block size"), "{message}");
    folder.remove(comm);
    Ok(())
}
