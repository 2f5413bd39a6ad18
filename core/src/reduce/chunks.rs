//! The loop over a rank's entries that all sums share.
//!
//! Entries are summed plainly in blocks of 256, each in one order. Several sums are taken side by
//! side, a chunk of entries at a time, so that a vector which many of them read (the new direction
//! of GMRES beside its basis) comes from memory once. Each operand then is a short piece of memory
//! at a time, at whose start the hardware has not begun to read ahead; so the piece that comes
//! next is asked for while this one is summed, which makes twenty products twice as fast.

use std::ops::Range;

use crate::simd;

/// Independent lanes of a sum.
pub(super) const LANES: usize = 16;

/// Entries of a block.
pub(super) const BLOCK: usize = 256;
/// Bytes of an operand that are handled before the next operand: with it and with what was asked
/// for ahead they fit the first-level cache.
const CHUNK_BYTES: usize = 16 << 10;
/// Sums of blocks that are kept before they are handed over, so that adding them exactly costs
/// little beside the blocks themselves.
pub(super) const KEPT: usize = 32;

/// Sums `f(a[i], b[i])` over the blocks that start at `whole.start`, where `operands(j)` gives `a`
/// and `b` of sum `j`; hands sums of blocks of part `p` over to `take(j * P + p, ..)`, in order.
pub(super) fn sum_blocks<'v, A: Copy + 'v, const P: usize>(
    whole: &Range<usize>,
    count: usize,
    kept: &mut Vec<f64>,
    operands: &impl Fn(usize) -> [&'v [A]; 2],
    f: &impl Fn(A, A) -> [f64; P],
    mut take: impl FnMut(usize, &[f64]),
) {
    const { assert!(BLOCK * size_of::<A>() <= CHUNK_BYTES) };
    let at_once = CHUNK_BYTES / (BLOCK * size_of::<A>());
    kept.clear();
    kept.resize(count * P * KEPT, 0.0);
    let mut filled = 0;
    for start in whole.clone().step_by(BLOCK * at_once) {
        let range = start..whole.end.min(start + BLOCK * at_once);
        let blocks = range.len().div_ceil(BLOCK);
        if filled + blocks > KEPT {
            hand_over(kept, filled, &mut take);
            filled = 0;
        }
        for (j, kept) in kept.chunks_exact_mut(P * KEPT).enumerate() {
            let [a, b] = operands(j).map(|operand| &operand[range.clone()]);
            let kept = &mut kept[filled..];
            if count == 1 {
                // One product is read in one go, which the hardware foresees.
                simd::dispatch(|| add_blocks(a, b, f, |_| {}, kept));
                continue;
            }
            let next = match j + 1 {
                after if after < count => operands(after).map(|operand| operand[range.clone()].as_ptr()),
                _ => operands(0).map(|operand| operand.as_ptr().wrapping_add(range.end)),
            };
            let ask = |of: *const A, at: usize| simd::prefetch(of.wrapping_add(at), LANES, 0);
            if next[1] == b.as_ptr() {
                simd::dispatch(|| add_blocks(a, b, f, |at| ask(next[0], at), kept));
            } else {
                simd::dispatch(|| add_blocks(a, b, f, |at| next.iter().for_each(|&of| ask(of, at)), kept));
            }
        }
        filled += blocks;
    }
    hand_over(kept, filled, &mut take);
}

fn hand_over(kept: &[f64], filled: usize, take: &mut impl FnMut(usize, &[f64])) {
    kept.chunks_exact(KEPT).enumerate().for_each(|(sum, kept)| take(sum, &kept[..filled]));
}

/// Sums of the blocks of `a` and `b`; those of part `p` go to `sums` from `p * KEPT` on. `ask` is told
/// how far the sum has come.
#[inline(always)]
fn add_blocks<A: Copy, const P: usize>(
    a: &[A],
    b: &[A],
    f: &impl Fn(A, A) -> [f64; P],
    ask: impl Fn(usize),
    sums: &mut [f64],
) {
    for (block, (a, b)) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).enumerate() {
        let values = add_block(a, b, f, |at| ask(block * BLOCK + at));
        for part in 0..P {
            sums[part * KEPT + block] = values[part];
        }
    }
}

/// Adds up one block in its one order: sixteen lanes, and the lanes by halves. Entries beyond the
/// end of a vector count as zero, which changes nothing. `ask` is told how far the sum has come.
#[inline(always)]
pub(super) fn add_block<A: Copy, const P: usize>(
    a: &[A],
    b: &[A],
    f: impl Fn(A, A) -> [f64; P],
    ask: impl Fn(usize),
) -> [f64; P] {
    let mut lanes = [[0.0; LANES]; P];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (group, (a, b)) in a.iter().zip(b).enumerate() {
        ask(group * LANES);
        for i in 0..LANES {
            let values = f(a[i], b[i]);
            for part in 0..P {
                lanes[part][i] += values[part];
            }
        }
    }
    for (i, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        let values = f(a, b);
        for part in 0..P {
            lanes[part][i] += values[part];
        }
    }
    lanes.map(add_lanes)
}

/// Adds up lanes by halves.
#[inline(always)]
pub(super) fn add_lanes(mut lanes: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, whose sums are exact, so that the plain loop is an independent answer.
    #[test]
    fn any_number_of_blocks_and_sums_is_handed_over() {
        let vectors: Vec<Vec<f32>> =
            [3u16, 5, 7].iter().map(|m| (0..20_000u16).map(|i| f32::from(i % m)).collect()).collect();
        for whole in [0..0, 7..8, 3..259, 0..8192, 5..8198, 100..20_000] {
            for count in 0..=vectors.len() {
                let mut found = vec![0.0; 2 * count];
                sum_blocks(
                    &whole,
                    count,
                    &mut Vec::new(),
                    &|j| [&vectors[j][..], &vectors[0][..]],
                    &|a, b| [f64::from(a) * f64::from(b), f64::from(a)],
                    |sum, blocks| found[sum] += blocks.iter().sum::<f64>(),
                );
                for (j, vector) in vectors.iter().take(count).enumerate() {
                    let pairs = vector[whole.clone()].iter().zip(&vectors[0][whole.clone()]);
                    let product: f64 = pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                    let sum: f64 = vector[whole.clone()].iter().map(|&a| f64::from(a)).sum();
                    assert_eq!(found[2 * j..2 * j + 2], [product, sum], "{whole:?} of vector {j}");
                }
            }
        }
    }
}
