//! Errors that must be the same on all ranks.

use std::fmt::Display;

use dolmen_core::Comm;

use crate::case::TestResult;

/// Returns the message of an error that must be the same on all ranks.
///
/// # Errors
/// Success where an error was due.
///
/// # Panics
/// If the message of this rank is not that of rank 0.
pub fn message<T, E: Display>(comm: &Comm, result: Result<T, E>) -> TestResult<String> {
    let Err(error) = result else { return Err("no error where one was due".into()) };
    let mut first = error.to_string().into_bytes();
    let mine = first.clone();
    comm.broadcast(0, &mut first);
    assert_eq!(mine, first, "ranks disagree");
    Ok(error.to_string())
}
