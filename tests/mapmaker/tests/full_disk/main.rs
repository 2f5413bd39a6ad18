//! HDF5 files for which the disk has no room: one error on all ranks, and no file.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use dolmen_core::Layout as Distribution;
use dolmen_io::hdf5::{H5File, Layout, TableColumn};
use dolmen_tests::{Comm, Folder, TestResult, case, serial, skip};

#[path = "../common/mod.rs"]
mod common;
use common::{CONFIG, mapmaker, only_error};

mod disk;
use disk::Disk;

mod ffi;

/// The length of each dataset; 160 kB.
const ROWS: u64 = 20_000;

fn main() -> ExitCode {
    dolmen_tests::main(&[
        case("files_are_whole_or_absent", &[1, 3], files_are_whole_or_absent).alone(),
        case("failed_writes_end_cleanly", &[1, 3], failed_writes_end_cleanly).alone(),
        case("failed_flushes_end_cleanly", &[1, 3], failed_flushes_end_cleanly).alone(),
        serial("programs_end_with_one_line", programs_end_with_one_line),
    ])
}

fn value(dataset: u64, row: u64) -> f64 {
    (dataset * ROWS + row) as f64 + 0.5
}

fn layout(dataset: u64) -> Layout {
    if dataset == 2 { Layout::Chunked(vec![333]) } else { Layout::Contiguous }
}

/// Four datasets, a table, groups and attributes.
fn write(comm: &Comm, path: &Path) -> Result<(), dolmen_io::Error> {
    let mine = Distribution::uniform(comm, ROWS);
    let (start, count) = ([mine.range().start], [mine.local_len() as u64]);
    let file = H5File::create(comm, path)?;
    for dataset in 0..4 {
        let name = format!("group {dataset}/data");
        let created = file.create_dataset::<f64>(&name, &[ROWS], &layout(dataset))?;
        let values: Vec<f64> = mine.range().map(|row| value(dataset, row)).collect();
        created.write_slab(&start, &count, &values)?;
        for attribute in 0..20 {
            file.write_attribute(&name, &format!("attribute {attribute}"), "x".repeat(500))?;
        }
    }
    file.write_table("table", &[("column".to_owned(), TableColumn::Real(vec![1.5; 3000]))])?;
    file.close()
}

fn check(comm: &Comm, path: &Path) -> TestResult {
    let mine = Distribution::uniform(comm, ROWS);
    let file = H5File::open(comm, path)?;
    for dataset in 0..4 {
        let name = format!("group {dataset}/data");
        let values = file.dataset(&name)?.read_slab::<f64>(&[mine.range().start], &[mine.local_len() as u64])?;
        assert!(values.into_iter().eq(mine.range().map(|row| value(dataset, row))), "{name}");
        assert_eq!(file.attribute_text(&name, "attribute 19")?, "x".repeat(500));
    }
    assert_eq!(file.read_table("table")?[0].1, TableColumn::Real(vec![1.5; 3000]));
    Ok(file.close()?)
}

/// The names in a folder, as all ranks see it at the same time.
fn entries(comm: &Comm, folder: &Path) -> TestResult<Vec<String>> {
    comm.barrier();
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<std::io::Result<Vec<_>>>()?;
    comm.barrier();
    Ok(names)
}

/// Checks that all ranks had the same outcome; returns the message if it was an error.
fn outcome(comm: &Comm, result: Result<(), dolmen_io::Error>) -> Option<String> {
    let mine = result.err().map(|error| error.to_string()).unwrap_or_default();
    let mut first = mine.clone().into_bytes();
    comm.broadcast(0, &mut first);
    assert_eq!(mine.as_bytes(), first, "ranks disagree");
    (!mine.is_empty()).then_some(mine)
}

