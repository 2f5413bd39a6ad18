//! The map-maker's command line: `mapmaker run CONFIG`, `mapmaker simulate CONFIG`, `mapmaker import FILE`,
//! `mapmaker info FILE`, `mapmaker noise FILE`, `mapmaker compare MAP REFERENCE`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dolmen_common::STOPPED;
use dolmen_common::checkpoint_args::CheckpointArgs;
use dolmen_common::command_line::{self, say, say_json};
use dolmen_common::file_args::FileArgs;
use dolmen_common::files::keep_inputs;
use dolmen_common::progress::{Iterations, ProgressArgs};
use dolmen_core::Comm;
use dolmen_core::text::shown;
use dolmen_io::hdf5::OpenOptions;
use dolmen_solvers::{Progress, Request as Wish};
use mapmaker::compare::{Comparison, compare};
use mapmaker::config::{Config, Convention, Frame, InputConfig, Stokes};
use mapmaker::import::{self, AngleUnit, OfDetectors};
use mapmaker::info::{describe, describe_files, describe_run};
use mapmaker::noise_estimate::{self, Sky, estimate};
use mapmaker::run::{Outcome, Request, checkpoint_config, run, timelines};
use mapmaker::simulate::{self, simulate};
use mapmaker::tod::resolve;
use mapmaker::{Error, Result};

/// Makes maps of the sky from detector timelines. Run it under mpirun to use several ranks.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    files: FileArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Make maps from timelines. Exit code 0 if maps were written, 2 for bad input or a solve that did not converge,
    /// 75 if a signal stopped it and a checkpoint was written: add --resume to continue.
    Run(Run),
    /// Simulate timelines of a satellite.
    Simulate {
        /// Configuration file (TOML); its section [simulate] describes scan and noise.
        config: PathBuf,
        /// HEALPix map of I, Q, U to scan [default: a synthetic sky].
        #[arg(long, value_name = "FILE")]
        sky: Option<PathBuf>,
        /// File of timelines to write, in place of input.tod of the configuration. The simulated sky is written beside
        /// it as NAME_sky.fits, over an older file of that name.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Convert timelines of other programs: FITS tables, and observations that TOAST 3 has saved.
    Import(ImportArgs),
    /// Show what timelines hold; with a configuration, also how much memory and time a run takes.
    Info {
        /// Configuration file (NAME.toml), or files of timelines and patterns of their names.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        tod: TodArgs,
    },
    /// Estimate the noise of each detector and interval from timelines, less their sky.
    Noise(NoiseArgs),
    /// Subtract one map from another, and show how large the differences are in parts of the sky.
    Compare(Compare),
}

/// The timelines, where they are not those of the configuration.
#[derive(clap::Args)]
struct TodArgs {
    /// File of timelines, or a pattern such as 'day*.h5'; may be repeated. Replaces input.tod of the configuration.
    #[arg(long = "tod", value_name = "FILE")]
    tod: Vec<PathBuf>,
}

/// The arguments of `mapmaker import`.
#[derive(clap::Args)]
struct ImportArgs {
    /// FITS files with a table for each detector, or HDF5 files of TOAST 3, and patterns of their names.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// File of timelines to write, over an older file of that name.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// White noise of all detectors, in the unit of the signal times sqrt(s), or of some, as 'LFI-27*=3e-4'; may be
    /// repeated, and the last that fits a detector counts. This and the options below replace what the files say.
    #[arg(long, value_name = "NET")]
    net: Vec<OfDetectors>,
    /// Knee frequency of the 1/f noise, for all or some detectors; 0 for white noise, nan if it is not known.
    #[arg(long, value_name = "HZ")]
    fknee: Vec<OfDetectors>,
    /// Slope of the 1/f noise, for all or some detectors.
    #[arg(long, value_name = "ALPHA")]
    alpha: Vec<OfDetectors>,
    /// Frequency below which the 1/f noise is flat, for all or some detectors.
    #[arg(long, value_name = "HZ")]
    fmin: Vec<OfDetectors>,
    /// Polarization efficiency, 0 to 1, for all or some detectors [default: what the files say, or 1].
    #[arg(long, value_name = "ETA")]
    pol_efficiency: Vec<OfDetectors>,
    /// Sampling rate.
    #[arg(long, value_name = "HZ")]
    sample_rate: Option<f64>,
    /// Frame of the pointing: C (equatorial), G (galactic) or E (ecliptic).
    #[arg(long, value_name = "FRAME")]
    coordinates: Option<Frame>,
    /// Convention of polarization angles in FITS tables: COSMO (from south toward east) or IAU (from north toward east).
    #[arg(long, value_name = "CONVENTION")]
    psi_convention: Option<Convention>,
    /// Unit of the signal, such as K_CMB. Nothing is converted.
    #[arg(long, value_name = "UNIT")]
    units: Option<String>,
    /// Unit of the angles in FITS tables: rad or deg.
    #[arg(long, value_name = "UNIT")]
    angle_unit: Option<AngleUnit>,
    /// FITS column of the signal, or TOAST's detector data that have it [default: TSKY, SIGNAL, TOD or TEMP; signal].
    #[arg(long, value_name = "NAME")]
    signal: Option<String>,
    /// Take all FITS tables as detectors of one observation of this name [default: each file is an observation].
    #[arg(long, value_name = "NAME")]
    observation: Option<String>,
    /// Shared data of TOAST with the quaternions of the boresight [default: boresight_radec].
    #[arg(long, value_name = "NAME")]
    boresight: Option<String>,
    /// Intervals of TOAST that are the stationary ranges of samples; others are left out of maps [default: all samples].
    #[arg(long, value_name = "NAME")]
    intervals: Option<String>,
}

