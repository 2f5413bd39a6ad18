//! Lanes of AVX2: 32 bytes of rows side by side.
//!
//! A lane kernel takes `LANES` rows of a run. Their values lie `width` apart, so
//! blocks of `BLOCK` columns are loaded from each row and transposed in
//! registers. Rows at the end of a run that do not fill the lanes are computed
//! together with rows before them, and only they are written.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::run::{Kind, Run};
use super::scalar::{Table, Vectors, multiply_rows};
use crate::index::at;
use crate::scalar::{Complex32, Complex64, Scalar};
use crate::simd::{AHEAD, prefetch};

/// Entries that are asked for at once, at most.
const AT_ONCE: usize = 256;

/// Operations on a register of `LANES` scalars. All need AVX2 and, where they
/// take a pointer, the elements they name.
trait Lanes: Scalar {
    /// `LANES` scalars in 32 bytes.
    type Register: Copy;
    /// Rows in a register.
    const LANES: usize = 32 / size_of::<Self>();
    /// Columns that are loaded and transposed together: 16 bytes of a row.
    const BLOCK: usize = 16 / size_of::<Self>();

    /// # Safety
    /// AVX2.
    unsafe fn splat(value: Self) -> Self::Register;
    /// Returns `LANES` elements at `from`.
    /// # Safety
    /// AVX2; they can be read.
    unsafe fn load(from: *const Self) -> Self::Register;
    /// # Safety
    /// AVX2; `LANES` elements at `to` can be written.
    unsafe fn store(to: *mut Self, lanes: Self::Register);
    /// Returns `BLOCK` columns of `LANES` rows, the rows `width` apart; elements past `BLOCK` are unspecified.
    /// # Safety
    /// AVX2; `BLOCK` elements at each row can be read.
    unsafe fn block(from: *const Self, width: usize) -> [Self::Register; 4];
    /// Returns `sum + a * x`, both rounded.
    /// # Safety
    /// AVX2.
    unsafe fn accumulate(sum: Self::Register, a: Self::Register, x: Self::Register) -> Self::Register;
}

/// Multiplies with the kernels of `T`, whichever of the four scalars it is.
///
/// # Safety
/// As [`multiply`](super::interior::multiply), and AVX2.
pub(in crate::csr::kernels) unsafe fn multiply<T: Scalar, const K: usize>(
    a: Table<'_, T>,
    runs: &[Run],
    v: Vectors<T, K>,
) {
    // SAFETY: the caller's promise; scalars of one name are one type.
    unsafe {
        match T::NAME {
            <f32 as Scalar>::NAME => multiply_lanes::<f32, K>(a.cast(), runs, v.cast()),
            <f64 as Scalar>::NAME => multiply_lanes::<f64, K>(a.cast(), runs, v.cast()),
            <Complex32 as Scalar>::NAME => multiply_lanes::<Complex32, K>(a.cast(), runs, v.cast()),
            _ => multiply_lanes::<Complex64, K>(a.cast(), runs, v.cast()),
        }
    }
}

/// # Safety
/// As [`multiply`].
#[target_feature(enable = "avx2")]
unsafe fn multiply_lanes<T: Lanes, const K: usize>(a: Table<'_, T>, runs: &[Run], v: Vectors<T, K>) {
    for run in runs {
        // SAFETY: the caller's promise; `new` makes runs of at least two registers.
        unsafe {
            let first = at(run.first);
            let width = a.starts.get_unchecked(first + 1) - a.starts.get_unchecked(first);
            match run.kind {
                Kind::Uniform => multiply_uniform(a, run, width, v),
                Kind::Shifted if width >= T::BLOCK || width == 1 => multiply_shifted(a, run, width, v),
                _ => multiply_rows(a, run, v),
            }
        }
    }
}

/// # Safety
/// As [`multiply`], for a shifted run of rows of one entry or `width >= BLOCK` entries.
#[inline(always)]
unsafe fn multiply_shifted<T: Lanes, const K: usize>(a: Table<'_, T>, run: &Run, width: usize, v: Vectors<T, K>) {
    let (first, rows) = (at(run.first), at(run.rows));
    // SAFETY: `step + LANES <= rows`, so all rows read are of this run.
    unsafe {
        let start = *a.starts.get_unchecked(first);
        let columns = a.columns.as_ptr().add(start);
        prefetch_after(a, run, width);
        let mut done = 0;
        while done < rows {
            let step = done.min(rows - T::LANES);
            let values = a.values.as_ptr().add(start + step * width);
            prefetch(values, T::LANES * width, AHEAD);
            let sums = sum_lanes(values, columns, width, step, v);
            write_lanes(first, step, done, sums, v);
            done = step + T::LANES;
        }
    }
}

