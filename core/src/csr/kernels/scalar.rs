//! Kernel that computes one row at a time, and the operands of all kernels.

#![allow(unsafe_code)]

use super::order::row_at;
use super::run::Run;
use crate::index::at;
use crate::scalar::Scalar;

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

/// Computes one row after the other. Columns and values are two long streams, which the hardware reads ahead: with
/// software prefetch a product on a mesh takes a fifth longer. Not inlined, lest the compiler turn loads of `x` into AVX2
/// gathers, which are slower.
///
/// # Safety
/// As [`multiply`](super::interior::multiply).
#[inline(never)]
pub(super) unsafe fn multiply_rows<T: Scalar, const K: usize>(a: Table<'_, T>, run: &Run, v: Vectors<T, K>) {
    // SAFETY: the caller's promise.
    unsafe { each_row(a, run, v, |k, c| *v.x[k].add(c)) }
}

/// Computes one row after the other, where columns from `owned` on are entries of `ghosts`. To choose between
/// two addresses costs less than a branch that nobody foresees.
///
/// # Safety
/// As [`multiply`](super::interior::multiply), but columns that are not indices of each `x`, of `owned` entries, are so
/// of each of `ghosts` when `owned` is taken from them.
#[inline(never)]
pub(super) unsafe fn multiply_boundary_rows<T: Scalar, const K: usize>(
    a: Table<'_, T>,
    run: &Run,
    v: Vectors<T, K>,
    ghosts: [*const T; K],
    owned: usize,
) {
    let ghosts = ghosts.map(|ghosts| ghosts.wrapping_sub(owned));
    // SAFETY: the caller's promise.
    unsafe { each_row(a, run, v, |k, c| *if c < owned { v.x[k] } else { ghosts[k] }.wrapping_add(c)) }
}

/// Computes one row after the other, where `entry_of(k, c)` returns entry `c` of operand `k`.
///
/// # Safety
/// As [`multiply`](super::interior::multiply), where `entry_of` takes each column of the rows.
#[inline(always)]
unsafe fn each_row<T: Scalar, const K: usize>(
    a: Table<'_, T>,
    run: &Run,
    v: Vectors<T, K>,
    entry_of: impl Fn(usize, usize) -> T,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut from = *a.starts.get_unchecked(at(run.first));
        for place in run.range() {
            let to = *a.starts.get_unchecked(place + 1);
            let mut sums = [T::ZERO; K];
            for entry in from..to {
                let (c, value) = (at(*a.columns.get_unchecked(entry)), *a.values.get_unchecked(entry));
                for (k, sum) in sums.iter_mut().enumerate() {
                    *sum += value * entry_of(k, c);
                }
            }
            v.write(row_at(a.rows, place), sums);
            from = to;
        }
    }
}
