//! Errors of the HDF5 library, in words.

use crate::error::Error;
use std::path::Path;

/// Returns the innermost reason of an HDF5 error, which says more than the outermost.
pub(super) fn reason(error: &hdf5::Error) -> String {
    let innermost = error.stack().and_then(|stack| stack.iter().last().map(|frame| frame.desc().to_owned()));
    let innermost = innermost.unwrap_or_else(|| error.to_string());
    // A failed system call has a line of details, with the time, around its message.
    let system = innermost.split_once("error message = '").and_then(|(_, rest)| rest.split_once('\''));
    system.map_or(innermost.clone(), |(message, _)| message.to_owned())
}

/// Returns the error of a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &hdf5::Error) -> Error {
    Error::File { path: path.to_owned(), what: unreadable_because(error) }
}

/// Says why a file cannot be opened.
pub(super) fn unreadable_because(error: &hdf5::Error) -> String {
    let reason = reason(error);
    if reason.contains("signature") {
        "is not an HDF5 file".to_owned()
    } else {
        format!("cannot be opened as HDF5: {reason}")
    }
}

/// Returns the error of a file that cannot be written.
pub(super) fn unwritable(path: &Path, error: &hdf5::Error) -> Error {
    Error::File { path: path.to_owned(), what: format!("cannot be written: {}", reason(error)) }
}
