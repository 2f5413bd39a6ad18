//! Observations that TOAST 3 has saved (`toast.io.save_hdf5`): a file for each, of version 1 or 2 of its layout.
//!
//! The layout is that of `src/toast/io/observation_hdf_save.py` in TOAST: shared data of all detectors (times, flags,
//! boresight quaternions, angle of a half-wave plate), data of detectors (signal, flags), the focal plane, intervals.
//! Quaternions have the scalar last, and turn detector axes as those of a Dolmen TOD do.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::ops::Range;
use std::path::{Path, PathBuf};

use dolmen_core::Comm;
use dolmen_io::hdf5::{Attribute, Dataset, ElementType, H5File, OpenOptions, Transfer};

use super::copy::{AT_ONCE, Flags, Reals, pieces};
use super::focalplane::{self, Pixel};
use super::given::{COORDINATES, Given, Missing, SAMPLE_RATE, UNITS, refuse_options};
use super::scan::{Scan, describe, group_name};
use crate::config::{Convention, Frame};
use crate::error::{Error, Result};
use crate::quaternion::Quaternion;
use crate::tod::check::invalid;
use crate::tod::{Description, TodWriter};

/// Versions of the layout that are read.
const VERSIONS: [i64; 2] = [1, 2];
const VERSION: &str = "toast_format_version";
/// Names that TOAST gives if it is not told others.
const SIGNAL: &str = "signal";
const BORESIGHT: &str = "boresight_radec";
const TIMES: &str = "shared/times";
const HWP: &str = "shared/hwp_angle";
const SHARED_FLAGS: &str = "shared/flags";
const DETECTOR_FLAGS: &str = "detdata/flags";

/// Data of an observation that are copied.
struct Source {
    signal: String,
    is_single: bool,
    boresight: String,
    /// Angles of the detectors' polarization axes in the focal plane, in rad, if there is a half-wave plate.
    gamma: Option<Vec<f64>>,
    has_flags: bool,
    has_detector_flags: bool,
    /// Flags of whole detectors.
    cut: Vec<i64>,
}

/// Imports observations, a file each.
///
/// # Collective
pub(super) fn import(
    comm: &Comm,
    files: &[PathBuf],
    output: &Path,
    given: &Given,
    options: &OpenOptions,
) -> Result<Description> {
    let only_fits = [
        ("--observation", given.observation.is_some()),
        ("--angle-unit", given.angle_unit.is_some()),
        ("--psi-convention", given.psi_convention.is_some()),
    ];
    let what =
        "is of FITS tables only: an observation of TOAST has a name, and quaternions say how angles grow; leave it out";
    refuse_options(&files[0], &only_fits, what)?;
    let (mut scans, mut sources) = (Vec::new(), Vec::new());
    for path in files {
        let file = H5File::open_with(comm, path, options)?;
        let (scan, source) = look(&file, given)?;
        scans.push(scan);
        sources.push(source);
        file.close()?;
    }
    let names: Vec<&str> =
        scans.iter().flat_map(|scan: &Scan| &scan.detectors).map(|detector| detector.name.as_str()).collect();
    given.require_matches(&files[0], &names)?;
    let (description, orders) = describe(output, &scans)?;
    let writer = TodWriter::create(comm, output, &description)?;
    for (number, (source, order)) in sources.iter().zip(&orders).enumerate() {
        let file = H5File::open_with(comm, &files[number], options)?;
        Copier { file: &file, source, order }.observation(comm, &writer, &description, number)?;
        file.close()?;
    }
    writer.close()?;
    Ok(description)
}

