//! The section [input] of a configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Convention, Frame};

/// The timelines, and values that a file without attributes does not give itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// Dolmen TOD files, HDF5 files with a `dst` table, and patterns of their names, which
    /// [`resolve`](crate::tod::resolve) replaces. Empty where the configuration has none, and the command line must name
    /// them.
    #[serde(default, deserialize_with = "paths")]
    pub tod: Vec<PathBuf>,
    /// Names of the detectors that are used, and patterns of them; all if there is no list.
    #[serde(default, deserialize_with = "names")]
    pub detectors: Option<Vec<String>>,
    /// Names of the observations that are used, and patterns of them; all if there is no list.
    #[serde(default, deserialize_with = "names")]
    pub observations: Option<Vec<String>>,
    /// A file whose table of detectors has the noise, in place of those of the timelines.
    pub noise: Option<PathBuf>,
    /// `dst` only: sampling rate, in Hz.
    pub sample_rate: Option<f64>,
    /// `dst` only: the convention of the column PSI.
    pub psi_convention: Option<Convention>,
    /// `dst` only: the frame of the pointing.
    pub coordinates: Option<Frame>,
    /// Bits of the flags that count, all by default: a sample is bad if one of them is set.
    pub flag_bits: Option<u64>,
    /// The same of the flags of each detector.
    pub detector_flag_bits: Option<u64>,
    /// True if timelines are read that lie in other files than these: `--allow-external` of the command line.
    #[serde(skip)]
    pub allow_external: bool,
}

impl InputConfig {
    /// Creates the configuration of files that say all themselves.
    pub fn of<P: AsRef<Path>>(tod: &[P]) -> InputConfig {
        InputConfig { tod: tod.iter().map(|path| path.as_ref().to_owned()).collect(), ..InputConfig::default() }
    }

    /// Checks what the types of single values leave open.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        for (key, list) in [("input.detectors", &self.detectors), ("input.observations", &self.observations)] {
            check_patterns(key, list.as_deref())?;
        }
        Ok(())
    }
}

/// Refuses a list of names that is empty or has a pattern which is none.
pub(super) fn check_patterns(key: &str, list: Option<&[String]>) -> std::result::Result<(), String> {
    let Some(list) = list else { return Ok(()) };
    if list.is_empty() {
        return Err(format!("{key} is an empty list, which leaves nothing to map; name some, or remove the key"));
    }
    list.iter().try_for_each(|name| {
        glob::Pattern::new(name).map(drop).map_err(|error| format!("{key} has the pattern {name:?}: {}", error.msg))
    })
}

/// One text or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text, or a list of texts")]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn into_list(self) -> Vec<T> {
        match self {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(list) => list,
        }
    }
}

fn paths<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<PathBuf>, D::Error> {
    OneOrMore::deserialize(deserializer).map(OneOrMore::into_list)
}

fn names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Vec<String>>, D::Error> {
    OneOrMore::deserialize(deserializer).map(|given| Some(given.into_list()))
}
