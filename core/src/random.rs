//! Random numbers that are a pure function of `(seed, stream, index)`.
//!
//! A generator with a hidden state ties its numbers to the order in which they are drawn, and
//! that order changes with the number of ranks. A counter-based generator has no state: number
//! `index` of stream `stream` is the same whoever asks for it, so a simulation split over 400
//! ranks has the bits of the same simulation on one.
//!
//! The generator is Philox4x32-10 of Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as
//! easy as 1, 2, 3" (SC'11): ten rounds of multiplications that turn a 128-bit counter and a
//! 64-bit key into 128 random bits. It passes TestU01's BigCrush.
//!
//! Logarithm, sine and cosine are those of the `libm` crate: the C library picks its variants by
//! the processor, so two kinds of node in one job could disagree in the last bit.

use std::f64::consts::TAU;

/// Counter bit that keeps the blocks of normal numbers apart from those of uniform numbers.
const NORMAL_BLOCK: u64 = 1 << 63;

const ROUNDS: u32 = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32-10: any number of independent random streams from one seed.
///
/// Different streams, and the uniform and normal numbers of one stream, never share random bits.
///
/// ```
/// use dolmen_core::random::Philox;
///
/// let random = Philox::new(42);
/// let mut noise = [0.0; 5];
/// random.fill_normal(3, 100, &mut noise);
/// assert_eq!(noise[2], random.normal(3, 102));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
}

impl Philox {
    /// Creates a generator for `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { key: halves(seed) }
    }

    /// Computes the uniform number `index` of `stream`: in `[0, 1)`, a multiple of 2^-53.
    #[must_use]
    pub fn uniform(&self, stream: u64, index: u64) -> f64 {
        let [first, second] = self.words(stream, index / 2);
        unit_interval(if index.is_multiple_of(2) { first } else { second })
    }

    /// Computes the standard normal number `index` of `stream`: mean 0, variance 1, at most 8.6 in size.
    ///
    /// By the method of Box & Muller (Ann. Math. Stat. 29, 1958): numbers `2k` and `2k + 1` are
    /// the cosine and sine parts of one pair.
    #[must_use]
    pub fn normal(&self, stream: u64, index: u64) -> f64 {
        let [even, odd] = self.normal_pair(stream, index / 2);
        if index.is_multiple_of(2) { even } else { odd }
    }

    /// Writes uniform numbers `first_index`, `first_index + 1`, ... of `stream` to `out`.
    ///
    /// The same numbers as [`uniform`](Self::uniform), at half the work.
    pub fn fill_uniform(&self, stream: u64, first_index: u64, out: &mut [f64]) {
        fill_pairs(first_index, out, |pair| self.words(stream, pair).map(unit_interval));
    }

    /// Writes normal numbers `first_index`, `first_index + 1`, ... of `stream` to `out`.
    ///
    /// The same numbers as [`normal`](Self::normal), at half the work.
    pub fn fill_normal(&self, stream: u64, first_index: u64, out: &mut [f64]) {
        fill_pairs(first_index, out, |pair| self.normal_pair(stream, pair));
    }

    fn normal_pair(&self, stream: u64, pair: u64) -> [f64; 2] {
        let [first, second] = self.words(stream, pair | NORMAL_BLOCK);
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - unit_interval(first))).sqrt();
        let (sin, cos) = libm::sincos(TAU * unit_interval(second));
        [radius * cos, radius * sin]
    }

    fn words(&self, stream: u64, block: u64) -> [u64; 2] {
        let [b0, b1] = halves(block);
        let [s0, s1] = halves(stream);
        let [w0, w1, w2, w3] = philox4x32([b0, b1, s0, s1], self.key);
        [join(w0, w1), join(w2, w3)]
    }
}

/// Writes numbers `first_index`, `first_index + 1`, ... of a sequence that is drawn in pairs.
fn fill_pairs(first_index: u64, out: &mut [f64], draw: impl Fn(u64) -> [f64; 2]) {
    let lead = usize::from(first_index % 2 == 1).min(out.len());
    let (odd, rest) = out.split_at_mut(lead);
    for number in odd {
        *number = draw(first_index / 2)[1];
    }
    for (pair, numbers) in (first_index.div_ceil(2)..).zip(rest.chunks_mut(2)) {
        numbers.copy_from_slice(&draw(pair)[..numbers.len()]);
    }
}

fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key[0] = key[0].wrapping_add(WEYL[0]);
            key[1] = key[1].wrapping_add(WEYL[1]);
        }
        let [low0, high0] = halves(u64::from(MULTIPLIERS[0]) * u64::from(counter[0]));
        let [low1, high1] = halves(u64::from(MULTIPLIERS[1]) * u64::from(counter[2]));
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
    }
    counter
}

/// Returns the low and the high 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "cutting a word in two is the purpose")]
const fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Returns the top 53 bits as a fraction in `[0, 1)`; the conversion is exact.
fn unit_interval(word: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (word >> 11) as f64 * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that the authors publish with Random123 (file `kat_vectors`).
    #[test]
    fn known_answers() {
        let answers = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in answers {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }

    #[test]
    fn first_uniform_number_is_the_first_known_answer() {
        let expected = (0xe169_c58d_6627_e8d5_u64 >> 11) as f64 / 2f64.powi(53);
        assert_eq!(Philox::new(0).uniform(0, 0), expected);
    }

    #[test]
    fn unit_interval_is_half_open() {
        assert_eq!(unit_interval(0), 0.0);
        assert_eq!(unit_interval(u64::MAX), 1.0 - f64::EPSILON / 2.0);
    }

    #[test]
    fn filling_in_any_pieces_gives_the_same_bits() {
        let random = Philox::new(7);
        let mut whole = [0.0; 23];
        random.fill_normal(5, 1000, &mut whole);
        for cut in 0..=whole.len() {
            let mut pieces = [0.0; 23];
            let (left, right) = pieces.split_at_mut(cut);
            random.fill_normal(5, 1000, left);
            random.fill_normal(5, 1000 + cut as u64, right);
            assert_eq!(pieces, whole);
            let (left, right) = pieces.split_at_mut(cut);
            random.fill_uniform(5, 1001, left);
            random.fill_uniform(5, 1001 + cut as u64, right);
            assert!(pieces.iter().zip(1001..).all(|(&number, index)| number == random.uniform(5, index)));
        }
    }

    #[test]
    fn filling_across_the_last_index_wraps() {
        let mut out = [0.0; 3];
        Philox::new(1).fill_normal(0, u64::MAX, &mut out);
        assert_eq!(out[0], Philox::new(1).normal(0, u64::MAX));
        assert_eq!(out[1], Philox::new(1).normal(0, 0));
    }

    #[test]
    fn seed_stream_index_and_kind_all_matter() {
        let base = Philox::new(1).normal(2, 3);
        assert_ne!(base, Philox::new(2).normal(2, 3));
        assert_ne!(base, Philox::new(1 << 32 | 1).normal(2, 3));
        assert_ne!(base, Philox::new(1).normal(1 << 32 | 2, 3));
        assert_ne!(base, Philox::new(1).normal(2, 1 << 32 | 3));
        assert_ne!(Philox::new(1).words(2, 3), Philox::new(1).words(2, 3 | NORMAL_BLOCK));
    }

    /// Sample moments against those of N(0, 1), each within five standard errors.
    #[test]
    fn moments_of_normal_numbers() {
        let count = 1 << 18;
        let mut sample = vec![0.0; count];
        Philox::new(20).fill_normal(9, 0, &mut sample);
        let moment = |power| sample.iter().map(|x: &f64| x.powi(power)).sum::<f64>() / count as f64;
        // Variances of x, x^2, x^3, x^4: 1, 3 - 1, 15, 105 - 9.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let error = (variance / count as f64).sqrt();
            assert!((moment(power) - expected).abs() < 5.0 * error, "moment {power}");
        }
    }

    #[test]
    fn uniform_numbers_fill_equal_bins_equally() {
        let (bins, count) = (64, 1 << 16);
        let random = Philox::new(3);
        let mut counts = vec![0_u32; bins];
        for index in 0..count {
            let at = (random.uniform(0, index) * bins as f64).floor();
            counts[(0..bins).rfind(|&bin| bin as f64 <= at).expect("at is not negative")] += 1;
        }
        let mean = count as f64 / bins as f64;
        let chi_squared: f64 = counts.iter().map(|&n| (f64::from(n) - mean).powi(2) / mean).sum();
        // 63 degrees of freedom: mean 63, standard deviation 11.2.
        assert!((chi_squared - 63.0).abs() < 5.0 * 11.2, "{chi_squared}");
    }
}
