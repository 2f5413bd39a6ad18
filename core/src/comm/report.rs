//! The lines that a failing program leaves behind.

use std::fmt::Display;
use std::io::Write;

use crate::text::escaped_lines;

/// Exit code of a program whose `main` returned an error: bad input or an impossible request.
pub(crate) const FAILURE: u8 = 2;

/// Prints the one line that a failed program leaves behind.
pub(crate) fn report(error: &dyn Display) {
    print(&format!("error: {}\n", escaped_lines(&error.to_string())));
}

pub(super) fn print(line: &str) {
    // A closed stderr must not turn an error into a panic.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
