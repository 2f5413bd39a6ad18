//! `mapmaker noise`: the noise of each detector in each interval, from the data.
//!
//! The sky is subtracted, periodograms of what is left are averaged over bins of frequency, with flagged samples left out
//! ([`window`]), and white and 1/f noise is fitted to them ([`fit`]): for each detector in each interval, and for each detector
//! to the mean over its intervals.
//!
//! A rank has whole series, a detector in an interval. Means over series are sums in fixed point, with the same bits on any
//! number of ranks.

mod fit;
mod plot;
mod tables;
mod window;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use dolmen_common::files::keep_inputs;
use dolmen_core::{Comm, ExchangePlan, Gid, IndexMap, Layout, index::at};
use dolmen_io::fits::UNSEEN;
use dolmen_io::require_writable;
use realfft::RealFftPlanner;

use crate::baselines::Baselines;
use crate::config::{InputConfig, Stokes};
use crate::error::{Error, Result};
use crate::fixed_point::Converter;
use crate::healpix::{Healpix, Ordering};
use crate::output::write_file;
use crate::reading::{Stretch, read_baselines};
use crate::sky::SkyFile;
use crate::tod::{Description, Tod};
use fit::{Mean, NODES, expected, fit, nodes};
use window::{Window, bin_of, frequency};

pub use fit::Fit;

/// The sky that is subtracted.
#[derive(Clone, Debug, PartialEq)]
pub enum Sky {
    /// None: the timelines are noise, or their sky is negligible.
    None,
    /// A map of I, of Q and U, or of all.
    Map(PathBuf),
}

/// Request for an estimate of noise.
pub struct Request {
    /// The timelines.
    pub input: InputConfig,
    /// Stokes parameters, which decide what is read of `dst` tables.
    pub stokes: Stokes,
    /// The sky that is subtracted.
    pub sky: Sky,
    /// Other files that are not to be replaced.
    pub inputs: Vec<PathBuf>,
    /// File to which tables of the noise are written.
    pub write: Option<PathBuf>,
    /// Picture of the spectra.
    pub plot: Option<PathBuf>,
}

impl Sky {
    /// Returns the map of a run in a folder, destriped or else binned.
    ///
    /// # Collective
    /// Rank 0 looks.
    ///
    /// # Errors
    /// There is no map; `config` is named.
    pub fn of_run(comm: &Comm, config: &Path, folder: Option<&Path>) -> Result<Sky> {
        let names = ["map_destriped.fits", "map_binned.fits"];
        let is_there = |name: &&str| folder.is_some_and(|folder| folder.join(name).is_file());
        let found = || names.iter().position(is_there).unwrap_or(names.len());
        let mut number = vec![if comm.rank() == 0 { found() as u64 } else { 0 }];
        comm.broadcast(0, &mut number);
        let name = usize::try_from(number[0]).ok().and_then(|number| names.get(number));
        match (name, folder) {
            (Some(name), Some(folder)) => Ok(Sky::Map(folder.join(name))),
            _ => {
                let what = "there is no map of a run to subtract from the timelines: output.folder has neither \
                            map_destriped.fits nor map_binned.fits; run mapmaker run, or give --sky FILE or --no-sky";
                Err(Error::Config { path: config.to_owned(), line: None, what: what.into() })
            }
        }
    }
}

/// Noise of a detector in an interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The observation.
    pub observation: usize,
    /// The interval of the observation.
    pub interval: usize,
    /// The detector.
    pub detector: usize,
    /// Good samples whose sky is known.
    pub samples: u64,
    /// The fit; none if there are too few samples.
    pub fit: Option<Fit>,
}

/// A spectrum, averaged over the intervals of a detector: two-sided, in the square of the signal's unit times s.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spectrum {
    /// Frequencies in Hz.
    pub frequency: Vec<f64>,
    /// Averaged periodograms.
    pub power: Vec<f64>,
    /// The expectation of these for the fit.
    pub fit: Vec<f64>,
}

/// Noise of detectors.
pub struct Noise {
    /// Description of the timelines.
    pub description: Description,
    /// The fit of each detector to all its intervals; none if there are too few samples.
    pub detectors: Vec<Option<Fit>>,
    /// The spectrum of each detector.
    pub spectra: Vec<Spectrum>,
    /// Detectors in intervals, in the order of intervals.
    pub series: Vec<Series>,
    /// Files that were written.
    pub files: Vec<PathBuf>,
}

