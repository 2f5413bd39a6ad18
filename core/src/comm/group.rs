//! The handle of a communicator, and what belongs to it on this rank.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::comm::ffi::RawComm;
use crate::comm::packet_size::Capacity;
use crate::error::{Error, Result};

/// A group of MPI ranks. Cloning is cheap and names the same group.
#[derive(Clone)]
pub struct Comm(Rc<Group>);

struct Group {
    raw: RawComm,
    /// Name of the group in messages, the same on all of its ranks.
    name: String,
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
    twin: Option<Twin>,
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
    pub(crate) fn new(raw: RawComm, name: impl Into<String>) -> Comm {
        Comm(Rc::new(Group {
            raw,
            name: name.into(),
            rank: raw.rank(),
            size: raw.size(),
            round: Cell::new(false),
            rounds: Cell::new(0),
            broadcasts: Cell::new(0),
            capacity: Capacity::default(),
            claimed: Claimed::default(),
            twin: Twin::new(raw),
            _not_send: PhantomData,
        }))
    }

    /// Returns what the group is, for messages: `all ranks`, `a copy of all ranks`, `a part of all ranks`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns this process's number in the group, `0..size`.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// Returns the number of ranks.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Returns the MPI handle, for libraries that take one. It stays owned by this `Comm`, and returns errors to its
    /// callers instead of ending the job.
    pub fn as_raw(&self) -> mpi::ffi::MPI_Comm {
        self.0.raw.0
    }

    /// Creates a communicator of the ranks of one that another library made, with messages of its own. `handle` is its
    /// Fortran handle: mpi4py's `py2f()`, petsc4py's `tompi4py().py2f()`.
    ///
    /// # Collective
    /// All ranks of that communicator.
    ///
    /// # Errors
    /// [`Error::NoSuchComm`] if the handle names no communicator.
    pub fn from_fortran(handle: i32) -> Result<Comm> {
        let raw = RawComm::from_fortran(handle).ok_or(Error::NoSuchComm { handle })?;
        Ok(Comm::new(raw.duplicate(), format!("a copy of the communicator with the Fortran handle {handle}")))
    }

    /// Returns the handle by which other libraries know this communicator: `MPI.Comm.f2py` of mpi4py takes it. It stays
    /// owned by this `Comm`.
    pub fn to_fortran(&self) -> i32 {
        self.0.raw.to_fortran()
    }

    pub(crate) fn raw(&self) -> RawComm {
        self.0.raw
    }

    /// Returns the tag of the messages of the next call in which ranks send each other messages without asking. All
    /// ranks make these calls in the same order, so that messages of different calls cannot mix.
    pub(crate) fn next_tag(&self) -> i32 {
        let round = self.0.rounds.get();
        self.0.rounds.set(round.wrapping_add(1));
        FIRST_TAG + i32::try_from(round % TAGS).expect("invariant: a remainder is small")
    }

    pub(super) fn capacity(&self) -> &Capacity {
        &self.0.capacity
    }

    /// Ends the whole job at once with an exit code.
    pub fn abort(&self, code: i32) -> ! {
        self.0.raw.abort(code)
    }

    /// Creates a communicator of this rank alone, for work without the others. Not collective; nothing has to be
    /// given back.
    #[must_use]
    pub fn alone(&self) -> Comm {
        Comm::new(RawComm::alone(), "one rank alone")
    }

    pub(super) fn twin(&self) -> Option<&Twin> {
        self.0.twin.as_ref()
    }

    /// Calls so far in which ranks send each other messages without asking.
    pub(super) fn rounds(&self) -> u32 {
        self.0.rounds.get()
    }

    pub(super) fn set_rounds(&self, rounds: u32) {
        self.0.rounds.set(rounds);
    }

    /// Returns the number of the next broadcast.
    pub(super) fn next_broadcast(&self) -> u64 {
        let number = self.0.broadcasts.get();
        self.0.broadcasts.set(number + 1);
        number
    }

    /// One of two tags in turn.
    pub(super) fn next_round(&self) -> bool {
        self.0.round.replace(!self.0.round.get())
    }

    /// Lets settings travel with the next reduction.
    pub(super) fn claim(&self, claim: Claim) {
        self.0.claimed.0.set(Some(claim));
    }

    pub(super) fn take_claim(&self) -> Option<Claim> {
        self.0.claimed.0.take()
    }

    /// Returns true if no other handle names this group.
    pub(super) fn is_last(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// Gives the communicator and its twin back to MPI.
    ///
    /// # Collective
    pub(crate) fn give_back(&self) {
        self.0.free();
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

/// Settings that all ranks have to pass alike, compared by a reduction.
pub(crate) struct Claim {
    pub(super) hash: u64,
    pub(super) text: String,
}

/// The claim that travels with the next reduction.
#[derive(Default)]
struct Claimed(Cell<Option<Claim>>);

/// Set by `DOLMEN_CHECK=1`.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Returns whether collective functions are compared over the ranks.
pub(super) fn compares_calls() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Has them compared from now on.
pub(super) fn compare_calls() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// The twin of a communicator.
pub(super) struct Twin {
    pub(super) raw: RawComm,
    /// Its ranks' numbers in the world.
    pub(super) members: Vec<usize>,
}

impl Twin {
    /// Creates the twin of a new communicator, if functions are compared.
    ///
    /// # Collective
    fn new(of: RawComm) -> Option<Twin> {
        if !compares_calls() || of.size() == 1 {
            return None;
        }
        let raw = of.duplicate();
        let mut members = vec![0; 8 * of.size()];
        raw.all_gather(&(RawComm::world().rank() as u64).to_ne_bytes(), &mut members);
        let members = members.as_chunks().0.iter().map(|word| crate::index::local(u64::from_ne_bytes(*word)));
        Some(Twin { raw, members: members.collect() })
    }

    fn free(&self) {
        self.raw.free();
    }
}

/// Message tags of calls one after the other; MPI has tags up to 32767 at least.
const FIRST_TAG: i32 = 1024;
const TAGS: u32 = 16384;