/// Reads what a file says, apart from samples.
fn look(file: &H5File, given: &Given) -> Result<(Scan, Source)> {
    require_version(file)?;
    let path = file.path();
    let detectors: Vec<String> = json(file, "observation_detectors")?;
    let (signal, boresight) = (signal(file, given)?, boresight(file, given)?);
    let samples = samples(file, &signal, detectors.len())?;
    require_shapes(file, &boresight, detectors.len() as u64, samples)?;
    let units = match file.attribute(&signal, "units")? {
        Some(Attribute::Text(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    };
    let units = given.units.clone().or(units);
    let pixels = focalplane::read(file, &detectors, units.as_deref())?;
    let mut missing = Missing::default();
    let detector = |(row, (name, pixel)): (usize, (&String, &Pixel))| {
        given.detector(name, pixel.quaternion, &pixel.said, row, &mut missing)
    };
    let described = detectors.iter().zip(&pixels).enumerate().map(detector).collect();
    let celestial = (boresight == format!("shared/{BORESIGHT}")).then_some(Frame::C);
    let scan = Scan {
        path: path.to_owned(),
        name: group_name(&file.attribute_text("/", "observation_name")?),
        frame: missing.require_or(given.coordinates.or(celestial), Frame::C, COORDINATES),
        convention: Convention::Cosmo,
        units: missing.require(units, UNITS),
        sample_rate: missing.require(sample_rate(file, given, samples)?, SAMPLE_RATE),
        samples,
        intervals: intervals(file, given, samples)?,
        detectors: described,
    };
    missing.require_none(path, &scan.name)?;
    let source = Source {
        is_single: matches!(file.dataset(&signal)?.element_type(), ElementType::Float { bytes: 4, .. }),
        signal,
        boresight,
        gamma: file.exists(HWP).then(|| gamma(path, &detectors, &pixels)).transpose()?,
        has_flags: file.exists(SHARED_FLAGS),
        has_detector_flags: file.exists(DETECTOR_FLAGS),
        cut: cuts(file, &detectors)?,
    };
    Ok((scan, source))
}

fn require_version(file: &H5File) -> Result<()> {
    let what = match (file.attribute("/", VERSION)?, file.attribute("/", "format")?) {
        (Some(Attribute::Integer(version)), _) if VERSIONS.contains(&version) => return Ok(()),
        (Some(Attribute::Integer(version)), _) => {
            format!(
                "has version {version} of TOAST's layout, but 1 and 2 are read; save the observation with another TOAST 3"
            )
        }
        (_, Some(Attribute::Text(format))) if format == "dolmen-tod" => {
            "has the format of the map-maker already; name it in input.tod".into()
        }
        _ => format!("is no observation that TOAST 3 has saved: attribute {VERSION} is missing"),
    };
    Err(invalid(file.path(), "/", what))
}

/// Reads an attribute of the file whose text is JSON.
fn json<T: serde::de::DeserializeOwned>(file: &H5File, name: &str) -> Result<T> {
    let text = file.attribute_text("/", name)?;
    let wrong =
        |error| invalid(file.path(), format!("/: attribute {name}"), format!("is not the expected JSON: {error}"));
    serde_json::from_str(&text).map_err(wrong)
}

/// Returns the name of the dataset of the signal.
fn signal(file: &H5File, given: &Given) -> Result<String> {
    let name = given.signal.as_deref().unwrap_or(SIGNAL);
    let place = format!("detdata/{name}");
    if !file.exists(&place) {
        let what = format!("does not exist; give --signal NAME (there are: {})", file.children("detdata")?.join(", "));
        return Err(invalid(file.path(), place, what));
    }
    for name in [place.as_str(), DETECTOR_FLAGS] {
        // Either version has a group in place of the dataset.
        if ["compressed", "stream_starts"].iter().any(|part| file.exists(&format!("{name}/{part}"))) {
            let what =
                "is compressed by FLAC, which is not read; load the observation with TOAST, and save it uncompressed";
            return Err(invalid(file.path(), name, what));
        }
    }
    Ok(place)
}

/// Returns the name of the dataset of the boresight.
fn boresight(file: &H5File, given: &Given) -> Result<String> {
    let place = format!("shared/{}", given.boresight.as_deref().unwrap_or(BORESIGHT));
    if file.exists(&place) {
        return Ok(place);
    }
    let mut names = file.children("shared")?;
    names.retain(|name| name.starts_with("boresight"));
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let what =
        format!("does not exist; give --boresight NAME of quaternions in the frame of the map (there are: {there})");
    Err(invalid(file.path(), place, what))
}

/// Returns the number of samples of each detector.
fn samples(file: &H5File, signal: &str, detectors: usize) -> Result<u64> {
    let [rows, samples] = file.dataset(signal)?.dimensions()?;
    if rows == detectors as u64 && samples > 0 {
        return Ok(samples);
    }
    let what = format!("has shape ({rows}, {samples}), expected ({detectors} detectors, samples)");
    Err(invalid(file.path(), signal, what))
}

/// Refuses data that do not have the signal's samples.
fn require_shapes(file: &H5File, boresight: &str, detectors: u64, samples: u64) -> Result<()> {
    for shared in [TIMES, SHARED_FLAGS, HWP] {
        require_shape(file, shared, &[samples])?;
    }
    require_shape(file, boresight, &[samples, 4])?;
    require_shape(file, DETECTOR_FLAGS, &[detectors, samples])
}

/// Returns the flags of detectors that hold for all their samples. Version 1 of the layout has none.
fn cuts(file: &H5File, detectors: &[String]) -> Result<Vec<i64>> {
    let cuts: HashMap<String, i64> = match file.attribute("/", "observation_detector_flags")? {
        Some(_) => json(file, "observation_detector_flags")?,
        None => HashMap::new(),
    };
    Ok(detectors.iter().map(|name| cuts.get(name).copied().unwrap_or(0)).collect())
}

fn require_shape(file: &H5File, name: &str, expected: &[u64]) -> Result<()> {
    if !file.exists(name) {
        return Ok(());
    }
    let dataset = file.dataset(name)?;
    if dataset.shape() == expected {
        return Ok(());
    }
    let what = format!("has shape {:?}, expected {expected:?} as the signal has", dataset.shape());
    Err(invalid(file.path(), name, what))
}

/// Returns the angles from which the turning of the polarization by a half-wave plate counts.
fn gamma(path: &Path, detectors: &[String], pixels: &[Pixel]) -> Result<Vec<f64>> {
    let angle = |(name, pixel): (&String, &Pixel)| {
        pixel.gamma.ok_or_else(|| {
            let what = format!(
                "turns the polarization of {name}, whose angle in the focal plane is not known: {} has no column gamma with a \
                 unit of angles",
                focalplane::TABLE
            );
            invalid(path, HWP, what)
        })
    };
    detectors.iter().zip(pixels).map(angle).collect()
}

/// Returns the rate of the samples' times, if there are times.
fn sample_rate(file: &H5File, given: &Given, samples: u64) -> Result<Option<f64>> {
    if given.sample_rate.is_some() || samples < 2 || !file.exists(TIMES) {
        return Ok(given.sample_rate);
    }
    let times = file.dataset(TIMES)?;
    let at = |sample: u64| Ok::<f64, Error>(times.read_slab::<f64>(&[sample], &[1])?[0]);
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let steps = (samples - 1) as f64;
    Ok(Some(steps / (at(samples - 1)? - at(0)?)))
}

/// Returns the ranges of samples of the intervals that are chosen; all samples if none are.
fn intervals(file: &H5File, given: &Given, samples: u64) -> Result<Vec<Range<u64>>> {
    let Some(name) = &given.intervals else { return Ok(std::iter::once(0..samples).collect()) };
    let place = format!("intervals/{name}");
    if !file.exists(&place) {
        let there = if file.exists("intervals") { file.children("intervals")?.join(", ") } else { "none".into() };
        return Err(invalid(file.path(), place, format!("does not exist; --intervals has the choice of: {there}")));
    }
    let dataset = file.dataset(&place)?;
    let [2, count] = dataset.dimensions()? else {
        return Err(invalid(file.path(), place, format!("has shape {:?}, expected (2, k)", dataset.shape())));
    };
    let spans = dataset.read_slab::<f64>(&[0, 0], &[2, count])?;
    let (starts, stops) = spans.split_at(spans.len() / 2);
    let mut bounds: Vec<f64> = starts.iter().zip(stops).flat_map(|(start, stop)| [*start, *stop]).collect();
    for i in 1..bounds.len() {
        // TOAST takes times as the same that differ by rounding.
        if bounds[i - 1] > bounds[i] && bounds[i - 1] - bounds[i] <= 1e-12 * bounds[i].abs() {
            bounds[i - 1] = bounds[i];
        }
        if bounds[i - 1].partial_cmp(&bounds[i]).is_none_or(std::cmp::Ordering::is_gt) {
            let what = format!(
                "has the times {} and {} one after the other, expected ascending times",
                bounds[i - 1],
                bounds[i]
            );
            return Err(invalid(file.path(), place, what));
        }
    }
    let ranges = ranges(file, &bounds, samples)?;
    if ranges.is_empty() {
        return Err(invalid(
            file.path(),
            place,
            "has no interval with samples; choose others, or leave --intervals out",
        ));
    }
    Ok(ranges)
}

/// Returns the samples between each pair of times: from the first on that is not before the one, to the last before the
/// other. As in TOAST, the last sample of all belongs to the interval that ends there, or to the first of two that do.
fn ranges(file: &H5File, bounds: &[f64], samples: u64) -> Result<Vec<Range<u64>>> {
    let times = file.dataset(TIMES)?;
    let mut positions = Vec::with_capacity(bounds.len());
    let (mut start, mut first, mut last) = (0, f64::NAN, f64::NAN);
    while start < samples {
        let piece = times.read_slab::<f64>(&[start], &[AT_ONCE.min(samples - start)])?;
        while let Some(bound) = bounds.get(positions.len()) {
            let before = piece.partition_point(|time| time < bound);
            if before == piece.len() {
                break;
            }
            positions.push(start + before as u64);
        }
        first = if start == 0 { piece[0] } else { first };
        last = piece[piece.len() - 1];
        start += piece.len() as u64;
    }
    positions.resize(bounds.len(), samples);
    let pairs = bounds.as_chunks::<2>().0.iter().zip(positions.as_chunks::<2>().0);
    let overlapping = pairs.filter(|([start, stop], _)| *start < last && *stop > first);
    let range = |(_, &[start, end]): (_, &[u64; 2])| start..if end + 1 == samples { samples } else { end };
    let mut end = 0;
    let apart = overlapping.map(range).map(|range| {
        let start = range.start.max(end);
        end = end.max(range.end);
        start..range.end
    });
    Ok(apart.filter(|range| range.start < range.end).collect())
}

/// Copying of an observation.
struct Copier<'s> {
    file: &'s H5File,
    source: &'s Source,
    /// The file's row of each detector.
    order: &'s [usize],
}

/// Flags of each detector: those of the file, if it has them, and the new ones.
type OwnFlags<'s, 'w> = (Option<Dataset<'s>>, Flags<'w>);

/// Datasets of an observation that are open, and those to which they are copied.
struct Streams<'w> {
    boresight: Dataset<'w>,
    looks: Looks<'w>,
    signal: (Dataset<'w>, Reals<'w>),
    flags: Option<(Dataset<'w>, Flags<'w>)>,
    own: Option<OwnFlags<'w, 'w>>,
}

