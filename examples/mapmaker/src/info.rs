//! `mapmaker info`: what files of timelines hold, and what a run with a configuration will take.

use std::fmt::Write as _;

use dolmen_core::Comm;
use dolmen_core::text::{escaped, shown};
use dolmen_io::budget::available;

use crate::baselines::Baselines;
use crate::config::{Config, InputConfig, Stokes};
use crate::error::Result;
use crate::healpix::Healpix;
use crate::memory::{amount, needed, require_map};
use crate::noise_choice::has_prior;
use crate::survey::{gather, survey};
use crate::templates::Basis;
use crate::tod::{Description, Tod, short_names};

/// Iterations of a solve for which times are estimated.
const ITERATIONS: f64 = 30.0;

/// Seconds in which a sample is read and merged, with pointing by quaternions and disks that do not slow it down.
const SECONDS_A_SAMPLE: f64 = 1.8e-7;

/// Seconds that one iteration is taken to need for a pair, and with a prior for a baseline: the first from 0.05 s for 22.5
/// million pairs, the second a guess. Machines differ; the text says "roughly".
const SECONDS_A_PAIR: f64 = 3e-9;
const SECONDS_A_BASELINE: f64 = 2e-7;

/// Seconds that one iteration by generalized least squares is taken to need for a sample: 0.67 s for 32.3 million.
const SECONDS_OF_GLS: f64 = 2.1e-8;

/// Describes files of timelines.
///
/// # Collective
///
/// # Errors
/// A file cannot be read.
pub fn describe_files(comm: &Comm, input: &InputConfig, stokes: Stokes) -> Result<String> {
    Ok(describe(Tod::open(comm, input, stokes)?.description()))
}

/// Describes the timelines of a configuration, and what a run on these ranks takes.
///
/// # Collective
///
/// # Errors
/// The file cannot be read, or the pixels of the map do not fit in memory.
pub fn describe_run(comm: &Comm, config: &Config) -> Result<String> {
    require_map(comm, &config.map)?;
    let healpix = Healpix::new(config.map.nside, config.map.ordering).expect("invariant: validated");
    let tod = Tod::open(comm, &config.input, config.map.stokes)?;
    let mut text = describe(tod.description());
    let baselines = Baselines::new(comm, tod.description(), config.destripe.baseline)?;
    let prior = config.destripe.enabled && has_prior(config, tod.description())?;
    let basis = Basis::new(&config.templates);
    basis.require_angles(comm, &tod)?;
    let (found, fault) = survey(comm, &tod, &baselines, &healpix)?;
    if let Err(error) = comm.agree(fault.map_or(Ok(()), Err)) {
        let _ = writeln!(text, "a run ends with an error: {error}");
        return Ok(text);
    }
    let own = needed(config, &baselines, &healpix, &found);
    let ranks = gather(comm, &found);
    let mut largest = [own.reading, own.mapping, found.samples as f64, found.pairs];
    comm.all_reduce_max(&mut largest);
    let [reading, mapping, samples, pairs] = largest;
    let count = |value: f64| if value < 1e5 { format!("{value:.0}") } else { format!("{value:.2e}") };
    let sum = |of: fn(&crate::survey::Survey) -> f64| ranks.iter().map(of).sum::<f64>();
    let destripe = if config.destripe.enabled {
        let kind = if prior { "a noise prior" } else { "free offsets" };
        format!("{} baselines of {} s with {kind}", baselines.layout().global_len(), config.destripe.baseline)
    } else {
        "no destriping".to_owned()
    };
    let templates = match (config.templates.first(), basis.len()) {
        (Some(first), amplitudes) => {
            let groups = baselines.groups(first.per()).count();
            format!(", {amplitudes} amplitudes of templates for each of {groups} {}", first.per().of_a_detector())
        }
        (None, _) => String::new(),
    };
    let gls = if config.gls.enabled { ", a map by generalized least squares" } else { "" };
    let stokes = format!("{:?}", config.map.stokes);
    let _ = writeln!(
        text,
        "run on {} rank(s): {stokes} at nside {}, {destripe}{templates}{gls}",
        ranks.len(),
        config.map.nside
    );
    let _ = writeln!(
        text,
        "  about {} pixels seen by a rank at most, {} pairs of pixels and baselines; from {} samples",
        count(ranks.iter().map(|rank| rank.seen).fold(0.0, f64::max)),
        count(sum(|rank| rank.pairs)),
        ranks.iter().map(|rank| rank.read).sum::<u64>(),
    );
    let here = available().map_or(String::new(), |bytes| format!("; this machine has {}", amount(bytes as f64)));
    let _ = writeln!(
        text,
        "  about {} of memory a rank: {} while samples are read, {} while maps are made{here}",
        amount(reading.max(mapping)),
        amount(reading),
        amount(mapping)
    );
    let readings = if config.templates.is_empty() { 1.0 } else { 2.0 };
    let _ = write!(text, "  roughly {:.1} s to read and merge", readings * samples * SECONDS_A_SAMPLE);
    if config.destripe.enabled {
        let vectors = if prior { baselines.layout().local_len() as f64 * SECONDS_A_BASELINE } else { 0.0 };
        let solve = ITERATIONS * (pairs * SECONDS_A_PAIR + vectors);
        let _ = write!(text, ", {solve:.1} s for {ITERATIONS} iterations");
    }
    if config.gls.enabled {
        let _ = write!(text, ", {:.1} s for as many of GLS", ITERATIONS * samples * SECONDS_OF_GLS);
    }
    text.push_str("; maps and pictures are beside it\n");
    Ok(text)
}