/// Sums of `LANES` rows, from their first value and the columns of their run's first row, `step` rows above.
///
/// # Safety
/// As [`multiply_shifted`]; all those rows are of the run.
#[inline(always)]
unsafe fn sum_lanes<T: Lanes, const K: usize>(
    values: *const T,
    columns: *const u32,
    width: usize,
    step: usize,
    v: Vectors<T, K>,
) -> [T::Register; K] {
    // SAFETY: the caller's promise; a block lies within each row.
    unsafe {
        let mut sums = [T::splat(T::ZERO); K];
        if width == 1 {
            add_column(&mut sums, T::load(values), at(*columns) + step, v);
            return sums;
        }
        let mut from = 0;
        while from + T::BLOCK <= width {
            let block = T::block(values.add(from), width);
            for (b, &column) in block.iter().enumerate().take(T::BLOCK) {
                add_column(&mut sums, column, at(*columns.add(from + b)) + step, v);
            }
            from += T::BLOCK;
        }
        if from < width {
            // The last block ends with the row; its first columns are summed already.
            let last = width - T::BLOCK;
            let block = T::block(values.add(last), width);
            for (b, &column) in block.iter().enumerate().take(T::BLOCK) {
                if last + b >= from {
                    add_column(&mut sums, column, at(*columns.add(last + b)) + step, v);
                }
            }
        }
        sums
    }
}

/// Asks for the first rows after a run: of each run little is read, and that far apart.
#[inline(always)]
fn prefetch_after<T: Lanes>(a: Table<'_, T>, run: &Run, width: usize) {
    let (first, rows) = (at(run.first), at(run.rows));
    let entry = a.starts[first] + rows * width;
    prefetch(a.starts.as_ptr().wrapping_add(first + rows), 8, 0);
    prefetch(a.columns.as_ptr().wrapping_add(entry), (4 * width).min(AT_ONCE), 0);
    if run.kind == Kind::Uniform {
        prefetch(a.values.as_ptr().wrapping_add(entry), (4 * width).min(AT_ONCE), 0);
    }
}

/// Adds the products of one column of the lanes, whose first row has column `c`.
///
/// # Safety
/// AVX2; `c..c + LANES` are indices of each `x`.
#[inline(always)]
unsafe fn add_column<T: Lanes, const K: usize>(
    sums: &mut [T::Register; K],
    values: T::Register,
    c: usize,
    v: Vectors<T, K>,
) {
    for (sum, x) in sums.iter_mut().zip(v.x) {
        // SAFETY: the caller's promise.
        unsafe { *sum = T::accumulate(*sum, values, T::load(x.add(c))) }
    }
}

/// # Safety
/// As [`multiply`], for a uniform run.
#[inline(always)]
unsafe fn multiply_uniform<T: Lanes, const K: usize>(a: Table<'_, T>, run: &Run, width: usize, v: Vectors<T, K>) {
    let (first, rows) = (at(run.first), at(run.rows));
    // SAFETY: `step + 2 LANES <= rows`, so all rows meant are of this run.
    unsafe {
        let start = *a.starts.get_unchecked(first);
        let (columns, values) = (a.columns.as_ptr().add(start), a.values.as_ptr().add(start));
        prefetch_after(a, run, width);
        let mut done = 0;
        while done < rows {
            let step = done.min(rows - 2 * T::LANES);
            let mut low = [T::splat(T::ZERO); K];
            let mut high = low;
            for j in 0..width {
                let value = T::splat(*values.add(j));
                let c = at(*columns.add(j)) + step;
                for k in 0..K {
                    let x = v.x[k].add(c);
                    low[k] = T::accumulate(low[k], value, T::load(x));
                    high[k] = T::accumulate(high[k], value, T::load(x.add(T::LANES)));
                }
            }
            write_lanes(first, step, done.min(step + T::LANES), low, v);
            write_lanes(first, step + T::LANES, done.max(step + T::LANES), high, v);
            done = step + 2 * T::LANES;
        }
    }
}

/// Writes lanes that stand for the rows `step..step + LANES` of a run, from row `done` on.
///
/// # Safety
/// AVX2; `step <= done <= step + LANES`; those rows lie in each `y`.
#[inline(always)]
unsafe fn write_lanes<T: Lanes, const K: usize>(
    first: usize,
    step: usize,
    done: usize,
    sums: [T::Register; K],
    v: Vectors<T, K>,
) {
    // SAFETY: the caller's promise; a scalar has at least 4 bytes, so 8 hold a register.
    unsafe {
        if done == step && !v.add {
            for (y, sums) in v.y.iter().zip(sums) {
                T::store(y.add(first + step), sums);
            }
            return;
        }
        let mut rows = [[T::ZERO; 8]; K];
        for (rows, sums) in rows.iter_mut().zip(sums) {
            T::store(rows.as_mut_ptr(), sums);
        }
        for lane in done - step..T::LANES {
            v.write(first + step + lane, rows.map(|row| row[lane]));
        }
    }
}

