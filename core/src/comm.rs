//! `Comm`: a group of ranks that work together.
//!
//! One concrete, clone-cheap handle and no communicator type parameter anywhere. It is `Rc`-based
//! and not `Send` on purpose: one thread calls MPI, threaded kernels see slices only. Dropping a
//! handle never communicates; what must be collective is an explicit call ([`Comm::free`]).
//!
//! Three mechanisms keep a failing rank from leaving the others waiting:
//! - a panic anywhere prints its rank and a backtrace and aborts the whole job;
//! - [`Comm::agree`] turns a failure on any rank into the same error on all;
//! - a `main` that returns an error on one rank only, while others still work, is noticed by a
//!   vote on a separate communicator and ends the job after a short grace.

pub(crate) mod ffi;
mod transfers;

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt::Display;
use std::io::Write;
use std::marker::PhantomData;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytemuck::Pod;
use mpi::Threading;

use crate::environment;
use crate::error::{Error, Result};
use crate::profile;
use crate::text::escaped_lines;
use crate::threads;
pub(crate) use ffi::RawComm;
pub use ffi::{Merge, Reducible};
use ffi::{Op, Pending};
pub(crate) use transfers::Transfers;

/// How long a rank whose `main` failed waits for the others to finish too.
const GRACE: Duration = Duration::from_secs(5);
/// Exit code of a program whose `main` returned an error: bad input or an impossible request.
const FAILURE: u8 = 2;
/// Exit code of a job that a panic ended (Rust's own for a panic).
const PANICKED: i32 = 101;

/// A group of MPI ranks. Cloning is cheap and names the same group.
#[derive(Clone)]
pub struct Comm(Rc<Group>);

struct Group {
    raw: RawComm,
    rank: usize,
    size: usize,
    /// Alternates between two tags so that consecutive sparse exchanges cannot mix.
    round: Cell<bool>,
    /// MPI handles belong to the thread that made them.
    _not_send: PhantomData<*const ()>,
}

impl std::fmt::Debug for Comm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Comm(rank {} of {})", self.rank(), self.size())
    }
}

/// Two handles are equal when they name the same communicator.
impl PartialEq for Comm {
    fn eq(&self, other: &Comm) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Comm {
    fn new(raw: RawComm) -> Comm {
        let group = Group { raw, rank: raw.rank(), size: raw.size(), round: Cell::new(false), _not_send: PhantomData };
        Comm(Rc::new(group))
    }

    /// Runs a program: initialises MPI, calls `main` with the communicator of all ranks, finalises.
    ///
    /// Returns what `main` returned, or exit code 2 after printing its error in one line,
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
    pub fn run<E>(main: impl FnOnce(&Comm) -> std::result::Result<ExitCode, E>) -> ExitCode
    where
        E: From<Error> + Display,
    {
        let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
            report(&E::from(Error::AlreadyInitialised));
            return ExitCode::from(FAILURE);
        };
        crate::blas::use_one_thread();
        let control = RawComm::world().duplicate();
        abort_on_panic(control);
        let comm = Comm::new(RawComm::world().duplicate());
        let _span = tracing::info_span!(target: "dolmen", "rank", rank = comm.rank()).entered();
        let code = match threads::from_environment(&comm).map_err(E::from).and_then(|()| main(&comm)) {
            Ok(code) => {
                Pending::minimum(control, u64::MAX).wait();
                code
            }
            Err(error) => {
                leave_with(control, &error);
                ExitCode::from(FAILURE)
            }
        };
        comm.0.raw.free();
        control.free();
        environment::ffi::keep_libraries();
        drop(universe);
        code
    }

    /// This process's number in the group, `0..size`.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// The MPI handle, for libraries that take one. It stays owned by this `Comm`.
    pub fn as_raw(&self) -> mpi::ffi::MPI_Comm {
        self.0.raw.0
    }

    pub(crate) fn raw(&self) -> RawComm {
        self.0.raw
    }

    /// Ends the whole job at once with an exit code.
    pub fn abort(&self, code: i32) -> ! {
        self.0.raw.abort(code)
    }

    /// Waits until every rank has arrived.
    ///
    /// # Collective
    pub fn barrier(&self) {
        self.0.raw.barrier();
    }

    /// A group of this rank alone, for what it does without the others. Not collective; nothing has to be
    /// given back.
    #[must_use]
    pub fn alone(&self) -> Comm {
        Comm::new(RawComm::alone())
    }

    /// A communicator of the same ranks with messages of its own.
    ///
    /// # Collective
    #[must_use]
    pub fn duplicate(&self) -> Comm {
        Comm::new(self.0.raw.duplicate())
    }

