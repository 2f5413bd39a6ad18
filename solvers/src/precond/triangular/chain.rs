//! A strict triangle that is solved row after row.
//!
//! Row `i` waits for `x[i - 1]`, and to find it in memory takes longer than all else. So the entry next to the diagonal
//! is stored apart and multiplied last, with the number that has just been computed and still is in a register; with
//! a unit diagonal the chain then is one multiplication and one subtraction a row. On the lines of a grid
//! this takes half of the time of a plain loop over rows.

use std::ops::Range;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, memory};

use super::Half;

/// The rows of a strict triangle, one after the other; entries next to the diagonal apart.
#[derive(Clone, Debug)]
pub(in crate::precond) struct Chain<T> {
    half: Half,
    starts: Vec<usize>,
    columns: Vec<Lid>,
    values: Vec<T>,
    /// The entry next to the diagonal, zero if it is not stored.
    near: Vec<T>,
    /// True if it is stored.
    linked: Vec<bool>,
}

impl<T: Scalar> Chain<T> {
    /// Without rows, with room for some.
    pub(super) fn with_capacity(half: Half, rows: usize, entries: usize) -> Chain<T> {
        let mut starts = memory::with_capacity(rows + 1);
        starts.push(0);
        let (columns, values) = (memory::with_capacity(entries), memory::with_capacity(entries));
        let (near, linked) = (memory::with_capacity(rows), memory::with_capacity(rows));
        Chain { half, starts, columns, values, near, linked }
    }

    /// From row starts, columns and values, and the entries next to the diagonal.
    pub(super) fn from_arrays(
        half: Half,
        starts: Vec<usize>,
        columns: Vec<Lid>,
        values: Vec<T>,
        near: Vec<T>,
        linked: Vec<bool>,
    ) -> Chain<T> {
        Chain { half, starts, columns, values, near, linked }
    }

    /// Adds a row: ascending columns to a lower triangle, descending ones to an upper one.
    #[inline(always)]
    pub(super) fn push_row(&mut self, entries: impl Iterator<Item = (Lid, T)>) {
        let beside = self.half.beside(self.near.len());
        let mut near = None;
        entries.for_each(|(column, value)| {
            if at(column) == beside {
                near = Some(value);
            } else {
                self.columns.push(column);
                self.values.push(value);
            }
        });
        self.starts.push(self.columns.len());
        self.near.push(near.unwrap_or(T::ZERO));
        self.linked.push(near.is_some());
    }

    pub(super) fn half(&self) -> Half {
        self.half
    }

    pub(super) fn rows(&self) -> usize {
        self.near.len()
    }

    pub(super) fn entries(&self) -> usize {
        self.columns.len() + self.linked.iter().filter(|linked| **linked).count()
    }

    /// Returns the number of entries of each row, but for the one next to the diagonal.
    pub(super) fn lens(&self) -> impl Iterator<Item = usize> + Clone {
        self.starts.windows(2).map(|bounds| bounds[1] - bounds[0])
    }

    /// Returns the positions of a row's entries, but for the one next to the diagonal.
    #[inline(always)]
    fn others(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// Returns the columns and values of a row, but for the entry next to the diagonal, and that one's value, if any.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> (&[Lid], &[T], Option<T>) {
        let others = self.others(row);
        (&self.columns[others.clone()], &self.values[others], self.linked[row].then(|| self.near[row]))
    }

    /// As [`Chain::row`], for modification.
    #[inline(always)]
    pub(super) fn row_mut(&mut self, row: usize) -> (&[Lid], &mut [T], Option<&mut T>) {
        let others = self.others(row);
        let near = self.linked[row].then_some(&mut self.near[row]);
        (&self.columns[others.clone()], &mut self.values[others], near)
    }

    /// Computes `x = (triangle)^-1 b`, where `start` is given a row and `x` so far and returns the entry of `b`.
    #[inline(always)]
    pub(super) fn solve(&self, x: &mut [T], start: impl Fn(usize, &[T]) -> T) {
        let mut last = T::ZERO;
        match self.half {
            Half::Lower => {
                for row in 0..self.rows() {
                    last = self.remainder(row, start(row, x), x) - self.near[row] * last;
                    x[row] = last;
                }
            }
            Half::Upper => {
                for row in (0..self.rows()).rev() {
                    last = self.remainder(row, start(row, x), x) - self.near[row] * last;
                    x[row] = last;
                }
            }
        }
    }

    /// Returns `start` minus the product of a row, but for the entry next to the diagonal, with `x`.
    #[inline(always)]
    fn remainder(&self, row: usize, start: T, x: &[T]) -> T {
        let others = self.others(row);
        let entries = self.columns[others.clone()].iter().zip(&self.values[others]);
        entries.fold(start, |rest, (&column, &value)| rest - value * x[at(column)])
    }
}
