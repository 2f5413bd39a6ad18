//! The configuration of a run: one TOML file, validated as a whole before anything is read.
//!
//! Paths are relative to the folder of the configuration file. A key that does not exist is
//! refused with the nearest one that does.

mod input;
mod output;
mod simulation;
mod templates;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dolmen_core::Comm;
use dolmen_core::text::most_alike;
use dolmen_io::fits::Coordinates;
use dolmen_io::open_on_all_ranks;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::healpix::Healpix;

pub use dolmen_io::fits::Ordering as PixelOrdering;
pub use input::InputConfig;
pub use output::{OutputConfig, Split};
pub use simulation::SimulateConfig;
pub use templates::{Per, TemplateConfig};

/// Bytes that the text of a configuration may have.
const LARGEST: u64 = 1 << 20;
/// Least relative tolerance of a solve, the rounding of double precision.
const LEAST_TOLERANCE: f64 = 1e-16;

/// All settings of the map-maker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Input: the timelines.
    pub input: InputConfig,
    /// The map's pixels.
    pub map: MapConfig,
    /// Baseline offsets and their solve.
    #[serde(default)]
    pub destripe: DestripeConfig,
    /// Templates beside the offsets.
    #[serde(default)]
    pub templates: Vec<TemplateConfig>,
    /// Generalized least squares.
    #[serde(default)]
    pub gls: GlsConfig,
    /// Output folder.
    #[serde(default)]
    pub output: OutputConfig,
    /// The simulated timelines of `mapmaker simulate`.
    #[serde(default)]
    pub simulate: SimulateConfig,
}

/// The map's pixels and Stokes parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapConfig {
    /// HEALPix resolution, a power of two.
    pub nside: u64,
    /// Order of the pixels in the maps.
    #[serde(default = "ring", deserialize_with = "ordering")]
    pub ordering: PixelOrdering,
    /// Stokes parameters to solve for.
    #[serde(default)]
    pub stokes: Stokes,
    /// Convention of Q and U in the maps.
    #[serde(default)]
    pub polarization: Convention,
    /// Least reciprocal condition number of a pixel's block for which the pixel is solved.
    #[serde(default = "default_rcond_min")]
    pub rcond_min: f64,
    /// Least number of samples for which a pixel is solved.
    #[serde(default = "one")]
    pub min_hits: u64,
}

/// Baseline offsets and their solve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DestripeConfig {
    /// True to destripe; the binned map is made in any case.
    pub enabled: bool,
    /// Length of a baseline, in s.
    pub baseline: f64,
    /// Relative tolerance: stop when |b - A x| is at most this times |b|.
    pub tolerance: f64,
    /// Maximum number of iterations.
    pub max_iterations: usize,
    /// A HEALPix map that is zero at pixels to be left out of the solve.
    pub mask: Option<PathBuf>,
    /// Choice of a noise prior.
    #[serde(deserialize_with = "prior")]
    pub prior: PriorChoice,
}

/// Use of a noise prior for baseline offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorChoice {
    /// On where the timelines say the noise of each detector, off otherwise: `"auto"`.
    #[default]
    Auto,
    /// On in any case; unknown noise is an error: `true`.
    On,
    /// Off: offsets are free: `false`.
    Off,
}

impl Default for DestripeConfig {
    fn default() -> Self {
        // |r|^2 / |b|^2 <= 1e-12, the usual stopping rule of destripers.
        DestripeConfig {
            enabled: true,
            baseline: 60.0,
            tolerance: 1e-6,
            max_iterations: 1000,
            mask: None,
            prior: PriorChoice::Auto,
        }
    }
}

/// The map by generalized least squares, and its solve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GlsConfig {
    /// True to make this map too.
    pub enabled: bool,
    /// Relative tolerance: stop when |b - A x| is at most this times |b|.
    pub tolerance: f64,
    /// Maximum number of iterations.
    pub max_iterations: usize,
}

impl Default for GlsConfig {
    fn default() -> Self {
        GlsConfig { enabled: false, tolerance: 1e-6, max_iterations: 1000 }
    }
}

/// The Stokes parameters of a map.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum Stokes {
    /// Intensity only.
    I,
    /// Linear polarization only (polarimeters).
    QU,
    /// Intensity and linear polarization.
    #[default]
    IQU,
}

