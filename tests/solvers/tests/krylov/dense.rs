//! Small dense systems, solved here.

use dolmen_core::{Real, Scalar};

/// Gaussian elimination with partial pivoting.
pub(crate) fn dense_solve<T: Scalar>(mut a: Vec<Vec<T>>, mut b: Vec<T>) -> Vec<T> {
    let n = b.len();
    for k in 0..n {
        let size = |i: &usize| a[*i][k].abs().to_f64();
        let pivot = (k..n).max_by(|i, j| size(i).total_cmp(&size(j))).unwrap_or(k);
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            for j in k..n {
                let above = a[k][j];
                a[i][j] -= factor * above;
            }
            let above = b[k];
            b[i] -= factor * above;
        }
    }
    for k in (0..n).rev() {
        let known: T = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b
}

/// The least-squares solution of a tall, well-conditioned system, by its normal equations.
pub(crate) fn dense_least_squares<T: Scalar>(a: &[Vec<T>], b: &[T]) -> Vec<T> {
    let columns = a[0].len();
    let product = |i: usize, j: usize| a.iter().map(|row| row[i].conj() * row[j]).sum::<T>();
    let normal = (0..columns).map(|i| (0..columns).map(|j| product(i, j)).collect()).collect();
    let rhs = (0..columns).map(|i| a.iter().zip(b).map(|(row, &b)| row[i].conj() * b).sum()).collect();
    dense_solve(normal, rhs)
}
