//! Angles of a whole observation that templates are made of.

use std::ops::Range;
use std::path::Path;

use dolmen_io::hdf5::{Dataset, H5File, Transfer};

use super::check::{self, invalid};
use crate::error::Result;

/// An angle that an observation has, at each of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Angle {
    /// That of a rotating half-wave plate.
    HalfWavePlate,
    /// The azimuth of the boresight.
    Azimuth,
}

impl Angle {
    /// Both.
    pub const ALL: [Angle; 2] = [Angle::HalfWavePlate, Angle::Azimuth];

    /// Returns the name of the dataset.
    pub fn dataset(self) -> &'static str {
        match self {
            Angle::HalfWavePlate => "hwp",
            Angle::Azimuth => "azimuth",
        }
    }
}

/// Datasets of the angles of an observation.
pub(super) struct Angles<'t> {
    found: [Option<Dataset<'t>>; 2],
    samples: u64,
}

impl<'t> Angles<'t> {
    /// Opens those that there are.
    pub(super) fn open(file: &'t H5File, group: &str, samples: u64) -> Result<Angles<'t>> {
        let mut found = [None, None];
        for (angle, found) in Angle::ALL.into_iter().zip(&mut found) {
            let name = format!("{group}/{}", angle.dataset());
            if file.exists(&name) {
                *found = Some(file.dataset(&name)?.with_transfer(Transfer::Independent));
            }
        }
        Ok(Angles { found, samples })
    }

    fn get(&self, angle: Angle) -> Option<&Dataset<'t>> {
        Angle::ALL.iter().position(|&other| other == angle).and_then(|position| self.found[position].as_ref())
    }

    /// Refuses an observation without an angle of each sample.
    pub(super) fn require(&self, path: &Path, group: &str, angle: Angle) -> Result<()> {
        if let Some(dataset) = self.get(angle) {
            return check::shape(path, dataset, &[self.samples]);
        }
        let name = angle.dataset();
        let what =
            format!("has no dataset {name}, which templates of kind {name:?} are made of; add it, or remove them");
        Err(invalid(path, group, what))
    }

    /// Reads an angle, in rad.
    pub(super) fn read(&self, angle: Angle, time: &Range<u64>) -> Result<Vec<f64>> {
        let dataset = self.get(angle).expect("invariant: it was required");
        Ok(dataset.read_slab::<f64>(&[time.start], &[time.end - time.start])?)
    }
}