/// Direction in which polarization angles grow.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum Convention {
    /// From south toward east (HEALPix, CMB).
    #[default]
    #[serde(rename = "COSMO")]
    Cosmo,
    /// From north toward east (IAU); U has the other sign.
    #[serde(rename = "IAU")]
    Iau,
}

impl FromStr for Convention {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Convention, String> {
        match text {
            "COSMO" => Ok(Convention::Cosmo),
            "IAU" => Ok(Convention::Iau),
            _ => Err("expected COSMO or IAU".into()),
        }
    }
}

/// The coordinate frame of pointing and map.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Frame {
    /// Equatorial.
    C,
    /// Galactic.
    G,
    /// Ecliptic.
    E,
}

impl FromStr for Frame {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Frame, String> {
        match text {
            "C" => Ok(Frame::C),
            "G" => Ok(Frame::G),
            "E" => Ok(Frame::E),
            _ => Err("expected C, G or E".into()),
        }
    }
}

impl Frame {
    /// Returns the frame as FITS names it.
    pub fn coordinates(self) -> Coordinates {
        match self {
            Frame::C => Coordinates::Celestial,
            Frame::G => Coordinates::Galactic,
            Frame::E => Coordinates::Ecliptic,
        }
    }
}

fn ring() -> PixelOrdering {
    PixelOrdering::Ring
}

fn one() -> u64 {
    1
}

fn default_rcond_min() -> f64 {
    1e-2
}

fn ordering<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<PixelOrdering, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Name {
        #[serde(alias = "RING")]
        Ring,
        #[serde(alias = "NESTED")]
        Nested,
    }
    Ok(match Name::deserialize(deserializer)? {
        Name::Ring => PixelOrdering::Ring,
        Name::Nested => PixelOrdering::Nested,
    })
}

fn prior<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<PriorChoice, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "destripe.prior: expected true, false or \"auto\"")]
    enum Choice {
        Switch(bool),
        Named(Auto),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Auto {
        Auto,
    }
    Ok(match Choice::deserialize(deserializer)? {
        Choice::Named(Auto::Auto) => PriorChoice::Auto,
        Choice::Switch(true) => PriorChoice::On,
        Choice::Switch(false) => PriorChoice::Off,
    })
}

impl Config {
    /// Reads the text of a configuration file.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be read, is not the same for all ranks, or is larger than 1 MiB.
    pub fn read(comm: &Comm, path: &Path) -> Result<String> {
        let file = open_on_all_ranks(comm, path)?;
        let wrong = |what: String| Error::File { path: path.to_owned(), what };
        let read = || -> Result<String> {
            let mut text = String::new();
            let read = file.take(LARGEST + 1).read_to_string(&mut text);
            if text.len() as u64 > LARGEST || matches!(read, Ok(bytes) if bytes as u64 > LARGEST) {
                return Err(wrong(format!(
                    "is larger than {LARGEST} bytes; a configuration has a few lines: is this the right file?"
                )));
            }
            read.map(|_| text).map_err(|error| wrong(format!("cannot read: {error}")))
        };
        comm.agree(read())
    }

