//! The harness of Dolmen's multi-rank tests.
//!
//! A test file has `harness = false` and reads
//!
//! ```no_run
//! use dolmen_tests::{Comm, TestResult, case, same_bits};
//!
//! fn main() -> std::process::ExitCode {
//!     dolmen_tests::main(&[
//!         case("ranks_are_counted", &[1, 2, 4], ranks_are_counted),
//!         same_bits("largest_rank", &[1, 2, 3], largest_rank),
//!     ])
//! }
//!
//! fn ranks_are_counted(comm: &Comm) -> TestResult {
//!     assert!(comm.rank() < comm.size());
//!     Ok(())
//! }
//!
//! fn largest_rank(_comm: &Comm) -> TestResult<Vec<(String, u64)>> {
//!     Ok(vec![("answer".to_owned(), 42)])
//! }
//! ```
//!
//! and lists the trials `ranks_are_counted::n1`, `::n2`, `::n4` and `largest_rank::same_bits` to
//! `cargo test` and `cargo nextest` alike. A trial runs in the test binary itself, started again under the
//! MPI launcher in a process group of its own and with a deadline, so that no failure of one rank can
//! take the others, or the test run, with it. Other work on the machine does not bring the deadline
//! nearer. Each rank writes its output to a file of its own and records how it ended; what is reported
//! is made from these records and not from the launcher's messages, which differ between MPI
//! implementations.
//!
//! To start ranks takes longer than most trials. As long as they pass, the trials of a binary on the same
//! number of ranks run one after the other in the same processes, each with a communicator, output,
//! records and deadline of its own. A trial that does not pass ends its job, and the next one starts
//! another. [`Case::alone`] is for cases that need processes of their own.
//!
//! [`serial`] cases run in the test process, without MPI. They use [`Mpirun`] to test whole
//! programs: start them on several ranks, kill one, look at what they print.

mod binary;
mod case;
mod ffi;
mod folder;
mod fuzz;
mod manifest;
mod matrix_market;
mod message;
mod mpirun;
pub mod oracle;
mod orders;
mod processes;
mod python;
mod rank;
mod session;
mod shared;
mod status;
mod stopwatch;
mod trial;
mod verdict;

pub use binary::{binary, example};
pub use case::{Case, Checksums, TestResult, case, same_bits, serial};
pub use dolmen_core::Comm;
pub use folder::Folder;
pub use fuzz::{Random, damage, fuzz, fuzz_deadline};
pub use manifest::manifest;
pub use matrix_market::{Triplets, read_matrix};
pub use message::message;
pub use mpirun::{Job, Mpirun, Output};
pub use python::{interpreter, python, python_here};
pub use shared::{data, shared, skip};

use std::process::ExitCode;

/// Runs the cases of a test binary: all of it that `main` has to do.
///
/// Understands the command line of Rust's own test harness. Multi-rank trials run one at a time,
/// since each of them fills the machine.
///
/// # Panics
/// If two cases have the same name.
pub fn main(cases: &[Case]) -> ExitCode {
    if let Some(folder) = rank::assigned_folder() {
        return rank::run(cases, &folder);
    }
    let mut arguments = libtest_mimic::Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    let trials = trial::all(cases, &arguments);
    libtest_mimic::run(&arguments, trials).exit_code()
}
