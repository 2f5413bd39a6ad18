//! Damaged checkpoints: none is loaded, and HDF5 never sees them, so that nothing crashes.

use std::fs;
use std::time::Instant;

use dolmen_core::{Layout, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_tests::{Comm, Folder, TestResult};

use crate::damage::{Random, damage, seconds};
use crate::ffi::most_held;

/// What any load may take.
const MEMORY: usize = 32 << 20;

pub(crate) fn damaged(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let x = Vector::from_fn(&Layout::uniform(comm, 500), |row| 0.25 * row as f64);
    let mut store = CheckpointStore::open(comm, folder.path())?;
    let path = store.save(&Checkpoint::new("config").text("what", "fuzz").integer("n", 3).vector("x", &x))?.path;
    drop(store);
    let seed = fs::read(&path)?;
    let words: &[&[u8]] = &[b"DOLMENck", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\0", b"TREE", b"\x01"];
    let end = Instant::now() + seconds();
    let (mut same, mut refused) = (0_u64, 0_u64);
    for number in 0.. {
        let mut more = [u64::from(comm.rank() == 0 && Instant::now() < end)];
        comm.all_reduce_max(&mut more);
        if more[0] == 0 {
            break;
        }
        let mut random = Random::new(number);
        let mut bytes = seed.clone();
        damage(&mut bytes, words, &mut random);
        comm.agree(if comm.rank() == 0 { fs::write(&path, &bytes) } else { Ok(()) })?;
        println!("input {number}");
        let (loaded, most) = most_held(|| CheckpointStore::open(comm, folder.path())?.load());
        assert!(most <= MEMORY, "input {number}: {most} bytes for a file of {}", bytes.len());
        // Damage may put in what was there.
        assert_eq!(loaded.is_ok(), bytes == seed, "input {number}: {:?}", loaded.err());
        if bytes == seed { same += 1 } else { refused += 1 }
    }
    println!("{same} undamaged, {refused} refused");
    assert!(refused > 50, "{refused} refused");
    folder.remove(comm);
    Ok(())
}
