//! Kernel that computes one row at a time, and the operands of all kernels.

#![allow(unsafe_code)]

use super::order::row_at;
use super::run::Run;
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
    /// As [`Order::rows`](super::order::Order::rows), or empty.
    pub(super) rows: &'a [i8],
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
impl<'a, T: Scalar> Table<'a, T> {
    /// Returns the same arrays under the scalar's other name.
    pub(super) fn cast<S: Scalar>(self) -> Table<'a, S> {
        Table { starts: self.starts, columns: self.columns, values: bytemuck::cast_slice(self.values), rows: self.rows }
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

/// Computes one row after the other; not inlined, lest the compiler turn loads of `x` into AVX2 gathers,
/// which are slower.
///
/// # Safety
/// As [`multiply`](super::interior::multiply).
#[inline(never)]
pub(super) unsafe fn multiply_rows<T: Scalar, const K: usize>(a: Table<'_, T>, run: &Run, v: Vectors<T, K>) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut from = *a.starts.get_unchecked(at(run.first));
        let mut asked = from;
        for place in run.range() {
            let to = *a.starts.get_unchecked(place + 1);
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
            v.write(row_at(a.rows, place), sums);
            from = to;
        }
    }
}
