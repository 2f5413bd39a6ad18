//! Import (owner to copies) and export (copies to owner) along an immutable plan.
//!
//! Plan first, communicate second. The plan is found once by a sparse rendezvous: each rank asks
//! the owners of its ids, and nobody else, so the cost grows with the number of neighbours and not
//! with the number of ranks. A transfer owns its buffers (taken from the plan's pool, so that
//! nothing is allocated after the first), hence no user memory is ever lent to MPI.
//!
//! Contributions are combined in ascending rank order. Sums of integers, and maxima and minima,
//! are therefore independent of the distribution; sums of floating-point numbers are only
//! independent of timing.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Add, Deref, Range};

use bytemuck::Pod;

use crate::comm::{Comm, EXCHANGE_TAG, Transfers};
use crate::error::Result;
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::index_map::IndexMap;
use crate::layout::{Blocks, Layout};

/// How copies are combined into their owner's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Adds every copy to the owner's value.
    Add,
    /// The copy of the highest rank replaces the owner's value.
    Insert,
    /// The larger of the owner's value and all copies.
    Max,
    /// The smaller of the owner's value and all copies.
    Min,
}

/// A value that [`ExchangePlan::start_export`] can combine.
pub trait Combinable: Pod + Add<Output = Self> + PartialOrd {}
impl<T: Pod + Add<Output = T> + PartialOrd> Combinable for T {}

/// One neighbour's share of a plan: a span of positions in a packed array.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Share {
    rank: usize,
    span: Range<usize>,
}

/// Who sends what to whom between the owners of a [`Layout`] and the copies of an [`IndexMap`].
pub struct ExchangePlan {
    comm: Comm,
    owned_len: usize,
    copies_len: usize,
    /// By owner: positions of this rank's copies. Spans tile the local numbering.
    copies: Vec<Share>,
    /// By asking rank: a span of `owned`.
    askers: Vec<Share>,
    /// Positions of owned values, grouped by asking rank.
    owned: Box<[Lid]>,
    pool: RefCell<Vec<Transfers>>,
}

/// What rank `rank` of `blocks` answers to the ids that others ask it for: its own positions.
fn positions(blocks: &Blocks, rank: usize, gids: &[Gid]) -> Result<Vec<Lid>> {
    let start = blocks.range(rank).start;
    gids.iter().map(|gid| to_lid("owned rows", local(gid - start))).collect()
}

impl ExchangePlan {
    /// Plans the exchange between the owners of `layout` and this rank's ids.
    ///
    /// # Collective
    /// Each rank sends its ids to their owners (sparse; no all-to-all).
    ///
    /// # Errors
    /// An id past the layout's end on any rank.
    pub fn new(layout: &Layout, map: &IndexMap) -> Result<ExchangePlan> {
        let comm = layout.comm();
        let spans = comm.agree(map.spans(layout.blocks()))?;
        let requests: Vec<(usize, Vec<Gid>)> =
            spans.iter().map(|(owner, span)| (*owner, map.gids()[span.clone()].to_vec())).collect();
        let asked = comm.sparse_exchange(&requests);
        let mut owned = Vec::new();
        let mut askers = Vec::with_capacity(asked.len());
        let mut fits = Ok(());
        for (rank, gids) in asked {
            match positions(layout.blocks(), comm.rank(), &gids) {
                Ok(lids) => {
                    askers.push(Share { rank, span: owned.len()..owned.len() + lids.len() });
                    owned.extend(lids);
                }
                Err(error) => fits = Err(error),
            }
        }
        comm.agree(fits)?;
        Ok(ExchangePlan {
            comm: comm.clone(),
            owned_len: layout.local_len(),
            copies_len: map.len(),
            copies: spans.into_iter().map(|(rank, span)| Share { rank, span }).collect(),
            askers,
            owned: owned.into(),
            pool: RefCell::default(),
        })
    }

    /// Number of copies on this rank.
    pub fn copies_len(&self) -> usize {
        self.copies_len
    }

    /// Ranks other than this one that take part in an exchange with it.
    pub fn neighbours(&self) -> usize {
        let others = |shares: &[Share]| shares.iter().map(|s| s.rank).filter(|&r| r != self.comm.rank()).collect();
        let mut ranks: Vec<usize> = others(&self.copies);
        ranks.extend::<Vec<usize>>(others(&self.askers));
        ranks.sort_unstable();
        ranks.dedup();
        ranks.len()
    }

    /// Values that this rank receives from others in an import of width one.
    pub fn received_len(&self) -> usize {
        self.copies.iter().filter(|s| s.rank != self.comm.rank()).map(|s| s.span.len()).sum()
    }

