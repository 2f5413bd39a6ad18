//! Near-null-space vectors: what the matrix of a level nearly sends to zero, which smoothing leaves to coarser levels.

use dolmen_core::scaling::{exponent, largest, scaled};
use dolmen_core::{Gid, Layout, MultiVector, Scalar};

use crate::error::{Error, Result};
use crate::multigrid::METHOD;
use crate::settings::require;

/// The near-null-space vectors of a level whose nodes have one or more unknowns, in rows that follow each other.
pub(super) struct NearNullSpace<T> {
    pub(super) vectors: MultiVector<T>,
    /// Unknowns of a node.
    pub(super) block: usize,
}

impl<T: Scalar> NearNullSpace<T> {
    /// Takes vectors that were given, each divided by a power of two so that its largest entry is near one.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Layout`]; [`Error::Setting`] if there is no column, or nothing but zeros; [`Error::NotFinite`].
    pub(super) fn new(rows: &Layout, block: usize, vectors: &MultiVector<T>) -> Result<NearNullSpace<T>> {
        let (left, right) = (rows.global_len(), vectors.layout().global_len());
        let what = "near-null-space vectors";
        let fits =
            if rows == vectors.layout() { Ok(()) } else { Err(Error::Layout { method: METHOD, what, left, right }) };
        let columns = vectors.columns();
        let any = require(METHOD, "number of near-null-space vectors", columns as f64, columns > 0, "one or more");
        rows.comm().agree(fits.and(any).and_then(|()| require_finite(METHOD, "near-null-space vector", vectors)))?;
        let mut sizes: Vec<f64> = (0..columns).map(|column| largest(vectors.column(column))).collect();
        rows.comm().all_reduce_max(&mut sizes);
        let most = sizes.iter().copied().fold(0.0, f64::max);
        // Without rows there is nothing to be zero.
        let is_there = most > 0.0 || left == 0;
        require(METHOD, "largest entry of the near-null-space vectors", most, is_there, "more than zero")?;
        let mut vectors = vectors.clone();
        for (column, size) in sizes.into_iter().enumerate() {
            let power = -exponent(size);
            vectors.column_mut(column).iter_mut().for_each(|entry| *entry = scaled(*entry, power));
        }
        Ok(NearNullSpace { vectors, block })
    }

    /// Returns the vectors that are one in one unknown of each node and zero in the others.
    pub(super) fn constants(rows: &Layout, block: usize) -> NearNullSpace<T> {
        let entry = |row: Gid, column| if row % block as Gid == column as Gid { T::ONE } else { T::ZERO };
        NearNullSpace { vectors: MultiVector::from_fn(rows, block, entry), block }
    }
}

/// Refuses an entry of this rank that is NaN or infinite.
pub(super) fn require_finite<T: Scalar>(
    method: &'static str,
    what: &'static str,
    vectors: &MultiVector<T>,
) -> Result<()> {
    for column in 0..vectors.columns() {
        let mut entries = vectors.layout().owned_rows().zip(vectors.column(column));
        if let Some((row, _)) = entries.find(|(_, entry)| !entry.is_finite()) {
            return Err(Error::NotFinite { method, what, column, row });
        }
    }
    Ok(())
}
