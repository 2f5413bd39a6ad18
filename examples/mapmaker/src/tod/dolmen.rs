//! The Dolmen TOD format (docs/tod-format.md).

use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use dolmen_io::fits::Ordering;
use dolmen_io::hdf5::{Attribute, Dataset, H5File, TableColumn, Transfer};

use super::angle::{Angle, Angles};
use super::check::{self, Fault, Located, invalid};
use super::description::{Description, Detector, Observation};
use super::flags;
use super::piece::{Piece, Pointing};
use super::timeline::{Timeline, earliest};
use crate::config::{Convention, Frame, InputConfig};
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::quaternion::Quaternion;

/// The version of the format that is read.
const VERSION: i64 = 1;

/// Largest difference of an attitude's squared norm from one.
const UNIT_TOLERANCE: f64 = 1e-6;

/// A Dolmen TOD file.
pub(super) struct DolmenTod {
    pub(super) description: Description,
    /// Fault of each detector, if it has one.
    faults: Vec<Option<Fault>>,
    /// Bits of the shared flags and of those of detectors that count.
    flag_bits: [u64; 2],
}

impl DolmenTod {
    pub(super) fn new(file: &H5File, input: &InputConfig) -> Result<DolmenTod> {
        let path = file.path();
        let text = |name: &str| file.attribute_text("/", name);
        if file.attribute("/", "format")? != Some(Attribute::Text("dolmen-tod".into())) {
            let what = match file.attribute("/", "toast_format_version")? {
                Some(_) => "is an observation that TOAST has saved; import it: mapmaker import FILE --output FILE.h5",
                None => "attribute format is not \"dolmen-tod\", and there is no dst table \"data\"",
            };
            return Err(invalid(path, "/", what));
        }
        let version = file.attribute_i64("/", "version")?;
        if version != VERSION {
            let what = format!("is {version}, but this program reads version {VERSION}");
            return Err(invalid(path, "/: attribute version", what));
        }
        let convention: Convention = parsed(path, "psi_convention", &text("psi_convention")?)?;
        let frame: Frame = parsed(path, "coordinates", &text("coordinates")?)?;
        let units = text("units")?;
        let (mut detectors, mut faults) = detectors(file)?;
        let names = file.children("observations")?;
        if names.is_empty() {
            return Err(invalid(path, "observations", "has no observation"));
        }
        let observations = names.iter().map(|name| observation(file, name, &detectors)).collect::<Result<Vec<_>>>()?;
        if observations.iter().all(|observation| observation.intervals.is_empty()) {
            let what = "has no interval, so there is nothing to map; remove the dataset to use all samples";
            return Err(invalid(path, format!("observations/{}/intervals", names[0]), what));
        }
        for (i, (detector, fault)) in detectors.iter_mut().zip(&mut faults).enumerate() {
            let weight_fault = |observation: &Observation| {
                check::weight_fault(&group(&observation.name), i, detector, observation.sample_rate)
            };
            if fault.is_none() {
                *fault = observations.iter().find_map(weight_fault);
            }
            if fault.is_some() {
                detector.disable();
            }
        }
        let files = vec![path.to_owned()];
        let description = Description { files, detectors, observations, convention, frame, units };
        let flag_bits = [input.flag_bits, input.detector_flag_bits].map(|bits| bits.unwrap_or(flags::ALL));
        Ok(DolmenTod { description, faults, flag_bits })
    }

    /// Returns the name of the file.
    fn path(&self) -> &Path {
        &self.description.files[0]
    }

