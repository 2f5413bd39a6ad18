//! Sizes of the packets of a communicator's reductions.

use std::cell::Cell;

/// Bytes of the smallest packet, which has room for an exact sum and which MPI sends as fast as a word.
const SMALLEST: usize = 128;
/// Bytes of the largest packet.
pub(super) const LARGEST: usize = 8192;
/// Reductions after which a packet that was larger than needed shrinks.
const WINDOW: u32 = 32;

/// Bytes of the packets of a communicator.
///
/// They follow from what was reduced before. Reductions of one communicator are matched in their order,
/// and all ranks learn the same from each, so they have the same capacity at any time, even where
/// they do not make the same calls.
pub(super) struct Capacity {
    pub(super) bytes: Cell<usize>,
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
    pub(super) fn learn(&self, needed: usize) {
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
