//! Reference data outside the project, and cases that are skipped without it.

use std::cell::RefCell;
use std::env;
use std::path::{Path, PathBuf};

use crate::status::{self, Event};

thread_local! {
    /// Reason for which the serial case on this thread was skipped.
    static SKIPPED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The folder of reference data: `DOLMEN_SHARED`, or `../shared` beside the workspace.
///
/// If it is absent, the running case counts as skipped and has only to return `Ok`; with
/// `CI=true` it fails instead.
///
/// # Panics
/// With `CI=true` and no such folder.
pub fn shared() -> Option<PathBuf> {
    let folder = match env::var_os("DOLMEN_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    let reason = format!("no reference data at {} (DOLMEN_SHARED names the folder)", folder.display());
    assert!(env::var("CI").as_deref() != Ok("true"), "{reason}");
    skip(&reason);
    None
}

/// Returns the folder of small matrices that are part of the repository; `make.py` in it wrote them, and `facts.json`
/// has their sums.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data")
}

/// Counts the running case as skipped, whatever it does until it returns `Ok`.
pub fn skip(reason: &str) {
    println!("skipped: {reason}");
    status::record(&Event::Skipped(reason.to_owned()));
    SKIPPED.set(Some(reason.to_owned()));
}

/// Takes the reason for which the serial case that has just run on this thread was skipped.
pub(crate) fn take_reason() -> Option<String> {
    SKIPPED.take()
}
