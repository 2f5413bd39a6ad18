//! Damaged FITS and HDF5 files and checkpoints; those of matrices are among the tests of their formats.

mod checkpoint;
mod child;
#[path = "../common/damage.rs"]
mod damage;
#[path = "../common/ffi.rs"]
mod ffi;
mod fits;
mod hdf5;

use std::process::ExitCode;
use std::time::Duration;

use dolmen_tests::{case, serial};

fn main() -> ExitCode {
    if let Some(code) = child::run() {
        return code;
    }
    let deadline = Duration::from_secs(180);
    dolmen_tests::main(&[
        case("fuzz_fits", &[1], fits::damaged),
        serial("fuzz_hdf5", hdf5::damaged).deadline(deadline),
        case("fuzz_checkpoint", &[1, 2], checkpoint::damaged).deadline(deadline),
    ])
}
