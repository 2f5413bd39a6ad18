//! Opening and creating files.
//!
//! Each new file says by an attribute of its root, `dolmen_schema`, by which version of these
//! modules it was written. A file of a later one is refused.

use super::attribute::Attribute;
use super::error::{unreadable, unwritable};
use super::file::H5File;
use super::name::Utf8Name;
use super::options::{CreateOptions, OpenOptions};
use super::{guard, space};
use crate::error::{Error, Result};
use crate::regular_file::open_on_all_ranks;
use crate::staged::StagedFile;
use dolmen_core::Comm;
use std::fs;
use std::path::Path;

/// The version of how objects are stored in files.
const SCHEMA: i64 = 1;
const SCHEMA_NAME: &str = "dolmen_schema";

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
        let file = comm.agree(opened.map(|file| Self::to_read(comm, path, file, options)))?;
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
        let file = comm.agree(created.map(|file| Self::being_written(comm, path, file, staged, options)))?;
        file.reserve(space::FILE_BYTES)?;
        file.write_attribute("/", SCHEMA_NAME, SCHEMA)?;
        Ok(file)
    }
}

/// Looks at a file on this rank only, before it is opened.
pub(crate) fn examine(path: &Path, options: &OpenOptions) -> Result<()> {
    let length = fs::metadata(path).map_err(|error| Error::io(path, "examine", error))?.len();
    guard::examine(path, length, options)
}