/// Pointing as it is written.
enum Looks<'w> {
    /// One attitude for all detectors.
    Boresight(Dataset<'w>),
    /// Theta, phi and psi of each detector, behind a half-wave plate.
    Angles { datasets: Box<[Reals<'w>; 3]>, plate: Dataset<'w>, gamma: &'w [f64] },
}

impl<'s> Copier<'s> {
    fn open(&self, name: &str) -> Result<Dataset<'s>> {
        Ok(self.file.dataset(name)?.with_transfer(Transfer::Independent))
    }

    /// # Collective
    fn observation(&self, comm: &Comm, writer: &TodWriter, description: &Description, number: usize) -> Result<()> {
        let (source, observation) = (self.source, &description.observations[number]);
        let (name, samples) = (observation.name.as_str(), observation.samples);
        let shape = [self.order.len() as u64, samples];
        let looks = match &source.gamma {
            None => Looks::Boresight(writer.dataset::<f64>(name, "boresight", &[samples, 4])?),
            Some(gamma) => {
                let create = |dataset: &str| Reals::create(writer, name, dataset, &shape, false);
                let datasets = Box::new([create("theta")?, create("phi")?, create("psi")?]);
                Looks::Angles { datasets, plate: self.open(HWP)?, gamma }
            }
        };
        let streams = Streams {
            boresight: self.open(&source.boresight)?,
            looks,
            signal: (self.open(&source.signal)?, Reals::create(writer, name, "signal", &shape, source.is_single)?),
            flags: source.has_flags.then(|| self.flags(writer, name, samples)).transpose()?,
            own: self.detector_flags(writer, name, &shape)?,
        };
        let mounts: Vec<Quaternion> = description.detectors.iter().map(|detector| detector.quaternion).collect();
        let mut times = pieces(comm, samples, AT_ONCE);
        comm.agree(times.try_for_each(|time| self.piece(&streams, &mounts, &time)))
    }

    /// Copies a stretch of time.
    fn piece(&self, streams: &Streams<'_>, mounts: &[Quaternion], time: &Range<u64>) -> Result<()> {
        let count = time.end - time.start;
        if let Some((from, to)) = &streams.flags {
            to.write(&[time.start], &[count], &read_flags(from, &[time.start], &[count])?)?;
        }
        let attitudes = streams.boresight.read_slab::<f64>(&[time.start, 0], &[count, 4])?;
        let plate = match &streams.looks {
            Looks::Boresight(dataset) => {
                dataset.write_slab(&[time.start, 0], &[count, 4], &attitudes)?;
                Vec::new()
            }
            Looks::Angles { plate, .. } => plate.read_slab::<f64>(&[time.start], &[count])?,
        };
        for (row, &place) in self.order.iter().enumerate() {
            let (start, size) = ([place as u64, time.start], [1, count]);
            let (from, to) = &streams.signal;
            to.write(row, time.start, &from.read_slab::<f64>(&start, &size)?)?;
            if let Some((from, to)) = &streams.own {
                let cut = self.source.cut[place];
                let flags = match from {
                    Some(from) => read_flags(from, &start, &size)?.into_iter().map(|flag| flag | cut).collect(),
                    None => vec![cut; attitudes.len() / 4],
                };
                to.write(&[row as u64, time.start], &size, &flags)?;
            }
            if let Looks::Angles { datasets, gamma, .. } = &streams.looks {
                let angles = behind_plate(&attitudes, mounts[row], &plate, gamma[place]);
                datasets.iter().zip(&angles).try_for_each(|(to, angles)| to.write(row, time.start, angles))?;
            }
        }
        Ok(())
    }

    /// Opens the flags of all detectors, and creates those to which they are copied.
    fn flags<'w>(&self, writer: &'w TodWriter, observation: &str, samples: u64) -> Result<(Dataset<'s>, Flags<'w>)> {
        let from = self.open(SHARED_FLAGS)?;
        let are_bytes = are_bytes(&from);
        Ok((from, Flags::create(writer, observation, "flags", &[samples], are_bytes)?))
    }

    /// Works like [`Copier::flags`] for those of each detector, which may be flagged as a whole.
    fn detector_flags<'w>(
        &self,
        writer: &'w TodWriter,
        observation: &str,
        shape: &[u64],
    ) -> Result<Option<OwnFlags<'s, 'w>>> {
        let cut = &self.source.cut;
        if !self.source.has_detector_flags && cut.iter().all(|&flag| flag == 0) {
            return Ok(None);
        }
        let from = self.source.has_detector_flags.then(|| self.open(DETECTOR_FLAGS)).transpose()?;
        let are_bytes = from.as_ref().is_none_or(are_bytes) && cut.iter().all(|&flag| u8::try_from(flag).is_ok());
        Ok(Some((from, Flags::create(writer, observation, "detector_flags", shape, are_bytes)?)))
    }
}

