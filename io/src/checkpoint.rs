//! Checkpoints: the state of a program, written so that no crash at any moment loses the last good one,
//! and loaded on any number of ranks.
//!
//! A [`CheckpointStore`] keeps the last few generations in a folder, each an ordinary HDF5 file with a
//! trailer. A new one is written under a temporary name, read back, synced on every rank, renamed, and
//! the folder synced; a live file is never updated. Loading takes the newest one of which every
//! byte has its checksum, and says which it has skipped and why. Since
//! vectors are stored in global order and checksums do not depend on the ranks, neither does what is
//! loaded.
//!
//! [`CheckpointStore::save`] has all ranks wait until it is on disk. [`CheckpointStore::begin`] returns as
//! soon as each rank has a thread that writes, and [`CheckpointStore::complete`] gives the file its name:
//! only then do all ranks know that the others' threads have succeeded too, and only then does the
//! checkpoint exist. The threads call neither MPI nor HDF5, so `MPI_THREAD_FUNNELED` is enough.

mod checksums;
mod content;
mod lock;
mod read;
mod restored;
mod signals;
mod trailer;
mod write;

pub use content::Checkpoint;
pub use restored::{Restored, Skipped};
pub use signals::{Signals, Wish};

use crate::error::{Error, Result};
use crate::regular_file::agree_on_sight;
use dolmen_core::Comm;
use dolmen_core::environment::{ThreadLevel, mpi_library};
use dolmen_core::text::{escaped, shown};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
pub use write::{FORMAT, Saved};
use write::{Place, UnderWay};

/// A folder of checkpoints of one program.
#[derive(Debug)]
pub struct CheckpointStore {
    comm: Comm,
    /// This rank on its own.
    alone: Comm,
    folder: PathBuf,
    keep: usize,
    /// Generations that were found damaged, and do not count among those that are kept.
    damaged: Vec<u64>,
    /// True if threads may write.
    in_background: bool,
    begun: Option<Begun>,
    /// Held by rank 0 for as long as the store lives.
    _lock: Option<File>,
}

/// A checkpoint that is to be completed.
#[derive(Debug)]
enum Begun {
    UnderWay(Box<UnderWay>),
    Saved(Saved),
}

impl CheckpointStore {
    /// Opens a folder, or makes it, and removes what a program that was killed has left half-written.
    /// Keeps two generations. No other store, of this or another program, can have the folder while this one
    /// lives, where the file system has locks (`flock`).
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The folder cannot be made or written, or another store has it.
    pub fn open(comm: &Comm, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let prepare = || -> io::Result<Option<File>> {
            fs::create_dir_all(folder)?;
            // What is half-written may be another run's until the lock is had.
            let lock = lock::lock(folder)?;
            for name in names(folder)? {
                if name.strip_suffix(".tmp").is_some_and(|name| generation_of(name).is_some()) {
                    fs::remove_file(folder.join(name))?;
                }
            }
            Ok(lock)
        };
        let prepared = if comm.rank() == 0 { prepare() } else { Ok(None) };
        let failed = |error| Error::io(folder, "use as folder of checkpoints", error);
        let lock = comm.agree(prepared.map_err(failed))?;
        agree_on_sight(comm, fs::metadata(folder.join(lock::NAME)).map(drop).map_err(failed))?;
        let in_background = mpi_library().thread_level != ThreadLevel::Single;
        if comm.rank() == 0 && !in_background {
            tracing::warn!("MPI allows this process one thread: all ranks wait while a checkpoint is written");
        }
        Ok(Self {
            comm: comm.clone(),
            alone: comm.alone(),
            folder: folder.to_owned(),
            keep: 2,
            damaged: Vec::new(),
            in_background,
            begun: None,
            _lock: lock,
        })
    }

    /// Sets how many generations are kept, at least one.
    #[must_use]
    pub fn keep(mut self, generations: usize) -> Self {
        self.keep = generations.max(1);
        self
    }

