//! Values that options give, and the one error about all that neither they nor the files say.

use std::path::Path;
use std::str::FromStr;

use glob::Pattern;

use crate::config::{Convention, Frame};
use crate::error::Result;
use crate::quaternion::Quaternion;
use crate::tod::Detector;
use crate::tod::check::invalid;

/// Values of options. Each replaces that of the files.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// White noise of detectors, in the unit of the signal times sqrt(s).
    pub net: ByDetector,
    /// Knee frequencies, in Hz; 0 for white noise, NaN if the drifts are not known.
    pub fknee: ByDetector,
    /// Slopes of the 1/f noise.
    pub alpha: ByDetector,
    /// Frequencies below which the 1/f noise is flat, in Hz.
    pub fmin: ByDetector,
    /// Polarization efficiencies; 1 where neither the option nor the file says.
    pub pol_efficiency: ByDetector,
    /// Sampling rate, in Hz.
    pub sample_rate: Option<f64>,
    /// Frame of the pointing.
    pub coordinates: Option<Frame>,
    /// Convention of the polarization angles; of FITS tables only.
    pub psi_convention: Option<Convention>,
    /// Unit of the signal.
    pub units: Option<String>,
    /// Unit of the columns of angles; of FITS tables only.
    pub angle_unit: Option<AngleUnit>,
    /// Column or dataset of the signal.
    pub signal: Option<String>,
    /// Name of the one observation of which all FITS tables are detectors. Otherwise each file is an observation.
    pub observation: Option<String>,
    /// Shared dataset of the boresight; of TOAST only.
    pub boresight: Option<String>,
    /// Intervals that become the stationary ranges of samples; of TOAST only.
    pub intervals: Option<String>,
}

impl Given {
    /// Refuses values for detectors that are not there.
    ///
    /// # Errors
    /// A pattern matches none of the names.
    pub(super) fn require_matches(&self, path: &Path, names: &[&str]) -> Result<()> {
        let lists = [
            ("--net", &self.net),
            ("--fknee", &self.fknee),
            ("--alpha", &self.alpha),
            ("--fmin", &self.fmin),
            ("--pol-efficiency", &self.pol_efficiency),
        ];
        for (option, list) in lists {
            let patterns = list.0.iter().filter_map(|entry| entry.names.as_ref());
            if let Some(pattern) = patterns.into_iter().find(|pattern| !names.iter().any(|name| pattern.matches(name)))
            {
                let what = format!("no detector matches {:?} (there are: {})", pattern.as_str(), names.join(", "));
                return Err(invalid(path, option, what));
            }
        }
        Ok(())
    }

    /// Returns a detector from what its file says of it; what is missing is noted.
    pub(super) fn detector(
        &self,
        name: &str,
        quaternion: Quaternion,
        said: &Said,
        origin: usize,
        missing: &mut Missing,
    ) -> Detector {
        let fknee = self.fknee.of(name).or(said.fknee);
        // White noise and unknown noise have neither slope nor lowest frequency.
        let drifts = fknee.is_none_or(|fknee| fknee > 0.0);
        let without = if fknee.is_some_and(f64::is_nan) { f64::NAN } else { 0.0 };
        let mut of_drifts = |given: &ByDetector, said: Option<f64>, option| {
            let value = given.of(name).or(said);
            if drifts { missing.require(value, option) } else { value.unwrap_or(without) }
        };
        let alpha = of_drifts(&self.alpha, said.alpha, ALPHA);
        let fmin = of_drifts(&self.fmin, said.fmin, FMIN);
        Detector {
            name: name.to_owned(),
            net: missing.require(self.net.of(name).or(said.net), NET),
            fknee: missing.require(fknee, FKNEE),
            alpha,
            fmin,
            quaternion,
            efficiency: self.pol_efficiency.of(name).or(said.efficiency).unwrap_or(1.0),
            origin: (0, origin),
        }
    }
}

/// Refuses options that are not of files of this kind: `options` are pairs of a name and whether it is given.
///
/// # Errors
/// One of them is given.
pub(super) fn refuse_options(path: &Path, options: &[(&str, bool)], what: &str) -> Result<()> {
    let found = options.iter().find(|(_, given)| *given);
    found.map_or(Ok(()), |(option, _)| Err(invalid(path, *option, what)))
}

/// Values that a file says of a detector.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) net: Option<f64>,
    pub(super) fknee: Option<f64>,
    pub(super) alpha: Option<f64>,
    pub(super) fmin: Option<f64>,
    pub(super) efficiency: Option<f64>,
}

/// Options that a file without their values needs, in the order in which an error lists them.
pub(super) const NET: &str = "--net NET (white noise, in the unit of the signal times sqrt(s))";
pub(super) const FKNEE: &str = "--fknee HZ (0 for white noise, nan if the drifts are not known)";
pub(super) const ALPHA: &str = "--alpha ALPHA (slope of the 1/f noise)";
pub(super) const FMIN: &str = "--fmin HZ (below it the 1/f noise is flat)";
pub(super) const SAMPLE_RATE: &str = "--sample-rate HZ";
pub(super) const COORDINATES: &str = "--coordinates FRAME (C, G or E)";
pub(super) const PSI_CONVENTION: &str = "--psi-convention CONVENTION (COSMO or IAU)";
pub(super) const UNITS: &str = "--units UNIT (of the signal, such as K_CMB)";
pub(super) const ANGLE_UNIT: &str = "--angle-unit UNIT (rad or deg)";
const ORDER: [&str; 9] = [NET, FKNEE, ALPHA, FMIN, SAMPLE_RATE, COORDINATES, PSI_CONVENTION, UNITS, ANGLE_UNIT];

