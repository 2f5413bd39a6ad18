//! A gzip FITS file, decoded into memory unit by unit: the header of each says how much follows, which is compared
//! with the budget of memory before it is decoded.

use super::header::{BLOCK, Header};
use crate::budget;
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are decoded at once.
const PIECE: u64 = 1 << 20;

/// Decoded chunks of a file.
struct Unpacked<'f> {
    decoder: MultiGzDecoder<&'f File>,
    bytes: Vec<u8>,
}

impl Unpacked<'_> {
    /// Decodes up to a position, or to the end of the file.
    fn decode_to(&mut self, end: u64) -> io::Result<()> {
        while (self.bytes.len() as u64) < end {
            let wanted = (end - self.bytes.len() as u64).min(PIECE);
            let room = usize::try_from(wanted).expect("invariant: a piece is small");
            self.bytes.try_reserve(room).map_err(|_| io::ErrorKind::OutOfMemory)?;
            if (&mut self.decoder).take(wanted).read_to_end(&mut self.bytes)? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Reads what is decoded from a position on, and decodes more where that ends.
struct Reader<'u, 'f> {
    unpacked: &'u mut Unpacked<'f>,
    position: u64,
}

impl Read for Reader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.unpacked.decode_to(self.position.saturating_add(buffer.len() as u64))?;
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        let rest = self.unpacked.bytes.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

/// Returns all units of a gzip file; what is wrong with a header is told by whoever reads it then.
pub(super) fn unpack(path: &Path, file: &File) -> Result<Vec<u8>> {
    let mut unpacked = Unpacked { decoder: MultiGzDecoder::new(file), bytes: Vec::new() };
    let failed = |error| Error::io(path, "unpack", error);
    let mut position = 0;
    for unit in 0.. {
        let mut reader = Reader { unpacked: &mut unpacked, position };
        let mut start = [0; 8];
        match reader.read_exact(&mut start) {
            Ok(()) if &start == if unit == 0 { b"SIMPLE  " } else { b"XTENSION" } => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(failed(error)),
            _ => break,
        }
        reader.position = position;
        let Ok(header) = Header::read(&mut reader) else { break };
        let data_start = reader.position;
        let Some(end) = header.data_length().ok().and_then(|length| data_start.checked_add(length)) else { break };
        budget::require(end).map_err(|what| Error::fits(path, format!("HDU {unit}"), what))?;
        position = end.next_multiple_of(BLOCK as u64);
        unpacked.decode_to(position).map_err(failed)?;
    }
    Ok(unpacked.bytes)
}
