//! The part of the plane in which eigenvalues are wanted.

use std::cmp::Ordering;
use std::fmt;

use dolmen_core::Complex64;

/// Eigenvalues that are wanted of a general problem. Each names an order, in which they are returned.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Region {
    /// The eigenvalues of largest absolute value.
    LargestMagnitude,
    /// The eigenvalues of smallest absolute value.
    SmallestMagnitude,
    /// The eigenvalues whose real parts are largest.
    LargestReal,
    /// The eigenvalues whose real parts are smallest.
    SmallestReal,
    /// The eigenvalues whose imaginary parts are largest; by absolute value for a real operator, whose eigenvalues come in
    /// pairs of conjugates.
    LargestImaginary,
    /// The eigenvalues nearest to a number.
    Nearest(Complex64),
}

impl Region {
    /// Returns a number that is larger the more an eigenvalue is wanted.
    pub(super) fn rank(self, value: Complex64, real: bool) -> f64 {
        match self {
            Region::LargestMagnitude => value.norm(),
            Region::SmallestMagnitude => -value.norm(),
            Region::LargestReal => value.re,
            Region::SmallestReal => -value.re,
            Region::LargestImaginary if real => value.im.abs(),
            Region::LargestImaginary => value.im,
            Region::Nearest(shift) => -(value - shift).norm(),
        }
    }

    /// Returns the places of values, most wanted first. Values that are wanted alike but for rounding errors `noise` are
    /// ordered by real part and imaginary part, so that conjugates lie side by side, the one above the real axis first.
    pub(super) fn order(self, values: &[Complex64], real: bool, noise: f64) -> Vec<usize> {
        let mut places: Vec<usize> = (0..values.len()).collect();
        let rank = |place: &usize| self.rank(values[*place], real);
        places.sort_by(|i, j| rank(j).total_cmp(&rank(i)));
        // Sorting by tolerance is no order; groups of neighbors are.
        let mut start = 0;
        while start < places.len() {
            let alike = places[start..].iter().take_while(|place| rank(&places[start]) - rank(place) <= noise).count();
            places[start..start + alike].sort_by(|&i, &j| beside(values[i], values[j], noise));
            start += alike;
        }
        places
    }
}

/// Orders values of one rank.
fn beside(a: Complex64, b: Complex64, noise: f64) -> Ordering {
    let differ = |a: f64, b: f64| if (a - b).abs() <= noise { Ordering::Equal } else { b.total_cmp(&a) };
    differ(a.re, b.re).then(differ(a.im.abs(), b.im.abs())).then(b.im.total_cmp(&a.im))
}

/// Returns true if the last of the `count` first values is the first of two conjugates: above the real axis by more than
/// `noise`, and `apart` from the conjugate of the next one at most.
pub(super) fn ends_in_a_pair(values: &[Complex64], order: &[usize], count: usize, noise: f64, apart: f64) -> bool {
    let Some([last, next]) = order.get(count.wrapping_sub(1)..=count) else {
        return false;
    };
    let (last, next) = (values[*last], values[*next]);
    last.im > noise && (last - next.conj()).norm() <= apart
}

/// Part of the plane in words.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::LargestMagnitude => write!(f, "largest in magnitude"),
            Region::SmallestMagnitude => write!(f, "smallest in magnitude"),
            Region::LargestReal => write!(f, "largest in real part"),
            Region::SmallestReal => write!(f, "smallest in real part"),
            Region::LargestImaginary => write!(f, "largest in imaginary part"),
            Region::Nearest(shift) => write!(f, "nearest to {shift}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conjugates_lie_side_by_side() {
        let values = [(3.0, 4.0), (1.0, 0.0), (4.0, -3.0), (3.0, -4.0), (4.0, 3.0 + 1e-15), (-6.0, 0.0)];
        let values = values.map(|(re, im)| Complex64::new(re, im));
        assert_eq!(Region::LargestMagnitude.order(&values, true, 1e-12), [5, 4, 2, 0, 3, 1]);
        assert_eq!(Region::SmallestReal.order(&values, true, 1e-12), [5, 1, 0, 3, 4, 2]);
        assert_eq!(Region::LargestImaginary.order(&values, false, 1e-12), [0, 4, 1, 5, 2, 3][..].to_vec());
        assert_eq!(Region::Nearest(Complex64::new(1.5, 0.0)).order(&values, true, 1e-12)[0], 1);
    }
}
