//! Dense answers to small systems, by textbook methods and without any of the code that is tested.
//!
//! A matrix is a list of its rows.

use dolmen_core::{Real, Scalar};

/// Solves a square system by Gaussian elimination with partial pivoting.
pub fn solve<T: Scalar>(mut a: Vec<Vec<T>>, mut b: Vec<T>) -> Vec<T> {
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

/// Returns the least-squares solution of a tall, well-conditioned system, by its normal equations.
pub fn least_squares<T: Scalar>(a: &[Vec<T>], b: &[T]) -> Vec<T> {
    let columns = a[0].len();
    let product = |i: usize, j: usize| a.iter().map(|row| row[i].conj() * row[j]).sum::<T>();
    let normal = (0..columns).map(|i| (0..columns).map(|j| product(i, j)).collect()).collect();
    let rhs = (0..columns).map(|i| a.iter().zip(b).map(|(row, &b)| row[i].conj() * b).sum()).collect();
    solve(normal, rhs)
}

/// Returns the inverse of a square matrix, column by column.
pub fn inverse<T: Scalar>(a: &[Vec<T>]) -> Vec<Vec<T>> {
    let n = a.len();
    let unit = |j: usize| (0..n).map(|i| if i == j { T::ONE } else { T::ZERO }).collect();
    let columns: Vec<Vec<T>> = (0..n).map(|j| solve(a.to_vec(), unit(j))).collect();
    (0..n).map(|i| columns.iter().map(|column| column[i]).collect()).collect()
}
