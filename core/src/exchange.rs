//! Import (owner to copies) and export (copies to owner) along an immutable plan.
//!
//! Plan first, communicate second. The plan is found once by a sparse rendezvous: each rank asks
//! the owners of its ids, and nobody else, so the cost grows with the number of neighbors and not
//! with the number of ranks. A transfer owns its buffers (taken from the plan's pool, so that
//! nothing is allocated after the first), hence no user memory is ever lent to MPI.
//!
//! Contributions are combined in ascending rank order. Sums of integers, and maxima and minima,
//! are therefore independent of the distribution; sums of floating-point numbers are only
//! independent of timing.
//!
//! Any number of exchanges may be in flight at once, of one plan or of several. Their messages
//! carry a number, which is that of the exchange on its communicator. All ranks therefore start their
//! exchanges on one communicator in the same order, as they do with every collective call; they
//! may finish or drop them in any order.

mod combine;
mod plan;
mod rows;
mod scatter;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Deref;

use bytemuck::Pod;

use crate::comm::{Comm, Misfit, Transfers};
use crate::error::{Error, Result};
use crate::index_map::IndexMap;
use crate::layout::Layout;
use crate::profile;
use crate::scalar::Scalar;
use crate::vector::Vector;
pub use combine::{Combinable, Combine};
use plan::{Routes, Share};
pub(crate) use rows::ImportedRows;
pub use scatter::Scatter;

/// Communication plan between the owners of a [`Layout`] and the copies of an [`IndexMap`].
pub struct ExchangePlan {
    layout: Layout,
    comm: Comm,
    routes: Routes,
    pool: RefCell<Vec<Transfers>>,
}

impl ExchangePlan {
    /// Plans the exchange between the owners of `layout` and this rank's ids.
    ///
    /// # Collective
    /// Each rank sends its ids to their owners (sparse; no all-to-all).
    ///
    /// # Errors
    /// An id past the layout's end on any rank, a stacked layout, or layouts that differ between the
    /// ranks.
    pub fn new(layout: &Layout, map: &IndexMap) -> Result<ExchangePlan> {
        let _event = profile::operation("ExchangePlan");
        layout.require_contiguous("exchange plan")?;
        let comm = layout.comm();
        let copies = comm.agree(plan::requests(layout.blocks(), map))?;
        let ids = |share: &Share| (share.rank, map.gids()[share.span.clone()].to_vec());
        let asked = comm.sparse_exchange(&copies.iter().map(ids).collect::<Vec<_>>());
        let routes = comm.agree(Routes::new(layout.blocks(), comm.rank(), copies, &asked))?;
        Ok(ExchangePlan { layout: layout.clone(), comm: comm.clone(), routes, pool: RefCell::default() })
    }

    /// Returns the layout of the owned values.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the number of copies on this rank.
    pub fn copies_len(&self) -> usize {
        self.routes.copies_len()
    }

    /// Returns the ranks other than this one that take part in an exchange with it.
    pub fn neighbors(&self) -> usize {
        let Routes { rank, copies, askers, .. } = &self.routes;
        let mut ranks: Vec<usize> = copies.iter().chain(askers).map(|share| share.rank).collect();
        ranks.retain(|other| other != rank);
        ranks.sort_unstable();
        ranks.dedup();
        ranks.len()
    }

    /// Returns the number of values that this rank receives from others in an import of width one.
    pub fn received_len(&self) -> usize {
        let Routes { rank, copies, .. } = &self.routes;
        copies.iter().filter(|share| share.rank != *rank).map(|share| share.span.len()).sum()
    }