    /// Sets whether [`begin`](CheckpointStore::begin) may start a thread on each rank. If not, it saves before it
    /// returns. It may, unless this forbids it or MPI has been initialized for processes of one thread only.
    #[must_use]
    pub fn in_background(mut self, allowed: bool) -> Self {
        self.in_background &= allowed;
        self
    }

    /// Returns the communicator that shares it.
    #[must_use]
    pub fn comm(&self) -> &Comm {
        &self.comm
    }

    /// Returns the folder of the checkpoints.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns true if the folder holds no checkpoint, valid or not.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.generations()?.is_empty())
    }

    /// Writes a checkpoint as the newest generation, and then removes those that are too many: all that
    /// are older than the last of those that are kept. Damaged ones do not count. When this returns it is
    /// on disk.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The disk is full, or something else has failed on any rank; the generations before are as they
    /// were.
    pub fn save(&mut self, checkpoint: &Checkpoint<'_>) -> Result<Saved> {
        self.complete()?;
        let (generation, path) = self.next()?;
        let place = Place { comm: &self.comm, alone: &self.alone, path: &path, generation };
        let saved = write::write(&place, checkpoint)?;
        self.prune()?;
        Ok(saved)
    }

    /// Begins to write a checkpoint as [`save`](CheckpointStore::save) does, and returns while a thread of each
    /// rank writes it. What is only borrowed by the checkpoint is copied first. One that was begun before
    /// is completed, and returned.
    ///
    /// The checkpoint does not exist before it is [completed](CheckpointStore::complete); a store that is
    /// dropped before that drops it.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`save`](CheckpointStore::save); also an error of the checkpoint that was begun before. A thread that cannot
    /// write is an error when the checkpoint is completed.
    pub fn begin(&mut self, checkpoint: Checkpoint<'_>) -> Result<Option<Saved>> {
        let earlier = self.complete()?;
        self.begun = Some(if self.in_background {
            let (generation, path) = self.next()?;
            let place = Place { comm: &self.comm, alone: &self.alone, path: &path, generation };
            Begun::UnderWay(Box::new(UnderWay::begin(&place, checkpoint)?))
        } else {
            Begun::Saved(self.save(&checkpoint)?)
        });
        Ok(earlier)
    }

    /// Returns true if this rank has written its part of the checkpoint that was begun, so that completing it waits
    /// for other ranks at most; false if nothing was begun. Not collective.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| match begun {
            Begun::UnderWay(writing) => writing.is_written(),
            Begun::Saved(_) => true,
        })
    }

    /// Waits until what was begun is on disk, and makes it the newest generation; none if nothing was begun.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The disk is full, or something else has failed on any rank; the generations before are as they
    /// were.
    pub fn complete(&mut self) -> Result<Option<Saved>> {
        let saved = match self.begun.take() {
            None => return Ok(None),
            Some(Begun::Saved(saved)) => saved,
            Some(Begun::UnderWay(writing)) => {
                let saved = writing.complete(&self.comm, &self.alone)?;
                self.prune()?;
                saved
            }
        };
        Ok(Some(saved))
    }

    /// Returns the generation that comes next, and its file.
    ///
    /// # Collective
    fn next(&self) -> Result<(u64, PathBuf)> {
        let newest = self.generations()?.first().copied().unwrap_or(0);
        if newest >= LAST {
            let what =
                format!("{} has the largest possible number; remove it, or name another folder", name_of(newest));
            return Err(Error::File { path: self.folder.clone(), what });
        }
        Ok((newest + 1, self.path(newest + 1)))
    }

    /// Loads the newest checkpoint that is valid; none if there are none at all.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There are checkpoints, but none of them is valid: says what is wrong with each. The newest cannot be
    /// opened, or is of a newer version of the format: it may be good, so none before it is taken.
    pub fn load(&mut self) -> Result<Option<Restored>> {
        let mut skipped = Vec::new();
        for generation in self.generations()? {
            let path = self.path(generation);
            match read::read(&self.comm, &self.alone, &path)? {
                Ok(mut restored) => {
                    restored.skipped = skipped;
                    return Ok(Some(restored));
                }
                Err(reason) => {
                    tracing::debug!(path = %shown(&path), reason = %escaped(&reason), "skipped a checkpoint");
                    self.damaged.push(generation);
                    skipped.push(Skipped { path, reason });
                }
            }
        }
        if skipped.is_empty() {
            return Ok(None);
        }
        let reason = |skipped: &Skipped| format!("{} {}", file_name(&skipped.path), skipped.reason);
        let reasons: Vec<String> = skipped.iter().map(reason).collect();
        Err(Error::File {
            path: self.folder.clone(),
            what: format!("no checkpoint is valid: {}; restore one, or name another folder", reasons.join("; ")),
        })
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.folder.join(name_of(generation))
    }

    /// Returns the numbers of what is there, the newest first.
    ///
    /// # Collective
    fn generations(&self) -> Result<Vec<u64>> {
        let found = if self.comm.rank() == 0 { names(&self.folder) } else { Ok(Vec::new()) };
        let found = found.map_err(|error| Error::io(&self.folder, "list", error));
        let mut found: Vec<u64> = self.comm.agree(found)?.iter().filter_map(|name| generation_of(name)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        self.comm.broadcast(0, &mut found);
        Ok(found)
    }

    /// Removes what is older than the last generation that is kept.
    fn prune(&self) -> Result<()> {
        let all = self.generations()?;
        let valid = all.iter().filter(|generation| !self.damaged.contains(generation));
        let oldest = valid.take(self.keep).last().copied().unwrap_or(0);
        let remove = || -> Result<()> {
            for path in all.iter().filter(|generation| **generation < oldest).map(|old| self.path(*old)) {
                fs::remove_file(&path).map_err(|error| Error::io(&path, "remove", error))?;
            }
            Ok(())
        };
        self.comm.agree(if self.comm.rank() == 0 { remove() } else { Ok(()) })
    }
}

