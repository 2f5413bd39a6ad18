//! Quality of a factorization: the condition of the matrix and the error of a solve, computed from
//! the factors before anybody relies on them.

use dolmen_core::index::at;
use dolmen_core::scaling::{self, Equilibration, exponent};
use dolmen_core::{Real, Scalar, SerialCsr};

use crate::precond::factors::Factors;

/// Products with the inverse in search of its norm.
const STEPS: usize = 5;
/// Steps that bring any number near one.
const HALVINGS: usize = 12;

/// The matrix that a factorization is of: all of `entries`, or the Hermitian one whose lower triangle
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

    /// Returns whether each row has an entry that is not zero.
    pub(super) fn occupied(&self) -> Vec<bool> {
        let mut occupied = vec![false; self.entries.rows()];
        self.for_each(|row, _, value| occupied[row] |= value != T::ZERO);
        occupied
    }

    /// Computes `r = b - A x`; its largest entry beside that of `|A| |x| + |b|`, which become `sizes`.
    fn residual(&self, b: &[T], x: &[T], r: &mut [T], sizes: &mut [f64]) -> f64 {
        r.copy_from_slice(b);
        sizes.iter_mut().zip(b).for_each(|(sum, &b)| *sum = size(b));
        self.for_each(|row, column, value| {
            r[row] -= value * x[column];
            sizes[row] += size(value) * size(x[column]);
        });
        let parts = r.iter().zip(&*sizes).map(|(&r, &sum)| if r == T::ZERO { 0.0 } else { size(r) / sum });
        parts.fold(0.0, largest)
    }

    /// Computes `r = b - A x`, or `r = b - A^H x`.
    pub(super) fn subtract(&self, b: &[T], x: &[T], r: &mut [T], adjoint: bool) {
        r.copy_from_slice(b);
        self.for_each(
            |row, column, value| {
                if adjoint { r[column] -= value.conj() * x[row] } else { r[row] -= value * x[column] }
            },
        );
    }

    /// Factors of rows, and the same of columns, that bring the largest entry of each near one (Ruiz, report
    /// RAL-TR-2001-034): each step halves the distance.
    pub(super) fn equilibration(&self) -> Equilibration {
        let mut powers = vec![0; self.entries.rows()];
        for _ in 0..HALVINGS {
            let mut sizes = vec![i32::MIN; powers.len()];
            self.for_each(|row, column, value| {
                if value != T::ZERO {
                    sizes[row] = sizes[row].max(exponent(scaling::largest(&[value])) + powers[row] + powers[column]);
                }
            });
            let left = powers.iter_mut().zip(sizes).filter(|(_, size)| *size != i32::MIN);
            left.for_each(|(power, size)| *power -= size / 2);
        }
        Equilibration { columns: powers.clone(), rows: powers }
    }

    /// Computes the largest sum of the sizes of the entries of a column.
    fn norm_one(&self) -> f64 {
        let mut sums = vec![0.0; self.entries.columns()];
        self.for_each(|_, column, value| sums[column] += size(value));
        sums.into_iter().fold(0.0, f64::max)
    }
}

/// Computes an estimate, rarely more than three times too small, of the condition number in the 1-norm;
/// infinite or NaN if the inverse is (Hager 1984; Higham, "Accuracy and Stability of Numerical
/// Algorithms", 2nd ed., algorithm 15.1 and section 15.3).
pub(super) fn condition<T: Scalar>(a: Meant<'_, T>, inverse: &dyn Factors<T>) -> f64 {
    let n = a.entries.rows();
    if n == 0 {
        return 1.0;
    }
    let mut x = vec![T::from_parts(1.0 / n as f64, 0.0); n];
    let (mut norm, mut unit) = (0.0, None);
    for _ in 0..STEPS {
        inverse.solve(&mut x, false);
        let found = norm_one(&x);
        if !found.is_finite() {
            return found;
        }
        if found <= norm {
            break;
        }
        norm = found;
        x.iter_mut().for_each(|x| *x = sign(*x));
        inverse.solve(&mut x, true);
        let steepest = (0..n).max_by(|&i, &j| size(x[i]).total_cmp(&size(x[j])));
        if steepest == unit {
            break;
        }
        unit = steepest;
        x.fill(T::ZERO);
        steepest.into_iter().for_each(|row| x[row] = T::ONE);
    }
    let mut x = alternating(n);
    inverse.solve(&mut x, false);
    let other = 2.0 * norm_one(&x) / (3.0 * n as f64);
    if other.is_nan() { other } else { a.norm_one() * norm.max(other) }
}

/// Refinement of the solution of one right-hand side.
pub(super) struct Refined {
    /// Steps that were made.
    pub(super) steps: usize,
    /// The componentwise backward error that is left.
    pub(super) error: f64,
}

/// Solves `A x = b` in place, and adds solutions for the true residual while they halve the error, at
/// most `steps` times (LAPACK's `gerfs`). The error is the componentwise backward error, the largest
/// `|b - A x|_i / (|A| |x| + |b|)_i`: entries of `A` and `b` changed by no more, relative to each,
/// make the solution exact (Oettli and Prager, Numer. Math. 6, 1964). Scaling does not change it.
pub(super) fn refine<T: Scalar>(a: Meant<'_, T>, inverse: &dyn Factors<T>, steps: usize, x: &mut [T]) -> Refined {
    let b = x.to_vec();
    inverse.solve(x, false);
    let (mut residual, mut sizes) = (b.clone(), vec![0.0; b.len()]);
    let mut refined = Refined { steps: 0, error: a.residual(&b, x, &mut residual, &mut sizes) };
    let mut better = x.to_vec();
    while refined.steps < steps && refined.error > T::Real::EPSILON.to_f64() {
        inverse.solve(&mut residual, false);
        better.iter_mut().zip(x.iter().zip(&residual)).for_each(|(better, (&x, &change))| *better = x + change);
        let error = a.residual(&b, &better, &mut residual, &mut sizes);
        // The last step is kept if it is a step forward at all.
        let half = refined.error / 2.0;
        if error < refined.error {
            x.copy_from_slice(&better);
            refined = Refined { steps: refined.steps + 1, error };
        }
        if error.is_nan() || error > half {
            break;
        }
    }
    refined
}

/// [`refine`] of a right-hand side that is the same for all matrices of a size.
pub(super) fn refine_sample<T: Scalar>(a: Meant<'_, T>, inverse: &dyn Factors<T>, steps: usize) -> Refined {
    refine(a, inverse, steps, &mut alternating(a.entries.rows()))
}

/// Returns `1, -(1 + 1/(n-1)), 1 + 2/(n-1), ...`: what the search for the norm may miss.
fn alternating<T: Scalar>(n: usize) -> Vec<T> {
    let last = n.saturating_sub(1).max(1) as f64;
    let entry = |i: usize| (1.0 + i as f64 / last) * if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    (0..n).map(|i| T::from_parts(entry(i), 0.0)).collect()
}

fn size<T: Scalar>(value: T) -> f64 {
    value.abs().to_f64()
}

/// Computes the larger of two numbers, NaN if one is.
fn largest(one: f64, other: f64) -> f64 {
    if one.is_nan() || other.is_nan() { f64::NAN } else { one.max(other) }
}

fn sign<T: Scalar>(value: T) -> T {
    if value == T::ZERO { T::ONE } else { value.quotient(T::from_real(value.abs())) }
}

fn norm_one<T: Scalar>(x: &[T]) -> f64 {
    x.iter().map(|&value| size(value)).sum()
}
