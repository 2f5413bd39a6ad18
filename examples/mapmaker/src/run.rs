//! `mapmaker run`: from a configuration to a folder of maps, pictures and a report.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dolmen_common::files::{checksum, keep_inputs};
use dolmen_core::text::{escaped, shown};
use dolmen_core::{Comm, Snapshot};
use dolmen_solvers::{Monitor, SolveReport};

use crate::config::Config;
use crate::error::Result;
use crate::figures::{draw, residuals};
use crate::maps::{Maps, make_maps};
use crate::output::{MAKER, former_parts, prepare_folder, products, write_file, write_or_rescue};
use crate::phases::{PhaseTime, Phases, peak_memory};
use crate::report::{Phase, Rank, Report, Solve};
use crate::tod::{require_whole, short_names};

/// Request for a run.
pub struct Request<'r> {
    /// The validated configuration.
    pub config: Config,
    /// Its text, for the record.
    pub text: String,
    /// Its file, which is not to be replaced and whose name is recorded.
    pub path: PathBuf,
    /// Output folder.
    pub folder: PathBuf,
    /// State from which the solve for offsets resumes.
    pub resume: Option<&'r Snapshot<f64>>,
}

impl Request<'_> {
    /// Returns all files that are read.
    pub fn inputs(&self) -> Vec<&Path> {
        let Config { input, destripe, output, .. } = &self.config;
        let others = input.noise.iter().chain(&destripe.mask).chain(&output.compare);
        std::iter::once(&self.path).chain(&input.tod).chain(others).map(PathBuf::as_path).collect()
    }
}

/// Result of a run.
pub struct Outcome {
    /// The maps.
    pub maps: Maps,
    /// Files that were written.
    pub files: Vec<PathBuf>,
    /// Times of the phases over all ranks.
    pub phases: Vec<PhaseTime>,
    /// For each picture of a residual against the true sky: its name and rms.
    pub residuals: Vec<(String, f64)>,
}

/// Makes maps and writes them, with pictures and a report, to the folder of the request.
///
/// # Collective
///
/// # Errors
/// Bad input, an output that would replace an input, an output folder that cannot be written, or a solve that did
/// not converge; the same on all ranks. Nothing half-written is left behind.
pub fn run(comm: &Comm, request: &Request<'_>, monitor: &mut dyn Monitor<f64>) -> Result<Outcome> {
    let (config, folder) = (&request.config, request.folder.as_path());
    let start = Instant::now();
    let mut phases = Phases::default();
    let products = products(folder, &config.output.part_names());
    keep_inputs(comm, &request.inputs(), &products)?;
    prepare_folder(comm, folder, &products)?;
    let maps = make_maps(comm, config, &mut phases, monitor, request.resume)?;
    let inputs = phases.time("checksum input", || inputs(comm, config))?;
    let history = history(request, &inputs);
    let mut files = phases.time("write maps", || write_or_rescue(config, &maps, &history, folder))?;
    let drawn = phases.time("draw pictures", || draw(&config.output, &maps, folder))?;
    files.extend(drawn.files);
    let phases = phases.summary(comm);
    let ranks = ranks(comm, &maps, start);
    let (solved, seen) = maps.pixel_counts();
    let parts = maps.parts.iter().map(|part| (part.name.clone(), part.counts(comm, maps.width))).collect();
    let report = Report {
        title: format!("Sky map of {}", timelines(&config.input.tod)),
        settings: settings(config, &maps),
        samples: ranks.iter().map(|rank| rank.samples).sum(),
        detectors: maps.description.detectors.len() as u64,
        baselines: maps.offsets.as_ref().map(|_| maps.baselines.layout().global_len()),
        pixels_seen: seen,
        pixels_solved: solved,
        parts,
        solves: solves(config, &maps),
        wall_time: start.elapsed().as_secs_f64(),
        figures: drawn.groups,
        phases: phases.iter().map(|phase| Phase { name: phase.name.into(), max: phase.max, min: phase.min }).collect(),
        ranks,
        version: env!("CARGO_PKG_VERSION").into(),
        config: request.text.clone(),
        inputs,
    };
    let path = folder.join("report.html");
    let written = if comm.rank() == 0 { write_file(&path, report.render().as_bytes()) } else { Ok(()) };
    comm.agree(written)?;
    files.push(path);
    if comm.rank() == 0 {
        remove_stale(products.into_iter().chain(former_parts(folder)), &files, &request.inputs());
    }
    let residuals = residuals(&maps);
    Ok(Outcome { maps, files, phases, residuals })
}