/// Computes two columns of four rows of 8-byte scalars.
///
/// # Safety
/// AVX2; 16 bytes at each row can be read.
#[inline(always)]
unsafe fn transpose(rows: [*const f64; 4]) -> [__m256d; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let [r0, r1, r2, r3] =
            [_mm_loadu_pd(rows[0]), _mm_loadu_pd(rows[1]), _mm_loadu_pd(rows[2]), _mm_loadu_pd(rows[3])];
        let even = _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(r0), r2);
        let odd = _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(r1), r3);
        [_mm256_unpacklo_pd(even, odd), _mm256_unpackhi_pd(even, odd)]
    }
}

macro_rules! lanes {
    ($scalar:ty, $register:ty, $load:ident, $store:ident, $real:ty,
     splat: |$value:ident| $splat:expr, block: |$from:ident, $width:ident| $block:expr,
     multiply: |$a:ident, $x:ident| $multiply:expr, add: $add:ident) => {
        impl Lanes for $scalar {
            type Register = $register;
            #[inline(always)]
            unsafe fn splat($value: Self) -> $register {
                // SAFETY: the trait's promise.
                unsafe { $splat }
            }
            #[inline(always)]
            unsafe fn load(from: *const Self) -> $register {
                // SAFETY: the trait's promise.
                unsafe { $load(from.cast::<$real>()) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut Self, lanes: $register) {
                // SAFETY: the trait's promise.
                unsafe { $store(to.cast::<$real>(), lanes) }
            }
            #[inline(always)]
            unsafe fn block($from: *const Self, $width: usize) -> [$register; 4] {
                // SAFETY: the trait's promise.
                unsafe { $block }
            }
            #[inline(always)]
            unsafe fn accumulate(sum: $register, $a: $register, $x: $register) -> $register {
                // SAFETY: the trait's promise.
                unsafe { $add(sum, $multiply) }
            }
        }
    };
}

lanes!(f64, __m256d, _mm256_loadu_pd, _mm256_storeu_pd, f64,
    splat: |value| _mm256_set1_pd(value),
    block: |from, width| {
        let [c0, c1] = transpose([from, from.add(width), from.add(2 * width), from.add(3 * width)]);
        [c0, c1, c1, c1]
    },
    multiply: |a, x| _mm256_mul_pd(a, x), add: _mm256_add_pd);

// Two f32 columns travel as one f64; rows are taken in the order that the last shuffle undoes.
lanes!(f32, __m256, _mm256_loadu_ps, _mm256_storeu_ps, f32,
    splat: |value| _mm256_set1_ps(value),
    block: |from, width| {
        let row = |i: usize| from.wrapping_add(i * width).cast::<f64>();
        let [p01, p23] = transpose([row(0), row(1), row(4), row(5)]);
        let [q01, q23] = transpose([row(2), row(3), row(6), row(7)]);
        let [p01, p23, q01, q23] = [_mm256_castpd_ps(p01), _mm256_castpd_ps(p23), _mm256_castpd_ps(q01), _mm256_castpd_ps(q23)];
        [
            _mm256_shuffle_ps::<0b10_00_10_00>(p01, q01), _mm256_shuffle_ps::<0b11_01_11_01>(p01, q01),
            _mm256_shuffle_ps::<0b10_00_10_00>(p23, q23), _mm256_shuffle_ps::<0b11_01_11_01>(p23, q23),
        ]
    },
    multiply: |a, x| _mm256_mul_ps(a, x), add: _mm256_add_ps);

// (ar xr - ai xi, ar xi + ai xr), the formula and roundings of num-complex.
lanes!(Complex64, __m256d, _mm256_loadu_pd, _mm256_storeu_pd, f64,
    splat: |value| _mm256_setr_pd(value.re, value.im, value.re, value.im),
    block: |from, width| {
        let row = |i: usize| _mm_loadu_pd(from.wrapping_add(i * width).cast::<f64>());
        [_mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(row(0)), row(1)); 4]
    },
    multiply: |a, x| _mm256_addsub_pd(
        _mm256_mul_pd(_mm256_movedup_pd(a), x),
        _mm256_mul_pd(_mm256_permute_pd::<0b1111>(a), _mm256_permute_pd::<0b0101>(x))),
    add: _mm256_add_pd);

lanes!(Complex32, __m256, _mm256_loadu_ps, _mm256_storeu_ps, f32,
    splat: |value| _mm256_setr_ps(value.re, value.im, value.re, value.im, value.re, value.im, value.re, value.im),
    block: |from, width| {
        let row = |i: usize| from.wrapping_add(i * width).cast::<f64>();
        let [c0, c1] = transpose([row(0), row(1), row(2), row(3)]);
        [_mm256_castpd_ps(c0), _mm256_castpd_ps(c1), _mm256_castpd_ps(c1), _mm256_castpd_ps(c1)]
    },
    multiply: |a, x| _mm256_addsub_ps(
        _mm256_mul_ps(_mm256_moveldup_ps(a), x),
        _mm256_mul_ps(_mm256_movehdup_ps(a), _mm256_permute_ps::<0b10_11_00_01>(x))),
    add: _mm256_add_ps);
