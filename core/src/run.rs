//! `Comm::run`: the start and the end of a program on all ranks.

use std::backtrace::Backtrace;
use std::fmt::Display;
use std::io::Write;
use std::process::{ExitCode, Termination};

use mpi::Threading;

use crate::comm::report::{FAILURE, report};
use crate::comm::{Comm, RawComm, compare_calls, end_of_program};
use crate::environment;
use crate::error::Error;
use crate::threads;

/// Exit code of a job that a panic ended (Rust's own for a panic).
const PANICKED: i32 = 101;

impl Comm {
    /// Runs a program: initializes MPI, calls `main` with the communicator of all ranks, finalizes.
    ///
    /// Returns the exit code that `main` returned, success for `()`; or 2 after printing its error in one line,
    /// `error: ...`, from the lowest rank that has one. A panic on any rank ends all of them.
    ///
    /// The number of threads of each rank is taken from the environment; see [`crate::threads`].
    ///
    /// All of `main` is in a `tracing` span `rank` with the number of the rank, so that what a
    /// subscriber shows says where it comes from. Install the subscriber before.
    ///
    /// BLAS and LAPACK run on one thread a rank unless `OPENBLAS_NUM_THREADS` is in the environment.
    ///
    /// # Collective
    /// Every process of the job calls this once, at the top of its `main` function.
    pub fn run<C, E>(main: impl FnOnce(&Comm) -> std::result::Result<C, E>) -> ExitCode
    where
        C: Termination,
        E: From<Error> + Display,
    {
        let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
            report(&E::from(Error::AlreadyInitialized));
            return ExitCode::from(FAILURE);
        };
        crate::blas::use_one_thread();
        let control = RawComm::world().duplicate();
        abort_on_panic(control);
        end_of_program::listen(control);
        let comm = Comm::new(RawComm::world().duplicate(), ALL);
        let checked = compare_calls::from_environment(&comm);
        // Once more, with a twin if calls are compared from here on.
        let comm = Comm::new(comm.raw(), ALL);
        let _span = tracing::info_span!(target: "dolmen", "rank", rank = comm.rank()).entered();
        let ready = checked.and_then(|()| threads::from_environment(&comm));
        let code = match ready.map_err(E::from).and_then(|()| main(&comm)) {
            Ok(code) => {
                end_of_program::finish(control);
                code.report()
            }
            Err(error) => {
                end_of_program::fail(control, &error);
                ExitCode::from(FAILURE)
            }
        };
        comm.give_back();
        control.free();
        environment::ffi::keep_libraries();
        drop(universe);
        code
    }
}

/// The name of the communicator that a program starts with.
const ALL: &str = "all ranks";

fn abort_on_panic(control: RawComm) {
    let rank = control.rank();
    // A communicator handle may be a pointer (not Send); the job is aborted through the world,
    // whose handle is a constant.
    std::panic::set_hook(Box::new(move |info| {
        // A backtrace is printed unless the user wants none.
        let is_wanted = std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value != "0");
        let trace = if is_wanted { format!("{}\n", Backtrace::force_capture()) } else { String::new() };
        let text = format!("rank {rank}: {info}\n{trace}rank {rank} panicked: this is a bug; the job is aborted\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
        RawComm::world().abort(PANICKED);
    }));
}
