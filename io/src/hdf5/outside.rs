//! Data that a file names but does not hold: in raw files beside it, in the sources of virtual datasets, and
//! behind external links.
//!
//! A file that someone sends may so name any file of this machine, whose contents would then be taken for
//! numbers. None is followed unless [`super::OpenOptions::allow_external`] says so.

mod ffi;
mod refusal;

pub(super) use ffi::{exists, external_link, open, virtual_shape};
pub(super) use refusal::refusal;

use hdf5::Dataset;
use hdf5::dataset::Layout;

/// The name by which a virtual dataset calls the file that it is in.
const SAME_FILE: &str = ".";

/// Returns the other files in which the data of a dataset lie.
pub(super) fn files(dataset: &Dataset) -> hdf5::Result<Vec<String>> {
    let list = dataset.dcpl()?;
    let mut files = ffi::raw_files(&list)?;
    if dataset.layout() == Layout::Virtual {
        files.extend(ffi::sources(&list)?.into_iter().filter(|name| name != SAME_FILE));
    }
    files.sort();
    files.dedup();
    Ok(files)
}
