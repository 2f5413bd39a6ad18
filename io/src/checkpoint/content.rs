//! `Checkpoint`: what is to be saved, borrowed from where it lives.

use crate::error::{Error, Result};
use dolmen_core::{Layout, Scalar, Snapshot, Vector};
use std::path::Path;

/// State of a program that is to be saved, by names: strings, numbers, vectors, solver snapshots, and
/// the configuration under which they make sense.
///
/// Nothing is copied before it is saved. Names may be anything but empty or with a slash. Numbers and
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
    pub(super) method: Option<&'a str>,
    pub(super) texts: Vec<(String, String)>,
    pub(super) integers: Vec<(String, u64)>,
    pub(super) reals: Vec<(String, &'a [f64])>,
    pub(super) vectors: Vec<(String, Entries<'a>)>,
}

/// A vector of any of the scalars.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    pub(super) layout: &'a Layout,
    pub(super) scalar: &'static str,
    pub(super) entry_bytes: usize,
    pub(super) owned: &'a [u8],
}

impl Entries<'_> {
    /// Where this rank's bytes start in the whole vector.
    pub(super) fn first(&self) -> u64 {
        self.layout.range().start * self.entry_bytes as u64
    }

    /// Bytes of the whole vector.
    pub(super) fn bytes(&self) -> u64 {
        self.layout.global_len() * self.entry_bytes as u64
    }
}

impl<'a> Entries<'a> {
    fn of<T: Scalar>(vector: &'a Vector<T>) -> Self {
        let owned = bytemuck::cast_slice(vector.owned());
        Entries { layout: vector.layout(), scalar: T::NAME, entry_bytes: size_of::<T>(), owned }
    }
}

impl<'a> Checkpoint<'a> {
    /// Nothing yet, under a configuration: any text that has to be the same when the program goes on.
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
        self.own.reals.push((name.to_owned(), values));
        self
    }

    /// Adds a vector.
    #[must_use]
    pub fn vector<T: Scalar>(mut self, name: &str, vector: &'a Vector<T>) -> Self {
        self.own.vectors.push((name.to_owned(), Entries::of(vector)));
        self
    }

    /// Adds the snapshot of a solver.
    #[must_use]
    pub fn snapshot<T: Scalar>(mut self, name: &str, snapshot: &'a Snapshot<T>) -> Self {
        let owned = |(name, value): (&str, u64)| (name.to_owned(), value);
        let section = Section {
            method: Some(snapshot.method()),
            texts: Vec::new(),
            integers: snapshot.integers().map(owned).collect(),
            reals: snapshot.all_reals().map(|(name, values)| (name.to_owned(), values)).collect(),
            vectors: snapshot.vectors().map(|(name, vector)| (name.to_owned(), Entries::of(vector))).collect(),
        };
        self.snapshots.push((name.to_owned(), section));
        self
    }

    /// All vectors, in the order in which they are written.
    pub(super) fn vectors(&self) -> impl Iterator<Item = &Entries<'a>> {
        self.sections().flat_map(|(_, section)| section.vectors.iter().map(|(_, vector)| vector))
    }

    /// The sections with their groups.
    pub(super) fn sections(&self) -> impl Iterator<Item = (String, &Section<'a>)> {
        let snapshots = self.snapshots.iter().map(|(name, section)| (format!("{SNAPSHOTS}/{name}"), section));
        std::iter::once((STATE.to_owned(), &self.own)).chain(snapshots)
    }

    /// Refuses names that files cannot have.
    pub(super) fn check(&self, folder: &Path) -> Result<()> {
        let refuse = |name: &str| Error::argument(folder, format!("{name:?} cannot be the name of a saved thing"));
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
/// What is in the group of a section.
pub(super) const TEXTS: &str = "texts";
pub(super) const INTEGERS: &str = "integers";
pub(super) const REALS: &str = "reals";
pub(super) const VECTORS: &str = "vectors";
/// Group of the checksums, in which the vectors have the names that they have outside of it.
pub(super) const CHECKSUMS: &str = "checksums";
