//! Finding out whether the matrices and vectors of an HDF5 file can be read, by reading them.

use super::{Found, Hdf5Contents};
use crate::EXACT;
use crate::error::Result;
use crate::files::Field;
use crate::hdf5::{Element, ElementType, Object};
use dolmen_core::{Blocks, Complex64, Layout};

/// The names of the parts of a matrix.
const PARTS: [&str; 6] = ["data", "indices", "indptr", "shape", "ir", "jc"];

impl Hdf5Contents {
    /// Reads a matrix or vectors, to see whether they are valid; says why they cannot be used although they may be.
    ///
    /// # Collective
    ///
    /// # Errors
    /// They are damaged.
    pub fn check(&self, found: &Found) -> Result<Option<String>> {
        match self.examine(found) {
            Err(error) if self.is_out_of_reach(&found.name) => Ok(Some(error.to_string())),
            examined => examined,
        }
    }

    /// Says what keeps a dataset that is neither a matrix nor vectors from being read, if anything does.
    #[must_use]
    pub fn unreadable(&self, object: &Object) -> Option<String> {
        let is_found = self.found.iter().any(|found| found.name == object.name);
        let stored = object.dataset.as_ref().filter(|_| !is_found)?;
        if !stored.outside.is_empty() {
            return Some(format!("its data lie in another file, {}", stored.outside.join(", ")));
        }
        let missing = stored.missing_filters.join(", ");
        (!missing.is_empty()).then(|| format!("its filter is not installed: {missing}"))
    }

    /// Returns whether a dataset has the name of a part of a matrix.
    #[must_use]
    pub fn is_part(object: &Object) -> bool {
        PARTS.contains(&object.name.rsplit('/').next().unwrap_or_default())
    }

    /// Returns whether nothing can be said of the data of an object, or of a part of a matrix: they went through a
    /// filter that is not there, or lie in another file.
    fn is_out_of_reach(&self, name: &str) -> bool {
        let parent = name.trim_end_matches('/');
        let parts = PARTS.iter().filter_map(|part| self.listed.dataset(&format!("{parent}/{part}")));
        let mut stored = parts.chain(self.listed.dataset(name)).filter_map(|object| object.dataset.as_ref());
        stored.any(|stored| !stored.missing_filters.is_empty() || !stored.outside.is_empty())
    }

    fn examine(&self, found: &Found) -> Result<Option<String>> {
        let is_vectors = found.description.is_vectors();
        if let Some(value) = self.beyond_floats(found)? {
            let kind = if is_vectors { "vectors" } else { "a matrix" };
            return Ok(Some(format!("cannot be used as {kind} of f64: it holds {value}, beyond 2^53")));
        }
        let rows = || Layout::uniform(self.file.comm(), found.description.rows);
        match (is_vectors, found.description.field) {
            (true, Field::Complex) => drop(self.vectors::<Complex64>(found, &rows())?),
            (true, _) => drop(self.vectors::<f64>(found, &rows())?),
            (false, Field::Complex) => drop(self.matrix::<Complex64>(found)?),
            (false, _) => drop(self.matrix::<f64>(found)?),
        }
        Ok(None)
    }

    /// Returns the whole number of a matrix or of vectors that is largest in size, if `f64` would not tell it from
    /// others.
    fn beyond_floats(&self, found: &Found) -> Result<Option<i128>> {
        let data = if found.description.is_vectors() { "" } else { "/data" };
        let name = format!("{}{data}", found.name.trim_end_matches('/'));
        if self.listed.dataset(&name).is_none() {
            return Ok(None);
        }
        match *self.file.dataset(&name)?.element_type() {
            ElementType::Integer { bytes: 8, signed: true, .. } => self.largest::<i64>(&name),
            ElementType::Integer { bytes: 8, .. } => self.largest::<u64>(&name),
            _ => Ok(None),
        }
    }

    /// Computes the number that is largest in size, of all ranks, if it is beyond 2^53.
    ///
    /// # Collective
    fn largest<T: Element + Into<i128>>(&self, name: &str) -> Result<Option<i128>> {
        let (dataset, comm) = (self.file.dataset(name)?, self.file.comm());
        let (mut start, mut count) = (vec![0; dataset.shape().len()], dataset.shape().to_vec());
        if let (Some(start), Some(count)) = (start.first_mut(), count.first_mut()) {
            let rows = Blocks::uniform(*count, comm.size()).range(comm.rank());
            (*start, *count) = (rows.start, rows.end - rows.start);
        }
        let size = |value: &i128| value.unsigned_abs();
        let mine = dataset.read_slab::<T>(&start, &count)?.into_iter().map(Into::into).max_by_key(size);
        let largest = comm.all_gather(mine.unwrap_or(0)).into_iter().max_by_key(size);
        Ok(largest.filter(|value| size(value) > u128::from(EXACT)))
    }
}
