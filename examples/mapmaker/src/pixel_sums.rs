//! Sums over the samples of each pixel: hits, `P^T W P` and `P^T W d`, with the same bits on any number of ranks.
//!
//! A pixel is hit by samples of several ranks, so its sums are made in fixed point
//! ([`fixed_point`](crate::fixed_point)). Weights are known before the first sample is read, and bound the blocks; the
//! signal is not, and its sums take larger terms as they come.

use dolmen_core::{Combine, index::at, memory};

use crate::fixed_point::{Converter, Digits};
use crate::merging::Pair;
use crate::pixel_blocks::packed_len;
use crate::pixels::Pixels;

/// Digits of a sum of weights, whose bound is known.
const LIMBS: usize = 2;
/// Pixels that memory is reserved for: a sphere of nside 512.
const MOST_AT_ONCE: u64 = 12 << 18;
/// Digits of a sum of the signal.
const DIGITS: usize = 3;

/// Sums of the pixels that this rank sees, in the order in which they were first seen.
pub(crate) struct PixelSums<const N: usize> {
    blocks: Converter,
    digits: Digits,
    /// For each pixel: hits, the digits of each entry of its block, those of its signal.
    sums: Vec<i64>,
}

/// Sums of the pixels that this rank owns.
pub(crate) struct OwnedSums {
    /// Number of samples.
    pub(crate) hits: Vec<i64>,
    /// Blocks `P^T W P`, packed.
    pub(crate) blocks: Vec<f64>,
    /// `P^T W d`, interleaved.
    pub(crate) signal: Vec<f64>,
}

impl<const N: usize> PixelSums<N> {
    const BLOCK: usize = packed_len(N);
    /// First integer of the signal.
    const SIGNAL: usize = 1 + Self::BLOCK * LIMBS;
    /// Integers of a pixel.
    const WIDTH: usize = Self::SIGNAL + N * DIGITS;

    /// Creates sums for at most `samples` samples, over all ranks, of baselines none of which weighs more than `weight`.
    /// The sphere has `pixels` pixels.
    pub(crate) fn new(samples: u64, weight: f64, pixels: u64) -> PixelSums<N> {
        // Only what is used is taken, in large pages; a finer sphere makes the array grow.
        let pixels = usize::try_from(pixels.min(MOST_AT_ONCE)).expect("invariant: a small number");
        let sums = memory::with_capacity(pixels * Self::WIDTH);
        PixelSums { blocks: Converter::new(weight, samples), digits: Digits::new(samples), sums }
    }

    /// Adds the pairs of one baseline, whose samples have one weight.
    pub(crate) fn add(&mut self, pairs: &[Pair<N>], weight: f64) {
        let terms = pairs.iter().flat_map(|pair| pair.signal_stokes);
        let largest = terms.fold(0.0f64, |largest, term| largest.max(term.abs()));
        let by = self.digits.raise(largest * weight);
        if by > 0 {
            self.move_up(by);
        }
        let converter = self.digits.converter();
        for pair in pairs {
            let start = at(pair.number) * Self::WIDTH;
            if start >= self.sums.len() {
                self.sums.resize(start + Self::WIDTH, 0);
            }
            let sums = &mut self.sums[start..][..Self::WIDTH];
            sums[0] += i64::from(pair.hits);
            let (blocks, signal) = sums[1..].split_at_mut(Self::BLOCK * LIMBS);
            for (sum, term) in blocks.as_chunks_mut::<LIMBS>().0.iter_mut().zip(pair.block) {
                self.blocks.add(weight * term, sum);
            }
            for (sum, term) in signal.as_chunks_mut::<DIGITS>().0.iter_mut().zip(pair.signal_stokes) {
                converter.add(weight * term, sum);
            }
        }
    }

    fn move_up(&mut self, by: usize) {
        for pixel in self.sums.chunks_exact_mut(Self::WIDTH) {
            pixel[Self::SIGNAL..].chunks_exact_mut(DIGITS).for_each(|sum| Digits::shift(sum, by));
        }
    }

    /// Adds up the sums of all ranks; `order` gives the number of each seen pixel, by ascending pixels.
    ///
    /// # Collective
    pub(crate) fn into_owned(mut self, pixels: &Pixels, order: &[u32]) -> OwnedSums {
        // Pixels that these sums do not have.
        self.sums.resize(order.len() * Self::WIDTH, 0);
        let mut place = [self.digits.place()];
        pixels.layout.comm().all_reduce_max(&mut place);
        let by = self.digits.raise_to(place[0]);
        if by > 0 {
            self.move_up(by);
        }
        let owned = pixels.layout.local_len();
        let mut sums =
            OwnedSums { hits: vec![0; owned], blocks: vec![0.0; owned * Self::BLOCK], signal: vec![0.0; owned * N] };
        let (mut copies, mut received) = (Vec::new(), [(); DIGITS].map(|()| vec![0i64; owned]));
        // Integer by integer, so that no second copy of all is made.
        let mut export = |integer: usize, received: &mut [i64]| {
            copies.clear();
            copies.extend(order.iter().map(|&number| self.sums[at(number) * Self::WIDTH + integer]));
            received.fill(0);
            pixels.plan.start_export(&copies, 1).finish(Combine::Add, received);
        };
        export(0, &mut sums.hits);
        for entry in 0..Self::BLOCK {
            (0..LIMBS).for_each(|i| export(1 + entry * LIMBS + i, &mut received[i]));
            for (pixel, block) in sums.blocks.chunks_exact_mut(Self::BLOCK).enumerate() {
                block[entry] = self.blocks.value::<LIMBS>(&std::array::from_fn(|i| received[i][pixel]));
            }
        }
        let converter = self.digits.converter();
        for stokes in 0..N {
            (0..DIGITS).for_each(|i| export(Self::SIGNAL + stokes * DIGITS + i, &mut received[i]));
            for (pixel, signal) in sums.signal.chunks_exact_mut(N).enumerate() {
                signal[stokes] = converter.value::<DIGITS>(&std::array::from_fn(|i| received[i][pixel]));
            }
        }
        sums
    }
}
