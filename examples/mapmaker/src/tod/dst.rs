//! The `dst` table: one HDF5 compound dataset `data`, a row a sample, one horn.
//!
//! TIME, PHI, THETA, in rad, PSI, in deg, FLAG, TEMP, Q, U. An intensity map uses TEMP. A QU map uses
//! the two channels of a polarimeter: Q measures along PSI and U at PSI + 45 degrees.

use std::ops::Range;

use dolmen_io::hdf5::{Dataset, H5File, Transfer};

use super::angle::Angle;
use super::check::{Located, invalid, pixel};
use super::description::{Description, Detector, Observation};
use super::flags;
use super::piece::Piece;
use super::timeline::{Timeline, earliest};
use crate::config::{InputConfig, Stokes};
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::quaternion::Quaternion;

const TABLE: &str = "data";

/// A `dst` table.
pub(super) struct DstTable {
    pub(super) description: Description,
    channels: Vec<(&'static str, f64)>,
    /// Bits of the flags that count.
    flag_bits: u64,
}

impl DstTable {
    pub(super) fn new(file: &H5File, input: &InputConfig, stokes: Stokes) -> Result<DstTable> {
        let missing = |key: &str| invalid(file.path(), TABLE, format!("a dst table needs {key} in the configuration"));
        let sample_rate = input.sample_rate.ok_or_else(|| missing("input.sample_rate"))?;
        let convention = input.psi_convention.ok_or_else(|| missing("input.psi_convention"))?;
        let frame = input.coordinates.ok_or_else(|| missing("input.coordinates"))?;
        let channels = match stokes {
            Stokes::I => vec![("TEMP", 0.0)],
            Stokes::QU => vec![("Q", 0.0), ("U", std::f64::consts::FRAC_PI_4)],
            Stokes::IQU => {
                let what = "a dst table measures I, or Q and U: set map.stokes to \"I\" or \"QU\"";
                return Err(invalid(file.path(), TABLE, what));
            }
        };
        if input.detector_flag_bits.is_some() {
            let what = "a dst table has no flags of detectors; use input.flag_bits instead of input.detector_flag_bits";
            return Err(invalid(file.path(), TABLE, what));
        }
        let flag_bits = input.flag_bits.unwrap_or(flags::ALL);
        flags::require_bits(file.path(), &file.dataset(TABLE)?, Some("FLAG"), flag_bits, "input.flag_bits")?;
        let [samples] = file.dataset(TABLE)?.dimensions()?;
        if samples == 0 {
            return Err(invalid(file.path(), TABLE, "has no rows"));
        }
        let detector = |(row, (name, _)): (usize, &(&str, f64))| Detector {
            name: (*name).to_owned(),
            // One horn: all samples weigh the same, whatever its noise.
            net: sample_rate.sqrt().recip(),
            fknee: 0.0,
            alpha: 0.0,
            fmin: 0.0,
            quaternion: Quaternion::IDENTITY,
            efficiency: 1.0,
            origin: (0, row),
        };
        let description = Description {
            files: vec![file.path().to_owned()],
            detectors: channels.iter().enumerate().map(detector).collect(),
            observations: vec![Observation {
                name: TABLE.to_owned(),
                file: 0,
                detectors: (0..channels.len()).collect(),
                sample_rate,
                samples,
                intervals: std::iter::once(0..samples).collect(),
            }],
            convention,
            frame,
            units: String::new(),
        };
        Ok(DstTable { description, channels, flag_bits })
    }

    /// Opens the table in the open file.
    pub(super) fn reader<'t>(&'t self, file: &'t H5File) -> Result<DstReader<'t>> {
        let table = file.dataset(TABLE)?.with_transfer(Transfer::Independent);
        Ok(DstReader { tod: self, table })
    }
}

/// A `dst` table opened for reading.
pub(super) struct DstReader<'t> {
    tod: &'t DstTable,
    table: Dataset<'t>,
}

impl DstReader<'_> {
    /// Refuses the table, which has no angles of this kind.
    pub(super) fn require_angle(&self, angle: Angle) -> Result<()> {
        let name = angle.dataset();
        let what = format!(
            "has no column of the angle {name}, which templates of kind {name:?} are made of; use the Dolmen TOD format, or \
             remove them"
        );
        Err(invalid(&self.tod.description.files[0], TABLE, what))
    }

    pub(super) fn read(&self, healpix: &Healpix, rows: &[usize], time: Range<u64>) -> Result<Vec<Piece>, Located> {
        let located = |error: Error| Located { time: time.start, detector: rows[0], error };
        let (start, count) = ([time.start], [time.end - time.start]);
        let column = |name: &str| {
            self.table.read_member_slab::<f64>(name, &start, &count).map_err(|error| located(error.into()))
        };
        let (theta, phi, psi) = (column("THETA")?, column("PHI")?, column("PSI")?);
        let flagged = flags::read(&self.table, Some("FLAG"), self.tod.flag_bits, &start, &count);
        let flagged = flagged.map_err(|error| located(error.into()))?;
        let path = &self.tod.description.files[0];
        let place = |what: &str, sample: usize| format!("{TABLE}[{}].{what}", time.start + sample as u64);
        earliest(rows.iter().map(|&detector| {
            let (name, offset) = self.tod.channels[detector];
            let look = |i: usize| {
                pixel(healpix, theta[i], phi[i], psi[i].to_radians() + offset)
                    .map_err(|what| invalid(path, place("THETA, PHI, PSI", i), what))
            };
            let timeline = Timeline { detector, start: time.start, signal: column(name)?, flagged: flagged.clone() };
            timeline.point(path, look, |i| place(name, i))
        }))
    }
}
