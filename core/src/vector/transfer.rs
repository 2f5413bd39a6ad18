//! Whole vectors between ranks: gathered, scattered, cut.
//!
//! To gather is to redistribute to a layout that has all rows on one rank; to scatter is the
//! reverse. So there is one way for entries to travel, and it has no limit at 2^31 of anything.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::index::Gid;
use crate::layout::Layout;
use crate::memory;
use crate::redistribute::Redistribute;
use crate::scalar::Scalar;
use crate::vector::Vector;

impl<T: Scalar> Vector<T> {
    /// Moves the entries to another layout. For repeated moves keep a [`Redistribute`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if `layout` has another length or communicator.
    pub fn redistributed(&self, layout: &Layout) -> Result<Vector<T>> {
        let mut moved = Vector::zeros(layout);
        Redistribute::new(&self.layout, layout)?.apply(self, &mut moved)?;
        Ok(moved)
    }

    /// Gathers all entries on rank `root`, in global order; returns `None` elsewhere.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NoSuchRank`].
    pub fn gather(&self, root: usize) -> Result<Option<Vec<T>>> {
        let comm = self.comm();
        let layout = Layout::on_one_rank(comm, self.global_len(), root)?;
        let moved = self.redistributed(&layout)?;
        Ok((comm.rank() == root).then(|| moved.owned.into_vec()))
    }

    /// Gathers all entries on every rank, in global order.
    ///
    /// # Collective
    /// Gathered on one rank and broadcast.
    pub fn gather_all(&self) -> Vec<T> {
        let mut all = self.gather(0).expect("invariant: there is a rank 0").unwrap_or_default();
        self.comm().broadcast(0, &mut all);
        all
    }

    /// Spreads the entries that rank `root` has, in global order, over `layout`. What the other
    /// ranks give is not looked at.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NoSuchRank`], or [`Error::LocalLength`], agreed over the ranks, if `root` does not
    /// give as many entries as the layout has.
    pub fn scatter(layout: &Layout, root: usize, entries: &[T]) -> Result<Vector<T>> {
        let comm = layout.comm();
        let source = Layout::on_one_rank(comm, layout.global_len(), root)?;
        let expected = source.local_len();
        let whole = match entries.len() {
            _ if comm.rank() != root => Ok(Vector::zeros(&source)),
            found if found != expected => Err(Error::LocalLength { what: "Vector::scatter", expected, found }),
            _ => Ok(Vector { layout: source.clone(), owned: memory::copied(entries) }),
        };
        comm.agree(whole)?.redistributed(layout)
    }

    /// Returns the entries of a global range as a vector of their own, numbered from zero.
    ///
    /// Nothing moves: every rank keeps what it owns of the range, so the new layout is
    /// [`Layout::restricted`], as uneven as the range lies. [`Vector::redistributed`] evens it out.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`], on all ranks alike.
    pub fn subvector(&self, rows: Range<Gid>) -> Result<Vector<T>> {
        let layout = self.layout.restricted(&rows)?;
        let owned = memory::copied(&self.owned[self.layout.positions(&rows)]);
        Ok(Vector { layout, owned })
    }

    /// Puts the entries of a [`subvector`](Vector::subvector) of these rows back.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`], or [`Error::LayoutMismatch`] if `part` is not spread as the
    /// subvector is, on all ranks alike.
    pub fn set_subvector(&mut self, rows: Range<Gid>, part: &Vector<T>) -> Result<()> {
        self.layout.restricted(&rows)?.require_same(&part.layout, "set_subvector")?;
        let positions = self.layout.positions(&rows);
        self.owned[positions].copy_from_slice(&part.owned);
        Ok(())
    }
}
