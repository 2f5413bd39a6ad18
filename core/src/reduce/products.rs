//! Inner products of each column of one block of vectors with each of another.
//!
//! Taken one after the other, they read two numbers from cache for each product. Here tiles of columns are
//! multiplied with each other from registers: a quarter of the lanes of a block of entries at a time, so that the
//! sums of a whole tile fit the registers. Every lane still has its summands in their order, and the lanes of a
//! block are added up as everywhere, so the bits are those of [`chunks`](super::chunks). Of a block with itself each
//! product is taken once.

#![allow(unsafe_code)]

use std::array;
use std::ops::Range;

use crate::reduce::chunks::{BLOCK, KEPT, LANES, add_block, add_lanes};
use crate::reduce::parts::Total;
use crate::reduce::real_product;
use crate::reduce::summands::Summands;
use crate::scalar::{Real, Scalar};
use crate::simd;
use crate::threads;

/// Columns of a tile: twelve sums of a register each, three operands and one product are the sixteen registers of AVX2.
const LEFT: usize = 4;
const RIGHT: usize = 3;

/// Lanes that a tile takes at a time: one register of double precision.
const WIDTH: usize = 4;

/// Real columns, one after the other in both arrays, of `rows` entries each; product `i + j * counts[0]` is
/// that of column `i` of the left and column `j` of the right ones.
pub(super) struct Products<'v, T> {
    pub(super) columns: [&'v [T]; 2],
    pub(super) counts: [usize; 2],
    pub(super) rows: usize,
}

/// Entries of some rows of both blocks of columns.
#[derive(Clone, Copy)]
struct Operands<'v, T> {
    columns: [&'v [T]; 2],
    rows: usize,
}

impl<'v, T: Scalar> Operands<'v, T> {
    fn column(&self, side: usize, number: usize) -> &'v [T] {
        &self.columns[side][number * self.rows..][..self.rows]
    }
}

impl<T: Scalar> Summands<1> for Products<'_, T> {
    fn write(&mut self, rows: Range<usize>, out: &mut [[f64; 1]]) {
        let operands = Operands { columns: self.columns, rows: self.rows };
        let mut out = out.iter_mut();
        for j in 0..self.counts[1] {
            for i in 0..self.counts[0] {
                let [a, b] = [(0, i), (1, j)].map(|(side, number)| &operands.column(side, number)[rows.clone()]);
                a.iter().zip(b).zip(&mut out).for_each(|((&a, &b), out)| *out = real_product(a, b));
            }
        }
    }

    fn add_blocks<S: Total>(&mut self, whole: &Range<usize>, totals: &mut [S], of_parts: &mut Vec<S>) {
        let (operands, counts) = (Operands { columns: self.columns, rows: self.rows }, self.counts);
        let (count, parts) = (totals.len(), threads::parts(whole.len() * totals.len()));
        of_parts.clear();
        of_parts.resize(parts * count, S::default());
        threads::for_parts(parts, &mut of_parts[..], &|part| part * count, &|part, totals: &mut [S]| {
            let Range { start, end } = threads::equal_part(part, parts, whole.len(), BLOCK);
            add_part(operands, counts, &(whole.start + start..whole.start + end), totals);
        });
        for part in of_parts.chunks_exact(count) {
            totals.iter_mut().zip(part).for_each(|(total, part)| total.add_total(part));
        }
    }
}

/// Adds the sums of the blocks of some rows.
fn add_part<T: Scalar, S: Total>(operands: Operands<'_, T>, counts: [usize; 2], rows: &Range<usize>, totals: &mut [S]) {
    let mut kept = vec![[0.0; KEPT]; totals.len()];
    let mut filled = 0;
    for start in rows.clone().step_by(BLOCK) {
        let range = start..rows.end.min(start + BLOCK);
        add_rows(operands, counts, &range, |sum, value| kept[sum][filled] = value);
        filled += 1;
        if filled == KEPT || range.end == rows.end {
            totals.iter_mut().zip(&kept).for_each(|(total, kept)| total.add_blocks(&kept[..filled]));
            filled = 0;
        }
    }
}

/// Takes the sums of one block.
fn add_rows<T: Scalar>(
    operands: Operands<'_, T>,
    counts: [usize; 2],
    range: &Range<usize>,
    mut take: impl FnMut(usize, f64),
) {
    let symmetric = std::ptr::eq(operands.columns[0], operands.columns[1]);
    for first in (0..counts[1]).step_by(RIGHT) {
        for second in (0..counts[0]).step_by(LEFT).take_while(|second| !symmetric || *second < first + RIGHT) {
            // Of columns past the last one the last one is taken again.
            let right: [&[T]; RIGHT] = array::from_fn(|j| operands.column(1, (first + j).min(counts[1] - 1)));
            let left: [&[T]; LEFT] = array::from_fn(|i| operands.column(0, (second + i).min(counts[0] - 1)));
            let next = left.iter().filter(|_| first == 0).chain(right.iter().filter(|_| second == 0));
            next.for_each(|column| simd::prefetch(column.as_ptr().wrapping_add(range.end), BLOCK, 0));
            let sums = tile(left.map(|column| &column[range.clone()]), right.map(|column| &column[range.clone()]));
            for (i, sums) in (second..counts[0]).zip(sums) {
                for (j, sum) in (first..counts[1]).zip(sums) {
                    take(i + j * counts[0], sum);
                    if symmetric {
                        take(j + i * counts[0], sum);
                    }
                }
            }
        }
    }
}

