//! Small files that one rank writes, places to write to, and checksums.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crc32fast::Hasher;
use dolmen_core::{Blocks, Comm};

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

/// Proves that files can be made in a folder, by making one. Not collective.
///
/// # Errors
/// The folder does not exist or cannot be written.
pub fn require_writable_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let probe = folder.join(format!(".dolmen-probe-{}", std::process::id()));
    File::create_new(&probe)?;
    std::fs::remove_file(&probe)
}

/// Proves that a file can be made or replaced, before there is anything to write. Not collective.
///
/// # Errors
/// It is a folder, or its folder does not exist or cannot be written.
pub fn require_writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    require_writable_folder(path.parent().unwrap_or(Path::new("")))
}

/// CRC-32 of a file, each rank reading its share, in hexadecimal.
///
/// # Collective
///
/// # Errors
/// The file cannot be read.
pub fn checksum(comm: &Comm, path: &Path) -> dolmen_core::Result<String> {
    let what = |error| format!("{}: cannot read: {error}", path.display());
    let (crc, bytes) = comm.agree(share(comm, path).map_err(what))?;
    let mut whole = Hasher::new();
    for [crc, bytes] in comm.all_gather([u64::from(crc), bytes]) {
        let crc = u32::try_from(crc).expect("invariant: a 32-bit checksum");
        whole.combine(&Hasher::new_with_initial_len(crc, bytes));
    }
    Ok(format!("{:08x}", whole.finalize()))
}

/// CRC-32 and length of this rank's share of a file.
fn share(comm: &Comm, path: &Path) -> io::Result<(u32, u64)> {
    const PIECE: usize = 1 << 20;
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let range = Blocks::uniform(bytes, comm.size()).range(comm.rank());
    file.seek(SeekFrom::Start(range.start))?;
    let mut rest = file.take(range.end - range.start);
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match rest.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok((hasher.finalize(), range.end - range.start))
}
