//! Datasets, and transfers of which each rank does its own hyperslab.
//!
//! Each rank reads by itself, from its own opened file; what one of them meets all agree on afterwards. Chunks are
//! found by the library and unpacked here ([`Chunks`]). Where data go that are written is told by [`Sink`].

use super::chunks::{self, Chunks};
use super::element::{Element, ElementType, Number};
use super::error::reason;
use super::ffi::{self, Buffer};
use super::file::H5File;
use super::sink::Sink;
use super::slab::Slab;
use super::{filters, outside, whole};
use crate::budget;
use crate::error::{Error, Result};
use dolmen_core::{memory, profile};
use hdf5::types::{CompoundField, CompoundType, TypeDescriptor};
use std::cell::RefCell;
use std::mem;

/// Largest number of bytes that one rank reads in one call.
const TRANSFER_BYTES: u64 = 1 << 30;

/// Bytes that are read in any case: data that were never written have fill values.
const FILL_BYTES: u64 = 64 << 20;

/// Largest ratio of data to stored bytes: deflate's best, 1032, and wider numbers.
const MOST_EXPANSION: u64 = 16_384;

/// Who calls to transfer data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// All ranks together, which then agree on the outcome.
    Collective,
    /// Each rank on its own.
    Independent,
}

/// A transfer whose arguments are checked.
struct Prepared {
    memory_type: hdf5::Datatype,
    slab: Slab,
    /// If it reads 64-bit integers as floats: whether they have signs.
    whole: Option<bool>,
}

impl Prepared {
    /// Returns the size of the slab in memory, in numbers of 64 bits.
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
    data: Data,
    shape: Vec<u64>,
    element: ElementType,
    transfer: Transfer,
}

/// Access to the data.
#[derive(Debug)]
enum Data {
    ToRead(Source),
    ToWrite(Sink),
}

/// The source of data that are read.
#[derive(Debug)]
struct Source {
    dataset: hdf5::Dataset,
    /// Reader of its chunks, if it has any and the library does not read them.
    chunks: Option<Box<RefCell<Chunks>>>,
    /// True if its data lie in other files, which may be read.
    is_outside: bool,
}

impl Source {
    /// Returns true if the file has all of the data, in one piece.
    fn is_stored(&self) -> bool {
        !self.is_outside && self.chunks.is_none() && !self.dataset.is_chunked() && self.dataset.storage_size() > 0
    }
}

impl H5File {
    /// Opens a dataset.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such dataset, or its type cannot be understood.
    pub fn dataset(&self, name: &str) -> Result<Dataset<'_>> {
        self.require_complete()?;
        let dataset = self.open_object(name).and_then(|place| place.as_dataset()).map_err(|error| {
            let what = if self.has_link(name) { reason(&error) } else { "does not exist".into() };
            self.dataset_error(name, what)
        });
        let dataset = dataset.and_then(|dataset| Dataset::new(self, name, dataset));
        self.comm().agree(dataset)
    }
}

impl<'file> Dataset<'file> {
    pub(super) fn new(file: &'file H5File, name: &str, dataset: hdf5::Dataset) -> Result<Self> {
        let wrong = |error: hdf5::Error| file.dataset_error(name, reason(&error));
        let others = outside::files(&dataset).map_err(wrong)?;
        if !others.is_empty() && !file.allows_external() {
            return Err(file.dataset_error(name, outside::refusal(&others)));
        }
        let examined = || -> hdf5::Result<ElementType> {
            if !dataset.space()?.is_null() {
                ffi::describe(&dataset.dtype()?)
            } else {
                Err("is empty: it has a type and no elements".into())
            }
        };
        let element = examined().map_err(wrong)?;
        let shape = dataset.shape().into_iter().map(|length| length as u64).collect();
        let chunks =
            Chunks::of(&dataset, file.kept_chunks()).map_err(wrong)?.map(|chunks| Box::new(RefCell::new(chunks)));
        let (transfer, data) = (Transfer::Collective, Source { dataset, chunks, is_outside: !others.is_empty() });
        Ok(Self { file, name: name.to_owned(), data: Data::ToRead(data), shape, element, transfer })
    }

