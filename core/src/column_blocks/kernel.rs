//! The blocks of one rank and their products.

use bytemuck::Pod;

use crate::dense::small::{Fixed, Order};
use crate::index::{Lid, at};
use crate::simd::{self, AHEAD, prefetch};

/// A type in which values are stored; they are multiplied in double precision.
pub trait Stored: Pod + Send + Sync + sealed::Sealed {
    /// Returns the name of the type.
    const NAME: &'static str;

    /// Returns the number in double precision.
    fn widened(self) -> f64;

    /// Returns the nearest number of the type.
    fn rounded(value: f64) -> Self;
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

    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the purpose")]
    #[inline(always)]
    fn rounded(value: f64) -> f32 {
        value as f32
    }
}

impl Stored for f64 {
    const NAME: &'static str = "f64";

    #[inline(always)]
    fn widened(self) -> f64 {
        self
    }

    #[inline(always)]
    fn rounded(value: f64) -> f64 {
        value
    }
}

/// Blocks row by row, each by columns.
pub(super) struct Blocks<S> {
    pub(super) shape: [usize; 2],
    pub(super) starts: Vec<usize>,
    /// Numbers of block columns, from zero.
    pub(super) columns: Vec<Lid>,
    /// With [`PADDING`].
    values: Vec<S>,
}

/// Values behind the last block that lanes may read.
const PADDING: usize = 3;

/// Evaluates an expression with the rows of a block, and the lanes that hold them, as constants, and with its columns
/// as one where that is one.
macro_rules! for_shape {
    ($shape:expr, |$rows:ident, $lanes:ident, $columns:ident| $body:expr) => {
        for_shape!(@rows $shape, $rows, $lanes, $columns, $body, 1 1, 2 2, 3 4, 4 4, 5 8, 6 8)
    };
    (@rows $shape:expr, $rows:ident, $lanes:ident, $columns:ident, $body:expr, $($r:literal $l:literal),*) => {
        match $shape {
            $([$r, 1] => {
                const $rows: usize = $r;
                const $lanes: usize = $l;
                (|$columns: Fixed<1>| $body)(Fixed)
            })*
            $([$r, columns] => {
                const $rows: usize = $r;
                const $lanes: usize = $l;
                (|$columns: usize| $body)(columns)
            })*
            _ => unreachable!("invariant: blocks have 1 to 6 rows"),
        }
    };
}

impl<S: Stored> Blocks<S> {
    pub(super) fn new(shape: [usize; 2], starts: Vec<usize>, columns: Vec<Lid>, mut values: Vec<S>) -> Blocks<S> {
        assert_eq!(columns.len() * shape[0] * shape[1], values.len(), "invariant: a column for each block");
        assert_eq!(starts.last(), Some(&columns.len()), "invariant: row starts cover the blocks");
        values.reserve_exact(PADDING);
        values.extend([S::zeroed(); PADDING]);
        Blocks { shape, starts, columns, values }
    }

    /// The values of all blocks.
    pub(super) fn values(&self) -> &[S] {
        &self.values[..self.columns.len() * self.shape[0] * self.shape[1]]
    }

    /// The largest magnitude in each row, and the number of terms in its sum.
    pub(super) fn largest(&self) -> (Vec<f64>, Vec<i64>) {
        let [r, c] = self.shape;
        let mut largest = vec![0.0f64; (self.starts.len() - 1) * r];
        for (row, bounds) in largest.chunks_exact_mut(r).zip(self.starts.windows(2)) {
            for column in self.values[bounds[0] * r * c..bounds[1] * r * c].chunks_exact(r) {
                row.iter_mut().zip(column).for_each(|(most, value)| *most = most.max(value.widened().abs()));
            }
        }
        let terms = |bounds: &[usize]| i64::try_from((bounds[1] - bounds[0]) * c).expect("invariant: in memory");
        let terms = self.starts.windows(2).flat_map(|bounds| std::iter::repeat_n(terms(bounds), r)).collect();
        (largest, terms)
    }

    /// Sets the sums of each row, with every term rounded by adding and subtracting its row's number of `rounding`
    /// times `scale`.
    pub(super) fn multiply(&self, x: &[f64], rounding: &[f64], scale: f64, sums: &mut [f64]) {
        simd::dispatch(
            #[inline(always)]
            || {
                for_shape!(self.shape, |ROWS, LANES, columns| self
                    .multiply_rows::<ROWS, LANES>(columns, x, rounding, scale, sums))
            },
        );
    }

