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

use crate::profile;

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

/// Element type of a typed reduction.
pub trait Reducible: Pod {
    /// The MPI datatype of `Self`.
    #[doc(hidden)]
    fn datatype() -> Datatype;

    /// The MPI datatype in which minima and maxima are found.
    #[doc(hidden)]
    fn ordered() -> Datatype {
        Self::datatype()
    }

    /// Maps values to the order of [`Self::ordered`], and back.
    #[doc(hidden)]
    fn reorder(_values: &mut [Self]) {}
}

/// An MPI datatype handle.
#[doc(hidden)]
pub struct Datatype(ffi::MPI_Datatype);

macro_rules! reducible {
    ($t:ty, $handle:ident $(, $ordered:ident)?) => {
        impl Reducible for $t {
            fn datatype() -> Datatype {
                // SAFETY: a constant initialised by the MPI library before main.
                Datatype(unsafe { ffi::$handle })
            }
            $(
                fn ordered() -> Datatype {
                    // SAFETY: as above.
                    Datatype(unsafe { ffi::$ordered })
                }

                fn reorder(values: &mut [Self]) {
                    for value in values {
                        *value ^= 1 << (Self::BITS - 1);
                    }
                }
            )?
        }
    };
}
reducible!(f32, RSMPI_FLOAT);
reducible!(f64, RSMPI_DOUBLE);
reducible!(i32, RSMPI_INT32_T);
reducible!(i64, RSMPI_INT64_T);
// MPICH 4.0.2 as Debian builds it compares unsigned integers as signed ones.
reducible!(u32, RSMPI_UINT32_T, RSMPI_INT32_T);
reducible!(u64, RSMPI_UINT64_T, RSMPI_INT64_T);

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

    /// This process by itself.
    pub(crate) fn alone() -> RawComm {
        // SAFETY: a constant of the MPI library; used only after initialisation.
        RawComm(unsafe { ffi::RSMPI_COMM_SELF })
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
        if self.0 != RawComm::alone().0 {
            // SAFETY: the handle came from dup or split and is not used afterwards; collective.
            unsafe { ffi::MPI_Comm_free(&raw mut self.0) };
        }
    }

    pub(crate) fn abort(self, code: i32) -> ! {
        // SAFETY: ends all processes of the job; valid any time between init and finalise.
        unsafe { ffi::MPI_Abort(self.0, code) };
        std::process::exit(code)
    }

    pub(crate) fn barrier(self) {
        let _event = profile::event("Barrier");
        // SAFETY: a valid communicator.
        unsafe { ffi::MPI_Barrier(self.0) };
    }

    pub(crate) fn broadcast(self, root: usize, buffer: &mut [u8]) {
        let _event = profile::event("Broadcast");
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
        let _event = profile::event("AllReduce");
        let compares = matches!(op, Op::Min | Op::Max);
        let datatype = if compares { T::ordered() } else { T::datatype() };
        if compares {
            T::reorder(values);
        }
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
                    datatype.0,
                    op.handle(),
                    self.0,
                );
            }
        }
        INPUT.set(words);
        if compares {
            T::reorder(values);
        }
    }

    pub(crate) fn all_reduce_merge<T: Merge>(self, input: &[T], output: &mut [T]) {
        assert_eq!(input.len(), output.len(), "invariant: one output per input");
        let _event = profile::event("AllReduce");
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
        let _event = profile::event("AllGather");
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
        let mut value = [value];
        u64::reorder(&mut value);
        let mut pending = Pending::new(value[0]);
        // SAFETY: both words are boxed, so they do not move while the request is pending.
        unsafe {
            ffi::MPI_Iallreduce(
                (&raw const *pending.input).cast(),
                (&raw mut *pending.output).cast(),
                1,
                u64::ordered().0,
                ffi::RSMPI_MIN,
                comm.0,
                &raw mut pending.request,
            );
        }
        pending
    }

    fn output(&self) -> u64 {
        let mut value = [*self.output];
        u64::reorder(&mut value);
        value[0]
    }

    /// The reduced word (of no meaning for a barrier) once all ranks have arrived.
    pub(crate) fn test(&mut self) -> Option<u64> {
        let mut done = 0;
        // SAFETY: a live request (or the null request after completion) and out-parameter.
        unsafe { ffi::MPI_Test(&raw mut self.request, &raw mut done, ffi::RSMPI_STATUS_IGNORE) };
        (done != 0).then(|| self.output())
    }

    /// Waits for all ranks and returns the reduced word.
    pub(crate) fn wait(mut self) -> u64 {
        // SAFETY: a live request.
        unsafe { ffi::MPI_Wait(&raw mut self.request, ffi::RSMPI_STATUS_IGNORE) };
        self.output()
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
