//! HDF5 files that all ranks of a communicator hold open together.
//!
//! Every method is collective and agreed, also those that only look: they are few,
//! a reduction of two words is cheap beside the file system, and a disk error on
//! one rank must not leave the others waiting in the next transfer.
//!
//! The library never shares a file over MPI-IO, in which a rank that cannot read or write leaves the
//! others waiting: Open MPI 4.1 reports a full disk in a collective write as success, or hangs. To
//! read, each rank opens the file for itself. A new file is open on rank 0 alone, which writes all
//! that is small; data are written as [`Sink`] says. So each failure is one of a call of the operating
//! system on one rank, on which all ranks then agree. A new file is only written: close it, and open
//! it to read.
//!
//! HDF5 1.10 crashes when it closes a file that it could not write. So dropping a new file does not
//! close it: it stays open until the process ends. Call [`H5File::close`].
//!
//! Disk space for all that a new file is to hold is reserved before it is written.
//!
//! Each new file says by an attribute of its root, `dolmen_schema`, by which version of these
//! modules it was written. A file of a later one is refused.

use super::attribute::Attribute;
use super::dataset::{Dataset, Layout};
use super::element::Element;
use super::name::Utf8Name;
use super::options::{CreateOptions, InForce, OpenOptions};
use super::sink::Sink;
use super::{guard, outside, space};
use crate::error::{Error, Result};
use crate::regular_file::open_on_all_ranks;
use crate::staged::StagedFile;
use dolmen_core::Comm;
use hdf5::dataset::{AllocTime, FillTime};
use std::cell::{Cell, RefCell};
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};

/// The version of how objects are stored in files.
const SCHEMA: i64 = 1;
const SCHEMA_NAME: &str = "dolmen_schema";

/// An HDF5 file, open for reading or being created.
#[derive(Debug)]
pub struct H5File {
    comm: Comm,
    path: PathBuf,
    /// None while the file is being closed, and of a new file on other ranks than 0.
    file: Option<hdf5::File>,
    staged: Option<StagedFile>,
    /// The disk space that a new file was reserved.
    reserved: Cell<u64>,
    /// The objects for which space is reserved.
    objects: RefCell<space::Objects>,
    /// Of a new file.
    options: CreateOptions,
    /// Of a file that is read.
    reading: OpenOptions,
    /// True if writing failed on this rank; then the file is never published.
    damaged: Cell<bool>,
}

impl H5File {
    /// Opens a file for reading.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such file, it is not HDF5, it is truncated, or a later version of this library
    /// has written it.
    pub fn open(comm: &Comm, path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(comm, path, &OpenOptions::default())
    }

    /// Works like [`H5File::open`], with options.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`H5File::open`].
    pub fn open_with(comm: &Comm, path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        open_on_all_ranks(comm, path)?;
        comm.agree(if comm.rank() == 0 { examine(path, options) } else { Ok(()) })?;
        Self::open_examined(comm, path, options)
    }

    /// Opens a file that a rank has examined.
    ///
    /// # Collective
    pub(crate) fn open_examined(comm: &Comm, path: &Path, options: &OpenOptions) -> Result<Self> {
        let opened = Utf8Name::to_read(path)
            .and_then(|name| options.builder().open(name.path()).map_err(|error| unreadable(path, &error)));
        let mut file = comm.agree(opened.map(|file| Self::new(comm, path, Some(file), None)))?;
        file.reading = options.clone();
        match file.attribute("/", SCHEMA_NAME)? {
            Some(Attribute::Integer(found)) if found > SCHEMA => {
                let what = format!("is of schema {found}; this version of the library reads up to {SCHEMA}");
                Err(Error::File { path: path.to_owned(), what })
            }
            _ => Ok(file),
        }
    }

    /// Creates a file, which appears under its name when it is closed. A file of that
    /// name that is there already stays until then.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The folder does not exist or cannot be written.
    pub fn create(comm: &Comm, path: impl AsRef<Path>) -> Result<Self> {
        Self::create_with(comm, path, &CreateOptions::default())
    }

