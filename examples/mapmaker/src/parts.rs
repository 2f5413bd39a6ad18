//! Parts of the timelines of which maps are made beside those of all, in the same pass.
//!
//! A part has whole baselines. Its sums over pixels are made while samples are read; the offsets are those of the whole
//! solve, so that the maps of the parts of a split, weighted by their inverse covariances, add up to the map of all.

use std::collections::BTreeMap;

use dolmen_core::Comm;
use dolmen_io::fits::UNSEEN;

use crate::baselines::Baselines;
use crate::config::{OutputConfig, Split};
use crate::error::{Error, Result};
use crate::tod::Description;
use crate::tod::selection::choose;

/// Maps of a part. Pixel arrays are as those of [`Maps`](crate::maps::Maps).
pub struct PartMaps {
    /// Name of the part.
    pub name: String,
    /// Its samples on this rank.
    pub samples: u64,
    /// Samples of each pixel.
    pub hits: Vec<i64>,
    /// Inverse block of each pixel.
    pub covariance: Vec<f64>,
    /// The map without destriping.
    pub binned: Vec<f64>,
    /// The map without the offsets of the whole solve.
    pub destriped: Option<Vec<f64>>,
}

impl PartMaps {
    /// Returns the samples and the solved pixels of all ranks; pixels have `width` Stokes parameters.
    ///
    /// # Collective
    pub fn counts(&self, comm: &Comm, width: usize) -> [u64; 2] {
        let solved = self.binned.iter().step_by(width).filter(|&&value| value != UNSEEN).count();
        let mut counts = [self.samples, solved as u64];
        comm.all_reduce_sum(&mut counts);
        counts
    }
}

/// A part, and the baselines of this rank that it has.
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: String,
    /// True for each baseline of this rank that it has.
    pub(crate) members: Vec<bool>,
}

/// Returns the parts of all splits.
///
/// # Errors
/// A set names what is not there, or there are too few intervals to split.
pub(crate) fn parts(config: &OutputConfig, description: &Description, baselines: &Baselines) -> Result<Vec<Part>> {
    let intervals = baselines.interval_count();
    let refused = |what: String| Error::Tod { path: description.files[0].clone(), place: "observations".into(), what };
    let by_interval = |name: &str, has: &dyn Fn(u64) -> bool| Part {
        name: name.to_owned(),
        members: baselines.layout().range().map(|number| has(baselines.interval_of(number))).collect(),
    };
    let mut parts = Vec::new();
    for split in &config.splits {
        if intervals < 2 && matches!(split, Split::Halves | Split::OddEven) {
            let what = "have one interval in all, which output.splits cannot divide; give the observations intervals";
            return Err(refused(what.into()));
        }
        let first = intervals.div_ceil(2);
        match split {
            Split::Halves => {
                parts.extend([by_interval("half1", &|i| i < first), by_interval("half2", &|i| i >= first)]);
            }
            Split::OddEven => {
                parts.extend([by_interval("odd", &|i| i % 2 == 0), by_interval("even", &|i| i % 2 == 1)]);
            }
            Split::Detectors => {
                let names: Vec<&str> = description.detectors.iter().map(|d| d.name.as_str()).collect();
                let sets = Sets { key: "detector_sets", what: "detector", sets: &config.detector_sets };
                parts.extend(sets.parts(&names, baselines, |number| baselines.get(number).detector).map_err(refused)?);
            }
            Split::Observations => {
                let names: Vec<&str> = description.observations.iter().map(|o| o.name.as_str()).collect();
                let sets = Sets { key: "observation_sets", what: "observation", sets: &config.observation_sets };
                parts.extend(
                    sets.parts(&names, baselines, |number| baselines.get(number).observation).map_err(refused)?,
                );
            }
        }
    }
    Ok(parts)
}

/// Sets of names.
struct Sets<'c> {
    key: &'static str,
    what: &'static str,
    sets: &'c BTreeMap<String, Vec<String>>,
}

impl Sets<'_> {
    /// Returns a part for each set; `place` gives the position of a baseline among the known `names`.
    fn parts(
        &self,
        names: &[&str],
        baselines: &Baselines,
        place: impl Fn(u64) -> usize,
    ) -> std::result::Result<Vec<Part>, String> {
        let part = |(set, wanted): (&String, &Vec<String>)| {
            let chosen = choose(&format!("output.{}.{set}", self.key), self.what, Some(wanted), names)?;
            let members = baselines.layout().range().map(|number| chosen[place(number)]).collect();
            Ok(Part { name: set.clone(), members })
        };
        self.sets.iter().map(part).collect()
    }
}
