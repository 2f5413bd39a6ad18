//! Point-to-point MPI calls.
#![allow(unsafe_code)]

use std::ops::Range;

use bytemuck::Pod;
use mpi::ffi;

use crate::comm::ffi::{MAX_MESSAGE_BYTES, Pending, RawComm, count, pieces, rank_arg, require_success};
use crate::memory;
use crate::record::count_message;

/// A message that has not the length that its receiver awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was received is not what was awaited"]
pub(crate) struct Misfit {
    pub(crate) source: usize,
    /// Bytes.
    pub(crate) awaited: usize,
    /// Bytes.
    pub(crate) sent: usize,
}

/// A message that is received when it is waited for.
struct Awaited {
    comm: RawComm,
    source: usize,
    tag: i32,
    /// Bytes of the receive buffer.
    range: Range<usize>,
}

/// Requests in flight together with the buffers that MPI reads and writes.
///
/// Messages are received once their lengths are known: Open MPI writes past the end of a receive that is
/// posted for less than a large message holds.
///
/// The buffers are owned here and not reachable while a request is pending, so no user memory is
/// ever lent to MPI. Dropping waits.
#[derive(Default)]
pub(crate) struct Transfers {
    requests: Vec<ffi::MPI_Request>,
    awaited: Vec<Awaited>,
    send: Vec<u64>,
    receive: Vec<u64>,
}

impl Transfers {
    /// Reserves buffers of these numbers of bytes to send and receive. No request may be pending.
    pub(crate) fn reset(&mut self, send_bytes: usize, receive_bytes: usize) {
        assert!(!self.is_busy(), "invariant: buffers are not touched while MPI has them");
        self.send.resize(send_bytes.div_ceil(8), 0);
        self.receive.resize(receive_bytes.div_ceil(8), 0);
    }

    fn is_busy(&self) -> bool {
        !(self.requests.is_empty() && self.awaited.is_empty())
    }

    /// Returns the send buffer, to be filled before the first [`Transfers::send`].
    pub(crate) fn send_buffer<T: Pod>(&mut self) -> &mut [T] {
        assert!(!self.is_busy(), "invariant: buffers are not touched while MPI has them");
        const { assert!(align_of::<T>() <= 8, "buffers are aligned for 8-byte values") };
        let bytes = bytemuck::cast_slice_mut::<u64, u8>(&mut self.send);
        let whole = bytes.len() - bytes.len() % size_of::<T>();
        bytemuck::cast_slice_mut(&mut bytes[..whole])
    }

    /// Copies bytes of the send buffer to the receive buffer: a rank's message to itself.
    pub(crate) fn keep(&mut self, from: Range<usize>, to: Range<usize>) {
        assert!(!self.is_busy(), "invariant: buffers are not touched while MPI has them");
        let source = &bytemuck::cast_slice::<u64, u8>(&self.send)[from];
        bytemuck::cast_slice_mut::<u64, u8>(&mut self.receive)[to].copy_from_slice(source);
    }

    /// Awaits a message for bytes `range` of the receive buffer. Messages of one tag are received in the
    /// order in which they were sent.
    pub(crate) fn receive(&mut self, comm: RawComm, source: usize, tag: i32, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= 8 * self.receive.len(), "invariant: inside the buffer");
        for piece in message(range.len()) {
            let range = range.start + piece.start..range.start + piece.end;
            self.awaited.push(Awaited { comm, source, tag, range });
        }
    }

    /// Starts to send bytes `range` of the send buffer.
    pub(crate) fn send(&mut self, comm: RawComm, to: usize, tag: i32, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= 8 * self.send.len(), "invariant: inside the buffer");
        // SAFETY: the range lies inside `send`, which neither moves nor is written before wait().
        unsafe {
            let start = self.send.as_ptr().cast::<u8>().add(range.start);
            for piece in message(range.len()) {
                count_message(piece.len());
                let mut request = ffi::RSMPI_REQUEST_NULL;
                require_success(ffi::MPI_Isend(
                    start.add(piece.start).cast(),
                    count(piece.len()),
                    ffi::RSMPI_UINT8_T,
                    rank_arg(to),
                    tag,
                    comm.0,
                    &raw mut request,
                ));
                self.requests.push(request);
            }
        }
    }

    /// Waits for everything in flight.
    ///
    /// # Errors
    /// The first message that has not the length that was awaited.
    pub(crate) fn wait(&mut self) -> Result<(), Misfit> {
        let mut misfit = Ok(());
        for at in 0..self.awaited.len() {
            misfit = misfit.and(self.start_to_receive(at));
        }
        self.awaited.clear();
        if !self.requests.is_empty() {
            // SAFETY: the requests are live and their buffers owned by self.
            unsafe {
                let (len, ignored) = (count(self.requests.len()), ffi::RSMPI_STATUSES_IGNORE);
                require_success(ffi::MPI_Waitall(len, self.requests.as_mut_ptr(), ignored));
            }
            self.requests.clear();
        }
        misfit
    }

    /// Waits for an awaited message to come, and begins to receive it if it has the right length.
    fn start_to_receive(&mut self, at: usize) -> Result<(), Misfit> {
        let Awaited { comm, source, tag, ref range } = self.awaited[at];
        // SAFETY: live out-parameters. The range lies inside `receive`, which neither moves nor is read
        // before the request is done; as_mut_ptr makes no reference to what other receives are writing.
        unsafe {
            let mut found = ffi::RSMPI_MESSAGE_NULL;
            let mut status: ffi::MPI_Status = std::mem::zeroed();
            require_success(ffi::MPI_Mprobe(rank_arg(source), tag, comm.0, &raw mut found, &raw mut status));
            let mut len = 0;
            ffi::MPI_Get_count(&raw const status, ffi::RSMPI_UINT8_T, &raw mut len);
            let sent = usize::try_from(len).expect("invariant: a message has a length");
            if sent == range.len() {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                let place = self.receive.as_mut_ptr().cast::<u8>().add(range.start).cast();
                let kind = ffi::RSMPI_UINT8_T;
                require_success(ffi::MPI_Imrecv(place, len, kind, &raw mut found, &raw mut request));
                self.requests.push(request);
                return Ok(());
            }
            // Nobody else will take it.
            let mut dropped = memory::zeros::<u8>(sent);
            let (place, ignored) = (dropped.as_mut_ptr().cast(), ffi::RSMPI_STATUS_IGNORE);
            require_success(ffi::MPI_Mrecv(place, len, ffi::RSMPI_UINT8_T, &raw mut found, ignored));
            Err(Misfit { source, awaited: range.len(), sent })
        }
    }

    /// Returns the received values; call [`Transfers::wait`] first.
    pub(crate) fn received<T: Pod>(&self) -> &[T] {
        assert!(!self.is_busy(), "invariant: buffers are not read while MPI has them");
        const { assert!(align_of::<T>() <= 8, "buffers are aligned for 8-byte values") };
        let bytes = bytemuck::cast_slice::<u64, u8>(&self.receive);
        bytemuck::cast_slice(&bytes[..bytes.len() - bytes.len() % size_of::<T>()])
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        // Nobody looks at what was received.
        let _ = self.wait();
    }
}