    /// Works like [`H5File::create`], with options.
    ///
    /// # Collective
    ///
    /// With the same options on all ranks.
    ///
    /// # Errors
    ///
    /// As [`H5File::create`].
    pub fn create_with(comm: &Comm, path: impl AsRef<Path>, options: &CreateOptions) -> Result<Self> {
        let path = path.as_ref();
        let staged = StagedFile::create(comm, path)?;
        let temporary = staged.temporary();
        let create = || {
            let name = Utf8Name::to_write(temporary)?;
            options.builder().create(name.path()).map_err(|error| unwritable(temporary, &error))
        };
        let created = (comm.rank() == 0).then(create).transpose();
        let mut file = comm.agree(created.map(|file| Self::new(comm, path, file, Some(staged))))?;
        file.options = options.clone();
        file.reserve(space::FILE_BYTES)?;
        file.write_attribute("/", SCHEMA_NAME, SCHEMA)?;
        Ok(file)
    }

    /// Made before the ranks agree, so that a file that another rank failed to open is
    /// dropped as files of this type are: without communicating.
    fn new(comm: &Comm, path: &Path, file: Option<hdf5::File>, staged: Option<StagedFile>) -> Self {
        let (reserved, damaged) = (Cell::new(0), Cell::new(false));
        let (options, reading) = (CreateOptions::default(), OpenOptions::default());
        let (comm, path, objects) = (comm.clone(), path.to_owned(), RefCell::default());
        Self { comm, path, file, staged, reserved, objects, options, reading, damaged }
    }

    /// Reserves disk space for `bytes` more bytes, if the file is new.
    pub(super) fn reserve(&self, bytes: u64) -> Result<()> {
        let Some(staged) = &self.staged else { return Ok(()) };
        let total = self.reserved.get().saturating_add(bytes);
        staged.reserve(&self.comm, total)?;
        self.reserved.set(total);
        Ok(())
    }

    /// Returns the file on disk, if it is new.
    pub(super) fn staged(&self) -> Option<&StagedFile> {
        self.staged.as_ref()
    }

    /// Notes that data could not be written.
    pub(super) fn set_damaged(&self) {
        self.damaged.set(true);
    }

    /// Closes the file. One that was created is synced to disk and given its name.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The data could not be brought to disk, or an earlier write had failed;
    /// then there is no new file.
    pub fn close(mut self) -> Result<()> {
        let comm = self.comm.clone();
        match self.finish()? {
            Some(staged) => {
                staged.sync(&comm)?;
                staged.publish(&comm)
            }
            None => Ok(()),
        }
    }

    /// Closes the file; one that was created has its temporary name still, and may not be on disk.
    ///
    /// # Collective
    pub(crate) fn finish(&mut self) -> Result<Option<StagedFile>> {
        let file = self.file.take();
        let path = self.path.clone();
        let Some(staged) = self.staged.take() else {
            let closed = file.map_or(Ok(()), hdf5::File::close);
            self.comm.agree(closed.map_err(|error| unreadable(&path, &error)))?;
            return Ok(None);
        };
        let flushed = if self.damaged.get() {
            Err(Error::File { path: path.clone(), what: "is incomplete: data could not be written".to_owned() })
        } else {
            let flushed = file.as_ref().map_or(Ok(()), |file| file.flush());
            flushed.map_err(|error| unwritable(&path, &error))
        };
        if let Err(error) = self.comm.agree(flushed) {
            mem::forget(file);
            return Err(error);
        }
        let closed = file.map_or(Ok(()), hdf5::File::close);
        self.comm.agree(closed.map_err(|error| unwritable(&path, &error)))?;
        Ok(Some(staged))
    }

    /// Returns the settings in force for this file, by the library.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The library does not say.
    pub fn in_force(&self) -> Result<InForce> {
        let asked = self.on_holders(|file| InForce::of(file).map_err(|error| unreadable(&self.path, &error)))?;
        let mut words = vec![asked.map_or([0; 5], |found| found.words())];
        self.comm.broadcast(0, &mut words);
        Ok(InForce::from_words(words[0]))
    }

    /// Returns the path of the file, which may not be there yet.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the communicator that opened the file.
    #[must_use]
    pub fn comm(&self) -> &Comm {
        &self.comm
    }

