//! `mapmaker simulate`: the timelines that a satellite would have of a known sky.
//!
//! Intervals of stationary noise are spread over the ranks. Attitude, noise and sky are functions
//! of the sample's number alone (counter-based random numbers), so the file is the same on any
//! number of ranks.

pub mod noise;
pub mod scan;
pub mod sky;

use std::ops::Range;
use std::path::{Path, PathBuf};

use dolmen_common::files::keep_inputs;
use dolmen_core::random::Philox;
use dolmen_core::text::shown;
use dolmen_core::{Comm, ExchangePlan, IndexMap, Layout};
use dolmen_io::fits::{
    ColumnData, Coordinates, MapColumn, MapFile, MapHeader, PolarizationConvention, UNSEEN, write_map,
};
use dolmen_io::open_on_all_ranks;

use crate::baselines::cut;
use crate::config::{Convention, Frame, SimulateConfig};
use crate::error::{Error, Result};
use crate::healpix::{Healpix, Ordering};
use crate::memory::{amount, require};
use crate::quaternion::Quaternion;
use crate::tod::{Description, Detector, Observation, ObservationWriter, TodWriter};
use crate::units::kelvins;
use noise::{DriftGenerator, NoiseModel, white_noise};
use scan::focal_plane;
use sky::SyntheticSky;

/// The sky that is scanned: I, Q, U of each owned pixel, interleaved, in K.
struct Sky {
    grid: Healpix,
    layout: Layout,
    stokes: Vec<f64>,
    frame: Frame,
}

/// Result of a simulation.
pub struct Simulated {
    /// Samples over all detectors.
    pub samples: u64,
    /// The sky that was scanned, as a map in kelvin.
    pub sky: PathBuf,
}

/// Writes simulated timelines to `output`, and the sky they saw beside it, where it replaces
/// `NAME_sky.fits`. Without a sky map, a synthetic sky takes its place.
///
/// # Collective
///
/// # Errors
/// The sky map cannot be read, has holes or would be overwritten; samples or memory overflow; the
/// output cannot be written.
pub fn simulate(comm: &Comm, config: &SimulateConfig, sky: Option<&Path>, output: &Path) -> Result<Simulated> {
    let [_, sky_path] = &outputs(output);
    keep_inputs(comm, &sky.into_iter().collect::<Vec<_>>(), &outputs(output))?;
    let sky = match sky {
        Some(path) => read(comm, config, path)?,
        None => synthesize(comm, config)?,
    };
    let description = describe(config, sky.frame, output);
    require_interval(comm, config, &description)?;
    let writer = TodWriter::create(comm, output, &description)?;
    let observation = writer.observation(&description, 0)?;
    let scanner = Scanner { config, sky, description: &description, random: Philox::new(config.seed) };
    let intervals = &description.observations[0].intervals;
    let tasks = Layout::uniform(comm, intervals.len() as u64);
    // As many rounds as the first rank has intervals, so that all take part in each exchange.
    let rounds = tasks.blocks().range(0).end;
    for round in 0..rounds {
        let number = tasks.range().start + round;
        let mine = tasks.range().contains(&number);
        let mine = mine.then(|| usize::try_from(number).expect("invariant: the intervals are in memory"));
        scanner.write_interval(comm, mine.map(|i| (i, intervals[i].clone())), &observation)?;
    }
    drop(observation);
    write_sky(&scanner.sky, sky_path)?;
    writer.close()?;
    let samples = description.observations[0].samples * description.detectors.len() as u64;
    Ok(Simulated { samples, sky: sky_path.clone() })
}

/// Refuses an interval whose samples cannot be held at once.
fn require_interval(comm: &Comm, config: &SimulateConfig, description: &Description) -> Result<()> {
    // Of a sample: its attitude, four times as many numbers for the drifts on twice the interval,
    // its signal, and a pixel and an angle for each detector.
    let bytes = 8 * (4 + 4 * 2 + 1 + 2 * description.detectors.len());
    let observation = &description.observations[0];
    let longest = observation.intervals.first().map_or(0, |interval| interval.end - interval.start);
    let needed = bytes as f64 * longest as f64;
    let busy = comm.rank() < observation.intervals.len();
    let what = format!("simulate.interval = {} needs {} for an interval", config.interval, amount(needed));
    require(comm, if busy { needed } else { 0.0 }, &what)
}

