//! The only raw MPI calls of the toolkit.
//!
//! Payloads travel as bytes, so that one code path serves every element type, counts above 2^31
//! are a loop over at most 1 GiB a message, and no MPI datatype has to be committed. (A cluster of
//! mixed byte orders is not supported, by this or by HDF5's native types.) Reductions use the
//! typed MPI operations, or one user operation per mergeable type.
//!
//! MPI's error handler stays fatal: rsmpi and most libraries ignore return codes anyway, so sizes
//! are checked before a call and a failing MPI ends the job with its own message.
#![allow(unsafe_code)]

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ops::Range;

use bytemuck::Pod;
use mpi::ffi;

/// Largest payload of one MPI call.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// An MPI communicator handle. Copies name the same communicator.
#[derive(Clone, Copy)]
pub(crate) struct RawComm(pub(crate) ffi::MPI_Comm);

/// Pieces of at most [`MAX_MESSAGE_BYTES`] that cover `0..len`; none for an empty payload.
pub(crate) fn pieces(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(MAX_MESSAGE_BYTES).map(move |start| start..len.min(start + MAX_MESSAGE_BYTES))
}

fn count(len: usize) -> c_int {
    c_int::try_from(len).expect("invariant: pieces are at most 1 GiB")
}

fn rank_arg(rank: usize) -> c_int {
    c_int::try_from(rank).expect("invariant: MPI counts ranks in a C int")
}

/// Element type of a typed reduction.
pub trait Reducible: Pod {
    /// The MPI datatype of `Self`.
    #[doc(hidden)]
    fn datatype() -> Datatype;
}

/// An MPI datatype handle.
#[doc(hidden)]
pub struct Datatype(ffi::MPI_Datatype);

macro_rules! reducible {
    ($t:ty, $handle:ident) => {
        impl Reducible for $t {
            fn datatype() -> Datatype {
                // SAFETY: a constant initialised by the MPI library before main.
                Datatype(unsafe { ffi::$handle })
            }
        }
    };
}
reducible!(f32, RSMPI_FLOAT);
reducible!(f64, RSMPI_DOUBLE);
reducible!(i32, RSMPI_INT32_T);
reducible!(i64, RSMPI_INT64_T);
reducible!(u32, RSMPI_UINT32_T);
reducible!(u64, RSMPI_UINT64_T);

/// The predefined reduction operations in use.
#[derive(Clone, Copy)]
pub(crate) enum Op {
    Sum,
    Max,
    Min,
}

impl Op {
    fn handle(self) -> ffi::MPI_Op {
        // SAFETY: constants initialised by the MPI library before main.
        unsafe {
            match self {
                Op::Sum => ffi::RSMPI_SUM,
                Op::Max => ffi::RSMPI_MAX,
                Op::Min => ffi::RSMPI_MIN,
            }
        }
    }
}

/// A value whose merge is associative and commutative to the bit, so that an MPI reduction over
/// any tree gives the same result.
pub trait Merge: Pod {
    /// Merges `other` into `self`.
    fn merge(&mut self, other: &Self);
}

impl RawComm {
    pub(crate) fn world() -> RawComm {
        // SAFETY: a constant of the MPI library; used only after initialisation.
        RawComm(unsafe { ffi::RSMPI_COMM_WORLD })
    }

    pub(crate) fn rank(self) -> usize {
        let mut rank = 0;
        // SAFETY: a valid communicator and a live out-parameter.
        unsafe { ffi::MPI_Comm_rank(self.0, &raw mut rank) };
        usize::try_from(rank).expect("invariant: ranks are not negative")
    }

    pub(crate) fn size(self) -> usize {
        let mut size = 0;
        // SAFETY: as above.
        unsafe { ffi::MPI_Comm_size(self.0, &raw mut size) };
        usize::try_from(size).expect("invariant: a communicator has ranks")
    }

    pub(crate) fn duplicate(self) -> RawComm {
        let mut copy = self.0;
        // SAFETY: a valid communicator; all its ranks call this.
        unsafe { ffi::MPI_Comm_dup(self.0, &raw mut copy) };
        RawComm(copy)
    }

