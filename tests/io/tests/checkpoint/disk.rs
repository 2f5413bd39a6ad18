//! A disk without room for another checkpoint.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dolmen::Checkpointer;
use dolmen_core::{Layout, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_solvers::{Cg, StopReason};
use dolmen_tests::{Comm, Folder, TestResult, skip};

use crate::content::vector;
use crate::problem::problem;

/// A tmpfs, mounted on a folder as long as this lives.
struct Disk<'f>(&'f Folder);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} is still mounted", self.0.path().display());
    }
}

/// Does something in a folder of 16 MiB, where that is permitted.
fn on_a_small_disk(comm: &Comm, act: fn(&Comm, &Folder) -> TestResult) -> TestResult {
    let folder = Folder::new(comm)?;
    let mount = || Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(folder.path()).output();
    let disk = (comm.rank() == 0 && mount().is_ok_and(|output| output.status.success())).then(|| Disk(&folder));
    let mut mounted = [u64::from(disk.is_some())];
    comm.all_reduce_max(&mut mounted);
    if mounted == [0] {
        skip("mounting a small disk is not permitted");
        return Ok(());
    }
    act(comm, &folder)?;
    comm.barrier();
    drop(disk);
    folder.remove(comm);
    Ok(())
}

/// Fills so many MiB of the disk.
fn fill(comm: &Comm, filler: &Path, filled: usize) -> TestResult {
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_file(filler);
        fs::write(filler, vec![0; filled << 20])
    };
    Ok(comm.agree(if comm.rank() == 0 { write() } else { Ok(()) })?)
}

pub(crate) fn full(comm: &Comm) -> TestResult {
    on_a_small_disk(comm, keeps_the_last_one)
}

fn keeps_the_last_one(comm: &Comm, folder: &Folder) -> TestResult {
    let layout = Layout::uniform(comm, 500_000);
    let (first, second): (Vector<f64>, Vector<f64>) = (vector(&layout, 1), vector(&layout, 2));
    let mut store = CheckpointStore::open(comm, folder.path())?;
    store.save(&Checkpoint::new("").vector("x", &first))?;
    let filler = folder.path().join("filler");
    // From no room at all to nearly enough for 4 MB.
    for filled in [11, 10, 9, 8] {
        fill(comm, &filler, filled)?;
        let error = store.save(&Checkpoint::new("").vector("x", &second)).expect_err("no room").to_string();
        assert!(error.contains("checkpoint-00000002.h5.tmp") && error.contains("No space left"), "{error}");
        let begun = store.begin(Checkpoint::new("").vector("x", &second));
        let error = begun.and_then(|_| store.complete()).expect_err("no room").to_string();
        assert!(error.contains("checkpoint-00000002.h5.tmp") && error.contains("No space left"), "{error}");
        comm.barrier();
        assert_eq!(fs::read_dir(folder.path())?.count(), 3, "the filler, the lock and the first checkpoint");
        let mut restored = store.load()?.ok_or("nothing left")?;
        let x: Vector<f64> = restored.take_vector("x", &layout)?.ok_or("no x")?;
        assert!(restored.skipped().is_empty() && x.owned() == first.owned());
        comm.barrier();
    }
    comm.agree(if comm.rank() == 0 { fs::remove_file(&filler) } else { Ok(()) })?;
    assert_eq!(store.save(&Checkpoint::new("").vector("x", &second))?.generation, 2);
    Ok(())
}

pub(crate) fn full_at_the_end(comm: &Comm) -> TestResult {
    on_a_small_disk(comm, keeps_the_result)
}

/// A solve that has ended at its limit has a result, whether or not it can be saved.
fn keeps_the_result(comm: &Comm, folder: &Folder) -> TestResult {
    fill(comm, &folder.path().join("filler"), 15)?;
    let (matrix, jacobi, rhs) = problem(comm, 300)?;
    let mut saver = Checkpointer::new(comm, folder.path(), Duration::from_secs(3600), "grid")?;
    let mut x = Vector::zeros(rhs.layout());
    let cg = Cg::new().max_iterations(5).preconditioner(&jacobi).monitor(&mut saver);
    let report = cg.solve(&matrix, &rhs, &mut x)?;
    assert_eq!((report.reason, report.iterations), (StopReason::IterationLimit, 5));
    let mut expected = Vector::zeros(rhs.layout());
    Cg::new().max_iterations(5).preconditioner(&jacobi).solve(&matrix, &rhs, &mut expected)?;
    assert!(x.owned() == expected.owned());
    let error = saver.finish().expect_err("no room").to_string();
    assert!(error.contains("checkpoint-00000001.h5.tmp") && error.contains("No space left"), "{error}");
    Ok(())
}