/// Estimates the noise of timelines, and writes what is asked for.
///
/// # Collective
///
/// # Errors
/// Bad input, an output that would replace an input, or one that cannot be written; the same on all ranks.
pub fn estimate(comm: &Comm, request: &Request) -> Result<Noise> {
    let outputs: Vec<PathBuf> = request.write.iter().chain(&request.plot).cloned().collect();
    if let [write, plot] = &outputs[..]
        && write == plot
    {
        let what = "cannot be both the tables and the picture of the noise; name two files";
        return Err(Error::File { path: write.clone(), what: what.into() });
    }
    let sky_file = if let Sky::Map(map) = &request.sky { Some(map) } else { None };
    let inputs: Vec<&Path> =
        request.inputs.iter().chain(&request.input.tod).chain(sky_file).map(PathBuf::as_path).collect();
    keep_inputs(comm, &inputs, &outputs)?;
    outputs.iter().try_for_each(|output| require_writable(comm, output))?;
    let tod = Tod::open(comm, &request.input, request.stokes)?;
    let description = tod.description().clone();
    let sky = SkyMap::open(comm, &request.sky, &tod)?;
    let whole = Baselines::new(comm, &description, f64::MAX)?;
    let mut worker = Worker::new(&whole, &description, &sky);
    let mut next = whole.layout().range().start;
    read_baselines(comm, &tod, &whole, &sky.grid, description.convention, |stretch| {
        worker.add(next, &stretch);
        next += 1;
    })?;
    let Worker { series, sums, .. } = worker;
    let means = sums.over_all(comm, &whole);
    let detectors: Vec<Option<Fit>> = means.iter().map(|means| fit(means)).collect();
    let spectra = means.iter().zip(&detectors).map(|(means, fit)| spectrum(means, fit.as_ref())).collect();
    let series = gather(comm, &whole, &description, &series);
    let noise = Noise { description, detectors, spectra, series, files: outputs };
    if let Some(path) = &request.write {
        noise.write(comm, path)?;
    }
    if let Some(path) = &request.plot {
        let written = if comm.rank() == 0 { write_file(path, &noise.picture()) } else { Ok(()) };
        comm.agree(written)?;
    }
    Ok(noise)
}

fn spectrum(means: &[Mean], fit: Option<&Fit>) -> Spectrum {
    Spectrum {
        frequency: means.iter().map(|mean| frequency(mean.number)).collect(),
        power: means.iter().map(|mean| mean.power).collect(),
        fit: means.iter().map(|mean| fit.map_or(f64::NAN, |fit| expected(fit, mean))).collect(),
    }
}

/// The sky at the pixels that this rank's samples hit.
struct SkyMap {
    grid: Healpix,
    /// Pixels that are hit.
    seen: IndexMap,
    /// Stokes parameters of each, interleaved; none without a sky.
    stokes: Vec<[f64; 3]>,
}

impl SkyMap {
    /// Reads the sky where this rank looks.
    ///
    /// # Collective
    fn open(comm: &Comm, sky: &Sky, tod: &Tod) -> Result<SkyMap> {
        let Sky::Map(map) = sky else {
            // One pixel is as good as another.
            let grid = Healpix::new(1, Ordering::Ring).expect("invariant: a power of two");
            let seen = comm.agree(IndexMap::new(Vec::new()))?;
            return Ok(SkyMap { grid, seen, stokes: Vec::new() });
        };
        let description = tod.description();
        let file = SkyFile::open_alone(comm, map)?;
        file.require_frame(description.frame.coordinates(), "the timelines are")?;
        let grid = *file.grid();
        let layout = Layout::uniform(comm, grid.pixel_count());
        let whole = Baselines::new(comm, description, f64::MAX)?;
        let mut pixels: Vec<Gid> = Vec::new();
        read_baselines(comm, tod, &whole, &grid, description.convention, |stretch| {
            stretch.visit(|pixel, _, _, _| pixels.push(pixel));
            pixels.sort_unstable();
            pixels.dedup();
        })?;
        let seen = comm.agree(IndexMap::new(pixels))?;
        let plan = ExchangePlan::new(&layout, &seen)?;
        let first = match file.columns() {
            2 => 1,
            _ => 0,
        };
        let mut stokes = vec![[0.0; 3]; seen.len()];
        for column in 0..file.columns().min(3) {
            let sign = if first + column == 2 { file.sign_of_u(description.convention) } else { 1.0 };
            let factor = sign * file.factor_to(&description.units, column, "the timelines are")?;
            let values = plan.start_import(&file.read(comm, &grid, &layout, column)?, 1).finish();
            for (stokes, &value) in stokes.iter_mut().zip(&*values) {
                stokes[first + column] = if value == UNSEEN { f64::NAN } else { factor * value };
            }
        }
        Ok(SkyMap { grid, seen, stokes })
    }

