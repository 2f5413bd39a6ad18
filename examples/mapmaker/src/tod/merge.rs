//! One description of several files of timelines, and the places of what is chosen of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dolmen_core::text::shown;

use super::check::invalid;
use super::description::{Description, Detector};
use super::selection::choose;
use crate::config::InputConfig;
use crate::error::Result;

/// Place of an observation.
pub(super) struct Place {
    /// Its file.
    pub(super) file: usize,
    /// Its number in the file.
    pub(super) observation: usize,
    /// Rows of its detectors in the file, ascending.
    pub(super) rows: Vec<usize>,
}

/// Merges the descriptions of files, and chooses detectors and observations.
///
/// # Errors
/// Files differ in frame, convention or unit, or in the noise of a detector; a table has a name twice; a name that is
/// chosen is not there, or nothing is left.
pub(super) fn merge(files: &[&Description], input: &InputConfig) -> Result<(Description, Vec<Place>)> {
    let first = files[0];
    let path = &first.files[0];
    files.iter().try_for_each(|file| require_same_meaning(first, file))?;
    let mut union = Union { has_noise: input.noise.is_none(), ..Union::default() };
    for (number, file) in files.iter().enumerate() {
        union.add(number, file)?;
    }
    let names: Vec<&str> = union.detectors.iter().map(|detector| detector.name.as_str()).collect();
    let refused = |place: &str, what| invalid(path, place, what);
    let is_chosen = choose("input.detectors", "detector", input.detectors.as_deref(), &names)
        .map_err(|what| refused("detectors", what))?;
    let all: Vec<(usize, usize)> =
        (0..).zip(files).flat_map(|(f, file)| (0..file.observations.len()).map(move |o| (f, o))).collect();
    let names: Vec<&str> = all.iter().map(|&(f, o)| files[f].observations[o].name.as_str()).collect();
    let are_chosen = choose("input.observations", "observation", input.observations.as_deref(), &names)
        .map_err(|what| refused("observations", what))?;

    let (mut observations, mut places) = (Vec::new(), Vec::new());
    for (&(f, o), _) in all.iter().zip(are_chosen).filter(|(_, chosen)| *chosen) {
        let rows: Vec<usize> = (0..files[f].detectors.len()).filter(|&row| is_chosen[union.numbers[f][row]]).collect();
        if rows.is_empty() {
            continue;
        }
        let mut observation = files[f].observations[o].clone();
        observation.file = f;
        observation.detectors = rows.iter().map(|&row| union.numbers[f][row]).collect();
        observations.push(observation);
        places.push(Place { file: f, observation: o, rows });
    }
    if observations.is_empty() {
        let what =
            "input.observations chooses none in which a detector of input.detectors has samples; change one of them";
        return Err(refused("observations", what.to_owned()));
    }
    // Detectors without an observation have nothing to say.
    let mut numbers = vec![None; union.detectors.len()];
    observations
        .iter()
        .flat_map(|observation| &observation.detectors)
        .for_each(|&detector| numbers[detector] = Some(0));
    numbers.iter_mut().flatten().enumerate().for_each(|(new, number)| *number = new);
    for detector in observations.iter_mut().flat_map(|observation| &mut observation.detectors) {
        *detector = numbers[*detector].expect("invariant: it is in an observation");
    }
    let detectors = union.detectors.into_iter().zip(numbers).filter(|(_, number)| number.is_some());
    let description = Description {
        files: files.iter().map(|file| file.files[0].clone()).collect(),
        detectors: detectors.map(|(detector, _)| detector).collect(),
        observations,
        convention: first.convention,
        frame: first.frame,
        units: first.units.clone(),
    };
    Ok((description, places))
}

/// Refuses files whose numbers mean different things.
fn require_same_meaning(first: &Description, other: &Description) -> Result<()> {
    let words = |description: &Description| {
        [
            ("coordinates", format!("{:?}", description.frame)),
            ("psi_convention", format!("{:?}", description.convention).to_uppercase()),
            ("units", description.units.clone()),
        ]
    };
    let pairs = words(first).into_iter().zip(words(other));
    pairs.into_iter().find(|(a, b)| a != b).map_or(Ok(()), |((name, expected), (_, found))| {
        let what =
            format!("is {found:?}, but {expected:?} in {}; make maps of such files one by one", shown(&first.files[0]));
        Err(invalid(&other.files[0], format!("/: attribute {name}"), what))
    })
}

/// The detectors of several files, by name.
#[derive(Default)]
struct Union {
    /// True if the noise of detectors is that of their files.
    has_noise: bool,
    detectors: Vec<Detector>,
    by_name: HashMap<String, usize>,
    /// For each file the numbers of its detectors.
    numbers: Vec<Vec<usize>>,
    /// Names of the files.
    files: Vec<PathBuf>,
}

impl Union {
    fn add(&mut self, number: usize, file: &Description) -> Result<()> {
        let path = &file.files[0];
        self.files.push(path.clone());
        let mut numbers: Vec<usize> = Vec::with_capacity(file.detectors.len());
        for (row, detector) in file.detectors.iter().enumerate() {
            let known = *self.by_name.entry(detector.name.clone()).or_insert(self.detectors.len());
            if known == self.detectors.len() {
                self.detectors.push(Detector { origin: (number, row), ..detector.clone() });
            } else if let Some(before) = numbers.iter().position(|&number| number == known) {
                let what = format!("is {:?}, the name of detectors[{before}] too; names have to differ", detector.name);
                return Err(invalid(path, format!("detectors[{row}].name"), what));
            } else {
                self.require_same(known, detector, path, row)?;
            }
            numbers.push(known);
        }
        self.numbers.push(numbers);
        Ok(())
    }

    /// Refuses a detector that is another one elsewhere. One whose row is not valid has no sample there that is not flagged.
    fn require_same(&mut self, known: usize, other: &Detector, path: &Path, row: usize) -> Result<()> {
        let first = &mut self.detectors[known];
        if !other.net.is_finite() {
            return Ok(());
        }
        if !first.net.is_finite() {
            *first = Detector { origin: (self.numbers.len(), row), ..other.clone() };
            return Ok(());
        }
        let values = |d: &Detector| {
            [("pol_efficiency", d.efficiency), ("net", d.net), ("fknee", d.fknee), ("alpha", d.alpha), ("fmin", d.fmin)]
        };
        let count = if self.has_noise { 5 } else { 1 };
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        let mut pairs = values(first).into_iter().zip(values(other)).take(count);
        pairs.find(|((_, a), (_, b))| !same(*a, *b)).map_or(Ok(()), |((column, expected), (_, found))| {
            let (name, file) = (&first.name, shown(&self.files[first.origin.0]));
            let what = format!(
                "is {found:?} for {name}, but {expected:?} in {file}; a detector has one row: make the tables agree, or give \
                 the detectors of one of the files other names"
            );
            Err(invalid(path, format!("detectors[{row}].{column}"), what))
        })
    }
}
