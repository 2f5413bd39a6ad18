//! Messages without content by which a rank tells all others that it has finished.
#![allow(unsafe_code)]

use mpi::ffi;

use crate::comm::ffi::{RawComm, count, rank_arg, require_success};

const FINISHED_TAG: i32 = 1;

/// Messages that this rank sent to the others, and the ranks from which it received one.
pub(super) struct Notes {
    comm: RawComm,
    sent: Vec<ffi::MPI_Request>,
    told: bool,
    received: Vec<usize>,
}

impl Notes {
    pub(super) fn new(comm: RawComm) -> Notes {
        Notes { comm, sent: Vec::new(), told: false, received: Vec::new() }
    }

    pub(super) fn has_told(&self) -> bool {
        self.told
    }

    /// Tells the lowest ranks, this number of them, once.
    pub(super) fn tell(&mut self, listeners: usize) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let me = self.comm.rank();
        for to in (0..listeners).filter(|rank| *rank != me) {
            // SAFETY: a message of no bytes has no buffer.
            unsafe {
                let (mut request, none) = (ffi::RSMPI_REQUEST_NULL, std::ptr::null());
                let kind = ffi::RSMPI_UINT8_T;
                let tag = FINISHED_TAG;
                require_success(ffi::MPI_Isend(none, 0, kind, rank_arg(to), tag, self.comm.0, &raw mut request));
                self.sent.push(request);
            }
        }
    }

    /// Returns the ranks that have told so far.
    pub(super) fn received(&mut self) -> &[usize] {
        // SAFETY: live out-parameters; a message of no bytes has no buffer.
        unsafe {
            loop {
                let mut waiting = 0;
                let mut status: ffi::MPI_Status = std::mem::zeroed();
                let (any, tag) = (ffi::RSMPI_ANY_SOURCE, FINISHED_TAG);
                require_success(ffi::MPI_Iprobe(any, tag, self.comm.0, &raw mut waiting, &raw mut status));
                if waiting == 0 {
                    break;
                }
                let (source, none, kind) = (status.MPI_SOURCE, std::ptr::null_mut(), ffi::RSMPI_UINT8_T);
                let ignored = ffi::RSMPI_STATUS_IGNORE;
                require_success(ffi::MPI_Recv(none, 0, kind, source, tag, self.comm.0, ignored));
                self.received.push(usize::try_from(source).expect("invariant: a source is a rank"));
            }
        }
        &self.received
    }

    /// Waits until what was told is on its way.
    pub(super) fn finish(&mut self) {
        // SAFETY: live requests of messages without buffers.
        unsafe {
            let (len, ignored) = (count(self.sent.len()), ffi::RSMPI_STATUSES_IGNORE);
            require_success(ffi::MPI_Waitall(len, self.sent.as_mut_ptr(), ignored));
        }
        self.sent.clear();
    }
}
