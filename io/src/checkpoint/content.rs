//! `Checkpoint`: what is to be saved, borrowed from where it lives, or given away to be saved.

use crate::error::{Error, Result};
use bytemuck::Pod;
use dolmen_core::{Scalar, Snapshot, Vector};
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

/// State of a program that is to be saved, by names: strings, numbers, vectors, solver snapshots, and
/// the configuration under which they make sense.
///
/// Vectors are not copied before they are saved. Names may be anything but empty or with a slash. Numbers and
/// strings have to be the same on all ranks; rank 0's are written.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    pub(super) config: String,
    pub(super) own: Section<'a>,
    pub(super) snapshots: Vec<(String, Section<'a>)>,
}

/// Things with names, which the file has in one group.
#[derive(Debug, Default)]
pub(super) struct Section<'a> {
    pub(super) method: Option<String>,
    pub(super) texts: Vec<(String, String)>,
    pub(super) integers: Vec<(String, u64)>,
    pub(super) reals: Vec<(String, Cow<'a, [f64]>)>,
    pub(super) vectors: Vec<(String, Entries<'a>)>,
}

/// A vector of any of the scalars.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    pub(super) scalar: &'static str,
    pub(super) global_len: u64,
    /// Bytes of the whole vector.
    pub(super) bytes: u64,
    /// This rank's part.
    pub(super) slab: Slab<'a>,
}

/// A rank's part of a vector: one run of its bytes, or, on a stacked layout, one in each block.
#[derive(Debug)]
pub(super) struct Slab<'a> {
    /// Start of each run in the whole vector, and its bytes among the rank's, both ascending.
    runs: Vec<(u64, Range<usize>)>,
    entries: Bytes<'a>,
}

#[derive(Debug)]
enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Given(Box<dyn Given>),
}

/// Entries that were given away to be saved, perhaps by another thread.
trait Given: Send + std::fmt::Debug {
    fn bytes(&self) -> &[u8];
}

impl<T: Pod + Send + std::fmt::Debug> Given for Vec<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }
}

impl Slab<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.entries {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Given(entries) => entries.bytes(),
        }
    }

    /// Returns the start of each run in the whole vector, and its bytes.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.runs.iter().map(|(first, range)| (*first, &self.bytes()[range.clone()]))
    }

    /// Returns the same, with a copy of what is only borrowed.
    pub(super) fn into_static(self) -> Slab<'static> {
        let entries = match self.entries {
            Bytes::Borrowed(bytes) => Box::new(bytes.to_vec()),
            Bytes::Given(entries) => entries,
        };
        Slab { runs: self.runs, entries: Bytes::Given(entries) }
    }
}

impl<'a> Entries<'a> {
    fn of<T: Scalar>(vector: &Vector<T>, entries: Bytes<'a>) -> Self {
        let (global_len, entry_bytes) = (vector.global_len(), size_of::<T>() as u64);
        let bytes = |positions: &Range<usize>| positions.start * size_of::<T>()..positions.end * size_of::<T>();
        let runs = vector.layout().runs().iter();
        let runs = runs.map(|run| (run.rows.start * entry_bytes, bytes(&run.positions))).collect();
        let slab = Slab { runs, entries };
        Entries { scalar: T::NAME, global_len, bytes: global_len * entry_bytes, slab }
    }

    fn borrowed<T: Scalar>(vector: &'a Vector<T>) -> Self {
        Entries::of(vector, Bytes::Borrowed(bytemuck::cast_slice(vector.owned())))
    }

    fn given<T: Scalar>(vector: Vector<T>) -> Self {
        let mut entries = Entries::of(&vector, Bytes::Borrowed(&[]));
        entries.slab.entries = Bytes::Given(Box::new(vector.into_owned()));
        entries
    }
}

impl<'a> Checkpoint<'a> {
    /// Creates an empty checkpoint with a configuration: any text that has to be the same when the program resumes.
    /// [`Restored::require_config`](super::Restored::require_config) compares it.
    #[must_use]
    pub fn new(config: impl Into<String>) -> Self {
        Checkpoint { config: config.into(), own: Section::default(), snapshots: Vec::new() }
    }

