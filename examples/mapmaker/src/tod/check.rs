//! Checks of every file of timelines, and the choice of the bad sample that an error names.
//!
//! Each rank stops at the first bad sample of its own stretches of time. Of these the earliest in
//! time, and among those of the lowest detector, is reported: the same on any number of ranks.

use std::f32;
use std::f64::consts::PI;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::fits::UNSEEN;
use dolmen_io::hdf5::Dataset;

use super::description::Detector;
use super::piece::Pointing;
use crate::error::{Error, Result};
use crate::healpix::Healpix;
pub use crate::weight::weight;

/// Largest size of a signal. Sums of squares over as many samples as a file can hold stay far from the ends of double
/// precision, with weights that [`weight`] allows.
const MAX_SIGNAL: f64 = 1e80;

/// Largest longitude and polarization angle, in rad. Of larger ones, double precision has fewer digits than pointing
/// needs.
const MAX_ANGLE: f64 = 1e6;

/// An error and the sample that it is about, or the first of the samples that could not be read.
pub struct Located {
    /// Sample of the observation.
    pub time: u64,
    /// Number of the detector.
    pub detector: usize,
    /// Fault.
    pub error: Error,
}

impl Located {
    /// Returns the earlier of two errors.
    #[must_use]
    pub fn or_earlier(self, other: Option<Located>) -> Located {
        match other {
            Some(other) if (other.time, other.detector) <= (self.time, self.detector) => other,
            _ => self,
        }
    }

    /// Returns a number that orders the errors of an observation.
    fn rank_among(&self, detectors: usize) -> u64 {
        (self.time.saturating_mul(detectors as u64)).saturating_add(self.detector as u64).min(u64::MAX - 1)
    }
}

/// Ends the reading of an observation of `detectors` detectors: the error at the earliest sample
/// of all ranks, if there is one.
///
/// # Collective
///
/// # Errors
/// The earliest error, the same on all ranks.
pub fn agree_on_earliest(comm: &Comm, detectors: usize, found: Option<Located>) -> Result<()> {
    let mine = found.as_ref().map_or(u64::MAX, |found| found.rank_among(detectors));
    let mut least = [mine];
    comm.all_reduce_min(&mut least);
    let outcome = match found {
        Some(found) if mine == least[0] => Err(found.error),
        _ => Ok(()),
    };
    comm.agree(outcome)
}

/// Returns an error at a dataset or attribute of a file of timelines.
pub(crate) fn invalid(path: &Path, place: impl Into<String>, what: impl Into<String>) -> Error {
    Error::Tod { path: path.to_owned(), place: place.into(), what: what.into() }
}

/// Fault of a detector, which matters only if it has a sample that is not flagged.
pub(super) struct Fault {
    /// Dataset, row and column.
    pub(super) place: String,
    /// Fault, and what would be right.
    pub(super) what: String,
}

/// Returns what is wrong with the weight of a detector's samples in an observation.
pub(super) fn weight_fault(group: &str, number: usize, detector: &Detector, sample_rate: f64) -> Option<Fault> {
    let fault = |what| Fault { place: format!("{group}: detector {number} ({})", detector.name), what };
    weight(detector.net, sample_rate).err().map(fault)
}

/// Refuses a dataset of another shape than `expected`.
pub(super) fn shape(path: &Path, dataset: &Dataset<'_>, expected: &[u64]) -> Result<()> {
    if dataset.shape() == expected {
        return Ok(());
    }
    let what = format!("has shape {:?}, expected {expected:?} as the signal has", dataset.shape());
    Err(invalid(path, dataset.name(), what))
}

/// Refuses a bad value of a signal that is not flagged.
pub(super) fn signal(value: f64) -> std::result::Result<(), String> {
    // Nearly all samples end here.
    if value.abs() < 1e30 {
        return Ok(());
    }
    let limit = if (value - UNSEEN).abs() <= 1e-5 * UNSEEN.abs() {
        ", HEALPix's value of pixels that are not observed".to_owned()
    } else if value.abs() <= MAX_SIGNAL {
        return Ok(());
    } else if value.is_finite() {
        format!(", above {MAX_SIGNAL:e}")
    } else {
        String::new()
    };
    Err(format!("is {value:e}{limit}; flag samples that are not measurements"))
}

