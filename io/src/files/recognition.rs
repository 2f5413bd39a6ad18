//! Recognition of the format of a file by its contents.

use super::format::Format;
use crate::regular_file::open_regular;
use crate::source::Source;
use crate::{harwell_boeing, matrix_market, npz, petsc};
use dolmen_core::Comm;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The formats that the contents of a file tell apart.
const KNOWN: [Format; 7] = [
    Format::MatrixMarket,
    Format::HarwellBoeing,
    Format::ScipyNpz,
    Format::NumpyNpy,
    Format::PetscBinary,
    Format::Hdf5,
    Format::Fits,
];

impl Format {
    /// Finds the format of a file by its contents as rank 0 sees them. A file that tells none, or cannot be read, is
    /// HDF5 or FITS if its extension says so: the error about it should speak of that format.
    ///
    /// # Collective
    pub fn of(comm: &Comm, path: impl AsRef<Path>) -> Option<Format> {
        let path = path.as_ref();
        let mut place = [0];
        if comm.rank() == 0
            && let Some(found) = Format::by_contents(path)
        {
            place = [KNOWN.iter().zip(1..).find(|(format, _)| **format == found).map_or(0, |(_, place)| place)];
        }
        comm.all_reduce_max(&mut place);
        let known = usize::try_from(place[0]).ok().and_then(|place| KNOWN.get(place.checked_sub(1)?)).copied();
        known.or_else(|| Format::by_extension(path).filter(|format| format.has_objects()))
    }

    fn by_contents(path: &Path) -> Option<Format> {
        if is_hdf5(&open_regular(path).ok()?) {
            return Some(Format::Hdf5);
        }
        let head = Source::open_here(path).ok()?.head();
        if is_fits(&head) {
            Some(Format::Fits)
        } else if matrix_market::is_matrix_market(&head) {
            Some(Format::MatrixMarket)
        } else if npz::is_zip(&head) {
            Some(Format::ScipyNpz)
        } else if npz::is_npy(&head) {
            Some(Format::NumpyNpy)
        } else if petsc::is_petsc(&head) {
            Some(Format::PetscBinary)
        } else {
            harwell_boeing::is_harwell_boeing(&head).then_some(Format::HarwellBoeing)
        }
    }
}

/// Returns whether a file has the signature of HDF5: at its start, or behind a block of the user's such as
/// MATLAB's, whose size is a power of two.
fn is_hdf5(file: &File) -> bool {
    let mut signature = [0; 8];
    [0, 512, 1024, 2048, 4096].into_iter().any(|start| {
        let read = file.read_at(&mut signature, start);
        read.is_ok_and(|count| count == signature.len()) && signature == *b"\x89HDF\r\n\x1a\n"
    })
}

fn is_fits(head: &[u8]) -> bool {
    head.starts_with(b"SIMPLE  =")
}