    /// Opens an observation in the open file.
    pub(super) fn reader<'t>(&'t self, file: &'t H5File, observation: usize) -> Result<DolmenReader<'t>> {
        let group = group(&self.description.observations[observation].name);
        let open = |name: &str| -> Result<Dataset<'t>> {
            Ok(file.dataset(&format!("{group}/{name}"))?.with_transfer(Transfer::Independent))
        };
        let optional = |name: &str| match file.exists(&format!("{group}/{name}")) {
            true => open(name).map(Some),
            false => Ok(None),
        };
        let samples = self.description.observations[observation].samples;
        let reader = DolmenReader {
            tod: self,
            signal: open("signal")?,
            attitude: attitude(file, &group, &open)?,
            flags: optional("flags")?,
            detector_flags: optional("detector_flags")?,
            angles: Angles::open(file, &group, samples)?,
            group: group.clone(),
        };
        let whole = [self.description.detectors.len() as u64, samples];
        let path = self.path();
        let [shared, own] = self.flag_bits;
        for dataset in reader.flags.iter() {
            check::shape(path, dataset, &[samples])?;
            flags::require_bits(path, dataset, None, shared, "input.flag_bits")?;
        }
        for dataset in reader.detector_flags.iter() {
            flags::require_bits(path, dataset, None, own, "input.detector_flag_bits")?;
        }
        // The signal had this shape when the file was looked at.
        let datasets = std::iter::once(&reader.signal).chain(&reader.detector_flags);
        for dataset in datasets.chain(reader.attitude.by_detector()) {
            check::shape(path, dataset, &whole)?;
        }
        if let Attitude::Boresight(dataset) = &reader.attitude {
            check::shape(path, dataset, &[samples, 4])?;
        }
        Ok(reader)
    }
}

/// Returns the value of a text attribute of the file.
fn parsed<T: FromStr<Err = String>>(path: &Path, name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|what| invalid(path, name, format!("is {text:?}, {what}")))
}

/// Opens the datasets that say where the detectors of an observation look.
fn attitude<'t>(file: &'t H5File, group: &str, open: &dyn Fn(&str) -> Result<Dataset<'t>>) -> Result<Attitude<'t>> {
    if file.exists(&format!("{group}/boresight")) {
        return Ok(Attitude::Boresight(open("boresight")?));
    }
    if file.exists(&format!("{group}/theta")) {
        return Ok(Attitude::Angles { theta: open("theta")?, phi: open("phi")?, psi: open("psi")? });
    }
    if !file.exists(&format!("{group}/pixel")) {
        let what = "has no pointing: expected boresight, or theta, phi and psi, or pixel and psi";
        return Err(invalid(file.path(), group, what));
    }
    let nside = file.attribute_i64(group, "nside")?;
    let ordering = match file.attribute_text(group, "ordering")?.to_ascii_uppercase().as_str() {
        "RING" => Ordering::Ring,
        "NESTED" => Ordering::Nested,
        other => {
            let what = format!("attribute ordering is {other:?}, expected RING or NESTED");
            return Err(invalid(file.path(), group, what));
        }
    };
    let grid = u64::try_from(nside).map_err(|_| "nside is negative".to_owned());
    let grid = grid.and_then(|nside| Healpix::new(nside, ordering).map_err(|error| error.to_string()));
    let grid = grid.map_err(|what| invalid(file.path(), format!("{group}: attribute nside"), what))?;
    Ok(Attitude::Pixels { grid, pixel: open("pixel")?, psi: open("psi")? })
}

/// Returns the name of an observation's group.
fn group(name: &str) -> String {
    format!("observations/{name}")
}

const TABLE: &str = "detectors";

