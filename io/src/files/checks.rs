//! Refusals that all readers share: sizes that the file is too short for, other lengths, other numbers.

use super::description::Field;
use crate::error::{Error, Result};
use dolmen_core::{Layout, Scalar};
use std::path::Path;

/// Returns the most rows or columns that a matrix of a file may have, by the bytes of its (decoded)
/// contents. Many rows may be empty, but a row costs memory whether it is or not.
pub(crate) fn most_rows(bytes: u64) -> u64 {
    (1 << 20) + bytes.saturating_mul(8)
}

/// Says what is wrong with sizes that memory would have to be found for, but that the file is too
/// short to need.
pub(crate) fn check_sizes(rows: u64, columns: u64, bytes: u64) -> std::result::Result<(), String> {
    let most = most_rows(bytes);
    if rows.max(columns) <= most {
        return Ok(());
    }
    Err(format!(
        "a matrix of {rows} by {columns} is too large for a file of {bytes} bytes: nearly all of its rows or columns \
         would be empty, and each costs memory; at most {most} are read"
    ))
}

/// Refuses vectors that are not as long as the layout they are read to.
pub(crate) fn check_length(path: &Path, rows: u64, layout: &Layout) -> Result<()> {
    check_object_length(path, None, rows, layout)
}

/// Works like [`check_length`], of one of several objects of a file.
pub(super) fn check_object_length(path: &Path, object: Option<String>, rows: u64, layout: &Layout) -> Result<()> {
    let (found, expected) = (rows, layout.global_len());
    if found == expected { Ok(()) } else { Err(Error::Length { path: path.to_owned(), object, found, expected }) }
}

/// Refuses complex numbers where `T` is real.
pub(crate) fn require_field<T: Scalar>(path: &Path, field: Field) -> Result<()> {
    if field != Field::Complex || T::COMPLEX {
        return Ok(());
    }
    let what = format!("holds complex numbers, which {} cannot hold; read it as Complex64 or Complex32", T::NAME);
    Err(Error::argument(path, what))
}