/// Options that have to be given.
#[derive(Debug, Default)]
pub(super) struct Missing(Vec<&'static str>);

impl Missing {
    /// Returns a value, or notes the option that gives it.
    pub(super) fn require<T: Default>(&mut self, value: Option<T>, option: &'static str) -> T {
        self.require_or(value, T::default(), option)
    }

    /// Works like [`Missing::require`], with a value to go on with.
    pub(super) fn require_or<T>(&mut self, value: Option<T>, otherwise: T, option: &'static str) -> T {
        if value.is_none() {
            self.0.push(option);
        }
        value.unwrap_or(otherwise)
    }

    /// Ends the look at a part of a file.
    ///
    /// # Errors
    /// Something is missing: names all options.
    pub(super) fn require_none(&self, path: &Path, place: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let options: Vec<&str> = ORDER.into_iter().filter(|option| self.0.contains(option)).collect();
        let what = format!("does not say all that timelines need; add {}", options.join(", "));
        Err(invalid(path, place, what))
    }
}

/// Unit of angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AngleUnit {
    /// Radians.
    Radian,
    /// Degrees.
    Degree,
}

impl AngleUnit {
    /// Returns an angle in radians.
    pub(super) fn radians(self, angle: f64) -> f64 {
        match self {
            AngleUnit::Radian => angle,
            AngleUnit::Degree => angle.to_radians(),
        }
    }
}

impl FromStr for AngleUnit {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<AngleUnit, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "rad" | "radian" | "radians" => Ok(AngleUnit::Radian),
            "deg" | "degree" | "degrees" => Ok(AngleUnit::Degree),
            _ => Err("expected rad or deg".into()),
        }
    }
}

/// A value for all detectors, or for those whose names match: `60e-6`, `143-1*=60e-6`.
#[derive(Clone, Debug)]
pub struct OfDetectors {
    names: Option<Pattern>,
    value: f64,
}

impl FromStr for OfDetectors {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<OfDetectors, String> {
        let (names, value) = match text.rsplit_once('=') {
            Some((names, value)) => (Some(names.trim()), value),
            None => (None, text),
        };
        let names = names.map(|names| Pattern::new(names).map_err(|error| format!("pattern {names:?}: {}", error.msg)));
        let value = value.trim().parse::<f64>().map_err(|_| "expected a number, or NAMES=NUMBER")?;
        Ok(OfDetectors { names: names.transpose()?, value })
    }
}

/// Values for detectors, of which the last that fits one counts.
#[derive(Clone, Debug, Default)]
pub struct ByDetector(Vec<OfDetectors>);

impl From<Vec<OfDetectors>> for ByDetector {
    fn from(values: Vec<OfDetectors>) -> ByDetector {
        ByDetector(values)
    }
}

impl ByDetector {
    /// Returns the value for a detector, if there is one.
    pub(super) fn of(&self, name: &str) -> Option<f64> {
        let fits = |entry: &&OfDetectors| entry.names.as_ref().is_none_or(|names| names.matches(name));
        self.0.iter().rev().find(fits).map(|entry| entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_detector(texts: &[&str]) -> ByDetector {
        texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<OfDetectors>>().into()
    }

    #[test]
    fn the_last_value_that_fits_counts() {
        let values = by_detector(&["1e-6", "143-*=2", "143-1a = 3"]);
        assert_eq!(values.of("100-1a"), Some(1e-6));
        assert_eq!(values.of("143-2b"), Some(2.0));
        assert_eq!(by_detector(&["143-*=2"]).of("100-1a"), None);
        for text in ["", "a=", "a=b", "[=1", "1,5"] {
            assert!(text.parse::<OfDetectors>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_error_names_all_that_is_missing() {
        let mut missing = Missing::default();
        let given = Given { alpha: by_detector(&["1"]), ..Given::default() };
        given.detector("a", Quaternion::IDENTITY, &Said::default(), 0, &mut missing);
        assert_eq!(missing.require(Some(3.0), SAMPLE_RATE), 3.0);
        let text = missing.require_none(Path::new("a.fits"), "HDU 1").unwrap_err().to_string();
        assert!(text.starts_with("a.fits: HDU 1: does not say all that timelines need; add --net NET ("), "{text}");
        assert!(text.contains("--fknee HZ") && text.contains("--fmin HZ"), "{text}");
        assert!(!text.contains("--alpha") && !text.contains("--sample-rate"), "{text}");
    }

    #[test]
    fn white_and_unknown_noise_have_no_slope() {
        let said = Said { net: Some(1.0), ..Said::default() };
        for fknee in ["0", "nan"] {
            let mut missing = Missing::default();
            let given = Given { fknee: by_detector(&[fknee]), ..Given::default() };
            let detector = given.detector("a", Quaternion::IDENTITY, &said, 0, &mut missing);
            assert!(missing.require_none(Path::new("a.fits"), "HDU 1").is_ok());
            assert_eq!(detector.alpha.is_nan(), fknee == "nan");
        }
    }
}
