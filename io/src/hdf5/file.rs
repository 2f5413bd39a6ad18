//! HDF5 files that all ranks of a communicator hold open together.
//!
//! Every method is collective and agreed, also those that only look: they are few,
//! a reduction of two words is cheap beside the file system, and a disk error on
//! one rank must not leave the others waiting in the next transfer.
//!
//! The library never shares a file over MPI-IO, in which a rank that cannot read or write leaves the
//! others waiting: Open MPI 4.1 reports a full disk in a collective write as success, or hangs. To
//! read, each rank opens the file for itself. A new file is open on rank 0 alone, which writes all
//! that is small; data are written as [`Sink`](super::sink::Sink) says. So each failure is one of a call
//! of the operating system on one rank, on which all ranks then agree. A new file is only written: close
//! it, and open it to read.
//!
//! HDF5 1.10 crashes when it closes a file that it could not write. So dropping a new file does not
//! close it: it stays open until the process ends. Call [`H5File::close`].
//!
//! Disk space for all that a new file is to hold is reserved before it is written.

use super::error::{reason, unreadable, unwritable};
use super::options::{CreateOptions, InForce, OpenOptions};
use super::{outside, space};
use crate::error::{Error, Result};
use crate::staged::StagedFile;
use dolmen_core::Comm;
use std::cell::{Cell, RefCell};
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};

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
    /// Made before the ranks agree, as [`H5File::being_written`] is, so that a file that another rank failed to
    /// open is dropped as files of this type are: without communicating.
    pub(super) fn to_read(comm: &Comm, path: &Path, file: hdf5::File, reading: &OpenOptions) -> Self {
        Self::new(comm, path, Some(file), None, (CreateOptions::default(), reading.clone()))
    }

    /// Returns a new file, which rank 0 has.
    pub(super) fn being_written(
        comm: &Comm,
        path: &Path,
        file: Option<hdf5::File>,
        staged: StagedFile,
        options: &CreateOptions,
    ) -> Self {
        Self::new(comm, path, file, Some(staged), (options.clone(), OpenOptions::default()))
    }

    fn new(
        comm: &Comm,
        path: &Path,
        file: Option<hdf5::File>,
        staged: Option<StagedFile>,
        (options, reading): (CreateOptions, OpenOptions),
    ) -> Self {
        let (reserved, damaged) = (Cell::new(0), Cell::new(false));
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
        self.reserve(self.object_bytes(name))?;
        self.on_holders(|file| {
            let created = file.create_group(name);
            created.map(drop).map_err(|error| self.object_error("group", name, &error))
        })?;
        Ok(())
    }

    /// Returns the bytes of a new object with the groups above it that are not there yet, which are noted.
    pub(super) fn object_bytes(&self, name: &str) -> u64 {
        self.objects.borrow_mut().object_bytes(name)
    }

    /// Returns the options of a new file.
    pub(super) fn create_options(&self) -> &CreateOptions {
        &self.options
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
