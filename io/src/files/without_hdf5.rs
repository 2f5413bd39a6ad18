//! HDF5 in a build without the feature `hdf5`: every file of it is refused.

use super::wanted::Wanted;
use super::{Description, Location};
use crate::error::{Error, Result};
use dolmen_core::{Comm, CsrMatrix, Layout, MultiVector, Scalar};

/// Numbers of matrices and vectors in files.
pub trait Entry: Scalar {}

impl<T: Scalar> Entry for T {}

/// An object of a file that cannot be opened.
pub(super) enum Hdf5Object {}

fn refusal(location: &Location) -> Error {
    location.error("is HDF5, which this program was built without: build with the feature `hdf5`")
}

impl Hdf5Object {
    pub(super) fn open(_: &Comm, from: &Location, _: Wanted) -> Result<Hdf5Object> {
        Err(refusal(from))
    }

    pub(super) fn description(&self) -> &Description {
        match *self {}
    }

    pub(super) fn matrix<T: Entry>(self) -> Result<CsrMatrix<T>> {
        match self {}
    }

    pub(super) fn vectors<T: Entry>(self, _: &Layout) -> Result<MultiVector<T>> {
        match self {}
    }
}

pub(super) fn write_matrix<T: Entry>(_: &CsrMatrix<T>, to: &Location) -> Result<()> {
    Err(refusal(to))
}

pub(super) fn write_vectors<T: Entry>(_: &MultiVector<T>, to: &Location) -> Result<()> {
    Err(refusal(to))
}

pub(super) fn others(_: &Comm, location: &Location, _: &str) -> Result<Vec<String>> {
    Err(refusal(location))
}