/// Compares every checksum of one checkpoint, without changing anything in its folder.
///
/// # Collective
///
/// # Errors
///
/// It is not valid: says why.
pub fn verify(comm: &Comm, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let checked = read::read(comm, &comm.alone(), path)?;
    checked.map(drop).map_err(|what| Error::File { path: path.to_owned(), what })
}

/// Returns true if the file ends as checkpoints do. Not collective.
#[must_use]
pub fn ends_as_one(path: impl AsRef<Path>) -> bool {
    // What cannot be read is left to whoever wants to read it.
    trailer::has_magic(path.as_ref()).unwrap_or(false)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    // A name in another encoding is not one of a checkpoint.
    names.filter_map(Result::transpose).collect()
}

fn file_name(path: &Path) -> String {
    shown(path.file_name().unwrap_or_default())
}

/// The last number of a checkpoint: of eighteen digits, so that none overflows.
const LAST: u64 = 999_999_999_999_999_999;

/// Returns the name of a checkpoint's file.
fn name_of(generation: u64) -> String {
    format!("checkpoint-{generation:08}.h5")
}

/// Returns the generation that a file's name tells, if it is one that is given to a checkpoint.
fn generation_of(name: &str) -> Option<u64> {
    let generation = name.strip_prefix("checkpoint-")?.strip_suffix(".h5")?.parse().ok()?;
    ((1..=LAST).contains(&generation) && name == name_of(generation)).then_some(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_checkpoints_have_a_generation() {
        assert_eq!(generation_of("checkpoint-00000012.h5"), Some(12));
        assert_eq!(generation_of("checkpoint-123456789.h5"), Some(123_456_789));
        assert_eq!(generation_of(&name_of(LAST)), Some(LAST));
        for other in [
            "checkpoint-00000012.h5.tmp",
            "checkpoint-.h5",
            "checkpoint-+1.h5",
            "checkpoint-2.h5",
            "checkpoint-000000002.h5",
            "checkpoint-00000000.h5",
            "checkpoint-1000000000000000000.h5",
            "checkpoint-18446744073709551615.h5",
            "map.h5",
        ] {
            assert_eq!(generation_of(other), None, "{other}");
        }
    }
}
