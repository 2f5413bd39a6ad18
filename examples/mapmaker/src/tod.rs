//! Time-ordered data: what a file holds, and reading pieces of it.
//!
//! Metadata is read by all ranks together and is the same everywhere. Samples are read rank by
//! rank, each rank its own stretches of time, with independent transfers: ranks own different
//! numbers of stretches, and for slabs independent reads are level with collective ones.

mod dolmen;
mod dst;
mod writer;

use std::ops::Range;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::hdf5::H5File;

use crate::config::{Convention, Frame, InputConfig, Stokes};
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::quaternion::Quaternion;

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
    /// Polarisation efficiency, 0 to 1.
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

/// What a file of timelines says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The detectors.
    pub detectors: Vec<Detector>,
    /// The observations, by name.
    pub observations: Vec<Observation>,
    /// Convention of the polarisation angles.
    pub convention: Convention,
    /// Frame of the pointing.
    pub frame: Frame,
    /// Unit of the signal.
    pub units: String,
}

/// The pixel and polarisation angle, in rad that a sample looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointing {
    /// Pixel number.
    pub pixel: u64,
    /// Angle of the polarisation axis, in the file's convention.
    pub psi: f64,
}

/// Samples of one detector over a stretch of time. A flagged sample has neither pointing nor
/// signal that mean anything.
pub struct Piece {
    /// Where each sample looks.
    pub pointing: Vec<Pointing>,
    /// The signal.
    pub signal: Vec<f64>,
    /// Whether a sample is bad.
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
        let file = H5File::open(comm, &input.tod)?;
        if file.attribute("/", "format")?.is_none() && file.exists("data") {
            return Ok(Tod::Dst(dst::DstTable::new(file, input, stokes)?));
        }
        Ok(Tod::Dolmen(dolmen::DolmenTod::new(file)?))
    }

    /// What the file says of itself.
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
    /// The file cannot be read, a signal that is not flagged is NaN or infinite, an attitude is
    /// not a unit quaternion, or a pointing lies off the sphere; the first bad sample is named.
    pub fn read(&self, healpix: &Healpix, detectors: Range<usize>, time: Range<u64>) -> Result<Vec<Piece>> {
        match self {
            Reader::Dolmen(reader) => reader.read(healpix, detectors, time),
            Reader::Dst(reader) => reader.read(healpix, detectors, time),
        }
    }
}

/// Signals beyond this, in any unit, are no measurements, and their sums could overflow.
const LARGEST_SIGNAL: f64 = 1e100;

/// An error at a dataset or attribute of a file of timelines.
fn invalid(path: &Path, place: impl Into<String>, what: impl Into<String>) -> Error {
    Error::Tod { path: path.to_owned(), place: place.into(), what: what.into() }
}

/// Refuses the first signal that is not finite among those that are not flagged.
fn check_signal(path: &Path, piece: &Piece, place: impl Fn(usize) -> String) -> Result<()> {
    let bad = piece
        .signal
        .iter()
        .zip(&piece.flagged)
        .position(|(value, &flagged)| !flagged && (value.is_nan() || value.abs() > LARGEST_SIGNAL));
    match bad {
        None => Ok(()),
        Some(sample) => {
            let what = format!("is {}; flag samples that are not measurements", piece.signal[sample]);
            Err(invalid(path, place(sample), what))
        }
    }
}

/// The pixel of a direction, or an error naming it.
fn pixel(healpix: &Healpix, theta: f64, phi: f64, psi: f64, flagged: bool) -> std::result::Result<Pointing, String> {
    if flagged {
        return Ok(Pointing { pixel: 0, psi: 0.0 });
    }
    match healpix.pixel(theta, phi) {
        Some(pixel) if psi.is_finite() => Ok(Pointing { pixel, psi }),
        _ => Err(format!("looks at theta {theta}, phi {phi}, psi {psi}; expected radians with theta between 0 and pi")),
    }
}