/// Reads the table of detectors, and what is wrong with each.
fn detectors(file: &H5File) -> Result<(Vec<Detector>, Vec<Option<Fault>>)> {
    let columns = file.read_table(TABLE)?;
    let column = |name: &str| {
        let found = columns.iter().find(|(column, _)| column == name).map(|(_, values)| values);
        found.ok_or_else(|| invalid(file.path(), TABLE, format!("has no column {name}")))
    };
    let reals = |name: &str| match column(name)? {
        TableColumn::Real(values) => Ok(values.clone()),
        #[expect(clippy::cast_precision_loss, reason = "HDF5 rounds integers that are read as floats in the same way")]
        TableColumn::Integer(values) => Ok(values.iter().map(|&value| value as f64).collect()),
        _ => Err(invalid(file.path(), format!("{TABLE}.{name}"), "is not a column of numbers")),
    };
    let TableColumn::Text { values: names, .. } = column("name")? else {
        return Err(invalid(file.path(), format!("{TABLE}.name"), "is not a column of strings"));
    };
    let TableColumn::Reals { length: 4, values: quaternions } = column("quaternion")? else {
        return Err(invalid(file.path(), format!("{TABLE}.quaternion"), "is not a column of four numbers"));
    };
    let (net, fknee, alpha, fmin) = (reals("net")?, reals("fknee")?, reals("alpha")?, reals("fmin")?);
    let efficiency = reals("pol_efficiency")?;
    if names.is_empty() {
        return Err(invalid(file.path(), TABLE, "has no detector"));
    }
    let detector = |(i, name): (usize, &String)| {
        let quaternion = unit_quaternion(quaternions, i);
        let detector = Detector {
            name: name.clone(),
            net: net[i],
            fknee: fknee[i],
            alpha: alpha[i],
            fmin: fmin[i],
            quaternion: *quaternion.as_ref().unwrap_or(&Quaternion::IDENTITY),
            efficiency: efficiency[i],
            origin: (0, i),
        };
        let fault = detector_fault(i, &detector, quaternion.err());
        (detector, fault)
    };
    Ok(names.iter().enumerate().map(detector).unzip())
}

/// Returns what is wrong with a row of the table.
fn detector_fault(number: usize, detector: &Detector, quaternion: Option<String>) -> Option<Fault> {
    let fault = |column: &str, what| Some(Fault { place: format!("{TABLE}[{number}].{column}"), what });
    if let Some(what) = quaternion {
        return fault("quaternion", what);
    }
    let (net, efficiency) = (detector.net, detector.efficiency);
    if !(net > 0.0 && net.is_finite()) {
        let what = format!("is {net}, expected a positive noise level, in the unit of the signal times sqrt(s)");
        return fault("net", what + FLAG_INSTEAD);
    }
    if !(0.0..=1.0).contains(&efficiency) {
        let what = format!("is {efficiency}, expected a number between 0 and 1");
        return fault("pol_efficiency", what + FLAG_INSTEAD);
    }
    None
}

/// Advice for detectors that are not used.
const FLAG_INSTEAD: &str = "; or flag all samples of the detector";

/// Returns the quaternion at `index` in a flat list.
fn unit_quaternion(values: &[f64], index: usize) -> std::result::Result<Quaternion, String> {
    let components = [0, 1, 2, 3].map(|i| values[4 * index + i]);
    let quaternion = Quaternion::from(components);
    if (quaternion.norm_squared() - 1.0).abs() <= UNIT_TOLERANCE {
        Ok(quaternion)
    } else {
        Err(format!("is {components:?}, which is not a unit quaternion"))
    }
}

fn observation(file: &H5File, name: &str, detectors: &[Detector]) -> Result<Observation> {
    let group = group(name);
    let signal = file.dataset(&format!("{group}/signal"))?;
    let [rows, samples] = signal.dimensions()?;
    if rows != detectors.len() as u64 || samples == 0 {
        let what = format!("has shape ({rows}, {samples}), expected ({} detectors, samples)", detectors.len());
        return Err(invalid(file.path(), signal.name(), what));
    }
    let sample_rate = file.attribute_f64(&group, "sample_rate")?;
    if !(sample_rate > 0.0 && sample_rate.is_finite()) {
        let what = format!("is {sample_rate}, expected a positive rate in Hz");
        return Err(invalid(file.path(), format!("{group}: attribute sample_rate"), what));
    }
    let intervals = if file.exists(&format!("{group}/intervals")) {
        intervals(file, &format!("{group}/intervals"), samples)?
    } else {
        std::iter::once(0..samples).collect()
    };
    let (name, detectors) = (name.to_owned(), (0..detectors.len()).collect());
    Ok(Observation { name, file: 0, detectors, sample_rate, samples, intervals })
}

