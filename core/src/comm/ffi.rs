//! The only raw MPI calls of the toolkit.
//!
//! Payloads travel as bytes, so that one code path serves every element type, counts above 2^31
//! are a loop over at most 1 GiB a message, and no MPI datatype has to be committed. (A cluster of
//! mixed byte orders is not supported, by this or by HDF5's native types.)
//!
//! MPI returns its errors, and one ends the job in a line. But it does not find every mistake, so nothing that
//! another rank passes decides how much is written here: lengths are compared before.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::ops::Range;

use mpi::ffi;

use crate::comm::report::{FAILURE, report};
use crate::record;

/// Largest payload of one MPI call.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// An MPI communicator handle. Copies name the same communicator.
#[derive(Clone, Copy)]
pub(crate) struct RawComm(pub(crate) ffi::MPI_Comm);

/// Pieces of at most [`MAX_MESSAGE_BYTES`] that cover `0..len`; none for an empty payload.
pub(crate) fn pieces(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(MAX_MESSAGE_BYTES).map(move |start| start..len.min(start + MAX_MESSAGE_BYTES))
}

pub(in crate::comm) fn count(len: usize) -> c_int {
    c_int::try_from(len).expect("invariant: pieces are at most 1 GiB")
}

pub(in crate::comm) fn rank_arg(rank: usize) -> c_int {
    c_int::try_from(rank).expect("invariant: MPI counts ranks in a C int")
}

/// Ends the job if MPI says that a call failed.
pub(in crate::comm) fn require_success(code: c_int) {
    if code != SUCCESS {
        let rank = RawComm::world().rank();
        report(&format!("rank {rank}: MPI failed: {}; check that all ranks make the same calls", message(code)));
        RawComm::world().abort(i32::from(FAILURE));
    }
}

/// The return code of a successful MPI call, by the MPI standard.
const SUCCESS: c_int = 0;

/// MPI's words for an error.
fn message(code: c_int) -> String {
    let mut text = [0; 1024];
    let mut len = 0;
    // SAFETY: no library has messages of more than 512 bytes.
    unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr().cast::<c_char>(), &raw mut len) };
    String::from_utf8_lossy(&text[..usize::try_from(len).unwrap_or(0).min(text.len())]).into_owned()
}

impl RawComm {
    pub(crate) fn world() -> RawComm {
        // SAFETY: a constant of the MPI library; used only after initialization.
        RawComm(unsafe { ffi::RSMPI_COMM_WORLD })
    }

    /// This process by itself.
    pub(crate) fn alone() -> RawComm {
        // SAFETY: a constant of the MPI library; used only after initialization.
        RawComm(unsafe { ffi::RSMPI_COMM_SELF })
    }

    /// Returns the communicator of a Fortran handle; `None` if it names none, as far as the library can tell.
    pub(crate) fn from_fortran(handle: c_int) -> Option<RawComm> {
        // SAFETY: takes any number.
        let comm = unsafe { ffi::RSMPI_Comm_f2c(handle) };
        // Open MPI gives a null pointer for numbers that it has not given out; zero is no handle of MPICH either.
        // SAFETY: a handle is an integer or a pointer, for which zero is a value; and a constant of the library.
        let [nothing, none] = unsafe { [std::mem::zeroed(), ffi::RSMPI_COMM_NULL] };
        (comm != nothing && comm != none).then_some(RawComm(comm))
    }

