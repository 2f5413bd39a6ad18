//! FITS in a build without the feature `fits`: every file of it is refused.

use super::wanted::Wanted;
use super::{Description, Entry, Location};
use crate::error::{Error, Result};
use dolmen_core::{Comm, Layout, MultiVector};

/// A column of a file that cannot be opened.
pub(super) enum FitsColumn {}

fn refusal(location: &Location) -> Error {
    location.error("is FITS, which this program was built without: build with the feature `fits`")
}

impl FitsColumn {
    pub(super) fn open(_: &Comm, from: &Location, _: Wanted) -> Result<FitsColumn> {
        Err(refusal(from))
    }

    pub(super) fn description(&self) -> Description {
        match *self {}
    }

    pub(super) fn no_matrix(&self) -> Error {
        match *self {}
    }

    pub(super) fn vectors<T: Entry>(self, _: &Layout) -> Result<MultiVector<T>> {
        match self {}
    }
}

pub(super) fn write_vectors<T: Entry>(_: &MultiVector<T>, to: &Location) -> Result<()> {
    Err(refusal(to))
}

pub(super) fn require_plain(to: &Location) -> Result<()> {
    Err(refusal(to))
}

pub(super) fn others(_: &Comm, location: &Location, _: &str) -> Result<Vec<String>> {
    Err(refusal(location))
}
