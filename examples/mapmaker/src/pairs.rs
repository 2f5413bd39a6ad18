//! The pairs of pixels and baselines of a rank: first in time order, then pixel by pixel.
//!
//! While samples are read, pairs go to the patch of the sky that their pixel lies in, each to the end of its list. After that,
//! patch by patch, they are sorted by pixels into the rows of `A = P^T W F`, and each patch is freed as soon as it is
//! sorted: the whole takes little more memory than the rows alone. Pixel by pixel, because then the map streams
//! through a product and baselines, of which there are fewer, stay in cache.
//!
//! Single or double precision: the sums of a pair are rounded to the stored type once. Numbers of samples are whole and
//! exact, so that for intensity `A`, `F^T W F` and `P^T W P` agree to the last bit and constants stay in the null
//! space. Sums of cosines and sines are off by 2^-25 of themselves in single precision, which changes offsets by 1e-8
//! at most, and maps by less: far below a solve that stops at 1e-6, and too much for one that is asked for 1e-9.
//! Tolerances below [`SINGLE`] therefore store double precision, at 28 bytes a pair instead of 16.

use dolmen_core::{Gid, Lid, Stored, index::at, memory};

use crate::merging::Pair;

/// Least relative tolerance of a solve with pairs in single precision.
pub(crate) const SINGLE: f64 = 1e-7;

/// Bits of a pixel's number within its patch.
const PATCH_BITS: u32 = 16;

/// Values that the matrix adds behind the last one.
const SPARE: usize = 3;

/// Pairs of a map of `N` Stokes parameters in time order, patch by patch.
pub(crate) struct PairStore<const N: usize, S> {
    patches: Vec<Option<Box<Patch<S>>>>,
    len: usize,
}

/// Pairs in one patch of the sky.
struct Patch<S> {
    /// Baselines with pairs in this patch, ascending, and the number of their pairs.
    runs: Vec<(Lid, u32)>,
    pixel: Vec<u16>,
    hits: Vec<u16>,
    /// Of each pair the sum of its signal, and the sums of cosines and sines if the map is polarized.
    values: Vec<S>,
}

/// Use of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is in the maps, and samples in it take part in the solve for the offsets.
    Solve,
    /// It is in the maps only.
    Map,
    /// It is in no map.
    Nothing,
}

/// Pairs pixel by pixel: the rows of a matrix.
pub(crate) struct Rows<S> {
    /// Pixels, ascending.
    pub(crate) ids: Vec<Gid>,
    /// First pair of each pixel, and the number of all.
    pub(crate) starts: Vec<usize>,
    /// Baseline of each pair, counted on this rank.
    pub(crate) columns: Vec<Lid>,
    /// Sums of the Stokes weights of each pair.
    pub(crate) values: Vec<S>,
}

/// Pairs of a rank, sorted.
pub(crate) struct Sorted<S> {
    /// Pairs in pixels of the solve.
    pub(crate) solve: Rows<S>,
    /// Pairs in the other pixels of the maps.
    pub(crate) map: Rows<S>,
    /// Samples of each baseline that take part in the solve.
    pub(crate) hits: Vec<u64>,
    /// Sum of the signal of each baseline in pixels outside the solve.
    pub(crate) left_out: Vec<f64>,
}

impl<const N: usize, S: Stored> PairStore<N, S> {
    /// Sums of cosines and sines of a pair.
    const POLARIZED: usize = if N == 1 { 0 } else { 2 };

    /// Creates a store for a sphere of `pixels` pixels.
    pub(crate) fn new(pixels: u64) -> PairStore<N, S> {
        let patches = usize::try_from(pixels.div_ceil(1 << PATCH_BITS)).expect("invariant: checked by the numbering");
        PairStore { patches: (0..patches).map(|_| None).collect(), len: 0 }
    }

    /// Adds the pairs of the next baseline.
    pub(crate) fn add(&mut self, baseline: Lid, pairs: &[Pair<N>]) {
        for pair in pairs {
            let patch = usize::try_from(pair.pixel >> PATCH_BITS).expect("invariant: on the sphere");
            let within = u16::try_from(pair.pixel & 0xffff).expect("invariant: 16 bits");
            let patch = self.patches[patch].get_or_insert_default();
            let polarized = &pair.stokes[N - Self::POLARIZED..];
            // More samples than a count holds make several pairs; the first has all the other sums.
            let (mut left, mut share) = (pair.hits, 1.0);
            while left > 0 {
                let hits = u16::try_from(left).unwrap_or(u16::MAX);
                left -= u32::from(hits);
                match patch.runs.last_mut() {
                    Some((last, count)) if *last == baseline => *count += 1,
                    _ => patch.runs.push((baseline, 1)),
                }
                patch.pixel.push(within);
                patch.hits.push(hits);
                patch.values.push(S::rounded(pair.signal * share));
                patch.values.extend(polarized.iter().map(|&sum| S::rounded(sum * share)));
                self.len += 1;
                share = 0.0;
            }
        }
    }

    /// Sorts the pairs of `baselines` baselines by pixels; `uses` has the use of each pixel that has any, ascending.
    pub(crate) fn sort(self, baselines: usize, uses: impl IntoIterator<Item = Use>) -> Sorted<S> {
        let mut uses = uses.into_iter();
        let mut sorted = Sorted {
            solve: Rows::with_room_for(self.len, N),
            map: Rows::with_room_for(0, N),
            hits: vec![0; baselines],
            left_out: vec![0.0; baselines],
        };
        for (number, patch) in (0..).zip(self.patches) {
            if let Some(patch) = patch {
                patch.sort::<N>(number << PATCH_BITS, &mut uses, &mut sorted);
            }
        }
        sorted.solve.shrink(N);
        sorted
    }
}

