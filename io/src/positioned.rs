//! Parts of one file, written by all ranks side by side.

use crate::error::{Error, Result};
use crate::staged::{StagedFile, start_writeback};
use dolmen_core::Comm;
use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are collected before they are written.
const BUFFER: usize = 1 << 20;

/// Bytes that are written before the disk is set to work on them.
const PIECE: u64 = 8 << 20;

/// Writes on from a position of a file.
pub(crate) struct PositionedWriter<'f> {
    file: &'f File,
    position: u64,
    /// Up to where the bytes are on their way to the disk.
    sent: u64,
    buffer: Vec<u8>,
}

impl<'f> PositionedWriter<'f> {
    pub(crate) fn new(file: &'f File, position: u64) -> Self {
        Self { file, position, sent: position, buffer: Vec::with_capacity(BUFFER) }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        if self.position - self.sent >= PIECE {
            start_writeback(self.file, self.sent..self.position)?;
            self.sent = self.position;
        }
        Ok(())
    }
}

impl Write for PositionedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            bytes.chunks(BUFFER).try_for_each(|piece| self.put(piece))?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = mem::take(&mut self.buffer);
        self.put(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }
}

/// Writes a whole file under a temporary name, `write` on every rank, then syncs and renames it.
///
/// # Collective
pub(crate) fn write_staged(
    comm: &Comm,
    target: &Path,
    bytes: u64,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> Result<()> {
    let staged = StagedFile::create(comm, target)?;
    staged.reserve(comm, bytes)?;
    comm.agree(write(staged.file()).map_err(|error| Error::io(staged.temporary(), "write", error)))?;
    staged.sync(comm)?;
    staged.publish(comm)
}

/// Computes the start of each rank's part of the file, and the end of the last one, if they follow each
/// other from `start` on.
///
/// # Collective
pub(crate) fn parts(comm: &Comm, start: u64, mine: u64) -> (u64, u64) {
    let (below, all) = comm.sum_below(mine);
    (start + below, start + all)
}
