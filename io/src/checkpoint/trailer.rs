//! Trailer after the HDF5 file: positions of the data of vectors, and a checksum of everything else.
//!
//! HDF5 does not protect what it stores beside the data, and does not survive every damage to it. So
//! these bytes are checked before the library sees them. HDF5 and h5py ignore what follows the end
//! of a file.
//!
//! All numbers are little-endian: for each vector its offset and size, 8 bytes each; the length of
//! the HDF5 file, 8; the CRC-32C of its bytes outside of the vectors, 4; of the trailer so far, 4;
//! the number of vectors, 8; and `DOLMENck`.

use super::checksums::{Running, crc32c};
use crate::regular_file::open_regular;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: &[u8; 8] = b"DOLMENck";
/// Bytes after the list of vectors.
const FIXED: usize = 8 + 4 + 4 + 8 + 8;
/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// Appends the trailer to a complete HDF5 file whose vectors lie at `regions`, ascending.
pub(super) fn append(path: &Path, regions: &[Range<u64>]) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    for region in regions {
        bytes.extend(region.start.to_le_bytes());
        bytes.extend((region.end - region.start).to_le_bytes());
    }
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum_outside(&file, length, regions)?.to_le_bytes());
    bytes.extend(crc32c(&bytes).to_le_bytes());
    bytes.extend((regions.len() as u64).to_le_bytes());
    bytes.extend(MAGIC);
    file.seek(SeekFrom::Start(length))?;
    file.write_all(&bytes)
}

/// Returns true if a file ends as one with a trailer does.
pub(super) fn has_magic(path: &Path) -> io::Result<bool> {
    let file = open_regular(path).map_err(io::Error::other)?;
    let mut end = [0; MAGIC.len()];
    match file.metadata()?.len().checked_sub(end.len() as u64) {
        Some(start) => file.read_exact_at(&mut end, start).map(|()| end == *MAGIC),
        None => Ok(false),
    }
}

/// Checks everything but the vectors; what is wrong, in words.
pub(super) fn check(file: &File) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let size = file.metadata().map_err(unreadable)?.len();
    let cut_off = || "is cut off, or was never complete".to_owned();
    let mut fixed = [0; FIXED];
    file.read_exact_at(&mut fixed, size.checked_sub(FIXED as u64).ok_or_else(cut_off)?).map_err(unreadable)?;
    let word = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("invariant: eight bytes"));
    let half = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("invariant: four bytes"));
    if &fixed[24..] != MAGIC {
        return Err(cut_off());
    }
    let (length, outside, own, count) = (word(0), half(8), half(12), word(16));
    let list = count.checked_mul(16).filter(|list| length.checked_add(*list) == Some(size - FIXED as u64));
    let damaged = || "is damaged: its trailer does not match its checksum".to_owned();
    let list = list.and_then(|list| usize::try_from(list).ok()).ok_or_else(damaged)?;
    let mut bytes = vec![0; list];
    file.read_exact_at(&mut bytes, length).map_err(unreadable)?;
    let regions: Vec<Range<u64>> = bytes.as_chunks::<16>().0.iter().map(region).collect();
    bytes.extend(&fixed[..12]);
    if crc32c(&bytes) != own {
        return Err(damaged());
    }
    match checksum_outside(file, length, &regions) {
        Ok(found) if found == outside => Ok(()),
        Ok(_) => Err("is damaged: the description of its vectors does not match its checksum".to_owned()),
        Err(error) => Err(unreadable(error)),
    }
}

fn region(bytes: &[u8; 16]) -> Range<u64> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("invariant: eight bytes"));
    word(0)..word(0).saturating_add(word(8))
}

/// Returns the checksum of the first `length` bytes that are not in one of the regions.
fn checksum_outside(file: &File, length: u64, regions: &[Range<u64>]) -> io::Result<u32> {
    let mut sum = Running::new();
    let mut buffer = Vec::new();
    let mut start = 0;
    for region in regions.iter().cloned().chain(std::iter::once(length..length)) {
        while start < region.start {
            let piece = (region.start - start).min(PIECE);
            buffer.resize(usize::try_from(piece).expect("invariant: a piece is small"), 0);
            file.read_exact_at(&mut buffer, start)?;
            sum.add(&buffer);
            start += piece;
        }
        start = region.end;
    }
    Ok(sum.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_damaged_byte_outside_of_the_regions_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, (0..200).collect::<Vec<u8>>()).unwrap();
        append(&path, &[20..60, 60..60, 100..150]).unwrap();
        let good = fs::read(&path).unwrap();
        let check_file = || check(&File::open(&path).unwrap());
        assert_eq!(check_file(), Ok(()));
        assert!(has_magic(&path).unwrap());
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let inside = (20..60).contains(&position) || (100..150).contains(&position);
            assert_eq!(check_file().is_ok(), inside, "byte {position}");
            assert_eq!(has_magic(&path).unwrap(), position < good.len() - MAGIC.len(), "byte {position}");
            fs::write(&path, &good[..position]).unwrap();
            assert!(check_file().is_err() && !has_magic(&path).unwrap(), "cut at {position}");
        }
    }
}
