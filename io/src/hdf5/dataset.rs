//! Datasets, and transfers of which each rank does its own hyperslab.
//!
//! Chunked datasets are never read collectively. Each rank reads the chunk index and
//! undoes the filters by itself before HDF5 1.10 comes to its collective call, so a
//! damaged chunk, a chunk that was never written, or a filter that is not installed
//! fails on the rank that needs it and leaves the others waiting in that call for
//! ever (seen). Contiguous data have nothing that can fail before it, and chunks
//! that are written here were allocated when the dataset was created.

use super::element::{Element, ElementType, Number};
use super::ffi::{self, Buffer};
use super::file::{H5File, reason};
use super::filters;
use super::slab::Slab;
use super::whole;
use crate::error::{Error, Result};
use dolmen_core::{memory, profile};
use hdf5::types::{CompoundField, CompoundType, TypeDescriptor};
use std::fs;
use std::mem;

/// What one rank moves in one call. Above 2 GiB MPI-IO and HDF5 1.10 fail.
const TRANSFER_BYTES: u64 = 1 << 30;

/// What one rank writes of contiguous data in one call; then the disk is set to work on it.
const WRITE_BYTES: u64 = 64 << 20;

/// What is read whatever the file has stored of it: data that were never written have fill values.
const FILL_BYTES: u64 = 64 << 20;

/// How many times as long as what is stored data may be: deflate's best, 1032, and wider numbers.
const MOST_EXPANSION: u64 = 16_384;

/// How ranks transfer data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Together, so that MPI-IO can merge their requests.
    Collective,
    /// Each on its own.
    Independent,
}

/// How a dataset is laid out in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In one piece: the fastest for slabs.
    Contiguous,
    /// In chunks of this shape.
    Chunked(Vec<u64>),
    /// In chunks, shuffled and deflated. Ranks that share the file write such data together.
    Compressed {
        /// The shape of a chunk.
        chunk: Vec<u64>,
        /// Level of compression, 0 to 9.
        level: u8,
    },
}

impl Layout {
    pub(super) fn chunk(&self) -> Option<&[u64]> {
        match self {
            Self::Contiguous => None,
            Self::Chunked(chunk) | Self::Compressed { chunk, .. } => Some(chunk),
        }
    }
}

/// A transfer whose arguments are checked.
struct Prepared {
    memory_type: hdf5::Datatype,
    slab: Slab,
    /// If it reads 64-bit integers as floats: whether they have signs.
    whole: Option<bool>,
}

impl Prepared {
    /// How many numbers of 64 bits the slab takes in memory.
    fn numbers(&self) -> usize {
        let bytes = self.slab.elements().saturating_mul(self.memory_type.size() as u64);
        usize::try_from(bytes).unwrap_or(usize::MAX) / size_of::<u64>()
    }
}

/// A dataset of an open file.
#[derive(Debug)]
pub struct Dataset<'file> {
    file: &'file H5File,
    name: String,
    dataset: hdf5::Dataset,
    shape: Vec<u64>,
    element: ElementType,
    transfer: Transfer,
}

impl<'file> Dataset<'file> {
    pub(super) fn new(file: &'file H5File, name: &str, dataset: hdf5::Dataset) -> Result<Self> {
        let examined = || -> hdf5::Result<ElementType> {
            if !dataset.space()?.is_null() {
                ffi::describe(&dataset.dtype()?)
            } else {
                Err("has no dataspace of numbers of elements".into())
            }
        };
        let element = examined().map_err(|error| file.dataset_error(name, reason(&error)))?;
        let shape = dataset.shape().into_iter().map(|length| length as u64).collect();
        let transfer = Transfer::Collective;
        Ok(Self { file, name: name.to_owned(), dataset, shape, element, transfer })
    }