    /// Splits the group: ranks that give the same `colour` form one, ordered by `key` and then by
    /// rank; a rank without a colour gets `None`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A colour or key above 2^31 - 1 on any rank.
    pub fn split(&self, colour: Option<u32>, key: usize) -> Result<Option<Comm>> {
        let fits = |what: &str, value: u64| match i32::try_from(value) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("split: the {what} is {value}; MPI takes 0 to {}", i32::MAX)),
        };
        self.agree(fits("colour", colour.map_or(0, u64::from)).and_then(|()| fits("key", key as u64)))?;
        Ok(self.0.raw.split(colour, key).map(Comm::new))
    }

    /// The ranks that share this rank's memory (one group per node).
    ///
    /// # Collective
    #[must_use]
    pub fn split_shared(&self) -> Comm {
        Comm::new(self.0.raw.split_shared())
    }

    /// Gives a duplicated or split communicator back to MPI. Without it the communicator lives until
    /// the end of the program, because dropping never communicates. So it does if any rank has another
    /// handle of it left, such as those in layouts and vectors: drop these before, on all ranks.
    ///
    /// # Collective
    /// One reduction of a word.
    pub fn free(self) {
        let mut last = [u64::from(Rc::strong_count(&self.0) == 1)];
        self.0.raw.all_reduce(&mut last, Op::Min);
        if last == [1] {
            self.0.raw.free();
        }
    }

    fn require_rank(&self, operation: &str, rank: usize) {
        assert!(rank < self.size(), "{operation}: there is no rank {rank} among {}", self.size());
    }

    /// Ends a phase that can fail on one rank: if it failed anywhere, every rank gets the same
    /// error, which names the lowest failing rank and carries its message.
    ///
    /// # Collective
    /// One reduction of two words; a broadcast of the message after a failure.
    ///
    /// # Errors
    /// [`Error::Agreed`] if `result` is an error on any rank.
    pub fn agree<T, E: Display>(&self, result: std::result::Result<T, E>) -> Result<T> {
        let failed = result.is_err();
        let mut vote = [if failed { self.rank() as u64 } else { u64::MAX }, u64::from(failed)];
        self.0.raw.all_reduce(&mut vote, Op::Min);
        let [first, everywhere] = vote;
        let mine = match (result, first) {
            (Ok(value), u64::MAX) => return Ok(value),
            (Ok(_), _) => String::new(),
            (Err(error), _) => error.to_string(),
        };
        let rank = crate::index::local(first);
        let mut message = mine.into_bytes();
        self.broadcast(rank, &mut message);
        let message = String::from_utf8_lossy(&message).into_owned();
        Err(Error::Agreed { rank, everywhere: everywhere == 1, message })
    }

    /// Copies `values` of rank `root` to all ranks; their vectors take its length.
    ///
    /// # Collective
    ///
    /// # Panics
    /// If there is no rank `root`, which is a bug of the caller: the job ends.
    pub fn broadcast<T: Pod>(&self, root: usize, values: &mut Vec<T>) {
        self.require_rank("broadcast", root);
        let mut len = [values.len() as u64];
        self.0.raw.broadcast(root, bytemuck::cast_slice_mut(&mut len));
        values.resize(crate::index::local(len[0]), T::zeroed());
        self.0.raw.broadcast(root, bytemuck::cast_slice_mut(values));
    }

    /// Replaces each value by its sum over all ranks. Integer sums are exact; sums of
    /// floating-point numbers depend on the number of ranks (see [`crate::reduce`]).
    ///
    /// # Collective
    pub fn all_reduce_sum<T: Reducible>(&self, values: &mut [T]) {
        self.0.raw.all_reduce(values, Op::Sum);
    }

    /// Replaces each value by its maximum over all ranks. Of floating-point numbers none may be NaN:
    /// MPI does not say what the maximum is then. [`Vector::norm_inf`](crate::Vector::norm_inf) and
    /// [`Vector::max_at`](crate::Vector::max_at) do.
    ///
    /// # Collective
    pub fn all_reduce_max<T: Reducible>(&self, values: &mut [T]) {
        self.0.raw.all_reduce(values, Op::Max);
    }

    /// Replaces each value by its minimum over all ranks. Of floating-point numbers none may be NaN, as
    /// in [`Comm::all_reduce_max`].
    ///
    /// # Collective
    pub fn all_reduce_min<T: Reducible>(&self, values: &mut [T]) {
        self.0.raw.all_reduce(values, Op::Min);
    }

    /// Merges each of `input` over all ranks into `output`.
    ///
    /// # Collective
    pub fn all_reduce_merge<T: Merge>(&self, input: &[T], output: &mut [T]) {
        self.0.raw.all_reduce_merge(input, output);
    }

    /// One value from each rank, in rank order.
    ///
    /// # Collective
    pub fn all_gather<T: Pod>(&self, mine: T) -> Vec<T> {
        let mut all = vec![T::zeroed(); self.size()];
        self.0.raw.all_gather(bytemuck::bytes_of(&mine), bytemuck::cast_slice_mut(&mut all));
        all
    }

    /// All ranks' slices on rank `root`, in rank order; `None` elsewhere.
    ///
    /// # Collective
    ///
    /// # Panics
    /// If there is no rank `root`, which is a bug of the caller: the job ends.
    pub fn gather<T: Pod>(&self, root: usize, mine: &[T]) -> Option<Vec<Vec<T>>> {
        self.require_rank("gather", root);
        let _event = profile::event("Gather");
        let lengths = self.all_gather(mine.len() as u64);
        let mut transfers = Transfers::default();
        if self.rank() != root {
            transfers.reset(size_of_val(mine), 0);
            transfers.send_buffer::<u8>()[..size_of_val(mine)].copy_from_slice(bytemuck::cast_slice(mine));
            transfers.send(self.0.raw, root, GATHER_TAG, 0..size_of_val(mine));
            transfers.wait();
            return None;
        }
        let lengths: Vec<usize> = lengths.into_iter().map(crate::index::local).collect();
        let mut all = Vec::with_capacity(self.size());
        for (rank, &len) in lengths.iter().enumerate() {
            if rank == root {
                all.push(mine.to_vec());
                continue;
            }
            let bytes = len * size_of::<T>();
            transfers.reset(0, bytes);
            transfers.receive(self.0.raw, rank, GATHER_TAG, 0..bytes);
            transfers.wait();
            all.push(bytemuck::pod_collect_to_vec(&transfers.received::<u8>()[..bytes]));
        }
        Some(all)
    }

    /// Sends each `(rank, values)` and returns what came here, by ascending source rank. No rank
    /// needs to know beforehand who will send to it. Several messages to one rank arrive as one, in
    /// the order in which they were given; empty messages arrive too.
    ///
    /// # Collective
    /// Each rank exchanges messages with its partners only (non-blocking consensus).
    ///
    /// # Panics
    /// If a message is for a rank that does not exist, which is a bug of the caller: the job ends.
    pub fn sparse_exchange<T: Pod>(&self, messages: &[(usize, Vec<T>)]) -> Vec<(usize, Vec<T>)> {
        messages.iter().for_each(|(to, _)| self.require_rank("sparse exchange", *to));
        let _event = profile::event("SparseExchange");
        let round = self.0.round.replace(!self.0.round.get());
        transfers::sparse_exchange(self.0.raw, SPARSE_TAG + i32::from(round), messages)
    }
}