    /// Imports copies of a vector's entries, in local order. To do other work while they travel, or for
    /// several values an id, use [`ExchangePlan::start_import`].
    ///
    /// # Collective
    /// Neighbors only.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the vector is not on the plan's layout, on all ranks alike.
    pub fn import<T: Scalar>(&self, x: &Vector<T>) -> Result<Imported<'_, T>> {
        self.layout.require_same(x.layout(), "import")?;
        Ok(self.start_import(x.owned(), 1).finish())
    }

    /// Combines copies, one for each id, into their owners' entries of a vector. Of complex numbers the
    /// real and imaginary parts are combined apart.
    ///
    /// # Collective
    /// All ranks agree on the lengths, neighbors exchange copies. In an inner loop use
    /// [`ExchangePlan::start_export`], which only talks to neighbors.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if the vector is not on the plan's layout, on all ranks alike;
    /// [`Error::LocalLength`], agreed over the ranks, if there is not one copy for each id.
    pub fn export<T: Scalar>(&self, copies: &[T], combine: Combine, y: &mut Vector<T>) -> Result<()> {
        self.layout.require_same(y.layout(), "export")?;
        let (expected, found) = (self.copies_len(), copies.len());
        let fits = if expected == found { Ok(()) } else { Err(Error::LocalLength { what: "export", expected, found }) };
        self.comm.agree(fits)?;
        let width = if T::COMPLEX { 2 } else { 1 };
        let parts = bytemuck::cast_slice_mut::<T, T::Real>(y.owned_mut());
        self.start_export(T::parts(copies), width).finish(combine, parts);
        Ok(())
    }

    /// Starts to copy owned values to where they are present. `width` consecutive values belong to
    /// each id.
    ///
    /// # Collective
    /// Neighbors only. Work that does not need the copies can proceed before [`Import::finish`].
    ///
    /// # Panics
    /// If `owned` is not `width` times the rank's block, which is a bug of the caller: the job ends. So it
    /// does, in [`Import::finish`], if a neighbor passes another width.
    pub fn start_import<T: Pod>(&self, owned: &[T], width: usize) -> Import<'_, T> {
        assert_eq!(owned.len(), self.routes.owned_len * width, "invariant: {width} owned values an id");
        let _event = profile::operation("ExchangeBegin");
        let bytes = width * size_of::<T>();
        self.comm.check("start_import", || format!("of {bytes} bytes for each id"));
        let mut transfers = self.pool.borrow_mut().pop().unwrap_or_default();
        transfers.reset(self.routes.asked_len() * bytes, self.copies_len() * bytes);
        self.routes.pack(owned, width, transfers.send_buffer());
        self.post(&mut transfers, &self.routes.askers, &self.routes.copies, bytes);
        Import { plan: self, transfers, len: self.copies_len() * width, values: PhantomData }
    }

    /// Posts all messages of a packed transfer; a rank's message to itself is a copy.
    fn post(&self, transfers: &mut Transfers, send: &[Share], receive: &[Share], bytes: usize) {
        let (me, comm, tag) = (self.routes.rank, self.comm.raw(), self.comm.next_tag());
        let own = |shares: &[Share]| shares.iter().find(|share| share.rank == me).map(|share| share.bytes(bytes));
        if let (Some(from), Some(to)) = (own(send), own(receive)) {
            transfers.keep(from, to);
        }
        for share in receive.iter().filter(|share| share.rank != me) {
            transfers.receive(comm, share.rank, tag, share.bytes(bytes));
        }
        for share in send.iter().filter(|share| share.rank != me) {
            transfers.send(comm, share.rank, tag, share.bytes(bytes));
        }
    }

    /// Ends the job where a neighbor passed another width.
    fn require_fit<T>(&self, operation: &str, arrived: Result<(), Misfit>, received: &[Share]) {
        let values = |source| {
            let share = received.iter().find(|share| share.rank == source);
            share.map_or(1, |share| share.span.len()) * size_of::<T>()
        };
        let bytes = size_of::<T>();
        let call = |width: &str| format!("{operation} of {width} values of {bytes} bytes for each id");
        self.comm.require_fit(arrived, values, call);
    }

    /// Starts to send copies to their owners.
    ///
    /// # Collective
    /// Neighbors only. Work that does not need the sums can proceed before [`Export::finish`].
    ///
    /// # Panics
    /// If `copies` is not `width` times the number of copies, which is a bug of the caller: the job ends. So
    /// it does, in [`Export::finish`], if a neighbor passes another width.
    pub fn start_export<T: Combinable>(&self, copies: &[T], width: usize) -> Export<'_, T> {
        assert_eq!(copies.len(), self.copies_len() * width, "invariant: {width} copied values an id");
        let _event = profile::operation("ExchangeBegin");
        let bytes = width * size_of::<T>();
        self.comm.check("start_export", || format!("of {bytes} bytes for each id"));
        let mut transfers = self.pool.borrow_mut().pop().unwrap_or_default();
        transfers.reset(self.copies_len() * bytes, self.routes.asked_len() * bytes);
        transfers.send_buffer::<T>()[..copies.len()].copy_from_slice(copies);
        self.post(&mut transfers, &self.routes.copies, &self.routes.askers, bytes);
        Export { plan: self, transfers, width, values: PhantomData }
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
        let _event = profile::operation("ExchangeEnd");
        let arrived = self.transfers.wait();
        self.plan.require_fit::<T>("import", arrived, &self.plan.routes.copies);
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
        assert_eq!(owned.len(), plan.routes.owned_len * width, "invariant: {width} owned values an id");
        let _event = profile::operation("ExchangeEnd");
        plan.require_fit::<T>("export", self.transfers.wait(), &plan.routes.askers);
        plan.routes.combine(self.transfers.received(), width, combine, owned);
        plan.pool.borrow_mut().push(std::mem::take(&mut self.transfers));
    }
}
