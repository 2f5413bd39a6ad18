//! Damaged HDF5 files with a vector and with a matrix.
//!
//! What is guaranteed: code of this project never panics, and takes no memory that the file's size does not
//! explain; what is read is a valid vector or matrix. What is not: HDF5's C library parses the file before any
//! of our code sees it, and the 1.10 series does not survive every damage to metadata (several are known as
//! vulnerabilities). Inputs are therefore read by a process of their own, which is started again when it
//! crashes, hangs or takes a gigabyte, and a small share may make it do so. Files from an untrusted source
//! should not be opened. Checkpoints are another matter: their checksums are compared before the library
//! sees them.

use std::fs;
use std::path::Path;
use std::process::abort;
use std::time::Instant;

use dolmen_core::{Complex64, CsrMatrix, Layout, LinearOperator, Vector};
use dolmen_io::hdf5::{self, CreateOptions, H5File};
use dolmen_tests::{Comm, TestResult};

use crate::child::spawn;
use crate::damage::{Random, damage, seconds};
use crate::ffi::most_held;

/// What any read may take: what data that were never written may have, and buffers.
const MEMORY: usize = 96 << 20;
/// What the process may have held at most, with the libraries' own memory [KiB].
const RESIDENT: u64 = 1 << 20;
/// One in so many inputs may make HDF5 crash, hang or take too much.
const TOLERATED: u64 = 20;

fn seeds(comm: &Comm, folder: &Path) -> TestResult<Vec<Vec<u8>>> {
    let options = CreateOptions::new().metadata_block(1024);
    let layout = Layout::uniform(comm, 40);
    let mut seeds = Vec::new();
    let chunked = hdf5::Layout::Chunked(vec![7]);
    let packed = hdf5::Layout::Compressed { chunk: vec![16], level: 4 };
    for storage in [hdf5::Layout::Contiguous, chunked, packed] {
        let path = folder.join("seed.h5");
        let file = H5File::create_with(comm, &path, &options)?;
        let real = Vector::from_fn(&layout, |row| 0.5 + row as f64);
        file.write_vector("x", &real, &storage)?;
        file.write_vector("z", &Vector::from_fn(&layout, |row| Complex64::new(row as f64, 1.0)), &storage)?;
        let matrix = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
            (0..row % 4).for_each(|k| entries.push((row * 7 + k * 3) % 40, row as f64));
        })?;
        file.write_matrix("A", &matrix, &storage)?;
        file.close()?;
        seeds.push(fs::read(path)?);
    }
    Ok(seeds)
}

/// Reads all three objects, as far as they are there; how many.
fn read(comm: &Comm, path: &Path) -> dolmen_io::Result<usize> {
    let file = H5File::open(comm, path)?;
    let vector = |name| -> dolmen_io::Result<usize> {
        let length = file.vector_len(name)?;
        let layout = Layout::uniform(comm, length.min(1 << 20));
        if name == "x" {
            file.read_vector::<f64>(name, &layout)?;
        } else {
            file.read_vector::<Complex64>(name, &layout)?;
        }
        Ok(1)
    };
    let matrix = || -> dolmen_io::Result<usize> {
        let (rows, columns) = file.matrix_shape("A")?;
        let (range, domain) = (Layout::uniform(comm, rows.min(1 << 20)), Layout::uniform(comm, columns));
        let matrix = file.read_matrix::<f64>("A", &range, &domain)?;
        for row in matrix.rows() {
            assert!(row.columns().is_sorted_by(|one, next| one < next), "columns of row {}", row.index());
            assert!(row.columns().all(|column| column < matrix.domain().global_len()));
        }
        Ok(1)
    };
    let read = [vector("x"), vector("z"), matrix()];
    file.close()?;
    let count = read.iter().filter(|read| read.is_ok()).count();
    read.into_iter().collect::<dolmen_io::Result<Vec<_>>>().map(|_| count)
}

/// The most memory that this process has held, by the system's account [KiB].
fn most_resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}

/// What a child does: reads inputs until its time is over.
pub(crate) fn read_damaged(comm: &Comm, folder: &Path, first: u64) -> TestResult {
    let seeds = seeds(comm, folder)?;
    let path = folder.join("fuzz.h5");
    for seed in &seeds {
        fs::write(&path, seed)?;
        assert_eq!(read(comm, &path)?, 3, "undamaged");
    }
    let words: &[&[u8]] = &[
        b"SNOD",
        b"HEAP",
        b"TREE",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\x11\x20\x3f\0",
        b"csc_matrix",
    ];
    let end = Instant::now() + seconds();
    let mut counts = [0_u64; 2];
    for number in first.. {
        if Instant::now() > end {
            break;
        }
        let mut random = Random::new(number);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        damage(&mut bytes, words, &mut random);
        fs::write(&path, &bytes)?;
        // The last line that is printed names the input that something came from.
        println!("input {number}");
        let (result, most) = most_held(|| read(comm, &path));
        assert!(most <= MEMORY, "input {number}: {most} bytes for a file of {}", bytes.len());
        if most_resident().is_some_and(|most| most > RESIDENT) {
            // Not ours, as has just been seen: as bad as a crash of the library, and counted as one.
            eprintln!("input {number}: HDF5 held {:?} KiB", most_resident());
            abort();
        }
        if let Err(error) = &result {
            assert!(error.to_string().contains("fuzz.h5"), "input {number}: {error}");
        }
        counts[usize::from(result.is_err())] += 1;
    }
    println!("{} accepted, {} refused", counts[0], counts[1]);
    Ok(())
}

pub(crate) fn damaged() -> TestResult {
    let folder = tempfile::tempdir()?;
    let end = Instant::now() + seconds();
    let (mut first, mut failures) = (0, Vec::new());
    loop {
        let ended = spawn(folder.path(), first)?;
        let said = format!("input {}: {:?}: {}", ended.input, ended.status, ended.errors);
        if ended.status.is_some_and(|status| status.success()) {
            println!("{}", ended.output.lines().last().unwrap_or_default());
            first = ended.input + 1;
            break;
        }
        assert!(ended.status.is_none() || ended.crashed(), "{said}");
        first = ended.input + 1;
        println!("HDF5 does not survive input {}: {:?}", ended.input, ended.status);
        failures.push(ended.input);
        if Instant::now() > end {
            break;
        }
    }
    println!("{first} inputs, of which HDF5 does not survive {failures:?}");
    assert!(first >= 50, "only {first} inputs");
    assert!(failures.len() as u64 * TOLERATED <= first, "{failures:?} of {first}");
    Ok(())
}