/// Removes what an earlier run with other settings left in the folder and this one did not make, so
/// that all files in it belong together. An input is not of them, whatever its name.
fn remove_stale(products: impl Iterator<Item = PathBuf>, files: &[PathBuf], inputs: &[&Path]) {
    let inputs: Vec<PathBuf> = inputs.iter().filter_map(|input| input.canonicalize().ok()).collect();
    let is_input = |path: &PathBuf| path.canonicalize().is_ok_and(|path| inputs.contains(&path));
    for path in products.filter(|path| !files.contains(path) && !is_input(path)) {
        // Most are not there.
        let _ = std::fs::remove_file(path);
    }
}

fn file_name(path: &Path) -> String {
    shown(path.file_name().unwrap_or(path.as_os_str()))
}

/// Returns the name of the file of timelines, or the number of files.
pub fn timelines(files: &[PathBuf]) -> String {
    if let [file] = files { file_name(file) } else { format!("{} files of timelines", files.len()) }
}

/// Returns the names and checksums of the timelines, and of the file of their noise.
fn inputs(comm: &Comm, config: &Config) -> Result<Vec<(String, String)>> {
    let files = &config.input.tod;
    let noise = config.input.noise.iter().map(|file| (file_name(file), file));
    let checked = |(name, file): (String, &PathBuf)| Ok((name, checksum(comm, file)?));
    short_names(files).into_iter().zip(files).chain(noise).map(checked).collect()
}

