//! Check that the nodes have the memory that a run needs, before it is allocated.
//!
//! An allocation that fails ends a Rust program without a word about its cause, and Linux may
//! grant memory that it does not have and kill the program later. So sizes that come from the
//! input are compared with what the system says is available.

use dolmen_core::Comm;
use dolmen_io::budget::available;

use crate::baselines::Baselines;
use crate::config::{Config, MapConfig, Stokes, TemplateConfig};
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::pairs::SINGLE;
use crate::pixel_blocks::packed_len;
use crate::reading::read_at_once;
use crate::survey::{Survey, survey};
use crate::tod::Tod;

/// Refuses a run unless each node has memory available for the `bytes` of each of its ranks.
/// `what` says what needs it, and what to change; it must be the same on all ranks.
///
/// # Collective
///
/// # Errors
/// [`Error::Memory`], the same on all ranks. Never where the system does not tell.
pub fn require(comm: &Comm, bytes: f64, what: &str) -> Result<()> {
    let (needed, available) = on_this_machine(comm, bytes);
    let enough = available.is_none_or(|available| needed <= available);
    let outcome = if enough { Ok(()) } else { Err(Error::Memory(what.to_owned())) };
    comm.agree(outcome)
}

/// Returns true if each node has memory available for the `bytes` of each of its ranks.
///
/// # Collective
fn fits(comm: &Comm, bytes: f64) -> bool {
    let (needed, available) = on_this_machine(comm, bytes);
    let mut short = [u64::from(available.is_some_and(|available| needed > available))];
    comm.all_reduce_max(&mut short);
    short == [0]
}

/// Returns what the ranks of this machine need together, and what it has, where the system tells.
fn on_this_machine(comm: &Comm, bytes: f64) -> (f64, Option<f64>) {
    let node = comm.split_shared();
    let mut needed = [bytes];
    node.all_reduce_sum(&mut needed);
    node.free();
    (needed[0], available().map(|available| available as f64))
}

/// Refuses a map whose pixels cannot be held, which all ranks share; and the list of pages of each rank's numbering.
///
/// # Collective
///
/// # Errors
/// [`Error::Memory`] naming `map.nside`, the same on all ranks.
pub fn require_map(comm: &Comm, map: &MapConfig) -> Result<()> {
    let pixels = 12.0 * (map.nside as f64).powi(2);
    let whole = pixels * bytes_of_pixel(width(map.stokes));
    let pages = pixels * 8.0 / crate::pixels::PAGE as f64;
    let what = format!("map.nside = {} needs {} for the maps", map.nside, amount(whole));
    require(comm, whole / comm.size() as f64 + pages, &what)
}

/// Bytes of a sample that is read: as it is in the file, its attitude, pixel, angle, signal and flag.
const BLOCK_SAMPLE: f64 = 48.0;

/// Numbers that decide how much memory a rank needs.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Pixels of the sphere that it owns.
    pub owned: f64,
    /// Pixels that its samples hit.
    pub seen: f64,
    /// Pairs of a pixel and a baseline; zero without destriping.
    pub pairs: f64,
    /// Baselines.
    pub baselines: f64,
    /// Samples that are read at once.
    pub block: f64,
    /// All samples.
    pub samples: f64,
    /// Groups of baselines with amplitudes of templates, and those that are open at once while samples are read.
    pub groups: [f64; 2],
    /// Pairs of a pixel and a group, at most.
    pub group_pairs: f64,
}

/// Memory of a rank, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// While samples are read: sums over seen and owned pixels, and pairs in time order.
    pub reading: f64,
    /// While maps are solved for and written: arrays over owned pixels, sorted pairs, vectors over baselines, samples.
    pub mapping: f64,
}

impl Needed {
    /// Computes what a run needs.
    pub fn new(config: &Config, counts: &Counts) -> Needed {
        let width = width(config.map.stokes);
        let (packed, stokes, number) = (packed_len(width) as f64, width as f64, size_of::<f64>() as f64);
        let kept = |tolerance: f64| if tolerance >= SINGLE { size_of::<f32>() } else { size_of::<f64>() } as f64;
        let real = kept(config.destripe.tolerance);
        // Sums in fixed point, in a list that grows; numbers of pixels, and their exchange.
        let seen = 1.5 * number * (1.0 + 2.0 * packed + 3.0 * stokes) + 60.0;
        let parts = config.output.part_names().len() as f64;
        let seen = seen + parts * 1.5 * number * (1.0 + 2.0 * packed + 3.0 * stokes);
        let owned = number * ((1.0 + parts) * (1.0 + packed + stokes) + 3.0);
        let polarized = if width == 1 { 0.0 } else { 2.0 };
        let pair = 1.5 * (4.0 + real * (1.0 + polarized));
        let sorted = 4.0 + real * stokes;
        // The number of the pixel, Stokes weights and the signal of a sample; sums over pixels, and vectors of the solve.
        let sample = 4.0 + kept(config.gls.tolerance) * (1.0 + polarized);
        let gls = if config.gls.enabled {
            let maps = number * stokes * (2.0 * (counts.seen + counts.owned) + 6.0 * counts.owned);
            maps + counts.samples * sample + counts.block * BLOCK_SAMPLE
        } else {
            0.0
        };
        let templates = templates(config, counts, stokes);
        let truth = if config.output.compare.is_some() { number * stokes } else { 0.0 };
        Needed {
            reading: counts.seen * seen + counts.owned * owned + counts.pairs * pair + counts.block * BLOCK_SAMPLE,
            mapping: counts.owned * (bytes_of_pixel(width) + truth + parts * number * (2.0 + packed + 2.0 * stokes))
                + counts.pairs * sorted
                + counts.baselines * 16.0 * number
                + templates
                + gls,
        }
    }

