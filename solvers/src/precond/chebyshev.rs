//! Chebyshev polynomial in the matrix as a preconditioner, and as the smoother of multigrid methods
//! (Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., sections 12.3.2 and 13.4; Adams,
//! Brezina, Hu and Tuminaro, J. Comput. Phys. 188, 2003).
//!
//! The polynomial `p` of degree `d - 1` for which `1 - t p(t)` is smallest on an interval of `t` is
//! applied to `D^-1 A` with the diagonal `D` of `A`, so `p(D^-1 A) D^-1` costs `d - 1` products. It
//! is Hermitian if `A` is, and positive definite if the eigenvalues of `D^-1 A` lie below the upper
//! end of the interval; those below the lower end it leaves to the method around it. There is no
//! inner product in it, and the bits are the same on any number of ranks.

use std::cell::RefCell;

use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{
    AdjointOperator, Diagonal, FnOperator, Layout, LinearOperator, Real, Reduction, Result as CoreResult, Scalar,
    Vector,
};

use crate::error::{Defect, Error, Result};
use crate::krylov::spectrum::estimate_spectrum;
use crate::precond::jacobi::inverse_diagonal;
use crate::settings::require;

const METHOD: &str = "Chebyshev polynomial";
/// Steps of Lanczos' process that find the largest eigenvalue to some percent.
const STEPS: usize = 10;
/// By how much the estimate, which is from below, is raised.
pub(crate) const SAFETY: f64 = 1.1;
/// Upper over lower end of the interval.
const RATIO: f64 = 30.0;

/// A Chebyshev polynomial in `D^-1 A`, `D` the diagonal of `A`.
pub struct ChebyshevPolynomial<T, A> {
    a: A,
    degree: usize,
    interval: [f64; 2],
    inverse: Diagonal<T>,
    work: RefCell<[Vector<T>; 3]>,
}

impl<T: Scalar, A: LinearOperator<T>> ChebyshevPolynomial<T, A> {
    /// Creates a polynomial with `degree` applications of `D^-1`, on the interval from `1 / 30` of the largest
    /// eigenvalue of `D^-1 A` to `1.1` times it, by an estimate from ten steps of Lanczos' process with a start
    /// that is the same on every run. `A` is Hermitian, its diagonal positive.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Setting`] if the degree is zero or no eigenvalue is positive; [`Error::NoDiagonal`];
    /// [`Error::Unfit`] for a diagonal entry that is not positive or not finite, on any rank;
    /// [`Error::NoSpectrum`] if numbers that are not finite turn up, or if `A` is seen not to be
    /// Hermitian; mismatched layouts.
    pub fn new(a: A, degree: usize) -> Result<ChebyshevPolynomial<T, A>> {
        a.domain().comm().agree(require_degree(degree))?;
        let inverse = Diagonal::new(positive_inverse_diagonal(&a)?);
        let ends = scaled_spectrum(&a, &inverse);
        let [_, largest] = ends.map_err(|error| match error {
            Error::NoSpectrum { reason, .. } => Error::NoSpectrum { method: METHOD, reason },
            other => other,
        })?;
        let interval = [largest / RATIO, SAFETY * largest];
        ChebyshevPolynomial::with_inverse(a, degree, interval, inverse)
    }

    /// Creates a polynomial on a given interval of eigenvalues of `D^-1 A`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`ChebyshevPolynomial::new`]; [`Error::Setting`] if the interval is empty or not positive.
    pub fn on_interval(a: A, degree: usize, interval: [f64; 2]) -> Result<ChebyshevPolynomial<T, A>> {
        let inverse = Diagonal::new(inverse_diagonal(METHOD, &a)?);
        ChebyshevPolynomial::with_inverse(a, degree, interval, inverse)
    }

    fn with_inverse(a: A, degree: usize, interval: [f64; 2], inverse: Diagonal<T>) -> Result<Self> {
        a.domain().comm().agree(require_degree(degree).and_then(|()| require_interval(interval)))?;
        a.domain().require_same(a.range(), METHOD)?;
        let zeros = || Vector::zeros(a.domain());
        let work = RefCell::new([zeros(), zeros(), zeros()]);
        Ok(ChebyshevPolynomial { a, degree, interval, inverse, work })
    }

    /// Returns the interval of eigenvalues on which the polynomial is best.
    pub fn interval(&self) -> [f64; 2] {
        self.interval
    }

