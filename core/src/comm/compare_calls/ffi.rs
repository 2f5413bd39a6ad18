//! A gathering that can be looked at while it is under way.
#![allow(unsafe_code)]

use mpi::ffi;

use crate::comm::ffi::{RawComm, require_success};

/// A word of each rank, in rank order, when all have come.
pub(super) struct Words {
    request: ffi::MPI_Request,
    mine: Box<u64>,
    all: Vec<u64>,
}

impl Words {
    pub(super) fn start(comm: RawComm, word: u64) -> Words {
        // SAFETY: a constant initialized by the MPI library before main.
        let request = unsafe { ffi::RSMPI_REQUEST_NULL };
        let mut words = Words { request, mine: Box::new(word), all: vec![0; comm.size()] };
        // SAFETY: both buffers are on the heap, so they do not move while the request is pending; the
        // receive buffer has a word for each rank, and every rank sends one.
        unsafe {
            require_success(ffi::MPI_Iallgather(
                (&raw const *words.mine).cast(),
                1,
                ffi::RSMPI_UINT64_T,
                words.all.as_mut_ptr().cast(),
                1,
                ffi::RSMPI_UINT64_T,
                comm.0,
                &raw mut words.request,
            ));
        }
        words
    }

    /// Returns the words, once all ranks have come.
    pub(super) fn test(&mut self) -> Option<&[u64]> {
        let mut done = 0;
        // SAFETY: a live request (or the null request after completion) and out-parameter.
        unsafe { require_success(ffi::MPI_Test(&raw mut self.request, &raw mut done, ffi::RSMPI_STATUS_IGNORE)) };
        (done != 0).then_some(&self.all)
    }
}
