//! Kernels for square matrices of a handful of rows, where a call to LAPACK costs more than the
//! arithmetic.
//!
//! Matrices are column-major: arrays of columns here, slices of `n * n` numbers inside the crate,
//! where one body serves orders known when it is compiled, whose loops unroll, and any other
//! (`Order`). No sum is contracted or reordered, so the bits do not depend on the processor.
//!
//! The formulas are those of Golub and Van Loan, "Matrix Computations", 4th ed.: Cholesky 4.2.5
//! (by columns), LU with partial pivoting 3.4.1, cyclic Jacobi 8.5.

use crate::scalar::{Real, Scalar};
use crate::scaling::{Equilibration, bring_near_one, exponent, largest, ordinary, scaled};

/// The number of rows of a small matrix.
pub(crate) trait Order: Copy {
    fn get(self) -> usize;
}

/// An order known when the program is compiled.
#[derive(Clone, Copy)]
pub(crate) struct Fixed<const N: usize>;

impl<const N: usize> Order for Fixed<N> {
    #[inline(always)]
    fn get(self) -> usize {
        N
    }
}

impl Order for usize {
    #[inline(always)]
    fn get(self) -> usize {
        self
    }
}

/// Evaluates an expression with an order of a type of its own where loops are worth unrolling.
macro_rules! unrolled {
    ($n:expr, |$order:ident| $body:expr) => {{
        use $crate::dense::small::Fixed;
        match $n {
            1 => (|$order: Fixed<1>| $body)(Fixed),
            2 => (|$order: Fixed<2>| $body)(Fixed),
            3 => (|$order: Fixed<3>| $body)(Fixed),
            4 => (|$order: Fixed<4>| $body)(Fixed),
            n => (|$order: usize| $body)(n),
        }
    }};
}
pub(crate) use unrolled;

/// Returns each part divided by a real number (a quotient of complex numbers would round more often).
#[inline(always)]
fn divide<T: Scalar>(value: T, by: T::Real) -> T {
    if T::COMPLEX {
        // Correctly rounded in single precision too.
        T::from_parts(value.re().to_f64() / by.to_f64(), value.im().to_f64() / by.to_f64())
    } else {
        T::from_real(value.re() / by)
    }
}

/// Computes `A = L L^H` in the lower triangle; the first column whose pivot is not positive otherwise.
#[inline(always)]
pub(crate) fn factor_cholesky<T: Scalar>(order: impl Order, a: &mut [T]) -> Result<(), usize> {
    let n = order.get();
    for j in 0..n {
        let mut sum = T::Real::ZERO;
        for k in 0..j {
            sum += a[k * n + j].abs_sqr();
        }
        let pivot = a[j * n + j].re() - sum;
        if pivot.partial_cmp(&T::Real::ZERO) != Some(std::cmp::Ordering::Greater) || !pivot.is_finite() {
            return Err(j);
        }
        let root = pivot.sqrt();
        a[j * n + j] = T::from_real(root);
        for i in j + 1..n {
            let mut sum = T::ZERO;
            for k in 0..j {
                sum += a[k * n + i] * a[k * n + j].conj();
            }
            a[j * n + i] = divide(a[j * n + i] - sum, root);
        }
    }
    Ok(())
}

/// Solves `L L^H x = b` in place.
#[inline(always)]
pub(crate) fn solve_cholesky<T: Scalar>(order: impl Order, l: &[T], b: &mut [T]) {
    let n = order.get();
    for i in 0..n {
        let mut sum = T::ZERO;
        for k in 0..i {
            sum += l[k * n + i] * b[k];
        }
        b[i] = divide(b[i] - sum, l[i * n + i].re());
    }
    for i in (0..n).rev() {
        let mut sum = T::ZERO;
        for k in i + 1..n {
            sum += l[i * n + k].conj() * b[k];
        }
        b[i] = divide(b[i] - sum, l[i * n + i].re());
    }
}