    pub(super) fn being_written(file: &'file H5File, name: &str, shape: &[u64], sink: Sink) -> Result<Self> {
        let element = ffi::describe(sink.element()).map_err(|error| file.dataset_error(name, reason(&error)))?;
        let (name, shape, transfer) = (name.to_owned(), shape.to_vec(), Transfer::Collective);
        Ok(Self { file, name, data: Data::ToWrite(sink), shape, element, transfer })
    }

    /// Returns its path inside the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> &'file H5File {
        self.file
    }

    /// Returns the number of elements in each dimension; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Bytes of all its elements; 2^64 - 1 if they are more than that.
    pub(super) fn bytes(&self) -> Result<u64> {
        let element = self.to_read()?.dataset.dtype().map_or(0, |element| element.size()) as u64;
        let bytes = self.shape.iter().fold(element, |bytes: u64, length| bytes.saturating_mul(*length));
        Ok(if self.shape.contains(&0) { 0 } else { bytes })
    }

    /// Returns the type of its elements in the file.
    #[must_use]
    pub fn element_type(&self) -> &ElementType {
        &self.element
    }

    /// Returns the shape, if it has `N` dimensions.
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
        self.read_allocated(prepared, &self.element)
    }

    /// Works like [`Dataset::read_slab`], into a slice of the slab's size.
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read_slab`]; also if the slice has not the size of the slab.
    pub fn read_slab_into<T: Element>(&self, start: &[u64], count: &[u64], values: &mut [T]) -> Result<()> {
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
        self.read_allocated(prepared, self.member(member).unwrap_or(&self.element))
    }

    /// Writes this rank's hyperslab, given in row-major order. Slabs of different ranks
    /// must not overlap.
    ///
    /// # Collective
    ///
    /// Unless transfers are independent.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read_slab_into`]; also if the disk is full or the file is only read, or if several ranks would
    /// write chunks independently.
    pub fn write_slab<T: Element>(&self, start: &[u64], count: &[u64], values: &[T]) -> Result<()> {
        let prepared = self.prepare::<T>(None, start, count, false);
        let prepared = prepared.and_then(|prepared| self.require_length(prepared, values.len()));
        let Prepared { memory_type, slab, .. } = self.agree(prepared)?;
        self.write_bytes(&memory_type, &slab, bytemuck::cast_slice(values))
    }

    fn read_allocated<T: Element>(&self, prepared: Result<Prepared>, element: &ElementType) -> Result<Vec<T>> {
        // The same on all ranks, as are the agreements on either way.
        if let Data::ToRead(source) = &self.data
            && source.is_stored()
            && element.whole_as(&T::number()).is_none()
        {
            return self.read_new(source, prepared);
        }
        let mut values = Vec::new();
        let prepared = prepared.and_then(|prepared| {
            values = self.zeros(usize::try_from(prepared.slab.elements()).unwrap_or(usize::MAX))?;
            Ok(prepared)
        });
        self.read_prepared(prepared, &mut values)?;
        Ok(values)
    }

    /// Reads a slab into new memory.
    fn read_new<T: Element>(&self, source: &Source, prepared: Result<Prepared>) -> Result<Vec<T>> {
        let Prepared { memory_type, slab, .. } = self.agree(prepared)?;
        let bytes = slab.elements().saturating_mul(memory_type.size() as u64);
        let _event = profile::event("H5Read").bytes(bytes);
        let parts = slab.split((TRANSFER_BYTES / memory_type.size() as u64).max(1));
        let read = ffi::read_new(&source.dataset, &memory_type, &parts);
        let read = read.map_err(|error| self.not_read(&source.dataset, &error));
        let room = || self.error(format!("{} elements do not fit into the memory", slab.elements()));
        self.agree(read.and_then(|values| values.ok_or_else(room)))
    }

    fn zeros<T: bytemuck::Pod>(&self, count: usize) -> Result<Vec<T>> {
        memory::try_zeros(count).ok_or_else(|| self.error(format!("{count} elements do not fit into the memory")))
    }

    fn read_prepared<T: Element>(&self, prepared: Result<Prepared>, values: &mut [T]) -> Result<()> {
        let mut numbers = Vec::new();
        let prepared = prepared.and_then(|prepared| {
            if prepared.whole.is_some() {
                numbers = self.zeros::<u64>(prepared.numbers())?;
            }
            Ok(prepared)
        });
        let prepared = self.agree(prepared)?;
        let Some(signed) = prepared.whole else {
            return self.read_bytes(&prepared.memory_type, &prepared.slab, bytemuck::cast_slice_mut(values));
        };
        self.read_bytes(&prepared.memory_type, &prepared.slab, bytemuck::cast_slice_mut(&mut numbers))?;
        let floats = whole::to_floats(&numbers, signed, values);
        self.agree(floats.map_err(|what| self.error(what)))
    }

    /// Reads a slab, of what is no chunk in parts of at most 1 GiB.
    pub(super) fn read_bytes(&self, memory_type: &hdf5::Datatype, slab: &Slab, bytes: &mut [u8]) -> Result<()> {
        let _event = profile::event("H5Read").bytes(bytes.len() as u64);
        let read = || -> Result<()> {
            let (source, size) = (self.to_read()?, memory_type.size());
            if let Some(chunks) = &source.chunks {
                let read = chunks.borrow_mut().read(&source.dataset, memory_type, slab, bytes);
                return read.map_err(|what| self.error(what));
            }
            let mut rest = bytes;
            for part in slab.split((TRANSFER_BYTES / size as u64).max(1)) {
                let elements = usize::try_from(part.elements()).expect("invariant: the part is in memory");
                let (piece, after) = mem::take(&mut rest).split_at_mut(elements * size);
                rest = after;
                let read = ffi::transfer(&source.dataset, memory_type, &part, Buffer::Read(piece));
                read.map_err(|error| self.not_read(&source.dataset, &error))?;
            }
            Ok(())
        };
        self.agree(read())
    }

    /// Writes a slab.
    pub(super) fn write_bytes(&self, memory_type: &hdf5::Datatype, slab: &Slab, bytes: &[u8]) -> Result<()> {
        let _event = profile::event("H5Write").bytes(bytes.len() as u64);
        let (Data::ToWrite(sink), Some(staged)) = (&self.data, self.file.staged()) else {
            return Err(self.error("the file is open for reading only"));
        };
        let alone = self.transfer == Transfer::Independent && self.file.comm().size() > 1;
        let written = match (sink.is_chunked(), alone) {
            (false, _) => sink.write(staged, &self.shape, slab, memory_type, bytes),
            (true, false) => sink.write_gathered(self.file.comm(), slab, memory_type, bytes),
            (true, true) => return Err(self.error("chunks of several ranks are written collectively only")),
        };
        if written.is_err() {
            self.file.set_damaged();
        }
        self.agree(written.map_err(|error| self.error(format!("cannot be written: {}", reason(&error)))))
    }

    /// Returns the type of its elements in the file.
    pub(super) fn stored_type(&self) -> hdf5::Result<hdf5::Datatype> {
        match &self.data {
            Data::ToRead(source) => source.dataset.dtype(),
            Data::ToWrite(sink) => Ok(sink.element().clone()),
        }
    }

    /// Reads a slab of strings of variable length: the elements, or of tables the one member of `row`.
    pub(super) fn texts(&self, row: Option<&TypeDescriptor>, slab: &Slab) -> Result<Vec<String>> {
        let Source { dataset, .. } = self.to_read()?;
        self.require_stored(slab.elements(), size_of::<String>())?;
        let stored = || self.stored_type().map_err(|error| self.error(reason(&error)));
        let memory_type = row.map_or_else(stored, |row| self.memory_type(row))?;
        ffi::read_texts(dataset, &memory_type, slab).map_err(|error| self.not_read(dataset, &error))
    }

    fn to_read(&self) -> Result<&Source> {
        match &self.data {
            Data::ToRead(source) => Ok(source),
            Data::ToWrite(_) => Err(self.error("is being written; close the file, and open it to read")),
        }
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
            self.require_stored(slab.elements(), size_of::<T>())?;
        }
        Ok(Prepared { memory_type: self.memory_type(&memory_type)?, slab, whole })
    }

    /// Refuses to take more memory than the file can have the data for, here or for a chunk, or than there is:
    /// for this number of elements of `width` bytes in memory.
    pub(super) fn require_stored(&self, elements: u64, width: usize) -> Result<()> {
        let Source { dataset, is_outside, .. } = self.to_read()?;
        let chunk = dataset.chunk().unwrap_or_default().into_iter().map(|length| length as u64);
        let element = dataset.dtype().map_or(1, |element| element.size()) as u64;
        let chunk = chunk.fold(element, u64::saturating_mul);
        let (stored, memory) = (elements.saturating_mul(element), elements.saturating_mul(width as u64));
        let bytes = if elements == 0 { 0 } else { memory.max(stored).max(chunk) };
        if bytes <= FILL_BYTES {
            return Ok(());
        }
        let has = dataset.storage_size();
        let has = if *is_outside { has } else { has.min(self.file.length()?) };
        let packed = dataset.is_chunked();
        if if packed { bytes / MOST_EXPANSION > has } else { stored > has && !is_outside } {
            return Err(
                self.error(format!("would take {bytes} bytes of memory, of which the file has only {has} stored"))
            );
        }
        if packed || *is_outside { budget::require(bytes).map_err(|what| self.error(what)) } else { Ok(()) }
    }

    pub(super) fn memory_type(&self, descriptor: &TypeDescriptor) -> Result<hdf5::Datatype> {
        // h5py's booleans convert to nothing but their own kind.
        let descriptor = match (&self.element, descriptor, self.element.complex_parts()) {
            (ElementType::Boolean, ..) => TypeDescriptor::Boolean,
            // The library finds the parts of complex numbers by their names.
            (_, TypeDescriptor::Compound(parts), Some(names)) => {
                let fields = parts.fields.iter().zip(names);
                let fields = fields.map(|(field, name)| CompoundField { name: name.to_owned(), ..field.clone() });
                TypeDescriptor::Compound(CompoundType { fields: fields.collect(), size: parts.size })
            }
            _ => descriptor.clone(),
        };
        hdf5::Datatype::from_descriptor(&descriptor).map_err(|error| self.error(reason(&error)))
    }

    /// Returns the type of a member of a table.
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

    /// Returns the offset of the data in the file, if they lie there in one piece.
    pub(crate) fn offset(&self) -> Option<u64> {
        match &self.data {
            Data::ToRead(source) => source.dataset.offset(),
            Data::ToWrite(sink) => sink.offset(),
        }
    }

    fn require_length(&self, prepared: Prepared, length: usize) -> Result<Prepared> {
        let elements = prepared.slab.elements();
        if elements == length as u64 {
            return Ok(prepared);
        }
        Err(self.error(format!("a slab of {elements} elements asked for, {length} given in memory")))
    }

    /// Returns the error of a failed transfer, in the library's words; of a missing filter the library only names
    /// folders.
    fn not_read(&self, dataset: &hdf5::Dataset, error: &hdf5::Error) -> Error {
        let says = |error: &hdf5::Error| {
            error.stack().is_some_and(|stack| stack.iter().any(|frame| frame.desc().contains("is not registered")))
        };
        let filters = if says(error) { ffi::filters(dataset).unwrap_or_default() } else { Vec::new() };
        let missing = chunks::missing(&filters);
        if missing.is_empty() {
            return self.error(format!("transfer failed: {}", reason(error)));
        }
        self.error(filters::refusal(&missing))
    }

    /// Agrees over the ranks, where they work together.
    pub(super) fn agree<T>(&self, result: Result<T>) -> Result<T> {
        match self.transfer {
            Transfer::Collective => Ok(self.file.comm().agree(result)?),
            Transfer::Independent => result,
        }
    }

    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        self.file.dataset_error(&self.name, what)
    }
}
