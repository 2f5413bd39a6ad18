//! The filters that are undone here: deflate, shuffle and fletcher32, as HDF5's file format has them, and h5py's lzf.

use super::lzf;
use crate::hdf5::filters::{LZF, StoredFilter};
use flate2::{Decompress, FlushDecompress, Status};

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Deflate,
    /// The bytes of elements of this size, first all first ones.
    Shuffle(usize),
    /// A checksum behind the data.
    Fletcher32,
    Lzf,
}

/// Bytes of a checksum.
const CHECKSUM: usize = 4;

impl Step {
    /// None of another filter.
    pub(super) fn of(filter: &StoredFilter) -> Option<Self> {
        match filter.number {
            1 => Some(Self::Deflate),
            2 => Some(Self::Shuffle(usize::try_from(filter.parameter?).ok()?)),
            3 => Some(Self::Fletcher32),
            LZF => Some(Self::Lzf),
            _ => None,
        }
    }
}

/// Undoes filters, which were applied in this order, of a chunk of `bytes` bytes.
pub(super) fn undo(steps: &[Step], stored: Vec<u8>, bytes: usize) -> Result<Vec<u8>, String> {
    let sums = steps.iter().filter(|step| **step == Step::Fletcher32).count();
    let most = bytes.saturating_add(CHECKSUM * sums);
    let mut data = stored;
    for step in steps.iter().rev() {
        data = match step {
            Step::Deflate => inflate(&data, most)?,
            Step::Shuffle(size) => unshuffle(&data, *size),
            Step::Fletcher32 => check(data)?,
            Step::Lzf => lzf::unpack(&data, most)?,
        };
    }
    if data.len() == bytes { Ok(data) } else { Err(format!("unpacks to {} bytes instead of {bytes}", data.len())) }
}

fn inflate(packed: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    let room = most.saturating_add(1);
    data.try_reserve_exact(room).map_err(|_| format!("{most} bytes do not fit into the memory"))?;
    let status = Decompress::new(true).decompress_vec(packed, &mut data, FlushDecompress::Finish);
    match status.map_err(|error| format!("cannot be unpacked: {error}"))? {
        Status::StreamEnd if data.len() <= most => Ok(data),
        _ if data.len() > most => Err(format!("unpacks to more than {most} bytes")),
        _ => Err(format!("cannot be unpacked: it ends after {} bytes", data.len())),
    }
}

fn unshuffle(data: &[u8], size: usize) -> Vec<u8> {
    let count = data.len() / size.max(1);
    if size <= 1 || count <= 1 {
        return data.to_vec();
    }
    let mut plain = vec![0; data.len()];
    for (byte, column) in data[..count * size].chunks_exact(count).enumerate() {
        plain[byte..].iter_mut().step_by(size).zip(column).for_each(|(to, from)| *to = *from);
    }
    plain[count * size..].copy_from_slice(&data[count * size..]);
    plain
}

/// Compares the checksum behind data, and drops it.
fn check(mut data: Vec<u8>) -> Result<Vec<u8>, String> {
    let end = data.len().checked_sub(CHECKSUM).ok_or("is too short for its checksum")?;
    let stored = u32::from_le_bytes(*data[end..].first_chunk().expect("invariant: four bytes"));
    data.truncate(end);
    let [a, b, c, d] = fletcher32(&data).to_be_bytes();
    // Versions before 1.6.3 swapped bytes on some machines.
    if stored == u32::from_be_bytes([a, b, c, d]) || stored == u32::from_be_bytes([b, a, d, c]) {
        Ok(data)
    } else {
        Err("does not match its checksum; it is damaged".to_owned())
    }
}

/// Fletcher's checksum of 16-bit words, most significant byte first.
fn fletcher32(data: &[u8]) -> u32 {
    /// Sums of this number of words do not overflow.
    const WORDS: usize = 360;
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut first, mut second) = (0_u32, 0_u32);
    for block in data.chunks(2 * WORDS) {
        for word in block.chunks(2) {
            first += u32::from(word[0]) << 8 | word.get(1).map_or(0, |byte| u32::from(*byte));
            second += first;
        }
        (first, second) = (fold(first), fold(second));
    }
    fold(second) << 16 | fold(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn deflated(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn filters_are_undone_in_reverse() {
        // Three elements of two bytes and an odd one: first bytes, then second bytes.
        assert_eq!(unshuffle(&[1, 3, 5, 2, 4, 6, 7], 2), [1, 2, 3, 4, 5, 6, 7]);
        let packed = deflated(&[1, 3, 5, 2, 4, 6]);
        assert_eq!(undo(&[Step::Shuffle(2), Step::Deflate], packed, 6), Ok(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(undo(&[], vec![1, 2], 2), Ok(vec![1, 2]));
    }

    #[test]
    fn chunks_have_their_size_or_are_errors() {
        let bomb = deflated(&vec![0; 1 << 20]);
        for (bytes, expected) in [(100, "more than 100 bytes"), (2 << 20, "unpacks to 1048576 bytes instead of")] {
            assert!(undo(&[Step::Deflate], bomb.clone(), bytes).unwrap_err().contains(expected));
        }
        assert!(undo(&[Step::Deflate], bomb[..50].to_vec(), 1 << 20).unwrap_err().contains("cannot be unpacked"));
        assert!(undo(&[Step::Deflate], b"no zlib".to_vec(), 7).unwrap_err().contains("cannot be unpacked"));
    }

    #[test]
    fn checksums_are_compared() {
        // By hand: words 0x0102, 0x0304, 0x0500; sums 0x0906 and 0x0102 + 0x0406 + 0x0906 = 0x0e0e.
        assert_eq!(fletcher32(&[1, 2, 3, 4, 5]), 0x0e0e_0906);
        let with = |sum: [u8; 4]| [&[1, 2, 3, 4, 5][..], &sum].concat();
        assert_eq!(undo(&[Step::Fletcher32], with([0x06, 0x09, 0x0e, 0x0e]), 5), Ok(vec![1, 2, 3, 4, 5]));
        assert!(undo(&[Step::Fletcher32], with([0x07, 0x09, 0x0e, 0x0e]), 5).unwrap_err().contains("checksum"));
        assert!(undo(&[Step::Fletcher32], vec![1], 1).is_err());
    }
}
