//! Sums over the samples of each pixel: hits, `P^T W P` and `P^T W d`, with the same bits on any number of ranks.
//!
//! A pixel is hit by samples of several ranks, so its sums are made in fixed point
//! ([`fixed_point`](crate::fixed_point)). Weights are known before the first sample is read, and bound the blocks; the
//! signal is not, and its sums take larger terms as they come.

use dolmen_core::{Combine, index::at};

use crate::fixed_point::{DIGITS, Digits, LIMBS, Scale};
use crate::merging::Pair;
use crate::pixel_blocks::packed_len;
use crate::pixels::Pixels;

/// Sums of the pixels that this rank sees, in the order in which they were first seen.
pub(crate) struct PixelSums<const N: usize> {
    blocks: Scale,
    digits: Digits,
    /// For each pixel: hits, the limbs of each entry of its block, the digits of its signal.
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

    /// Creates sums for at most `samples` samples, over all ranks, none of which weighs more than `weight`.
    pub(crate) fn new(samples: u64, weight: f64) -> PixelSums<N> {
        #[expect(clippy::cast_precision_loss, reason = "a bound, rounded by one part in 2^53")]
        let count = samples.max(1) as f64;
        PixelSums { blocks: Scale::new(count * weight, count), digits: Digits::new(samples), sums: Vec::new() }
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
        let mut place = [self.digits.place()];
        pixels.layout.comm().all_reduce_max(&mut place);
        let by = self.digits.raise_to(place[0]);
        if by > 0 {
            self.move_up(by);
        }
        let owned = pixels.layout.local_len();
        let mut sums =
            OwnedSums { hits: vec![0; owned], blocks: vec![0.0; owned * Self::BLOCK], signal: vec![0.0; owned * N] };
        let (mut copies, mut received) = (Vec::new(), Vec::new());
        // Piece by piece, so that no second copy of all is made.
        let mut export = |first: usize, width: usize, into: &mut dyn FnMut(usize, &[i64])| {
            copies.clear();
            copies.extend(order.iter().flat_map(|&number| &self.sums[at(number) * Self::WIDTH + first..][..width]));
            received.clear();
            received.resize(owned * width, 0i64);
            pixels.plan.start_export(&copies, width).finish(Combine::Add, &mut received);
            received.chunks_exact(width).enumerate().for_each(|(pixel, sum)| into(pixel, sum));
        };
        export(0, 1, &mut |pixel, sum| sums.hits[pixel] = sum[0]);
        for entry in 0..Self::BLOCK {
            let into = &mut |pixel: usize, sum: &[i64]| {
                sums.blocks[pixel * Self::BLOCK + entry] = self.blocks.value(sum);
            };
            export(1 + entry * LIMBS, LIMBS, into);
        }
        let converter = self.digits.converter();
        for stokes in 0..N {
            let into = &mut |pixel: usize, sum: &[i64]| sums.signal[pixel * N + stokes] = converter.value(sum);
            export(Self::SIGNAL + stokes * DIGITS, DIGITS, into);
        }
        sums
    }
}
