//! Files that no store has written: their names do no harm, and what they claim is not believed.

use std::fs;

use dolmen_core::{Layout, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore, verify};
use dolmen_tests::{Comm, Folder, TestResult};

/// The number of entries of the vector, whose bytes are nowhere else in the file.
const LEN: u64 = 1_234_567;

fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

/// Has the dataset of the vector claim another length, under good checksums.
fn craft(file: &mut [u8], claimed: u64) {
    let end = file.len();
    let word = |file: &[u8], at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes"));
    let count = usize::try_from(word(file, end - 16)).expect("a few vectors");
    let list = end - 32 - 16 * count;
    let [start, bytes] = [list, list + 8].map(|at| usize::try_from(word(file, at)).expect("in the file"));
    assert_eq!((count, bytes as u64), (1, 8 * LEN));
    let outside = |at: &usize| *at < start || *at >= start + bytes;
    let places: Vec<usize> = (0..list - 8).filter(outside).filter(|&at| word(file, at) == LEN).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| file[at..at + 8].copy_from_slice(&claimed.to_le_bytes()));
    let sum = crc32c((0..list).filter(outside).map(|at| file[at]));
    file[end - 24..end - 20].copy_from_slice(&sum.to_le_bytes());
    let own = crc32c(file[list..end - 20].iter().copied());
    file[end - 20..end - 16].copy_from_slice(&own.to_le_bytes());
}

pub(crate) fn too_long(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let x = Vector::from_fn(&Layout::uniform(comm, LEN), |row| row as f64);
    let mut store = CheckpointStore::open(comm, folder.path())?;
    for step in [1, 2] {
        store.save(&Checkpoint::new("").integer("step", step).vector("x", &x))?;
    }
    let path = folder.path().join("checkpoint-00000002.h5");
    for claimed in [LEN, 1 << 45, u64::MAX / 8] {
        let mut file = fs::read(folder.path().join("checkpoint-00000001.h5"))?;
        craft(&mut file, claimed);
        comm.barrier();
        comm.agree(if comm.rank() == 0 { fs::write(&path, file) } else { Ok(()) })?;
        let restored = store.load()?.ok_or("no checkpoint")?;
        assert_eq!(restored.skipped().len(), usize::from(claimed > LEN), "{claimed}");
        if claimed > LEN {
            let expected = format!("state/vectors/x would have {claimed} entries from byte ");
            assert!(restored.skipped()[0].reason.contains(&expected), "{}", restored.skipped()[0].reason);
            let error = verify(comm, &path).expect_err("crafted").to_string();
            assert!(error.contains(&expected), "{error}");
        }
    }
    folder.remove(comm);
    Ok(())
}

/// Only the names that a store gives are those of checkpoints.
pub(crate) fn stray_names(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let mut store = CheckpointStore::open(comm, folder.path())?;
    for step in [1, 2] {
        store.save(&Checkpoint::new("").integer("step", step))?;
    }
    let put = |name: &str| {
        let written = if comm.rank() == 0 { fs::write(folder.path().join(name), "else") } else { Ok(()) };
        comm.agree(written)
    };
    let strays = [
        "checkpoint-18446744073709551615.h5",
        "checkpoint-9999999999999999999.h5",
        "checkpoint-3.h5",
        "checkpoint-000000007.h5",
    ];
    strays.into_iter().try_for_each(put)?;
    let restored = store.load()?.ok_or("no checkpoint")?;
    assert_eq!((restored.generation(), restored.skipped().len()), (2, 0));
    assert_eq!(store.save(&Checkpoint::new("").integer("step", 3))?.generation, 3);
    comm.barrier();
    let is_there = |name: &str| folder.path().join(name).exists();
    assert!(strays.into_iter().chain(["checkpoint-00000002.h5", "checkpoint-00000003.h5"]).all(is_there));
    comm.barrier();
    put("checkpoint-999999999999999999.h5")?;
    let error = store.save(&Checkpoint::new("")).expect_err("no number is left").to_string();
    assert!(
        error.ends_with(
            "checkpoint-999999999999999999.h5 has the largest possible number; remove it, or name another folder"
        ),
        "{error}"
    );
    assert_eq!(store.load()?.and_then(|restored| restored.integer("step")), Some(3));
    folder.remove(comm);
    Ok(())
}
