//! Damaged files of every format: each is refused, or read as a valid matrix; none panics, hangs or
//! takes memory that its size does not explain.
//!
//! The inputs are made from good files by a fixed sequence of random changes, so that a failure
//! comes again. This is no coverage-guided fuzzing: cargo-fuzz needs a nightly compiler and
//! sanitizers, and a reader that calls MPI wants to be run by its launcher, on several ranks.

use dolmen_core::{Complex64, CsrMatrix, Layout, LinearOperator, MultiVector, Scalar};
use dolmen_io::petsc::{self, IndexWidth};
use dolmen_io::{Matrix, Vectors, harwell_boeing as harwell_boeing_file, npz};
use dolmen_tests::{Case, Comm, Folder, Random, TestResult, case, damage, fuzz, fuzz_deadline};

use crate::ffi::most_held;
use crate::support::{made, packed};
use crate::{harwell_boeing, petsc as small};

pub(crate) fn cases() -> Vec<Case> {
    let (ranks, deadline) = (&[1, 2], fuzz_deadline());
    vec![
        case("fuzz_market", ranks, market).deadline(deadline).alone(),
        case("fuzz_boeing", ranks, boeing).deadline(deadline).alone(),
        case("fuzz_npz", ranks, zipped).deadline(deadline).alone(),
        case("fuzz_petsc", ranks, binary).deadline(deadline).alone(),
    ]
}

/// Inputs that are tried at least, however slow the machine is.
const FEWEST: u64 = 50;
/// Memory that any read may take, in bytes: buffers, and the rows of a small file that are empty.
const MEMORY: usize = 128 << 20;

/// Checks a matrix that was read; its rows.
fn valid<T: Scalar>(matrix: &CsrMatrix<T>) -> Layout {
    let columns = matrix.domain().global_len();
    let mut entries = [0_u64];
    for row in matrix.rows() {
        assert!(row.columns().is_sorted_by(|one, next| one < next), "columns of row {}", row.index());
        assert!(row.columns().all(|column| column < columns), "columns of row {}", row.index());
        entries[0] += row.values().len() as u64;
    }
    matrix.range().comm().all_reduce_sum(&mut entries);
    assert_eq!(entries[0], matrix.global_entries());
    matrix.range().clone()
}

/// Makes the checksums of a damaged zip file right, as far as its directory still leads to its
/// members, so that damage gets past them.
fn mend_checksums(bytes: &mut [u8]) {
    let entries: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    for entry in entries {
        let number = |at: usize, width: usize| {
            let part = bytes.get(at..at + width)?;
            Some(part.iter().rev().fold(0_usize, |number, &byte| number << 8 | usize::from(byte)))
        };
        let member = || {
            let name = number(entry + 28, 2)?;
            let wide = entry + 46 + name + 4;
            let (size, start) = (number(wide, 8)?, number(wide + 16, 8)?);
            let data = start.checked_add(30 + name + 20)?;
            bytes.get(data..data.checked_add(size)?)
        };
        if let Some(crc) = member().map(crc32fast::hash)
            && let Some(place) = bytes.get_mut(entry + 16..entry + 20)
        {
            place.copy_from_slice(&crc.to_le_bytes());
        }
    }
}

/// Damages `seeds` and reads them; `mend` puts half of the inputs right in what would hide the damage.
fn check(comm: &Comm, name: &str, seeds: &[Vec<u8>], words: &[&[u8]], mend: fn(&mut [u8])) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join(name);
    let make = |random: &mut Random| {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        damage(&mut bytes, words, random);
        if random.below(2) == 0 {
            mend(&mut bytes);
        }
        if name.ends_with(".mtx") && random.below(4) == 0 { packed(&bytes) } else { bytes }
    };
    let [accepted, refused] = fuzz(comm, &path, FEWEST, make, |_| {
        let (result, most) = most_held(|| Matrix::read(comm, &path));
        assert!(most <= MEMORY, "{most} bytes");
        let rows = match &result {
            Ok((Matrix::Real(matrix), _)) => valid(matrix),
            Ok((Matrix::Complex(matrix), _)) => valid(matrix),
            Err(_) => Layout::uniform(comm, 3),
        };
        // Readers of vectors must come to an end as well.
        let (_, most) = most_held(|| {
            let _ = Vectors::read(&path, &rows);
            if name.ends_with(".rb") {
                let _ = harwell_boeing_file::read_system_vectors::<f64>(&path, &rows);
            }
        });
        assert!(most <= MEMORY, "{most} bytes for vectors");
        result.map(drop)
    })?;
    assert!(refused > accepted / 20, "{accepted} accepted, {refused} refused");
    folder.remove(comm);
    Ok(())
}

