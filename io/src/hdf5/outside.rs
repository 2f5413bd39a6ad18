//! Data that a file names but does not hold: in raw files beside it, in the sources of virtual datasets, and
//! behind external links.
//!
//! A file that someone sends may so name any file of this machine, whose contents would then be taken for
//! numbers. None is followed unless [`super::OpenOptions::allow_external`] says so.

mod ffi;

pub(super) use ffi::{exists, external_link, open, virtual_shape};

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

/// Says that a dataset lies in other files, and what helps.
pub(super) fn refusal(files: &[String]) -> String {
    format!("its data lie in another file, {}; {ADVICE}", files.join(", "))
}

/// Says that a link leads out of the file, and what helps.
pub(super) fn link_refusal(file: &str) -> String {
    format!("leads to another file, {file}; {ADVICE}")
}

const ADVICE: &str = "such files are read only with --allow-external (OpenOptions::allow_external)";
