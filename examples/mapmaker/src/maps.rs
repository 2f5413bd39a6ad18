//! From timelines to maps in memory: the whole computation of a run, without its output.

use dolmen_core::{Comm, Layout, Snapshot};
use dolmen_io::fits::UNSEEN;
use dolmen_solvers::Monitor;

use crate::baselines::Baselines;
use crate::binning::{Binning, Bound, count_hits};
use crate::config::{Config, Stokes};
use crate::destripe::{Destriper, Offsets};
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::memory::require_map;
use crate::phases::Phases;
use crate::pixel_blocks::{invert, packed_len, rcond};
use crate::pixels::Pixels;
use crate::samples::Samples;
use crate::sky::SkyFile;
use crate::tod::{Description, Tod};

/// Everything that a run computes. Pixel arrays hold the pixels that this rank owns, with
/// [`UNSEEN`] where a pixel is not solved; arrays of several values a pixel are interleaved.
pub struct Maps {
    /// Description of the timelines, by their file.
    pub description: Description,
    /// The pixels and their distribution.
    pub pixels: Pixels,
    /// The baselines and their distribution.
    pub baselines: Baselines,
    /// Stokes parameters a pixel.
    pub width: usize,
    /// Samples of each pixel, flagged ones not counted.
    pub hits: Vec<i64>,
    /// Reciprocal condition number of each pixel's block.
    pub rcond: Vec<f64>,
    /// Inverse block of each pixel, the covariance of white noise: upper triangle by rows.
    pub covariance: Vec<f64>,
    /// The map without destriping.
    pub binned: Vec<f64>,
    /// The destriped map.
    pub destriped: Option<Vec<f64>>,
    /// The offsets that were subtracted from it.
    pub offsets: Option<Offsets>,
    /// The true sky, where the configuration names one.
    pub truth: Option<Vec<f64>>,
    /// Good samples on this rank.
    pub samples: u64,
}

/// Computes the maps of a configuration. The monitor watches the solve for offsets, which may resume from
/// a snapshot.
///
/// # Collective
///
/// # Errors
/// Bad input, or a destriping solve that did not converge or was asked to stop; the same on all ranks.
pub fn make_maps(
    comm: &Comm,
    config: &Config,
    phases: &mut Phases,
    monitor: &mut dyn Monitor<f64>,
    resume: Option<&Snapshot<f64>>,
) -> Result<Maps> {
    require_map(comm, &config.map)?;
    match config.map.stokes {
        Stokes::I => make::<1>(comm, config, phases, monitor, resume),
        Stokes::QU => make::<2>(comm, config, phases, monitor, resume),
        Stokes::IQU => make::<3>(comm, config, phases, monitor, resume),
    }
}

fn make<const N: usize>(
    comm: &Comm,
    config: &Config,
    phases: &mut Phases,
    monitor: &mut dyn Monitor<f64>,
    resume: Option<&Snapshot<f64>>,
) -> Result<Maps> {
    let healpix = Healpix::new(config.map.nside, config.map.ordering).expect("invariant: validated");
    let tod = Tod::open(comm, &config.input, config.map.stokes)?;
    let description = tod.description().clone();
    let baselines = Baselines::new(comm, &description, config.destripe.baseline)?;
    // Everything that can be wrong with the input is found before the long work starts.
    let layout = Layout::uniform(comm, healpix.pixel_count());
    let unmasked = mask(comm, config, &description, &healpix, &layout)?;
    let truth = truth(comm, config, &description, &healpix, &layout)?;
    let read = || Samples::read(comm, &tod, &baselines, healpix, config.map.polarization);
    let (mut samples, pixels) = phases.time("read samples", read)?;
    tod.close()?;

    let hits = count_hits(&pixels, &samples);
    let bound = bounds(comm, config, &hits, &samples)?;
    let blocks =
        phases.time("pixel blocks", || Binning { pixels: &pixels, samples: &samples, bound }.sum_blocks::<N>());
    let (rcond, covariance) = condition::<N>(config, &hits, &blocks);
    let solved: Vec<bool> = covariance.chunks_exact(packed_len(N)).map(|block| block[0] > 0.0).collect();
    check_any_solved(comm, config, &solved)?;
    let used: Vec<bool> = solved.iter().zip(&unmasked).map(|(&solved, &unmasked)| solved && unmasked).collect();
    samples.select(&seen_flags(&pixels, &solved), &seen_flags(&pixels, &used));
    let count = samples.signal.len() as u64;

    let binning = Binning { pixels: &pixels, samples: &samples, bound };
    let destriper = Destriper::<N>::new(binning, baselines.layout(), &covariance);
    let binned = phases.time("bin", || destriper.map(None));
    let mut offsets = None;
    let mut destriped = None;
    if config.destripe.enabled {
        let solution = phases.time("destripe", || destriper.solve(&config.destripe, monitor, resume))?;
        let map = phases.time("bin destriped", || destriper.map(Some(&solution.amplitudes)));
        destriped = Some(hide_unsolved(map, &solved, N));
        offsets = Some(solution);
    }
    let binned = hide_unsolved(binned, &solved, N);
    let covariance = hide_unsolved(covariance, &solved, packed_len(N));
    Ok(Maps {
        description,
        pixels,
        baselines,
        width: N,
        hits,
        rcond,
        covariance,
        binned,
        destriped,
        offsets,
        truth,
        samples: count,
    })
}

