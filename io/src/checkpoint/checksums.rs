//! CRC-32C of fixed blocks of a vector, the same on any number of ranks.
//!
//! Blocks are cut by the position in the whole vector. A rank computes the checksum of its part of each
//! block; parts of one block from several ranks are combined, which CRCs allow, in the order in which they
//! lie in the vector. CRC-32C finds every single flipped byte, and processors compute it faster than they read
//! memory.

use bytemuck::{Pod, Zeroable};
use crc_fast::{CrcAlgorithm, Digest, checksum, checksum_combine};
use dolmen_core::Comm;
use std::ops::Range;

/// CRC-32C, by its name in the catalog of CRCs.
const CRC_32C: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// The size of a block. It is a part of the format.
pub(super) const BLOCK: u64 = 1 << 20;

/// Returns the CRC-32C of some bytes.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    narrow(checksum(CRC_32C, bytes))
}

/// The crate computes all CRCs in 64 bits.
fn narrow(crc: u64) -> u32 {
    u32::try_from(crc).expect("invariant: a CRC of 32 bits")
}

/// The checksum of a part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Part {
    /// First position in the vector.
    first: u64,
    bytes: u32,
    crc: u32,
}

/// Returns the parts of a slab that starts at byte `first` of its vector, cut into blocks of `block`
/// bytes: the number of the block, and the bytes of the slab.
pub(super) fn cut(block: u64, first: u64, bytes: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let position = first + at as u64;
        let left = usize::try_from(block - position % block).expect("invariant: a block is small");
        let part = at..bytes.min(at + left);
        at = part.end;
        (!part.is_empty()).then_some((position / block, part))
    })
}

impl Part {
    /// Of bytes that start at byte `first` of their vector.
    pub(super) fn of(first: u64, bytes: &[u8]) -> Part {
        let length = u32::try_from(bytes.len()).expect("invariant: a part of a block");
        Part { first, bytes: length, crc: crc32c(bytes) }
    }

    /// Returns true if this part begins where the other one ends, in the same block.
    fn follows(&self, other: &Part) -> bool {
        self.first == other.first + u64::from(other.bytes) && self.first / BLOCK == other.first / BLOCK
    }
}

/// Returns the parts of a slab.
pub(super) fn parts(first: u64, slab: &[u8]) -> Vec<Part> {
    cut(BLOCK, first, slab.len()).map(|(_, part)| Part::of(first + part.start as u64, &slab[part])).collect()
}

/// Returns the checksums of all blocks on rank 0, elsewhere none, from the parts of all ranks.
///
/// # Collective
/// The parts of a block that several ranks share are joined on the way to rank 0.
pub(super) fn gather(comm: &Comm, mine: &[Part]) -> Vec<u32> {
    let all = comm.gather_merged(joined(mine.to_vec()), |below, above| joined([below, above].concat()));
    all.into_iter().flatten().map(|part| part.crc).collect()
}

/// Joins parts of one block that follow each other; the parts come in any order and are returned in that of the vector.
fn joined(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_unstable_by_key(|part| part.first);
    let mut all: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match all.last_mut() {
            Some(last) if part.follows(last) => {
                let [before, after] = [last.crc, part.crc].map(u64::from);
                last.crc = narrow(checksum_combine(CRC_32C, before, after, u64::from(part.bytes)));
                last.bytes += part.bytes;
            }
            _ => all.push(part),
        }
    }
    all
}

/// The checksum of what is read piece by piece.
pub(super) struct Running(Digest);

impl Running {
    pub(super) fn new() -> Running {
        Running(Digest::new(CRC_32C))
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn value(&self) -> u32 {
        narrow(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_where_ranks_cut() {
        let block = usize::try_from(BLOCK).unwrap();
        let bytes: Vec<u8> = (0..2 * block + 777).map(|i| u8::try_from((i * 31 + i / 977) % 251).unwrap()).collect();
        let whole: Vec<u32> = bytes.chunks(block).map(crc32c).collect();
        for cuts in [vec![], vec![8], vec![block], vec![0, 16, 16, block - 8, block + 8, 2 * block + 776]] {
            let mut bounds = vec![0];
            bounds.extend(&cuts);
            bounds.push(bytes.len());
            let all = bounds.windows(2).flat_map(|pair| parts(pair[0] as u64, &bytes[pair[0]..pair[1]]));
            let mut all: Vec<Part> = all.collect();
            let sums = |all: Vec<Part>| all.iter().map(|part| part.crc).collect::<Vec<_>>();
            assert_eq!(sums(joined(all.clone())), whole, "{cuts:?}");
            // Ranks have several runs of a stacked vector, so parts come in another order, and some after others.
            all.reverse();
            assert_eq!(sums(joined(all.clone())), whole, "{cuts:?}");
            let (odd, even): (Vec<_>, Vec<_>) = all.chunks(1).enumerate().partition(|(at, _)| at % 2 == 1);
            let [odd, even] =
                [odd, even].map(|half| joined(half.into_iter().flat_map(|(_, part)| part.to_vec()).collect()));
            assert_eq!(sums(joined([odd, even].concat())), whole, "{cuts:?}");
        }
    }

    #[test]
    fn the_check_value_is_the_standards() {
        // RFC 3720, B.4: 32 bytes of zeros, and the check value of the CRC catalog.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn slabs_above_4_gib_are_cut_at_blocks() {
        let first = 5 * BLOCK - 24;
        let bytes = usize::try_from((1 << 32) + 32_u64).unwrap();
        let all: Vec<(u64, Range<usize>)> = cut(BLOCK, first, bytes).collect();
        assert_eq!(all[0], (4, 0..24));
        assert_eq!(all.len(), 4098);
        assert_eq!(all[4097], (4 + 4097, bytes - 8..bytes));
    }
}
