//! Loads from damaged files: by kind of damage, generation, and number of ranks before and after.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dolmen_core::{Layout, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_tests::{Comm, Folder, TestResult};

use crate::content::vector;
use crate::first_ranks;

const LEN: u64 = 300_000;

#[derive(Clone, Copy, Debug)]
enum Damage {
    Erased,
    Truncated,
    FlippedInData,
    FlippedInMetadata,
    FlippedInTrailer,
}

const ALL: [Damage; 5] =
    [Damage::Erased, Damage::Truncated, Damage::FlippedInData, Damage::FlippedInMetadata, Damage::FlippedInTrailer];

impl Damage {
    fn inflict(self, path: &Path) -> io::Result<()> {
        let mut bytes = fs::read(path)?;
        let end = bytes.len();
        match self {
            Damage::Erased => return fs::remove_file(path),
            Damage::Truncated => bytes.truncate(end / 2),
            // The vector is aligned at 1 MiB.
            Damage::FlippedInData => bytes[(1 << 20) + 1_500_000] ^= 1,
            Damage::FlippedInMetadata => bytes[700] ^= 0x80,
            Damage::FlippedInTrailer => bytes[end - 20] ^= 4,
        }
        fs::write(path, bytes)
    }

    fn reason(self) -> &'static str {
        match self {
            Damage::Erased => "",
            Damage::Truncated => "is cut off",
            Damage::FlippedInData => {
                "state/vectors/x is damaged: its bytes 1048576..2097152 do not match their checksum"
            }
            Damage::FlippedInMetadata => "the description of its vectors does not match its checksum",
            Damage::FlippedInTrailer => "its trailer does not match its checksum",
        }
    }
}

fn file(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("checkpoint-{generation:08}.h5"))
}

/// Writes generations 1 and 2, whose vectors are of the streams 1 and 2.
fn write(comm: &Comm, folder: &Path) -> TestResult {
    let mut store = CheckpointStore::open(comm, folder)?;
    for stream in [1, 2] {
        let x: Vector<f64> = vector(&Layout::uniform(comm, LEN), stream);
        store.save(&Checkpoint::new("config").integer("stream", stream).vector("x", &x))?;
    }
    Ok(())
}

/// Loads, compares, goes on, and loads again.
fn check(comm: &Comm, folder: &Path, damaged: &[u64], damage: Damage) -> TestResult {
    let mut store = CheckpointStore::open(comm, folder)?;
    let loaded = store.load();
    let Some(expected) = [2, 1].into_iter().find(|generation| !damaged.contains(generation)) else {
        if matches!(damage, Damage::Erased) {
            assert!(loaded?.is_none());
        } else {
            let error = loaded.expect_err("both are damaged").to_string();
            assert!(error.contains("no checkpoint is valid: checkpoint-00000002.h5 "), "{error}");
            assert_eq!(error.matches(damage.reason()).count(), 2, "{error}");
        }
        return Ok(());
    };
    let mut restored = loaded?.ok_or("nothing")?;
    assert_eq!((restored.generation(), restored.integer("stream")), (expected, Some(expected)));
    let skipped = usize::from(expected == 1 && !matches!(damage, Damage::Erased));
    assert_eq!(restored.skipped().len(), skipped);
    for skipped in restored.skipped() {
        assert_eq!(skipped.path, file(folder, 2));
        assert!(skipped.reason.contains(damage.reason()), "{}", skipped.reason);
    }
    let layout = Layout::uniform(comm, LEN);
    let x: Vector<f64> = restored.take_vector("x", &layout)?.ok_or("no x")?;
    assert!(x.owned() == vector::<f64>(&layout, expected).owned());
    // Among the two that are kept, one that is damaged does not count.
    store.save(&Checkpoint::new("config").integer("stream", 3).vector("x", &x))?;
    assert_eq!(store.load()?.and_then(|restored| restored.integer("stream")), Some(3));
    comm.barrier();
    assert!(file(folder, expected).exists(), "the good one stays");
    comm.barrier();
    store.save(&Checkpoint::new("config"))?;
    comm.barrier();
    // The number of one that was erased is given again.
    let erased = matches!(damage, Damage::Erased);
    assert!(!file(folder, 1).exists() && (erased || !file(folder, 2).exists()), "there are two newer ones");
    comm.barrier();
    Ok(())
}

pub(crate) fn matrix(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for (before, after) in [(1, 3), (3, 1), (2, 3), (3, 2), (2, 2)] {
        let template = folder.path().join(format!("{before} to {after}"));
        if let Some(writers) = first_ranks(comm, before)? {
            write(&writers, &template)?;
        }
        for damage in ALL {
            for damaged in [&[][..], &[2], &[1], &[1, 2]] {
                let place = template.with_extension(format!("{damage:?} {damaged:?}"));
                let inflict = || -> io::Result<()> {
                    fs::create_dir(&place)?;
                    for generation in [1, 2] {
                        fs::copy(file(&template, generation), file(&place, generation))?;
                    }
                    damaged.iter().try_for_each(|&generation| damage.inflict(&file(&place, generation)))
                };
                comm.agree(if comm.rank() == 0 { inflict() } else { Ok(()) })?;
                let outcome = match first_ranks(comm, after)? {
                    Some(readers) => check(&readers, &place, damaged, damage),
                    None => Ok(()),
                };
                comm.agree(outcome.map_err(|error| format!("{}: {error}", place.display())))?;
                comm.agree(if comm.rank() == 0 { fs::remove_dir_all(&place) } else { Ok(()) })?;
            }
        }
    }
    folder.remove(comm);
    Ok(())
}

/// Flips a byte at many places over the whole file: none goes unnoticed.
pub(crate) fn every_byte_counts(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let x: Vector<f64> = vector(&Layout::uniform(comm, 1000), 1);
    let path = CheckpointStore::open(comm, folder.path())?.save(&Checkpoint::new("c").vector("x", &x))?.path;
    let good = fs::read(&path)?;
    for position in (0..good.len()).step_by(61) {
        let mut bytes = good.clone();
        bytes[position] ^= 1 << (position % 8);
        fs::write(&path, &bytes)?;
        let loaded = CheckpointStore::open(comm, folder.path())?.load();
        assert!(loaded.is_err(), "byte {position} of {} is not missed", good.len());
    }
    fs::write(&path, &good)?;
    assert!(CheckpointStore::open(comm, folder.path())?.load()?.is_some());
    folder.remove(comm);
    Ok(())
}