    /// Returns the signal of the sky in a sample; NaN where it is not known.
    fn look(&self, pixel: u64, cos: f64, sin: f64) -> f64 {
        if self.stokes.is_empty() {
            return 0.0;
        }
        let position = at(self.seen.global_to_local(pixel).expect("invariant: the map holds all pixels seen"));
        let [i, q, u] = self.stokes[position];
        i + cos * q + sin * u
    }
}

/// Estimates for one series of this rank.
struct Local {
    samples: u64,
    fit: Option<Fit>,
}

/// Makes the estimates of this rank's series, one after the other.
struct Worker<'w> {
    baselines: &'w Baselines,
    sky: &'w SkyMap,
    planner: RealFftPlanner<f64>,
    /// Expectations for series without a gap, by sampling rate, length and lowest frequency of drifts.
    made: HashMap<[u64; 3], Rc<Vec<Mean>>>,
    series: Vec<Local>,
    sums: Sums,
    signal: Vec<f64>,
    good: Vec<bool>,
}

impl<'w> Worker<'w> {
    fn new(baselines: &'w Baselines, description: &'w Description, sky: &'w SkyMap) -> Self {
        Worker {
            baselines,
            sky,
            planner: RealFftPlanner::new(),
            made: HashMap::new(),
            series: Vec::new(),
            sums: Sums::new(description, baselines),
            signal: Vec::new(),
            good: Vec::new(),
        }
    }

    /// Adds the next series.
    fn add(&mut self, number: u64, stretch: &Stretch<'_>) {
        self.signal.clear();
        self.good.clear();
        stretch.visit_all(|sample| {
            let less_sky = |(pixel, cos, sin, signal)| signal - self.sky.look(pixel, cos, sin);
            let signal = sample.map_or(f64::NAN, less_sky);
            self.signal.push(signal);
            self.good.push(signal.is_finite());
        });
        let samples = self.good.iter().filter(|good| **good).count() as u64;
        let mut local = Local { samples, fit: None };
        if samples > 1 {
            let mut means = self.expectations(stretch);
            let periodogram = Window::new(&mut self.planner, stretch.rate, &self.good).periodogram(&self.signal);
            means.iter_mut().zip(periodogram).for_each(|(mean, bin)| mean.power = bin.power);
            local.fit = fit(&means);
            if local.fit.is_some() {
                self.sums.add(self.baselines.get(number).detector, &means);
            }
        }
        self.series.push(local);
    }

    /// Returns bins with their expectations, and no power yet.
    fn expectations(&mut self, stretch: &Stretch<'_>) -> Vec<Mean> {
        // Also where the column is not a number.
        let lowest = stretch.detector.fmin.max(0.0);
        let key = [stretch.rate.to_bits(), self.good.len() as u64, lowest.to_bits()];
        let whole = !self.good.contains(&false);
        if let Some(made) = self.made.get(&key).filter(|_| whole) {
            return made.to_vec();
        }
        let mut window = Window::new(&mut self.planner, stretch.rate, &self.good);
        let white = window.expected(|_| 1.0);
        let mut means: Vec<Mean> = white
            .iter()
            .map(|bin| Mean {
                number: bin.number,
                weight: bin.weight,
                power: 0.0,
                white: bin.power,
                drift: [0.0; NODES],
            })
            .collect();
        for (node, alpha) in nodes().into_iter().enumerate() {
            let drift = window.expected(|f| if f == 0.0 { 0.0 } else { f.max(lowest).powf(-alpha) });
            means.iter_mut().zip(drift).for_each(|(mean, bin)| mean.drift[node] = bin.power);
        }
        if whole {
            self.made.insert(key, Rc::new(means.clone()));
        }
        means
    }
}

/// Values that are summed of a bin: the weight, and its products with power, white and drifts.
const VALUES: usize = 3 + NODES;

/// Sums over the series of each detector.
struct Sums {
    first: i32,
    bins: usize,
    /// Terms of this rank: detector, and the values of all bins.
    terms: Vec<(usize, Vec<[f64; VALUES]>)>,
    detectors: usize,
}

