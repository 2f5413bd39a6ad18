//! Time-ordered data: what a file holds, and reading pieces of it.
//!
//! Metadata is read by all ranks together and is the same everywhere. Samples are read rank by
//! rank, each rank its own stretches of time, with independent transfers: ranks own different
//! numbers of stretches, and for slabs independent reads are level with collective ones.

pub mod check;
mod description;
mod dolmen;
mod dst;
mod flags;
mod piece;
mod timeline;
mod writer;

use std::ops::Range;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::hdf5::{H5File, Link, Object, OpenOptions};

use crate::config::{InputConfig, Stokes};
use crate::error::Result;
use crate::healpix::Healpix;
use check::{Located, invalid};

pub use description::{Description, Detector, Observation};
pub use piece::{Piece, Pointing};
pub use writer::{ObservationWriter, TodWriter};

/// An open file of timelines.
pub enum Tod {
    /// The Dolmen TOD format.
    Dolmen(dolmen::DolmenTod),
    /// The `dst` table.
    Dst(dst::DstTable),
}

/// An observation opened for reading.
pub enum Reader<'t> {
    /// Of a Dolmen TOD file.
    Dolmen(Box<dolmen::DolmenReader<'t>>),
    /// Of a `dst` table.
    Dst(dst::DstReader<'t>),
}

impl Tod {
    /// Opens a file and reads its description.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file is missing, truncated, or neither format; a dataset or attribute is missing or
    /// has an impossible value.
    pub fn open(comm: &Comm, input: &InputConfig, stokes: Stokes) -> Result<Tod> {
        let options = OpenOptions::new().allow_external(input.allow_external);
        let file = H5File::open_with(comm, &input.tod, &options)?;
        if file.attribute("/", "format")?.is_none() && file.exists("data") {
            return Ok(Tod::Dst(dst::DstTable::new(file, input, stokes)?));
        }
        Ok(Tod::Dolmen(dolmen::DolmenTod::new(file, input)?))
    }

    /// Returns the description of the file.
    pub fn description(&self) -> &Description {
        match self {
            Tod::Dolmen(tod) => &tod.description,
            Tod::Dst(tod) => &tod.description,
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        match self {
            Tod::Dolmen(tod) => tod.file.path(),
            Tod::Dst(tod) => tod.file.path(),
        }
    }

    /// Closes the file, which is not needed while maps are solved for.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be closed.
    pub fn close(self) -> Result<()> {
        match self {
            Tod::Dolmen(tod) => Ok(tod.file.close()?),
            Tod::Dst(tod) => Ok(tod.file.close()?),
        }
    }

    /// Opens an observation.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A dataset is missing or has the wrong shape.
    pub fn reader(&self, observation: usize) -> Result<Reader<'_>> {
        Ok(match self {
            Tod::Dolmen(tod) => Reader::Dolmen(Box::new(tod.reader(observation)?)),
            Tod::Dst(tod) => Reader::Dst(tod.reader()?),
        })
    }
}

impl Reader<'_> {
    /// Reads a stretch of time of the detectors in `detectors`, in order.
    ///
    /// Not collective: each rank reads what it owns.
    ///
    /// # Errors
    /// The file cannot be read, or a sample that is not flagged has a signal that is not a number
    /// or too large, an attitude that is not a unit quaternion, or a pointing off the sphere: the
    /// first such sample in time, then by detector.
    pub fn read(&self, healpix: &Healpix, detectors: Range<usize>, time: Range<u64>) -> Result<Vec<Piece>, Located> {
        match self {
            Reader::Dolmen(reader) => reader.read(healpix, detectors, time),
            Reader::Dst(reader) => reader.read(healpix, detectors, time),
        }
    }
}

/// Refuses a file whose data lie partly in others, which a checkpoint cannot compare.
///
/// # Collective
///
/// # Errors
/// There are such data, or the file is damaged.
pub fn require_whole(comm: &Comm, path: &Path) -> Result<()> {
    let file = H5File::open(comm, path)?;
    let objects = file.objects()?;
    file.close()?;
    let is_outside = |object: &&Object| {
        let stored = object.dataset.as_ref().is_some_and(|stored| !stored.outside.is_empty());
        stored || matches!(object.link, Some(Link::External(_)))
    };
    objects.iter().find(is_outside).map_or(Ok(()), |object| {
        let what = "lies in another file, whose changes a checkpoint would not notice; run without --checkpoint, or \
                    copy all into one file";
        Err(invalid(path, object.name.clone(), what))
    })
}
