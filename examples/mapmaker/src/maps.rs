//! From timelines to maps in memory: the whole computation of a run, without its output.

use dolmen_core::{Comm, Layout, Snapshot, Stored};
use dolmen_io::fits::UNSEEN;
use dolmen_solvers::{Monitor, Progress};

use crate::baselines::Baselines;
use crate::binning::{Kept, KeptPart, hide_unsolved};
use crate::compressed::{Compressed, Selection};
use crate::config::{Config, Stokes};
use crate::destripe::{Destriper, Offsets};
use crate::error::{Error, Result};
use crate::gls::{Binned, Gls, GlsMap};
use crate::healpix::Healpix;
use crate::memory::{require_map, require_run};
use crate::noise_choice::{has_prior, require_noise, warning};
use crate::pairs::{SINGLE, Use};
use crate::parts::{Part, PartMaps, parts};
use crate::phases::Phases;
use crate::pixel_blocks::packed_len;
use crate::pixels::Pixels;
use crate::prior::Prior;
use crate::sky::SkyFile;
use crate::templates::{Basis, Columns, Groups, Kept as KeptSamples, Sums, TemplateAmplitudes, Templates};
use crate::tod::{Description, Tod};
use crate::weight::require_alike;
use crate::{angle_spread, undetermined};

/// Everything that a run computes. Pixel arrays hold the pixels that this rank owns, with
/// [`UNSEEN`] where a pixel is not solved; arrays of several values a pixel are interleaved.
pub struct Maps {
    /// Description of the timelines, by their files.
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
    /// The map by generalized least squares.
    pub gls: Option<GlsMap>,
    /// The true sky, where the configuration names one.
    pub truth: Option<Vec<f64>>,
    /// Maps of the parts of the timelines that are asked for.
    pub parts: Vec<PartMaps>,
    /// Samples on this rank that are in the maps, or in pixels that are not solved.
    pub samples: u64,
    /// Good samples on this rank that are left out, because nothing determines the offsets of their baselines.
    pub left_out: u64,
    /// Sentences on what the maps do not show.
    pub notes: Vec<String>,
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
    let single = config.destripe.tolerance >= SINGLE;
    match (config.map.stokes, single) {
        (Stokes::I, true) => make::<1, f32>(comm, config, phases, monitor, resume),
        (Stokes::I, false) => make::<1, f64>(comm, config, phases, monitor, resume),
        (Stokes::QU, true) => make::<2, f32>(comm, config, phases, monitor, resume),
        (Stokes::QU, false) => make::<2, f64>(comm, config, phases, monitor, resume),
        (Stokes::IQU, true) => make::<3, f32>(comm, config, phases, monitor, resume),
        (Stokes::IQU, false) => make::<3, f64>(comm, config, phases, monitor, resume),
    }
}

/// Inputs of a run, opened and checked before the samples are read.
struct Input {
    healpix: Healpix,
    tod: Tod,
    baselines: Baselines,
    /// Parts of which there are maps beside those of all.
    parts: Vec<Part>,
    /// True if the offsets have a noise prior.
    prior: bool,
    layout: Layout,
    unmasked: Vec<bool>,
    truth: Option<Vec<f64>>,
}

impl Input {
    /// Opens all inputs: everything that can be wrong with them is found before the long work starts.
    ///
    /// # Collective
    fn open(comm: &Comm, config: &Config) -> Result<Input> {
        let healpix = Healpix::new(config.map.nside, config.map.ordering).expect("invariant: validated");
        let tod = Tod::open(comm, &config.input, config.map.stokes)?;
        let description = tod.description();
        let baselines = Baselines::new(comm, description, config.destripe.baseline)?;
        let parts = parts(&config.output, description, &baselines)?;
        let prior = has_prior(config, description)?;
        require_alike(description)?;
        if config.gls.enabled {
            require_noise(description)?;
        }
        Basis::new(&config.templates).require_angles(comm, &tod)?;
        require_run(comm, config, &tod, &baselines, &healpix)?;
        let layout = Layout::uniform(comm, healpix.pixel_count());
        let unmasked = mask(comm, config, description, &healpix, &layout)?;
        let truth = truth(comm, config, description, &healpix, &layout)?;
        Ok(Input { healpix, tod, baselines, parts, prior, layout, unmasked, truth })
    }

    /// Reads the samples, but for baselines that are left out.
    ///
    /// # Collective
    fn read<const N: usize, S: Stored>(
        &self,
        comm: &Comm,
        config: &Config,
        pairs: bool,
        left_out: &[bool],
    ) -> Result<(Compressed<N, S>, Pixels)> {
        let selection = Selection { pairs, prior: self.prior, parts: &self.parts, left_out };
        Compressed::read(comm, &self.tod, &self.baselines, self.healpix, config.map.polarization, &selection)
    }

