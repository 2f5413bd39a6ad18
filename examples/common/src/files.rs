//! Small files that one rank writes.

use std::io;
use std::path::Path;

/// Writes a small text or picture file under a temporary name and renames it. Not collective.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let written = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    written.inspect_err(|_| {
        // The first error is the one to report, whether or not the rest can be removed.
        let _ = std::fs::remove_file(&temporary);
    })
}
