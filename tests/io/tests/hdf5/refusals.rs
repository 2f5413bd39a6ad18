//! Bad requests and bad files, each told in one line, and when a new file appears.

use std::fs;
use std::io::Read as _;

use dolmen_io::hdf5::{H5File, Layout, TableColumn};
use dolmen_tests::{Comm, Folder, TestResult, message};

use crate::rows_of;

pub(crate) fn new_files_are_only_written(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let file = H5File::create(comm, folder.path().join("new.h5"))?;
    let dataset = file.create_dataset::<f64>("group/data", &[4], &Layout::Contiguous)?;
    assert!(file.exists("group/data") && !file.exists("data"));
    for message in [
        message(comm, dataset.read_slab::<f64>(&[0], &[4]))?,
        message(comm, file.dataset("group/data"))?,
        message(comm, file.attribute("/", "x"))?,
        message(comm, file.children("/"))?,
        message(comm, file.objects())?,
    ] {
        assert!(message.contains("new.h5: ") && message.contains("is being written; close"), "{message}");
    }
    file.close()?;
    folder.remove(comm);
    Ok(())
}

pub(crate) fn bad_requests_are_named(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("tod.h5");
    let file = H5File::create(comm, &path)?;
    let signal = file.create_dataset::<f64>("scan/signal", &[40], &Layout::Contiguous)?;
    let last = comm.rank() + 1 == comm.size();
    signal.write_slab(&[0], &[if last { 40 } else { 0 }], &vec![1.0; if last { 40 } else { 0 }])?;
    let flags = file.create_dataset::<i64>("flags", &[4], &Layout::Contiguous)?;
    let columns = [("net".to_owned(), TableColumn::Real(vec![1.0]))];
    file.write_table("detectors", &columns)?;
    for (message, expected) in [
        (message(comm, flags.write_slab::<f64>(&[0], &[0], &[]))?, "cannot be written from a float"),
        (message(comm, signal.write_slab::<f64>(&[0], &[2], &[1.0]))?, "a slab of 2 elements asked for, 1 given"),
        (message(comm, file.create_dataset::<u8>("flags", &[1], &Layout::Contiguous))?, "dataset flags: "),
        (message(comm, file.create_dataset::<u8>("x", &[1], &Layout::Chunked(vec![0])))?, "chunks [0]"),
        (message(comm, file.create_group("scan"))?, "group scan: "),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    file.close()?;
    let file = H5File::open(comm, &path)?;
    let (signal, flags, detectors) = (file.dataset("scan/signal")?, file.dataset("flags")?, file.dataset("detectors")?);
    let beyond = if last { 41 } else { 1 };
    for (message, expected) in [
        (message(comm, signal.dimensions::<2>())?, "dataset scan/signal: expected 2 dimensions, found 1"),
        (message(comm, file.dataset("scan/noise"))?, "tod.h5: dataset scan/noise: does not exist"),
        (message(comm, file.dataset("scan"))?, "tod.h5: dataset scan: "),
        (
            message(comm, signal.read_slab::<f64>(&[0], &[beyond]))?,
            "41 elements from 0 asked for in dimension 0, which has 40",
        ),
        (
            message(comm, signal.read_slab::<i32>(&[0], &[1]))?,
            "holds a 64-bit float, which cannot be read as a 32-bit signed integer",
        ),
        (message(comm, flags.read_slab::<i32>(&[0], &[1]))?, "holds a 64-bit signed integer"),
        (message(comm, detectors.read_member_slab::<f64>("alpha", &[0], &[1]))?, "no column alpha; there are: net"),
        (message(comm, signal.read_member_slab::<f64>("net", &[0], &[1]))?, "not a table with a column net"),
        (message(comm, file.read_table("flags"))?, "dataset flags: expected a table"),
        (message(comm, flags.write_slab(&[0], &[1], &[1_i64]))?, "dataset flags: the file is open for reading only"),
        (message(comm, file.create_group("more"))?, "group more: "),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    file.close()?;
    folder.remove(comm);
    Ok(())
}

pub(crate) fn bad_files_are_named(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let good = folder.path().join("good.h5");
    let file = H5File::create(comm, &good)?;
    let dataset = file.create_dataset::<f64>("data", &[4096], &Layout::Contiguous)?;
    let (start, end) = rows_of(comm, 4096)?;
    dataset.write_slab(&[start], &[end - start], &vec![1.0; usize::try_from(end - start)?])?;
    file.close()?;
    let bytes = fs::read(&good)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        let written = if comm.rank() == 0 { fs::write(&path, bytes) } else { Ok(()) };
        comm.agree(written).map(|()| path)
    };
    for (path, expected) in [
        (folder.path().join("missing.h5"), "missing.h5: cannot open: No such file"),
        (folder.path().to_owned(), "is a folder; name a file"),
        (write("text.h5", b"no HDF5 at all")?, "text.h5: is not an HDF5 file"),
        (write("empty.h5", b"")?, "empty.h5: is not an HDF5 file"),
        (write("half.h5", &bytes[..bytes.len() / 2])?, "half.h5: cannot be opened as HDF5: truncated file"),
        (write("head.h5", &bytes[..40])?, "head.h5: cannot be opened as HDF5: "),
    ] {
        let message = message(comm, H5File::open(comm, &path))?;
        assert!(message.contains(expected), "{message}");
    }
    folder.remove(comm);
    Ok(())
}

pub(crate) fn only_closed_files_appear(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("new.h5");
    let entries = || fs::read_dir(folder.path()).map(Iterator::count);
    let file = H5File::create(comm, &path)?;
    file.create_dataset::<f64>("data", &[16], &Layout::Contiguous)?;
    assert!(!path.exists());
    assert_eq!(entries()?, 1);
    comm.barrier();
    drop(file);
    comm.barrier();
    assert_eq!(entries()?, 0);
    comm.barrier();
    // A program that was killed has left its file; one of its processes may still hold it open.
    let stale = folder.path().join("new.h5.tmp");
    let left = if comm.rank() == 0 {
        fs::write(&stale, "half").and_then(|()| fs::File::open(&stale)).map(Some)
    } else {
        Ok(None)
    };
    let left = comm.agree(left)?;
    let file = H5File::create(comm, &path)?;
    file.create_dataset::<f64>("data", &[16], &Layout::Contiguous)?;
    file.close()?;
    assert!(path.exists() && !stale.exists());
    if let Some(mut left) = left {
        let mut text = String::new();
        left.read_to_string(&mut text)?;
        assert_eq!(text, "half", "another program's file is its own");
    }
    for (path, expected) in [
        (folder.path().join("no/such/folder.h5"), "folder.h5.tmp: cannot create: No such file"),
        (folder.path().to_owned(), "is a folder; name a file"),
    ] {
        let message = message(comm, H5File::create(comm, &path))?;
        assert!(message.contains(expected), "{message}");
    }
    folder.remove(comm);
    Ok(())
}