/// Returns the pixel of a direction, or what is wrong with it.
pub(super) fn pixel(healpix: &Healpix, theta: f64, phi: f64, psi: f64) -> std::result::Result<Pointing, String> {
    // Pi in single precision lies above pi.
    let south = if theta <= f64::from(f32::consts::PI) { theta.min(PI) } else { theta };
    match healpix.pixel(south, phi) {
        Some(pixel) if phi.abs() <= MAX_ANGLE && psi.abs() <= MAX_ANGLE => Ok(Pointing { pixel, psi }),
        _ => Err(format!(
            "looks at theta {theta:?}, phi {phi:?}, psi {psi:?}; expected radians, theta between 0 and pi, phi and psi \
             between -{MAX_ANGLE:e} and {MAX_ANGLE:e}"
        )),
    }
}

/// Refuses a bad polarization angle.
pub(super) fn angle(psi: f64) -> std::result::Result<f64, String> {
    if psi.abs() <= MAX_ANGLE {
        return Ok(psi);
    }
    Err(format!("is {psi:?}, expected an angle in rad between -{MAX_ANGLE:e} and {MAX_ANGLE:e}"))
}

/// Returns the pixel of the map around `pixel` of a grid, or what is wrong with it.
pub(super) fn coarser_pixel(healpix: &Healpix, grid: &Healpix, pixel: i64) -> std::result::Result<u64, String> {
    let pixel = u64::try_from(pixel).ok().filter(|&pixel| pixel < grid.pixel_count()).ok_or_else(|| {
        format!("is {pixel}, but nside {} has the pixels 0 to {}", grid.nside(), grid.pixel_count() - 1)
    })?;
    Ok(healpix.from_finer(grid, pixel).expect("invariant: the grid is as fine as the map"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: u64, detector: usize) -> Located {
        Located { time, detector, error: Error::Memory(format!("{time} {detector}")) }
    }

    #[test]
    fn time_comes_before_the_detector() {
        let first = |a: Located, b: Located| {
            let found = a.or_earlier(Some(b));
            (found.time, found.detector)
        };
        assert_eq!(first(at(5, 0), at(4, 3)), (4, 3));
        assert_eq!(first(at(4, 3), at(5, 0)), (4, 3));
        assert_eq!(first(at(4, 3), at(4, 1)), (4, 1));
        assert!(at(4, 3).rank_among(4) < at(5, 0).rank_among(4));
    }

    #[test]
    fn weights_and_signals_have_limits() {
        assert_eq!(weight(0.5, 4.0), Ok(1.0));
        for (net, rate) in [(1e-200, 1.0), (1e200, 1.0), (1.0, 1e-300), (f64::NAN, 1.0)] {
            assert!(weight(net, rate).is_err(), "{net} {rate}");
        }
        assert!(signal(1e70).is_ok());
        assert!(signal(-1.6e30).is_ok());
        for value in [f64::NAN, f64::INFINITY, -1e151] {
            assert!(signal(value).is_err(), "{value}");
        }
        for value in [UNSEEN, f64::from(-1.6375e30_f32)] {
            assert!(signal(value).unwrap_err().contains("not observed"), "{value}");
        }
    }

    #[test]
    fn pi_in_single_precision_is_the_south_pole() {
        let healpix = Healpix::new(4, dolmen_io::fits::Ordering::Ring).unwrap();
        let pole = |theta: f64| pixel(&healpix, theta, 0.1, 0.0).map(|look| look.pixel);
        assert_eq!(pole(f64::from(f32::consts::PI)), pole(PI));
        assert!(pole(f64::from(f32::consts::PI).next_up()).is_err());
        assert!(pole(f64::NAN).is_err());
        for (phi, psi) in [(UNSEEN, 0.0), (0.0, UNSEEN), (0.0, f64::NAN), (f64::INFINITY, 0.0)] {
            assert!(pixel(&healpix, 1.0, phi, psi).is_err(), "{phi} {psi}");
        }
        assert!(angle(-7.0).is_ok() && angle(UNSEEN).is_err() && angle(f64::NAN).is_err());
    }
}