impl Sums {
    fn new(description: &Description, baselines: &Baselines) -> Sums {
        let rates = || description.observations.iter().map(|observation| observation.sample_rate);
        let lowest = rates().fold(f64::MAX, f64::min) / baselines.longest();
        let first = bin_of(lowest) - 1;
        let last = bin_of(rates().fold(0.0, f64::max)) + 1;
        let bins = usize::try_from(last - first).expect("invariant: an ascending range");
        Sums { first, bins, terms: Vec::new(), detectors: description.detectors.len() }
    }

    fn add(&mut self, detector: usize, means: &[Mean]) {
        let mut values = vec![[0.0; VALUES]; self.bins];
        for mean in means {
            let bin = usize::try_from(mean.number - self.first).expect("invariant: within the range");
            let terms = [1.0, mean.power, mean.white].into_iter().chain(mean.drift);
            values[bin].iter_mut().zip(terms).for_each(|(value, term)| *value = mean.weight * term);
        }
        self.terms.push((detector, values));
    }

    /// Returns the means of each detector over the series of all ranks.
    ///
    /// # Collective
    fn over_all(self, comm: &Comm, baselines: &Baselines) -> Vec<Vec<Mean>> {
        const DIGITS: usize = 2;
        let width = self.bins * VALUES;
        let mut bounds = vec![0.0f64; self.detectors * width];
        for (detector, values) in &self.terms {
            let own = &mut bounds[detector * width..][..width];
            own.iter_mut().zip(values.as_flattened()).for_each(|(bound, value)| *bound = bound.max(value.abs()));
        }
        comm.all_reduce_max(&mut bounds);
        let converters: Vec<Converter> =
            bounds.iter().map(|&bound| Converter::new(bound, baselines.series_count())).collect();
        let mut sums = vec![[0i64; DIGITS]; bounds.len()];
        for (detector, values) in &self.terms {
            let place = detector * width..(detector + 1) * width;
            let own = sums[place.clone()].iter_mut().zip(&converters[place]);
            own.zip(values.as_flattened()).for_each(|((sum, converter), &value)| converter.add(value, sum));
        }
        comm.all_reduce_sum(sums.as_flattened_mut());
        let value = |i: usize| if bounds[i] == 0.0 { 0.0 } else { converters[i].value(&sums[i]) };
        let mean = |detector: usize, bin: usize| {
            let start = detector * width + bin * VALUES;
            let weight = value(start);
            let number = self.first + i32::try_from(bin).expect("invariant: few bins");
            let of = |i: usize| value(start + i) / weight;
            (weight > 0.0).then(|| Mean {
                number,
                weight,
                power: of(1),
                white: of(2),
                drift: std::array::from_fn(|i| of(3 + i)),
            })
        };
        (0..self.detectors).map(|detector| (0..self.bins).filter_map(|bin| mean(detector, bin)).collect()).collect()
    }
}

/// Numbers of a series that travel.
const FIELDS: usize = 9;

/// Gathers the estimates of all series, for all ranks.
///
/// # Collective
fn gather(comm: &Comm, baselines: &Baselines, description: &Description, local: &[Local]) -> Vec<Series> {
    let packed: Vec<[f64; FIELDS]> = local
        .iter()
        .map(|Local { samples, fit }| {
            let Fit { net, net_error, fknee, fknee_error, alpha, alpha_error, chi_square } = fit.unwrap_or_default();
            let found = if fit.is_some() { 1.0 } else { 0.0 };
            [*samples as f64, found, net, net_error, fknee, fknee_error, alpha, alpha_error, chi_square]
        })
        .collect();
    let mut all: Vec<f64> = comm.gather(0, packed.as_flattened()).into_iter().flatten().flatten().collect();
    comm.broadcast(0, &mut all);
    let series = (0..).zip(all.as_chunks::<FIELDS>().0).map(|(number, fields)| {
        let &[samples, found, net, net_error, fknee, fknee_error, alpha, alpha_error, chi_square] = fields;
        let baseline = baselines.get(number);
        let intervals = &description.observations[baseline.observation].intervals;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count below 2^53")]
        let samples = samples as u64;
        Series {
            observation: baseline.observation,
            interval: intervals.partition_point(|interval| interval.end <= baseline.time.start),
            detector: baseline.detector,
            samples,
            fit: (found == 1.0).then_some(Fit { net, net_error, fknee, fknee_error, alpha, alpha_error, chi_square }),
        }
    });
    series.collect()
}
