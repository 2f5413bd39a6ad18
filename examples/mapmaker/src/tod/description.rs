//! Description of a file of timelines: its detectors and observations.

use std::ops::Range;

use crate::config::{Convention, Frame};
use crate::quaternion::Quaternion;

/// A detector and its noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// Its name.
    pub name: String,
    /// White noise, in the unit of the signal times sqrt(s); infinite for a detector whose row of the table is not
    /// valid and whose samples must all be flagged.
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

impl Detector {
    /// Gives the detector the noise of one that measures nothing.
    pub(super) fn disable(&mut self) {
        (self.net, self.fknee, self.alpha, self.fmin) = (f64::INFINITY, 0.0, 0.0, 0.0);
        self.efficiency = 0.0;
    }
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
