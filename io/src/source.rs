//! Files as they lie on disk: plain ones, which every rank reads where it needs to, and gzip ones,
//! which have no positions and are decoded from their start.

use crate::error::{Error, Result};
use crate::fault::require_same;
use crate::regular_file::{agree_on_sight, open_regular};
use dolmen_core::Comm;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// As much of a file's start as telling its format takes.
const HEAD: usize = 1024;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// A file opened for reading by all ranks.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: File,
    length: u64,
    gzip: bool,
}

impl Source {
    /// Opens a file.
    ///
    /// # Collective
    pub(crate) fn open(comm: &Comm, path: &Path) -> Result<Self> {
        let source = agree_on_sight(comm, Self::open_here(path))?;
        require_same(comm, path, &(source.length, source.gzip))?;
        Ok(source)
    }

    /// Opens a file on this rank.
    pub(crate) fn open_here(path: &Path) -> Result<Self> {
        let file = open_regular(path)?;
        let length = file.metadata().map_err(|error| Error::io(path, "examine", error))?.len();
        if length == 0 {
            return Err(Error::argument(path, "is empty"));
        }
        let mut magic = [0; 2];
        let read = file.read_at(&mut magic, 0).map_err(|error| Error::io(path, "read", error))?;
        Ok(Self { path: path.to_owned(), file, length, gzip: read == 2 && magic == [0x1f, 0x8b] })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes on disk.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn is_gzip(&self) -> bool {
        self.gzip
    }

    /// Returns the contents from their start, decoded.
    pub(crate) fn contents(&self) -> Box<dyn Read + '_> {
        let stored = Stored { file: &self.file, position: 0 };
        if self.gzip { Box::new(MultiGzDecoder::new(stored)) } else { Box::new(stored) }
    }

    /// Returns the bytes on disk from a position on.
    pub(crate) fn stored(&self, position: u64) -> impl Read + '_ {
        Stored { file: &self.file, position }
    }

    /// Returns the first bytes of the contents; fewer if there are no more.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD);
        // What cannot be read is reported when the whole is.
        let _ = self.contents().take(HEAD as u64).read_to_end(&mut head);
        head
    }

    /// Refuses a gzip file, for formats that are read by position.
    pub(crate) fn require_plain(&self) -> Result<()> {
        if self.gzip { Err(Error::argument(&self.path, "is packed by gzip; unpack it first")) } else { Ok(()) }
    }

    /// Gives the bytes of a part of the file to `take`, in pieces that are multiples of 16 bytes but
    /// for the last.
    pub(crate) fn read_pieces(&self, part: Range<u64>, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut buffer = vec![0; PIECE.min(usize::try_from(part.end - part.start).unwrap_or(PIECE))];
        let mut position = part.start;
        while position < part.end {
            let wanted = usize::try_from(part.end - position).map_or(PIECE, |left| left.min(PIECE));
            if self.read_at(&mut buffer[..wanted], position)? < wanted {
                let action = format!("read {wanted} bytes at byte {position}");
                return Err(Error::io(&self.path, action, io::ErrorKind::UnexpectedEof.into()));
            }
            take(&buffer[..wanted]);
            position += wanted as u64;
        }
        Ok(())
    }

    /// Reads a part of the file, which is at most what the file has.
    pub(crate) fn read_part(&self, part: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_pieces(part, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Reads as much as fits the buffer, less only at the end of the file.
    pub(crate) fn read_at(&self, buffer: &mut [u8], position: u64) -> Result<usize> {
        let mut reader = Stored { file: &self.file, position };
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(&self.path, format!("read at byte {position}"), error)),
            }
        }
        Ok(filled)
    }
}

/// Reads a file from a position of its own, so that readers do not disturb each other.
struct Stored<'a> {
    file: &'a File,
    position: u64,
}

impl Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}
