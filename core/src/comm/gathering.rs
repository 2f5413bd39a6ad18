//! Values of all ranks on all of them, on one, or merged on the way to one.
//!
//! [`Comm::all_gather`] and [`Comm::gather`] give one value for each rank, so memory grows with their number where
//! these arrive. [`Comm::gather_merged`] and [`Comm::sum_below`] are for what is done again and again: no rank has
//! memory, or more than a logarithm of messages, for the others.

use bytemuck::Pod;

use crate::comm::disagreement::grouped;
use crate::comm::{Comm, Transfers};
use crate::error::Error;
use crate::index::local;
use crate::record;

/// Bytes that each rank contributes to a gathering, the size of its value included.
const SLOT: usize = 32;
const GATHER_TAG: i32 = 101;

impl Comm {
    /// Gathers one value from each rank on all ranks, in rank order.
    ///
    /// # Collective
    ///
    /// # Panics
    /// If the types of the ranks' values have different sizes: the job ends with a line that says so.
    pub fn all_gather<T: Pod>(&self, mine: T) -> Vec<T> {
        self.check("all_gather", || format!("of {} bytes", size_of::<T>()));
        // The size travels with what there is room for, so that all slots are equal whatever the type.
        let each = size_of::<T>();
        let fits = each <= SLOT - 8;
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&(each as u64).to_ne_bytes());
        if fits {
            slot[8..8 + each].copy_from_slice(bytemuck::bytes_of(&mine));
        }
        let mut slots = vec![0; SLOT * self.size()];
        self.raw().all_gather(&slot, &mut slots);
        let slots = slots.as_chunks::<SLOT>().0;
        let size = |slot: &[u8; SLOT]| bytemuck::pod_read_unaligned::<u64>(&slot[..8]);
        if slots.iter().any(|slot| size(slot) != each as u64) {
            let calls: Vec<_> = slots.iter().map(|slot| format!("all_gather of {} bytes", size(slot))).collect();
            self.end_together(&Error::RanksDisagree { calls: grouped(&calls) });
        }
        if fits {
            return slots.iter().map(|slot| bytemuck::pod_read_unaligned(&slot[8..8 + each])).collect();
        }
        let mut all = vec![T::zeroed(); self.size()];
        self.raw().all_gather(bytemuck::bytes_of(&mine), bytemuck::cast_slice_mut(&mut all));
        all
    }

    /// Gathers all ranks' slices on rank `root`, in rank order; returns `None` elsewhere.
    ///
    /// # Collective
    /// One reduction, which finds ranks that name other roots or types; a message from each rank to the root.
    ///
    /// # Panics
    /// If there is no rank `root`, or the ranks name different roots or types, which is a bug of the caller:
    /// the job ends.
    pub fn gather<T: Pod>(&self, root: usize, mine: &[T]) -> Option<Vec<Vec<T>>> {
        self.require_rank("gather", root);
        let _event = record::operation("Gather");
        let call = format!("gather to rank {root} of values of {} bytes", size_of::<T>());
        self.compare(|| call.clone());
        if let Err(differ) = self.require_alike(0) {
            differ.end(self, &call);
        }
        let mut transfers = Transfers::default();
        let Some(lengths) = self.raw().gather(root, &(mine.len() as u64).to_ne_bytes()) else {
            transfers.send_values(self, root, GATHER_TAG, mine);
            self.require_fit(transfers.wait(), |_| 1, |bytes| format!("gather of {bytes} bytes"));
            return None;
        };
        let mut all = Vec::with_capacity(self.size());
        for (rank, length) in lengths.as_chunks().0.iter().enumerate() {
            all.push(match rank == root {
                true => mine.to_vec(),
                false => transfers.receive_values(self, rank, GATHER_TAG, local(u64::from_ne_bytes(*length))),
            });
        }
        Some(all)
    }

    /// Merges the lists of all ranks, two neighbors at a time, and returns the last on rank 0, `None` elsewhere.
    /// `merge` gets the lists of lower ranks first. It should make a list shorter than its two together: then
    /// no rank holds much for the others.
    ///
    /// # Collective
    /// A binomial tree: each rank sends one list, and receives at most as many as the number of ranks has binary digits.
    pub fn gather_merged<T: Pod>(&self, mine: Vec<T>, merge: impl Fn(Vec<T>, Vec<T>) -> Vec<T>) -> Option<Vec<T>> {
        self.check("gather_merged", || format!("of values of {} bytes", size_of::<T>()));
        let _event = record::operation("GatherMerged");
        let (rank, tag) = (self.rank(), self.next_tag());
        let mut transfers = Transfers::default();
        let (mut merged, mut step) = (mine, 1);
        while step < self.size() {
            if rank & step != 0 {
                // The receiver cannot know how long a list is.
                for bytes in [bytemuck::bytes_of(&(merged.len() as u64)), bytemuck::cast_slice(&merged)] {
                    transfers.send_values(self, rank - step, tag, bytes);
                    self.require_fit(transfers.wait(), |_| 1, |bytes| format!("gather_merged of {bytes} bytes"));
                }
                return None;
            }
            if rank + step < self.size() {
                let length = transfers.receive_values::<u64>(self, rank + step, tag, 1)[0];
                let other = transfers.receive_values(self, rank + step, tag, local(length));
                merged = merge(merged, other);
            }
            step *= 2;
        }
        Some(merged)
    }

    /// Returns the sum of the numbers of all lower ranks, and that of all ranks: the start of this rank's part of an
    /// array that the ranks share, and its length. Sums wrap around.
    ///
    /// # Collective
    /// One prefix sum and one reduction of a word.
    #[must_use]
    pub fn sum_below(&self, mine: u64) -> (u64, u64) {
        self.check("sum_below", String::new);
        let mut total = [mine];
        self.all_reduce_sum(&mut total);
        (self.raw().sum_below(mine), total[0])
    }
}

impl Transfers {
    /// Sends values and leaves it to [`Transfers::wait`] to see them gone.
    fn send_values<T: Pod>(&mut self, comm: &Comm, to: usize, tag: i32, values: &[T]) {
        let bytes = size_of_val(values);
        self.reset(bytes, 0);
        self.send_buffer::<u8>()[..bytes].copy_from_slice(bytemuck::cast_slice(values));
        self.send(comm.raw(), to, tag, 0..bytes);
    }

    /// Receives this number of values.
    fn receive_values<T: Pod>(&mut self, comm: &Comm, from: usize, tag: i32, len: usize) -> Vec<T> {
        let bytes = len * size_of::<T>();
        self.reset(0, bytes);
        self.receive(comm.raw(), from, tag, 0..bytes);
        comm.require_fit(self.wait(), |_| 1, |bytes| format!("gathering of {bytes} bytes"));
        bytemuck::pod_collect_to_vec(&self.received::<u8>()[..bytes])
    }
}
