//! Writing a Dolmen TOD file.

use std::ops::Range;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::hdf5::{Dataset, Element, H5File, Layout, TableColumn, Transfer};

use super::description::{Description, Observation};
use crate::config::{Convention, Frame};
use crate::error::Result;
use crate::quaternion::Quaternion;

/// Bytes of a detector's name in the file, unless one is longer.
const NAME_BYTES: usize = 16;

/// A Dolmen TOD file being written. It appears under its name when it is closed.
pub struct TodWriter {
    file: H5File,
}

/// The datasets of one observation being written.
pub struct ObservationWriter<'w> {
    boresight: Dataset<'w>,
    signal: Dataset<'w>,
}

impl TodWriter {
    /// Starts a file and writes its description.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(comm: &Comm, path: &Path, description: &Description) -> Result<TodWriter> {
        let file = H5File::create(comm, path)?;
        file.write_attribute("/", "format", "dolmen-tod")?;
        file.write_attribute("/", "version", 1)?;
        let convention = match description.convention {
            Convention::Cosmo => "COSMO",
            Convention::Iau => "IAU",
        };
        file.write_attribute("/", "psi_convention", convention)?;
        let frame = match description.frame {
            Frame::C => "C",
            Frame::G => "G",
            Frame::E => "E",
        };
        file.write_attribute("/", "coordinates", frame)?;
        file.write_attribute("/", "units", description.units.as_str())?;
        file.write_table("detectors", &detector_table(description))?;
        for observation in &description.observations {
            let group = format!("observations/{}", observation.name);
            file.create_group(&group)?;
            file.write_attribute(&group, "sample_rate", observation.sample_rate)?;
            file.write_attribute(&group, "start", 0.0)?;
            let bounds: Vec<i64> =
                observation.intervals.iter().flat_map(|i| [i.start.cast_signed(), i.end.cast_signed()]).collect();
            let shape = [observation.intervals.len() as u64, 2];
            let intervals = file.create_dataset::<i64>(&format!("{group}/intervals"), &shape, &Layout::Contiguous)?;
            let rows = if comm.rank() == 0 { shape[0] } else { 0 };
            let mine = if comm.rank() == 0 { bounds.as_slice() } else { &[] };
            intervals.write_slab(&[0, 0], &[rows, 2], mine)?;
        }
        Ok(TodWriter { file })
    }

    /// Creates the datasets of an observation.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be extended.
    pub fn observation(&self, description: &Description, observation: usize) -> Result<ObservationWriter<'_>> {
        let Observation { name, samples, .. } = &description.observations[observation];
        Ok(ObservationWriter {
            boresight: self.dataset::<f64>(name, "boresight", &[*samples, 4])?,
            signal: self.dataset::<f32>(name, "signal", &[description.detectors.len() as u64, *samples])?,
        })
    }

    /// Creates a dataset of an observation, whose slabs ranks write independently of each other.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be extended.
    pub fn dataset<T: Element>(&self, observation: &str, name: &str, shape: &[u64]) -> Result<Dataset<'_>> {
        let name = format!("observations/{observation}/{name}");
        let dataset = self.file.create_dataset::<T>(&name, shape, &Layout::Contiguous)?;
        Ok(dataset.with_transfer(Transfer::Independent))
    }

    /// Brings everything to disk and gives the file its name.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The data could not be written; then there is no new file.
    pub fn close(self) -> Result<()> {
        Ok(self.file.close()?)
    }
}

impl ObservationWriter<'_> {
    /// Writes the attitudes of a stretch of time. Not collective.
    ///
    /// # Errors
    /// The stretch lies outside the observation, or the disk is full.
    pub fn write_boresight(&self, time: &Range<u64>, attitudes: &[Quaternion]) -> Result<()> {
        let values: Vec<f64> = attitudes.iter().flat_map(|q| [q.x, q.y, q.z, q.w]).collect();
        self.boresight.write_slab(&[time.start, 0], &[time.end - time.start, 4], &values)?;
        Ok(())
    }

    /// Writes the signal of one detector over a stretch of time. Not collective.
    ///
    /// # Errors
    /// As [`ObservationWriter::write_boresight`].
    pub fn write_signal(&self, detector: usize, time: &Range<u64>, signal: &[f32]) -> Result<()> {
        self.signal.write_slab(&[detector as u64, time.start], &[1, time.end - time.start], signal)?;
        Ok(())
    }
}

/// Returns the table of detectors as it is in a file.
pub(crate) fn detector_table(description: &Description) -> Vec<(String, TableColumn)> {
    let detectors = &description.detectors;
    let reals = |value: fn(&super::Detector) -> f64| TableColumn::Real(detectors.iter().map(value).collect());
    let names: Vec<String> = detectors.iter().map(|detector| detector.name.clone()).collect();
    let bytes = names.iter().map(String::len).fold(NAME_BYTES, usize::max);
    let quaternions = detectors.iter().flat_map(|d| [d.quaternion.x, d.quaternion.y, d.quaternion.z, d.quaternion.w]);
    [
        ("name", TableColumn::Text { bytes, values: names }),
        ("net", reals(|d| d.net)),
        ("fknee", reals(|d| d.fknee)),
        ("alpha", reals(|d| d.alpha)),
        ("fmin", reals(|d| d.fmin)),
        ("quaternion", TableColumn::Reals { length: 4, values: quaternions.collect() }),
        ("pol_efficiency", reals(|d| d.efficiency)),
    ]
    .map(|(name, column)| (name.to_owned(), column))
    .into()
}