    /// Starts to copy owned values to where they are present. `width` consecutive values belong to
    /// each id.
    ///
    /// # Collective
    /// Neighbours only. Work that does not need the copies can go on before [`Import::finish`].
    ///
    /// # Panics
    /// If `owned` is not `width` times the rank's block, which is a bug of the caller: the job ends.
    pub fn start_import<T: Pod>(&self, owned: &[T], width: usize) -> Import<'_, T> {
        assert_eq!(owned.len(), self.owned_len * width, "invariant: {width} owned values an id");
        let bytes = width * size_of::<T>();
        let mut transfers = self.pool.borrow_mut().pop().unwrap_or_default();
        transfers.reset(self.owned.len() * bytes, self.copies_len * bytes);
        let packed = transfers.send_buffer::<T>();
        for (slot, &lid) in packed.chunks_exact_mut(width.max(1)).zip(&self.owned) {
            slot.copy_from_slice(&owned[at(lid) * width..][..width]);
        }
        self.post(&mut transfers, &self.askers, &self.copies, bytes);
        Import { plan: self, transfers, len: self.copies_len * width, values: PhantomData }
    }

    /// Posts all messages of a packed transfer; a rank's message to itself is a copy.
    fn post(&self, transfers: &mut Transfers, send: &[Share], receive: &[Share], bytes: usize) {
        let (me, comm) = (self.comm.rank(), self.comm.raw());
        let own = |shares: &[Share]| shares.iter().find(|share| share.rank == me).map(|share| share.bytes(bytes));
        if let (Some(from), Some(to)) = (own(send), own(receive)) {
            transfers.keep(from, to);
        }
        for share in receive.iter().filter(|share| share.rank != me) {
            transfers.receive(comm, share.rank, EXCHANGE_TAG, share.bytes(bytes));
        }
        for share in send.iter().filter(|share| share.rank != me) {
            transfers.send(comm, share.rank, EXCHANGE_TAG, share.bytes(bytes));
        }
    }

    /// Starts to send copies to their owners.
    ///
    /// # Collective
    /// Neighbours only. Work that does not need the sums can go on before [`Export::finish`].
    ///
    /// # Panics
    /// If `copies` is not `width` times the number of copies, which is a bug of the caller.
    pub fn start_export<T: Combinable>(&self, copies: &[T], width: usize) -> Export<'_, T> {
        assert_eq!(copies.len(), self.copies_len * width, "invariant: {width} copied values an id");
        let bytes = width * size_of::<T>();
        let mut transfers = self.pool.borrow_mut().pop().unwrap_or_default();
        transfers.reset(self.copies_len * bytes, self.owned.len() * bytes);
        transfers.send_buffer::<T>()[..copies.len()].copy_from_slice(copies);
        self.post(&mut transfers, &self.copies, &self.askers, bytes);
        Export { plan: self, transfers, width, values: PhantomData }
    }
}

impl Share {
    /// The share's place in a packed array with so many bytes an id.
    fn bytes(&self, each: usize) -> Range<usize> {
        self.span.start * each..self.span.end * each
    }
}

/// An import in flight. Dropping it waits.
#[must_use = "an import has to be finished"]
pub struct Import<'p, T> {
    plan: &'p ExchangePlan,
    transfers: Transfers,
    len: usize,
    values: PhantomData<T>,
}

impl<'p, T: Pod> Import<'p, T> {
    /// Waits for the copies: `width` values for each id of the map, in local order.
    pub fn finish(mut self) -> Imported<'p, T> {
        self.transfers.wait();
        let transfers = std::mem::take(&mut self.transfers);
        Imported { plan: self.plan, transfers, len: self.len, values: PhantomData }
    }
}

/// Copies that have arrived; a slice. Their memory goes back to the plan when dropped.
pub struct Imported<'p, T> {
    plan: &'p ExchangePlan,
    transfers: Transfers,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Pod> Deref for Imported<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.transfers.received::<T>()[..self.len]
    }
}

impl<T> Drop for Imported<'_, T> {
    fn drop(&mut self) {
        self.plan.pool.borrow_mut().push(std::mem::take(&mut self.transfers));
    }
}

/// An export in flight. Dropping it waits.
#[must_use = "an export has to be finished"]
pub struct Export<'p, T> {
    plan: &'p ExchangePlan,
    transfers: Transfers,
    width: usize,
    values: PhantomData<T>,
}

impl<T: Combinable> Export<'_, T> {
    /// Waits for all copies and combines them into the owned values, by ascending rank.
    ///
    /// # Panics
    /// If `owned` is not `width` times the rank's block, which is a bug of the caller.
    pub fn finish(mut self, combine: Combine, owned: &mut [T]) {
        let (plan, width) = (self.plan, self.width);
        assert_eq!(owned.len(), plan.owned_len * width, "invariant: {width} owned values an id");
        self.transfers.wait();
        let packed = self.transfers.received::<T>();
        let slots = packed.chunks_exact(width.max(1)).zip(&plan.owned);
        match combine {
            Combine::Add => fold(slots, owned, width, |old, new| old + new),
            Combine::Insert => fold(slots, owned, width, |_, new| new),
            Combine::Max => fold(slots, owned, width, |old, new| if new > old { new } else { old }),
            Combine::Min => fold(slots, owned, width, |old, new| if new < old { new } else { old }),
        }
        plan.pool.borrow_mut().push(std::mem::take(&mut self.transfers));
    }
}

fn fold<'a, T: Pod>(
    slots: impl Iterator<Item = (&'a [T], &'a Lid)>,
    owned: &mut [T],
    width: usize,
    combine: impl Fn(T, T) -> T,
) {
    for (values, &lid) in slots {
        for (old, &new) in owned[at(lid) * width..][..width].iter_mut().zip(values) {
            *old = combine(*old, new);
        }
    }
}
