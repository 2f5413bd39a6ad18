//! Multiplication by powers of two, which rounds nothing and changes no digit.
//!
//! Products and squares of numbers far from one leave the range of floating point long before the
//! numbers do. Bringing them near one by a power of two first, and the result back last, gives the
//! same digits without that. Only numbers that end below the smallest normal one are rounded.

pub use crate::powers_of_two::exponent;
use crate::powers_of_two::times;
use crate::scalar::{Real, Scalar};

/// Sums of squares outside this range may have overflowed or lost small entries.
pub(crate) const SAFE_SQUARES: std::ops::Range<f64> = 1e-280..f64::INFINITY;

/// Computes `value 2^exponent` for any exponent: infinite or zero only if that is out of range.
pub fn scaled<T: Scalar>(value: T, exponent: i32) -> T {
    if exponent == 0 {
        return value;
    }
    let (re, im) = (value.re().to_f64(), value.im().to_f64());
    T::from_parts(times(re, exponent), if T::COMPLEX { times(im, exponent) } else { 0.0 })
}

/// Finds the largest absolute value of a real or imaginary part; NaN and infinities do not count.
pub fn largest<T: Scalar>(values: &[T]) -> f64 {
    let sizes = T::parts(values).iter().map(|part| part.to_f64().abs());
    sizes.filter(|size| size.is_finite()).fold(0.0, f64::max)
}

/// Numbers of this type whose squares and products with each other are far from the ends of its range.
pub(crate) fn ordinary<T: Scalar>() -> std::ops::Range<f64> {
    if T::Real::EPSILON.to_f64() == f64::EPSILON { 1e-150..1e150 } else { 1e-18..1e18 }
}

/// Divides numbers that are not [`ordinary`] by the power of two of their largest, which is given.
pub(crate) fn bring_near_one<T: Scalar>(values: &mut [T]) -> i32 {
    let size = largest(values);
    if size == 0.0 || ordinary::<T>().contains(&size) {
        return 0;
    }
    let power = exponent(size);
    values.iter_mut().for_each(|value| *value = scaled(*value, -power));
    power
}

/// Columns of right-hand sides that are solved for at once.
const AT_ONCE: usize = 32;

/// Powers of two for the rows and columns of a matrix: `S = R A C` has entries near one where `A` need
/// not, so `A^-1 = C S^-1 R`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Equilibration {
    /// The exponent of each row's factor.
    pub rows: Vec<i32>,
    /// The exponent of each column's factor.
    pub columns: Vec<i32>,
}

impl Equilibration {
    /// Scales a dense matrix of columns of `n` entries: each row by its largest entry, then each column by
    /// the largest that is left (LAPACK's `geequb`).
    pub(crate) fn of_dense<T: Scalar>(n: usize, entries: &mut [T]) -> Equilibration {
        let mut sizes = vec![0.0f64; n];
        for column in entries.chunks_exact(n.max(1)) {
            sizes.iter_mut().zip(column).for_each(|(size, entry)| *size = size.max(largest(&[*entry])));
        }
        let rows: Vec<i32> = sizes.into_iter().map(|size| -exponent(size)).collect();
        let mut columns = Vec::with_capacity(entries.len() / n.max(1));
        for column in entries.chunks_exact_mut(n.max(1)) {
            // The size may be out of range, its exponent is not.
            let size = |(entry, row): (&T, &i32)| {
                let size = largest(&[*entry]);
                (size > 0.0).then(|| exponent(size) + row)
            };
            let power = -column.iter().zip(&rows).filter_map(size).max().unwrap_or(0);
            column.iter_mut().zip(&rows).for_each(|(entry, row)| *entry = scaled(*entry, row + power));
            columns.push(power);
        }
        Equilibration { rows, columns }
    }

    /// Computes `x = C S^-1 R x` where `solve` applies `S^-1`, or `x = R S^-H C x` where it applies `S^-H` and
    /// `adjoint` is set. Between the two, `x` is kept in the range of its type.
    pub fn solve<T: Scalar>(&self, adjoint: bool, x: &mut [T], solve: impl FnOnce(&mut [T])) {
        let (before, after) = if adjoint { (&self.columns, &self.rows) } else { (&self.rows, &self.columns) };
        let shift = enter(before, x);
        solve(x);
        multiply(after, shift, x);
    }

