//! Time-ordered data: what files hold, and reading pieces of them.
//!
//! Metadata is read by all ranks together and is the same everywhere. Samples are read rank by
//! rank, each rank its own stretches of time, with independent transfers: ranks own different
//! numbers of stretches, and for slabs independent reads are level with collective ones.
//! Files are open one at a time, so that thousands of them are no burden.

mod angle;
pub mod check;
mod description;
mod dolmen;
mod dst;
mod files;
mod flags;
mod merge;
mod noise_file;
mod piece;
pub(crate) mod selection;
mod timeline;
mod writer;

use std::ops::Range;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::hdf5::{H5File, Link, Object, OpenOptions};
use dolmen_io::open_on_all_ranks;

use crate::config::{InputConfig, Stokes};
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use check::{Located, invalid};
use merge::Place;

pub use angle::Angle;
pub use description::{Description, Detector, Observation, short_names};
pub use files::resolve;
pub use piece::{Piece, Pointing};
pub(crate) use writer::detector_table;
pub use writer::{ObservationWriter, TodWriter};

/// Files of timelines that were looked at.
pub struct Tod {
    files: Vec<Format>,
    description: Description,
    /// Places of the observations.
    places: Vec<Place>,
    options: OpenOptions,
}

/// Description of a file of either format.
enum Format {
    /// The Dolmen TOD format.
    Dolmen(dolmen::DolmenTod),
    /// The `dst` table.
    Dst(dst::DstTable),
}

impl Format {
    fn description(&self) -> &Description {
        match self {
            Format::Dolmen(tod) => &tod.description,
            Format::Dst(tod) => &tod.description,
        }
    }
}

/// An observation opened for reading.
pub struct Reader<'t> {
    source: Source<'t>,
    /// Rows of the observation's detectors in the file, ascending.
    rows: &'t [usize],
}

enum Source<'t> {
    Dolmen(Box<dolmen::DolmenReader<'t>>),
    Dst(dst::DstReader<'t>),
}

impl Tod {
    /// Opens the files, one after the other, and reads their descriptions.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A file is missing, truncated, or neither format; a dataset or attribute is missing or
    /// has an impossible value; the files contradict each other, or do not have what is chosen of them.
    pub fn open(comm: &Comm, input: &InputConfig, stokes: Stokes) -> Result<Tod> {
        let options = OpenOptions::new().allow_external(input.allow_external);
        let mut files = Vec::with_capacity(input.tod.len());
        for path in &input.tod {
            refuse_fits(comm, path)?;
            let file = H5File::open_with(comm, path, &options)?;
            let is_dst = file.attribute("/", "format")?.is_none() && file.exists("data");
            files.push(if is_dst {
                Format::Dst(dst::DstTable::new(&file, input, stokes)?)
            } else {
                Format::Dolmen(dolmen::DolmenTod::new(&file, input)?)
            });
            file.close()?;
        }
        let descriptions: Vec<&Description> = files.iter().map(Format::description).collect();
        let (mut description, places) = merge::merge(&descriptions, input)?;
        if let Some(path) = &input.noise {
            noise_file::replace_noise(comm, path, &mut description)?;
        }
        Ok(Tod { files, description, places, options })
    }

    /// Returns the description of the timelines.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Passes a reader of each observation, in order.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A file cannot be opened, a dataset is missing or has the wrong shape; or an error of `visit`.
    pub fn for_each_observation(
        &self,
        comm: &Comm,
        mut visit: impl FnMut(usize, &Reader<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut next = 0;
        for places in self.places.chunk_by(|a, b| a.file == b.file) {
            let number = places[0].file;
            let file = H5File::open_with(comm, &self.description.files[number], &self.options)?;
            for place in places {
                let source = match &self.files[number] {
                    Format::Dolmen(tod) => Source::Dolmen(Box::new(tod.reader(&file, place.observation)?)),
                    Format::Dst(tod) => Source::Dst(tod.reader(&file)?),
                };
                visit(next, &Reader { source, rows: &place.rows })?;
                next += 1;
            }
            file.close()?;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// Reads a stretch of time of detectors, which are counted among those of the observation, in order.
    ///
    /// Not collective: each rank reads what it owns.
    ///
    /// # Errors
    /// The file cannot be read, or a sample that is not flagged has a signal that is not a number
    /// or too large, an attitude that is not a unit quaternion, or a pointing off the sphere: the
    /// first such sample in time, then by detector.
    pub fn read(&self, healpix: &Healpix, detectors: Range<usize>, time: Range<u64>) -> Result<Vec<Piece>, Located> {
        let rows = &self.rows[detectors];
        let pieces = match &self.source {
            Source::Dolmen(reader) => reader.read(healpix, rows, time),
            Source::Dst(reader) => reader.read(healpix, rows, time),
        };
        pieces.map_err(|found| Located { detector: self.rows.partition_point(|&row| row < found.detector), ..found })
    }

    /// Refuses an observation without an angle.
    ///
    /// # Errors
    /// There is no such dataset.
    pub fn require_angle(&self, angle: Angle) -> Result<()> {
        match &self.source {
            Source::Dolmen(reader) => reader.require_angle(angle),
            Source::Dst(reader) => reader.require_angle(angle),
        }
    }

    /// Reads an angle over a stretch of time, in rad; it was required before. Not collective.
    ///
    /// # Errors
    /// The file cannot be read, or a sample for which `good` is true has a value that is not an angle: the first such
    /// sample.
    pub fn angle(&self, angle: Angle, time: Range<u64>, good: impl Fn(usize) -> bool) -> Result<Vec<f64>, Located> {
        match &self.source {
            Source::Dolmen(reader) => reader.angle(angle, &time, &good),
            Source::Dst(_) => unreachable!("tables without angles were refused"),
        }
    }
}

/// Refuses a FITS file, and tells how to import it.
fn refuse_fits(comm: &Comm, path: &Path) -> Result<()> {
    if dolmen_io::Format::of(comm, path) != Some(dolmen_io::Format::Fits) {
        return Ok(());
    }
    open_on_all_ranks(comm, path)?;
    let what = "is FITS; import its timelines: mapmaker import FILE --output FILE.h5";
    Err(Error::File { path: path.to_owned(), what: what.into() })
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
