//! Damaged checkpoints: none is loaded, and HDF5 never sees them, so that nothing crashes. Forged ones, whose
//! checksums are good, are refused or loaded.

use std::fs;

use dolmen_core::{Layout, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_tests::{Comm, Folder, Random, TestResult, damage, fuzz};

use crate::ffi::most_held;

/// Memory that any load may take, in bytes.
const MEMORY: usize = 32 << 20;
/// Memory that loading one with good checksums may take, in bytes: data that were never written, and buffers.
const FORGED: usize = 96 << 20;

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// A trailer by whose list all bytes are those of vectors, which it does not protect.
fn trailer(length: u64) -> Vec<u8> {
    let mut bytes = [0, length, length].map(u64::to_le_bytes).concat();
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(crc32c(&bytes).to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(b"DOLMENck");
    bytes
}

/// Checkpoints that someone damaged who gave them good checksums.
pub(crate) fn forged(comm: &Comm) -> TestResult {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    let folder = Folder::new(comm)?;
    let x = Vector::from_fn(&Layout::uniform(comm, 50), |row| 0.25 * row as f64);
    let mut store = CheckpointStore::open(comm, folder.path())?;
    let checkpoint = Checkpoint::new("config").text("what", "fuzz").integer("n", 3).vector("x", &x);
    let path = store.save(&checkpoint)?.path;
    drop(store);
    let file = fs::read(&path)?;
    let length = file.len() - 48;
    let length = u64::from_le_bytes(*file[length + 16..].first_chunk().ok_or("a trailer")?);
    let seed = file[..usize::try_from(length)?].to_vec();
    let words: &[&[u8]] = &[b"GCOL", b"TREE", b"SNOD", b"HEAP", b"f32", b"\xff\xff\xff\xff", b"\0\0\0\0"];
    // All ranks have read the file before it is written anew.
    comm.barrier();
    let forge = |bytes: &[u8]| [bytes, &trailer(bytes.len() as u64)].concat();
    comm.agree(if comm.rank() == 0 { fs::write(&path, forge(&seed)) } else { Ok(()) })?;
    CheckpointStore::open(comm, folder.path())?.load()?;
    let make = |random: &mut Random| {
        let mut bytes = seed.clone();
        damage(&mut bytes, words, random);
        forge(&bytes)
    };
    let counts = fuzz(comm, &path, 30, make, |_| {
        let (loaded, most) = most_held(|| CheckpointStore::open(comm, folder.path())?.load());
        assert!(most <= FORGED, "{most} bytes");
        loaded.map(drop)
    })?;
    assert!(counts[1] > 10, "{counts:?}");
    folder.remove(comm);
    Ok(())
}

pub(crate) fn damaged(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let x = Vector::from_fn(&Layout::uniform(comm, 500), |row| 0.25 * row as f64);
    let mut store = CheckpointStore::open(comm, folder.path())?;
    let path = store.save(&Checkpoint::new("config").text("what", "fuzz").integer("n", 3).vector("x", &x))?.path;
    drop(store);
    let seed = fs::read(&path)?;
    let words: &[&[u8]] = &[b"DOLMENck", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\0", b"TREE", b"\x01"];
    let make = |random: &mut Random| {
        let mut bytes = seed.clone();
        damage(&mut bytes, words, random);
        bytes
    };
    let counts = fuzz(comm, &path, 50, make, |bytes| {
        let (loaded, most) = most_held(|| CheckpointStore::open(comm, folder.path())?.load());
        assert!(most <= MEMORY, "{most} bytes");
        // Damage may put in what was there.
        assert_eq!(loaded.is_ok(), bytes == seed, "{:?}", loaded.err());
        loaded.map(drop)
    })?;
    assert!(counts[1] > 40, "{counts:?}");
    folder.remove(comm);
    Ok(())
}
