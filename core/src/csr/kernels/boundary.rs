//! Product of the rows with ghost columns, one row at a time.

#![allow(unsafe_code)]

use super::clip::Clipped;
use super::scalar::{Vectors, multiply_boundary_rows};
use super::{LocalCsr, Update};
use crate::scalar::Scalar;

impl<T: Scalar> LocalCsr<T> {
    /// Multiplies the rows with ghost columns; other rows of `y` are left alone.
    ///
    /// # Panics
    /// If a vector has the wrong length.
    pub(in crate::csr) fn multiply_boundary<const K: usize>(
        &self,
        x: [&[T]; K],
        ghosts: [&[T]; K],
        y: [&mut [T]; K],
        update: Update,
    ) {
        self.check_lengths(&x, &y);
        assert!(ghosts.iter().all(|g| g.len() == self.ghosts), "invariant: ghosts were received by this matrix's plan");
        let table = self.table();
        self.for_rows(y, |rows, y| {
            // From the first of all rows, like the runs.
            let y = y.map(|y| y.as_mut_ptr().wrapping_sub(rows.start));
            let vectors = Vectors { x: x.map(<[T]>::as_ptr), y, add: update == Update::Add };
            let ghosts = ghosts.map(<[T]>::as_ptr);
            for run in Clipped::new(&self.boundary, &rows, 0).slices().into_iter().flatten() {
                // SAFETY: the invariants of `Self`, and the lengths just checked: columns are below `owned ==
                // x[k].len()`, or below `owned + ghosts[k].len()`, and the clipped runs lie in `rows`, those of `y`.
                unsafe { multiply_boundary_rows(table, run, vectors, ghosts, self.owned) }
            }
        });
    }
}
