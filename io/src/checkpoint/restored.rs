//! `Restored`: what was in a checkpoint.

use crate::error::{Error, Result};
use dolmen_core::{Layout, Redistribute, Scalar, Snapshot, Vector};
use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A checkpoint that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its file.
    pub path: PathBuf,
    /// Fault, in words.
    pub reason: String,
}

/// The content of a valid checkpoint, evenly over the ranks that loaded it.
#[derive(Debug)]
pub struct Restored {
    pub(super) path: PathBuf,
    pub(super) generation: u64,
    pub(super) unix_time: f64,
    pub(super) ranks: u64,
    pub(super) config: String,
    pub(super) skipped: Vec<Skipped>,
    pub(super) own: StoredSection,
    pub(super) snapshots: BTreeMap<String, StoredSection>,
}

#[derive(Debug, Default)]
pub(super) struct StoredSection {
    pub(super) method: String,
    pub(super) texts: BTreeMap<String, String>,
    pub(super) integers: BTreeMap<String, u64>,
    pub(super) reals: BTreeMap<String, Vec<f64>>,
    pub(super) vectors: BTreeMap<String, Stored>,
}

/// A vector of some scalar.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) scalar: String,
    pub(super) length: u64,
    pub(super) entries: Box<dyn Any>,
}

impl Restored {
    /// Returns the path of its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its number: each is one more than the one before.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the time at which it was written, by the clock of rank 0.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        let since = Duration::try_from_secs_f64(self.unix_time).unwrap_or_default();
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }

    /// Returns the number of ranks that wrote it.
    #[must_use]
    pub fn ranks(&self) -> u64 {
        self.ranks
    }

    /// Returns later checkpoints that were damaged, the latest first.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Returns the configuration with which it was made.
    #[must_use]
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Checks that the configuration is still this one.
    ///
    /// # Errors
    ///
    /// It is another one: names the first line that differs.
    pub fn require_config(&self, config: &str) -> Result<()> {
        let (mut old, mut new) = (self.config.lines(), config.lines());
        loop {
            match (old.next(), new.next()) {
                (None, None) => return Ok(()),
                (old, new) if old == new => {}
                (old, new) => {
                    let quoted = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("{line:?}"));
                    let what = format!(
                        "was made with another configuration: it had {}, now there is {}; resume with the \
                         configuration it was made with, or start from the beginning in another folder",
                        quoted(old),
                        quoted(new)
                    );
                    return Err(Error::File { path: self.path.clone(), what });
                }
            }
        }
    }

    /// Returns the string of this name, if any.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.own.texts.get(name).map(String::as_str)
    }

    /// Returns the integer of this name, if any.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.own.integers.get(name).copied()
    }

    /// Returns the list of real numbers of this name, if any.
    #[must_use]
    pub fn reals(&self, name: &str) -> Option<&[f64]> {
        self.own.reals.get(name).map(Vec::as_slice)
    }

    /// Takes a vector out; none if there is none of this name.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// It holds another scalar, or its length is not that of `layout`.
    pub fn take_vector<T: Scalar>(&mut self, name: &str, layout: &Layout) -> Result<Option<Vector<T>>> {
        let stored = self.own.vectors.remove(name);
        stored.map(|stored| distribute(stored, layout, &self.path, name)).transpose()
    }

    /// Takes the snapshot of a solver out; none if there is none of this name. Each of its vectors gets
    /// the first of `layouts` that has its length, and is spread evenly if none has.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// Its vectors hold another scalar.
    pub fn take_snapshot<T: Scalar>(&mut self, name: &str, layouts: &[&Layout]) -> Result<Option<Snapshot<T>>> {
        let Some(section) = self.snapshots.remove(name) else { return Ok(None) };
        let mut snapshot = Snapshot::new(&section.method);
        section.integers.iter().for_each(|(name, &value)| snapshot.set_integer(name, value));
        section.reals.into_iter().for_each(|(name, values)| snapshot.set_reals(&name, values));
        for (name, stored) in section.vectors {
            let vector = match layouts.iter().find(|layout| layout.global_len() == stored.length) {
                Some(layout) => distribute(stored, layout, &self.path, &name)?,
                None => *downcast::<T>(stored, &self.path, &name)?,
            };
            snapshot.set_vector(&name, vector);
        }
        Ok(Some(snapshot))
    }

    /// Returns a section by the name of its snapshot; without one, the application's own.
    pub(super) fn section(&mut self, snapshot: &str) -> &mut StoredSection {
        if snapshot.is_empty() { &mut self.own } else { self.snapshots.entry(snapshot.to_owned()).or_default() }
    }
}

/// Returns the vector on a layout of its length.
fn distribute<T: Scalar>(stored: Stored, layout: &Layout, path: &Path, name: &str) -> Result<Vector<T>> {
    if stored.length != layout.global_len() {
        let what = format!("vector {name} has {} entries, expected {}", stored.length, layout.global_len());
        return Err(Error::File { path: path.to_owned(), what });
    }
    let even = downcast::<T>(stored, path, name)?;
    if even.layout() == layout {
        return Ok(*even);
    }
    let mut vector = Vector::zeros(layout);
    Redistribute::new(even.layout(), layout)?.apply(&even, &mut vector)?;
    Ok(vector)
}

fn downcast<T: Scalar>(stored: Stored, path: &Path, name: &str) -> Result<Box<Vector<T>>> {
    stored.entries.downcast().map_err(|_| {
        let what = format!("vector {name} has entries of type {}, expected {}", stored.scalar, T::NAME);
        Error::File { path: path.to_owned(), what }
    })
}
