//! Product of the rows without ghost columns: one row at a time, or one row in each SIMD lane.
//!
//! Every kernel computes each row as
//! `((0 + a0 x0) + a1 x1) + ...` with separate, rounded multiplication and
//! addition, so all give the same bits.
//!
//! AVX-512 was measured and left out: memory is the bound, and wider loads cross
//! more cache lines. Without AVX2, and under Miri, all rows go one at a time.

#![allow(unsafe_code)]

#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::avx2;
use super::clip::Clipped;
use super::run::{Run, min_run};
use super::scalar::{Table, Vectors, multiply_rows};
use super::{LocalCsr, Update};
use crate::scalar::Scalar;

impl<T: Scalar> LocalCsr<T> {
    /// Multiplies the rows without ghost columns; other rows of `y` are left alone.
    ///
    /// `x` and `y` are `K` vectors each: `x[k]` the owned entries, `y[k]` one
    /// element a row. `K` vectors at once read the matrix once.
    ///
    /// # Panics
    /// If a vector has the wrong length.
    pub(in crate::csr) fn multiply_interior<const K: usize>(&self, x: [&[T]; K], y: [&mut [T]; K], update: Update) {
        self.check_lengths(&x, &y);
        let table = self.table();
        self.for_rows(y, |rows, y| {
            // From the first of all rows, like the runs.
            let (x, y) = (x.map(<[T]>::as_ptr), y.map(|y| y.as_mut_ptr().wrapping_sub(rows.start)));
            for runs in Clipped::new(&self.interior, &rows, min_run::<T>()).slices() {
                // SAFETY: the invariants of `Self`, and the lengths just checked: columns of interior
                // rows are below `owned == x[k].len()`, and the clipped runs lie in `rows`, those of `y`.
                unsafe { multiply(table, runs, x, y, update == Update::Add) }
            }
        });
    }
}

/// Multiplies the rows of `runs` by `K` vectors.
///
/// # Safety
/// `starts` does not decrease and ends at `columns.len() == values.len()`; `rows` moves rows within windows of
/// general runs only, and no such window is cut; every
/// run lies in it and is of its kind; every column of its rows is an index of
/// each `x`, and every row of each `y`.
unsafe fn multiply<T: Scalar, const K: usize>(
    a: Table<'_, T>,
    runs: &[Run],
    x: [*const T; K],
    y: [*mut T; K],
    add: bool,
) {
    let v = Vectors { x, y, add };
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the caller's promise, and AVX2 is there.
        return unsafe { avx2::multiply(a, runs, v) };
    }
    for run in runs {
        // SAFETY: the caller's promise.
        unsafe { multiply_rows(a, run, v) }
    }
}
