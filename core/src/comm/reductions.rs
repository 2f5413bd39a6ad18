//! Reductions that no rank can break by passing other lengths than the others.
//!
//! MPI asks for the same count on all ranks and overwrites memory where that is not so. Here every rank
//! reduces a packet whose length does not depend on what it passes: a header with the operation and
//! the number of values, and the values, if there is room for them. Where the headers differ, every
//! rank learns it from the reduction itself, without another message. Values that do not fit follow in
//! a second reduction, whose length the first has shown to be the same everywhere.

mod ffi;

use std::cell::Cell;
use std::marker::PhantomData;

use bytemuck::{Pod, bytes_of, cast_slice, cast_slice_mut};

use crate::comm::Comm;
use crate::comm::disagreement::Disagreement;
use crate::profile;
use ffi::{CALLS, CLAIMS, Header, known, reduce_packet, reduce_values};

/// Element type of a typed reduction.
pub trait Reducible: Pod + PartialOrd {
    /// The sum of two values; integers wrap around.
    #[must_use]
    fn plus(self, other: Self) -> Self;
}

macro_rules! reducible {
    ($($t:ty: $plus:path;)*) => {
        $(impl Reducible for $t {
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }
        })*
    };
}
reducible! {
    f32: std::ops::Add::add;
    f64: std::ops::Add::add;
    i32: i32::wrapping_add;
    i64: i64::wrapping_add;
    u32: u32::wrapping_add;
    u64: u64::wrapping_add;
}

/// A value whose merge is associative and commutative to the bit, so that an MPI reduction over
/// any tree gives the same result.
pub trait Merge: Pod {
    /// Merges `other` into `self`.
    fn merge(&mut self, other: &Self);
}

/// An associative and commutative operation on values.
pub(crate) trait Operation: 'static {
    /// Type of the reduced values.
    type Value: Pod;
    /// The function of [`Comm`] that does it.
    const NAME: &'static str;

    /// Merges `other` into `value`.
    fn merge(value: &mut Self::Value, other: &Self::Value);
}

/// Sums.
pub(crate) struct Sum<T>(PhantomData<T>);
/// Maxima.
pub(crate) struct Max<T>(PhantomData<T>);
/// Minima.
pub(crate) struct Min<T>(PhantomData<T>);
/// Merges of values that know how.
pub(crate) struct Merged<T>(PhantomData<T>);

impl<T: Reducible> Operation for Sum<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_sum";

    fn merge(value: &mut T, other: &T) {
        *value = value.plus(*other);
    }
}

impl<T: Reducible> Operation for Max<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_max";

    fn merge(value: &mut T, other: &T) {
        if other > value {
            *value = *other;
        }
    }
}

impl<T: Reducible> Operation for Min<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_min";

    fn merge(value: &mut T, other: &T) {
        if other < value {
            *value = *other;
        }
    }
}

impl<T: Merge> Operation for Merged<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_merge";

    fn merge(value: &mut T, other: &T) {
        value.merge(other);
    }
}

/// A number that all ranks have to pass alike, with no values.
struct Alike;

impl Operation for Alike {
    type Value = u64;
    const NAME: &'static str = "require_alike";

    fn merge(_: &mut u64, _: &u64) {}
}

/// Bytes of the smallest packet, which has room for an exact sum and which MPI sends as fast as a word.
const SMALLEST: usize = 128;
/// Bytes of the largest packet.
const LARGEST: usize = 8192;
/// Reductions after which a packet that was larger than needed shrinks.
const WINDOW: u32 = 32;

/// Bytes of the packets of a communicator.
///
/// They follow from what was reduced before. Reductions of one communicator are matched in their order,
/// and all ranks learn the same from each, so they have the same capacity at any time, even where
/// they do not make the same calls.
pub(crate) struct Capacity {
    bytes: Cell<usize>,
    /// Reductions in this window, and the largest packet that one of them would have filled.
    seen: Cell<u32>,
    largest: Cell<usize>,
}

impl Default for Capacity {
    fn default() -> Capacity {
        Capacity { bytes: Cell::new(SMALLEST), seen: Cell::new(0), largest: Cell::new(SMALLEST) }
    }
}

impl Capacity {
    /// Learns how large a packet would have been right for a reduction.
    fn learn(&self, needed: usize) {
        let right = if needed > LARGEST { SMALLEST } else { needed.next_power_of_two().max(SMALLEST) };
        self.largest.set(self.largest.get().max(right));
        self.seen.set(self.seen.get() + 1);
        if right > self.bytes.get() {
            self.bytes.set(right);
        } else if self.seen.get() == WINDOW {
            self.bytes.set(self.largest.get());
        } else {
            return;
        }
        self.seen.set(0);
        self.largest.set(SMALLEST);
    }
}

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
        let _event = profile::operation("AllReduce");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_grow_at_once_and_shrink_slowly() {
        let capacity = Capacity::default();
        let after = |needed| {
            capacity.learn(needed);
            capacity.bytes.get()
        };
        assert_eq!([after(40), after(257), after(100), after(8192), after(8193)], [128, 512, 512, 8192, 8192]);
        assert!((0..30).all(|_| after(300) == 8192));
        assert_eq!([after(300), after(1)], [512, 512]);
    }
}
