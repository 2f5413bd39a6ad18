//! `Comm`: a group of ranks that work together.
//!
//! One concrete, clone-cheap handle and no communicator type parameter anywhere. It is `Rc`-based
//! and not `Send` on purpose: one thread calls MPI, threaded kernels see slices only. Dropping a
//! handle never communicates; what must be collective is an explicit call ([`Comm::free`]).
//!
//! These mechanisms keep a failing rank from leaving the others waiting:
//! - a panic anywhere prints its rank and a backtrace and aborts the whole job;
//! - [`Comm::agree`] turns a failure on any rank into the same error on all;
//! - a `main` that returns an error on one rank only, while others still work, is noticed by a
//!   vote on a separate communicator and ends the job after a short grace;
//! - what ranks have to pass alike travels with what they send, so that other lengths on another rank
//!   are an error, or end the job in a line;
//! - a rank that has finished and waits for others says so after some seconds, and `DOLMEN_CHECK=1`
//!   in the environment ends a job whose ranks call different collective functions.

mod check;
pub(crate) mod disagreement;
pub(crate) mod ffi;
mod leaving;
mod reductions;
mod transfers;

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt::Display;
use std::io::Write;
use std::marker::PhantomData;
use std::process::{ExitCode, Termination};
use std::rc::Rc;

use bytemuck::Pod;
use mpi::Threading;

