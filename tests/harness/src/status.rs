//! Records of a rank about itself, in a file that outlives it.
//!
//! A record is one write of a separator, a word, a space and a text, so that it can be made from
//! a signal handler and cannot be torn by whatever ends the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::ffi;

pub(crate) const SEPARATOR: char = '\x1e';

static RECORDS: OnceLock<File> = OnceLock::new();

/// One recorded step in the life of a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The case was skipped, for this reason.
    Skipped(String),
    /// The case returned without an error.
    Returned,
    /// MPI was finalized after the last case of the job; the end of every good job.
    Finished,
    /// The case returned this error.
    Failed(String),
    /// The case panicked with this message.
    Panicked(String),
    /// The process left by `exit`.
    Exited,
    /// A fatal signal of this name arrived.
    Signal(String),
}

impl Event {
    fn to_record(&self) -> String {
        let (word, text) = match self {
            Event::Skipped(reason) => ("skipped", reason.as_str()),
            Event::Returned => ("returned", ""),
            Event::Finished => ("finished", ""),
            Event::Failed(message) => ("failed", message.as_str()),
            Event::Panicked(message) => ("panicked", message.as_str()),
            Event::Exited => ("exited", ""),
            Event::Signal(name) => ("signal", name.as_str()),
        };
        format!("{SEPARATOR}{word} {text}")
    }

    fn from_record(record: &str) -> Option<Event> {
        let (word, text) = record.split_once(' ')?;
        let text = text.to_owned();
        Some(match word {
            "skipped" => Event::Skipped(text),
            "returned" => Event::Returned,
            "finished" => Event::Finished,
            "failed" => Event::Failed(text),
            "panicked" => Event::Panicked(text),
            "exited" => Event::Exited,
            "signal" => Event::Signal(text),
            _ => return None,
        })
    }
}

pub(crate) fn path(folder: &Path, rank: usize) -> PathBuf {
    folder.join(format!("rank-{rank}.status"))
}

/// Opens this rank's records in the folder of a trial, in the place of those of the trial before. From now on
/// [`record`] works.
pub(crate) fn open(folder: &Path, rank: usize) -> io::Result<&'static File> {
    let file = OpenOptions::new().create(true).append(true).open(path(folder, rank))?;
    match RECORDS.get() {
        Some(records) => ffi::replace(records, &file).map(|()| records),
        None => Ok(RECORDS.get_or_init(|| file)),
    }
}

/// Records an event of this rank. Does nothing in a process that is not a rank of a trial.
pub(crate) fn record(event: &Event) {
    if let Some(mut file) = RECORDS.get() {
        // The full disk or whatever prevents this shows as a rank that did not finish.
        let _ = file.write_all(event.to_record().as_bytes());
    }
}

/// Reads the records of a rank so far; none if it never started.
pub(crate) fn read(folder: &Path, rank: usize) -> Vec<Event> {
    let bytes = std::fs::read(path(folder, rank)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split(SEPARATOR).filter_map(Event::from_record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_many_lines_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let events = [
            Event::Skipped("no data".to_owned()),
            Event::Failed("two\nlines with spaces".to_owned()),
            Event::Panicked(String::new()),
            Event::Signal("SIGSEGV".to_owned()),
            Event::Returned,
            Event::Exited,
            Event::Finished,
        ];
        let text: String = events.iter().map(Event::to_record).collect();
        std::fs::write(path(folder.path(), 3), text).unwrap();
        assert_eq!(read(folder.path(), 3), events);
        assert_eq!(read(folder.path(), 0), []);
    }
}
