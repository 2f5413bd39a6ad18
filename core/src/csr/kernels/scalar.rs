//! Kernels of the local product: one row at a time, or one row in each SIMD lane.
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
use super::{LocalCsr, Run, Update, min_run};
use crate::index::at;
use crate::scalar::Scalar;
use crate::simd::prefetch;

/// Distance in bytes at which values are prefetched before their use; half of it for columns.
/// Flat between 6 and 16 KiB on Zen 5; hardware prefetchers stop at 4 KiB pages.
pub(crate) const AHEAD: usize = 8192;

/// Entries that are asked for at once, at most.
pub(super) const AT_ONCE: usize = 256;

/// The arrays of a CSR matrix.
#[derive(Clone, Copy)]
pub(super) struct Table<'a, T> {
    pub(super) starts: &'a [usize],
    pub(super) columns: &'a [u32],
    pub(super) values: &'a [T],
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
impl<'a, T: Scalar> Table<'a, T> {
    /// Returns the same arrays under the scalar's other name.
    pub(super) fn cast<S: Scalar>(self) -> Table<'a, S> {
        Table { starts: self.starts, columns: self.columns, values: bytemuck::cast_slice(self.values) }
    }
}

/// `K` operands and results of a product.
#[derive(Clone, Copy)]
pub(super) struct Vectors<T, const K: usize> {
    pub(super) x: [*const T; K],
    pub(super) y: [*mut T; K],
    pub(super) add: bool,
}

impl<T: Scalar, const K: usize> Vectors<T, K> {
    /// Returns the same vectors under the scalar's other name.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    pub(super) fn cast<S: Scalar>(self) -> Vectors<S, K> {
        Vectors { x: self.x.map(<*const T>::cast), y: self.y.map(<*mut T>::cast), add: self.add }
    }

    /// # Safety
    /// `row` lies in each `y`.
    #[inline(always)]
    pub(super) unsafe fn write(&self, row: usize, sums: [T; K]) {
        for (y, sum) in self.y.iter().zip(sums) {
            // SAFETY: the caller's promise.
            unsafe {
                let y = y.add(row);
                *y = if self.add { *y + sum } else { sum };
            }
        }
    }
}

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
        let table = Table { starts: &self.starts, columns: &self.columns, values: &self.values };
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
/// `starts` does not decrease and ends at `columns.len() == values.len()`; every
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

/// Computes one row after the other; not inlined, lest the compiler turn loads of `x` into AVX2 gathers,
/// which are slower.
///
/// # Safety
/// As [`multiply`].
#[inline(never)]
pub(super) unsafe fn multiply_rows<T: Scalar, const K: usize>(a: Table<'_, T>, run: &Run, v: Vectors<T, K>) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut from = *a.starts.get_unchecked(at(run.first));
        let mut asked = from;
        for row in run.range() {
            let to = *a.starts.get_unchecked(row + 1);
            // A long row is left to the hardware.
            asked = asked.max(to.saturating_sub(AT_ONCE));
            while asked < to {
                prefetch(a.values.as_ptr().wrapping_add(asked), 16, AHEAD);
                prefetch(a.columns.as_ptr().wrapping_add(asked), 16, AHEAD / 2);
                asked += 16;
            }
            let mut sums = [T::ZERO; K];
            for entry in from..to {
                let (c, value) = (at(*a.columns.get_unchecked(entry)), *a.values.get_unchecked(entry));
                for (sum, x) in sums.iter_mut().zip(v.x) {
                    *sum += value * *x.add(c);
                }
            }
            v.write(row, sums);
            from = to;
        }
    }
}