/// Returns the sums of one block of each column of a tile with each other one.
fn tile<T: Scalar>(left: [&[T]; LEFT], right: [&[T]; RIGHT]) -> [[f64; RIGHT]; LEFT] {
    let (Some(left), Some(right)) = (whole(left), whole(right)) else {
        return left.map(|a| right.map(|b| add_block(a, b, real_product)[0]));
    };
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // A closure of this size would not be inlined, as `simd::dispatch` needs it.
        #[target_feature(enable = "avx2")]
        fn with_avx2<T: Scalar>(left: [&[T; BLOCK]; LEFT], right: [&[T; BLOCK]; RIGHT]) -> [[f64; RIGHT]; LEFT] {
            add_tile(left, right)
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was found just above.
            return unsafe { with_avx2(left, right) };
        }
    }
    add_tile(left, right)
}

/// Returns the columns if they are a whole block.
fn whole<T, const N: usize>(columns: [&[T]; N]) -> Option<[&[T; BLOCK]; N]> {
    let all = columns.iter().all(|column| column.len() == BLOCK);
    all.then(|| columns.map(|column| column.try_into().expect("invariant: its length was compared")))
}

/// [`tile`] of whole blocks. Plain loops over places, which the compiler turns into vectors.
#[inline(always)]
fn add_tile<T: Scalar>(left: [&[T; BLOCK]; LEFT], right: [&[T; BLOCK]; RIGHT]) -> [[f64; RIGHT]; LEFT] {
    let mut lanes = [[[0.0; LANES]; RIGHT]; LEFT];
    for lane in (0..LANES).step_by(WIDTH) {
        let mut sums = [[[0.0; WIDTH]; RIGHT]; LEFT];
        for group in (0..BLOCK).step_by(LANES) {
            let mut numbers = [[0.0; WIDTH]; RIGHT];
            for j in 0..RIGHT {
                for place in 0..WIDTH {
                    numbers[j][place] = right[j][group + lane + place].re().to_f64();
                }
            }
            for i in 0..LEFT {
                for j in 0..RIGHT {
                    for place in 0..WIDTH {
                        sums[i][j][place] += left[i][group + lane + place].re().to_f64() * numbers[j][place];
                    }
                }
            }
        }
        for i in 0..LEFT {
            for j in 0..RIGHT {
                lanes[i][j][lane..lane + WIDTH].copy_from_slice(&sums[i][j]);
            }
        }
    }
    let mut sums = [[0.0; RIGHT]; LEFT];
    for i in 0..LEFT {
        for j in 0..RIGHT {
            sums[i][j] = add_lanes(lanes[i][j]);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reduce::summands::Pairs;

    /// Compares with products taken one after the other.
    fn compare<T: Scalar>(rows: usize, counts: [usize; 2], same: bool) {
        let number = |i: usize| T::from_parts((i as f64 * 0.37).sin() * ((i % 90) as f64 - 40.0).exp2(), 0.0);
        let columns = [0, 1].map(|side| (0..rows * counts[side]).map(|i| number(i + 7 * side)).collect::<Vec<T>>());
        let columns = [&columns[0][..], if same { &columns[0][..] } else { &columns[1][..] }];
        let count = counts[0] * counts[1];
        let operands = |at: usize| {
            let [i, j] = [at % counts[0], at / counts[0]];
            [&columns[0][i * rows..][..rows], &columns[1][j * rows..][..rows]]
        };
        let mut pairs = Pairs { count, operands, f: real_product::<T> };
        let mut products = Products { columns, counts, rows };
        for whole in [0..rows, 3.min(rows)..rows, 0..rows.min(256)] {
            let [mut expected, mut found] = [vec![0.0f64; count], vec![0.0f64; count]];
            pairs.add_blocks(&whole, &mut expected, &mut Vec::new());
            products.add_blocks(&whole, &mut found, &mut Vec::new());
            let bits = |sums: &[f64]| sums.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&expected), "{counts:?} columns, rows {whole:?}");
        }
        let [mut expected, mut found] = [vec![[0.0]; 2 * count], vec![[0.0]; 2 * count]];
        let last = rows.saturating_sub(2)..rows;
        pairs.write(last.clone(), &mut expected);
        products.write(last, &mut found);
        assert_eq!(found, expected);
    }

    #[test]
    fn tiles_have_the_bits_of_single_products() {
        for rows in [0, 1, 255, 256, 700, 33 * 256 + 5] {
            for counts in [[3, 3], [4, 3], [5, 7], [9, 4]] {
                compare::<f64>(rows, counts, false);
                compare::<f32>(rows, counts, false);
            }
            for count in [3, 4, 7, 12] {
                compare::<f64>(rows, [count; 2], true);
            }
        }
    }
}
