//! The QR factorization of a few vectors on the rows of one aggregate, some of which may depend on each other there.
//!
//! Modified Gram-Schmidt, each vector twice (Golub and Van Loan, "Matrix Computations", 4th ed., algorithm 5.2.6;
//! Parlett, "The Symmetric Eigenvalue Problem", section 6.9), with sums in the order of rows.

use dolmen_core::Scalar;

/// Largest part of a vector, in units of the precision of its entries, that is left of it only by rounding errors.
const ROUNDING: f64 = 100.0;

/// Orthonormal vectors that stand for given ones.
pub(super) struct Orthonormal<D> {
    /// One for each given vector; zero where that depends on those before it.
    pub(super) q: Vec<Vec<D>>,
    /// The upper triangle, row by row: row `i` is zero where vector `i` is dropped.
    pub(super) r: Vec<Vec<D>>,
    /// True for vectors that depend on those before them.
    pub(super) dropped: Vec<bool>,
}

/// Factors vectors whose entries were rounded to a precision.
pub(super) fn orthonormal<D: Scalar<Real = f64>>(mut q: Vec<Vec<D>>, precision: f64) -> Orthonormal<D> {
    let columns = q.len();
    let mut r = vec![vec![D::ZERO; columns]; columns];
    let mut dropped = vec![false; columns];
    for j in 0..columns {
        let (before, rest) = q.split_at_mut(j);
        let vector = &mut rest[0];
        let given = norm(vector);
        for _ in 0..2 {
            for (i, q) in before.iter().enumerate() {
                let product = q.iter().zip(vector.iter()).fold(D::ZERO, |sum, (q, &v)| sum + q.conj() * v);
                vector.iter_mut().zip(q).for_each(|(v, &q)| *v -= product * q);
                r[i][j] += product;
            }
        }
        let left = norm(vector);
        dropped[j] = left <= ROUNDING * precision * given;
        let factor = if dropped[j] { 0.0 } else { 1.0 / left };
        vector.iter_mut().for_each(|v| *v = v.scale(factor));
        r[j][j] = D::from_real(if dropped[j] { 0.0 } else { left });
    }
    Orthonormal { q, r, dropped }
}

fn norm<D: Scalar<Real = f64>>(vector: &[D]) -> f64 {
    vector.iter().map(|v| v.abs_sqr()).fold(0.0, |sum, square| sum + square).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_by_hand() {
        let Orthonormal { q, r, dropped } = orthonormal(vec![vec![3.0, 4.0, 0.0], vec![5.0, 5.0, 2.0]], f64::EPSILON);
        // (5, 5, 2) is 7 times (0.6, 0.8, 0) and (0.8, -0.6, 2).
        let length = 5f64.sqrt();
        let expected = [[0.6, 0.8, 0.0], [0.8 / length, -0.6 / length, 2.0 / length]];
        for (found, expected) in q.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-15, "{q:?}");
        }
        for (found, expected) in r.iter().flatten().zip([5.0, 7.0, 0.0, length]) {
            assert!((found - expected).abs() < 1e-14, "{r:?}");
        }
        assert_eq!(dropped, [false, false]);
    }

    #[test]
    fn dependent_vectors_are_dropped() {
        let given = vec![vec![1.0, 1.0], vec![0.3, 0.3], vec![0.0, 1.0], vec![0.7, 0.1], vec![0.0, 0.0]];
        let Orthonormal { q, r, dropped } = orthonormal(given.clone(), f64::EPSILON);
        assert_eq!(dropped, [false, true, false, true, true]);
        for (j, vector) in given.iter().enumerate() {
            assert!(!dropped[j] || q[j].iter().all(|&entry| entry == 0.0), "{q:?}");
            for (row, &expected) in vector.iter().enumerate() {
                let product: f64 = q.iter().zip(&r).map(|(q, r)| q[row] * r[j]).sum();
                assert!((product - expected).abs() < 1e-15, "column {j}: {product} for {expected}");
            }
        }
    }
}