fn market(comm: &Comm) -> TestResult {
    let seeds = [
        "%%MatrixMarket matrix coordinate real general\n% c\n3 4 4\n1 1 1.5\n2 3 -2e10\n3 4 inf\n1 1 .5\n",
        "%%MatrixMarket matrix coordinate complex hermitian\n3 3 3\n1 1 1 0\n2 1 3D0 4\n3 2 2 0\n",
        "%%MatrixMarket matrix coordinate pattern symmetric\r\n5 5 3\r\n1 1\r\n\r\n5 2\r\n3 3\r\n",
        "%%MatrixMarket matrix array real general\n3 2\n1\n2\n3\n4\n5\n6\n",
        "%%MatrixMarket matrix array integer skew-symmetric\n3 3\n1\n2\n3\n",
    ];
    let words: &[&[u8]] = &[
        b"\n",
        b" ",
        b"%",
        b"0",
        b"-1",
        b"nan",
        b"1e999",
        b"99999999999",
        b"18446744073709551616",
        b"symmetric",
        b"array",
        b"1D5",
        b"\r\n",
    ];
    check(comm, "fuzz.mtx", &seeds.map(|seed| seed.as_bytes().to_vec()), words, |_| ())
}

fn boeing(comm: &Comm) -> TestResult {
    let words: &[&[u8]] = &[
        b"\n",
        b" ",
        b"   9",
        b"   0",
        b"99999999999999",
        b"(1I1)",
        b"(9I255)",
        b"PSA ",
        b"RUA ",
        b"E+99",
        b"E+999",
        b"-",
        b"          ",
    ];
    let systems = [false, true].map(harwell_boeing::systems);
    let seeds = [harwell_boeing::GENERAL, harwell_boeing::HERMITIAN, &systems[0], &systems[1]];
    let seeds = seeds.map(|seed| seed.as_bytes().to_vec());
    check(comm, "fuzz.rb", &seeds, words, |_| ())
}

fn zipped(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("seed.npz");
    let mut seeds = Vec::new();
    npz::write_matrix(&path, &made::<f64>(comm, 9, 7)?)?;
    seeds.push(std::fs::read(&path)?);
    npz::write_matrix(&path, &made::<Complex64>(comm, 3, 40)?)?;
    seeds.push(std::fs::read(&path)?);
    let vectors = MultiVector::from_fn(&Layout::uniform(comm, 6), 2, |row, column| row as f64 + column as f64);
    npz::write_vectors(&path, &vectors)?;
    seeds.push(std::fs::read(&path)?);
    folder.remove(comm);
    let words: &[&[u8]] = &[
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"PK\x03\x04",
        b"\x08\x00",
        b"(9999999999,)",
        b"<i8",
        b"<f4",
        b"csc",
        b"bsr",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
    ];
    check(comm, "fuzz.npz", &seeds, words, mend_checksums)
}

fn binary(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("seed.petsc");
    let mut seeds = vec![small::small(&[1_211_216, 3, 4, 3], &[1, 0, 2], &[1, 0, 3], &[1.0, 2.0, 3.0])];
    seeds.push(small::small(&[1_211_216, 2, 2, -1], &[], &[], &[1.0, 2.0, 3.0, 4.0]));
    seeds.push([&seeds[0][..], &small::small(&[1_211_214, 3], &[], &[], &[1.0, 2.0, 3.0])].concat());
    petsc::write_matrix(&path, &made::<Complex64>(comm, 9, 7)?, IndexWidth::Bits64, 1)?;
    seeds.push(std::fs::read(&path)?);
    folder.remove(comm);
    let words: &[&[u8]] = &[
        b"\0\x12\x7b\x50",
        b"\0\x12\x7b\x4e",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\x01",
        b"\x7f\xff\xff\xff",
        b"\0\0\0\x03",
    ];
    check(comm, "fuzz.petsc", &seeds, words, |_| ())
}
