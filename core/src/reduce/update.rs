//! The loop that changes entries and sums what comes out of it in the same pass.
//!
//! A group of entries is read, changed and written in registers, and what it adds to the sums goes to
//! the lanes of its block, in the order of [`chunks`](super::chunks): the sums have the bits that a
//! pass of their own would give them.

use std::array;
use std::ops::Range;

use crate::comm::disagreement::Disagreement;
use crate::layout::Layout;
use crate::reduce::chunks::{BLOCK, KEPT, LANES, add_lanes};
use crate::reduce::parts::Total;
use crate::reduce::summands::Summands;
use crate::reduce::{Summation, add_up, complex_product, real_product};
use crate::scalar::Scalar;
use crate::simd;
use crate::threads;

/// Entries of vectors that change, entries that are only read, and how they change: `entry` makes the
/// new from the old ones, and the pairs whose inner products are wanted.
struct Update<'v, T, E, F, const W: usize, const R: usize> {
    outputs: [&'v mut [T]; W],
    inputs: [&'v [T]; R],
    entry: E,
    product: F,
}

/// Changes entries, and sums the inner products of the pairs that `entry` gives over all ranks, in one
/// reduction with which the riders are added up.
///
/// # Collective
pub(crate) fn update_sums<T: Scalar, const W: usize, const R: usize, const N: usize>(
    layout: &Layout,
    summation: Summation<'_>,
    outputs: [&mut [T]; W],
    inputs: [&[T]; R],
    entry: impl Fn([T; W], [T; R]) -> ([T; W], [(T, T); N]) + Sync,
) -> Result<[T::Double; N], Disagreement> {
    let mut out = [T::Double::ZERO; N];
    if T::COMPLEX {
        let product = |a, b| complex_product(1.0, a, b);
        add_up(layout, summation, &mut out, &mut Update { outputs, inputs, entry, product })?;
    } else {
        let product = real_product;
        add_up(layout, summation, &mut out, &mut Update { outputs, inputs, entry, product })?;
    }
    Ok(out)
}

/// Changes entries.
pub(crate) fn update_entries<T: Scalar, const W: usize, const R: usize>(
    outputs: [&mut [T]; W],
    inputs: [&[T]; R],
    entry: impl Fn([T; W], [T; R]) -> [T; W] + Sync,
) {
    let whole = 0..outputs.first().map_or(0, |output| output.len());
    let entry = |old, given| (entry(old, given), []);
    Update { outputs, inputs, entry, product: real_product }.add_blocks(&whole, &mut [0.0; 0], &mut Vec::new());
}

impl<T, E, F, const W: usize, const R: usize, const N: usize, const P: usize> Summands<P> for Update<'_, T, E, F, W, R>
where
    T: Scalar,
    E: Fn([T; W], [T; R]) -> ([T; W], [(T, T); N]) + Sync,
    F: Fn(T, T) -> [f64; P] + Sync,
{
    fn write(&mut self, rows: Range<usize>, out: &mut [[f64; P]]) {
        for (i, row) in rows.clone().enumerate() {
            let old = array::from_fn(|k| self.outputs[k][row]);
            let (new, pairs) = (self.entry)(old, array::from_fn(|k| self.inputs[k][row]));
            self.outputs.iter_mut().zip(new).for_each(|(output, new)| output[row] = new);
            for (j, (a, b)) in pairs.into_iter().enumerate() {
                out[j * rows.len() + i] = (self.product)(a, b);
            }
        }
    }

    fn add_blocks<S: Total>(&mut self, whole: &Range<usize>, totals: &mut [S], _of_parts: &mut Vec<S>) {
        let Update { outputs, inputs, entry, product } = self;
        let outputs = outputs.each_mut().map(|output| &mut output[whole.clone()]);
        let inputs = inputs.map(|input| &input[whole.clone()]);
        let parts = threads::parts(whole.len() * N.max(1));
        let cut = |part| threads::equal_part(part, parts, whole.len(), BLOCK).start;
        let run = |part, outputs| update_part(outputs, inputs.map(|input| &input[cut(part)..]), entry, product);
        let sums = threads::reduce_parts(parts, outputs, &cut, &run, &|mut sums: [[S; P]; N], others| {
            sums.as_flattened_mut().iter_mut().zip(others.as_flattened()).for_each(|(sum, other)| sum.add_total(other));
            sums
        });
        totals.iter_mut().zip(sums.as_flattened()).for_each(|(total, sum)| total.add_total(sum));
    }
}

/// Changes the entries of one thread and gives their sums.
fn update_part<T: Scalar, S: Total, const W: usize, const R: usize, const N: usize, const P: usize>(
    mut outputs: [&mut [T]; W],
    inputs: [&[T]; R],
    entry: &impl Fn([T; W], [T; R]) -> ([T; W], [(T, T); N]),
    product: &impl Fn(T, T) -> [f64; P],
) -> [[S; P]; N] {
    let mut totals = [[S::default(); P]; N];
    let len = outputs.first().map_or(0, |output| output.len());
    for start in (0..len).step_by(KEPT * BLOCK) {
        let mut kept = [[[0.0; KEPT]; P]; N];
        let end = len.min(start + KEPT * BLOCK);
        simd::dispatch(|| {
            for (number, at) in (start..end).step_by(BLOCK).enumerate() {
                let rows = at..end.min(at + BLOCK);
                let block = outputs.each_mut().map(|output| &mut output[rows.clone()]);
                let sums = update_block(block, inputs.map(|input| &input[rows.clone()]), entry, product);
                for (kept, sum) in kept.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                    kept[number] = *sum;
                }
            }
        });
        let blocks = (end - start).div_ceil(BLOCK);
        let kept = kept.as_flattened();
        totals.as_flattened_mut().iter_mut().zip(kept).for_each(|(total, kept)| total.add_blocks(&kept[..blocks]));
    }
    totals
}