    /// Validates the text of the configuration file at `path`. Paths in it are relative to the
    /// file's folder.
    ///
    /// # Errors
    /// A key is unknown or missing, or a value is out of range.
    pub fn parse(text: &str, path: &Path) -> Result<Config> {
        let mut config: Config = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
            Error::Config { path: path.to_owned(), line, what: explain(error.message()) }
        })?;
        config.validate().map_err(|what| Error::Config { path: path.to_owned(), line: None, what })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let Config { input, destripe, output, .. } = &mut config;
        let others = [&mut input.noise, &mut destripe.mask, &mut output.folder, &mut output.compare];
        for path in input.tod.iter_mut().chain(others.into_iter().flatten()) {
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    fn validate(&self) -> std::result::Result<(), String> {
        for nside in [self.map.nside, self.simulate.sky_nside] {
            Healpix::new(nside, self.map.ordering).map_err(|error| error.to_string())?;
        }
        if !(self.map.rcond_min > 0.0 && self.map.rcond_min < 1.0) {
            return Err(format!("map.rcond_min is {}, expected a number between 0 and 1", self.map.rcond_min));
        }
        if !(self.destripe.enabled || self.gls.enabled || self.output.binned) {
            let what = "output.binned, destripe.enabled and gls.enabled are false, which leaves no map to write; set one of them";
            return Err(what.into());
        }
        let positive = [
            ("destripe.baseline", self.destripe.baseline),
            ("destripe.tolerance", self.destripe.tolerance),
            ("gls.tolerance", self.gls.tolerance),
            ("input.sample_rate", self.input.sample_rate.unwrap_or(1.0)),
            ("simulate.hours", self.simulate.hours),
            ("simulate.sample_rate", self.simulate.sample_rate),
            ("simulate.spin_period", self.simulate.spin_period),
            ("simulate.net", self.simulate.net),
            ("simulate.fmin", self.simulate.fmin),
            ("simulate.interval", self.simulate.interval),
            ("simulate.sky_unit", self.simulate.sky_unit),
        ];
        for (key, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return Err(format!("{key} is {value}, expected a positive number"));
            }
        }
        for (key, value) in [("destripe", self.destripe.tolerance), ("gls", self.gls.tolerance)] {
            if value < LEAST_TOLERANCE {
                return Err(format!(
                    "{key}.tolerance is {value:e}, which no solve in double precision reaches; expected at least \
                     {LEAST_TOLERANCE:e}"
                ));
            }
        }
        let not_negative = [("simulate.fknee", self.simulate.fknee), ("simulate.alpha", self.simulate.alpha)];
        for (key, value) in not_negative {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(format!("{key} is {value}, expected zero or more"));
            }
        }
        self.input.check()?;
        self.output.check()?;
        self.check_templates()?;
        if !self.output.splits.is_empty() && !self.destripe.enabled && !self.output.binned {
            let what = "output.splits are of the destriped and the binned map, and there is neither; set destripe.enabled or \
                        output.binned to true, or remove output.splits";
            return Err(what.into());
        }
        self.simulate.check()
    }

    /// Refuses templates that are out of range, or beside which other settings mean nothing.
    fn check_templates(&self) -> std::result::Result<(), String> {
        templates::check(&self.templates)?;
        let Some(first) = self.templates.first() else { return Ok(()) };
        if !self.destripe.enabled {
            let what = "templates are solved for with the offsets, and destripe.enabled is false; set it to true, or remove \
                        the templates";
            return Err(what.into());
        }
        if self.gls.enabled {
            let what = "generalized least squares with templates is not supported; set gls.enabled to false, or remove the \
                        templates";
            return Err(what.into());
        }
        let cuts = self.output.splits.iter().any(|split| matches!(split, Split::Halves | Split::OddEven));
        if first.per() == Per::Observation && cuts {
            let what = "output.splits divide observations, over which templates with per = \"observation\" are constant; use \
                        per = \"interval\", or the splits \"detectors\" and \"observations\" only";
            return Err(what.into());
        }
        Ok(())
    }
}

