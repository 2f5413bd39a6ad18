//! Matrices and vectors in the field's file formats: reference files, files of the tests' own making,
//! malformed ones, and round trips.

#[path = "../common/ffi.rs"]
mod ffi;
mod fuzz;
mod harwell_boeing;
mod market;
mod npz;
mod own;
mod petsc;
mod petsc4py;
mod reference;
mod stacked;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        reference::cases(),
        market::cases(),
        harwell_boeing::cases(),
        npz::cases(),
        own::cases(),
        petsc::cases(),
        petsc4py::cases(),
        stacked::cases(),
        fuzz::cases(),
    ];
    dolmen_tests::main(&cases.concat())
}
