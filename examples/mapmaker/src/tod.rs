//! Time-ordered data: what a file holds, and reading pieces of it.
//!
//! Metadata is read by all ranks together and is the same everywhere. Samples are read rank by
//! rank, each rank its own stretches of time, with independent transfers: ranks own different
//! numbers of stretches, and for slabs independent reads are level with collective ones.

pub mod check;
mod dolmen;
mod dst;
mod writer;

use std::ops::Range;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::hdf5::{H5File, Link, Object, OpenOptions};

use crate::config::{Convention, Frame, InputConfig, Stokes};
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::quaternion::Quaternion;
use check::Located;

pub use writer::{ObservationWriter, TodWriter};

/// A detector and its noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// Its name.
    pub name: String,
    /// White noise, in K sqrt(s).
    pub net: f64,
    /// Knee frequency, in Hz.
    pub fknee: f64,
    /// Slope of the 1/f noise.
    pub alpha: f64,
    /// Below this frequency the 1/f noise is flat, in Hz.
    pub fmin: f64,
    /// From the boresight frame to the detector frame.
    pub quaternion: Quaternion,
    /// Polarization efficiency, 0 to 1.
    pub efficiency: f64,
}

/// A contiguous scan of all detectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its name.
    pub name: String,
    /// Sampling rate, in Hz.
    pub sample_rate: f64,
    /// Samples of each detector.
    pub samples: u64,
    /// Stationary ranges of samples, in ascending order.
    pub intervals: Vec<Range<u64>>,
}

/// Description of the timelines, by their file.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The detectors.
    pub detectors: Vec<Detector>,
    /// The observations, by name.
    pub observations: Vec<Observation>,
    /// Convention of the polarization angles.
    pub convention: Convention,
    /// Frame of the pointing.
    pub frame: Frame,
    /// Unit of the signal.
    pub units: String,
}

/// The pixel and polarization angle, in rad that a sample looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointing {
    /// Pixel number.
    pub pixel: u64,
    /// Angle of the polarization axis, in the file's convention.
    pub psi: f64,
}

/// Samples of one detector over a stretch of time. A flagged sample has neither pointing nor
/// signal that mean anything.
pub struct Piece {
    /// Pointing of each sample.
    pub pointing: Vec<Pointing>,
    /// The signal.
    pub signal: Vec<f64>,
    /// True for each bad sample.
    pub flagged: Vec<bool>,
}

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
        Ok(Tod::Dolmen(dolmen::DolmenTod::new(file)?))
    }

    /// Returns the description of the file.
    pub fn description(&self) -> &Description {
        match self {
            Tod::Dolmen(tod) => &tod.description,
            Tod::Dst(tod) => &tod.description,
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
        let what = "lies in another file, which a checkpoint does not notice to change; run without --checkpoint, or \
                    copy all into one file";
        Err(invalid(path, object.name.clone(), what))
    })
}

/// Returns an error at a dataset or attribute of a file of timelines.
fn invalid(path: &Path, place: impl Into<String>, what: impl Into<String>) -> Error {
    Error::Tod { path: path.to_owned(), place: place.into(), what: what.into() }
}

/// Samples of one detector as they are in the file, over a stretch of time that starts at `start`.
struct Timeline {
    detector: usize,
    start: u64,
    signal: Vec<f64>,
    flagged: Vec<bool>,
}

impl Timeline {
    /// Looks up where each unflagged sample points, and checks its signal. Both `look` and
    /// `place_of_signal` take the sample's position; the former's error is complete.
    fn point(
        self,
        path: &Path,
        look: impl Fn(usize) -> Result<Pointing>,
        place_of_signal: impl Fn(usize) -> String,
    ) -> Result<Piece, Located> {
        let mut pointing = Vec::with_capacity(self.signal.len());
        for (i, (&value, &flagged)) in self.signal.iter().zip(&self.flagged).enumerate() {
            if flagged {
                pointing.push(Pointing { pixel: 0, psi: 0.0 });
                continue;
            }
            let checked = check::signal(value).map_err(|what| invalid(path, place_of_signal(i), what));
            let looked = look(i).and_then(|pointing| checked.map(|()| pointing));
            let located = |error| Located { time: self.start + i as u64, detector: self.detector, error };
            pointing.push(looked.map_err(located)?);
        }
        Ok(Piece { pointing, signal: self.signal, flagged: self.flagged })
    }
}

/// Returns the pieces of several detectors, or the earliest error among them.
fn earliest(detectors: impl Iterator<Item = Result<Piece, Located>>) -> Result<Vec<Piece>, Located> {
    let mut pieces = Vec::new();
    let mut earliest: Option<Located> = None;
    for detector in detectors {
        match detector {
            Ok(piece) => pieces.push(piece),
            Err(located) => earliest = Some(located.or_earlier(earliest)),
        }
    }
    earliest.map_or(Ok(pieces), Err)
}
