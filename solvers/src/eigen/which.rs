//! The part of a spectrum that is wanted.

use std::cmp::Ordering;
use std::fmt;

/// Eigenvalues that are wanted of a Hermitian problem. Each names an order, in which they are returned.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Which {
    /// The smallest, ascending.
    Smallest,
    /// The largest, descending.
    Largest,
    /// The eigenvalues of largest absolute value, descending by it.
    LargestMagnitude,
    /// The eigenvalues nearest to a number, by their distance.
    Nearest(f64),
}

impl Which {
    /// Orders two eigenvalues: the one that is wanted more comes first. Of two that are wanted alike the smaller does.
    pub(super) fn compare(self, a: f64, b: f64) -> Ordering {
        let wanted = match self {
            Which::Smallest => a.total_cmp(&b),
            Which::Largest => b.total_cmp(&a),
            Which::LargestMagnitude => b.abs().total_cmp(&a.abs()),
            Which::Nearest(shift) => (a - shift).abs().total_cmp(&(b - shift).abs()),
        };
        wanted.then(a.total_cmp(&b))
    }

    /// Returns the places of values, most wanted first.
    pub(super) fn order(self, values: &[f64]) -> Vec<usize> {
        let mut places: Vec<usize> = (0..values.len()).collect();
        places.sort_by(|&i, &j| self.compare(values[i], values[j]));
        places
    }

    /// Returns by how much `a` is wanted more than `b`; negative if it is wanted less.
    pub(super) fn lead(self, a: f64, b: f64) -> f64 {
        match self {
            Which::Smallest => b - a,
            Which::Largest => a - b,
            Which::LargestMagnitude => a.abs() - b.abs(),
            Which::Nearest(shift) => (b - shift).abs() - (a - shift).abs(),
        }
    }
}

/// Part of a spectrum in words: `smallest`, `largest`, `largest in magnitude`, `nearest to 1.5`.
impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Smallest => write!(f, "smallest"),
            Which::Largest => write!(f, "largest"),
            Which::LargestMagnitude => write!(f, "largest in magnitude"),
            Which::Nearest(shift) => write!(f, "nearest to {shift}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_come_first() {
        let values = [3.0, -5.0, 1.0, 4.5, -0.5];
        assert_eq!(Which::Smallest.order(&values), [1, 4, 2, 0, 3]);
        assert_eq!(Which::Largest.order(&values), [3, 0, 2, 4, 1]);
        assert_eq!(Which::LargestMagnitude.order(&values), [1, 3, 0, 2, 4]);
        assert_eq!(Which::Nearest(2.0).order(&values), [2, 0, 4, 3, 1]);
        assert!(Which::Nearest(2.0).lead(3.0, 4.5) > 0.0 && Which::Largest.lead(1.0, 3.0) < 0.0);
    }
}
