//! The kind of object to look for in a file that has several.

use super::Description;

/// The kind of object that a caller looks for, where a file has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    Matrix,
    Vectors,
}

impl Wanted {
    /// Returns whether an object of this description is one.
    pub(super) fn fits(self, description: &Description) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Matrix => !description.is_vectors(),
            Wanted::Vectors => description.is_vectors(),
        }
    }

    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Wanted::Any => "a matrix or vectors",
            Wanted::Matrix => "a sparse matrix",
            Wanted::Vectors => "vectors",
        }
    }
}
