//! The loop of [`chunks`](super::chunks) on all threads of a rank.
//!
//! Threads get consecutive blocks, each with sums of its own, which are added in their order. Exact
//! sums do not notice; plain ones do.

use std::array;
use std::cell::RefCell;
use std::ops::Range;

use crate::comm::Merge;
use crate::reduce::binned::BinnedSum;
use crate::reduce::chunks::{BLOCK, sum_blocks};
use crate::threads;

/// Sums that threads take side by side.
const AT_ONCE: usize = 8;

/// A sum of sums of blocks.
pub(super) trait Total: Copy + Default + Send {
    fn add_blocks(&mut self, blocks: &[f64]);
    fn add_total(&mut self, other: &Self);
}

impl Total for BinnedSum {
    fn add_blocks(&mut self, blocks: &[f64]) {
        self.add(blocks);
    }

    fn add_total(&mut self, other: &Self) {
        self.merge(other);
    }
}

impl Total for f64 {
    fn add_blocks(&mut self, blocks: &[f64]) {
        *self += blocks.iter().sum::<f64>();
    }

    fn add_total(&mut self, other: &Self) {
        *self += other;
    }
}

/// Adds `f(a[i], b[i])` for the blocks that start at `whole.start` to `totals`, where `operands(j)`
/// gives `a` and `b` of sum `j`, and total `j * P + p` is that of its part `p`. `of_parts` is memory
/// to work in.
pub(super) fn add_blocks<'v, A: Copy + Sync + 'v, S: Total, const P: usize>(
    whole: &Range<usize>,
    totals: &mut [S],
    of_parts: &mut Vec<S>,
    operands: &impl Fn(usize) -> [&'v [A]; 2],
    f: &(impl Fn(A, A) -> [f64; P] + Sync),
) {
    let count = totals.len() / P;
    let parts = threads::parts(whole.len() * count);
    if parts == 1 {
        return add_part(whole, totals, operands, f);
    }
    for first in (0..count).step_by(AT_ONCE) {
        let width = AT_ONCE.min(count - first) * P;
        // Slices can be handed to other threads, whatever the operands come from cannot.
        let slices: [_; AT_ONCE] = array::from_fn(|j| operands((first + j).min(count - 1)));
        of_parts.clear();
        of_parts.resize(parts * width, S::default());
        threads::for_parts(parts, &mut of_parts[..], &|part| part * width, &|part, totals: &mut [S]| {
            let Range { start, end } = threads::equal_part(part, parts, whole.len(), BLOCK);
            add_part(&(whole.start + start..whole.start + end), totals, &|j| slices[j], f);
        });
        for part in of_parts.chunks_exact(width) {
            totals[first * P..].iter_mut().zip(part).for_each(|(total, part)| total.add_total(part));
        }
    }
}

/// [`add_blocks`] on this thread.
fn add_part<'v, A: Copy + 'v, S: Total, const P: usize>(
    whole: &Range<usize>,
    totals: &mut [S],
    operands: &impl Fn(usize) -> [&'v [A]; 2],
    f: &impl Fn(A, A) -> [f64; P],
) {
    thread_local!(static KEPT: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) });
    KEPT.with_borrow_mut(|kept| {
        let count = totals.len() / P;
        sum_blocks(whole, count, kept, operands, f, |sum, blocks| totals[sum].add_blocks(blocks));
    });
}