    /// Sums up the templates over the samples, if there are any, for which it reads them again; `uses` are those of the
    /// pixels that are seen.
    ///
    /// # Collective
    fn templates<const N: usize>(
        &self,
        comm: &Comm,
        config: &Config,
        pixels: &Pixels,
        uses: Vec<Use>,
        left_out: &[bool],
    ) -> Result<Option<Templates>> {
        let Some(first) = config.templates.first() else { return Ok(None) };
        let (basis, baselines) = (Basis::new(&config.templates), self.baselines.layout());
        let groups = Groups::new(comm, &self.baselines, first.per())?;
        let kept = KeptSamples { pixels: pixels.seen.gids(), uses, left_out };
        let (healpix, convention) = (self.healpix, config.map.polarization);
        let what = (&basis, first.per());
        let sums = Sums::read::<N>(comm, &self.tod, &self.baselines, healpix, convention, what, kept)?;
        let columns = Columns::new(comm, &self.layout, baselines, &groups, basis.len(), N, sums)?;
        Templates::new(self.tod.description(), baselines, &basis, groups, columns).map(Some)
    }

    /// Makes the map by generalized least squares. Checkpoints are of its solve if it is the only one.
    ///
    /// # Collective
    fn gls<const N: usize, S: Stored>(
        &self,
        comm: &Comm,
        config: &Config,
        kept: &Kept,
        phases: &mut Phases,
        monitor: &mut dyn Monitor<f64>,
        resume: Option<&Snapshot<f64>>,
    ) -> Result<GlsMap> {
        let binned = Binned { map: &kept.binned, covariance: &kept.covariance, solved: &kept.solved };
        let read = || Gls::<N, S>::read(comm, &self.tod, self.healpix, config.map.polarization, binned);
        let (system, rhs) = phases.time("read series", read)?;
        let mut found = phases.time("GLS", || {
            if config.destripe.enabled {
                let mut show = |progress: &Progress| monitor.progress(progress);
                return system.solve(&config.gls, &rhs, &mut show, None);
            }
            system.solve(&config.gls, &rhs, monitor, resume)
        })?;
        found.map = hide_unsolved(found.map, &kept.solved, N);
        Ok(found)
    }

    /// Puts the maps together.
    fn finish(
        self,
        pixels: Pixels,
        width: usize,
        samples: u64,
        (kept, parts): (Kept, Vec<KeptPart>),
        destriped: Destriped,
        gls: Option<GlsMap>,
    ) -> Maps {
        let Destriped { map, offsets, left_out, notes } = destriped;
        let description = self.tod.description().clone();
        let Kept { hits, rcond, covariance, binned, solved } = kept;
        Maps {
            description,
            pixels,
            baselines: self.baselines,
            width,
            hits,
            rcond,
            covariance: hide_unsolved(covariance, &solved, packed_len(width)),
            binned: hide_unsolved(binned, &solved, width),
            destriped: map,
            offsets,
            gls,
            truth: self.truth,
            parts: self.parts.into_iter().zip(parts).map(|(part, kept)| kept.finish(part.name, width)).collect(),
            samples: samples - left_out,
            left_out,
            notes,
        }
    }
}

/// Results of destriping, beside the binned maps.
#[derive(Default)]
struct Destriped {
    map: Option<Vec<f64>>,
    offsets: Option<Offsets>,
    /// Samples that are left out of all maps.
    left_out: u64,
    notes: Vec<String>,
}

impl Destriped {
    /// Warns, and keeps the text for the report. At once, since it may be the reason for an error that follows.
    fn note(&mut self, comm: &Comm, note: Option<String>) {
        if let Some(note) = note {
            if comm.rank() == 0 {
                tracing::warn!("{note}");
            }
            self.notes.push(note);
        }
    }
}