/// Provenance, the same on any number of ranks.
fn history(request: &Request<'_>, inputs: &[(String, String)]) -> Vec<String> {
    let mut lines = vec![format!("{MAKER}{}", env!("CARGO_PKG_VERSION"))];
    lines.extend(inputs.iter().map(|(name, checksum)| format!("input {name} CRC32 {checksum}")));
    lines.push(format!("configuration {}:", file_name(&request.path)));
    let text = request.text.lines().map(str::trim);
    lines.extend(text.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    lines
}

fn settings(config: &Config, maps: &Maps) -> Vec<(String, String)> {
    let map = &config.map;
    let mut settings = vec![
        ("nside", map.nside.to_string()),
        ("ordering", format!("{:?}", map.ordering).to_uppercase()),
        ("Stokes parameters", format!("{:?}", map.stokes)),
        ("polarization convention", format!("{:?}", map.polarization).to_uppercase()),
        ("frame", format!("{:?}", maps.description.frame)),
        ("rcond_min", map.rcond_min.to_string()),
        ("min_hits", map.min_hits.to_string()),
    ];
    if let Some(offsets) = &maps.offsets {
        settings.push(("baseline", format!("{} s", config.destripe.baseline)));
        settings.push(("noise prior", if offsets.prior { "yes".into() } else { "none".into() }));
        settings.push(("null space", format!("{} constant(s) projected out", offsets.components)));
        if let (Some(found), Some(first)) = (&offsets.templates, config.templates.first()) {
            let groups = found.values.layout().global_len() / found.names.len() as u64;
            let names = found.names.join(", ");
            settings.push(("templates", format!("{names}, for each of {groups} {}", first.per().of_a_detector())));
        }
        let mask = config.destripe.mask.as_deref().map_or("none".into(), file_name);
        settings.push(("destriping mask", mask));
    }
    if let Some(gls) = &maps.gls {
        settings.push(("gaps solved for by GLS", gls.gaps.to_string()));
    }
    settings.extend(maps.notes.iter().map(|note| ("note", note.clone())));
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn solves(config: &Config, maps: &Maps) -> Vec<Solve> {
    let solve = |name: &str, report: &SolveReport, tolerance: f64, outcome: &str| {
        let relative = |residual: &f64| residual / report.rhs_norm.max(f64::MIN_POSITIVE);
        Solve {
            name: name.to_owned(),
            residuals: report.history.iter().map(relative).collect(),
            tolerance,
            true_residual: report.relative_residual(),
            stop_reason: sentence(outcome),
        }
    };
    let offsets = maps
        .offsets
        .iter()
        .map(|offsets| solve("Solve for offsets", &offsets.report, config.destripe.tolerance, &offsets.outcome()));
    let gls = maps
        .gls
        .iter()
        .map(|gls| solve("Solve by generalized least squares", &gls.report, config.gls.tolerance, &gls.outcome()));
    offsets.chain(gls).collect()
}

/// Adds the history of a solve to a summary.
fn add_history(text: &mut String, report: &SolveReport, limited: bool, outcome: &str) {
    text.push_str("relative residual |r| / |b| after each iteration:\n");
    for (iteration, residual) in report.history.iter().enumerate() {
        let relative = residual / report.rhs_norm.max(f64::MIN_POSITIVE);
        let _ = writeln!(text, "  {iteration:4}  {relative:.3e}");
    }
    let _ = if limited { writeln!(text, "{outcome}") } else { writeln!(text, "{report}") };
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

fn ranks(comm: &Comm, maps: &Maps, start: Instant) -> Vec<Rank> {
    let mine = [maps.samples, maps.pixels.seen.len() as u64, start.elapsed().as_secs_f64().to_bits(), peak_memory()];
    let all = comm.all_gather(mine);
    all.into_iter()
        .map(|[samples, pixels_seen, seconds, memory]| Rank {
            samples,
            pixels_seen,
            seconds: f64::from_bits(seconds),
            memory,
        })
        .collect()
}

/// Returns the text with which a checkpoint of this run has to agree: the input and all settings that decide
/// the bits of the solve.
///
/// # Collective
///
/// # Errors
/// The timelines or the mask cannot be read.
pub fn checkpoint_config(comm: &Comm, config: &Config) -> Result<String> {
    if config.input.allow_external {
        config.input.tod.iter().try_for_each(|file| require_whole(comm, file))?;
    }
    let mut input = config.input.clone();
    let (mut destripe, mut gls) = (config.destripe.clone(), config.gls.clone());
    let (mut files, noise) = (std::mem::take(&mut input.tod), input.noise.take());
    files.extend(noise);
    let timelines = files.iter().map(|file| checksum(comm, file)).collect::<Result<Vec<_>, _>>()?.join(" ");
    let mask = destripe.mask.take().map(|mask| checksum(comm, &mask)).transpose()?;
    // A run that has reached its limit may resume with a higher one.
    (destripe.max_iterations, gls.max_iterations) = (0, 0);
    // What decides the bits of the solve of which there are checkpoints.
    let solve = if destripe.enabled { format!("{destripe:?}") } else { format!("{destripe:?}\n{gls:?}") };
    let mask = mask.unwrap_or_else(|| "none".into());
    let (input, map) = (format!("{input:?}"), format!("{:?}", config.map));
    let templates = if config.templates.is_empty() { String::new() } else { format!("{:?}\n", config.templates) };
    Ok(format!("mapmaker\ntimelines CRC32 {timelines}\nmask CRC32 {mask}\n{input}\n{map}\n{solve}\n{templates}"))
}

impl Outcome {
    /// Returns the lines that end a run: residual history, times, pictures. For one rank to print.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        if let Some(offsets) = &self.maps.offsets {
            add_history(&mut text, &offsets.report, offsets.limited, &offsets.outcome());
        }
        if let Some(gls) = &self.maps.gls {
            text.push_str("generalized least squares, ");
            add_history(&mut text, &gls.report, gls.limited, &gls.outcome());
        }
        text.push_str("time per phase [s]: slowest rank, fastest rank, processor time of all ranks\n");
        for phase in &self.phases {
            let _ = writeln!(text, "  {:<16} {:8.3} {:8.3} {:8.3}", phase.name, phase.max, phase.min, phase.processor);
        }
        for (name, rms) in &self.residuals {
            let _ = writeln!(text, "rms of {name}: {rms:.3e} {}", escaped(&self.maps.description.units));
        }
        let pictures = self.files.iter().filter(|file| file.extension().is_some_and(|e| e == "png" || e == "html"));
        text.push_str("pictures and report:\n");
        for file in pictures {
            let _ = writeln!(text, "  {}", shown(file));
        }
        text
    }
}