    pub(crate) fn to_fortran(self) -> c_int {
        // SAFETY: a valid communicator.
        unsafe { ffi::RSMPI_Comm_c2f(self.0) }
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

    /// Creates a communicator of the same ranks, which returns errors, as do those made from it.
    pub(crate) fn duplicate(self) -> RawComm {
        let mut copy = self.0;
        // SAFETY: a valid communicator and a constant of the library.
        unsafe {
            require_success(ffi::MPI_Comm_dup(self.0, &raw mut copy));
            require_success(ffi::MPI_Comm_set_errhandler(copy, ffi::RSMPI_ERRORS_RETURN));
        }
        RawComm(copy)
    }

    pub(crate) fn split(self, color: Option<u32>, key: usize) -> Option<RawComm> {
        let mut part = self.0;
        // SAFETY: constants of the MPI library and a valid communicator.
        unsafe {
            let color = match color {
                Some(color) => c_int::try_from(color).expect("invariant: checked by Comm::split"),
                None => ffi::RSMPI_UNDEFINED,
            };
            require_success(ffi::MPI_Comm_split(self.0, color, rank_arg(key), &raw mut part));
            (part != ffi::RSMPI_COMM_NULL).then_some(RawComm(part))
        }
    }

    /// Splits by shared memory (one part per node).
    pub(crate) fn split_shared(self) -> RawComm {
        let mut part = self.0;
        // SAFETY: as above.
        unsafe {
            let kind = ffi::RSMPI_COMM_TYPE_SHARED;
            require_success(ffi::MPI_Comm_split_type(self.0, kind, 0, ffi::RSMPI_INFO_NULL, &raw mut part));
        }
        RawComm(part)
    }

    pub(crate) fn free(mut self) {
        if self.0 != RawComm::alone().0 {
            // SAFETY: the handle came from dup or split and is not used afterwards; collective.
            unsafe { require_success(ffi::MPI_Comm_free(&raw mut self.0)) };
        }
    }

    pub(crate) fn abort(self, code: i32) -> ! {
        // SAFETY: ends all processes of the job; valid any time between init and finalize.
        unsafe { ffi::MPI_Abort(self.0, code) };
        std::process::exit(code)
    }

    pub(crate) fn barrier(self) {
        let _event = record::operation("Barrier");
        // SAFETY: a valid communicator.
        unsafe { require_success(ffi::MPI_Barrier(self.0)) };
    }

    pub(crate) fn broadcast(self, root: usize, buffer: &mut [u8]) {
        let _event = record::operation("Broadcast");
        for piece in pieces(buffer.len()) {
            let part = &mut buffer[piece];
            let (len, root) = (count(part.len()), rank_arg(root));
            // SAFETY: the buffer is live and as long as the count; Comm::broadcast sees to it that all
            // ranks pass the same.
            unsafe {
                require_success(ffi::MPI_Bcast(part.as_mut_ptr().cast(), len, ffi::RSMPI_UINT8_T, root, self.0));
            }
        }
    }

    /// Gathers contributions from all ranks, in rank order, whose size all ranks know to be the same.
    pub(crate) fn all_gather(self, mine: &[u8], all: &mut [u8]) {
        assert_eq!(all.len(), mine.len() * self.size(), "invariant: room for all ranks");
        let _event = record::operation("AllGather");
        // SAFETY: the receive buffer holds size() times the send buffer.
        unsafe {
            require_success(ffi::MPI_Allgather(
                mine.as_ptr().cast(),
                count(mine.len()),
                ffi::RSMPI_UINT8_T,
                all.as_mut_ptr().cast(),
                count(mine.len()),
                ffi::RSMPI_UINT8_T,
                self.0,
            ));
        }
    }

    /// Gathers contributions from all ranks on one, in rank order, whose size all ranks know to be the same.
    pub(crate) fn gather(self, root: usize, mine: &[u8]) -> Option<Vec<u8>> {
        let is_root = self.rank() == root;
        let mut all = vec![0; if is_root { mine.len() * self.size() } else { 0 }];
        // SAFETY: the receive buffer, which only the root's MPI looks at, holds size() times the send buffer there.
        unsafe {
            require_success(ffi::MPI_Gather(
                mine.as_ptr().cast(),
                count(mine.len()),
                ffi::RSMPI_UINT8_T,
                all.as_mut_ptr().cast(),
                count(mine.len()),
                ffi::RSMPI_UINT8_T,
                rank_arg(root),
                self.0,
            ));
        }
        is_root.then_some(all)
    }

    /// Returns the sum of the numbers of all lower ranks.
    pub(crate) fn sum_below(self, mine: u64) -> u64 {
        let _event = record::operation("PrefixSum");
        let mut sum: u64 = 0;
        // SAFETY: both are one word.
        unsafe {
            let (from, into) = ((&raw const mine).cast(), (&raw mut sum).cast());
            require_success(ffi::MPI_Exscan(from, into, 1, ffi::RSMPI_UINT64_T, ffi::RSMPI_SUM, self.0));
        }
        // MPI leaves the first one undefined.
        if self.rank() == 0 { 0 } else { sum }
    }
}

const SIGN: u64 = 1 << 63;

/// One non-blocking collective step (a barrier, or the minimum of one word).
pub(crate) struct Pending {
    request: ffi::MPI_Request,
    input: Box<u64>,
    output: Box<u64>,
}

impl Pending {
    fn new(value: u64) -> Pending {
        // SAFETY: a constant initialized by the MPI library before main.
        let request = unsafe { ffi::RSMPI_REQUEST_NULL };
        Pending { request, input: Box::new(value), output: Box::new(value) }
    }

    pub(crate) fn barrier(comm: RawComm) -> Pending {
        let mut pending = Pending::new(0);
        // SAFETY: the request lives in `pending` until it completes.
        unsafe { require_success(ffi::MPI_Ibarrier(comm.0, &raw mut pending.request)) };
        pending
    }

    pub(crate) fn minimum(comm: RawComm, value: u64) -> Pending {
        // MPICH 4.0.2 as Debian builds it compares unsigned integers as signed ones.
        let mut pending = Pending::new(value ^ SIGN);
        // SAFETY: both words are boxed, so they do not move while the request is pending.
        unsafe {
            require_success(ffi::MPI_Iallreduce(
                (&raw const *pending.input).cast(),
                (&raw mut *pending.output).cast(),
                1,
                ffi::RSMPI_INT64_T,
                ffi::RSMPI_MIN,
                comm.0,
                &raw mut pending.request,
            ));
        }
        pending
    }

    /// Returns the reduced word (of no meaning for a barrier) once all ranks have arrived.
    pub(crate) fn test(&mut self) -> Option<u64> {
        let mut done = 0;
        // SAFETY: a live request (or the null request after completion) and out-parameter.
        unsafe { require_success(ffi::MPI_Test(&raw mut self.request, &raw mut done, ffi::RSMPI_STATUS_IGNORE)) };
        // Until then MPI may write to it.
        if done != 0 { Some(*self.output ^ SIGN) } else { None }
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
