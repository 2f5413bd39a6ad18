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

/// Largest ratio of a term to the geometric mean of all: sums have 73 bits below the largest term at least, of which 33
/// are left to terms that are so much smaller.
const LARGEST_RATIO: f64 = 1e12;

/// Sizes of the terms of a rank. The mean is made of exponents, which are whole, so that it does not depend on the
/// number of ranks.
#[derive(Default)]
pub(crate) struct Extremes {
    exponents: i64,
    count: i64,
    largest: f64,
    baseline: Gid,
}

impl Extremes {
    /// Adds the pairs of a baseline, whose samples have one weight.
    pub(crate) fn add<const N: usize>(&mut self, baseline: Gid, pairs: &[Pair<N>], weight: f64) {
        for pair in pairs {
            let size = (pair.signal * weight).abs();
            if size > 0.0 {
                self.exponents += i64::from(exponent(size));
                self.count += 1;
            }
            if size > self.largest {
                (self.largest, self.baseline) = (size, baseline);
            }
        }
    }

    /// Refuses the largest term if sums that hold it lose the others.
    ///
    /// # Collective
    ///
    /// # Errors
    /// It is refused; the same on all ranks.
    pub(crate) fn require_alike(&self, comm: &Comm, tod: &Tod, baselines: &Baselines) -> Result<()> {
        let mut largest = [self.largest];
        comm.all_reduce_max(&mut largest);
        let mut sums = [self.exponents, self.count];
        comm.all_reduce_sum(&mut sums);
        let mut first = [if self.largest == largest[0] { self.baseline } else { Gid::MAX }];
        comm.all_reduce_min(&mut first);
        if sums[1] == 0 {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        let typical = (sums[0] as f64 / sums[1] as f64).exp2();
        let ratio = largest[0] / typical;
        if ratio <= LARGEST_RATIO {
            return Ok(());
        }
        let (baseline, description) = (baselines.get(first[0]), tod.description());
        let observation = &description.observations[baseline.observation].name;
        let detector = &description.detectors[baseline.detector].name;
        let place = format!(
            "observations/{observation}: detector {} ({detector}), samples {} to {}",
            baseline.detector,
            baseline.time.start,
            baseline.time.end - 1
        );
        let what = format!(
            "hold a signal that is {ratio:.0e} times a typical one; above {LARGEST_RATIO:.0e} times, sums over pixels \
             lose the digits of the smaller; flag these samples"
        );
        Err(invalid(tod.path(), place, what))
    }
}