    /// Computes `x = C S^-1 R x` of columns one after the other, where `solve` applies `S^-1` to some of them.
    pub(crate) fn solve_columns<T: Scalar>(&self, x: &mut [T], mut solve: impl FnMut(&mut [T])) {
        let n = self.rows.len().max(1);
        for columns in x.chunks_mut(AT_ONCE * n) {
            let mut shifts = [0; AT_ONCE];
            columns.chunks_mut(n).zip(&mut shifts).for_each(|(x, shift)| *shift = enter(&self.rows, x));
            solve(columns);
            columns.chunks_mut(n).zip(shifts).for_each(|(x, shift)| multiply(&self.columns, shift, x));
        }
    }

    /// Returns the base-2 logarithm of the determinant of `R` times that of `C`.
    pub(crate) fn log2_determinant(&self) -> f64 {
        self.rows.iter().chain(&self.columns).map(|&power| f64::from(power)).sum()
    }
}

/// Multiplies by factors, and by a power of two if numbers would leave the range; gives what makes up for
/// it.
fn enter<T: Scalar>(powers: &[i32], x: &mut [T]) -> i32 {
    let sizes = x.iter().zip(powers).map(|(entry, power)| (largest(&[*entry]), power));
    let size = sizes.filter(|(size, _)| *size > 0.0).map(|(size, power)| exponent(size) + power).max();
    let range = exponent(ordinary::<T>().end);
    let shift = size.filter(|size| size.abs() > range).unwrap_or(0);
    multiply(powers, -shift, x);
    shift
}

/// Multiplies each number by its factor, and all by the same power of two.
fn multiply<T: Scalar>(powers: &[i32], shift: i32, x: &mut [T]) {
    x.iter_mut().zip(powers).for_each(|(entry, power)| *entry = scaled(*entry, power + shift));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Complex32, Complex64};

    #[test]
    fn powers_of_any_size() {
        assert_eq!(scaled(f64::MIN_POSITIVE, 2045), 2f64.powi(1023));
        assert_eq!(scaled(2f64.powi(1023), -2045), f64::MIN_POSITIVE);
        assert_eq!(scaled(f64::MAX, -4000), 0.0);
        assert_eq!(scaled(-5e-324, 1074), -1.0);
        // Halfway between two subnormal numbers, and above: rounded once, to even and up.
        assert_eq!(scaled(1.5, -1074), 1e-323);
        assert_eq!(scaled(2.5 + 2.0 * f64::EPSILON, -1074), 1.5e-323);
        assert_eq!(scaled(1.5f32, 140 - 127), 1.5 * 8192.0);
        assert_eq!(scaled(Complex32::new(1e-38, -3.0), 3), Complex32::new(8.0 * 1e-38, -24.0));
        assert_eq!(scaled(Complex64::new(1.0, f64::INFINITY), 2), Complex64::new(4.0, f64::INFINITY));
    }

    #[test]
    fn quotients_of_complex_numbers_of_any_size() {
        let (x, y) = (Complex64::new(3.0, -4.0), Complex64::new(1.0, 2.0));
        let expected = x / y;
        for e in [-1000, -600, -300, 0, 300, 600, 1000] {
            assert_eq!(scaled(x, e).quotient(scaled(y, e)), expected, "{e}");
            assert_eq!(scaled(Complex64::ONE.quotient(scaled(y, e)), e), Complex64::ONE / y, "{e}");
        }
        let single = |z: Complex64, e| scaled(Complex32::from_double(z), e);
        for e in [-100, -70, 0, 70, 100] {
            assert_eq!(single(x, e).quotient(single(y, e)), Complex32::from_double(x) / Complex32::from_double(y));
        }
        assert!(!Complex64::ONE.quotient(Complex64::ZERO).is_finite());
    }
}
