//! Damaged FITS and HDF5 files and checkpoints; those of matrices are among the tests of their formats.

mod checkpoint;
#[path = "../common/ffi.rs"]
mod ffi;
mod fits;
mod hdf5;

use std::process::ExitCode;

use dolmen_tests::{case, fuzz_deadline};

fn main() -> ExitCode {
    let deadline = fuzz_deadline();
    dolmen_tests::main(&[
        case("fuzz_fits", &[1], fits::damaged).deadline(deadline).alone(),
        case("fuzz_hdf5", &[1, 2], hdf5::damaged).deadline(deadline).alone(),
        case("fuzz_hdf5_metadata", &[1, 2], hdf5::damaged_metadata).deadline(deadline).alone(),
        case("fuzz_checkpoint", &[1, 2], checkpoint::damaged).deadline(deadline).alone(),
        case("fuzz_checkpoint_with_checksums", &[1, 2], checkpoint::forged).deadline(deadline).alone(),
    ])
}