/// The arguments of `mapmaker noise`.
#[derive(clap::Args)]
struct NoiseArgs {
    /// Configuration file (NAME.toml), or files of timelines and patterns of their names.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    tod: TodArgs,
    /// HEALPix map of the sky [default: the map of the configuration's run].
    #[arg(long, value_name = "FILE", conflicts_with = "no_sky")]
    sky: Option<PathBuf>,
    /// Subtract no sky: the timelines are noise.
    #[arg(long)]
    no_sky: bool,
    /// Print one JSON object, with spectra.
    #[arg(long)]
    json: bool,
    /// HDF5 file for the table of detectors with their fitted noise, for input.noise, and a table of all intervals.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// PNG picture of the spectra and their fits.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// The arguments of `mapmaker compare`.
#[derive(clap::Args)]
struct Compare {
    /// HEALPix map (FITS).
    map: PathBuf,
    /// Map to subtract, of the same resolution or a coarser one; converted to unit and convention of the first.
    reference: PathBuf,
    /// HEALPix map that is not zero in a region, whose differences are shown separately; may be repeated.
    #[arg(long = "mask", value_name = "FILE")]
    masks: Vec<PathBuf>,
    /// Latitude in degrees, in the frame of the map; differences below and above it, north and south, are shown
    /// separately; may be repeated.
    #[arg(long = "latitude", value_name = "DEGREES", value_parser = latitude)]
    latitudes: Vec<f64>,
    /// Folder for the difference map and its pictures.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

fn latitude(text: &str) -> std::result::Result<f64, String> {
    let degrees = text.parse().ok().filter(|degrees| (0.0..=90.0).contains(degrees));
    degrees.ok_or_else(|| "expected 0 to 90 degrees".into())
}

/// The arguments of `mapmaker run`.
#[derive(clap::Args)]
struct Run {
    /// Configuration file (TOML).
    config: PathBuf,
    /// Folder for the results; replaces output.folder of the configuration.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    tod: TodArgs,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

fn main() -> ExitCode {
    command_line::show_warnings();
    Comm::run(|comm| -> Result<ExitCode> {
        match command_line::parse::<Arguments>(comm) {
            Ok(arguments) => {
                let options = arguments.files.apply(comm);
                let code = execute(comm, arguments.command, &options)?;
                command_line::finish(comm)?;
                Ok(code)
            }
            Err(code) => Ok(code),
        }
    })
}

fn execute(comm: &Comm, command: Command, files: &OpenOptions) -> Result<ExitCode> {
    let say = |text: &str| say(comm, text);
    match command {
        Command::Run(arguments) => return arguments.execute(comm, files),
        Command::Info { files: given, tod } => say(info(comm, &given, &tod, files)?.trim_end()),
        Command::Import(arguments) => arguments.execute(comm, files)?,
        Command::Noise(arguments) => arguments.execute(comm, files)?,
        Command::Compare(Compare { map, reference, masks, latitudes, output }) => {
            let request = Comparison { map, reference, masks, latitudes, folder: output };
            let compared = compare(comm, &request)?;
            say(compared.table().trim_end());
            compared.files.iter().for_each(|file| say(&format!("wrote {}", shown(file))));
        }
        Command::Simulate { config: path, sky, output } => {
            let (config, _) = load(comm, &path)?;
            let output = match (output, config.input.tod.as_slice()) {
                (Some(output), _) => output,
                (None, []) => return Err(missing(&path, "--output FILE")),
                (None, [one]) => one.clone(),
                (None, _) => {
                    let what = "input.tod names several files, of which a simulation writes one; add --output FILE";
                    return Err(Error::Config { path, line: None, what: what.into() });
                }
            };
            let from = sky.as_deref().map_or("a synthetic sky".into(), shown);
            keep_inputs(comm, &[&path], &simulate::outputs(&output))?;
            say(&format!("simulating a scan of {from}"));
            let simulated = simulate(comm, &config.simulate, sky.as_deref(), &output)?;
            say(&format!("wrote {} samples to {}", simulated.samples, shown(&output)));
            say(&format!("wrote the sky to {}", shown(&simulated.sky)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Input of a command that does not need a configuration.
enum Given {
    /// A configuration, and its file.
    Config(Box<Config>, PathBuf),
    /// Timelines alone.
    Timelines(InputConfig),
}

/// Reads the configuration that is the only one of the files, or takes them as timelines.
fn given(comm: &Comm, given: &[PathBuf], tod: &TodArgs, files: &OpenOptions) -> Result<Given> {
    let is_config = |file: &Path| file.extension().is_some_and(|extension| extension == "toml");
    let refused = |file: &Path, what: &str| Err(Error::File { path: file.to_owned(), what: what.into() });
    match given {
        [file] if is_config(file) => {
            let (mut config, _) = load(comm, file)?;
            tod.apply(comm, &mut config, file, files)?;
            Ok(Given::Config(Box::new(config), file.clone()))
        }
        _ => {
            if let Some(file) = given.iter().find(|file| is_config(file)) {
                return refused(file, "is a configuration, which has no other file beside it; give timelines by --tod");
            }
            if !tod.tod.is_empty() {
                let what =
                    "is not a configuration, whose name ends in .toml, so that --tod has no meaning; leave it out";
                return refused(&given[0], what);
            }
            let allow_external = files.allows_external();
            Ok(Given::Timelines(InputConfig { allow_external, ..InputConfig::of(&resolve(comm, given)?) }))
        }
    }
}

/// Describes the timelines of a configuration and the run, or those of files.
fn info(comm: &Comm, files: &[PathBuf], tod: &TodArgs, options: &OpenOptions) -> Result<String> {
    match given(comm, files, tod, options)? {
        Given::Config(config, _) => describe_run(comm, &config),
        Given::Timelines(input) => describe_files(comm, &input, Stokes::IQU),
    }
}

impl ImportArgs {
    /// Writes the file of timelines, and says what it has.
    fn execute(self, comm: &Comm, options: &OpenOptions) -> Result<()> {
        let given = import::Given {
            net: self.net.into(),
            fknee: self.fknee.into(),
            alpha: self.alpha.into(),
            fmin: self.fmin.into(),
            pol_efficiency: self.pol_efficiency.into(),
            sample_rate: self.sample_rate,
            coordinates: self.coordinates,
            psi_convention: self.psi_convention,
            units: self.units,
            angle_unit: self.angle_unit,
            signal: self.signal,
            observation: self.observation,
            boresight: self.boresight,
            intervals: self.intervals,
        };
        let files = resolve(comm, &self.files)?;
        say(comm, &format!("importing {}", timelines(&files)));
        let request = import::Request { files, output: self.output, given, options: options.clone() };
        let description = import::import(comm, &request)?;
        say(comm, describe(&description).trim_end());
        Ok(())
    }
}

impl NoiseArgs {
    /// Estimates the noise, and prints it.
    fn execute(self, comm: &Comm, options: &OpenOptions) -> Result<()> {
        let found = given(comm, &self.files, &self.tod, options)?;
        let sky = match (self.sky, &found) {
            (Some(map), _) => Sky::Map(map),
            _ if self.no_sky => Sky::None,
            (None, Given::Config(config, path)) => Sky::of_run(comm, path, config.output.folder.as_deref())?,
            (None, Given::Timelines(input)) => {
                let what = "needs the sky that these timelines see: give --sky FILE, or a configuration in place of timelines, or \
                            --no-sky where the sky is negligible";
                return Err(Error::File { path: input.tod[0].clone(), what: what.into() });
            }
        };
        let (input, stokes, inputs) = match found {
            Given::Config(config, path) => (config.input, config.map.stokes, vec![path]),
            Given::Timelines(input) => (input, Stokes::IQU, Vec::new()),
        };
        let without = match &sky {
            Sky::None => "no sky".to_owned(),
            Sky::Map(map) => shown(map),
        };
        let request = noise_estimate::Request { input, stokes, sky, inputs, write: self.write, plot: self.plot };
        let noise = estimate(comm, &request)?;
        if self.json {
            say_json(comm, &noise.json().to_string());
            return Ok(());
        }
        say(comm, &format!("noise of {} less {without}", timelines(&request.input.tod)));
        say(comm, noise.table().trim_end());
        noise.files.iter().for_each(|file| say(comm, &format!("wrote {}", shown(file))));
        Ok(())
    }
}

impl TodArgs {
    /// Puts the files of the options, or else those of the configuration at `path`, in the place of all patterns.
    fn apply(&self, comm: &Comm, config: &mut Config, path: &Path, files: &OpenOptions) -> Result<()> {
        let given = if self.tod.is_empty() { &config.input.tod } else { &self.tod };
        if given.is_empty() {
            return Err(missing(path, "--tod FILE"));
        }
        config.input.tod = resolve(comm, given)?;
        config.input.allow_external = files.allows_external();
        Ok(())
    }
}

/// Returns the error of a configuration without timelines.
fn missing(path: &Path, option: &str) -> Error {
    let what = format!("input.tod is missing; set it, or give {option}");
    Error::Config { path: path.to_owned(), line: None, what }
}

impl Run {
    /// Makes maps and prints a summary.
    fn execute(self, comm: &Comm, files: &OpenOptions) -> Result<ExitCode> {
        let (mut config, text) = load(comm, &self.config)?;
        self.tod.apply(comm, &mut config, &self.config, files)?;
        let folder = self.output.clone().or(config.output.folder.clone()).ok_or_else(|| Error::Config {
            path: self.config.clone(),
            line: None,
            what: "output.folder is missing; set it, or add --output DIR".into(),
        })?;
        self.say(comm, &format!("mapping {} on {} rank(s)", timelines(&config.input.tod), comm.size()));
        let request = Request { config, text, path: self.config.clone(), folder, resume: None };
        let outcome = match self.run(comm, request) {
            Err(error @ Error::Stopped { .. }) => {
                self.say(comm, &format!("{error}; add --resume to continue from the checkpoint"));
                return Ok(ExitCode::from(STOPPED));
            }
            outcome => outcome?,
        };
        let (solved, seen) = outcome.maps.pixel_counts();
        self.say(comm, &format!("solved {solved} of {seen} observed pixels"));
        self.say(comm, outcome.summary().trim_end());
        Ok(ExitCode::SUCCESS)
    }

    /// Prints a line unless the program is to be quiet.
    fn say(&self, comm: &Comm, text: &str) {
        if !self.progress.quiet {
            say(comm, text);
        }
    }

    /// Runs with checkpoints, if requested.
    fn run(&self, comm: &Comm, request: Request<'_>) -> Result<Outcome> {
        let display = self.progress.display(comm, false);
        let mut iterations = Iterations::new(display, request.config.destripe.tolerance, 0.0);
        let mut show = |progress: &Progress| {
            iterations.show(progress);
            Wish::Continue
        };
        let Some(folder) = &self.checkpoints.checkpoint else {
            return run(comm, &request, &mut show);
        };
        let config = checkpoint_config(comm, &request.config)?;
        let tell = |text: &str| self.say(comm, text);
        let (checkpointer, resumed) = self.checkpoints.open(comm, folder, &config, &request.inputs(), &[], tell)?;
        let mut checkpointer = checkpointer.ask(&mut show);
        let request = Request { resume: resumed.as_ref().map(|resumed| &resumed.snapshot), ..request };
        let outcome = run(comm, &request, &mut checkpointer);
        match (outcome, checkpointer.finish()) {
            (Err(Error::IterationLimit { solve, outcome, .. }), Ok(Some(path))) => {
                let section = if request.config.destripe.enabled { "destripe" } else { "gls" };
                let advice =
                    format!("; to continue from {}, raise {section}.max_iterations and add --resume", shown(&path));
                Err(Error::IterationLimit { solve, outcome, advice })
            }
            (Ok(_) | Err(Error::Stopped { .. }), Err(failure)) => Err(failure.into()),
            (outcome, _) => outcome,
        }
    }
}

fn load(comm: &Comm, path: &Path) -> Result<(Config, String)> {
    let text = Config::read(comm, path)?;
    let config = comm.agree(Config::parse(&text, path))?;
    Ok((config, text))
}
