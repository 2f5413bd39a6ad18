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

mod agreement;
pub(crate) mod compare_calls;
pub(crate) mod disagreement;
pub(crate) mod end_of_program;
pub(crate) mod ffi;
mod gathering;
mod group;
mod operation;
mod packet_size;
pub(crate) mod reductions;
pub(crate) mod report;
mod transfers;

use crate::error::{Error, Result};
use crate::record;
pub use agreement::{Failed, Portable, SharedError};
use bytemuck::Pod;
pub(crate) use ffi::RawComm;
pub use group::Comm;
pub(crate) use operation::{Max, Merged, Min, Sum};
pub use operation::{Merge, Reducible};
pub(crate) use transfers::{Misfit, Transfers};

impl Comm {
    /// Waits until every rank has arrived.
    ///
    /// # Collective
    pub fn barrier(&self) {
        self.check("barrier", String::new);
        self.raw().barrier();
    }

    /// Creates a communicator of the same ranks with messages of its own.
    ///
    /// # Collective
    #[must_use]
    pub fn duplicate(&self) -> Comm {
        self.check("duplicate", String::new);
        Comm::new(self.raw().duplicate(), format!("a copy of {}", self.name()))
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
        Ok(self.raw().split(color, key).map(|part| Comm::new(part, format!("a part of {}", self.name()))))
    }

    /// Creates a communicator of the ranks that share this rank's memory (one per node).
    ///
    /// # Collective
    #[must_use]
    pub fn split_shared(&self) -> Comm {
        self.check("split_shared", String::new);
        Comm::new(self.raw().split_shared(), format!("one node of {}", self.name()))
    }

    /// Gives a duplicated or split communicator back to MPI. Without it the communicator lives until
    /// the end of the program, because dropping never communicates. So it does if any rank has another
    /// handle of it left, such as those in layouts and vectors: drop these before, on all ranks.
    ///
    /// # Collective
    /// One reduction of a word.
    pub fn free(self) {
        self.check("free", String::new);
        let mut last = [u64::from(self.is_last())];
        self.all_reduce_min(&mut last);
        if last == [1] {
            self.give_back();
        }
    }

    fn require_rank(&self, operation: &str, rank: usize) {
        assert!(rank < self.size(), "{operation}: there is no rank {rank} among {}", self.size());
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
        let number = self.next_broadcast();
        let mine = [values.len() as u64, root as u64, size_of::<T>() as u64, number];
        let mut head = mine;
        self.raw().broadcast(root, bytemuck::cast_slice_mut(&mut head));
        if head[1..] != mine[1..] {
            let call = |[_, root, bytes, number]: [u64; 4]| {
                format!("broadcast {number} of this communicator, from rank {root}, of values of {bytes} bytes")
            };
            let calls = format!("{} (rank {}), {} (rank {})", call(head), head[1], call(mine), self.rank());
            self.end_with(&Error::RanksDisagree { calls });
        }
        values.resize(crate::index::local(head[0]), T::zeroed());
        self.raw().broadcast(root, bytemuck::cast_slice_mut(values));
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
        let _event = record::operation("SparseExchange");
        let round = self.next_round();
        transfers::sparse_exchange(self.raw(), SPARSE_TAG + i32::from(round), messages)
    }
}

const SPARSE_TAG: i32 = 102;