/// [`pieces`], but one for an empty payload: its receiver may await something, as its sender may not.
fn message(len: usize) -> impl Iterator<Item = Range<usize>> {
    let empty = (len == 0).then_some(0..0);
    pieces(len).chain(empty)
}

/// Sends `messages` (rank, values) and returns what others sent here, by ascending rank, without
/// anyone knowing beforehand who sends what: non-blocking consensus (Hoefler, Siebert, Lumsdaine,
/// "Scalable communication protocols for dynamic sparse data exchange", `PPoPP` 2010, algorithm NBX).
///
/// `tag` must differ between consecutive calls on one communicator: a rank that left the barrier
/// early may already send the next round while a slow one still probes for this one.
pub(crate) fn sparse_exchange<T: Pod>(comm: RawComm, tag: i32, messages: &[(usize, Vec<T>)]) -> Vec<(usize, Vec<T>)> {
    let me = comm.rank();
    let longest = MAX_MESSAGE_BYTES / size_of::<T>();
    let mut requests = Vec::with_capacity(messages.len());
    for (to, values) in messages {
        // Every message has at least one piece, so that an empty one arrives too. The receiver joins
        // the pieces, which MPI delivers in order; the barrier tells it that there are no more.
        for start in (0..=values.len()).step_by(longest) {
            let part: &[u8] = bytemuck::cast_slice(&values[start..values.len().min(start + longest)]);
            if *to != me {
                count_message(part.len());
            }
            // SAFETY: `messages` outlives the requests, which complete below.
            unsafe {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                require_success(ffi::MPI_Issend(
                    part.as_ptr().cast(),
                    count(part.len()),
                    ffi::RSMPI_UINT8_T,
                    rank_arg(*to),
                    tag,
                    comm.0,
                    &raw mut request,
                ));
                requests.push(request);
            }
        }
    }
    let mut received: Vec<(usize, Vec<T>)> = Vec::new();
    let mut barrier: Option<Pending> = None;
    loop {
        if let Some((source, values)) = receive_any(comm, tag) {
            match received.iter_mut().find(|(from, _)| *from == source) {
                Some((_, so_far)) => so_far.extend_from_slice(&values),
                None => received.push((source, values)),
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
        let (len, ignored) = (count(requests.len()), ffi::RSMPI_STATUSES_IGNORE);
        require_success(ffi::MPI_Testall(len, requests.as_mut_ptr(), &raw mut done, ignored));
    }
    done != 0
}

/// Receives one waiting message with this tag, if there is one.
fn receive_any<T: Pod>(comm: RawComm, tag: i32) -> Option<(usize, Vec<T>)> {
    // SAFETY: live out-parameters; the buffer is as long as the probed message, and this thread is
    // the only one that receives, so the receive matches the probe.
    unsafe {
        let mut waiting = 0;
        let mut status: ffi::MPI_Status = std::mem::zeroed();
        let any = ffi::RSMPI_ANY_SOURCE;
        require_success(ffi::MPI_Iprobe(any, tag, comm.0, &raw mut waiting, &raw mut status));
        if waiting == 0 {
            return None;
        }
        let mut len = 0;
        ffi::MPI_Get_count(&raw const status, ffi::RSMPI_UINT8_T, &raw mut len);
        let bytes = usize::try_from(len).expect("invariant: a message has a length");
        assert!(bytes.is_multiple_of(size_of::<T>()), "invariant: pieces are whole values");
        let mut values = memory::zeros::<T>(bytes / size_of::<T>());
        require_success(ffi::MPI_Recv(
            values.as_mut_ptr().cast(),
            len,
            ffi::RSMPI_UINT8_T,
            status.MPI_SOURCE,
            tag,
            comm.0,
            ffi::RSMPI_STATUS_IGNORE,
        ));
        Some((usize::try_from(status.MPI_SOURCE).expect("invariant: a source is a rank"), values))
    }
}