    /// Returns true if there is a group or dataset of this name.
    ///
    /// # Collective
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        // A name that any rank cannot see is not there for any.
        let mut seen = [u64::from(self.has_link(name))];
        self.comm.all_reduce_min(&mut seen);
        seen == [1]
    }

    /// Returns the names of the groups and datasets directly in a group, sorted; `/` is the
    /// root.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn children(&self, group: &str) -> Result<Vec<String>> {
        self.require_complete()?;
        let names = self.open_object(group).and_then(|place| place.as_group()?.member_names());
        let mut names = self.comm.agree(names.map_err(|error| self.object_error("group", group, &error)))?;
        names.sort();
        Ok(names)
    }

    /// Creates a group, and those above it that are missing.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is something of this name already, or the file is only read.
    pub fn create_group(&self, name: &str) -> Result<()> {
        self.reserve(self.objects.borrow_mut().object_bytes(name))?;
        self.on_holders(|file| {
            let created = file.create_group(name);
            created.map(drop).map_err(|error| self.object_error("group", name, &error))
        })?;
        Ok(())
    }

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
        self.comm.agree(dataset)
    }

    /// Creates a dataset of elements of type `T`, with the groups above it. What is
    /// never written holds arbitrary bytes or zeros: space is not filled beforehand.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is something of this name already, the shape or the chunks are not
    /// possible, or the file is only read.
    pub fn create_dataset<T: Element>(&self, name: &str, shape: &[u64], layout: &Layout) -> Result<Dataset<'_>> {
        self.create_dataset_as(name, &T::descriptor(), shape, layout)
    }

    pub(crate) fn create_dataset_as(
        &self,
        name: &str,
        element: &hdf5::types::TypeDescriptor,
        shape: &[u64],
        layout: &Layout,
    ) -> Result<Dataset<'_>> {
        let planned = self.plan(name, element.size(), shape, layout);
        let (extents, chunk, bytes) = self.comm.agree(planned)?;
        self.reserve(bytes)?;
        let created = self.on_holders(|file| {
            // Early: what is written later then changes nothing but the data.
            let builder = file.new_dataset_builder().fill_time(FillTime::Never).alloc_time(Some(AllocTime::Early));
            let builder = builder.obj_track_times(false);
            let builder = match chunk {
                None => builder.no_chunk(),
                Some(chunk) => builder.chunk(chunk),
            };
            let builder = match layout {
                Layout::Compressed { level, .. } => builder.shuffle().deflate(*level),
                Layout::Contiguous | Layout::Chunked(_) => builder,
            };
            let created = builder.empty_as(element.clone()).shape(extents).create(name);
            created.map_err(|refused| self.dataset_error(name, reason(&refused)))
        })?;
        let sink =
            Sink::new(&self.comm, created, element, layout).map_err(|error| self.dataset_error(name, reason(&error)));
        let dataset = sink.and_then(|sink| Dataset::being_written(self, name, shape, sink));
        self.comm.agree(dataset)
    }

    /// Returns the extents of a new dataset and its chunks, and the bytes that it takes.
    fn plan(
        &self,
        name: &str,
        element_bytes: usize,
        shape: &[u64],
        layout: &Layout,
    ) -> Result<(Vec<usize>, Option<Vec<usize>>, u64)> {
        let error = |what: &str| self.dataset_error(name, what);
        let extents = to_usize(shape).ok_or_else(|| error("too large for this machine"))?;
        let chunk = match layout.chunk() {
            None => None,
            Some(chunk) => {
                if chunk.len() != shape.len() || chunk.contains(&0) {
                    return Err(error(&format!("chunks {chunk:?} do not suit the shape {shape:?}")));
                }
                Some(to_usize(chunk).ok_or_else(|| error("chunks too large"))?)
            }
        };
        if let Layout::Compressed { level: 10.., .. } = layout {
            return Err(error("the level of compression is 0 to 9"));
        }
        let bytes = space::data_bytes(element_bytes, shape, layout);
        let bytes = bytes.and_then(|bytes| bytes.checked_add(self.alignment_bytes(bytes, layout)));
        let bytes = bytes.and_then(|bytes| bytes.checked_add(self.objects.borrow_mut().object_bytes(name)));
        let bytes = bytes.ok_or_else(|| error("exceeds 2^64 bytes"))?;
        Ok((extents, chunk, bytes))
    }

    /// Returns the bytes that alignment may add to a dataset of `bytes` bytes.
    fn alignment_bytes(&self, bytes: u64, layout: &Layout) -> u64 {
        let CreateOptions { threshold, alignment, .. } = self.options;
        let pieces = match layout {
            Layout::Contiguous => 1,
            // Each chunk may be aligned; chunks below the threshold are not, and so are not so many.
            Layout::Chunked(_) | Layout::Compressed { .. } => bytes / threshold.max(1) + 1,
        };
        if bytes < threshold { 0 } else { pieces.saturating_mul(alignment) }
    }

    /// Returns the library's file, of one that is read.
    pub(super) fn file(&self) -> &hdf5::File {
        self.file.as_ref().expect("invariant: open on all ranks until it is closed")
    }

    /// Returns the library's file, on ranks that have it: all or, of a new file, rank 0.
    pub(super) fn held(&self) -> Option<&hdf5::File> {
        self.file.as_ref()
    }

    /// Opens what a name leads to, in a file that is read.
    pub(super) fn open_object(&self, name: &str) -> hdf5::Result<hdf5::Location> {
        outside::open(self.file(), name, self.allows_external())
    }

    /// Returns whether there is a link of a name; yes on ranks that cannot see it.
    pub(super) fn has_link(&self, name: &str) -> bool {
        self.held().is_none_or(|file| outside::exists(file, name, self.allows_external()))
    }

    /// Returns whether other files that this one names are read.
    pub(crate) fn allows_external(&self) -> bool {
        self.reading.allows_external()
    }

    /// Decoded chunks of a dataset.
    pub(super) fn kept_chunks(&self) -> usize {
        self.reading.kept()
    }

    /// Returns the size of the file.
    pub(super) fn length(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path).map_err(|error| Error::io(&self.path, "examine", error))?.len())
    }

    /// Works on the library's file on ranks that have it.
    ///
    /// # Collective
    pub(super) fn on_holders<T>(&self, work: impl FnOnce(&hdf5::File) -> Result<T>) -> Result<Option<T>> {
        self.comm.agree(self.held().map(work).transpose())
    }

    /// Refuses to read a file that is being written.
    pub(super) fn require_complete(&self) -> Result<()> {
        if self.staged.is_none() {
            return Ok(());
        }
        let what = "is being written; close it, and open it to read".to_owned();
        Err(Error::File { path: self.path.clone(), what })
    }

    pub(super) fn dataset_error(&self, dataset: &str, what: impl Into<String>) -> Error {
        Error::Dataset { path: self.path.clone(), dataset: dataset.to_owned(), what: what.into() }
    }

    fn object_error(&self, kind: &str, name: &str, error: &hdf5::Error) -> Error {
        let exists = name == "/" || (self.held().is_some() && self.has_link(name));
        let what = if exists { reason(error) } else { "does not exist".into() };
        Error::Object { path: self.path.clone(), object: format!("{kind} {name}"), what }
    }
}

