//! Samples of one baseline in one pixel, merged into a pair.
//!
//! A destriper needs no samples: with `A = P^T W F`, of which a pair of a pixel and a baseline has the sums of the
//! Stokes weights, the system for the offsets is `F^T W F - A^T (P^T W P)^-1 A`. A baseline is on one rank, and its
//! sums are made in time order: the same on any number of ranks.

use crate::pixel_blocks::outer;
use crate::pixels::PixelNumbering;

/// Largest number of entries of a pixel's block.
const BLOCK: usize = 6;

/// Computes the weights of a sample for the Stokes parameters of the map.
#[inline(always)]
pub(crate) fn weights<const N: usize>(cos: f64, sin: f64) -> [f64; N] {
    const { assert!(N >= 1 && N <= 3, "I, QU or IQU") };
    std::array::from_fn(|i| match (N, i) {
        (1, _) | (3, 0) => 1.0,
        (2, 0) | (3, 1) => cos,
        _ => sin,
    })
}

/// Sums over the samples of a baseline in a pixel, without their weight.
#[derive(Clone, Copy)]
pub(crate) struct Pair<const N: usize> {
    /// Number of the pixel, in the order in which pixels were first seen.
    pub(crate) number: u32,
    /// Number of samples.
    pub(crate) hits: u32,
    /// The pixel.
    pub(crate) pixel: u64,
    /// Sum of the signal.
    pub(crate) signal: f64,
    /// Sums of the Stokes weights.
    pub(crate) stokes: [f64; N],
    /// Sums of the signal times the Stokes weights.
    pub(crate) signal_stokes: [f64; N],
    /// Sums of products of Stokes weights, packed.
    pub(crate) block: [f64; BLOCK],
}

/// Merges the samples of one baseline after the other.
pub(crate) struct Merger<const N: usize> {
    numbering: PixelNumbering,
    /// For each pixel number the position of its pair, if there is one.
    position: Vec<u32>,
    pairs: Vec<Pair<N>>,
}

impl<const N: usize> Merger<N> {
    pub(crate) fn new(numbering: PixelNumbering) -> Merger<N> {
        Merger { numbering, position: Vec::new(), pairs: Vec::new() }
    }

    /// Adds a sample to the baseline.
    #[inline]
    pub(crate) fn add(&mut self, pixel: u64, cos: f64, sin: f64, signal: f64) {
        let stokes = weights::<N>(cos, sin);
        let pair = self.pair(pixel);
        pair.hits += 1;
        pair.signal += signal;
        for (i, weight) in stokes.into_iter().enumerate() {
            pair.stokes[i] += weight;
            pair.signal_stokes[i] += signal * weight;
        }
        outer(stokes, |k, product| pair.block[k] += product);
    }

    /// Returns the pair of a pixel.
    #[inline]
    fn pair(&mut self, pixel: u64) -> &mut Pair<N> {
        // Neighbors in time often look at one pixel.
        if self.pairs.last().is_some_and(|pair| pair.pixel == pixel) {
            return self.pairs.last_mut().expect("invariant: there is a last one");
        }
        let number = self.numbering.number(pixel);
        let slot = dolmen_core::index::at(number);
        if slot == self.position.len() {
            self.position.push(0);
        }
        // A position of an earlier baseline points to another pixel's pair, or past the end.
        let position = dolmen_core::index::at(self.position[slot]);
        if self.pairs.get(position).is_none_or(|pair| pair.number != number) {
            self.position[slot] = u32::try_from(self.pairs.len()).expect("invariant: fewer pairs than pixels");
            let (stokes, block) = ([0.0; N], [0.0; BLOCK]);
            self.pairs.push(Pair { number, hits: 0, pixel, signal: 0.0, stokes, signal_stokes: stokes, block });
            return self.pairs.last_mut().expect("invariant: it was pushed");
        }
        &mut self.pairs[position]
    }

    /// Returns the pairs of the baseline, in the order in which its samples met their pixels.
    pub(crate) fn pairs(&self) -> &[Pair<N>] {
        &self.pairs
    }

    /// Starts the next baseline.
    pub(crate) fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Returns the pixels that were seen.
    pub(crate) fn into_numbering(self) -> PixelNumbering {
        self.numbering
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_pixel_become_one_pair() {
        let mut merger = Merger::<3>::new(PixelNumbering::new(48).unwrap());
        for baseline in [1.0, 2.0] {
            merger.clear();
            for (pixel, cos, signal) in [(7, 0.5, 1.0), (7, 0.25, 2.0), (40, 1.0, 4.0), (7, -1.0, 8.0)] {
                merger.add(pixel, cos, 0.0, signal * baseline);
            }
            let [first, second] = merger.pairs() else { panic!("two pixels") };
            assert_eq!((first.pixel, first.number, first.hits, first.signal), (7, 0, 3, 11.0 * baseline));
            assert_eq!((first.stokes, first.signal_stokes[1]), ([3.0, -0.25, 0.0], -7.0 * baseline));
            assert_eq!(first.block, [3.0, -0.25, 0.0, 1.3125, 0.0, 0.0]);
            assert_eq!((second.pixel, second.number, second.hits), (40, 1, 1));
        }
    }

    #[test]
    fn weights_of_each_kind_of_map() {
        assert_eq!(weights::<1>(0.6, 0.8), [1.0]);
        assert_eq!(weights::<2>(0.6, 0.8), [0.6, 0.8]);
        assert_eq!(weights::<3>(0.6, 0.8), [1.0, 0.6, 0.8]);
    }
}