fn make<const N: usize, S: Stored>(
    comm: &Comm,
    config: &Config,
    phases: &mut Phases,
    monitor: &mut dyn Monitor<f64>,
    resume: Option<&Snapshot<f64>>,
) -> Result<Maps> {
    let input = Input::open(comm, config)?;
    let read = || input.read::<N, S>(comm, config, config.destripe.enabled, &[]);
    let (compressed, pixels) = phases.time("read samples", read)?;
    let Compressed { sums, parts, pairs, baselines: baseline_sums, samples, angles } = compressed;
    check_any_samples(comm, input.tod.description(), &sums.hits)?;
    let mut kept = phases.time("invert pixels", || Kept::new::<N>(config, sums));
    check_any_solved(comm, config, input.tod.description(), &kept.solved)?;
    let mut parts: Vec<KeptPart> = KeptPart::all::<N>(config, parts, &kept.solved);
    let mut destriped = Destriped::default();
    if let Some(pairs) = pairs {
        let free = angles.free_constants(comm, input.baselines.series_count())?;
        if free > 0 && size_of::<S>() < size_of::<f64>() {
            // Rounded sums hide that these constants are free, and the system is not positive definite.
            return make::<N, f64>(comm, config, phases, monitor, resume);
        }
        destriped.note(comm, warning(config, input.tod.description()).filter(|_| !input.prior));
        destriped.note(comm, angle_spread::note(free));
        let uses = seen_uses(&pixels, &kept.solved, &input.unmasked);
        let of_pairs = uses.iter().copied();
        let sorted = phases.time("sort pairs", || pairs.sort(input.baselines.layout().local_len(), of_pairs));
        check_any_in_solve(comm, config, &sorted.hits)?;
        let undetermined = undetermined::find(&input.baselines, &sorted.hits, input.prior);
        if undetermined::are_in_map(comm, &undetermined, &sorted.map.columns) {
            let read = || input.read::<N, S>(comm, config, false, &undetermined);
            let (again, _) = phases.time("read again", read)?;
            destriped.left_out = samples - again.samples;
            kept = phases.time("invert again", || Kept::new::<N>(config, again.sums));
            parts = KeptPart::all::<N>(config, again.parts, &kept.solved);
            let note = undetermined::note(comm, destriped.left_out, &undetermined);
            destriped.note(comm, Some(note));
        }
        let read = || input.templates::<N>(comm, config, &pixels, uses, &undetermined);
        let templates = if config.templates.is_empty() { None } else { phases.time("sum templates", read)? };
        let create = || {
            let description = input.tod.description();
            let prior = input.prior.then(|| Prior::new(comm, description, &input.baselines)).transpose()?;
            let beside = (prior, templates);
            Destriper::<N, S>::new(&input.layout, &input.baselines, &baseline_sums, sorted, &kept.covariance, beside)
        };
        let destriper = phases.time("build system", create)?;
        destriped.note(comm, destriper.note());
        let solve = || destriper.solve(&config.destripe, &kept.binned, monitor, resume);
        let mut solution = phases.time("destripe", solve)?;
        let bin = |kept: &Kept, members: Option<&[bool]>| {
            destriper.destriped(&kept.binned, &kept.covariance, &solution, members)
        };
        let map = phases.time("bin destriped", || bin(&kept, None))?;
        phases.time("bin parts", || -> Result<()> {
            for (part, of_part) in input.parts.iter().zip(&mut parts) {
                of_part.destriped = Some(bin(&of_part.kept, Some(&part.members))?);
            }
            Ok(())
        })?;
        destriped.map = Some(hide_unsolved(map, &kept.solved, N));
        destriped.note(comm, solution.limited.then(|| solution.outcome()));
        destriped.note(comm, solution.templates.as_ref().and_then(TemplateAmplitudes::note));
        solution.determined = undetermined.iter().map(|undetermined| !undetermined).collect();
        destriped.offsets = Some(solution);
    }
    let resume = resume.filter(|_| !config.destripe.enabled);
    let gls = match (config.gls.enabled, config.gls.tolerance >= SINGLE) {
        (false, _) => None,
        (true, true) => Some(input.gls::<N, f32>(comm, config, &kept, phases, monitor, resume)?),
        (true, false) => Some(input.gls::<N, f64>(comm, config, &kept, phases, monitor, resume)?),
    };
    Ok(input.finish(pixels, N, samples, (kept, parts), destriped, gls))
}

/// Refuses a mask that leaves nothing for the solve.
fn check_any_in_solve(comm: &Comm, config: &Config, hits: &[u64]) -> Result<()> {
    let mut most = [hits.iter().copied().max().unwrap_or(0)];
    comm.all_reduce_max(&mut most);
    match &config.destripe.mask {
        Some(mask) if most == [0] => {
            let what = "is zero or unseen at all pixels that are solved, which leaves no sample to destripe with; use \
                        another destripe.mask, or destripe.enabled = false";
            Err(Error::File { path: mask.clone(), what: what.into() })
        }
        _ => Ok(()),
    }
}

/// Refuses timelines without a good sample.
fn check_any_samples(comm: &Comm, description: &Description, hits: &[i64]) -> Result<()> {
    let mut most = [hits.iter().copied().max().unwrap_or(0)];
    comm.all_reduce_max(&mut most);
    if most == [0] {
        let others = description.with_others();
        let what = format!("all samples are flagged{others}, so there is nothing to map; check the flags of the file");
        return Err(Error::File { path: description.files[0].clone(), what });
    }
    Ok(())
}

fn check_any_solved(comm: &Comm, config: &Config, description: &Description, solved: &[bool]) -> Result<()> {
    let mut any = [u64::from(solved.contains(&true))];
    comm.all_reduce_max(&mut any);
    if any == [1] {
        return Ok(());
    }
    let what = format!(
        "no pixel can be solved for{}: none has {} hits and a reciprocal condition number of at least map.rcond_min = {}; \
         lower map.nside, map.min_hits or map.rcond_min, or choose another map.stokes",
        description.with_others(),
        config.map.min_hits,
        config.map.rcond_min
    );
    Err(Error::File { path: description.files[0].clone(), what })
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

/// Use of the pixels that this rank sees, ascending.
fn seen_uses(pixels: &Pixels, solved: &[bool], unmasked: &[bool]) -> Vec<Use> {
    let owned: Vec<u8> = solved.iter().zip(unmasked).map(|(&s, &u)| u8::from(s) + u8::from(s && u)).collect();
    let uses = [Use::Nothing, Use::Map, Use::Solve];
    pixels.plan.start_import(&owned, 1).finish().iter().map(|&number| uses[usize::from(number)]).collect()
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