    /// Its path inside the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> &'file H5File {
        self.file
    }

    /// The number of elements in each dimension; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The type of its elements in the file.
    #[must_use]
    pub fn element_type(&self) -> &ElementType {
        &self.element
    }

    /// The shape, if it has `N` dimensions.
    ///
    /// # Errors
    ///
    /// It has another number of dimensions: the same on all ranks.
    pub fn dimensions<const N: usize>(&self) -> Result<[u64; N]> {
        self.shape.as_slice().try_into().map_err(|_| {
            let what = format!("expected {N} dimensions, found {}", self.shape.len());
            self.error(what)
        })
    }

    /// Sets how data are transferred; [`Transfer::Collective`] if it is not called.
    ///
    /// With [`Transfer::Independent`], reading and writing slabs is not collective: a
    /// rank calls when it likes, and errors are its own.
    #[must_use]
    pub fn with_transfer(mut self, transfer: Transfer) -> Self {
        self.transfer = transfer;
        self
    }

    /// Reads this rank's hyperslab: `count[d]` elements from `start[d]` on in each
    /// dimension d, in row-major order. A rank that needs nothing gives a zero count.
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// The slab is not inside the dataset, the elements cannot be read as `T` without
    /// changing integers, the memory does not suffice, or the file cannot be read. 64-bit integers beyond 2^53
    /// are not read as floats.
    pub fn read_slab<T: Element>(&self, start: &[u64], count: &[u64]) -> Result<Vec<T>> {
        let prepared = self.prepare::<T>(None, start, count, true);
        self.read_allocated(prepared)
    }

    /// As [`Dataset::read_slab`], into a slice of the slab's size. Returns how the data
    /// were really transferred: chunked data, and data whose type is converted, are
    /// read independently, though all ranks take part in the call.
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read_slab`]; also if the slice has not the size of the slab.
    pub fn read_slab_into<T: Element>(&self, start: &[u64], count: &[u64], values: &mut [T]) -> Result<Transfer> {
        let prepared = self.prepare::<T>(None, start, count, true);
        let prepared = prepared.and_then(|prepared| self.require_length(prepared, values.len()));
        self.read_prepared(prepared, values)
    }

    /// Reads this rank's slab of one member of a table (a dataset of compound type).
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read_slab`]; also if there is no such member.
    pub fn read_member_slab<T: Element>(&self, member: &str, start: &[u64], count: &[u64]) -> Result<Vec<T>> {
        let prepared = self.prepare::<T>(Some(member), start, count, true);
        self.read_allocated(prepared)
    }

    /// Writes this rank's hyperslab, given in row-major order. Slabs of different ranks
    /// must not overlap. Returns how the data were really transferred.
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read_slab_into`]; also if the disk is full or the file is only read.
    pub fn write_slab<T: Element>(&self, start: &[u64], count: &[u64], values: &[T]) -> Result<Transfer> {
        let prepared = self.prepare::<T>(None, start, count, false);
        let prepared = prepared.and_then(|prepared| self.require_length(prepared, values.len()));
        let prepared = prepared.and_then(|prepared| self.require_together(prepared));
        let Prepared { memory_type, slab, .. } = self.agree(prepared)?;
        let mut rest: &[u8] = bytemuck::cast_slice(values);
        let _event = profile::event("H5Write").bytes(rest.len() as u64);
        self.transfer_in_parts(&memory_type, &slab, true, |bytes| {
            let (part, after) = rest.split_at(bytes);
            rest = after;
            Buffer::Write(part)
        })
    }

    fn read_allocated<T: Element>(&self, prepared: Result<Prepared>) -> Result<Vec<T>> {
        let mut values = Vec::new();
        let prepared = prepared.and_then(|prepared| {
            values = self.zeros(usize::try_from(prepared.slab.elements()).unwrap_or(usize::MAX))?;
            Ok(prepared)
        });
        self.read_prepared(prepared, &mut values)?;
        Ok(values)
    }

    fn zeros<T: bytemuck::Pod>(&self, count: usize) -> Result<Vec<T>> {
        memory::try_zeros(count).ok_or_else(|| self.error(format!("{count} elements do not fit into the memory")))
    }

    fn read_prepared<T: Element>(&self, prepared: Result<Prepared>, values: &mut [T]) -> Result<Transfer> {
        let mut numbers = Vec::new();
        let prepared = prepared.and_then(|prepared| {
            if prepared.whole.is_some() {
                numbers = self.zeros::<u64>(prepared.numbers())?;
            }
            Ok(prepared)
        });
        let prepared = self.agree(prepared)?;
        let Some(signed) = prepared.whole else { return self.read_bytes(&prepared, bytemuck::cast_slice_mut(values)) };
        let transfer = self.read_bytes(&prepared, bytemuck::cast_slice_mut(&mut numbers))?;
        let floats = whole::to_floats(&numbers, signed, values);
        self.agree(floats.map_err(|what| self.error(what)))?;
        Ok(transfer)
    }

    fn read_bytes(&self, Prepared { memory_type, slab, .. }: &Prepared, bytes: &mut [u8]) -> Result<Transfer> {
        let mut rest = bytes;
        let _event = profile::event("H5Read").bytes(rest.len() as u64);
        self.transfer_in_parts(memory_type, slab, !self.dataset.is_chunked(), |bytes| {
            let (part, after) = mem::take(&mut rest).split_at_mut(bytes);
            rest = after;
            Buffer::Read(part)
        })
    }

    /// Checks the arguments of a transfer and makes its memory type.
    fn prepare<T: Element>(
        &self,
        member: Option<&str>,
        start: &[u64],
        count: &[u64],
        reading: bool,
    ) -> Result<Prepared> {
        let slab = Slab::new(&self.shape, start, count).map_err(|what| self.error(what))?;
        let element = member.map_or(Ok(&self.element), |member| self.member(member))?;
        self.require_conversion(element, &T::number(), reading)?;
        let whole = if reading { element.whole_as(&T::number()) } else { None };
        let ty = whole.map_or_else(T::descriptor, |signed| whole::descriptor(T::descriptor(), signed));
        let memory_type = match member {
            None => ty,
            Some(member) => {
                let size = ty.size();
                let fields = vec![CompoundField { name: member.to_owned(), ty, offset: 0, index: 0 }];
                TypeDescriptor::Compound(CompoundType { fields, size })
            }
        };
        if reading {
            self.require_stored(slab.elements().saturating_mul(size_of::<T>() as u64))?;
        }
        Ok(Prepared { memory_type: self.memory_type(&memory_type)?, slab, whole })
    }

    /// Refuses to take more memory than the file can have the data for: here, or in the library for a chunk.
    pub(super) fn require_stored(&self, bytes: u64) -> Result<()> {
        let chunk = self.dataset.chunk().unwrap_or_default().into_iter().map(|length| length as u64);
        let element = self.dataset.dtype().map_or(1, |element| element.size()) as u64;
        let chunk = chunk.fold(element, u64::saturating_mul);
        let bytes = if bytes == 0 { 0 } else { bytes.max(chunk) };
        if bytes <= FILL_BYTES {
            return Ok(());
        }
        let length =
            fs::metadata(self.file.path()).map_err(|error| Error::io(self.file.path(), "examine", error))?.len();
        let stored = self.dataset.storage_size().min(length);
        if bytes / MOST_EXPANSION <= stored {
            return Ok(());
        }
        Err(self.error(format!("would take {bytes} bytes of memory, of which the file has only {stored} stored")))
    }

    pub(super) fn memory_type(&self, descriptor: &TypeDescriptor) -> Result<hdf5::Datatype> {
        // h5py's booleans convert to nothing but their own kind.
        let boolean = self.element == ElementType::Boolean;
        let descriptor = if boolean { &TypeDescriptor::Boolean } else { descriptor };
        hdf5::Datatype::from_descriptor(descriptor).map_err(|error| self.error(reason(&error)))
    }

    /// The type of a member of a table.
    fn member(&self, name: &str) -> Result<&ElementType> {
        let ElementType::Compound { members, .. } = &self.element else {
            return Err(self.error(format!("holds {}, not a table with a column {name}", self.element)));
        };
        let found = members.iter().find(|member| member.name == name);
        found.map(|member| &member.element).ok_or_else(|| {
            let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
            self.error(format!("no column {name}; there are: {}", names.join(", ")))
        })
    }

    fn require_conversion(&self, element: &ElementType, number: &Number, reading: bool) -> Result<()> {
        if element.converts(number, reading) {
            return Ok(());
        }
        let (verb, preposition) = if reading { ("read", "as") } else { ("written", "from") };
        Err(self.error(format!("holds {element}, which cannot be {verb} {preposition} {number} without loss")))
    }

    /// HDF5 1.10 filters what ranks write only if they write it together.
    fn require_together<P>(&self, prepared: P) -> Result<P> {
        let alone = self.transfer == Transfer::Independent && self.file.is_shared();
        if alone && !ffi::filters(&self.dataset).is_ok_and(|filters| filters.is_empty()) {
            return Err(self.error("compressed data of several ranks are written collectively only"));
        }
        Ok(prepared)
    }

    /// Where the data are in the file, if they lie there in one piece.
    pub(crate) fn offset(&self) -> Option<u64> {
        self.dataset.offset()
    }

    fn require_length(&self, prepared: Prepared, length: usize) -> Result<Prepared> {
        let elements = prepared.slab.elements();
        if elements == length as u64 {
            return Ok(prepared);
        }
        Err(self.error(format!("a slab of {elements} elements asked for, {length} given in memory")))
    }

    /// Transfers a slab in parts of at most 1 GiB, as many on all ranks; what is written is set on its way
    /// to the disk in smaller ones, but for chunks, which parts must not cut. A rank whose
    /// part fails goes on, so that the others are not left waiting. With `merge`,
    /// HDF5 may transfer collectively; else each rank's call is its own.
    pub(super) fn transfer_in_parts<'buffer>(
        &self,
        memory_type: &hdf5::Datatype,
        slab: &Slab,
        merge: bool,
        mut next_buffer: impl FnMut(usize) -> Buffer<'buffer>,
    ) -> Result<Transfer> {
        let collective = self.transfer == Transfer::Collective;
        let element_bytes = memory_type.size();
        let most = if self.file.is_new() && !self.dataset.is_chunked() { WRITE_BYTES } else { TRANSFER_BYTES };
        let parts = slab.split((most / element_bytes as u64).max(1));
        let mut calls = [parts.len() as u64];
        if collective {
            self.file.comm().all_reduce_max(&mut calls);
        }
        let nothing = Slab::empty(self.shape.len());
        let together = collective && merge && self.file.is_shared();
        let mut outcome = Ok(together);
        for call in 0..calls[0] {
            let part = usize::try_from(call).ok().and_then(|call| parts.get(call)).unwrap_or(&nothing);
            let bytes = usize::try_from(part.elements()).expect("invariant: the part is in memory") * element_bytes;
            let moved = ffi::transfer(&self.dataset, memory_type, part, together, next_buffer(bytes));
            let moved = moved.map_err(|error| self.not_moved(&error));
            let moved = moved.and_then(|now| {
                let large = bytes as u64 >= WRITE_BYTES / 8;
                if large { self.file.start_writeback().map(|()| now) } else { Ok(now) }
            });
            outcome = match (outcome, moved) {
                // What a rank with nothing to do reports says nothing.
                (Ok(before), Ok(now)) => Ok(before && (now || bytes == 0)),
                (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            };
        }
        if outcome.is_err() && self.file.is_new() {
            self.file.set_damaged();
            // Closed, it would try to write again, and HDF5 1.10 frees it twice.
            mem::forget(self.dataset.clone());
        }
        let mut was_collective = [u64::from(self.agree(outcome)?)];
        if collective {
            self.file.comm().all_reduce_min(&mut was_collective);
        }
        Ok(if was_collective == [1] { Transfer::Collective } else { Transfer::Independent })
    }

    /// What the library says of a failed transfer; of a filter it says only where its plugin is not.
    fn not_moved(&self, error: &hdf5::Error) -> Error {
        let says = |error: &hdf5::Error| {
            error.stack().is_some_and(|stack| stack.iter().any(|frame| frame.desc().contains("is not registered")))
        };
        let filters = if says(error) { ffi::filters(&self.dataset).unwrap_or_default() } else { Vec::new() };
        let missing = filters::missing(&filters);
        if missing.is_empty() {
            return self.error(format!("transfer failed: {}", reason(error)));
        }
        self.error(filters::refusal(&missing))
    }

    /// Agrees over the ranks, where they work together.
    fn agree<T>(&self, result: Result<T>) -> Result<T> {
        match self.transfer {
            Transfer::Collective => Ok(self.file.comm().agree(result)?),
            Transfer::Independent => result,
        }
    }

    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        self.file.dataset_error(&self.name, what)
    }
}
