//! `Snapshot`: the state of an iterative method, to be handed over and restarted from.
//!
//! A solver fills one and resumes from it, a file format stores it, and neither knows the other:
//! what they share is names. Vectors stay distributed, so taking a snapshot moves nothing. Numbers
//! are kept in double precision, in which all four scalars are exact, so that a resumed run has the
//! bits of one that was never interrupted.

use std::collections::BTreeMap;

use crate::scalar::Scalar;
use crate::vector::Vector;

/// Named integers, real numbers and vectors of a method between two of its iterations.
pub struct Snapshot<T> {
    method: String,
    integers: BTreeMap<String, u64>,
    reals: BTreeMap<String, Vec<f64>>,
    vectors: BTreeMap<String, Vector<T>>,
}

impl<T: Scalar> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        let Snapshot { method, integers, reals, vectors } = self;
        let (integers, reals, vectors) = (integers.clone(), reals.clone(), vectors.clone());
        Snapshot { method: method.clone(), integers, reals, vectors }
    }
}

impl<T: Scalar> std::fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Snapshot");
        shown.field("method", &self.method).field("integers", &self.integers).field("reals", &self.reals);
        shown.field("vectors", &self.vectors).finish()
    }
}

impl<T: Scalar> Snapshot<T> {
    /// Creates an empty snapshot of the named method.
    pub fn new(method: &str) -> Snapshot<T> {
        let (integers, reals, vectors) = Default::default();
        Snapshot { method: method.to_owned(), integers, reals, vectors }
    }

    /// Returns the method whose state this is.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Sets an integer, the same on all ranks.
    pub fn set_integer(&mut self, name: &str, value: u64) {
        self.integers.insert(name.to_owned(), value);
    }

    /// Returns the integer of this name, if any.
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.integers.get(name).copied()
    }

    /// Returns all integers, by name.
    pub fn integers(&self) -> impl Iterator<Item = (&str, u64)> {
        self.integers.iter().map(|(name, &value)| (name.as_str(), value))
    }

    /// Sets a list of real numbers, the same on all ranks. Complex ones are two each.
    pub fn set_reals(&mut self, name: &str, values: Vec<f64>) {
        self.reals.insert(name.to_owned(), values);
    }

    /// Returns the list of real numbers of this name, if any.
    pub fn reals(&self, name: &str) -> Option<&[f64]> {
        self.reals.get(name).map(Vec::as_slice)
    }

    /// Returns all lists of real numbers, by name.
    pub fn all_reals(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.reals.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Sets a vector.
    pub fn set_vector(&mut self, name: &str, vector: Vector<T>) {
        self.vectors.insert(name.to_owned(), vector);
    }

    /// Returns the vector of this name, if any.
    pub fn vector(&self, name: &str) -> Option<&Vector<T>> {
        self.vectors.get(name)
    }

    /// Takes out all vectors, by name.
    pub fn take_vectors(&mut self) -> impl Iterator<Item = (String, Vector<T>)> + use<T> {
        std::mem::take(&mut self.vectors).into_iter()
    }

    /// Returns all vectors, by name. They need not share one layout.
    pub fn vectors(&self) -> impl Iterator<Item = (&str, &Vector<T>)> {
        self.vectors.iter().map(|(name, vector)| (name.as_str(), vector))
    }
}