/// Turns the parser's list of expected keys into the nearest one.
fn explain(message: &str) -> String {
    let kind = match message.split_once('`') {
        Some(("unknown field ", _)) => "key",
        Some(("unknown variant ", _)) => "value",
        _ => return message.trim_end().replace('\n', " "),
    };
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    match most_alike(unknown, known.iter().copied()) {
        Some((nearest, _)) => {
            format!("unknown {kind} \"{unknown}\"; did you mean \"{nearest}\"? (known: {})", known.join(", "))
        }
        None => format!("unknown {kind} \"{unknown}\"; no {kind} is allowed here, remove it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "[input]\ntod = \"tod.h5\"\n[map]\nnside = 32\n";

    fn refused(text: &str) -> String {
        Config::parse(text, Path::new("run/case.toml")).unwrap_err().to_string()
    }

    #[test]
    fn a_minimal_file_has_working_defaults() {
        let config = Config::parse(MINIMAL, Path::new("run/case.toml")).unwrap();
        assert_eq!(config.input.tod, [Path::new("run/tod.h5")]);
        assert_eq!(config.map.stokes, Stokes::IQU);
        assert_eq!(config.destripe.tolerance, 1e-6);
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let text = refused(&format!("{MINIMAL}orderng = \"nested\"\n"));
        assert!(text.starts_with("run/case.toml:5: unknown key \"orderng\"; did you mean \"ordering\"?"), "{text}");
        let text = refused(&format!("{MINIMAL}ordering = \"nest\"\n"));
        assert!(text.contains("unknown value \"nest\"; did you mean \"nested\"?"), "{text}");
        let text = refused("[map]\nnside = 32\n[inptu]\n");
        assert!(text.contains("did you mean \"input\"?"), "{text}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert!(refused("[input]\ntod = \"a\"\n[map]\nnside = 33\n").contains("33"));
        assert!(refused(&format!("{MINIMAL}[destripe]\nbaseline = -1\n")).contains("destripe.baseline is -1"));
        assert!(refused(&format!("{MINIMAL}rcond_min = nan\n")).contains("rcond_min"));
        assert!(refused("[map]\nnside = 32\n").contains("missing field `input`"));
        let simulate = |text: &str| refused(&format!("{MINIMAL}[simulate]\n{text}\n"));
        assert!(simulate("opening_angle = nan").contains("simulate.opening_angle is NaN"));
        assert!(simulate("precession_angle = 91").contains("simulate.precession_angle is 91"));
        assert!(simulate("net = 0").contains("simulate.net is 0"));
        assert!(simulate("net = 1e-200").contains("simulate.net: "));
        assert!(simulate("hours = 1e300").contains("simulate.hours = 1e300"));
        assert!(simulate("hours = 1e5\ninterval = 1e-9").contains("simulate.interval = 1e-9"));
        assert!(simulate("sample_rate = 1e-300").contains("simulate.net: "));
        assert!(simulate("spin_period = 1e-320").contains("simulate.spin_period is 1e-320 s"));
    }

    #[test]
    fn templates_are_validated() {
        let with = |text: &str| format!("{MINIMAL}[[templates]]\n{text}\n");
        let config = Config::parse(
            &with("kind = \"legendre\"\norder = 3\n[[templates]]\nkind = \"fourier\"\nharmonics = 2"),
            Path::new("a.toml"),
        );
        let amplitudes: Vec<usize> = config.unwrap().templates.iter().map(TemplateConfig::amplitudes).collect();
        assert_eq!(amplitudes, [3, 4]);
        for (text, words) in [
            ("kind = \"legndre\"\norder = 3", "unknown value \"legndre\"; did you mean \"legendre\"?"),
            ("kind = \"legendre\"\nordr = 3", "unknown key \"ordr\"; did you mean \"order\"?"),
            ("kind = \"fourier\"\nharmonics = 3\nper = \"intervals\"", "did you mean \"interval\"?"),
            ("order = 3", "missing field `kind`"),
            ("kind = \"legendre\"", "missing field `order`"),
            ("kind = \"legendre\"\norder = 0", "templates[0].order is 0"),
            ("kind = \"legendre\"\norder = 65", "templates have 65 amplitudes"),
            ("kind = \"fourier\"\nharmonics = 18446744073709551615", "expected"),
            ("kind = \"fourier\"\nharmonics = 9223372036854775807", "templates have 18446744073709551614 amplitudes"),
            (
                "kind = \"legendre\"\norder = 2\n[[templates]]\nkind = \"legendre\"\norder = 3",
                "templates[0] and templates[1] are both of kind \"legendre\"",
            ),
            (
                "kind = \"legendre\"\norder = 2\n[[templates]]\nkind = \"fourier\"\nharmonics = 3\nper = \"observation\"",
                "templates[0].per and templates[1].per differ",
            ),
            ("kind = \"legendre\"\norder = 2\n[destripe]\nenabled = false", "destripe.enabled is false"),
            ("kind = \"legendre\"\norder = 2\n[gls]\nenabled = true", "set gls.enabled to false"),
            (
                "kind = \"legendre\"\norder = 2\nper = \"observation\"\n[output]\nsplits = [\"halves\"]",
                "output.splits divide observations",
            ),
        ] {
            let found = refused(&with(text));
            assert!(found.contains(words), "{found}");
        }
    }

    #[test]
    fn the_demo_can_compare_with_its_synthetic_sky() {
        let config = Config::parse(include_str!("../demo.toml"), Path::new("demo.toml")).unwrap();
        assert!(config.output.compare.is_some());
        assert!(config.simulate.sky_nside <= config.map.nside);
    }

    #[test]
    fn the_timelines_may_be_named_elsewhere() {
        let config = Config::parse("input = {}\n[map]\nnside = 32\n", Path::new("run/case.toml")).unwrap();
        assert!(config.input.tod.is_empty());
    }
}