    /// Chebyshev iteration from zero for `D^-1 A y = D^-1 x` (Saad, algorithm 12.1): `scale` applies
    /// `D^-1`, `product` the operator.
    fn iterate(
        &self,
        x: &Vector<T>,
        y: &mut Vector<T>,
        product: impl Fn(&Vector<T>, &mut Vector<T>) -> CoreResult<()>,
        scale: impl Fn(&Vector<T>, &mut Vector<T>) -> CoreResult<()>,
    ) -> CoreResult<()> {
        let real = |value: f64| T::from_parts(value, 0.0);
        let [low, high] = self.interval;
        let (theta, delta) = ((high + low) / 2.0, (high - low) / 2.0);
        let sigma = theta / delta;
        let mut rho = 1.0 / sigma;
        let [residual, scaled, step] = &mut *self.work.borrow_mut();
        scale(x, step)?;
        step.scale(real(1.0 / theta));
        y.copy_from(step)?;
        for _ in 1..self.degree {
            product(y, residual)?;
            residual.axpby(T::ONE, x, -T::ONE)?;
            scale(residual, scaled)?;
            let next = 1.0 / (2.0 * sigma - rho);
            step.axpby(real(2.0 * next / delta), scaled, real(next * rho))?;
            y.axpy(T::ONE, step)?;
            rho = next;
        }
        Ok(())
    }
}

/// Returns the ends of the spectrum of `D^-1 A`, as that of `W^-1 D^-1 W^-1 W A W`. Powers of two `W` bring the
/// diagonal near one, so that the random start has a part in all directions, whatever units the
/// unknowns are in.
///
/// # Collective
pub(crate) fn scaled_spectrum<T: Scalar>(a: &impl LinearOperator<T>, inverse: &Diagonal<T>) -> Result<[f64; 2]> {
    let entries = inverse.diagonal().expect("invariant: a diagonal knows itself");
    let exponents: Vec<i32> = entries.owned().iter().map(|entry| exponent(entry.re().to_f64())).collect();
    // Beside the largest, so that powers of two in the whole matrix change no digit.
    let mut largest = [exponents.iter().copied().max().map_or(i64::MIN, i64::from)];
    a.domain().comm().all_reduce_max(&mut largest);
    let powers: Vec<i32> = exponents
        .iter()
        .map(|&exponent| i32::try_from((i64::from(exponent) - largest[0]).div_euclid(2)).unwrap_or(0))
        .collect();
    let multiply = |x: &Vector<T>, sign: i32, y: &mut Vector<T>| {
        let entries = x.owned().iter().zip(&powers);
        y.owned_mut().iter_mut().zip(entries).for_each(|(y, (&x, power))| *y = scaled(x, sign * power));
    };
    let work = RefCell::new([Vector::zeros(a.domain()), Vector::zeros(a.domain())]);
    let through = |x: &Vector<T>, y: &mut Vector<T>, sign: i32, operator: &dyn LinearOperator<T>| {
        let [before, after] = &mut *work.borrow_mut();
        multiply(x, sign, before);
        operator.compute(before, after)?;
        multiply(after, sign, y);
        Ok(())
    };
    let matrix = FnOperator::new(a.domain(), a.range(), |x: &Vector<T>, y: &mut Vector<T>| through(x, y, 1, a));
    let diagonal =
        FnOperator::new(a.domain(), a.range(), |x: &Vector<T>, y: &mut Vector<T>| through(x, y, -1, inverse));
    estimate_spectrum(&matrix, Some(&diagonal), STEPS, Reduction::Reproducible)
}

/// Refuses an interval that is empty or not positive.
pub(crate) fn require_interval([low, high]: [f64; 2]) -> Result<()> {
    let positive = "more than zero: a positive definite matrix";
    require(METHOD, "upper end of the interval", high, high > 0.0 && high.is_finite(), positive)?;
    require(METHOD, "lower end of the interval", low, low > 0.0 && low < high, "between zero and the upper end")
}

/// Refuses a polynomial without a term.
pub(crate) fn require_degree(degree: usize) -> Result<()> {
    require(METHOD, "degree", degree as f64, degree > 0, "one or more")
}

/// Returns one over each entry of a diagonal that is positive.
///
/// # Collective
fn positive_inverse_diagonal<T: Scalar>(a: &impl LinearOperator<T>) -> Result<Vector<T>> {
    let inverse = inverse_diagonal(METHOD, a)?;
    let negative = inverse.layout().owned_rows().zip(inverse.owned()).find(|(_, value)| value.re().to_f64() <= 0.0);
    let unfit = negative.map(|(row, _)| Error::Unfit { method: METHOD, row, defect: Defect::DiagonalNotPositive });
    inverse.comm().agree(unfit.map_or(Ok(()), Err))?;
    Ok(inverse)
}

impl<T: Scalar, A: LinearOperator<T>> LinearOperator<T> for ChebyshevPolynomial<T, A> {
    fn domain(&self) -> &Layout {
        self.a.range()
    }

    fn range(&self) -> &Layout {
        self.a.domain()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.iterate(x, y, |x, y| self.a.compute(x, y), |x, y| self.inverse.compute(x, y))
    }
}

/// `(p(D^-1 A) D^-1)^H = p(D^-H A^H) D^-H`, since `p` is real.
impl<T: Scalar, A: AdjointOperator<T>> AdjointOperator<T> for ChebyshevPolynomial<T, A> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.iterate(x, y, |x, y| self.a.compute_adjoint(x, y), |x, y| self.inverse.compute_adjoint(x, y))
    }
}
