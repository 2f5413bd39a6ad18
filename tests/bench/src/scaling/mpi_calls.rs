//! Counts of MPI calls, by MPI's profiling interface.
//!
//! This program defines functions of MPI, which count and hand on to those with the prefix `PMPI_` (MPI standard,
//! chapter "Tool support"). So whatever calls MPI is counted, by what it passes and not by what it says of itself.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mpi::ffi;
use mpi::ffi::{MPI_Comm, MPI_Datatype, MPI_Message, MPI_Op, MPI_Request, MPI_Status};

/// Ranks that can be told apart as neighbors.
const RANKS: usize = 4096;

/// Calls of this rank since the last [`reset`].
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    /// Messages that were sent to other ranks, and their bytes.
    pub(crate) sent: [u64; 2],
    /// Messages that were received.
    pub(crate) received: u64,
    /// Reductions over all ranks, prefix sums among them, and the bytes that this rank passed to them.
    pub(crate) reductions: [u64; 2],
    /// Broadcasts and barriers.
    pub(crate) others: u64,
    /// Gatherings of a value of each rank, and the bytes that came to this rank.
    pub(crate) gatherings: [u64; 2],
    /// A bit for each rank to which something was sent.
    partners: [u64; RANKS / 64],
}

impl Calls {
    const NONE: Calls = Calls {
        sent: [0; 2],
        received: 0,
        reductions: [0; 2],
        others: 0,
        gatherings: [0; 2],
        partners: [0; RANKS / 64],
    };

    /// Returns the number of ranks to which something was sent.
    pub(crate) fn neighbors(&self) -> u64 {
        self.partners.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

static CALLS: Mutex<Calls> = Mutex::new(Calls::NONE);

fn calls() -> MutexGuard<'static, Calls> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to count anew.
pub(crate) fn reset() {
    *calls() = Calls::NONE;
}

/// Returns the counts.
pub(crate) fn so_far() -> Calls {
    *calls()
}

fn bytes(count: c_int, datatype: MPI_Datatype) -> u64 {
    let mut size = 0;
    // SAFETY: the datatype is one that the caller passed to MPI; a live out-parameter.
    unsafe { ffi::PMPI_Type_size(datatype, &raw mut size) };
    u64::try_from(count).unwrap_or(0) * u64::try_from(size).unwrap_or(0)
}

fn ranks(comm: MPI_Comm) -> [usize; 2] {
    let (mut rank, mut size) = (0, 0);
    // SAFETY: the communicator is one that the caller passed to MPI; live out-parameters.
    unsafe {
        ffi::PMPI_Comm_rank(comm, &raw mut rank);
        ffi::PMPI_Comm_size(comm, &raw mut size);
    }
    [rank, size].map(|number| usize::try_from(number).unwrap_or(0))
}

fn count_sent(count: c_int, datatype: MPI_Datatype, to: c_int, comm: MPI_Comm) {
    let (bytes, to) = (bytes(count, datatype), usize::try_from(to).unwrap_or(0));
    if to != ranks(comm)[0] {
        let mut calls = calls();
        calls.sent[0] += 1;
        calls.sent[1] += bytes;
        calls.partners[to % RANKS / 64] |= 1 << (to % 64);
    }
}

fn count_received() {
    calls().received += 1;
}

/// Counts a reduction, if there is another rank.
fn count_reduction(count: c_int, datatype: MPI_Datatype, comm: MPI_Comm) {
    if ranks(comm)[1] > 1 {
        let bytes = bytes(count, datatype);
        let mut calls = calls();
        calls.reductions[0] += 1;
        calls.reductions[1] += bytes;
    }
}

fn count_other(comm: MPI_Comm) {
    if ranks(comm)[1] > 1 {
        calls().others += 1;
    }
}

/// Counts a gathering to `root`, or to all ranks.
fn count_gathering(count: c_int, datatype: MPI_Datatype, root: Option<c_int>, comm: MPI_Comm) {
    let [rank, size] = ranks(comm);
    if size > 1 {
        let here = root.is_none_or(|root| usize::try_from(root) == Ok(rank));
        let bytes = if here { bytes(count, datatype) * size as u64 } else { 0 };
        let mut calls = calls();
        calls.gatherings[0] += 1;
        calls.gatherings[1] += bytes;
    }
}

/// Defines functions of MPI that count and hand on.
macro_rules! counted {
    ($($name:ident as $profiled:ident($($parameter:ident: $kind:ty),*) { $count:expr })*) => {
        $(
            /// Counts, and hands on.
            ///
            /// # Safety
            /// As the function of MPI.
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name($($parameter: $kind),*) -> c_int {
                $count;
                // SAFETY: the caller's promises are those that the function of MPI asks for.
                unsafe { ffi::$profiled($($parameter),*) }
            }
        )*
    };
}

type From = *const c_void;
type Into = *mut c_void;

counted! {
    MPI_Send as PMPI_Send(from: From, count: c_int, kind: MPI_Datatype, to: c_int, tag: c_int, comm: MPI_Comm) {
        count_sent(count, kind, to, comm)
    }
    MPI_Isend as PMPI_Isend(
        from: From, count: c_int, kind: MPI_Datatype, to: c_int, tag: c_int, comm: MPI_Comm, request: *mut MPI_Request
    ) { count_sent(count, kind, to, comm) }
    MPI_Issend as PMPI_Issend(
        from: From, count: c_int, kind: MPI_Datatype, to: c_int, tag: c_int, comm: MPI_Comm, request: *mut MPI_Request
    ) { count_sent(count, kind, to, comm) }
    MPI_Recv as PMPI_Recv(
        into: Into, count: c_int, kind: MPI_Datatype, source: c_int, tag: c_int, comm: MPI_Comm, status: *mut MPI_Status
    ) { count_received() }
    MPI_Mrecv as PMPI_Mrecv(
        into: Into, count: c_int, kind: MPI_Datatype, message: *mut MPI_Message, status: *mut MPI_Status
    ) { count_received() }
    MPI_Imrecv as PMPI_Imrecv(
        into: Into, count: c_int, kind: MPI_Datatype, message: *mut MPI_Message, request: *mut MPI_Request
    ) { count_received() }
    MPI_Allreduce as PMPI_Allreduce(
        from: From, into: Into, count: c_int, kind: MPI_Datatype, op: MPI_Op, comm: MPI_Comm
    ) { count_reduction(count, kind, comm) }
    MPI_Exscan as PMPI_Exscan(
        from: From, into: Into, count: c_int, kind: MPI_Datatype, op: MPI_Op, comm: MPI_Comm
    ) { count_reduction(count, kind, comm) }
    MPI_Bcast as PMPI_Bcast(into: Into, count: c_int, kind: MPI_Datatype, root: c_int, comm: MPI_Comm) {
        count_other(comm)
    }
    MPI_Barrier as PMPI_Barrier(comm: MPI_Comm) { count_other(comm) }
    MPI_Ibarrier as PMPI_Ibarrier(comm: MPI_Comm, request: *mut MPI_Request) { count_other(comm) }
    MPI_Allgather as PMPI_Allgather(
        from: From, count: c_int, kind: MPI_Datatype, into: Into, each: c_int, of: MPI_Datatype, comm: MPI_Comm
    ) { count_gathering(count, kind, None, comm) }
    MPI_Gather as PMPI_Gather(
        from: From, count: c_int, kind: MPI_Datatype, into: Into, each: c_int, of: MPI_Datatype, root: c_int,
        comm: MPI_Comm
    ) { count_gathering(count, kind, Some(root), comm) }
}
