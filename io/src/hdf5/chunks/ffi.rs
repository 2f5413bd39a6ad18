#![allow(unsafe_code)]
//! The calls of the HDF5 library that find chunks, give their bytes as stored, and convert elements.

use hdf5::Dataset;
use hdf5::sync::sync;
use hdf5_sys::h5::haddr_t;
use hdf5_sys::h5d::{H5D_fill_value_t, H5Dget_chunk_info_by_coord, H5Dget_num_chunks, H5Dread_chunk};
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pfill_value_defined, H5Pget_chunk_opts, H5Pget_fill_value};
use hdf5_sys::h5t::{H5Tconvert, H5Tequal};

/// The address of what is nowhere.
const NOWHERE: haddr_t = haddr_t::MAX;

/// Edge chunks that are not filtered.
const EDGES_ALONE: u32 = 0x0002;

/// The storage of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredChunk {
    pub(super) bytes: u64,
    /// A bit for each filter that it did not go through.
    mask: u32,
}

impl StoredChunk {
    /// Returns whether it did not go through a filter, by its place in the list.
    pub(super) fn skips(self, filter: usize) -> bool {
        u32::try_from(filter).is_ok_and(|filter| self.mask.checked_shr(filter).unwrap_or(0) & 1 == 1)
    }
}

/// Returns the number of chunks that are stored.
pub(super) fn count(dataset: &Dataset) -> hdf5::Result<u64> {
    let mut count = 0;
    sync(|| {
        // Not all versions of the library know by H5S_ALL that all are meant.
        let space = dataset.space()?;
        // SAFETY: a valid chunked dataset and its dataspace; `count` outlives the call.
        hdf5::h5check(unsafe { H5Dget_num_chunks(dataset.id(), space.id(), &raw mut count) })?;
        Ok(count)
    })
}

/// Returns the storage of the chunk that starts at `offset`; `None` if it was never written.
pub(super) fn stored(dataset: &Dataset, offset: &[u64]) -> hdf5::Result<Option<StoredChunk>> {
    assert_eq!(dataset.ndim(), offset.len(), "invariant: an offset in each dimension");
    let (mut mask, mut address, mut bytes) = (0, NOWHERE, 0);
    sync(|| {
        // SAFETY: a valid chunked dataset; `offset` has a number for each dimension (asserted), and the results
        // outlive the call.
        hdf5::h5check(unsafe {
            let (mask, address, bytes) = (&raw mut mask, &raw mut address, &raw mut bytes);
            H5Dget_chunk_info_by_coord(dataset.id(), offset.as_ptr(), mask, address, bytes)
        })?;
        Ok((address != NOWHERE).then_some(StoredChunk { bytes, mask }))
    })
}

/// Reads the bytes of a stored chunk into `room`, which has its size.
pub(super) fn raw(dataset: &Dataset, offset: &[u64], mut room: Vec<u8>) -> hdf5::Result<Vec<u8>> {
    let mut mask = 0;
    sync(|| {
        if stored(dataset, offset)?.map(|chunk| chunk.bytes) != Some(room.len() as u64) {
            return Err("its size changes while it is read".into());
        }
        // SAFETY: a valid chunked dataset and the start of a chunk (asserted in `stored`), whose size as the library
        // has it now is that of the room (compared).
        hdf5::h5check(unsafe {
            H5Dread_chunk(dataset.id(), H5P_DEFAULT, offset.as_ptr(), &raw mut mask, room.as_mut_ptr().cast())
        })?;
        Ok(room)
    })
}

/// Returns whether edge chunks are stored without filters.
pub(super) fn leaves_edges_alone(dataset: &Dataset) -> hdf5::Result<bool> {
    let mut options = 0;
    sync(|| {
        let list = dataset.dcpl()?;
        // SAFETY: the creation list of a chunked dataset; `options` outlives the call.
        hdf5::h5check(unsafe { H5Pget_chunk_opts(list.id(), &raw mut options) })?;
        Ok(options & EDGES_ALONE != 0)
    })
}

/// Returns the value of elements that were never written, in the memory type; zero if none is defined.
pub(super) fn fill_value(dataset: &Dataset, memory: &hdf5::Datatype) -> hdf5::Result<Vec<u8>> {
    let mut value = vec![0_u8; memory.size()];
    sync(|| {
        let list = dataset.dcpl()?;
        let mut defined = H5D_fill_value_t::H5D_FILL_VALUE_UNDEFINED;
        // SAFETY: a valid creation list; `defined` outlives the call.
        hdf5::h5check(unsafe { H5Pfill_value_defined(list.id(), &raw mut defined) })?;
        if matches!(defined, H5D_fill_value_t::H5D_FILL_VALUE_USER_DEFINED) {
            // SAFETY: `value` has the size of the memory type.
            hdf5::h5check(unsafe { H5Pget_fill_value(list.id(), memory.id(), value.as_mut_ptr().cast()) })?;
        }
        Ok(value)
    })
}

/// Returns whether elements need no conversion.
pub(super) fn is_same(file: &hdf5::Datatype, memory: &hdf5::Datatype) -> bool {
    // SAFETY: two valid datatypes.
    sync(|| unsafe { H5Tequal(file.id(), memory.id()) } > 0)
}

/// Converts `count` elements in place; the array takes the size that they have then.
///
/// # Panics
/// If there are not as many elements.
pub(super) fn convert(
    file: &hdf5::Datatype,
    memory: &hdf5::Datatype,
    count: usize,
    elements: &mut Vec<u8>,
) -> hdf5::Result<()> {
    assert_eq!(elements.len(), count * file.size(), "invariant: as many elements");
    let widest = file.size().max(memory.size());
    let bytes = count.checked_mul(widest).ok_or("too many elements")?;
    elements.try_reserve(bytes - elements.len()).map_err(|_| "elements do not fit into the memory")?;
    elements.resize(bytes, 0);
    // Compounds are put together in it.
    let mut background = dolmen_core::memory::try_zeros::<u8>(bytes).ok_or("elements do not fit into the memory")?;
    sync(|| {
        let (from, to) = (elements.as_mut_ptr().cast(), background.as_mut_ptr().cast());
        // SAFETY: two valid datatypes; both arrays have room for all elements of the wider one.
        hdf5::h5check(unsafe { H5Tconvert(file.id(), memory.id(), count, from, to, H5P_DEFAULT) })
    })?;
    elements.truncate(count * memory.size());
    Ok(())
}
