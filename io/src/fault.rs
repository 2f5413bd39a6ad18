//! Malformed input, reported alike on any number of ranks.
//!
//! Ranks read a file in the order of its bytes, so the fault of the lowest rank that has one is the
//! first of the file. All ranks take it over as their own error, which therefore does not say which
//! rank met it: that would differ with their number.

use crate::error::{Error, Result};
use dolmen_core::Comm;
use std::fmt::Debug;
use std::path::Path;

/// Fault of a file, and its place.
#[derive(Debug)]
pub(crate) struct Fault {
    /// "line 12", "byte 80", "member indptr.npy".
    pub(crate) place: String,
    /// Fault there, and what would be right.
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }

    /// Lines are counted from 1.
    pub(crate) fn line(line: u64, what: impl Into<String>) -> Self {
        Self::new(format!("line {line}"), what)
    }

    pub(crate) fn of(self, path: &Path) -> Error {
        Error::Malformed { path: path.to_owned(), place: self.place, what: self.what }
    }
}

/// Ends a phase that can find a fault: the first one of the file becomes the error of all ranks.
///
/// # Collective
pub(crate) fn settle<T>(comm: &Comm, path: &Path, result: std::result::Result<T, Fault>) -> Result<T> {
    let mut first = [if result.is_err() { comm.rank() as u64 } else { u64::MAX }];
    comm.all_reduce_min(&mut first);
    let fault = match result {
        Ok(value) if first[0] == u64::MAX => return Ok(value),
        Ok(_) => Fault::new("", ""),
        Err(fault) => fault,
    };
    let root = usize::try_from(first[0]).expect("invariant: the number of a rank");
    let mut texts = [fault.place.into_bytes(), fault.what.into_bytes()];
    texts.iter_mut().for_each(|text| comm.broadcast(root, text));
    let [place, what] = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
    Err(Fault { place, what }.of(path))
}

/// Refuses a file of which the ranks have not seen the same: what they then do together depends on it.
///
/// # Collective
pub(crate) fn require_same(comm: &Comm, path: &Path, seen: &impl Debug) -> Result<()> {
    let hash = u64::from(crc32fast::hash(format!("{seen:?}").as_bytes()));
    let mut extremes = [hash, !hash];
    comm.all_reduce_min(&mut extremes);
    if extremes == [hash, !hash] {
        return Ok(());
    }
    let what =
        "the ranks see different contents; put one file where all of them see it, and let no program write to it";
    Err(Error::argument(path, what))
}

/// Returns a piece of the file as an error message shows it.
pub(crate) fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let dots = if text.len() > SHOWN { "..." } else { "" };
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    format!("'{}{dots}'", shown.escape_debug())
}
