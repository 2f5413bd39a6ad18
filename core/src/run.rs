//! `Comm::run`: the start and the end of a program on all ranks; `Session`: the same for a process that is not ours.

use std::backtrace::Backtrace;
use std::fmt::Display;
use std::io::Write;
use std::process::{ExitCode, Termination};

use mpi::Threading;
use mpi::environment::Universe;

use crate::comm::report::{FAILURE, report};
use crate::comm::{Comm, RawComm, compare_calls, end_of_program, reductions};
use crate::environment;
use crate::error::{Error, Result};
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
        let (session, ready) = Session::begin(Some(universe));
        abort_on_panic(session.control);
        let _span = tracing::info_span!(target: "dolmen", "rank", rank = session.comm.rank()).entered();
        let code = match ready.map_err(E::from).and_then(|()| main(&session.comm)) {
            Ok(code) => {
                end_of_program::finish(session.control);
                code.report()
            }
            Err(error) => {
                end_of_program::fail(session.control, &error, |everywhere| {
                    if everywhere {
                        report(&error);
                    }
                });
                ExitCode::from(FAILURE)
            }
        };
        session.give_back();
        drop(session.universe);
        code
    }
}

/// The start and the end of [`Comm::run`], one by one, for a process whose `main` function is another program's: a
/// Python interpreter.
///
/// MPI may have been initialized before, by mpi4py for example; then whoever did that finalizes it. Whoever does,
/// [`Session::before_finalize`] is the place for the last calls.
pub struct Session {
    comm: Comm,
    control: RawComm,
    /// The handle that finalizes MPI when dropped; none if another library initialized it.
    universe: Option<Universe>,
}

impl Session {
    /// Initializes MPI with `MPI_THREAD_MULTIPLE`, unless it is, and returns the communicator of all ranks with it. On
    /// several ranks a panic of one ends the job.
    ///
    /// # Collective
    /// Every process of the job calls this once, on the thread that makes all other calls.
    ///
    /// # Errors
    /// [`Error::AlreadyInitialized`] if MPI was finalized before, or a variable of the environment without a meaning.
    pub fn start() -> Result<Session> {
        if mpi::environment::is_finalized() {
            return Err(Error::AlreadyInitialized);
        }
        let universe = mpi::initialize_with_threading(Threading::Multiple).map(|(universe, _)| universe);
        let (session, ready) = Session::begin(universe);
        if session.comm.size() > 1 {
            abort_on_panic(session.control);
        }
        ready.map(|()| session)
    }

    /// Returns the communicator of all ranks.
    pub fn comm(&self) -> &Comm {
        &self.comm
    }

    /// Returns whether this session initialized MPI, and finalizes it.
    pub fn owns_mpi(&self) -> bool {
        self.universe.is_some()
    }

    /// Lets MPI call `last` when it is about to be finalized, by whomever, on the thread that does that. MPI still works
    /// then: it is the time for [`Session::finish`] or [`Session::fail`].
    pub fn before_finalize(&self, last: fn()) {
        environment::ffi::before_finalize(last);
    }

    /// Takes the handle that finalizes MPI when it is dropped, if this session initialized it.
    pub fn take_universe(&mut self) -> Option<Universe> {
        self.universe.take()
    }

    /// Waits for the other ranks, and gives back the communicators of this session. MPI stays as it is.
    ///
    /// # Collective
    pub fn finish(self) {
        end_of_program::finish(self.control);
        self.leave();
    }

    /// Works like [`Session::finish`] on a rank that failed: the lowest one calls `tell`. If the others still work
    /// after some seconds, this ends the job, after `tell` and a line with the `reason`.
    ///
    /// # Collective
    pub fn fail(self, reason: &str, tell: impl FnOnce()) {
        end_of_program::fail(self.control, &reason, |_| tell());
        self.leave();
    }

    fn leave(self) {
        self.give_back();
        // Another library finalizes MPI, or whoever took the handle.
        std::mem::forget(self.universe);
    }

    fn begin(universe: Option<Universe>) -> (Session, Result<()>) {
        crate::blas::use_one_thread();
        let control = RawComm::world().duplicate();
        end_of_program::listen(control);
        let comm = Comm::new(RawComm::world().duplicate(), ALL);
        let checked = compare_calls::from_environment(&comm);
        // Once more, with a twin if calls are compared from here on.
        let comm = Comm::new(comm.raw(), ALL);
        let ready = checked.and_then(|()| threads::from_environment(&comm));
        (Session { comm, control, universe }, ready)
    }

    fn give_back(&self) {
        self.comm.give_back();
        self.control.free();
        reductions::give_back();
        environment::ffi::keep_libraries();
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
