//! A look at a file in a process of its own, before this process opens it.
//!
//! The HDF5 library parses what it is given with little doubt: one flipped byte of a heap or of an attribute
//! makes the 1.10 series crash, loop, or ask for gigabytes. Rank 0 therefore forks a child that opens the file,
//! walks over all its groups, datasets, attributes and chunk indexes, and says what it found. A child that
//! crashes, comes to no end, or needs more memory than the file can explain leaves one line of text, and the
//! file is not opened. What the child saw is what this process will ask the library for; data are read with
//! checks of their own (`chunks`).
//!
//! A child costs about as much as the walk itself: a millisecond for a file of ten objects. It never calls MPI.

mod ffi;

use super::chunks;
use super::error::{reason, unreadable_because};
use super::name::Utf8Name;
use super::objects::{self, Walk};
use super::options::OpenOptions;
use crate::error::{Error, Result};
use ffi::{Ended, Limits};
use std::path::Path;

/// CPU time for any file [s], and bytes of a file for each further second.
const SECONDS: u64 = 3;
const BYTES_PER_SECOND: u64 = 20 << 20;

/// Memory that looking at any file may take; with this the metadata of the largest known files are walked.
const MEMORY: u64 = 160 << 20;

/// Times its own size that a file may take in memory.
const TIMES: u64 = 4;

/// Between the name of an object and what is wrong with it.
const SEPARATOR: char = '\0';

/// Refuses a file over which the library crashes, loops or needs too much memory, or of which it says itself
/// that it is damaged. Not collective.
pub(super) fn examine(path: &Path, length: u64, options: &OpenOptions) -> Result<()> {
    let seconds = SECONDS + length / BYTES_PER_SECOND;
    let limits = Limits { seconds, memory: MEMORY.saturating_add(TIMES.saturating_mul(length)) };
    let ended = hdf5::sync::sync(|| ffi::in_child(&limits, || look(path, length, options).err().unwrap_or_default()));
    let damaged = |what: String| Err(Error::File { path: path.to_owned(), what: format!("is damaged: {what}") });
    match ended {
        Ended::Said(text) if text.is_empty() => Ok(()),
        Ended::Said(text) => Err(match text.split_once(SEPARATOR) {
            Some((object, what)) => Error::Object { path: path.to_owned(), object: object.into(), what: what.into() },
            None => Error::File { path: path.to_owned(), what: text },
        }),
        Ended::Late => damaged(format!("the HDF5 library did not finish reading it within {seconds} s")),
        Ended::Killed(signal) => damaged(format!(
            "the HDF5 library crashed while it read the file, or needed too much memory (signal {signal})"
        )),
        Ended::Failed(code) => damaged(format!("the process that tried to open it ended with exit code {code}")),
        Ended::NotStarted(error) => {
            tracing::warn!("{}: opened without first trying it in another process: {error}", path.display());
            Ok(())
        }
    }
}

/// Runs in the child process; returns the fault in words.
fn look(path: &Path, length: u64, options: &OpenOptions) -> std::result::Result<(), String> {
    let name = Utf8Name::to_read(path).map_err(|error| error.to_string())?;
    let opened = options.builder().open(name.path());
    let opened = opened.map_err(|error| unreadable_because(&error))?;
    let walk = Walk { allow_external: options.allows_external(), values: true, length };
    let said = |(name, what)| format!("{name}{SEPARATOR}{what}");
    let objects = objects::list(&opened, &walk).map_err(said)?;
    let datasets = objects.iter().filter(|object| object.is_inside());
    datasets.into_iter().try_for_each(|object| {
        let examined = opened.dataset(&object.name).map_err(|error| reason(&error));
        let examined = examined.and_then(|dataset| chunks::examine(&dataset, length));
        examined.map_err(|what| said((object.name.clone(), what)))
    })
}
