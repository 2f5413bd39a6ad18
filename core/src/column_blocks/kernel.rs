//! The blocks of one rank and their products.

#![allow(unsafe_code)]

use bytemuck::Pod;

use crate::dense::small::{Fixed, Order};
use crate::index::{Lid, at};

/// A type in which values are stored; they are multiplied in double precision.
pub trait Stored: Pod + Send + Sync + sealed::Sealed {
    /// Returns the name of the type.
    const NAME: &'static str;

    /// Returns the number in double precision.
    fn widened(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Stored for f32 {
    const NAME: &'static str = "f32";

    #[inline(always)]
    fn widened(self) -> f64 {
        self.into()
    }
}

impl Stored for f64 {
    const NAME: &'static str = "f64";

    #[inline(always)]
    fn widened(self) -> f64 {
        self
    }
}

/// Blocks row by row, each by columns.
pub(super) struct Blocks<S> {
    pub(super) shape: [usize; 2],
    pub(super) starts: Vec<usize>,
    /// Numbers of block columns, from zero.
    pub(super) columns: Vec<Lid>,
    pub(super) values: Vec<S>,
}

/// Evaluates an expression with the rows of a block as a constant, and with its columns as one where that is one.
macro_rules! for_shape {
    ($shape:expr, |$rows:ident, $columns:ident| $body:expr) => {
        for_shape!(@rows $shape, $rows, $columns, $body, 1 2 3 4 5 6)
    };
    (@rows $shape:expr, $rows:ident, $columns:ident, $body:expr, $($r:literal)*) => {
        match $shape {
            $([$r, 1] => {
                const $rows: usize = $r;
                (|$columns: Fixed<1>| $body)(Fixed)
            })*
            $([$r, columns] => {
                const $rows: usize = $r;
                (|$columns: usize| $body)(columns)
            })*
            _ => unreachable!("invariant: blocks have 1 to 6 rows"),
        }
    };
}

impl<S: Stored> Blocks<S> {
    /// Sets the sums of each row, of terms cut to whole numbers.
    ///
    /// The magnitudes of the terms of a row sum up to less than 2^63.
    pub(super) fn multiply(&self, x: &[f64], sums: &mut [i64]) {
        for_shape!(self.shape, |ROWS, columns| self.multiply_rows::<ROWS>(columns, x, sums));
    }

    /// Adds the products of each row's blocks, transposed, with its entries of `x`, in ascending rows.
    pub(super) fn multiply_transposed(&self, x: &[f64], y: &mut [f64]) {
        for_shape!(self.shape, |ROWS, columns| self.multiply_rows_transposed::<ROWS>(columns, x, y));
    }

    /// Sums of magnitudes of each row.
    pub(super) fn magnitudes(&self) -> Vec<f64> {
        let r = self.shape[0];
        let mut sums = vec![0.0; (self.starts.len() - 1) * r];
        for (sums, bounds) in sums.chunks_exact_mut(r).zip(self.starts.windows(2)) {
            let len = r * self.shape[1];
            for column in self.values[bounds[0] * len..bounds[1] * len].chunks_exact(r) {
                sums.iter_mut().zip(column).for_each(|(sum, value)| *sum += value.widened().abs());
            }
        }
        sums
    }

    #[inline(always)]
    fn multiply_rows<const R: usize>(&self, columns: impl Order, x: &[f64], sums: &mut [i64]) {
        let (c, mut blocks) = (columns.get(), self.values.chunks_exact(R * columns.get()));
        for (sums, bounds) in sums.chunks_exact_mut(R).zip(self.starts.windows(2)) {
            let mut row = [0; R];
            for (&column, block) in self.columns[bounds[0]..bounds[1]].iter().zip(&mut blocks) {
                let x = &x[at(column) * c..][..c];
                for (&x, values) in x.iter().zip(block.chunks_exact(R)) {
                    for (sum, value) in row.iter_mut().zip(values) {
                        *sum += whole(value.widened() * x);
                    }
                }
            }
            sums.copy_from_slice(&row);
        }
    }

    #[inline(always)]
    fn multiply_rows_transposed<const R: usize>(&self, columns: impl Order, x: &[f64], y: &mut [f64]) {
        let (c, mut blocks) = (columns.get(), self.values.chunks_exact(R * columns.get()));
        for (x, bounds) in x.chunks_exact(R).zip(self.starts.windows(2)) {
            let x: [f64; R] = x.try_into().expect("invariant: R entries");
            for (&column, block) in self.columns[bounds[0]..bounds[1]].iter().zip(&mut blocks) {
                let y = &mut y[at(column) * c..][..c];
                for (y, values) in y.iter_mut().zip(block.chunks_exact(R)) {
                    *y = x.iter().zip(values).fold(*y, |sum, (x, value)| sum + value.widened() * x);
                }
            }
        }
    }
}

/// Cuts a number to a whole one.
#[inline(always)]
fn whole(value: f64) -> i64 {
    debug_assert!(value.abs() < 9.3e18, "invariant: sums are bounded");
    // SAFETY: [`Blocks::multiply`] is called with an operand in units that bound every sum, hence every term,
    // by 2^63; block and operand are finite.
    unsafe { value.to_int_unchecked() }
}
