//! Inner products of an eigenvalue problem, and orthogonalization in them.

use std::cell::{Cell, RefCell};

use dolmen_core::random::Philox;
use dolmen_core::scaling::exponent;
use dolmen_core::{Layout, LinearOperator, MultiVector, Real, Reduction, Scalar, Vector};

use crate::error::{Error, Result};

const SEED: u64 = 0xe16e;
/// Part of a vector's norm that the first pass may leave before a second one is made ("twice is enough": Daniel, Gragg,
/// Kaufman and Stewart, Math. Comp. 30 (1976) 772).
const LEFT: f64 = 0.7;
/// Passes at most: a vector that lies in the basis leaves rounding errors, which further ones only make smaller.
const PASSES: usize = 3;

/// The inner product `x^H y`, or `x^H M y` with a mass matrix.
pub(super) struct Space<'s, T> {
    method: &'static str,
    mass: Option<&'s dyn LinearOperator<T>>,
    image: RefCell<Vector<T>>,
    pub(super) applications: Cell<usize>,
}

/// Outcome of an orthogonalization.
pub(super) struct Remainder<T: Scalar> {
    /// Norm of what is left.
    pub(super) norm: f64,
    /// Inner products with the basis, of all passes together.
    pub(super) coefficients: Vec<T::Double>,
}

impl<'s, T: Scalar> Space<'s, T> {
    pub(super) fn new(method: &'static str, layout: &Layout, mass: Option<&'s dyn LinearOperator<T>>) -> Space<'s, T> {
        Space { method, mass, image: RefCell::new(Vector::zeros(layout)), applications: Cell::new(0) }
    }

    pub(super) fn has_mass(&self) -> bool {
        self.mass.is_some()
    }

    /// Computes `y = M x`.
    pub(super) fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        match self.mass {
            Some(mass) => {
                self.applications.set(self.applications.get() + 1);
                Ok(mass.apply(x, y)?)
            }
            None => Ok(y.copy_from(x)?),
        }
    }

    /// Computes `M X`; none without a mass matrix.
    pub(super) fn apply_many(&self, x: &MultiVector<T>) -> Result<Option<MultiVector<T>>> {
        let Some(mass) = self.mass else {
            return Ok(None);
        };
        self.applications.set(self.applications.get() + x.columns());
        let mut y = MultiVector::zeros(x.layout(), x.columns());
        mass.apply_many(x, &mut y)?;
        Ok(Some(y))
    }

    /// Computes the norm of a vector.
    pub(super) fn norm(&self, x: &Vector<T>) -> Result<f64> {
        let mut square = [T::Double::ZERO];
        self.products(x, &[x], &mut square)?;
        self.root(square[0], x)
    }

    /// Computes inner products with vectors.
    fn products(&self, x: &Vector<T>, with: &[&Vector<T>], out: &mut [T::Double]) -> Result<()> {
        if self.mass.is_none() {
            return Ok(x.multi_dot(with, Reduction::Reproducible, out)?);
        }
        let image = &mut *self.image.borrow_mut();
        self.apply(x, image)?;
        Ok(image.multi_dot(with, Reduction::Reproducible, out)?)
    }

    /// Returns the root of a vector's inner product with itself.
    fn root(&self, square: T::Double, x: &Vector<T>) -> Result<f64> {
        let square = square.re();
        if square.is_nan() {
            return Ok(square);
        }
        if square >= 0.0 {
            return Ok(square.sqrt());
        }
        // A positive semidefinite matrix leaves rounding errors of either sign.
        let image = &*self.image.borrow();
        let noise = 100.0 * T::Real::EPSILON.to_f64() * x.norm2() * image.norm2();
        if -square <= noise { Ok(0.0) } else { Err(Error::MassNotPositive { method: self.method }) }
    }

    /// Makes `w` orthogonal to an orthonormal basis.
    ///
    /// # Collective
    /// One reduction a pass, or one more than passes; there are two passes where the first takes away much of the vector.
    pub(super) fn orthogonalize(&self, basis: &[Vector<T>], w: &mut Vector<T>) -> Result<Remainder<T>> {
        let mut coefficients = vec![T::Double::ZERO; basis.len()];
        let mut sums = vec![T::Double::ZERO; basis.len() + 1];
        let mut before = f64::INFINITY;
        let mut pass = 0;
        loop {
            let with: Vec<&Vector<T>> = basis.iter().chain([&*w]).collect();
            self.products(w, &with, &mut sums)?;
            let norm = self.root(sums[basis.len()], w)?;
            let is_orthogonal = basis.is_empty() || pass > 0 && norm > LEFT * before;
            if is_orthogonal || norm == 0.0 || pass == PASSES || !norm.is_finite() {
                return Ok(Remainder { norm, coefficients });
            }
            let along = &sums[..basis.len()];
            coefficients.iter_mut().zip(along).for_each(|(total, &sum)| *total += sum);
            let factors: Vec<T> = along.iter().map(|&sum| -T::from_double(sum)).collect();
            w.multi_axpy(&factors, basis)?;
            // What a second pass takes away is small, so that the rest of the square is exact.
            let taken: f64 = along.iter().map(|sum| (sum.abs() / norm).powi(2)).sum();
            if pass > 0 && taken < 1.0 - LEFT * LEFT {
                return Ok(Remainder { norm: norm * (1.0 - taken).sqrt(), coefficients });
            }
            (before, pass) = (norm, pass + 1);
        }
    }
}

/// Returns a random vector, the same on every run.
pub(super) fn random<T: Scalar>(layout: &Layout, stream: u64) -> Vector<T> {
    let mut vector = Vector::zeros(layout);
    vector.fill_normal(&Philox::new(SEED), stream);
    vector
}

/// Returns random columns, the same on every run.
pub(super) fn random_columns<T: Scalar>(layout: &Layout, columns: usize) -> MultiVector<T> {
    let mut block = MultiVector::zeros(layout, columns);
    block.fill_normal(&Philox::new(SEED), 0);
    block
}

/// Returns the power of two by which an operator is far from one, from a vector and its image; zero if it is near.
///
/// # Collective
pub(super) fn far_power<T: Scalar>(x: &Vector<T>, image: &Vector<T>) -> i32 {
    let ordinary = if T::Real::EPSILON.to_f64() == f64::EPSILON { 256 } else { 30 };
    let power = exponent(image.norm2() / x.norm2().max(f64::MIN_POSITIVE));
    if power.abs() > ordinary { power } else { 0 }
}