    pub(crate) fn split(self, colour: Option<u32>, key: usize) -> Option<RawComm> {
        let mut part = self.0;
        // SAFETY: constants of the MPI library, a valid communicator, all its ranks call this.
        unsafe {
            let colour = match colour {
                Some(colour) => c_int::try_from(colour).expect("invariant: checked by Comm::split"),
                None => ffi::RSMPI_UNDEFINED,
            };
            ffi::MPI_Comm_split(self.0, colour, rank_arg(key), &raw mut part);
            (part != ffi::RSMPI_COMM_NULL).then_some(RawComm(part))
        }
    }

    /// Splits by shared memory (one part per node).
    pub(crate) fn split_shared(self) -> RawComm {
        let mut part = self.0;
        // SAFETY: as above.
        unsafe {
            ffi::MPI_Comm_split_type(self.0, ffi::RSMPI_COMM_TYPE_SHARED, 0, ffi::RSMPI_INFO_NULL, &raw mut part);
        }
        RawComm(part)
    }

    pub(crate) fn free(mut self) {
        // SAFETY: the handle came from dup or split and is not used afterwards; collective.
        unsafe { ffi::MPI_Comm_free(&raw mut self.0) };
    }

    pub(crate) fn abort(self, code: i32) -> ! {
        // SAFETY: ends all processes of the job; valid any time between init and finalise.
        unsafe { ffi::MPI_Abort(self.0, code) };
        std::process::exit(code)
    }

    pub(crate) fn barrier(self) {
        // SAFETY: a valid communicator.
        unsafe { ffi::MPI_Barrier(self.0) };
    }

    pub(crate) fn broadcast(self, root: usize, buffer: &mut [u8]) {
        for piece in pieces(buffer.len()) {
            let part = &mut buffer[piece];
            // SAFETY: the buffer is live and as long as the count; all ranks pass equal lengths.
            unsafe {
                ffi::MPI_Bcast(part.as_mut_ptr().cast(), count(part.len()), ffi::RSMPI_UINT8_T, rank_arg(root), self.0);
            }
        }
    }

    pub(crate) fn all_reduce<T: Reducible>(self, values: &mut [T], op: Op) {
        thread_local!(static INPUT: Cell<Vec<u64>> = const { Cell::new(Vec::new()) });
        // MPI_IN_PLACE is not exported by the bindings; the copy lives in a reused buffer.
        let mut words = INPUT.take();
        let bytes = size_of_val(values);
        words.resize(bytes.div_ceil(8), 0);
        let input = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes];
        input.copy_from_slice(bytemuck::cast_slice(values));
        let per_call = MAX_MESSAGE_BYTES / size_of::<T>();
        for start in (0..values.len()).step_by(per_call) {
            let n = per_call.min(values.len() - start);
            // SAFETY: both buffers hold n elements of T from `start`, 8-byte aligned, not overlapping.
            unsafe {
                ffi::MPI_Allreduce(
                    input.as_ptr().add(start * size_of::<T>()).cast(),
                    values.as_mut_ptr().add(start).cast(),
                    count(n),
                    T::datatype().0,
                    op.handle(),
                    self.0,
                );
            }
        }
        INPUT.set(words);
    }

    pub(crate) fn all_reduce_merge<T: Merge>(self, input: &[T], output: &mut [T]) {
        assert_eq!(input.len(), output.len(), "invariant: one output per input");
        let (op, datatype) = merge_op::<T>();
        // SAFETY: both buffers hold `len` elements of the committed type of size_of::<T>() bytes.
        unsafe {
            ffi::MPI_Allreduce(
                input.as_ptr().cast(),
                output.as_mut_ptr().cast(),
                count(input.len()),
                datatype,
                op,
                self.0,
            );
        }
    }

    /// Gathers equal-sized contributions from all ranks, in rank order.
    pub(crate) fn all_gather(self, mine: &[u8], all: &mut [u8]) {
        assert_eq!(all.len(), mine.len() * self.size(), "invariant: room for all ranks");
        // SAFETY: the receive buffer holds size() times the send buffer.
        unsafe {
            ffi::MPI_Allgather(
                mine.as_ptr().cast(),
                count(mine.len()),
                ffi::RSMPI_UINT8_T,
                all.as_mut_ptr().cast(),
                count(mine.len()),
                ffi::RSMPI_UINT8_T,
                self.0,
            );
        }
    }
}

