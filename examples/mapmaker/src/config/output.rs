//! The section [output] of a configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::input::check_patterns;

/// Parts into which timelines are split.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// The first and the second half of the intervals: `half1`, `half2`.
    Halves,
    /// Every other interval, from the first and from the second: `odd`, `even`.
    OddEven,
    /// Named sets of detectors.
    Detectors,
    /// Named sets of observations.
    Observations,
}

/// Output folder, files that are written to it, and the map with which results are compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Folder of the results; `--output` on the command line wins.
    pub folder: Option<PathBuf>,
    /// A HEALPix map of the true sky, which the report sets beside the result.
    pub compare: Option<PathBuf>,
    /// True to write pictures of the maps, which are also in the report.
    pub pictures: bool,
    /// True to write the map without destriping.
    pub binned: bool,
    /// Splits of which there are maps of each part.
    pub splits: Vec<Split>,
    /// Names of sets of detectors, and for each the names and patterns of its detectors.
    pub detector_sets: BTreeMap<String, Vec<String>>,
    /// Names of sets of observations, and for each the names and patterns of its observations.
    pub observation_sets: BTreeMap<String, Vec<String>>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        OutputConfig {
            folder: None,
            compare: None,
            pictures: true,
            binned: true,
            splits: Vec::new(),
            detector_sets: BTreeMap::new(),
            observation_sets: BTreeMap::new(),
        }
    }
}

impl OutputConfig {
    /// Returns the names of all parts, in the order of the splits.
    pub fn part_names(&self) -> Vec<String> {
        let names = |split: &Split| -> Vec<String> {
            match split {
                Split::Halves => vec!["half1".into(), "half2".into()],
                Split::OddEven => vec!["odd".into(), "even".into()],
                Split::Detectors => self.detector_sets.keys().cloned().collect(),
                Split::Observations => self.observation_sets.keys().cloned().collect(),
            }
        };
        self.splits.iter().flat_map(names).collect()
    }

    /// Checks what the types of single values leave open.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let all = [
            (Split::Detectors, "detectors", "detector_sets", &self.detector_sets),
            (Split::Observations, "observations", "observation_sets", &self.observation_sets),
        ];
        for (split, name, key, sets) in all {
            match (self.splits.contains(&split), sets.is_empty()) {
                (true, true) => {
                    return Err(format!(
                        "output.splits has {name:?}, but output.{key} has no set; name some, such as {key} = {{ a = [\"...\"] }}"
                    ));
                }
                (false, false) => {
                    return Err(format!(
                        "output.{key} has sets, but output.splits has no {name:?}; add it, or remove the sets"
                    ));
                }
                _ => (),
            }
            sets.iter().try_for_each(|(set, list)| check_patterns(&format!("output.{key}.{set}"), Some(list)))?;
        }
        let mut names = self.part_names();
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if let Some(name) = names.iter().find(|name| name.is_empty() || !name.chars().all(is_plain)) {
            return Err(format!(
                "the set {name:?} of output gives files their name; expected letters, digits, points, - and _ only"
            ));
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!(
                "two parts of output.splits are called {:?}; rename a set, or name each split once",
                pair[0]
            )),
            None => Ok(()),
        }
    }
}