    /// Adds a string.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.own.texts.push((name.to_owned(), value.into()));
        self
    }

    /// Adds an integer.
    #[must_use]
    pub fn integer(mut self, name: &str, value: u64) -> Self {
        self.own.integers.push((name.to_owned(), value));
        self
    }

    /// Adds a list of real numbers.
    #[must_use]
    pub fn reals(mut self, name: &str, values: &'a [f64]) -> Self {
        self.own.reals.push((name.to_owned(), Cow::Borrowed(values)));
        self
    }

    /// Adds a vector.
    #[must_use]
    pub fn vector<T: Scalar>(mut self, name: &str, vector: &'a Vector<T>) -> Self {
        self.own.vectors.push((name.to_owned(), Entries::borrowed(vector)));
        self
    }

    /// Adds the snapshot of a solver.
    #[must_use]
    pub fn snapshot<T: Scalar>(mut self, name: &str, snapshot: &'a Snapshot<T>) -> Self {
        let mut section = Section::of_numbers(snapshot);
        section.vectors =
            snapshot.vectors().map(|(name, vector)| (name.to_owned(), Entries::borrowed(vector))).collect();
        self.snapshots.push((name.to_owned(), section));
        self
    }

    /// Adds the snapshot of a solver, given away: saved in the background it is not copied.
    #[must_use]
    pub fn give_snapshot<T: Scalar>(mut self, name: &str, mut snapshot: Snapshot<T>) -> Self {
        let vectors = snapshot.take_vectors().map(|(name, vector)| (name, Entries::given(vector))).collect();
        let section = Section { vectors, ..Section::of_numbers(&snapshot) };
        self.snapshots.push((name.to_owned(), section));
        self
    }

    /// Returns all vectors, in the order in which they are written.
    pub(super) fn vectors(&self) -> impl Iterator<Item = &Entries<'a>> {
        self.sections().flat_map(|(_, section)| section.vectors.iter().map(|(_, vector)| vector))
    }

    /// Returns this rank's parts of all vectors, in that order.
    pub(super) fn into_slabs(self) -> impl Iterator<Item = Slab<'a>> {
        let sections = std::iter::once(self.own).chain(self.snapshots.into_iter().map(|(_, section)| section));
        sections.flat_map(|section| section.vectors.into_iter().map(|(_, vector)| vector.slab))
    }

    /// Returns the sections with their groups.
    pub(super) fn sections(&self) -> impl Iterator<Item = (String, &Section<'a>)> {
        let snapshots = self.snapshots.iter().map(|(name, section)| (format!("{SNAPSHOTS}/{name}"), section));
        std::iter::once((STATE.to_owned(), &self.own)).chain(snapshots)
    }

    /// Refuses names that files cannot have.
    pub(super) fn check(&self, folder: &Path) -> Result<()> {
        let refuse = |name: &str| {
            let what = format!("{name:?} cannot be the name of a saved object; use one without a slash that is no dot");
            Error::argument(folder, what)
        };
        let mut names: Vec<&str> = self.snapshots.iter().map(|(name, _)| name.as_str()).collect();
        for (_, section) in self.sections() {
            names.extend(section.names());
        }
        match names.iter().find(|name| name.is_empty() || **name == "." || name.contains(['/', '\0'])) {
            Some(name) => Err(refuse(name)),
            None => Ok(()),
        }
    }
}

impl Section<'_> {
    /// Returns all of a snapshot but its vectors.
    fn of_numbers<T: Scalar>(snapshot: &Snapshot<T>) -> Self {
        let reals = snapshot.all_reals().map(|(name, values)| (name.to_owned(), Cow::Owned(values.to_vec())));
        Section {
            method: Some(snapshot.method().to_owned()),
            texts: Vec::new(),
            integers: snapshot.integers().map(|(name, value)| (name.to_owned(), value)).collect(),
            reals: reals.collect(),
            vectors: Vec::new(),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let texts = self.texts.iter().map(|(name, _)| name.as_str());
        let integers = self.integers.iter().map(|(name, _)| name.as_str());
        let reals = self.reals.iter().map(|(name, _)| name.as_str());
        texts.chain(integers).chain(reals).chain(self.vectors.iter().map(|(name, _)| name.as_str()))
    }
}

/// The group of the application's own state.
pub(super) const STATE: &str = "state";
/// The group of snapshots.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// Names in the group of a section.
pub(super) const TEXTS: &str = "texts";
pub(super) const INTEGERS: &str = "integers";
pub(super) const REALS: &str = "reals";
pub(super) const VECTORS: &str = "vectors";
/// Group of the checksums, in which the vectors have the names that they have outside of it.
pub(super) const CHECKSUMS: &str = "checksums";