type OpAndType = (ffi::MPI_Op, ffi::MPI_Datatype);

/// The MPI operation and datatype for a mergeable type, made once per thread and type.
fn merge_op<T: Merge>() -> OpAndType {
    thread_local!(static KNOWN: RefCell<Vec<(TypeId, OpAndType)>> = const { RefCell::new(Vec::new()) });
    unsafe extern "C" fn merge_all<T: Merge>(
        input: *mut c_void,
        output: *mut c_void,
        len: *mut c_int,
        _: *mut ffi::MPI_Datatype,
    ) {
        let input = input.cast::<T>();
        let output = output.cast::<T>();
        // SAFETY: MPI passes `len` elements of the datatype of T in both; temporary buffers of the
        // library need not be aligned for T, hence the unaligned accesses.
        unsafe {
            for i in 0..usize::try_from(*len).unwrap_or(0) {
                let mut merged = output.add(i).read_unaligned();
                merged.merge(&input.add(i).read_unaligned());
                output.add(i).write_unaligned(merged);
            }
        }
    }
    let id = TypeId::of::<T>();
    KNOWN.with_borrow_mut(|known| {
        if let Some((_, made)) = known.iter().find(|(of, _)| *of == id) {
            return *made;
        }
        // SAFETY: live out-parameters; the callback has the signature MPI asks for.
        let made = unsafe {
            let mut op = ffi::RSMPI_SUM;
            let mut datatype = ffi::RSMPI_UINT8_T;
            ffi::MPI_Op_create(Some(merge_all::<T>), 1, &raw mut op);
            ffi::MPI_Type_contiguous(count(size_of::<T>()), ffi::RSMPI_UINT8_T, &raw mut datatype);
            ffi::MPI_Type_commit(&raw mut datatype);
            (op, datatype)
        };
        known.push((id, made));
        made
    })
}

/// Requests in flight together with the buffers that MPI reads and writes.
///
/// The buffers are owned here and not reachable while a request is pending, so no user memory is
/// ever lent to MPI. Dropping waits.
#[derive(Default)]
pub(crate) struct Transfers {
    requests: Vec<ffi::MPI_Request>,
    send: Vec<u64>,
    receive: Vec<u64>,
}

impl Transfers {
    /// Makes room for so many bytes to send and receive. No request may be pending.
    pub(crate) fn reset(&mut self, send_bytes: usize, receive_bytes: usize) {
        self.wait();
        self.send.resize(send_bytes.div_ceil(8), 0);
        self.receive.resize(receive_bytes.div_ceil(8), 0);
    }

    /// The send buffer, to be filled before the first [`Transfers::send`].
    pub(crate) fn send_buffer<T: Pod>(&mut self) -> &mut [T] {
        assert!(self.requests.is_empty(), "invariant: buffers are not touched while MPI has them");
        const { assert!(align_of::<T>() <= 8, "buffers are aligned for 8-byte values") };
        let bytes = bytemuck::cast_slice_mut::<u64, u8>(&mut self.send);
        let whole = bytes.len() - bytes.len() % size_of::<T>();
        bytemuck::cast_slice_mut(&mut bytes[..whole])
    }

    /// Copies bytes of the send buffer to the receive buffer: a rank's message to itself.
    pub(crate) fn keep(&mut self, from: Range<usize>, to: Range<usize>) {
        assert!(self.requests.is_empty(), "invariant: buffers are not touched while MPI has them");
        let source = &bytemuck::cast_slice::<u64, u8>(&self.send)[from];
        bytemuck::cast_slice_mut::<u64, u8>(&mut self.receive)[to].copy_from_slice(source);
    }

