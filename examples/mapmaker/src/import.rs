//! `mapmaker import`: timelines of other programs into the Dolmen TOD format.
//!
//! Descriptions are read by all ranks together. Samples are copied in pieces, each rank its own share of every
//! observation, so that memory does not grow with the files, and the bytes do not depend on the number of ranks.

mod copy;
mod fits;
mod focalplane;
mod given;
mod scan;
mod toast;

use std::path::{Path, PathBuf};

use dolmen_common::files::keep_inputs;
use dolmen_core::Comm;
use dolmen_core::text::shown;
use dolmen_io::files::Format;
use dolmen_io::hdf5::OpenOptions;
use dolmen_io::open_on_all_ranks;

use crate::error::{Error, Result};
use crate::tod::Description;

pub use given::{AngleUnit, ByDetector, Given, OfDetectors};

/// Request for an import.
pub struct Request {
    /// The files, of one kind.
    pub files: Vec<PathBuf>,
    /// File of timelines to write.
    pub output: PathBuf,
    /// Values that the files do not have, or that are to replace theirs.
    pub given: Given,
    /// Options with which HDF5 files are opened.
    pub options: OpenOptions,
}

/// Imports timelines of FITS tables, or of observations that TOAST 3 has saved, and returns the description of the
/// file that was written. A file of that name is replaced when the new one is complete.
///
/// # Collective
///
/// # Errors
/// A file cannot be read, is of neither kind, or lacks what no option gives; files contradict each other; the output
/// would replace an input, or cannot be written. The same on all ranks, and no new file is left.
pub fn import(comm: &Comm, request: &Request) -> Result<Description> {
    let Request { files, output, given, options } = request;
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    keep_inputs(comm, &inputs, std::slice::from_ref(output))?;
    let Some((first, others)) = files.split_first() else {
        return Err(Error::File { path: output.clone(), what: "there is nothing to import: name a file".into() });
    };
    let kind = kind(comm, first)?;
    for path in others {
        if kind != self::kind(comm, path)? {
            let what = format!("is of another kind than {}; import FITS and HDF5 files separately", shown(first));
            return Err(Error::File { path: path.clone(), what });
        }
    }
    match kind {
        Format::Fits => fits::import(comm, files, output, given),
        _ => toast::import(comm, files, output, given, options),
    }
}

/// Returns the format of a file, which is FITS or HDF5.
fn kind(comm: &Comm, path: &Path) -> Result<Format> {
    open_on_all_ranks(comm, path)?;
    match Format::of(comm, path) {
        Some(kind @ (Format::Fits | Format::Hdf5)) => Ok(kind),
        _ => {
            let what = "is neither FITS nor HDF5; tables of timelines in FITS, and observations that TOAST 3 has saved, are \
                        imported";
            Err(Error::File { path: path.to_owned(), what: what.into() })
        }
    }
}