    /// Returns the larger of the two.
    pub fn most(&self) -> f64 {
        self.reading.max(self.mapping)
    }
}

/// Returns the bytes that templates need: sums in pixels before and after they are sorted, digits of those of groups that are
/// open, products with offsets and with each other, and the samples that are read again.
fn templates(config: &Config, counts: &Counts, stokes: f64) -> f64 {
    let columns = config.templates.iter().map(TemplateConfig::amplitudes).sum::<usize>() as f64;
    if columns == 0.0 {
        return 0.0;
    }
    let [groups, open] = counts.groups;
    let digits = 1.5 * 16.0 * stokes * counts.group_pairs * (open / groups.max(1.0)).min(1.0);
    let pairs = counts.group_pairs * (4.0 + 16.0 * stokes) + digits;
    let vectors = counts.baselines * 48.0 + groups * columns * 24.0;
    columns * (pairs + vectors) + 16.0 * counts.group_pairs + counts.block * BLOCK_SAMPLE
}

/// Refuses a run whose pixels and pairs cannot be held. The timelines are looked at only where the most that samples
/// can need does not fit.
///
/// # Collective
///
/// # Errors
/// [`Error::Memory`] with the sizes, the same on all ranks; or the timelines cannot be opened.
pub(crate) fn require_run(
    comm: &Comm,
    config: &Config,
    tod: &Tod,
    baselines: &Baselines,
    healpix: &Healpix,
) -> Result<()> {
    let observations = 0..tod.description().observations.len();
    let owned = observations.flat_map(|observation| baselines.owned(observation));
    let samples: u64 = owned.map(|(time, detectors)| (time.end - time.start) * detectors.len() as u64).sum();
    let most = Survey {
        samples,
        seen: (samples as f64).min(healpix.pixel_count() as f64),
        pairs: samples as f64,
        ..Survey::default()
    };
    if fits(comm, needed(config, baselines, healpix, &most).most()) {
        return Ok(());
    }
    let (found, _) = survey(comm, tod, baselines, healpix)?;
    let needed = needed(config, baselines, healpix, &found);
    let mut sums = [needed.reading, needed.mapping, found.seen, found.pairs];
    comm.all_reduce_sum(&mut sums);
    let [reading, mapping, seen, pairs] = sums;
    let what = format!(
        "map.nside = {} needs about {} on all ranks to read samples in about {seen:.1e} pixels and {pairs:.1e} pairs of pixels \
         and baselines, and {} to make maps{}",
        config.map.nside,
        amount(reading),
        amount(mapping),
        if config.gls.enabled { ", with all samples kept because gls.enabled is true" } else { "" },
    );
    require(comm, needed.most(), &what)
}

/// Computes what this rank needs for what was found in its samples.
pub(crate) fn needed(config: &Config, baselines: &Baselines, healpix: &Healpix, found: &Survey) -> Needed {
    let layout = baselines.layout();
    let groups = config.templates.first().map_or([0.0; 2], |first| baselines.owned_groups(first.per()));
    let counts = Counts {
        owned: healpix.pixel_count() as f64 / layout.comm().size() as f64,
        seen: found.seen,
        pairs: if config.destripe.enabled { found.pairs } else { 0.0 },
        baselines: if config.destripe.enabled { layout.local_len() as f64 } else { 0.0 },
        block: read_at_once(if config.gls.enabled { baselines.longest_interval() } else { baselines.longest() }),
        samples: found.samples as f64,
        groups,
        group_pairs: found.pairs.min(groups[0] * found.seen),
    };
    Needed::new(config, &counts)
}

/// Returns the number of Stokes parameters.
fn width(stokes: Stokes) -> usize {
    match stokes {
        Stokes::I => 1,
        Stokes::QU => 2,
        Stokes::IQU => 3,
    }
}

/// Returns the bytes of a pixel that a rank owns while maps are made: hits, condition, inverse block, two maps, and a copy of
/// the widest of them, as it is written.
fn bytes_of_pixel(width: usize) -> f64 {
    8.0 * (2 + 2 * packed_len(width) + 2 * width) as f64
}

/// Formats a number of bytes as gigabytes, or as megabytes if they are few.
pub fn amount(bytes: f64) -> String {
    if bytes < 1e9 { format!("{:.1} MB", bytes / 1e6) } else { format!("{:.1} GB", bytes / 1e9) }
}