fn intervals(file: &H5File, name: &str, samples: u64) -> Result<Vec<Range<u64>>> {
    let dataset = file.dataset(name)?;
    let [count, 2] = dataset.dimensions()? else {
        return Err(invalid(file.path(), name, format!("has shape {:?}, expected (k, 2)", dataset.shape())));
    };
    let bounds = dataset.read_slab::<i64>(&[0, 0], &[count, 2])?;
    let mut intervals: Vec<Range<u64>> = Vec::new();
    for (i, pair) in bounds.chunks_exact(2).enumerate() {
        let bound = |value: i64| u64::try_from(value).ok().filter(|&value| value <= samples);
        match (bound(pair[0]), bound(pair[1])) {
            (Some(start), Some(end)) if start < end && intervals.last().is_none_or(|last| last.end <= start) => {
                intervals.push(start..end);
            }
            _ => {
                let what = format!("is {}..{}, expected ascending ranges within 0..{samples}", pair[0], pair[1]);
                return Err(invalid(file.path(), format!("{name}[{i}]"), what));
            }
        }
    }
    Ok(intervals)
}

/// The datasets that say where detectors look.
enum Attitude<'t> {
    Boresight(Dataset<'t>),
    Angles { theta: Dataset<'t>, phi: Dataset<'t>, psi: Dataset<'t> },
    Pixels { grid: Healpix, pixel: Dataset<'t>, psi: Dataset<'t> },
}

impl<'t> Attitude<'t> {
    /// Datasets with a row for each detector.
    fn by_detector(&self) -> impl Iterator<Item = &Dataset<'t>> {
        match self {
            Attitude::Boresight(_) => [None, None, None],
            Attitude::Angles { theta, phi, psi } => [Some(theta), Some(phi), Some(psi)],
            Attitude::Pixels { pixel, psi, .. } => [Some(pixel), Some(psi), None],
        }
        .into_iter()
        .flatten()
    }
}

/// An observation of a Dolmen TOD file opened for reading.
pub(super) struct DolmenReader<'t> {
    tod: &'t DolmenTod,
    signal: Dataset<'t>,
    attitude: Attitude<'t>,
    flags: Option<Dataset<'t>>,
    detector_flags: Option<Dataset<'t>>,
    angles: Angles<'t>,
    /// Name of the observation's group.
    group: String,
}