impl Drop for H5File {
    fn drop(&mut self) {
        if self.staged.is_some()
            && let Some(file) = self.file.take()
        {
            mem::forget(file);
        }
    }
}

fn to_usize(lengths: &[u64]) -> Option<Vec<usize>> {
    lengths.iter().map(|length| usize::try_from(*length).ok()).collect()
}

/// Looks at a file on this rank only, before it is opened.
pub(crate) fn examine(path: &Path, options: &OpenOptions) -> Result<()> {
    let length = fs::metadata(path).map_err(|error| Error::io(path, "examine", error))?.len();
    guard::examine(path, length, options)
}

fn unreadable(path: &Path, error: &hdf5::Error) -> Error {
    Error::File { path: path.to_owned(), what: unreadable_because(error) }
}

pub(super) fn unreadable_because(error: &hdf5::Error) -> String {
    let reason = reason(error);
    if reason.contains("signature") {
        "is not an HDF5 file".to_owned()
    } else {
        format!("cannot be opened as HDF5: {reason}")
    }
}

fn unwritable(path: &Path, error: &hdf5::Error) -> Error {
    Error::File { path: path.to_owned(), what: format!("cannot be written: {}", reason(error)) }
}

/// Returns the innermost reason of an HDF5 error, which says more than the outermost.
pub(super) fn reason(error: &hdf5::Error) -> String {
    let innermost = error.stack().and_then(|stack| stack.iter().last().map(|frame| frame.desc().to_owned()));
    let innermost = innermost.unwrap_or_else(|| error.to_string());
    // A failed system call has a line of details, with the time, around its message.
    let system = innermost.split_once("error message = '").and_then(|(_, rest)| rest.split_once('\''));
    system.map_or(innermost.clone(), |(message, _)| message.to_owned())
}