fn files_are_whole_or_absent(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let disk = comm.agree(if comm.rank() == 0 { Disk::mount(folder.path()) } else { Ok(None) })?;
    let mut mounted = [u64::from(disk.is_some())];
    comm.all_reduce_max(&mut mounted);
    if mounted == [0] {
        skip("mounting a small disk is not permitted");
        return Ok(());
    }
    let path = folder.path().join("maps.h5");
    let (mut written, mut refused) = (0, 0);
    for kibibytes in (64..=2048).step_by(64) {
        comm.agree(disk.as_ref().map_or(Ok(()), |disk| disk.resize(kibibytes)))?;
        match outcome(comm, write(comm, &path)) {
            None => {
                assert_eq!(entries(comm, folder.path())?, ["maps.h5"]);
                check(comm, &path)?;
                comm.agree(if comm.rank() == 0 { fs::remove_file(&path) } else { Ok(()) })?;
                written += 1;
            }
            Some(message) => {
                assert!(message.contains("maps.h5") && message.contains("No space left"), "{message}");
                assert!(entries(comm, folder.path())?.is_empty());
                assert_eq!(written, 0, "{kibibytes} KiB are too few, less were enough");
                refused += 1;
            }
        }
    }
    // The data alone take 640 kB.
    assert!(refused >= 10 && written >= 5, "{refused} refused, {written} written");
    drop(disk);
    folder.remove(comm);
    Ok(())
}

/// A file system may break its promise of space, or have given none: to the last rank that writes contiguous data,
/// and to rank 0, which writes all chunks.
fn failed_writes_end_cleanly(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("maps.h5");
    for layout in [Layout::Contiguous, Layout::Chunked(vec![100])] {
        for close in [true, false] {
            let file = H5File::create(comm, &path)?;
            let small = file.create_dataset::<f64>("small", &[10], &layout_of(&layout, 10))?;
            let large = file.create_dataset::<f64>("large", &[ROWS], &layout)?;
            let few = if comm.rank() == 0 { 10 } else { 0 };
            small.write_slab(&[0], &[few], &vec![1.0; usize::try_from(few)?])?;
            let failing = if layout == Layout::Contiguous { comm.size() - 1 } else { 0 };
            if comm.rank() == failing {
                ffi::limit_file_size(50_000)?;
            }
            let mine = Distribution::uniform(comm, ROWS);
            let (start, count) = ([mine.range().start], [mine.local_len() as u64]);
            let written = large.write_slab(&start, &count, &vec![1.0; mine.local_len()]);
            let message = outcome(comm, written).ok_or("beyond the limit")?;
            assert!(message.contains("maps.h5: dataset large: cannot be written: File too large"), "{message}");
            drop((small, large));
            ffi::limit_file_size(u64::MAX)?;
            if close {
                let message = outcome(comm, file.close()).ok_or("a file with a hole")?;
                assert!(message.contains("maps.h5: is incomplete"), "{message}");
            } else {
                drop(file);
            }
            assert!(entries(comm, folder.path())?.is_empty());
        }
    }
    folder.remove(comm);
    Ok(())
}

fn layout_of(layout: &Layout, length: u64) -> Layout {
    if *layout == Layout::Contiguous { Layout::Contiguous } else { Layout::Chunked(vec![length]) }
}

/// A failed write at the end is a clean error: data that the library had held back, after the other data were written.
fn failed_flushes_end_cleanly(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("maps.h5");
    let file = H5File::create(comm, &path)?;
    let dataset = file.create_dataset::<f64>("group/data", &[10], &Layout::Contiguous)?;
    let few = if comm.rank() == 0 { 10 } else { 0 };
    dataset.write_slab(&[0], &[few], &vec![1.0; usize::try_from(few)?])?;
    if comm.rank() == 0 {
        ffi::limit_file_size(100)?;
    }
    let message = outcome(comm, file.close()).ok_or("beyond the limit")?;
    ffi::limit_file_size(u64::MAX)?;
    assert!(message.contains("maps.h5: cannot be written: File too large"), "{message}");
    assert!(entries(comm, folder.path())?.is_empty());
    folder.remove(comm);
    Ok(())
}

fn programs_end_with_one_line() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path().join("disk");
    fs::create_dir(&folder)?;
    fs::write(temporary.path().join("long.toml"), CONFIG.replace("hours = 0.2", "hours = 2.0"))?;
    let Some(disk) = Disk::mount(&folder)? else {
        skip("mounting a small disk is not permitted");
        return Ok(());
    };
    for kibibytes in [128, 512, 1024] {
        disk.resize(kibibytes)?;
        for ranks in [1, 3] {
            let output = mapmaker(ranks, temporary.path(), &["simulate", "long.toml", "--output", "disk/tod.h5"])?;
            let error = only_error(&output).map_err(|error| format!("{ranks} ranks, {kibibytes} KiB: {error}"))?;
            assert!(error.contains("tod.h5") && error.contains("No space left"), "{error}");
            assert_eq!(fs::read_dir(&folder)?.count(), 0, "{ranks} ranks, {kibibytes} KiB: a file is left");
        }
    }
    Ok(())
}
