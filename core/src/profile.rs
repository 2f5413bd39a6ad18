//! `Profile`: where the time goes, as a table over all ranks and as a timeline for a trace viewer.
//!
//! The toolkit's own operations are events, and a program adds its own with [`event`]; events nest.
//! Nothing is recorded unless a [`Profile`] is running: an event then costs a load and a branch.
//! Recording belongs to the process, or rather to the one thread that calls MPI, so nothing has to
//! be handed through interfaces. Ranks record on their own and need not agree on their events;
//! [`Profile::finish`] joins what they have.
//!
//! An event in an event of the same name counts as part of the outer one, so that recursion
//! neither counts time twice nor grows the record. The record is bounded by the number of different
//! paths of names, the timeline by [`Profile::with_trace_limit`].
//!
//! If a `tracing` subscriber takes spans of level `TRACE` of target `dolmen`, each event is also
//! a span, whether a profile is running or not, inside the span of the rank that
//! [`Comm::run`] opens.
//!
//! # Events of the toolkit
//!
//! Names are PETSc's where PETSc has the operation. `n` is the number of entries on the rank, `k` of
//! vectors, `nnz` of stored entries, `s` the bytes of a scalar. Flops are real operations; in the
//! table they are given for real numbers: complex sums count two, complex products six. Bytes are
//! what has to move between memory and processor if caches hold nothing from before.
//!
//! | event | operation | flops | bytes |
//! | --- | --- | --- | --- |
//! | `MatMult` | [`CsrMatrix`](crate::CsrMatrix) times `k` vectors | `2 k nnz` | `(s + 4) nnz + 8 rows + k s (rows + columns)`, `k s rows` more if added |
//! | `MatMultTranspose` | transposed and adjoint products; the product is an event inside | | |
//! | `MatMult` | [`BlockCsrMatrix`](crate::BlockCsrMatrix) times a vector | `2 nnz` | `s nnz + 4 blocks + 8 block rows + s (rows + columns)` |
//! | `MatAssembly` | from triplets, rows or parts | | |
//! | `MatMatMult` | product of two matrices, or its values | `2` a summand | |
//! | `MatPtAP` | triple product, or its values | | |
//! | `MatAXPY` | sum of two matrices, or its values | `nnz` of both | |
//! | `MatTranspose` | transpose or adjoint as a matrix, or its values | | |
//! | `MatCreateSubMatrix`, `MatPermute` | submatrices and renumbered matrices | | |
//! | `MatRefillPlan`, `MatRefill` | new values in an old pattern | | |
//! | `VecAXPY`, `VecAXPBY`, `VecWAXPY` | `y + a x`, `a x + b y`, `a x + y` | `2 n`, `3 n`, `2 n` | `3 n s` |
//! | `VecMAXPY` | `y + a1 x1 + a2 x2 + ...` | `2 k n` | `(k + 2) n s` |
//! | `VecScale`, `VecShift` | `a y`, `y + a` | `n` | `2 n s` |
//! | `VecPointwiseMult`, `VecPointwiseDivide` | entry by entry | `n` | `3 n s` |
//! | `VecMap` | other functions of each entry | | `2 n s` or `3 n s` |
//! | `VecSet`, `VecCopy` | | | `n s`, `2 n s` |
//! | `VecDot` | one inner product | `2 n` | `2 n s` |
//! | `VecMDot` | `k` inner products, of one vector or of pairs | `2 k n` | `(k + 1) n s`, `2 k n s` |
//! | `VecNorm` | 1-norm, 2-norm, largest entry | `2 n` | `n s` |
//! | `VecSum`, `VecMax` | sum, extremes with their place | `n` | `n s` |
//! | `MVDot` | [`MultiVector`](crate::MultiVector) Gram matrices, inner products and norms of columns | `2 n` a sum | both blocks once |
//! | `MVMult` | block times small matrix | `2 n` an entry of it | all blocks once |
//! | `MVScale`, `MVAXPY` | as for vectors | `n`, `2 n` a column | `2 n s`, `3 n s` a column |
//! | `MVQR` | QR factorizations | | |
//! | `GraphAssembly` | from edges, from a matrix, squares | | |
//! | `GraphColoring`, `GraphPartition` | colorings, partitions by METIS | | |
//! | `ExchangePlan` | making an [`ExchangePlan`](crate::ExchangePlan) | | |
//! | `ExchangeBegin`, `ExchangeEnd` | packing and posting; waiting and combining | | |
//! | `Redistribute` | moving vectors to another layout | | |
//! | `AllReduce`, `PrefixSum`, `AllGather`, `Gather`, `GatherMerged`, `Broadcast`, `Barrier`, `SparseExchange` | communication of [`Comm`] | | |
//!
//! Messages are those that a rank sends to another one, not to itself, on its own, with their bytes; what MPI sends
//! inside of collective operations is not known. They belong to the innermost event.
//!
//! dolmen-solvers adds an event of each method's name and in it `PCApply`; dolmen-io adds `H5Read`,
//! `H5Write`, `FitsRead` and `FitsWrite`, whose bytes are those moved to or from the file.

