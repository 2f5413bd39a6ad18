//! Destination of the data of a dataset that is being written.
//!
//! Contiguous data lie in one piece, whose place the library tells when it makes the dataset. So each rank writes its
//! slab there by itself, as raw bytes in the type of the file, and a disk that is full or broken is an error of the
//! operating system on the rank that met it. Chunks have no places before they are packed: rank 0 gathers them and
//! gives them to the library.

use super::ffi::{self, Buffer};
use super::layout::Layout;
use super::slab::Slab;
use crate::staged::{StagedFile, start_writeback};
use dolmen_core::Comm;
use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, Datatype};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Contiguous data that one rank writes in one call; then the disk is set to work on them.
const WRITE_BYTES: usize = 64 << 20;

/// Less than this is left to the system to bring to disk.
const SEND_BYTES: usize = 8 << 20;

/// Largest number of bytes that rank 0 gathers at once, over all ranks.
const GATHER_BYTES: u64 = 64 << 20;

/// A dataset that is being written.
#[derive(Debug)]
pub(super) struct Sink {
    /// On rank 0.
    dataset: Option<Dataset>,
    /// The type of the elements in the file.
    element: Datatype,
    /// Offset in the file at which contiguous data start, if there are any.
    offset: Option<u64>,
    is_chunked: bool,
}

impl Sink {
    /// # Collective
    pub(super) fn new(
        comm: &Comm,
        dataset: Option<Dataset>,
        element: &TypeDescriptor,
        layout: &Layout,
    ) -> hdf5::Result<Self> {
        let is_chunked = layout.chunk().is_some();
        let offset = dataset.as_ref().filter(|_| !is_chunked).and_then(Dataset::offset);
        let mut offset: Vec<u64> = offset.into_iter().collect();
        comm.broadcast(0, &mut offset);
        let element = Datatype::from_descriptor(element)?;
        Ok(Self { dataset, element, offset: offset.first().copied(), is_chunked })
    }

    pub(super) fn element(&self) -> &Datatype {
        &self.element
    }

    pub(super) fn offset(&self) -> Option<u64> {
        self.offset
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.is_chunked
    }

    /// Writes a slab of contiguous data. Not collective.
    pub(super) fn write(
        &self,
        staged: &StagedFile,
        shape: &[u64],
        slab: &Slab,
        memory_type: &Datatype,
        bytes: &[u8],
    ) -> hdf5::Result<()> {
        let size = self.element.size() as u64;
        let is_raw = *memory_type == self.element;
        let mut rest = bytes;
        for (first, elements) in slab.runs(shape) {
            let start = self.offset.ok_or("the HDF5 library allocated no space for its data")?;
            let count = usize::try_from(elements).expect("invariant: the slab is in memory");
            let (run, after) = rest.split_at(count * memory_type.size());
            rest = after;
            let mut position = start + first * size;
            for piece in run.chunks((WRITE_BYTES / memory_type.size().max(1)).max(1) * memory_type.size()) {
                let converted = if is_raw { None } else { Some(ffi::convert(piece, memory_type, &self.element)?) };
                let piece = converted.as_deref().unwrap_or(piece);
                put(staged.file(), piece, position).map_err(|error| error.to_string())?;
                position += piece.len() as u64;
            }
        }
        Ok(())
    }

    /// Writes slabs of all ranks in chunks.
    ///
    /// # Collective
    pub(super) fn write_gathered(
        &self,
        comm: &Comm,
        slab: &Slab,
        memory_type: &Datatype,
        bytes: &[u8],
    ) -> hdf5::Result<()> {
        let parts = slab.split((GATHER_BYTES / comm.size() as u64 / memory_type.size() as u64).max(1));
        let mut calls = [parts.len() as u64];
        comm.all_reduce_max(&mut calls);
        let nothing = Slab::empty(slab.start.len());
        let (mut parts, mut rest, mut outcome) = (parts.iter(), bytes, Ok(()));
        for _ in 0..calls[0] {
            let part = parts.next().unwrap_or(&nothing);
            let elements = usize::try_from(part.elements()).expect("invariant: the slab is in memory");
            let (piece, after) = rest.split_at(elements * memory_type.size());
            rest = after;
            let places = comm.gather(0, &[part.start.as_slice(), &part.count].concat());
            let pieces = comm.gather(0, piece);
            for (place, piece) in places.into_iter().flatten().zip(pieces.into_iter().flatten()) {
                // One that fails is followed by the others, which ranks wait to be rid of.
                outcome = outcome.and(self.write_chunks(&place, memory_type, &piece));
            }
        }
        outcome
    }

    fn write_chunks(&self, place: &[u64], memory_type: &Datatype, bytes: &[u8]) -> hdf5::Result<()> {
        let (start, count) = place.split_at(place.len() / 2);
        let slab = Slab { start: start.to_vec(), count: count.to_vec() };
        let dataset = self.dataset.as_ref().expect("invariant: rank 0 has made it");
        let written = ffi::transfer(dataset, memory_type, &slab, Buffer::Write(bytes));
        // Closed, it would try to write again, and HDF5 1.10 frees it twice.
        written.inspect_err(|_| std::mem::forget(dataset.clone()))
    }
}

fn put(file: &File, bytes: &[u8], position: u64) -> std::io::Result<()> {
    file.write_all_at(bytes, position)?;
    if bytes.len() < SEND_BYTES { Ok(()) } else { start_writeback(file, position..position + bytes.len() as u64) }
}