/// Describes timelines.
pub fn describe(description: &Description) -> String {
    let Description { files, detectors, observations, convention, frame, units } = description;
    let hours = |samples: u64, rate: f64| samples as f64 / rate / 3600.0;
    let total: u64 =
        observations.iter().map(|observation| observation.samples * observation.detectors.len() as u64).sum();
    let mut text = String::new();
    let units = if units.is_empty() { "no unit".to_owned() } else { escaped(units).to_string() };
    let _ = writeln!(
        text,
        "{}: {total} samples of {} detector(s) in {} observation(s)\n  frame {frame:?}, angles {}, signal in {units}",
        if let [file] = &files[..] { shown(file) } else { format!("{} files", files.len()) },
        detectors.len(),
        observations.len(),
        format!("{convention:?}").to_uppercase(),
    );
    let _ = writeln!(
        text,
        "  {:<20} {:>12} {:>10} {:>8} {:>10} {:>10}",
        "detector", "net", "fknee [Hz]", "alpha", "fmin [Hz]", "efficiency"
    );
    for detector in detectors {
        let (name, efficiency) = (escaped(&detector.name), detector.efficiency);
        let net = if detector.net.is_finite() { format!("{:.4e}", detector.net) } else { "not valid".into() };
        let _ = writeln!(
            text,
            "  {name:<20} {net:>12} {:>10.3e} {:>8.3} {:>10.3e} {efficiency:>10.3}",
            detector.fknee, detector.alpha, detector.fmin
        );
    }
    let several = files.len() > 1;
    let _ = writeln!(
        text,
        "  {:<20} {:>12} {:>10} {:>8} {:>10} {:>10}{}",
        "observation",
        "samples",
        "rate [Hz]",
        "hours",
        "intervals",
        "detectors",
        if several { "  file" } else { "" }
    );
    let names = short_names(files);
    for observation in observations {
        let (name, rate) = (escaped(&observation.name), observation.sample_rate);
        let _ = writeln!(
            text,
            "  {name:<20} {:>12} {rate:>10.3} {:>8.2} {:>10} {:>10}{}",
            observation.samples,
            hours(observation.samples, rate),
            observation.intervals.len(),
            observation.detectors.len(),
            if several { format!("  {}", names[observation.file]) } else { String::new() }
        );
    }
    text
}
