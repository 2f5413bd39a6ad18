//! Disk space of the parts of a new file.
//!
//! Counted before the library is asked to make anything. Metadata are counted generously;
//! what is too much is given back when the file is complete.

use super::layout::Layout;
use std::collections::BTreeSet;

/// An empty file: its superblock and root group, and a block of metadata of which most stays empty.
pub(super) const FILE_BYTES: u64 = 1 << 17;

/// The header of an object, its entry in the group above and, of a group, its heap and its index: about
/// 1100 bytes of a small group, and less than that for each eight members more.
const OBJECT_BYTES: u64 = 1 << 11;

/// The head of an attribute, with its types; its object's header may grow by twice what it takes.
const ATTRIBUTE_BYTES: u64 = 1 << 9;

/// The objects of a new file, groups above others too.
#[derive(Debug, Default)]
pub(super) struct Objects(BTreeSet<String>);

impl Objects {
    /// Returns the bytes of an object with the groups above it that are not there yet, which are noted.
    pub(super) fn object_bytes(&mut self, name: &str) -> u64 {
        let mut path = String::new();
        let mut bytes = 0;
        for part in name.split('/').filter(|part| !part.is_empty()) {
            path.push('/');
            path.push_str(part);
            if self.0.insert(path.clone()) {
                bytes += OBJECT_BYTES + 2 * part.len() as u64;
            }
        }
        bytes
    }
}

/// Returns an attribute whose value has this size.
pub(super) fn attribute_bytes(name: &str, value_bytes: usize) -> u64 {
    ATTRIBUTE_BYTES + 2 * (name.len() as u64 + value_bytes as u64)
}

/// Returns the data of a dataset; none if that is more than 2^64 bytes.
pub(super) fn data_bytes(element_bytes: usize, shape: &[u64], layout: &Layout) -> Option<u64> {
    let product = |lengths: &[u64]| lengths.iter().try_fold(1_u64, |product, length| product.checked_mul(*length));
    match layout.chunk() {
        None => product(shape)?.checked_mul(element_bytes as u64),
        Some(chunk) => {
            let counts: Vec<u64> = shape.iter().zip(chunk).map(|(length, chunk)| length.div_ceil(*chunk)).collect();
            let chunks = product(&counts)?;
            let stored = chunks.checked_mul(product(chunk)?)?.checked_mul(element_bytes as u64)?;
            // A B-tree with nodes of 64 chunks, at least half full; twice what it takes.
            let index = chunks.checked_add(64)?.checked_mul(96 + 32 * chunk.len() as u64)?;
            stored.checked_add(index)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_counted_whole() {
        assert_eq!(data_bytes(8, &[10, 5], &Layout::Contiguous), Some(400));
        assert_eq!(data_bytes(8, &[], &Layout::Contiguous), Some(8));
        // Chunks at the edges are stored whole: 3 x 2 of them.
        let index = (6 + 64) * (96 + 64);
        let chunked = data_bytes(8, &[10, 5], &Layout::Chunked(vec![4, 3]));
        assert_eq!(chunked, Some(6 * 12 * 8 + index));
    }

    #[test]
    fn every_object_is_counted_once() {
        let mut objects = Objects::default();
        assert_eq!(objects.object_bytes("group/data"), 2 * (2048 + 9));
        assert_eq!(objects.object_bytes("/group/more/"), 2048 + 8);
        assert_eq!(objects.object_bytes("group"), 0);
    }

    #[test]
    fn sizes_beyond_64_bits_are_refused() {
        assert_eq!(data_bytes(8, &[1 << 61], &Layout::Contiguous), None);
        assert_eq!(data_bytes(1, &[1 << 40, 1 << 40], &Layout::Contiguous), None);
        assert_eq!(data_bytes(8, &[1], &Layout::Chunked(vec![1 << 62])), None);
    }
}