fn are_bytes(dataset: &Dataset<'_>) -> bool {
    matches!(dataset.element_type(), ElementType::Boolean | ElementType::Integer { bytes: 1, signed: false, .. })
}

fn read_flags(dataset: &Dataset<'_>, start: &[u64], count: &[u64]) -> Result<Vec<i64>> {
    Ok(match are_bytes(dataset) {
        true => dataset.read_slab::<u8>(start, count)?.into_iter().map(i64::from).collect(),
        false => dataset.read_slab::<i64>(start, count)?,
    })
}

/// Returns theta, phi and psi of a detector behind a half-wave plate at the angles `plate`, measured from the x axis of the
/// focal plane as `gamma` is. With the plate's fast axis at `omega = psi + plate - gamma` on the sky, the polarization
/// that is measured lies at `2 omega - psi`.
fn behind_plate(attitudes: &[f64], mount: Quaternion, plate: &[f64], gamma: f64) -> [Vec<f64>; 3] {
    let mut angles = [const { Vec::new() }; 3];
    for (attitude, plate) in attitudes.as_chunks::<4>().0.iter().zip(plate) {
        let (theta, phi, psi) = (Quaternion::from(*attitude) * mount).direction_and_angle();
        let values = [theta, phi, (psi + 2.0 * (plate - gamma)) % TAU];
        angles.iter_mut().zip(values).for_each(|(list, value)| list.push(value));
    }
    angles
}
