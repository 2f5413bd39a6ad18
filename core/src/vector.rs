//! `Vector`: the owned entries of a distributed vector, and nothing else.
//!
//! Copies of other ranks' entries (ghosts) never live here, so a norm cannot count one. Operations
//! between vectors compare layouts first: every rank knows all offsets, hence a mismatch is the
//! same error on all ranks without a message.
//!
//! `arithmetic` acts on entries one by one, `reductions` sums over them, `update` does several such
//! things in one pass, `entries` fills, sets and gets them, `transfer` moves whole vectors between
//! ranks.

use std::ops::Range;

use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::index::Gid;
use crate::layout::Layout;
use crate::memory;
use crate::scalar::Scalar;

mod arithmetic;
mod entries;
mod reductions;
mod transfer;
mod update;

pub(crate) use entries::{exact_sum, fill_normal, fill_uniform};
pub use reductions::dots;
pub(crate) use reductions::{abs_sqr, larger, largest_of};
pub use update::{update, update_dots};

/// A distributed vector: each rank holds the entries that its [`Layout`] says it owns.
pub struct Vector<T> {
    layout: Layout,
    owned: Box<[T]>,
}

impl<T: Scalar> Clone for Vector<T> {
    fn clone(&self) -> Vector<T> {
        Vector { layout: self.layout.clone(), owned: memory::copied(&self.owned) }
    }
}

impl<T: Scalar> std::fmt::Debug for Vector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vector").field("layout", &self.layout).field("owned", &self.owned).finish()
    }
}

impl<T: Scalar> Vector<T> {
    /// Creates a vector of zeros.
    pub fn zeros(layout: &Layout) -> Vector<T> {
        Vector { layout: layout.clone(), owned: memory::zeros(layout.local_len()).into() }
    }

    /// Creates a vector from a function of the global index.
    pub fn from_fn(layout: &Layout, entry: impl FnMut(Gid) -> T) -> Vector<T> {
        Vector { layout: layout.clone(), owned: memory::collected(layout.local_len(), layout.owned_rows().map(entry)) }
    }

    /// Creates a vector from this rank's own entries, in global order.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LocalLength`], agreed over the ranks, if a rank gives the wrong number of entries.
    pub fn from_owned(layout: &Layout, owned: Vec<T>) -> Result<Vector<T>> {
        let expected = layout.local_len();
        let fits = if owned.len() == expected {
            Ok(())
        } else {
            Err(Error::LocalLength { what: "Vector::from_owned", expected, found: owned.len() })
        };
        layout.comm().agree(fits)?;
        memory::advise(&owned);
        Ok(Vector { layout: layout.clone(), owned: owned.into() })
    }

    /// Returns the distribution of the entries over the ranks.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the communicator of the layout.
    pub fn comm(&self) -> &Comm {
        self.layout.comm()
    }

    /// Returns the number of entries over all ranks.
    pub fn global_len(&self) -> u64 {
        self.layout.global_len()
    }

    /// Returns the global indices of the owned entries.
    ///
    /// # Panics
    /// On a stacked layout, as [`Layout::range`]; [`Layout::runs`] serves both kinds.
    pub fn range(&self) -> Range<Gid> {
        self.layout.range()
    }

    /// Returns the owned entries.
    pub fn owned(&self) -> &[T] {
        &self.owned
    }

    /// Returns the owned entries for modification.
    pub fn owned_mut(&mut self) -> &mut [T] {
        &mut self.owned
    }

    /// Returns the owned entries and discards the vector.
    pub fn into_owned(self) -> Vec<T> {
        self.owned.into()
    }

    /// Returns the entry at a global index, if this rank owns it.
    pub fn get(&self, row: Gid) -> Option<T> {
        self.layout.global_to_owned(row).map(|position| self.owned[position])
    }
}