    /// Posts the receive of bytes `range` of the receive buffer.
    pub(crate) fn receive(&mut self, comm: RawComm, source: usize, tag: i32, range: Range<usize>) {
        let buffer = bytemuck::cast_slice_mut::<u64, u8>(&mut self.receive)[range].as_mut_ptr_range();
        // SAFETY: the range lies inside `receive`, which neither moves nor is read before wait().
        unsafe {
            let len = buffer.end.offset_from_unsigned(buffer.start);
            for piece in pieces(len) {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                ffi::MPI_Irecv(
                    buffer.start.add(piece.start).cast(),
                    count(piece.len()),
                    ffi::RSMPI_UINT8_T,
                    rank_arg(source),
                    tag,
                    comm.0,
                    &raw mut request,
                );
                self.requests.push(request);
            }
        }
    }

    /// Starts to send bytes `range` of the send buffer.
    pub(crate) fn send(&mut self, comm: RawComm, to: usize, tag: i32, range: Range<usize>) {
        let buffer = bytemuck::cast_slice::<u64, u8>(&self.send)[range].as_ptr_range();
        // SAFETY: the range lies inside `send`, which neither moves nor is written before wait().
        unsafe {
            let len = buffer.end.offset_from_unsigned(buffer.start);
            for piece in pieces(len) {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                ffi::MPI_Isend(
                    buffer.start.add(piece.start).cast(),
                    count(piece.len()),
                    ffi::RSMPI_UINT8_T,
                    rank_arg(to),
                    tag,
                    comm.0,
                    &raw mut request,
                );
                self.requests.push(request);
            }
        }
    }

    /// Waits for everything in flight.
    pub(crate) fn wait(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        // SAFETY: the requests are live and their buffers owned by self.
        unsafe {
            ffi::MPI_Waitall(count(self.requests.len()), self.requests.as_mut_ptr(), ffi::RSMPI_STATUSES_IGNORE);
        }
        self.requests.clear();
    }

    /// What was received; [`Transfers::wait`] comes first.
    pub(crate) fn received<T: Pod>(&self) -> &[T] {
        assert!(self.requests.is_empty(), "invariant: buffers are not read while MPI has them");
        const { assert!(align_of::<T>() <= 8, "buffers are aligned for 8-byte values") };
        let bytes = bytemuck::cast_slice::<u64, u8>(&self.receive);
        bytemuck::cast_slice(&bytes[..bytes.len() - bytes.len() % size_of::<T>()])
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.wait();
    }
}

/// One non-blocking collective step (a barrier, or the minimum of one word).
pub(crate) struct Pending {
    request: ffi::MPI_Request,
    input: Box<u64>,
    output: Box<u64>,
}

impl Pending {
    fn new(value: u64) -> Pending {
        // SAFETY: a constant initialised by the MPI library before main.
        let request = unsafe { ffi::RSMPI_REQUEST_NULL };
        Pending { request, input: Box::new(value), output: Box::new(value) }
    }

    pub(crate) fn barrier(comm: RawComm) -> Pending {
        let mut pending = Pending::new(0);
        // SAFETY: the request lives in `pending` until it completes.
        unsafe { ffi::MPI_Ibarrier(comm.0, &raw mut pending.request) };
        pending
    }

    pub(crate) fn minimum(comm: RawComm, value: u64) -> Pending {
        let mut pending = Pending::new(value);
        // SAFETY: both words are boxed, so they do not move while the request is pending.
        unsafe {
            ffi::MPI_Iallreduce(
                (&raw const *pending.input).cast(),
                (&raw mut *pending.output).cast(),
                1,
                ffi::RSMPI_UINT64_T,
                ffi::RSMPI_MIN,
                comm.0,
                &raw mut pending.request,
            );
        }
        pending
    }

    /// The reduced word (zero for a barrier) once all ranks have arrived.
    pub(crate) fn test(&mut self) -> Option<u64> {
        let mut done = 0;
        // SAFETY: a live request (or the null request after completion) and out-parameter.
        unsafe { ffi::MPI_Test(&raw mut self.request, &raw mut done, ffi::RSMPI_STATUS_IGNORE) };
        (done != 0).then_some(*self.output)
    }

    /// Waits for all ranks and returns the reduced word.
    pub(crate) fn wait(mut self) -> u64 {
        // SAFETY: a live request.
        unsafe { ffi::MPI_Wait(&raw mut self.request, ffi::RSMPI_STATUS_IGNORE) };
        *self.output
    }
}