use crate::environment;
use crate::error::{Error, Result};
use crate::profile;
use crate::text::escaped_lines;
use crate::threads;
use disagreement::{Claimed, grouped};
pub(crate) use ffi::RawComm;
use reductions::Capacity;
pub(crate) use reductions::{Max, Merged, Min, Sum};
pub use reductions::{Merge, Reducible};
pub(crate) use transfers::{Misfit, Transfers};

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
    /// Calls so far in which ranks send each other messages without asking.
    rounds: Cell<u32>,
    /// Broadcasts so far, which tells apart those of ranks that do not name the same root.
    broadcasts: Cell<u64>,
    capacity: Capacity,
    claimed: Claimed,
    /// Compares the calls of the ranks, if that is asked for.
    twin: Option<check::Twin>,
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
        Comm(Rc::new(Group {
            raw,
            rank: raw.rank(),
            size: raw.size(),
            round: Cell::new(false),
            rounds: Cell::new(0),
            broadcasts: Cell::new(0),
            capacity: Capacity::default(),
            claimed: Claimed::default(),
            twin: check::Twin::new(raw),
            _not_send: PhantomData,
        }))
    }

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
        leaving::listen(control);
        let comm = Comm::new(RawComm::world().duplicate());
        let checked = check::from_environment(&comm);
        // Once more, with a twin if calls are compared from here on.
        let comm = Comm::new(comm.raw());
        let _span = tracing::info_span!(target: "dolmen", "rank", rank = comm.rank()).entered();
        let ready = checked.and_then(|()| threads::from_environment(&comm));
        let code = match ready.map_err(E::from).and_then(|()| main(&comm)) {
            Ok(code) => {
                leaving::finish(control);
                code.report()
            }
            Err(error) => {
                leaving::fail(control, &error);
                ExitCode::from(FAILURE)
            }
        };
        comm.0.free();
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

    /// The MPI handle, for libraries that take one. It stays owned by this `Comm`, and returns errors to its
    /// callers instead of ending the job.
    pub fn as_raw(&self) -> mpi::ffi::MPI_Comm {
        self.0.raw.0
    }

    pub(crate) fn raw(&self) -> RawComm {
        self.0.raw
    }

    /// The tag of the messages of the next call in which ranks send each other messages without asking. All
    /// ranks make these calls in the same order, so that messages of different calls cannot mix.
    pub(crate) fn next_tag(&self) -> i32 {
        let round = self.0.rounds.get();
        self.0.rounds.set(round.wrapping_add(1));
        FIRST_TAG + i32::try_from(round % TAGS).expect("invariant: a remainder is small")
    }

    fn capacity(&self) -> &Capacity {
        &self.0.capacity
    }

    /// Ends the whole job at once with an exit code.
    pub fn abort(&self, code: i32) -> ! {
        self.0.raw.abort(code)
    }

    /// Waits until every rank has arrived.
    ///
    /// # Collective
    pub fn barrier(&self) {
        self.check("barrier", String::new);
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
        self.check("duplicate", String::new);
        Comm::new(self.0.raw.duplicate())
    }

    /// Splits the group: ranks that give the same `color` form one, ordered by `key` and then by
    /// rank; a rank without a color gets `None`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A color or key above 2^31 - 1 on any rank.
    pub fn split(&self, color: Option<u32>, key: usize) -> Result<Option<Comm>> {
        let fits = |what: &str, value: u64| match i32::try_from(value) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("split: the {what} is {value}; MPI takes 0 to {}", i32::MAX)),
        };
        self.agree(fits("color", color.map_or(0, u64::from)).and_then(|()| fits("key", key as u64)))?;
        Ok(self.0.raw.split(color, key).map(Comm::new))
    }

    /// The ranks that share this rank's memory (one group per node).
    ///
    /// # Collective
    #[must_use]
    pub fn split_shared(&self) -> Comm {
        self.check("split_shared", String::new);
        Comm::new(self.0.raw.split_shared())
    }

    /// Gives a duplicated or split communicator back to MPI. Without it the communicator lives until
    /// the end of the program, because dropping never communicates. So it does if any rank has another
    /// handle of it left, such as those in layouts and vectors: drop these before, on all ranks.
    ///
    /// # Collective
    /// One reduction of a word.
    pub fn free(self) {
        self.check("free", String::new);
        let mut last = [u64::from(Rc::strong_count(&self.0) == 1)];
        self.all_reduce_min(&mut last);
        if last == [1] {
            self.0.free();
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
        self.check("agree", String::new);
        let failed = result.is_err();
        let mut vote = [if failed { self.rank() as u64 } else { u64::MAX }, u64::from(failed)];
        self.reduce::<Min<u64>>(&mut vote).map_err(|differ| differ.error(self, &"Comm::agree"))?;
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
    /// If there is no rank `root`, which is a bug of the caller: the job ends. So it does if the ranks name
    /// different roots or types and one of them gets what another sent.
    pub fn broadcast<T: Pod>(&self, root: usize, values: &mut Vec<T>) {
        self.require_rank("broadcast", root);
        self.check("broadcast", || format!("from rank {root}"));
        let number = self.0.broadcasts.get();
        self.0.broadcasts.set(number + 1);
        let mine = [values.len() as u64, root as u64, size_of::<T>() as u64, number];
        let mut head = mine;
        self.0.raw.broadcast(root, bytemuck::cast_slice_mut(&mut head));
        if head[1..] != mine[1..] {
            let call = |[_, root, bytes, number]: [u64; 4]| {
                format!("broadcast {number} of this communicator, from rank {root}, of values of {bytes} bytes")
            };
            let calls = format!("{} (rank {}), {} (rank {})", call(head), head[1], call(mine), self.rank());
            self.end_with(&Error::RanksDisagree { calls });
        }
        values.resize(crate::index::local(head[0]), T::zeroed());
        self.0.raw.broadcast(root, bytemuck::cast_slice_mut(values));
    }

    /// Replaces each value by its sum over all ranks. Integer sums are exact; sums of
    /// floating-point numbers depend on the number of ranks (see [`crate::reduce`]).
    ///
    /// # Collective
    ///
    /// # Panics
    /// If the ranks pass different numbers of values, or reduce other things: the job ends with a line
    /// that says what they passed.
    pub fn all_reduce_sum<T: Reducible>(&self, values: &mut [T]) {
        self.reduce_or_end::<Sum<T>>(values);
    }

    /// Replaces each value by its maximum over all ranks. Of floating-point numbers none may be NaN:
    /// the maximum then depends on the order of the ranks. [`Vector::norm_inf`](crate::Vector::norm_inf)
    /// and [`Vector::max_at`](crate::Vector::max_at) do not.
    ///
    /// # Collective
    ///
    /// # Panics
    /// As [`Comm::all_reduce_sum`].
    pub fn all_reduce_max<T: Reducible>(&self, values: &mut [T]) {
        self.reduce_or_end::<Max<T>>(values);
    }

    /// Replaces each value by its minimum over all ranks. Of floating-point numbers none may be NaN, as
    /// in [`Comm::all_reduce_max`].
    ///
    /// # Collective
    ///
    /// # Panics
    /// As [`Comm::all_reduce_sum`].
    pub fn all_reduce_min<T: Reducible>(&self, values: &mut [T]) {
        self.reduce_or_end::<Min<T>>(values);
    }

    /// Merges each of `input` over all ranks into `output`.
    ///
    /// # Collective
    ///
    /// # Panics
    /// As [`Comm::all_reduce_sum`], or if `output` is not as long as `input`.
    pub fn all_reduce_merge<T: Merge>(&self, input: &[T], output: &mut [T]) {
        assert_eq!(input.len(), output.len(), "invariant: one output per input");
        output.copy_from_slice(input);
        self.reduce_or_end::<Merged<T>>(output);
    }

    /// One value from each rank, in rank order.
    ///
    /// # Collective
    ///
    /// # Panics
    /// If the types of the ranks' values have different sizes: the job ends with a line that says so.
    pub fn all_gather<T: Pod>(&self, mine: T) -> Vec<T> {
        self.check("all_gather", || format!("of {} bytes", size_of::<T>()));
        // The size travels with what there is room for, so that all slots are equal whatever the type.
        let each = size_of::<T>();
        let fits = each <= SLOT - 8;
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&(each as u64).to_ne_bytes());
        if fits {
            slot[8..8 + each].copy_from_slice(bytemuck::bytes_of(&mine));
        }
        let mut slots = vec![0; SLOT * self.size()];
        self.0.raw.all_gather(&slot, &mut slots);
        let slots = slots.as_chunks::<SLOT>().0;
        let size = |slot: &[u8; SLOT]| bytemuck::pod_read_unaligned::<u64>(&slot[..8]);
        if slots.iter().any(|slot| size(slot) != each as u64) {
            let calls: Vec<_> = slots.iter().map(|slot| format!("all_gather of {} bytes", size(slot))).collect();
            self.end_together(&Error::RanksDisagree { calls: grouped(&calls) });
        }
        if fits {
            return slots.iter().map(|slot| bytemuck::pod_read_unaligned(&slot[8..8 + each])).collect();
        }
        let mut all = vec![T::zeroed(); self.size()];
        self.0.raw.all_gather(bytemuck::bytes_of(&mine), bytemuck::cast_slice_mut(&mut all));
        all
    }

    /// All ranks' slices on rank `root`, in rank order; `None` elsewhere.
    ///
    /// # Collective
    ///
    /// # Panics
    /// If there is no rank `root`, or the ranks name different roots or types, which is a bug of the caller:
    /// the job ends.
    pub fn gather<T: Pod>(&self, root: usize, mine: &[T]) -> Option<Vec<Vec<T>>> {
        self.require_rank("gather", root);
        let _event = profile::operation("Gather");
        let calls = self.all_gather([mine.len(), size_of::<T>(), root].map(|number| number as u64));
        if calls.iter().any(|call| call[1..] != calls[0][1..]) {
            let name = |[_, bytes, root]: &[u64; 3]| format!("gather to rank {root} of values of {bytes} bytes");
            let calls: Vec<_> = calls.iter().map(name).collect();
            self.end_together(&Error::RanksDisagree { calls: grouped(&calls) });
        }
        let mut transfers = Transfers::default();
        if self.rank() != root {
            transfers.reset(size_of_val(mine), 0);
            transfers.send_buffer::<u8>()[..size_of_val(mine)].copy_from_slice(bytemuck::cast_slice(mine));
            transfers.send(self.0.raw, root, GATHER_TAG, 0..size_of_val(mine));
            self.require_fit(transfers.wait(), |_| 1, |bytes| format!("gather of {bytes} bytes"));
            return None;
        }
        let mut all = Vec::with_capacity(self.size());
        for (rank, &[len, ..]) in calls.iter().enumerate() {
            if rank == root {
                all.push(mine.to_vec());
                continue;
            }
            let bytes = crate::index::local(len) * size_of::<T>();
            transfers.reset(0, bytes);
            transfers.receive(self.0.raw, rank, GATHER_TAG, 0..bytes);
            self.require_fit(transfers.wait(), |_| 1, |bytes| format!("gather of {bytes} bytes"));
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
        self.check("sparse_exchange", || format!("of values of {} bytes", size_of::<T>()));
        let _event = profile::operation("SparseExchange");
        let round = self.0.round.replace(!self.0.round.get());
        transfers::sparse_exchange(self.0.raw, SPARSE_TAG + i32::from(round), messages)
    }
}

impl Group {
    fn free(&self) {
        if let Some(twin) = &self.twin {
            twin.free();
        }
        self.raw.free();
    }
}

/// Bytes that each rank contributes to a gathering, the size of its value included.
const SLOT: usize = 32;
const GATHER_TAG: i32 = 101;
const SPARSE_TAG: i32 = 102;
/// Message tags of calls one after the other; MPI has tags up to 32767 at least.
const FIRST_TAG: i32 = 1024;
const TAGS: u32 = 16384;

/// Prints the one line that a failed program leaves behind.
fn report(error: &dyn Display) {
    print(&format!("error: {}\n", escaped_lines(&error.to_string())));
}

fn print(line: &str) {
    // A closed stderr must not turn an error into a panic.
    let _ = std::io::stderr().write_all(line.as_bytes());
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
