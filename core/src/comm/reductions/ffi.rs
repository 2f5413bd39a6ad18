//! MPI reductions of packets, which have the same length on all ranks whatever these pass.
#![allow(unsafe_code)]

use std::any::{TypeId, type_name};
use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::mem::{ManuallyDrop, take};

use bytemuck::{Pod, Zeroable};
use mpi::ffi;

use crate::comm::ffi::{MAX_MESSAGE_BYTES, RawComm, count, require_success};
use crate::comm::operation::Operation;

/// The header of a packet; the values follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Header {
    /// The operation and the type of the values.
    pub(super) kind: u64,
    /// Number of values that are reduced.
    pub(super) count: u64,
    /// Number of values in the packet: all of them or none.
    pub(super) inside: u64,
    /// A hash of what else all ranks have to pass alike.
    pub(super) claim: u64,
    /// Differences that were found, a bit each.
    pub(super) differ: u64,
}

/// Bits of [`Header::differ`].
pub(super) const CALLS: u64 = 1;
pub(super) const CLAIMS: u64 = 2;

impl Header {
    fn merge(&mut self, other: &Header) {
        self.differ |= other.differ;
        if (self.kind, self.count, self.inside) != (other.kind, other.count, other.inside) {
            self.differ |= CALLS;
        }
        if self.claim != other.claim {
            self.differ |= CLAIMS;
        }
    }
}

/// An operation as MPI knows it.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Tells operations apart, on all ranks in the same way.
    pub(super) kind: u64,
    packets: ffi::MPI_Op,
    values: ffi::MPI_Op,
}

/// Handles that are made once per thread. They are not dropped with the thread: MPI may be finalized after that.
type List<K, V> = ManuallyDrop<RefCell<Vec<(K, V)>>>;

thread_local! {
    static OPERATIONS: List<TypeId, Known> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    /// By their number of bytes.
    static DATATYPES: List<usize, ffi::MPI_Datatype> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// Makes an operation known to MPI, once per thread.
pub(super) fn known<O: Operation>() -> Known {
    let id = TypeId::of::<O>();
    OPERATIONS.with(|list| {
        let mut list = list.borrow_mut();
        if let Some((_, known)) = list.iter().find(|(of, _)| *of == id) {
            return *known;
        }
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let kind = type_name::<O>().bytes().fold(0xcbf2_9ce4_8422_2325, step);
        let known = Known { kind, packets: operation(merge_packets::<O>), values: operation(merge_values::<O>) };
        list.push((id, known));
        known
    })
}

type Function = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_int, *mut ffi::MPI_Datatype);

fn operation(function: Function) -> ffi::MPI_Op {
    // SAFETY: a constant of the library, a live out-parameter, and a callback of the type MPI asks for.
    unsafe {
        let mut op = ffi::RSMPI_SUM;
        require_success(ffi::MPI_Op_create(Some(function), 1, &raw mut op));
        op
    }
}

/// Returns the datatype of a number of bytes, made once per thread.
fn datatype(bytes: usize) -> ffi::MPI_Datatype {
    DATATYPES.with(|list| {
        let mut list = list.borrow_mut();
        if let Some((_, known)) = list.iter().find(|(of, _)| *of == bytes) {
            return *known;
        }
        // SAFETY: constants of the library and live out-parameters.
        let made = unsafe {
            let mut datatype = ffi::RSMPI_UINT8_T;
            require_success(ffi::MPI_Type_contiguous(count(bytes), ffi::RSMPI_UINT8_T, &raw mut datatype));
            require_success(ffi::MPI_Type_commit(&raw mut datatype));
            datatype
        };
        if list.is_empty() {
            // Room for all lengths of packets.
            list.reserve(16);
        }
        list.push((bytes, made));
        made
    })
}