/// Refuses a sky of more pixels than the memory holds, in the file's form and in memory's.
fn require_sky(comm: &Comm, layout: &Layout, name: &str) -> Result<()> {
    let bytes = (2 * 3 * size_of::<f64>()) as f64;
    let what = format!("{name} needs {} for the sky", amount(bytes * layout.global_len() as f64));
    require(comm, bytes * layout.local_len() as f64, &what)
}

/// Returns the files that a simulation writes: the timelines, and beside them the sky.
pub fn outputs(output: &Path) -> [PathBuf; 2] {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push("_sky.fits");
    [output.to_owned(), output.with_file_name(name)]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
fn count(seconds: f64, rate: f64) -> u64 {
    ((seconds * rate).round() as u64).max(1)
}

fn describe(config: &SimulateConfig, frame: Frame, output: &Path) -> Description {
    let samples = count(config.hours * 3600.0, config.sample_rate);
    let step = count(config.interval * 3600.0, config.sample_rate);
    let plane = focal_plane();
    let count_of_detectors = plane.len();
    let detectors = (0..).zip(plane).map(|(row, detector)| Detector {
        name: detector.name,
        net: config.net,
        fknee: config.fknee,
        alpha: config.alpha,
        fmin: config.fmin,
        quaternion: detector.quaternion,
        efficiency: 1.0,
        origin: (0, row),
    });
    Description {
        files: vec![output.to_owned()],
        detectors: detectors.collect(),
        observations: vec![Observation {
            name: "scan".into(),
            file: 0,
            detectors: (0..count_of_detectors).collect(),
            sample_rate: config.sample_rate,
            samples,
            intervals: cut(std::slice::from_ref(&(0..samples)), step),
        }],
        convention: Convention::Cosmo,
        frame,
        units: "K_CMB".into(),
    }
}

fn read(comm: &Comm, config: &SimulateConfig, path: &Path) -> Result<Sky> {
    open_on_all_ranks(comm, path)?;
    let opened = || -> Result<(MapFile, Healpix)> {
        let file = MapFile::open(path)?;
        file.require_known_words()?;
        let grid = Healpix::new(file.header().nside, file.header().ordering).expect("invariant: checked on opening");
        match file.columns().count() {
            0..3 => {
                Err(Error::File { path: path.to_owned(), what: "a sky to scan needs three columns: I, Q and U".into() })
            }
            _ => Ok((file, grid)),
        }
    };
    let (file, grid) = comm.agree(opened())?;
    let layout = Layout::uniform(comm, grid.pixel_count());
    require_sky(comm, &layout, &shown(path))?;
    let sign = if file.header().polarization == Some(PolarizationConvention::Iau) { -1.0 } else { 1.0 };
    let units: Vec<f64> = file.columns().map(|(_, unit)| kelvins(unit).unwrap_or(config.sky_unit)).collect();
    let factors = [units[0], units[1], sign * units[2]];
    let mut stokes = vec![0.0; 3 * layout.local_len()];
    for (column, factor) in factors.into_iter().enumerate() {
        let values = comm.agree(file.read(column, layout.range()))?;
        let hole = values.iter().position(|&value| value == UNSEEN || !value.is_finite());
        comm.agree(hole.map_or(Ok(()), |pixel| {
            let what = format!(
                "pixel {} has no value; a simulation needs a map without gaps",
                layout.range().start + pixel as u64
            );
            Err(Error::File { path: path.to_owned(), what })
        }))?;
        for (slot, value) in stokes.iter_mut().skip(column).step_by(3).zip(values) {
            *slot = factor * value;
        }
    }
    let frame = match file.header().coordinates {
        Some(Coordinates::Celestial) => Frame::C,
        Some(Coordinates::Galactic) => Frame::G,
        Some(Coordinates::Ecliptic) => Frame::E,
        None => config.frame,
    };
    Ok(Sky { grid, layout, stokes, frame })
}

fn synthesize(comm: &Comm, config: &SimulateConfig) -> Result<Sky> {
    let grid = Healpix::new(config.sky_nside, Ordering::Ring).expect("invariant: validated");
    let layout = Layout::uniform(comm, grid.pixel_count());
    require_sky(comm, &layout, &format!("simulate.sky_nside = {}", config.sky_nside))?;
    let sky = SyntheticSky::new(config.seed);
    let direction = |pixel| grid.direction(pixel).expect("invariant: a pixel of the grid");
    let stokes = layout.range().flat_map(|pixel| {
        let (theta, phi) = direction(pixel);
        sky.stokes(theta, phi)
    });
    Ok(Sky { grid, stokes: stokes.collect(), layout: layout.clone(), frame: config.frame })
}

fn write_sky(sky: &Sky, path: &Path) -> Result<()> {
    let header = MapHeader {
        nside: sky.grid.nside(),
        ordering: sky.grid.ordering(),
        coordinates: Some(sky.frame.coordinates()),
        polarization: Some(PolarizationConvention::Cosmo),
        history: vec!["Sky of simulated timelines".into()],
    };
    let component = |i: usize| sky.stokes.iter().skip(i).step_by(3).copied().collect::<Vec<f64>>();
    let parts = [component(0), component(1), component(2)];
    let names = ["I_STOKES", "Q_STOKES", "U_STOKES"];
    let columns: Vec<MapColumn<'_>> = names
        .iter()
        .zip(&parts)
        .map(|(name, values)| MapColumn { name, unit: "K_CMB", data: ColumnData::F64(values) })
        .collect();
    Ok(write_map(&sky.layout, path, &header, &columns)?)
}

/// Sources of an interval's samples.
struct Scanner<'a> {
    config: &'a SimulateConfig,
    sky: Sky,
    description: &'a Description,
    random: Philox,
}