/// Computes `P A = L U` in place, row `k` exchanged with row `pivots[k]`; the first zero pivot otherwise.
///
/// Pivots are compared beside the power of two of the largest entry of their row, as if rows had been
/// scaled by them (Golub and Van Loan, section 3.5.2).
#[inline(always)]
pub(crate) fn factor_lu<T: Scalar>(order: impl Order, a: &mut [T], pivots: &mut [usize]) -> Result<(), usize> {
    let n = order.get();
    // Until a row is eliminated, its place among the pivots holds the biased exponent of its size.
    for i in 0..n {
        let size = (0..n).map(|j| largest(&[a[j * n + i]])).fold(0.0, f64::max);
        pivots[i] = usize::try_from(exponent(size) + BIAS).expect("invariant: exponents are above the bias");
    }
    for k in 0..n {
        let mut best = (k, beside(a[k * n + k].abs(), pivots[k]));
        for i in k + 1..n {
            let size = beside(a[k * n + i].abs(), pivots[i]);
            if size > best.1 {
                best = (i, size);
            }
        }
        let pivot = best.0;
        let size = a[k * n + pivot].abs();
        if size == T::Real::ZERO || !size.is_finite() {
            return Err(k);
        }
        pivots[pivot] = pivots[k];
        pivots[k] = pivot;
        for j in 0..n {
            a.swap(j * n + k, j * n + pivot);
        }
        for i in k + 1..n {
            let pivot = a[k * n + k];
            a[k * n + i] = a[k * n + i].quotient(pivot);
        }
        for j in k + 1..n {
            for i in k + 1..n {
                let product = a[k * n + i] * a[j * n + k];
                a[j * n + i] -= product;
            }
        }
    }
    Ok(())
}

/// More than any exponent of a number is below zero.
const BIAS: i32 = 2000;

/// Returns a size divided by a power of two, whose exponent is biased.
#[inline(always)]
fn beside<R: Real>(size: R, biased: usize) -> f64 {
    scaled(size.to_f64(), BIAS - i32::try_from(biased).expect("invariant: it was an exponent"))
}

/// Solves with the factors of [`factor_lu`] in place.
#[inline(always)]
pub(crate) fn solve_lu<T: Scalar>(order: impl Order, lu: &[T], pivots: &[usize], b: &mut [T]) {
    let n = order.get();
    for k in 0..n {
        b.swap(k, pivots[k]);
    }
    for i in 0..n {
        for k in 0..i {
            let product = lu[k * n + i] * b[k];
            b[i] -= product;
        }
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            let product = lu[k * n + i] * b[k];
            b[i] -= product;
        }
        b[i] = b[i].quotient(lu[i * n + i]);
    }
}

/// Computes the inverse of `L L^H`: exactly Hermitian.
#[inline(always)]
pub(crate) fn invert_cholesky<T: Scalar>(order: impl Order, l: &[T], inverse: &mut [T]) {
    let n = order.get();
    unit_columns(n, inverse, |column| solve_cholesky(order, l, column));
    let half = T::Real::from_f64(0.5);
    for j in 0..n {
        for i in j..n {
            let mean = (inverse[j * n + i] + inverse[i * n + j].conj()).scale(half);
            inverse[j * n + i] = mean;
            inverse[i * n + j] = mean.conj();
        }
    }
}

/// Computes the inverse from the factors of [`factor_lu`].
#[inline(always)]
pub(crate) fn invert_lu<T: Scalar>(order: impl Order, lu: &[T], pivots: &[usize], inverse: &mut [T]) {
    unit_columns(order.get(), inverse, |column| solve_lu(order, lu, pivots, column));
}

/// Scales the rows and columns of a matrix if its entries are so large or small that elimination could
/// leave the range of numbers.
#[inline(always)]
pub(crate) fn equilibrate<T: Scalar>(order: impl Order, a: &mut [T]) -> Option<Equilibration> {
    let (n, range) = (order.get(), ordinary::<T>());
    let size = |i: usize| (0..n).map(|j| largest(&[a[j * n + i]])).fold(0.0, f64::max);
    let is_ordinary = (0..n).map(size).all(|size| size == 0.0 || range.contains(&size));
    if is_ordinary { None } else { Some(Equilibration::of_dense(n, a)) }
}

/// Fills columns with what `solve` makes of unit vectors.
#[inline(always)]
pub(crate) fn unit_columns<T: Scalar>(n: usize, columns: &mut [T], mut solve: impl FnMut(&mut [T])) {
    for j in 0..n {
        let column = &mut columns[j * n..][..n];
        column.fill(T::ZERO);
        column[j] = T::ONE;
        solve(column);
    }
}

/// Smallest over largest eigenvalue of a Hermitian matrix, which is destroyed; zero if it is not
/// positive definite.
#[inline(always)]
pub(crate) fn rcond_jacobi<T: Scalar>(order: impl Order, a: &mut [T]) -> T::Real {
    let n = order.get();
    bring_near_one(a);
    let size = a.iter().map(|entry| entry.abs()).fold(T::Real::ZERO, |max, size| if max > size { max } else { size });
    if size == T::Real::ZERO || !size.is_finite() {
        return T::Real::ZERO;
    }
    // Twice what a matrix of order three needs, and what one of order a hundred does.
    for _ in 0..if n <= 4 { 6 } else { 12 } {
        for p in 0..n {
            for q in p + 1..n {
                rotate(n, a, p, q);
            }
        }
    }
    let (mut low, mut high) = (a[0].re(), T::Real::ZERO);
    for i in 0..n {
        let value = a[i * n + i].re();
        low = if value < low { value } else { low };
        high = if value > high { value } else { high };
    }
    if low > T::Real::ZERO { low / high } else { T::Real::ZERO }
}

