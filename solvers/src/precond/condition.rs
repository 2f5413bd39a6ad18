//! What a factorisation is worth: the condition of the matrix and the error of a solve, computed from
//! the factors before anybody relies on them.

use dolmen_core::index::at;
use dolmen_core::{Real, Scalar, SerialCsr};

use crate::precond::local::LocalSolver;

/// Products with the inverse in search of its norm.
const STEPS: usize = 5;

/// The matrix that a factorisation is of: all of `entries`, or the Hermitian one whose lower triangle
/// they are.
#[derive(Clone, Copy)]
pub(super) struct Meant<'a, T> {
    pub(super) entries: &'a SerialCsr<T>,
    pub(super) hermitian: bool,
}

impl<T: Scalar> Meant<'_, T> {
    /// Row, column and value of each entry, those above the diagonal of a Hermitian matrix too.
    fn for_each(&self, mut visit: impl FnMut(usize, usize, T)) {
        for row in 0..self.entries.rows() {
            let (columns, values) = self.entries.row(row);
            for (column, &value) in columns.iter().map(|&column| at(column)).zip(values) {
                visit(row, column, value);
                if self.hermitian && column != row {
                    visit(column, row, value.conj());
                }
            }
        }
    }

    /// Sums of the sizes of the entries of each row.
    pub(super) fn row_sums(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.entries.rows()];
        self.for_each(|row, _, value| sums[row] += size(value));
        sums
    }

    /// The largest sum of the sizes of the entries of a column.
    fn norm_one(&self) -> f64 {
        let mut sums = vec![0.0; self.entries.columns()];
        self.for_each(|_, column, value| sums[column] += size(value));
        sums.into_iter().fold(0.0, f64::max)
    }
}

/// An estimate, rarely more than three times too small, of the condition number in the 1-norm;
/// infinite or NaN if the inverse is (Hager 1984; Higham, "Accuracy and Stability of Numerical
/// Algorithms", 2nd ed., algorithm 15.1 and section 15.3).
pub(super) fn condition<T: Scalar>(a: Meant<'_, T>, inverse: &impl LocalSolver<T>) -> f64 {
    let n = a.entries.rows();
    if n == 0 {
        return 1.0;
    }
    let mut x = vec![T::from_parts(1.0 / n as f64, 0.0); n];
    let (mut norm, mut unit) = (0.0, None);
    for _ in 0..STEPS {
        inverse.solve(&mut x);
        let found = norm_one(&x);
        if !found.is_finite() {
            return found;
        }
        if found <= norm {
            break;
        }
        norm = found;
        x.iter_mut().for_each(|x| *x = sign(*x));
        inverse.solve_adjoint(&mut x);
        let steepest = (0..n).max_by(|&i, &j| size(x[i]).total_cmp(&size(x[j])));
        if steepest == unit {
            break;
        }
        unit = steepest;
        x.fill(T::ZERO);
        steepest.into_iter().for_each(|row| x[row] = T::ONE);
    }
    let mut x = alternating(n);
    inverse.solve(&mut x);
    let other = 2.0 * norm_one(&x) / (3.0 * n as f64);
    if other.is_nan() { other } else { a.norm_one() * norm.max(other) }
}

/// `|b - A x| / (|A| |x| + |b|)` in the largest norm, for `x` computed from an alternating `b`.
pub(super) fn backward_error<T: Scalar>(a: Meant<'_, T>, inverse: &impl LocalSolver<T>) -> f64 {
    let n = a.entries.rows();
    let b: Vec<T> = alternating(n);
    let mut x = b.clone();
    inverse.solve(&mut x);
    let mut product = vec![T::ZERO; n];
    a.for_each(|row, column, value| product[row] += value * x[column]);
    let residual = b.iter().zip(&product).map(|(&b, &product)| size(b - product)).fold(0.0, largest);
    let norm = a.row_sums().into_iter().fold(0.0, f64::max);
    let largest = |values: &[T]| values.iter().map(|&value| size(value)).fold(0.0, largest);
    if n == 0 { 0.0 } else { residual / (norm * largest(&x) + largest(&b)) }
}

/// `1, -(1 + 1/(n-1)), 1 + 2/(n-1), ...`: what the search for the norm may miss.
fn alternating<T: Scalar>(n: usize) -> Vec<T> {
    let last = n.saturating_sub(1).max(1) as f64;
    let entry = |i: usize| (1.0 + i as f64 / last) * if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    (0..n).map(|i| T::from_parts(entry(i), 0.0)).collect()
}

fn size<T: Scalar>(value: T) -> f64 {
    value.abs().to_f64()
}

/// The larger of two numbers, NaN if one is.
fn largest(one: f64, other: f64) -> f64 {
    if one.is_nan() || other.is_nan() { f64::NAN } else { one.max(other) }
}

fn sign<T: Scalar>(value: T) -> T {
    if value == T::ZERO { T::ONE } else { value.scale(T::Real::from_f64(1.0 / size(value))) }
}

fn norm_one<T: Scalar>(x: &[T]) -> f64 {
    x.iter().map(|&value| size(value)).sum()
}