/// Bounds on what a pixel holds.
fn bounds(comm: &Comm, config: &Config, hits: &[i64], samples: &Samples) -> Result<Bound> {
    let mut most = [hits.iter().copied().max().unwrap_or(0)];
    comm.all_reduce_max(&mut most);
    let mut weight = [samples.weight.iter().fold(0.0f64, |max, &weight| max.max(weight))];
    comm.all_reduce_max(&mut weight);
    if most == [0] {
        let what = "all samples are flagged, so there is nothing to map; check the flags of the file";
        return Err(Error::File { path: config.input.tod.clone(), what: what.into() });
    }
    #[expect(clippy::cast_precision_loss, reason = "a bound, rounded by one part in 2^53")]
    Ok(Bound { hits: most[0] as f64, weight: weight[0] })
}

/// Condition and inverse of each pixel's block; the inverse is zero where the pixel is not solved.
fn condition<const N: usize>(config: &Config, hits: &[i64], blocks: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let size = packed_len(N);
    let mut conditions = Vec::with_capacity(hits.len());
    let mut inverses = Vec::with_capacity(blocks.len());
    for (&hits, block) in hits.iter().zip(blocks.chunks_exact(size)) {
        let rcond = rcond::<N>(block);
        conditions.push(rcond);
        let enough = hits.unsigned_abs() >= config.map.min_hits && rcond >= config.map.rcond_min;
        match invert::<N>(block) {
            Some(inverse) if enough => inverses.extend(inverse),
            _ => inverses.extend(std::iter::repeat_n(0.0, size)),
        }
    }
    (conditions, inverses)
}

fn check_any_solved(comm: &Comm, config: &Config, solved: &[bool]) -> Result<()> {
    let mut any = [u64::from(solved.contains(&true))];
    comm.all_reduce_max(&mut any);
    if any == [1] {
        return Ok(());
    }
    let what = format!(
        "no pixel can be solved for: none has {} hits and a condition of at least map.rcond_min = {}; \
         lower map.nside, map.min_hits or map.rcond_min, or choose another map.stokes",
        config.map.min_hits, config.map.rcond_min
    );
    Err(Error::File { path: config.input.tod.clone(), what })
}

/// Returns true for each owned pixel that the mask admits to the solve.
fn mask(
    comm: &Comm,
    config: &Config,
    description: &Description,
    healpix: &Healpix,
    layout: &Layout,
) -> Result<Vec<bool>> {
    let Some(path) = &config.destripe.mask else {
        return Ok(vec![true; layout.local_len()]);
    };
    let file = SkyFile::open(comm, path, healpix, 1)?;
    file.require_frame(description.frame.coordinates(), "the timelines are")?;
    let values = file.read(comm, healpix, layout, 0)?;
    Ok(values.into_iter().map(|value| value != 0.0 && value != UNSEEN).collect())
}

/// Returns the true sky at owned pixels, interleaved, in the convention and the unit of the map, if there is one to
/// compare with.
fn truth(
    comm: &Comm,
    config: &Config,
    description: &Description,
    healpix: &Healpix,
    layout: &Layout,
) -> Result<Option<Vec<f64>>> {
    let Some(path) = &config.output.compare else {
        return Ok(None);
    };
    // A polarization map is compared with columns Q and U of an IQU sky.
    let columns = match config.map.stokes {
        Stokes::I => 0..1,
        Stokes::QU => 1..3,
        Stokes::IQU => 0..3,
    };
    let width = columns.len();
    let file = SkyFile::open(comm, path, healpix, columns.end)?;
    file.require_frame(description.frame.coordinates(), "the timelines are")?;
    let mut sky = vec![0.0; layout.local_len() * width];
    for (component, column) in columns.enumerate() {
        let sign = if column == 2 { file.sign_of_u(config.map.polarization) } else { 1.0 };
        let factor = sign * file.factor_to(&description.units, column, "the timelines are")?;
        let values = file.read(comm, healpix, layout, column)?;
        for (slot, value) in sky.iter_mut().skip(component).step_by(width).zip(values) {
            *slot = if value == UNSEEN { UNSEEN } else { factor * value };
        }
    }
    Ok(Some(sky))
}

/// Flags of owned pixels, for the pixels that this rank sees.
fn seen_flags(pixels: &Pixels, owned: &[bool]) -> Vec<bool> {
    let bytes: Vec<u8> = owned.iter().map(|&flag| u8::from(flag)).collect();
    pixels.plan.start_import(&bytes, 1).finish().iter().map(|&byte| byte != 0).collect()
}

fn hide_unsolved(mut values: Vec<f64>, solved: &[bool], width: usize) -> Vec<f64> {
    for (values, &solved) in values.chunks_exact_mut(width).zip(solved) {
        if !solved {
            values.fill(UNSEEN);
        }
    }
    values
}

impl Maps {
    /// Returns one Stokes parameter (or other component) of an interleaved array.
    pub fn component(&self, values: &[f64], width: usize, component: usize) -> Vec<f64> {
        values.iter().skip(component).step_by(width).copied().collect()
    }

    /// Fetches the values of owned pixels at chosen pixels of the map.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A pixel outside the sphere.
    pub fn fetch(&self, values: &[f64], wanted: &[u64]) -> Result<Vec<f64>> {
        crate::sky::fetch(&self.pixels.layout, values, wanted)
    }

    /// Returns the numbers of solved pixels and of pixels with a hit, over all ranks.
    ///
    /// # Collective
    pub fn pixel_counts(&self) -> (u64, u64) {
        let solved = self.binned.iter().step_by(self.width).filter(|&&value| value != UNSEEN).count();
        let hit = self.hits.iter().filter(|&&hits| hits > 0).count();
        let mut counts = [solved as u64, hit as u64];
        self.pixels.layout.comm().all_reduce_sum(&mut counts);
        (counts[0], counts[1])
    }
}