mod summary;
mod table;
mod trace;

use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::record::{self, Recorder};
pub use crate::record::{Event, event};
pub(crate) use crate::record::{entrywise, operation};
pub use summary::{EventSummary, Spread, Summary};
pub use trace::Trace;

/// Default number of trace events that a rank keeps: 3 MB.
const TRACE_LIMIT: usize = 100_000;

/// A recording under way.
///
/// ```no_run
/// # use dolmen_core::{Comm, Result, profile, profile::Profile};
/// # fn work(comm: &Comm) -> Result<()> {
/// let profile = Profile::start(comm)?;
/// {
///     let _event = profile::event("MyKernel").flops(2_000_000);
///     // ...
/// }
/// let (summary, trace) = profile.finish();
/// trace.write("trace.json")?;
/// if comm.rank() == 0 {
///     println!("{summary}");
/// }
/// # Ok(()) }
/// ```
///
/// Dropped without [`Profile::finish`], it stops to record and says nothing.
#[must_use = "a profile records until it is finished or dropped"]
pub struct Profile {
    comm: Comm,
}

impl Profile {
    /// Starts to record. Events that are open already are left out.
    ///
    /// # Collective
    /// All clocks start at zero when the ranks leave a barrier, so times of different ranks can be
    /// compared to within the microseconds that this takes.
    ///
    /// # Errors
    /// [`Error::AlreadyRecording`], agreed over the ranks.
    pub fn start(comm: &Comm) -> Result<Profile> {
        Profile::with_trace_limit(comm, TRACE_LIMIT)
    }

    /// Works like [`Profile::start`], but each rank keeps at most this number of trace events, those that
    /// begin first, at 32 bytes each; the others are counted. The summary has all of them.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::AlreadyRecording`], agreed over the ranks.
    pub fn with_trace_limit(comm: &Comm, limit: usize) -> Result<Profile> {
        comm.agree(if record::is_recording() { Err(Error::AlreadyRecording) } else { Ok(()) })?;
        let mut recorder = Recorder::new(limit);
        comm.barrier();
        recorder.start();
        record::install(recorder);
        Ok(Profile { comm: comm.clone() })
    }

    /// Stops to record: the summary, the same on all ranks, and the timeline, of which each rank has
    /// its own part. Events that are still open end here.
    ///
    /// # Collective
    /// Records of all ranks are gathered on one, joined and broadcast.
    pub fn finish(self) -> (Summary, Trace) {
        let record = record::uninstall().expect("invariant: a running profile has a recorder").finish();
        let summary = Summary::new(&self.comm, &record);
        (summary, Trace::new(&self.comm, record))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        record::uninstall();
    }
}
