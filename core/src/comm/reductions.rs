//! Reductions that no rank can break by passing other lengths than the others.
//!
//! MPI asks for the same count on all ranks and overwrites memory where that is not so. Here every rank
//! reduces a packet whose length does not depend on what it passes: a header with the operation and
//! the number of values, and the values, if there is room for them. Where the headers differ, every
//! rank learns it from the reduction itself, without another message. Values that do not fit follow in
//! a second reduction, whose length the first has shown to be the same everywhere.

mod ffi;

use std::cell::Cell;

use bytemuck::{bytes_of, cast_slice, cast_slice_mut};

use crate::comm::disagreement::Disagreement;
use crate::comm::group::Comm;
use crate::comm::operation::{Alike, Operation};
use crate::comm::packet_size::LARGEST;
use crate::record;
pub(crate) use ffi::give_back;
use ffi::{CALLS, CLAIMS, Header, known, reduce_packet, reduce_values};

impl Comm {
    /// Replaces each value by what the operation makes of those of all ranks.
    ///
    /// # Collective
    /// One reduction. More than fits in a packet takes a second one.
    pub(crate) fn reduce<O: Operation>(&self, values: &mut [O::Value]) -> Result<(), Disagreement> {
        self.reduce_packet::<O>(values.len(), values)
    }

    /// [`Comm::reduce`] for functions that cannot fail: the job ends where ranks disagree.
    ///
    /// # Collective
    pub(super) fn reduce_or_end<O: Operation>(&self, values: &mut [O::Value]) {
        if let Err(differ) = self.reduce::<O>(values) {
            differ.end(self, &format_args!("Comm::{} of {} values", O::NAME, values.len()));
        }
    }

    /// Checks that all ranks pass the same number.
    ///
    /// # Collective
    /// One reduction.
    pub(crate) fn require_alike(&self, number: usize) -> Result<(), Disagreement> {
        self.reduce_packet::<Alike>(number, &mut [])
    }

    fn reduce_packet<O: Operation>(&self, number: usize, values: &mut [O::Value]) -> Result<(), Disagreement> {
        thread_local!(static PACKETS: Cell<[Vec<u64>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) });
        self.check(O::NAME, || format!("of {number} values"));
        let _event = record::operation("AllReduce");
        let claim = self.take_claim();
        if self.size() == 1 {
            return Ok(());
        }
        let (capacity, bytes) = (self.capacity(), size_of_val(values));
        let needed = size_of::<Header>() + bytes;
        let fits = needed <= capacity.bytes.get();
        let known = known::<O>();
        let mut header = Header {
            kind: known.kind,
            count: number as u64,
            inside: if fits { values.len() as u64 } else { 0 },
            claim: claim.as_ref().map_or(0, |claim| claim.hash),
            differ: 0,
        };
        let mut packets = PACKETS.take();
        if packets[0].is_empty() {
            // Room for any packet, so that one that grows allocates nothing.
            packets.iter_mut().for_each(|packet| packet.reserve(LARGEST / 8));
        }
        let [input, output] = &mut packets;
        input.resize(capacity.bytes.get() / 8, 0);
        output.resize(input.len(), 0);
        let (front, behind) = cast_slice_mut::<u64, u8>(input).split_at_mut(size_of::<Header>());
        front.copy_from_slice(bytes_of(&header));
        if fits {
            behind[..bytes].copy_from_slice(cast_slice(values));
        }
        reduce_packet(self.raw(), known, input, output);
        let (front, behind) = cast_slice::<u64, u8>(output).split_at(size_of::<Header>());
        header = bytemuck::pod_read_unaligned(front);
        if header.differ == 0 {
            capacity.learn(needed);
            if fits {
                cast_slice_mut(values).copy_from_slice(&behind[..bytes]);
            } else {
                input.resize(bytes.div_ceil(8), 0);
                let copy = &mut cast_slice_mut::<u64, u8>(input)[..bytes];
                copy.copy_from_slice(cast_slice(values));
                reduce_values::<O>(self.raw(), known, copy, values);
            }
        }
        PACKETS.set(packets);
        match header.differ {
            0 => Ok(()),
            differ => Err(Disagreement::new(claim.filter(|_| differ & CLAIMS != 0), differ & CALLS != 0)),
        }
    }
}