/// Frees the operations and datatypes of this thread before MPI is finalized: MPICH warns of datatypes that are left.
pub(crate) fn give_back() {
    for (_, mut datatype) in DATATYPES.with(|list| take(&mut *list.borrow_mut())) {
        // SAFETY: made by `datatype`, and no longer in the list.
        unsafe { require_success(ffi::MPI_Type_free(&raw mut datatype)) };
    }
    for (_, Known { packets, values, .. }) in OPERATIONS.with(|list| take(&mut *list.borrow_mut())) {
        for mut operation in [packets, values] {
            // SAFETY: made by `operation`, and no longer in the list.
            unsafe { require_success(ffi::MPI_Op_free(&raw mut operation)) };
        }
    }
}

/// Merges one packet into another. Values are merged only where both have as many, of the same kind.
unsafe extern "C" fn merge_packets<O: Operation>(
    input: *mut c_void,
    output: *mut c_void,
    _: *mut c_int,
    _: *mut ffi::MPI_Datatype,
) {
    // SAFETY: MPI passes one packet in each, as packets are reduced one at a time. Headers say how many
    // values of O are inside; this rank's own is right, and the other's is the same. Temporary buffers
    // of the library need not be aligned, hence the unaligned accesses.
    unsafe {
        let mut header = output.cast::<Header>().read_unaligned();
        header.merge(&input.cast::<Header>().read_unaligned());
        output.cast::<Header>().write_unaligned(header);
        if header.differ == 0 {
            let behind = size_of::<Header>();
            let inside = usize::try_from(header.inside).unwrap_or(0);
            merge::<O>(input.byte_add(behind).cast(), output.byte_add(behind).cast(), inside);
        }
    }
}

/// Merges arrays of values.
unsafe extern "C" fn merge_values<O: Operation>(
    input: *mut c_void,
    output: *mut c_void,
    len: *mut c_int,
    _: *mut ffi::MPI_Datatype,
) {
    // SAFETY: MPI passes `len` elements of the datatype of O's values in both.
    unsafe { merge::<O>(input.cast(), output.cast(), usize::try_from(*len).unwrap_or(0)) }
}

/// Merges `len` values, which need not be aligned.
///
/// # Safety
/// Both arrays have `len` values.
unsafe fn merge<O: Operation>(input: *const O::Value, output: *mut O::Value, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's promise.
        unsafe {
            let mut value = output.add(i).read_unaligned();
            O::merge(&mut value, &input.add(i).read_unaligned());
            output.add(i).write_unaligned(value);
        }
    }
}

/// Reduces one packet, as long on all ranks: `Capacity` says why.
pub(super) fn reduce_packet(comm: RawComm, known: Known, input: &[u64], output: &mut [u64]) {
    assert!(input.len() == output.len() && size_of_val(input) >= size_of::<Header>(), "invariant: two packets");
    // SAFETY: both buffers hold one element of the datatype and do not overlap.
    unsafe {
        require_success(ffi::MPI_Allreduce(
            input.as_ptr().cast(),
            output.as_mut_ptr().cast(),
            1,
            datatype(size_of_val(input)),
            known.packets,
            comm.0,
        ));
    }
}

/// Reduces values of which all ranks have as many, which a packet has shown before.
pub(super) fn reduce_values<O: Operation>(comm: RawComm, known: Known, input: &[u8], values: &mut [O::Value]) {
    assert_eq!(input.len(), size_of_val(values), "invariant: the values once more");
    let each = size_of::<O::Value>();
    let per_call = MAX_MESSAGE_BYTES / each;
    for start in (0..values.len()).step_by(per_call) {
        let len = per_call.min(values.len() - start);
        // SAFETY: both buffers hold `len` values from `start` and do not overlap.
        unsafe {
            require_success(ffi::MPI_Allreduce(
                input.as_ptr().add(start * each).cast(),
                values.as_mut_ptr().add(start).cast(),
                count(len),
                datatype(each),
                known.values,
                comm.0,
            ));
        }
    }
}
