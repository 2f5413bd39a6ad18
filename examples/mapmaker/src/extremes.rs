//! A sample so large that sums which hold it lose the others.
//!
//! Sums over pixels are made in fixed point, with one scale for all pixels, that of the largest term. An outlier that
//! is not flagged would take the digits of all others away.

use dolmen_core::scaling::exponent;
use dolmen_core::{Comm, Gid};

use crate::baselines::Baselines;
use crate::error::Result;
use crate::merging::Pair;
use crate::tod::Tod;
use crate::tod::check::invalid;

/// Largest ratio of a term to the next smaller one, rounded to a power of two: sums have 73 bits below the largest term at
/// least, of which 33 are left to terms that are so much smaller.
const LARGEST_RATIO: i32 = 40;

/// Exponents of numbers, from that of the smallest.
const EXPONENTS: usize = 2100;
const LEAST: i32 = -1075;

/// Sizes of the terms of a rank: how many there are of each exponent.
pub(crate) struct Extremes {
    terms: Vec<u64>,
    largest: f64,
    baseline: Gid,
}

impl Default for Extremes {
    fn default() -> Extremes {
        Extremes { terms: vec![0; EXPONENTS], largest: 0.0, baseline: 0 }
    }
}

impl Extremes {
    /// Adds the pairs of a baseline, whose samples have one weight.
    pub(crate) fn add<const N: usize>(&mut self, baseline: Gid, pairs: &[Pair<N>], weight: f64) {
        for pair in pairs {
            let size = (pair.signal * weight).abs();
            if size > 0.0 {
                let place = usize::try_from(exponent(size) - LEAST).expect("invariant: an exponent");
                self.terms[place] += 1;
            }
            if size > self.largest {
                (self.largest, self.baseline) = (size, baseline);
            }
        }
    }

    /// Refuses terms that are few, and so large that sums which hold them lose all others. A signal that rises to its
    /// largest term through all sizes has none.
    ///
    /// # Collective
    ///
    /// # Errors
    /// They are refused; the same on all ranks.
    pub(crate) fn require_alike(&self, comm: &Comm, tod: &Tod, baselines: &Baselines) -> Result<()> {
        let mut largest = [self.largest];
        comm.all_reduce_max(&mut largest);
        let mut first = [if self.largest == largest[0] { self.baseline } else { Gid::MAX }];
        comm.all_reduce_min(&mut first);
        let mut terms = self.terms.clone();
        comm.all_reduce_sum(&mut terms);
        let Some(gap) = outliers(&terms) else { return Ok(()) };
        let (baseline, description) = (baselines.get(first[0]), tod.description());
        let path = description.file_of(baseline.observation);
        let observation = &description.observations[baseline.observation].name;
        let detector = &description.detectors[baseline.detector].name;
        let place = format!(
            "observations/{observation}: detector {} ({detector}), samples {} to {}",
            baseline.detector,
            baseline.time.start,
            baseline.time.end - 1
        );
        let what = format!(
            "hold a signal that is more than 1e{} times all but a few others; above 1e{}, sums over pixels lose the digits \
             of the smaller; flag these samples",
            digits(gap),
            digits(LARGEST_RATIO),
        );
        Err(invalid(path, place, what))
    }
}

/// Returns the decimal digits of a number of bits.
fn digits(bits: i32) -> i32 {
    bits * 3 / 10
}

/// Returns the bits between the terms that are few and much larger than all others, and these, if there are any.
fn outliers(terms: &[u64]) -> Option<i32> {
    let all: u64 = terms.iter().sum();
    let (mut above, mut last) = (0, None);
    for (below, &count) in (0i32..).zip(terms.iter().rev()).filter(|(_, count)| **count > 0) {
        let gap = last.map_or(0, |last: i32| below - last);
        if gap > LARGEST_RATIO && 2 * above < all {
            return Some(gap);
        }
        (above, last) = (above + count, Some(below));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sizes: impl IntoIterator<Item = f64>) -> Option<i32> {
        let mut terms = vec![0; EXPONENTS];
        for size in sizes {
            terms[usize::try_from(exponent(size) - LEAST).unwrap()] += 1;
        }
        outliers(&terms)
    }

    #[test]
    fn few_terms_far_above_the_others_are_outliers() {
        let noise = || (0..1000).map(|i| 1e-4 * (1.0 + f64::from(i)));
        assert_eq!(of(noise()), None);
        assert!(of(noise().chain([1.6e30])).is_some());
        assert_eq!(of(noise().chain([1e9])), None);
        // Half of the terms, of another detector.
        assert_eq!(of(noise().chain(noise().map(|size| 1e20 * size))), None);
        // A beam without noise.
        assert_eq!(of((0..2000).map(|i| (-0.5 * (f64::from(i) / 50.0).powi(2)).exp().max(f64::MIN_POSITIVE))), None);
    }
}
