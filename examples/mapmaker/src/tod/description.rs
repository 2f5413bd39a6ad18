//! Description of a file of timelines: its detectors and observations.

use std::ops::Range;
use std::path::{Path, PathBuf};

use dolmen_core::text::shown;

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
    /// First file that has it, and its row in the table of that file.
    pub origin: (usize, usize),
}

impl Detector {
    /// Gives the detector the noise of one that measures nothing.
    pub(super) fn disable(&mut self) {
        (self.net, self.fknee, self.alpha, self.fmin) = (f64::INFINITY, 0.0, 0.0, 0.0);
        self.efficiency = 0.0;
    }
}

/// A contiguous scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its name.
    pub name: String,
    /// The file that has it.
    pub file: usize,
    /// The detectors that took it, in the order of their samples in the file.
    pub detectors: Vec<usize>,
    /// Sampling rate, in Hz.
    pub sample_rate: f64,
    /// Samples of each detector.
    pub samples: u64,
    /// Stationary ranges of samples, in ascending order.
    pub intervals: Vec<Range<u64>>,
}

/// Description of the timelines, by their files.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Names of the files.
    pub files: Vec<PathBuf>,
    /// The detectors, in the order in which files name them.
    pub detectors: Vec<Detector>,
    /// The observations: file by file, and by name within a file.
    pub observations: Vec<Observation>,
    /// Convention of the polarization angles.
    pub convention: Convention,
    /// Frame of the pointing.
    pub frame: Frame,
    /// Unit of the signal.
    pub units: String,
}

impl Description {
    /// Returns the name of the file that has an observation.
    pub fn file_of(&self, observation: usize) -> &Path {
        &self.files[self.observations[observation].file]
    }

    /// Returns the place of a detector's column: the first file that has the detector, and the row and column there.
    pub(crate) fn place_of(&self, detector: usize, column: &str) -> (&Path, String) {
        let (file, row) = self.detectors[detector].origin;
        (&self.files[file], format!("detectors[{row}].{column}"))
    }

    /// Returns a sentence's end that counts the files beside the first one, if there are several.
    pub(crate) fn with_others(&self) -> String {
        match self.files.len() {
            1 => String::new(),
            count => format!(" (with {} more file(s) of input.tod)", count - 1),
        }
    }
}

/// Returns short names of files: without the folders that are common to all.
pub fn short_names(files: &[PathBuf]) -> Vec<String> {
    let mut common = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    while !files.iter().all(|file| file.starts_with(common)) {
        common = common.parent().unwrap_or(Path::new(""));
    }
    files.iter().map(|file| shown(file.strip_prefix(common).unwrap_or(file))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_differ() {
        let names = |files: &[&str]| short_names(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["/data/run/tod.h5"]), ["tod.h5"]);
        assert_eq!(names(&["tod.h5"]), ["tod.h5"]);
        assert_eq!(names(&["/data/a/tod.h5", "/data/b/tod.h5"]), ["a/tod.h5", "b/tod.h5"]);
        assert_eq!(names(&["a/tod.h5", "/data/b/tod.h5"]), ["a/tod.h5", "/data/b/tod.h5"]);
        assert_eq!(names(&["a/tod.h5", "a/b/tod.h5"]), ["tod.h5", "b/tod.h5"]);
    }
}