impl DolmenReader<'_> {
    /// Refuses an observation without an angle.
    pub(super) fn require_angle(&self, angle: Angle) -> Result<()> {
        self.angles.require(self.path(), &self.group, angle)
    }

    /// Reads an angle over a stretch of time, and checks it where `good` is true.
    pub(super) fn angle(
        &self,
        angle: Angle,
        time: &Range<u64>,
        good: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<f64>, Located> {
        let located = |time, error| Located { time, detector: 0, error };
        let values = self.angles.read(angle, time).map_err(|error| located(time.start, error))?;
        for (i, &value) in values.iter().enumerate() {
            if let Some(what) = check::angle(value).err().filter(|_| good(i)) {
                let sample = time.start + i as u64;
                let place = format!("{}/{}[{sample}]", self.group, angle.dataset());
                return Err(located(sample, invalid(self.path(), place, what)));
            }
        }
        Ok(values)
    }

    fn path(&self) -> &Path {
        self.tod.path()
    }

    pub(super) fn read(&self, healpix: &Healpix, rows: &[usize], time: Range<u64>) -> Result<Vec<Piece>, Located> {
        let unreadable = |error: Error| Located { time: time.start, detector: rows[0], error };
        let len = time.end - time.start;
        let bits = self.tod.flag_bits[0];
        let shared = self.flags.as_ref().map(|flags| flags::read(flags, None, bits, &[time.start], &[len]));
        let shared = shared.transpose().map_err(|error| unreadable(error.into()))?;
        let boresight = match &self.attitude {
            Attitude::Boresight(dataset) => dataset.read_slab::<f64>(&[time.start, 0], &[len, 4]),
            _ => Ok(Vec::new()),
        };
        let boresight = boresight.map_err(|error| unreadable(error.into()))?;
        earliest(rows.iter().map(|&detector| {
            let timeline = self.timeline(detector, &time, shared.as_deref()).map_err(unreadable)?;
            self.point(healpix, timeline, &boresight)
        }))
    }

    fn timeline(&self, detector: usize, time: &Range<u64>, shared: Option<&[bool]>) -> Result<Timeline> {
        let (start, count) = ([detector as u64, time.start], [1, time.end - time.start]);
        let signal = self.signal.read_slab::<f64>(&start, &count)?;
        let read = |flags| flags::read(flags, None, self.tod.flag_bits[1], &start, &count);
        let own = self.detector_flags.as_ref().map(read).transpose()?;
        let flagged = (0..signal.len()).map(|i| [shared, own.as_deref()].into_iter().flatten().any(|f| f[i]));
        Ok(Timeline { detector, start: time.start, flagged: flagged.collect(), signal })
    }

    fn point(&self, healpix: &Healpix, timeline: Timeline, boresight: &[f64]) -> Result<Piece, Located> {
        let (detector, first) = (timeline.detector, timeline.start);
        if let (Some(fault), Some(good)) = (&self.tod.faults[detector], timeline.flagged.iter().position(|bad| !bad)) {
            let error = invalid(self.path(), fault.place.clone(), fault.what.clone());
            return Err(Located { time: first + good as u64, detector, error });
        }
        let (start, count) = ([detector as u64, first], [1, timeline.signal.len() as u64]);
        let place = |dataset: &Dataset<'_>, i: usize| format!("{}[{detector}, {}]", dataset.name(), first + i as u64);
        let bad = |dataset, i, what| invalid(self.path(), place(dataset, i), what);
        let reals = |dataset: &Dataset<'_>| {
            let values = dataset.read_slab::<f64>(&start, &count);
            values.map_err(|error| Located { time: first, detector, error: error.into() })
        };
        let signal = |i| place(&self.signal, i);
        match &self.attitude {
            Attitude::Boresight(dataset) => {
                let mount = self.tod.description.detectors[detector].quaternion;
                let look = |i: usize| {
                    let turn = unit_quaternion(boresight, i).map_err(|what| {
                        invalid(self.path(), format!("{}[{}]", dataset.name(), first + i as u64), what)
                    })?;
                    let (theta, phi, psi) = (turn * mount).direction_and_angle();
                    check::pixel(healpix, theta, phi, psi).map_err(|what| bad(dataset, i, what))
                };
                timeline.point(self.path(), look, signal)
            }
            Attitude::Angles { theta, phi, psi } => {
                let (thetas, phis, psis) = (reals(theta)?, reals(phi)?, reals(psi)?);
                let look =
                    |i: usize| check::pixel(healpix, thetas[i], phis[i], psis[i]).map_err(|what| bad(theta, i, what));
                timeline.point(self.path(), look, signal)
            }
            Attitude::Pixels { grid, pixel, psi } => {
                let pixels = pixel.read_slab::<i64>(&start, &count);
                let pixels = pixels.map_err(|error| Located { time: first, detector, error: error.into() })?;
                let angles = reals(psi)?;
                if grid.nside() < healpix.nside() {
                    let (from, to) = (grid.nside(), healpix.nside());
                    let what = format!("has nside {from}, coarser than map.nside = {to}");
                    let error = invalid(self.path(), pixel.name(), what);
                    return Err(Located { time: first, detector, error });
                }
                let look = |i: usize| {
                    let number = check::coarser_pixel(healpix, grid, pixels[i]).map_err(|what| bad(pixel, i, what))?;
                    let angle = check::angle(angles[i]).map_err(|what| bad(psi, i, what))?;
                    Ok(Pointing { pixel: number, psi: angle })
                };
                timeline.point(self.path(), look, signal)
            }
        }
    }
}