/// Sends `messages` (rank, bytes) and returns what others sent here, by ascending rank, without
/// anyone knowing beforehand who sends what: non-blocking consensus (Hoefler, Siebert, Lumsdaine,
/// "Scalable communication protocols for dynamic sparse data exchange", `PPoPP` 2010, algorithm NBX).
///
/// `tag` must differ between consecutive calls on one communicator: a rank that left the barrier
/// early may already send the next round while a slow one still probes for this one.
pub(crate) fn sparse_exchange(comm: RawComm, tag: i32, messages: &[(usize, Vec<u8>)]) -> Vec<(usize, Vec<u8>)> {
    let mut requests = Vec::with_capacity(messages.len());
    for (to, bytes) in messages {
        // Every message has at least one piece, so that an empty one arrives too. The receiver joins
        // the pieces, which MPI delivers in order; the barrier tells it that there are no more.
        for start in (0..=bytes.len()).step_by(MAX_MESSAGE_BYTES) {
            let part = &bytes[start..bytes.len().min(start + MAX_MESSAGE_BYTES)];
            // SAFETY: `messages` outlives the requests, which complete below.
            unsafe {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                ffi::MPI_Issend(
                    part.as_ptr().cast(),
                    count(part.len()),
                    ffi::RSMPI_UINT8_T,
                    rank_arg(*to),
                    tag,
                    comm.0,
                    &raw mut request,
                );
                requests.push(request);
            }
        }
    }
    let mut received: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut barrier: Option<Pending> = None;
    loop {
        if let Some((source, bytes)) = receive_any(comm, tag) {
            match received.iter_mut().find(|(from, _)| *from == source) {
                Some((_, so_far)) => so_far.extend_from_slice(&bytes),
                None => received.push((source, bytes)),
            }
        }
        if let Some(pending) = &mut barrier {
            if pending.test().is_some() {
                break;
            }
        } else if all_done(&mut requests) {
            barrier = Some(Pending::barrier(comm));
        }
    }
    received.sort_unstable_by_key(|(source, _)| *source);
    received
}

fn all_done(requests: &mut [ffi::MPI_Request]) -> bool {
    let mut done = 0;
    // SAFETY: live requests whose buffers outlive them.
    unsafe {
        ffi::MPI_Testall(count(requests.len()), requests.as_mut_ptr(), &raw mut done, ffi::RSMPI_STATUSES_IGNORE);
    }
    done != 0
}

/// Receives one waiting message with this tag, if there is one.
fn receive_any(comm: RawComm, tag: i32) -> Option<(usize, Vec<u8>)> {
    // SAFETY: live out-parameters; the buffer is as long as the probed message, and this thread is
    // the only one that receives, so the receive matches the probe.
    unsafe {
        let mut waiting = 0;
        let mut status: ffi::MPI_Status = std::mem::zeroed();
        ffi::MPI_Iprobe(ffi::RSMPI_ANY_SOURCE, tag, comm.0, &raw mut waiting, &raw mut status);
        if waiting == 0 {
            return None;
        }
        let mut len = 0;
        ffi::MPI_Get_count(&raw const status, ffi::RSMPI_UINT8_T, &raw mut len);
        let mut bytes = vec![0u8; usize::try_from(len).expect("invariant: a message has a length")];
        ffi::MPI_Recv(
            bytes.as_mut_ptr().cast(),
            len,
            ffi::RSMPI_UINT8_T,
            status.MPI_SOURCE,
            tag,
            comm.0,
            ffi::RSMPI_STATUS_IGNORE,
        );
        Some((usize::try_from(status.MPI_SOURCE).expect("invariant: a source is a rank"), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_above_two_gib_travel_in_pieces() {
        assert_eq!(pieces(0).count(), 0);
        assert!(pieces(5).eq(std::iter::once(0..5)));
        let big = 5 * MAX_MESSAGE_BYTES / 2;
        let all: Vec<_> = pieces(big).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all.iter().map(Range::len).sum::<usize>(), big);
        assert!(all.iter().all(|piece| piece.len() <= MAX_MESSAGE_BYTES));
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}