const GATHER_TAG: i32 = 101;
const SPARSE_TAG: i32 = 102;
/// Message tag of planned exchanges.
pub(crate) const EXCHANGE_TAG: i32 = 104;
/// Message tag of blocks of a sum that ranks share.
pub(crate) const REDUCE_TAG: i32 = 105;

/// Prints the one line that a failed program leaves behind.
fn report(error: &dyn Display) {
    let line = format!("error: {}\n", escaped_lines(&error.to_string()));
    // A closed stderr must not turn an error into a panic.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Votes that this rank failed; prints its error if it is the first. Ranks that never come to the
/// vote would wait for this one forever, so the job is ended after the grace.
fn leave_with(control: RawComm, error: &dyn Display) {
    let rank = control.rank();
    let mut vote = Pending::minimum(control, rank as u64);
    let start = Instant::now();
    loop {
        if let Some(first) = vote.test() {
            if first == rank as u64 {
                report(error);
            }
            return;
        }
        if start.elapsed() > GRACE {
            report(&format!("rank {rank} stopped while others went on, so the job was ended: {error}"));
            control.abort(i32::from(FAILURE));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn abort_on_panic(control: RawComm) {
    let rank = control.rank();
    // A communicator handle may be a pointer (not Send); the job is aborted through the world,
    // whose handle is a constant.
    std::panic::set_hook(Box::new(move |info| {
        let trace = Backtrace::force_capture();
        let text = format!("rank {rank}: {info}\n{trace}\nrank {rank} panicked: this is a bug; the job is aborted\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
        RawComm::world().abort(PANICKED);
    }));
}
