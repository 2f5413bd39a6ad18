//! Small files that one rank writes, and checksums.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use dolmen_core::text::shown;
use dolmen_core::{Blocks, Comm};
use dolmen_io::open_on_all_ranks;

/// Writes a small text or picture file under a temporary name and renames it. Not collective.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write_anew(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    written.inspect_err(|_| {
        // The first error is the one to report, whether or not the rest can be removed.
        let _ = std::fs::remove_file(&temporary);
    })
}

/// Returns the name under which a file is written before it gets its own.
fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

/// Refuses to write files if one of them is an input, whatever names they have: two names are of one file
/// if device and inode are the same. Also the name under which a file is written before it gets its own may
/// not be that of an input.
///
/// # Collective
/// Rank 0 looks.
///
/// # Errors
/// An output is an input: names both.
pub fn keep_inputs(comm: &Comm, inputs: &[&Path], outputs: &[PathBuf]) -> dolmen_core::Result<()> {
    let lost = || {
        let inputs: Vec<_> = inputs.iter().filter_map(|input| Some((*input, identity(input)?))).collect();
        let written = outputs.iter().flat_map(|output| [output.clone(), temporary(output)]);
        written.filter_map(|output| Some((identity(&output)?, output))).find_map(|(file, output)| {
            let (input, _) = inputs.iter().find(|(_, input)| *input == file)?;
            Some(format!(
                "{}: is the input {}, and would be overwritten; choose another output file or folder",
                shown(&output),
                shown(*input)
            ))
        })
    };
    let lost = if comm.rank() == 0 { lost() } else { None };
    comm.agree(lost.map_or(Ok(()), Err))
}

/// Device and inode of a file, links followed; none if it is not there.
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// Writes a file in place of the remains of a killed program, which may be anything: they are removed, not
/// emptied.
fn write_anew(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Computes the CRC-32 of a file, in hexadecimal; each rank reads its share.
///
/// # Collective
///
/// # Errors
/// The file cannot be read.
pub fn checksum(comm: &Comm, path: &Path) -> dolmen_io::Result<String> {
    let what = |error| format!("{}: cannot read: {error}", shown(path));
    let file = open_on_all_ranks(comm, path)?;
    let (crc, bytes) = comm.agree(share(comm, file).map_err(what))?;
    let mut whole = Hasher::new();
    for [crc, bytes] in comm.all_gather([u64::from(crc), bytes]) {
        let crc = u32::try_from(crc).expect("invariant: a 32-bit checksum");
        whole.combine(&Hasher::new_with_initial_len(crc, bytes));
    }
    Ok(format!("{:08x}", whole.finalize()))
}

/// CRC-32 and length of this rank's share of a file.
fn share(comm: &Comm, mut file: File) -> io::Result<(u32, u64)> {
    const PIECE: usize = 1 << 20;
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