impl Scanner<'_> {
    /// Computes and writes one interval, or takes part in the exchange of the others' skies.
    fn write_interval(
        &self,
        comm: &Comm,
        interval: Option<(usize, Range<u64>)>,
        writer: &ObservationWriter<'_>,
    ) -> Result<()> {
        let time = interval.as_ref().map_or(0..0, |(_, time)| time.clone());
        let scan = self.config.scan();
        let boresight: Vec<Quaternion> = time.clone().map(|sample| scan.boresight(sample)).collect();
        let detectors = &self.description.detectors;
        let looks: Vec<Vec<(u64, f64)>> = detectors
            .iter()
            .map(|detector| boresight.iter().map(|&turn| self.look(turn, detector)).collect())
            .collect();
        let seen = comm.agree(IndexMap::new(looks.iter().flatten().map(|look| look.0).collect()))?;
        let plan = ExchangePlan::new(&self.sky.layout, &seen)?;
        let stokes = plan.start_import(&self.sky.stokes, 3).finish();
        let write = || -> Result<()> {
            let Some((number, time)) = &interval else {
                return Ok(());
            };
            writer.write_boresight(time, &boresight)?;
            let mut drifts = DriftGenerator::new(boresight.len(), self.config.sample_rate);
            for (detector, looks) in looks.iter().enumerate() {
                let mut signal = self.noise(&mut drifts, detector, *number, time);
                for (value, &(pixel, psi)) in signal.iter_mut().zip(looks) {
                    let position = seen.global_to_local(pixel).expect("invariant: the map holds all pixels seen");
                    let [i, q, u] = stokes.as_chunks::<3>().0[dolmen_core::index::at(position)];
                    let (sin, cos) = (2.0 * psi).sin_cos();
                    *value += i + detectors[detector].efficiency * (q * cos + u * sin);
                }
                #[expect(clippy::cast_possible_truncation, reason = "timelines are stored in single precision")]
                let single: Vec<f32> = signal.iter().map(|&value| value as f32).collect();
                if !single.iter().all(|value| value.is_finite()) {
                    return Err(Error::Unbounded);
                }
                writer.write_signal(detector, time, &single)?;
            }
            Ok(())
        };
        comm.agree(write())?;
        Ok(())
    }

    /// Pixel and polarization angle of a detector.
    fn look(&self, boresight: Quaternion, detector: &Detector) -> (u64, f64) {
        let (theta, phi, psi) = (boresight * detector.quaternion).direction_and_angle();
        (self.sky.grid.pixel(theta, phi).expect("invariant: a rotation looks at the sphere"), psi)
    }

    fn noise(&self, drifts: &mut DriftGenerator, detector: usize, interval: usize, time: &Range<u64>) -> Vec<f64> {
        let noise = &self.description.detectors[detector];
        let model = NoiseModel { net: noise.net, f_knee: noise.fknee, alpha: noise.alpha, f_min: noise.fmin };
        let small = |number: usize| u32::try_from(number).expect("invariant: a short list");
        let drift = drifts.drift(&self.random, &model, small(detector), small(interval));
        let mut signal = vec![0.0; drift.len()];
        white_noise(&self.random, small(detector), time.start, model.sigma(self.config.sample_rate), &mut signal);
        for (value, drift) in signal.iter_mut().zip(drift) {
            *value += drift;
        }
        signal
    }
}
