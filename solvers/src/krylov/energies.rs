//! The energies `G = W^H A W` of a block of directions, and their inverse on directions that are
//! independent.
//!
//! Columns of a block become dependent, or small beside each other, when right-hand sides are, and when
//! some converge before others. `G` is scaled to a unit diagonal, so that sizes do not matter, and
//! factored by Cholesky with pivoting; directions whose energy beside those already chosen is lost in
//! rounding are left out (the breakdown-free idea of Ji and Li, BIT 57 (2017) 379, with a choice of
//! columns in place of an orthonormal basis). They come back when what they had in common with the
//! others has converged. Everything is computed by each rank alike.

use dolmen_core::ndarray::{Array2, ShapeBuilder};
use dolmen_core::{Real, Scalar};

use crate::stop_reason::StopReason;

/// A pivoted Cholesky factorization of the scaled energies.
pub(crate) struct Energies<T: Scalar> {
    /// Chosen directions, in the order of elimination.
    chosen: Vec<usize>,
    /// One over the square root of each energy; zero of a direction without.
    scales: Vec<f64>,
    /// Rows of the factor, of all directions.
    factor: Array2<T::Double>,
}

impl<T: Scalar> Energies<T> {
    /// Factors the energies of the directions. `needed` tells those that must have one.
    pub(crate) fn new(energies: &Array2<T>, needed: impl Fn(usize) -> bool) -> Result<Energies<T>, StopReason> {
        let count = energies.ncols();
        let mut scales = vec![0.0; count];
        if energies.iter().any(|energy| !energy.is_finite()) {
            return Err(StopReason::NotFinite);
        }
        for (j, scale) in scales.iter_mut().enumerate() {
            let energy = energies[(j, j)].re().to_f64();
            if energy < 0.0 || (energy == 0.0 && needed(j)) {
                return Err(StopReason::IndefiniteOperator);
            }
            *scale = if energy > 0.0 { 1.0 / energy.sqrt() } else { 0.0 };
        }
        let factor = Array2::from_elem((count, count), T::Double::ZERO);
        let mut new = Energies { chosen: Vec::with_capacity(count), scales, factor };
        new.eliminate(energies)?;
        Ok(new)
    }

    fn eliminate(&mut self, energies: &Array2<T>) -> Result<(), StopReason> {
        let count = self.scales.len();
        // What rounding leaves of dependent directions is smaller; what it does to others is small.
        let noise = T::Real::EPSILON.to_f64().powf(2.0 / 3.0);
        let mut left: Vec<f64> = self.scales.iter().map(|&scale| f64::from(u8::from(scale > 0.0))).collect();
        for step in 0..count {
            let rest = (0..count).filter(|j| !self.chosen.contains(j));
            let Some(pivot) = rest.reduce(|best, j| if left[j] > left[best] { j } else { best }) else { break };
            if left[pivot] <= noise {
                break;
            }
            let root = left[pivot].sqrt();
            self.factor[(pivot, step)] = T::Double::from_parts(root, 0.0);
            self.chosen.push(pivot);
            for i in (0..count).filter(|i| !self.chosen.contains(i)) {
                let mut entry = double(energies[(i, pivot)]).scale(self.scales[i] * self.scales[pivot]);
                for k in 0..step {
                    entry -= self.factor[(i, k)] * self.factor[(pivot, k)].conj();
                }
                let entry = entry.scale(1.0 / root);
                left[i] -= entry.abs_sqr();
                self.factor[(i, step)] = entry;
            }
        }
        let negative = (0..count).any(|j| !self.chosen.contains(&j) && left[j] < -noise);
        if negative { Err(StopReason::IndefiniteOperator) } else { Ok(()) }
    }

    /// Returns the number of independent directions.
    pub(crate) fn rank(&self) -> usize {
        self.chosen.len()
    }

    /// Computes `G^-1 rhs` on the chosen directions; rows of zeros for the others.
    pub(crate) fn solve(&self, rhs: &Array2<T>) -> Array2<T> {
        let rank = self.rank();
        let mut solution = Array2::from_elem(rhs.raw_dim().f(), T::ZERO);
        let mut work = vec![T::Double::ZERO; rank];
        for column in 0..rhs.ncols() {
            for (k, &j) in self.chosen.iter().enumerate() {
                let known: T::Double = (0..k).map(|m| self.factor[(j, m)] * work[m]).sum();
                let scaled = double(rhs[(j, column)]).scale(self.scales[j]);
                work[k] = (scaled - known).scale(1.0 / self.factor[(j, k)].re());
            }
            for k in (0..rank).rev() {
                let known: T::Double = (k + 1..rank).map(|m| self.factor[(self.chosen[m], k)].conj() * work[m]).sum();
                work[k] = (work[k] - known).scale(1.0 / self.factor[(self.chosen[k], k)].re());
            }
            for (&j, &value) in self.chosen.iter().zip(&work) {
                solution[(j, column)] = T::from_double(value.scale(self.scales[j]));
            }
        }
        solution
    }
}

fn double<T: Scalar>(value: T) -> T::Double {
    T::Double::from_parts(value.re().to_f64(), value.im().to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dolmen_core::ndarray::array;

    #[test]
    fn solves_by_hand() {
        let energies = Energies::<f64>::new(&array![[4.0, 2.0], [2.0, 5.0]], |_| true).unwrap();
        let x = energies.solve(&array![[8.0, 4.0], [12.0, 2.0]]);
        for (found, expected) in x.iter().zip([1.0, 1.0, 2.0, 0.0]) {
            assert!((found - expected).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn sizes_do_not_matter_and_dependent_directions_are_left_out() {
        // Directions e1, 1e-90 (e1 + e2), 3 e1, 0.
        let tiny = 1e-90;
        let g = array![
            [1.0, tiny, 3.0, 0.0],
            [tiny, 2.0 * tiny * tiny, 3.0 * tiny, 0.0],
            [3.0, 3.0 * tiny, 9.0, 0.0],
            [0.0, 0.0, 0.0, 0.0]
        ];
        let energies = Energies::<f64>::new(&g, |j| j < 3).unwrap();
        assert_eq!(energies.rank(), 2);
        // The right-hand side of the solution e2: the products of the directions with it.
        let x = energies.solve(&array![[0.0], [tiny], [0.0], [0.0]]);
        let along_e2 = x[(1, 0)] * tiny;
        let along_e1 = x[(0, 0)] + along_e2 + 3.0 * x[(2, 0)];
        assert!((along_e2 - 1.0).abs() < 1e-12 && along_e1.abs() < 1e-12, "{x}");
    }

    #[test]
    fn what_is_not_positive_is_refused() {
        let refused = |g: Array2<f64>| Energies::new(&g, |_| true).map(|energies| energies.rank());
        assert_eq!(refused(array![[1.0, 0.0], [0.0, -1.0]]), Err(StopReason::IndefiniteOperator));
        assert_eq!(refused(array![[1.0, 2.0], [2.0, 1.0]]), Err(StopReason::IndefiniteOperator));
        assert_eq!(refused(array![[0.0]]), Err(StopReason::IndefiniteOperator));
        assert_eq!(refused(array![[f64::NAN]]), Err(StopReason::NotFinite));
    }
}
