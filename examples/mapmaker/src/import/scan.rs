//! Observations as the files of other programs have them, and what they have to have in common.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use dolmen_core::text::shown;

use crate::config::{Convention, Frame};
use crate::error::{Error, Result};
use crate::tod::check::{invalid, weight};
use crate::tod::{Description, Detector, Observation};

/// An observation that is to be imported.
pub(super) struct Scan {
    /// Its file, or the first of them.
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) frame: Frame,
    pub(super) convention: Convention,
    pub(super) units: String,
    /// In Hz.
    pub(super) sample_rate: f64,
    pub(super) samples: u64,
    pub(super) intervals: Vec<Range<u64>>,
    pub(super) detectors: Vec<Detector>,
}

/// Returns the description of the file that holds all scans, and for each scan the places of the description's detectors
/// among its own.
///
/// # Errors
/// A value is not possible; scans have the same name, or differ in frame, convention, unit or detectors.
pub(super) fn describe(output: &Path, scans: &[Scan]) -> Result<(Description, Vec<Vec<usize>>)> {
    let first = &scans[0];
    let mut orders = Vec::with_capacity(scans.len());
    for (number, scan) in scans.iter().enumerate() {
        scan.check()?;
        if let Some(before) = scans[..number].iter().find(|before| before.name == scan.name) {
            let what = format!(
                "has the observation {:?}, and so has {}; import them into files of their own, which input.tod may list",
                scan.name,
                shown(&before.path)
            );
            return Err(invalid(&scan.path, "/", what));
        }
        scan.require_same_meaning(first)?;
        orders.push(scan.order(first)?);
    }
    let observations = scans.iter().map(|scan| Observation {
        name: scan.name.clone(),
        file: 0,
        detectors: (0..first.detectors.len()).collect(),
        sample_rate: scan.sample_rate,
        samples: scan.samples,
        intervals: scan.intervals.clone(),
    });
    let description = Description {
        files: vec![output.to_owned()],
        detectors: first.detectors.clone(),
        observations: observations.collect(),
        convention: first.convention,
        frame: first.frame,
        units: first.units.clone(),
    };
    Ok((description, orders))
}

impl Scan {
    fn refused(&self, place: impl Into<String>, what: String) -> Error {
        invalid(&self.path, place, what)
    }

    /// Refuses values that are not possible.
    fn check(&self) -> Result<()> {
        if self.samples == 0 {
            return Err(self.refused(&self.name, "has no samples".into()));
        }
        if !(self.sample_rate > 0.0 && self.sample_rate.is_finite()) {
            let what = format!("is {:?}, expected a positive rate in Hz; give --sample-rate HZ", self.sample_rate);
            return Err(self.refused("sampling rate", what));
        }
        let mut names = HashSet::with_capacity(self.detectors.len());
        for (number, detector) in self.detectors.iter().enumerate() {
            let wrong = |what: String| Err(self.refused(format!("detector {}", detector.name), what));
            if detector.name.is_empty() {
                return Err(self.refused(format!("detector {number}"), "has no name".into()));
            }
            if !names.insert(&detector.name) {
                return wrong("is there twice; names of detectors have to differ".into());
            }
            let Detector { net, fknee, alpha, fmin, efficiency, .. } = *detector;
            if !(net > 0.0 && net.is_finite()) {
                return wrong(format!("has the white noise {net:?}, expected a positive number; give --net NET"));
            }
            for (what, value, option) in
                [("fknee", fknee, "--fknee"), ("alpha", alpha, "--alpha"), ("fmin", fmin, "--fmin")]
            {
                if value < 0.0 || value.is_infinite() {
                    return wrong(format!("has {what} {value:?}, expected zero or more; give {option}"));
                }
            }
            if !(0.0..=1.0).contains(&efficiency) {
                return wrong(format!(
                    "has the polarization efficiency {efficiency:?}, expected 0 to 1; give --pol-efficiency ETA"
                ));
            }
            if let Err(what) = weight(net, self.sample_rate) {
                return wrong(what);
            }
        }
        Ok(())
    }

    /// Refuses a scan whose numbers mean other things than those of the first one.
    fn require_same_meaning(&self, first: &Scan) -> Result<()> {
        let words = |scan: &Scan| {
            [
                ("frame", format!("{:?}", scan.frame)),
                ("convention of the angles", format!("{:?}", scan.convention).to_uppercase()),
                ("unit of the signal", scan.units.clone()),
            ]
        };
        let differs = words(first).into_iter().zip(words(self)).find(|(expected, found)| expected != found);
        differs.map_or(Ok(()), |((place, expected), (_, found))| {
            let what = format!(
                "is {found:?}, but {expected:?} in {}; import such files into files of their own",
                shown(&first.path)
            );
            Err(self.refused(place, what))
        })
    }

    /// Returns the places of the first scan's detectors in this one.
    fn order(&self, first: &Scan) -> Result<Vec<usize>> {
        let names = |scan: &Scan| scan.detectors.iter().map(|detector| detector.name.clone()).collect::<Vec<_>>();
        let places: HashMap<&str, usize> =
            self.detectors.iter().map(|detector| detector.name.as_str()).zip(0..).collect();
        let order: Option<Vec<usize>> = first.detectors.iter().map(|d| places.get(d.name.as_str()).copied()).collect();
        let Some(order) = order.filter(|order| order.len() == self.detectors.len()) else {
            let what = format!(
                "are {}, but {} in {}; an observation has all detectors of a file of timelines: import such files into files of \
                 their own, or give --observation NAME if all FITS tables are detectors of one observation",
                names(self).join(", "),
                names(first).join(", "),
                shown(&first.path)
            );
            return Err(self.refused("detectors", what));
        };
        for (detector, &place) in first.detectors.iter().zip(&order) {
            self.require_same(detector, &self.detectors[place], first)?;
        }
        Ok(order)
    }

    /// Refuses a detector that is another one in the first scan: a file of timelines has one row for it.
    fn require_same(&self, expected: &Detector, found: &Detector, first: &Scan) -> Result<()> {
        let values = |d: &Detector| {
            let noise = [("--net", d.net), ("--fknee", d.fknee), ("--alpha", d.alpha), ("--fmin", d.fmin)];
            noise.into_iter().chain([("--pol-efficiency", d.efficiency)])
        };
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        if let Some(((option, a), (_, b))) = values(expected).zip(values(found)).find(|((_, a), (_, b))| !same(*a, *b))
        {
            let what = format!(
                "has {} {b:?}, but {a:?} in {}, and a file of timelines has one row for a detector; give {option}, or import the \
                 files into files of their own",
                &option[2..],
                shown(&first.path)
            );
            return Err(self.refused(format!("detector {}", found.name), what));
        }
        if expected.quaternion != found.quaternion {
            let what = format!(
                "has another attitude than in {}, and a file of timelines has one row for a detector; import the files into \
                 files of their own",
                shown(&first.path)
            );
            return Err(self.refused(format!("detector {}", found.name), what));
        }
        Ok(())
    }
}

/// Returns a name that a group of HDF5 can have.
pub(super) fn group_name(name: &str) -> String {
    let name = name.trim().replace(['/', '\0'], "_");
    if name.chars().all(|c| c == '.') { format!("observation{name}") } else { name }
}
