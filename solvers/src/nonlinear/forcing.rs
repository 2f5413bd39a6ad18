//! Forcing terms: the relative tolerances of the linear solves inside Newton's method.

use crate::error::Result;
use crate::settings::require;

/// Choice of the relative tolerance `eta` in `|J d + F| <= eta |F|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Forcing {
    /// The same tolerance in each iteration.
    Fixed(f64),
    /// From the progress of `|F|` (Eisenstat and Walker, SIAM J. Sci. Comput. 17 (1996) 16, choice 2, `gamma` 0.9 and
    /// `alpha` the golden ratio, with its safeguard): loose far from the solution, tight where Newton converges fast, and
    /// never tighter than the nonlinear tolerance needs (Kelley, "Solving Nonlinear Equations with Newton's Method", 2.2).
    EisenstatWalker,
}

const FIRST: f64 = 0.3;
const LARGEST: f64 = 0.9;
const GAMMA: f64 = 0.9;
/// The golden ratio.
const ALPHA: f64 = 1.618_033_988_749_895;
/// Terms below this may fall at once.
const SAFEGUARDED: f64 = 0.1;

impl Forcing {
    pub(super) fn check(self, method: &'static str) -> Result<()> {
        match self {
            Forcing::Fixed(eta) => {
                require(method, "forcing", eta, (0.0..1.0).contains(&eta), "zero or more, and less than one")
            }
            Forcing::EisenstatWalker => Ok(()),
        }
    }

    /// Returns the next term, after the last one and the `|F|` before and now, of which `target` is wanted.
    pub(super) fn next(self, last: Option<(f64, f64)>, now: f64, target: f64) -> f64 {
        match (self, last) {
            (Forcing::Fixed(eta), _) => eta,
            (Forcing::EisenstatWalker, None) => FIRST,
            (Forcing::EisenstatWalker, Some((eta, before))) => {
                let fresh = GAMMA * (now / before).powf(ALPHA);
                let slow = GAMMA * eta.powf(ALPHA);
                let safe = if slow > SAFEGUARDED { fresh.max(slow) } else { fresh };
                safe.max(0.5 * target / now).min(LARGEST)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_follow_the_progress() {
        let next = |eta, before, now, target| Forcing::EisenstatWalker.next(Some((eta, before)), now, target);
        assert_eq!(Forcing::EisenstatWalker.next(None, 1.0, 0.0), FIRST);
        // Quadratic convergence tightens at once, slow convergence does not.
        assert!((next(0.1, 1.0, 0.01, 0.0) - 0.9 * 0.01f64.powf(ALPHA)).abs() < 1e-15);
        assert_eq!(next(0.5, 1.0, 2.0, 0.0), LARGEST);
        assert!((next(0.8, 1.0, 0.1, 0.0) - 0.9 * 0.8f64.powf(ALPHA)).abs() < 1e-15);
        assert_eq!(next(0.01, 1.0, 1e-6, 1e-7), 0.05);
        assert_eq!(Forcing::Fixed(0.2).next(Some((0.1, 1.0)), 0.5, 0.0), 0.2);
    }
}
