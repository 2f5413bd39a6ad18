//! A second place for a solution whose file cannot be written.
//!
//! Rank 0 alone writes it, as a plain array: it may be that no folder is there for all ranks.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use dolmen_core::{Comm, Layout, Vector};
use dolmen_io::hdf5::Entry;
use dolmen_io::{Location, write_vector};

use crate::error::{Error, Result};

/// Writes a solution to the working folder or else to that of temporary files, and says so in the error.
///
/// # Collective
///
/// # Errors
/// A failure of the toolkit.
pub(crate) fn elsewhere<T: Entry>(x: &Vector<T>, error: Error) -> Result<Error> {
    let comm = x.layout().comm();
    let alone = comm.alone();
    let written = comm.gather(0, x.owned()).map(|parts| write(&alone, &parts.concat())).transpose();
    let error = Box::new(error);
    let path = match comm.agree(written) {
        Ok(path) => path,
        Err(elsewhere) => return Ok(Error::Lost { error, elsewhere: elsewhere.message() }),
    };
    let mut path = path.map_or(Vec::new(), |path| path.into_os_string().into_encoded_bytes());
    comm.broadcast(0, &mut path);
    Ok(Error::Rescued { error, rescued: OsString::from_vec(path).into() })
}

/// Writes it to the first folder that takes it, or says why none does.
fn write<T: Entry>(alone: &Comm, x: &[T]) -> Result<PathBuf, String> {
    let layout = Layout::uniform(alone, x.len() as u64);
    let mut entries = x.iter();
    let vector = Vector::from_fn(&layout, |_| *entries.next().expect("invariant: as many entries"));
    let folders = [std::env::current_dir().unwrap_or_default(), std::env::temp_dir()];
    let mut reasons = Vec::new();
    for folder in folders {
        let path = folder.join(format!("dolmen-solution-{}.npy", std::process::id()));
        match write_vector(&vector, Location::whole(&path)) {
            Ok(()) => return Ok(path),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(reasons.join("; "))
}