impl<S> Default for Patch<S> {
    fn default() -> Self {
        Patch { runs: Vec::new(), pixel: Vec::new(), hits: Vec::new(), values: Vec::new() }
    }
}

impl<S: Stored> Patch<S> {
    /// Appends the pairs of this patch, whose first pixel is `first`, to the rows.
    fn sort<const N: usize>(&self, first: Gid, uses: &mut impl Iterator<Item = Use>, sorted: &mut Sorted<S>) {
        let mut next = vec![0usize; 1 << PATCH_BITS];
        let mut kinds = vec![Use::Nothing; 1 << PATCH_BITS];
        self.pixel.iter().for_each(|&pixel| next[usize::from(pixel)] += 1);
        for (id, (next, kind)) in (first..).zip(next.iter_mut().zip(&mut kinds)).filter(|(_, (next, _))| **next > 0) {
            *kind = uses.next().expect("invariant: a use for each pixel with pairs");
            match kind {
                Use::Solve => *next = sorted.solve.open(id, *next),
                Use::Map => *next = sorted.map.open(id, *next),
                Use::Nothing => (),
            }
        }
        sorted.solve.fill(N);
        sorted.map.fill(N);
        let width = self.values.len() / self.pixel.len();
        let mut pairs = self.pixel.iter().zip(&self.hits).zip(self.values.chunks_exact(width));
        for &(baseline, count) in &self.runs {
            let mut left_out = 0.0;
            for ((&pixel, &hits), values) in pairs.by_ref().take(at(count)) {
                let pixel = usize::from(pixel);
                if kinds[pixel] == Use::Solve {
                    sorted.hits[at(baseline)] += u64::from(hits);
                } else {
                    left_out += values[0].widened();
                }
                let rows = match kinds[pixel] {
                    Use::Solve => &mut sorted.solve,
                    Use::Map => &mut sorted.map,
                    Use::Nothing => continue,
                };
                rows.columns[next[pixel]] = baseline;
                let row = &mut rows.values[next[pixel] * N..][..N];
                if N != 2 {
                    row[0] = S::rounded(f64::from(hits));
                }
                row[N - (width - 1)..].copy_from_slice(&values[1..]);
                next[pixel] += 1;
            }
            sorted.left_out[at(baseline)] += left_out;
        }
    }
}

impl<S: Stored> Rows<S> {
    fn with_room_for(pairs: usize, width: usize) -> Rows<S> {
        let values = memory::with_capacity(pairs * width + SPARE);
        Rows { ids: Vec::new(), starts: vec![0], columns: memory::with_capacity(pairs), values }
    }

    /// Adds a row; returns its first pair.
    fn open(&mut self, id: Gid, pairs: usize) -> usize {
        let start = self.starts[self.ids.len()];
        self.ids.push(id);
        self.starts.push(start + pairs);
        start
    }

    /// Makes place for the pairs of all rows.
    fn fill(&mut self, width: usize) {
        let pairs = self.starts[self.ids.len()];
        self.columns.resize(pairs, 0);
        self.values.resize(pairs * width, S::rounded(0.0));
    }

    /// Returns memory that was not needed.
    fn shrink(&mut self, width: usize) {
        self.columns.shrink_to_fit();
        self.values.shrink_to(self.columns.len() * width + SPARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merging::Merger;
    use crate::pixels::PixelNumbering;

    #[test]
    fn pairs_are_sorted_by_pixels() {
        let far = 3 << PATCH_BITS;
        let mut merger = Merger::<3>::new(PixelNumbering::new(far + 10).unwrap());
        let mut store = PairStore::<3, f32>::new(far + 10);
        for (baseline, samples) in [(0, [5, far + 1, 5, 2]), (1, [2, 9, far + 1, 2]), (2, [5, 5, 9, 9])] {
            merger.clear();
            samples.iter().for_each(|&pixel| merger.add(pixel, 0.5, 0.25, 1.0));
            store.add(baseline, merger.pairs());
        }
        assert_eq!(store.len, 8);
        let sorted = store.sort(3, [Use::Solve, Use::Map, Use::Nothing, Use::Solve]);
        assert_eq!((sorted.solve.ids, sorted.solve.starts), (vec![2, far + 1], vec![0, 2, 4]));
        assert_eq!(sorted.solve.columns, [0, 1, 0, 1]);
        assert_eq!(sorted.solve.values[..6], [1.0, 0.5, 0.25, 2.0, 1.0, 0.5]);
        assert_eq!((sorted.map.ids, sorted.map.columns), (vec![5], vec![0, 2]));
        assert_eq!(sorted.map.values, [2.0, 1.0, 0.5, 2.0, 1.0, 0.5]);
        assert_eq!((sorted.hits, sorted.left_out), (vec![2, 3, 0], vec![2.0, 1.0, 4.0]));
    }

    #[test]
    fn counts_of_any_size_are_kept() {
        let mut merger = Merger::<3>::new(PixelNumbering::new(12).unwrap());
        (0..200_000).for_each(|_| merger.add(7, 1.0, 0.0, 2.0));
        let mut store = PairStore::<3, f64>::new(12);
        store.add(0, merger.pairs());
        let sorted = store.sort(1, [Use::Solve]);
        let sums = sorted.solve.values.chunks(3).fold([0.0; 2], |sums, pair| [sums[0] + pair[0], sums[1] + pair[1]]);
        assert_eq!((sums, sorted.hits), ([2e5, 2e5], vec![200_000]));
    }
}