    /// Adds the products of each row's blocks, transposed, with its entries of `x`, in ascending rows.
    pub(super) fn multiply_transposed(&self, x: &[f64], y: &mut [f64]) {
        simd::dispatch(
            #[inline(always)]
            || {
                for_shape!(self.shape, |ROWS, LANES, columns| self
                    .multiply_rows_transposed::<ROWS, LANES>(columns, x, y))
            },
        );
    }

    #[inline(always)]
    fn multiply_rows<const R: usize, const LANES: usize>(
        &self,
        columns: impl Order,
        x: &[f64],
        rounding: &[f64],
        scale: f64,
        sums: &mut [f64],
    ) {
        let rows = sums.chunks_exact_mut(R).zip(rounding.chunks_exact(R));
        for ((sums, rounding), bounds) in rows.zip(self.starts.windows(2)) {
            let row = self.row_sums::<R, LANES>(columns, [bounds[0], bounds[1]], x, rounding, scale);
            sums.copy_from_slice(&row[..R]);
        }
    }

    /// The sums of one row, whose blocks lie between `bounds`.
    #[inline(always)]
    fn row_sums<const R: usize, const LANES: usize>(
        &self,
        columns: impl Order,
        bounds: [usize; 2],
        x: &[f64],
        rounding: &[f64],
        scale: f64,
    ) -> [f64; LANES] {
        let c = columns.get();
        let (mut row, mut rounded) = ([0.0; LANES], [0.0; LANES]);
        rounded.iter_mut().zip(rounding).for_each(|(rounded, rounding)| *rounded = rounding * scale);
        let mut from = bounds[0] * R * c;
        for &column in &self.columns[bounds[0]..bounds[1]] {
            prefetch(self.values.as_ptr().wrapping_add(from), R * c, AHEAD);
            for &x in &x[at(column) * c..][..c] {
                let values = &self.values[from..][..LANES];
                for lane in 0..LANES {
                    row[lane] += values[lane].widened() * x + rounded[lane] - rounded[lane];
                }
                from += R;
            }
        }
        row
    }

    #[inline(always)]
    fn multiply_rows_transposed<const R: usize, const LANES: usize>(
        &self,
        columns: impl Order,
        x: &[f64],
        y: &mut [f64],
    ) {
        for (x, bounds) in x.chunks_exact(R).zip(self.starts.windows(2)) {
            let mut row = [0.0; LANES];
            row[..R].copy_from_slice(x);
            self.add_row::<R, LANES>(columns, [bounds[0], bounds[1]], row, y);
        }
    }

    /// Adds the products of one row's blocks, transposed, with its entries.
    #[inline(always)]
    fn add_row<const R: usize, const LANES: usize>(
        &self,
        columns: impl Order,
        bounds: [usize; 2],
        row: [f64; LANES],
        y: &mut [f64],
    ) {
        let c = columns.get();
        let mut from = bounds[0] * R * c;
        for &column in &self.columns[bounds[0]..bounds[1]] {
            prefetch(self.values.as_ptr().wrapping_add(from), R * c, AHEAD);
            for y in &mut y[at(column) * c..][..c] {
                let values = &self.values[from..][..LANES];
                let mut products = [0.0; LANES];
                for lane in 0..LANES {
                    products[lane] = values[lane].widened() * row[lane];
                }
                *y += products[..R].iter().sum::<f64>();
                from += R;
            }
        }
    }

    /// Sets the sums of each row, lets `middle` change them, and adds the products of the row's blocks, transposed, with
    /// them to `y`: each row's blocks are read from memory once.
    pub(super) fn multiply_through(
        &self,
        x: &[f64],
        rounding: &[f64],
        scale: f64,
        middle: impl Fn(usize, &mut [f64]),
        y: &mut [f64],
    ) {
        simd::dispatch(
            #[inline(always)]
            || {
                for_shape!(self.shape, |ROWS, LANES, columns| self
                    .multiply_rows_through::<ROWS, LANES>(columns, x, rounding, scale, &middle, y))
            },
        );
    }

    #[inline(always)]
    fn multiply_rows_through<const R: usize, const LANES: usize>(
        &self,
        columns: impl Order,
        x: &[f64],
        rounding: &[f64],
        scale: f64,
        middle: &impl Fn(usize, &mut [f64]),
        y: &mut [f64],
    ) {
        let rows = rounding.chunks_exact(R).zip(self.starts.windows(2));
        for (row, (rounding, bounds)) in rows.enumerate() {
            let bounds = [bounds[0], bounds[1]];
            let mut sums = self.row_sums::<R, LANES>(columns, bounds, x, rounding, scale);
            middle(row, &mut sums[..R]);
            // Lanes beyond the rows meet values of the next block.
            sums[R..].fill(0.0);
            self.add_row::<R, LANES>(columns, bounds, sums, y);
        }
    }
}