/// Changes the entries of one block and gives their sums.
#[inline(always)]
fn update_block<T: Scalar, const W: usize, const R: usize, const N: usize, const P: usize>(
    outputs: [&mut [T]; W],
    inputs: [&[T]; R],
    entry: &impl Fn([T; W], [T; R]) -> ([T; W], [(T, T); N]),
    product: &impl Fn(T, T) -> [f64; P],
) -> [[f64; P]; N] {
    let mut lanes = [[[0.0; LANES]; P]; N];
    let mut change = |lane: usize, old: [T; W], given: [T; R]| {
        let (new, pairs) = entry(old, given);
        for j in 0..N {
            let values = product(pairs[j].0, pairs[j].1);
            for part in 0..P {
                lanes[j][part][lane] += values[part];
            }
        }
        new
    };
    let groups = outputs.first().map_or(0, |output| output.len() / LANES);
    for group in 0..groups {
        let group_of = |entries: &[T]| -> [T; LANES] { entries.as_chunks().0[group] };
        let mut changed = outputs.each_ref().map(|output| group_of(output));
        let given = inputs.map(group_of);
        for i in 0..LANES {
            let new = change(i, array::from_fn(|k| changed[k][i]), array::from_fn(|k| given[k][i]));
            for k in 0..W {
                changed[k][i] = new[k];
            }
        }
        for k in 0..W {
            outputs[k].as_chunks_mut().0[group] = changed[k];
        }
    }
    let len = outputs.first().map_or(0, |output| output.len());
    for (lane, row) in (groups * LANES..len).enumerate() {
        let new = change(lane, array::from_fn(|k| outputs[k][row]), array::from_fn(|k| inputs[k][row]));
        for k in 0..W {
            outputs[k][row] = new[k];
        }
    }
    lanes.map(|lanes| lanes.map(add_lanes))
}
