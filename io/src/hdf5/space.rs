//! How much room the parts of a new file take on disk.
//!
//! Counted here, not asked of the library: over MPI-IO, HDF5 1.10 cannot tell the
//! size of a file once it has been written to. Metadata are counted generously;
//! what is too much is given back when the file is complete.

use super::dataset::Layout;

/// An empty file: its superblock and root group, and what the library sets aside.
pub(super) const FILE_BYTES: u64 = 1 << 18;

/// The header of an object, its entry in the group above and, of a group, its heap.
const OBJECT_BYTES: u64 = 1 << 12;

/// An object with the groups above it, which may have to be made.
pub(super) fn object_bytes(name: &str) -> u64 {
    let parts = name.split('/').filter(|part| !part.is_empty()).count() as u64;
    OBJECT_BYTES * parts + 2 * name.len() as u64
}

/// An attribute whose value has this size.
pub(super) fn attribute_bytes(name: &str, value_bytes: usize) -> u64 {
    OBJECT_BYTES + 2 * (name.len() as u64 + value_bytes as u64)
}

/// A dataset; none if that is more than 2^64 bytes.
pub(super) fn dataset_bytes(name: &str, element_bytes: usize, shape: &[u64], layout: &Layout) -> Option<u64> {
    let product = |lengths: &[u64]| lengths.iter().try_fold(1_u64, |product, length| product.checked_mul(*length));
    let data = match layout.chunk() {
        None => product(shape)?.checked_mul(element_bytes as u64)?,
        Some(chunk) => {
            let counts: Vec<u64> = shape.iter().zip(chunk).map(|(length, chunk)| length.div_ceil(*chunk)).collect();
            let chunks = product(&counts)?;
            let stored = chunks.checked_mul(product(chunk)?)?.checked_mul(element_bytes as u64)?;
            // A B-tree with nodes of 64 chunks, at least half full; twice what it takes.
            let index = chunks.checked_add(64)?.checked_mul(96 + 32 * chunk.len() as u64)?;
            stored.checked_add(index)?
        }
    };
    data.checked_add(object_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_counted_whole() {
        let objects = object_bytes("group/data");
        assert_eq!(objects, 2 * 4096 + 20);
        assert_eq!(dataset_bytes("group/data", 8, &[10, 5], &Layout::Contiguous), Some(400 + objects));
        assert_eq!(dataset_bytes("group/data", 8, &[], &Layout::Contiguous), Some(8 + objects));
        // Chunks at the edges are stored whole: 3 x 2 of them.
        let index = (6 + 64) * (96 + 64);
        let chunked = dataset_bytes("group/data", 8, &[10, 5], &Layout::Chunked(vec![4, 3]));
        assert_eq!(chunked, Some(6 * 12 * 8 + index + objects));
    }

    #[test]
    fn sizes_beyond_64_bits_are_refused() {
        assert_eq!(dataset_bytes("x", 8, &[1 << 61], &Layout::Contiguous), None);
        assert_eq!(dataset_bytes("x", 1, &[1 << 40, 1 << 40], &Layout::Contiguous), None);
        assert_eq!(dataset_bytes("x", 8, &[1], &Layout::Chunked(vec![1 << 62])), None);
    }
}