/// Applies one Jacobi rotation, which makes entry `(p, q)` zero.
#[inline(always)]
fn rotate<T: Scalar>(n: usize, a: &mut [T], p: usize, q: usize) {
    let (one, entry) = (T::Real::ONE, a[q * n + p]);
    let size = entry.abs();
    if size == T::Real::ZERO {
        return;
    }
    let tau = (a[q * n + q].re() - a[p * n + p].re()) / (size + size);
    let t = one / (tau.abs() + (one + tau * tau).sqrt());
    let t = if tau < T::Real::ZERO { -t } else { t };
    let cos = one / (one + t * t).sqrt();
    let sin = divide(entry, size).scale(t * cos);
    for k in 0..n {
        let (kp, kq) = (a[p * n + k], a[q * n + k]);
        a[p * n + k] = kp.scale(cos) - sin.conj() * kq;
        a[q * n + k] = sin * kp + kq.scale(cos);
    }
    for k in 0..n {
        let (pk, qk) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = pk.scale(cos) - sin * qk;
        a[k * n + q] = sin.conj() * pk + qk.scale(cos);
    }
}

/// Computes the largest sum of absolute values in a column.
#[inline(always)]
pub(crate) fn norm_one<T: Scalar>(order: impl Order, a: &[T]) -> T::Real {
    let sums = a.chunks_exact(order.get().max(1)).map(|column| column.iter().map(|entry| entry.abs()).sum());
    sums.fold(T::Real::ZERO, |max: T::Real, sum: T::Real| if max > sum { max } else { sum })
}

/// Returns `1 / (|A| |A^-1|)` in the 1-norm, from the matrix and its inverse.
#[inline(always)]
pub(crate) fn rcond_of_inverse<T: Scalar>(order: impl Order, a: &[T], inverse: &[T]) -> T::Real {
    let product = norm_one(order, a) * norm_one(order, inverse);
    if product.is_finite() { T::Real::ONE / product } else { T::Real::ZERO }
}

/// Computes the inverse of a Hermitian positive definite matrix, of which the lower triangle is read (`a[j]`
/// is column `j`); `None` if a pivot is not positive. The inverse is exactly Hermitian.
#[inline(always)]
pub fn hermitian_inverse<T: Scalar, const N: usize>(mut a: [[T; N]; N]) -> Option<[[T; N]; N]> {
    factor_cholesky(Fixed::<N>, a.as_flattened_mut()).ok()?;
    let mut inverse = [[T::ZERO; N]; N];
    invert_cholesky(Fixed::<N>, a.as_flattened(), inverse.as_flattened_mut());
    Some(inverse)
}

/// Computes the inverse of a matrix (`a[j]` is column `j`); `None` if a pivot is zero.
#[inline(always)]
pub fn inverse<T: Scalar, const N: usize>(mut a: [[T; N]; N]) -> Option<[[T; N]; N]> {
    let mut pivots = [0; N];
    let scaling = equilibrate(Fixed::<N>, a.as_flattened_mut());
    factor_lu(Fixed::<N>, a.as_flattened_mut(), &mut pivots).ok()?;
    let mut inverse = [[T::ZERO; N]; N];
    let solve = |x: &mut [T]| solve_lu(Fixed::<N>, a.as_flattened(), &pivots, x);
    match scaling {
        None => unit_columns(N, inverse.as_flattened_mut(), solve),
        Some(scaling) => unit_columns(N, inverse.as_flattened_mut(), |x| scaling.solve(false, x, solve)),
    }
    Some(inverse)
}

/// Computes the smallest over largest eigenvalue of a Hermitian matrix (`a[j]` is column `j`): its reciprocal
/// condition number in the 2-norm; zero if it is not positive definite.
///
/// By Jacobi rotations, which find small eigenvalues of a well-scaled positive definite matrix to
/// full relative accuracy.
#[inline(always)]
pub fn hermitian_rcond<T: Scalar, const N: usize>(mut a: [[T; N]; N]) -> T::Real {
    rcond_jacobi(Fixed::<N>, a.as_flattened_mut())
}

/// Computes `1 / (|A| |A^-1|)` in the 1-norm (`a[j]` is column `j`); zero if a pivot is zero.
#[inline(always)]
pub fn rcond<T: Scalar, const N: usize>(mut a: [[T; N]; N]) -> T::Real {
    bring_near_one(a.as_flattened_mut());
    inverse(a).map_or(T::Real::ZERO, |inverse| rcond_of_inverse(Fixed::<N>, a.as_flattened(), inverse.as_flattened()))
}
