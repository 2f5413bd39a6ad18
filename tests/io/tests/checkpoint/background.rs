//! Checkpoints that are written while the program goes on.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use dolmen_core::{Layout, Snapshot, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_tests::{Comm, Folder, TestResult};

use crate::content::{uneven, vector};

const LEN: u64 = 2_000_003;

fn names(store: &CheckpointStore) -> TestResult<Vec<String>> {
    let entries = fs::read_dir(store.folder())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = entries.collect::<std::io::Result<Vec<String>>>()?;
    names.retain(|name| name != ".lock");
    names.sort();
    Ok(names)
}

/// The saved state is that of the moment at which saving begins, whatever happens to it afterwards.
pub(crate) fn keeps_the_moment(comm: &Comm) -> TestResult {
    for in_background in [true, false] {
        let folder = Folder::new(comm)?;
        let layout = uneven(comm, LEN)?;
        let mut store = CheckpointStore::open(comm, folder.path())?.in_background(in_background);
        assert!(store.complete()?.is_none() && !store.is_written(), "nothing was begun");
        let mut x: Vector<f64> = vector(&layout, 1);
        let mut snapshot = Snapshot::new("CG");
        snapshot.set_integer("iterations", 9);
        snapshot.set_reals("history", vec![1.0, 0.5]);
        snapshot.set_vector("p", vector::<f64>(&layout, 2));
        let state = Checkpoint::new("config").integer("step", 1).vector("x", &x).give_snapshot("solver", snapshot);
        store.begin(state)?;
        x.fill(0.0);
        while !store.is_written() {
            std::thread::yield_now();
        }
        let saved = store.complete()?.ok_or("nothing was begun")?;
        assert_eq!((saved.generation, saved.bytes), (1, 16 * LEN));
        assert!(store.complete()?.is_none(), "completed once");
        let mut restored = store.load()?.ok_or("nothing is there")?;
        assert_eq!((restored.generation(), restored.integer("step")), (1, Some(1)));
        let found: Vector<f64> = restored.take_vector("x", &layout)?.ok_or("no x")?;
        assert!(found.owned() == vector::<f64>(&layout, 1).owned());
        let back: Snapshot<f64> = restored.take_snapshot("solver", &[&layout])?.ok_or("no snapshot")?;
        assert_eq!((back.method(), back.integer("iterations")), ("CG", Some(9)));
        assert_eq!(back.reals("history"), Some(&[1.0, 0.5][..]));
        assert!(back.vector("p").ok_or("no p")?.owned() == vector::<f64>(&layout, 2).owned());
        folder.remove(comm);
    }
    Ok(())
}

/// One after the other, whoever completes them, and not before.
pub(crate) fn one_at_a_time(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let layout = Layout::uniform(comm, LEN);
    let mut store = CheckpointStore::open(comm, folder.path())?;
    let x: Vector<f64> = vector(&layout, 1);
    let step = |step: u64| Checkpoint::new("").integer("step", step).vector("x", &x);
    assert!(store.begin(step(1))?.is_none());
    comm.barrier();
    assert!(names(&store)?.contains(&"checkpoint-00000001.h5.tmp".to_owned()), "{:?}", names(&store)?);
    assert!(store.load()?.is_none(), "it does not exist yet");
    comm.barrier();
    assert_eq!(store.begin(step(2))?.map(|saved| saved.generation), Some(1));
    assert_eq!(store.save(&step(3))?.generation, 3);
    assert_eq!(names(&store)?, ["checkpoint-00000002.h5", "checkpoint-00000003.h5"]);
    comm.barrier();
    // Dropped with the store, or by a run that fails meanwhile.
    store.begin(step(4))?;
    drop(store);
    comm.barrier();
    let mut store = CheckpointStore::open(comm, folder.path())?;
    assert_eq!(names(&store)?, ["checkpoint-00000002.h5", "checkpoint-00000003.h5"]);
    assert_eq!(store.load()?.ok_or("nothing is there")?.integer("step"), Some(3));
    folder.remove(comm);
    Ok(())
}

/// Lets this process write no file beyond so many bytes (`unlimited` again).
fn limit_files(limit: &str) -> TestResult {
    let pid = std::process::id().to_string();
    let limit = format!("--fsize={limit}:unlimited");
    let output = Command::new("prlimit").args(["--pid", &pid, &limit]).output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

/// The disk fails one rank while all compute on: all hear it, with the same words, when they complete.
pub(crate) fn failing_writer(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let layout = Layout::uniform(comm, LEN);
    let x: Vector<f64> = vector(&layout, 1);
    let mut store = CheckpointStore::open(comm, folder.path())?;
    store.save(&Checkpoint::new("").integer("step", 1).vector("x", &x))?;
    // The signal that goes with it would end the process.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default())?;
    let fails = comm.rank() + 1 == comm.size();
    if fails {
        limit_files("1000000")?;
    }
    store.begin(Checkpoint::new("").integer("step", 2).vector("x", &x))?;
    while !store.is_written() {
        std::thread::yield_now();
    }
    let error = store.complete().expect_err("a rank could not write").to_string();
    if fails {
        limit_files("unlimited")?;
    }
    let told = comm.all_gather(crc32fast::hash(error.as_bytes()));
    assert!(told.iter().all(|hash| *hash == told[0]), "{error}");
    assert!(error.contains("checkpoint-00000002.h5.tmp") && error.contains("File too large"), "{error}");
    comm.barrier();
    assert_eq!(names(&store)?, ["checkpoint-00000001.h5"]);
    assert_eq!(store.load()?.ok_or("nothing is there")?.integer("step"), Some(1));
    assert!(store.begin(Checkpoint::new("").integer("step", 2).vector("x", &x))?.is_none());
    assert_eq!(store.complete()?.map(|saved| saved.generation), Some(2));
    folder.remove(comm);
    Ok(())
}
