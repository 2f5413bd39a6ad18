//! Constants of Q and U that offsets cannot tell from sky: where the polarization angle does not change.
//!
//! Under constant Q and U, the signal of a baseline whose angle does not change is a constant, as an offset is. The angles of a
//! baseline with the sums `S = sum w w^T`, `s = sum w` over its `n` samples, `w = (cos, sin)`, spread by
//! `S - s s^T / n`: the null vectors of the sum over all baselines are skies that the offsets hold. With a prior, all
//! baselines of a detector in an interval count as one, since it leaves their mean free.

use std::collections::BTreeMap;

use dolmen_core::{Combine, Comm, ExchangePlan, Gid, IndexMap, Layout};

use crate::error::Result;
use crate::merging::Pair;
use crate::pixel_blocks::packed_len;

/// Spread, relative to that of all angles alike, below which a constant is not determined.
const LEAST: f64 = 1e-10;

/// Sums over samples: number, cos, sin, cos^2, cos sin, sin^2.
type Sums = [f64; 6];

/// Spread of the angles of all samples.
#[derive(Default)]
pub(crate) struct AngleSpread {
    /// Sums of each series of baselines that count together.
    series: BTreeMap<Gid, Sums>,
    /// Sum of `S - s s^T / n`, packed, and of the trace of `S`.
    spread: [f64; 4],
}

impl AngleSpread {
    /// Adds a baseline, which counts alone or with all others of its series.
    pub(crate) fn add<const N: usize>(&mut self, series: Option<Gid>, pairs: &[Pair<N>]) {
        if N == 1 {
            return;
        }
        let mut sums = [0.0; 6];
        for pair in pairs {
            let values = [f64::from(pair.hits), pair.stokes[N - 2], pair.stokes[N - 1]];
            let products = &pair.block[packed_len(N) - 3..packed_len(N)];
            let terms = values.iter().chain(products);
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        match series {
            Some(series) => {
                let all = self.series.entry(series).or_default();
                all.iter_mut().zip(sums).for_each(|(sum, term)| *sum += term);
            }
            None => self.include(sums),
        }
    }

    fn include(&mut self, [n, c, s, cc, cs, ss]: Sums) {
        if n > 0.0 {
            let terms = [cc - c * c / n, cs - c * s / n, ss - s * s / n, cc + ss];
            self.spread.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
    }

    /// Returns the number of combinations of Q and U whose constants are not determined; `series` is the number of all
    /// series.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: the series are numbered.
    pub(crate) fn free_constants(mut self, comm: &Comm, series: u64) -> Result<usize> {
        // A series may have baselines on several ranks.
        let layout = Layout::uniform(comm, series);
        let (ids, sums): (Vec<Gid>, Vec<Sums>) = std::mem::take(&mut self.series).into_iter().unzip();
        let plan = ExchangePlan::new(&layout, &comm.agree(IndexMap::new(ids))?)?;
        let mut owned = vec![0.0; layout.local_len() * 6];
        plan.start_export(sums.as_flattened(), 6).finish(Combine::Add, &mut owned);
        owned.as_chunks().0.iter().for_each(|&sums| self.include(sums));
        comm.all_reduce_sum(&mut self.spread);
        Ok(free_constants(self.spread))
    }
}

/// Returns the number of null vectors of a spread.
fn free_constants([a, b, c, all]: [f64; 4]) -> usize {
    let (middle, half) = ((a + c) / 2.0, ((a - c) / 2.0).hypot(b));
    [middle - half, middle + half].iter().filter(|eigenvalue| all > 0.0 && **eigenvalue <= LEAST * all).count()
}

/// Returns the text that tells of constants that are not determined.
pub(crate) fn note(free: usize) -> Option<String> {
    let what = match free {
        0 => return None,
        1 => "one combination of the means of the Q and U maps is arbitrary",
        _ => "the means of the Q and U maps are arbitrary",
    };
    Some(format!("{what}: the polarization angles are constant, so a constant Q or U cannot be told from offsets"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merging::Merger;
    use crate::pixels::PixelNumbering;

    #[test]
    fn constant_angles_leave_constants_free() {
        let free = |angles: &[&[f64]]| {
            let mut spread = AngleSpread::default();
            for angles in angles {
                let mut merger = Merger::<3>::new(PixelNumbering::new(48).unwrap());
                (0..)
                    .zip(*angles)
                    .for_each(|(pixel, psi)| merger.add(pixel, (2.0 * psi).cos(), (2.0 * psi).sin(), 1.0));
                spread.add(None, merger.pairs());
            }
            free_constants(spread.spread)
        };
        assert_eq!(free(&[&[0.3; 5], &[1.1; 4]]), 2);
        assert_eq!(free(&[&[0.3, 0.3 + std::f64::consts::FRAC_PI_2]]), 1);
        assert_eq!(free(&[&[0.3, 0.4, 0.5], &[1.1; 4]]), 0);
    }
}
