//! Operations on each entry by itself. No communication; the same bits on any number of ranks,
//! since products and sums are never contracted.

use std::borrow::Borrow;

use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::simd;
use crate::vector::Vector;

/// Bytes of a vector that stay in the first-level cache while others are added to it.
const CHUNK_BYTES: usize = 8 << 10;
/// Entries that are handled at once.
const LANES: usize = 16;
/// Vectors that are added in one pass over a chunk.
const AT_ONCE: usize = 4;

impl<T: Scalar> Vector<T> {
    /// Sets every entry.
    pub fn fill(&mut self, value: T) {
        self.owned.fill(value);
    }

    /// `self = x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn copy_from(&mut self, x: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "copy")?;
        self.owned.copy_from_slice(&x.owned);
        Ok(())
    }

    /// `self[i] = f(self[i])`.
    pub fn map(&mut self, f: impl Fn(T) -> T) {
        simd::dispatch(|| self.owned.iter_mut().for_each(|y| *y = f(*y)));
    }

    /// `self[i] = f(self[i], x[i])`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn map_with(&mut self, x: &Vector<T>, f: impl Fn(T, T) -> T) -> Result<()> {
        self.combine(x, "pointwise map", f)
    }

    /// `self = alpha self`.
    pub fn scale(&mut self, alpha: T) {
        self.map(|y| alpha * y);
    }

    /// `self[i] = self[i] + alpha`.
    pub fn shift(&mut self, alpha: T) {
        self.map(|y| y + alpha);
    }

    /// `self[i] = conj(self[i])`.
    pub fn conj(&mut self) {
        self.map(T::conj);
    }

    /// `self[i] = |self[i]|`.
    pub fn abs(&mut self) {
        self.map(|y| T::from_real(y.abs()));
    }

    /// `self[i] = 1 / self[i]`; infinite or NaN where an entry is zero.
    pub fn reciprocal(&mut self) {
        self.map(|y| T::ONE / y);
    }

    /// `self = self + alpha x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn axpy(&mut self, alpha: T, x: &Vector<T>) -> Result<()> {
        self.combine(x, "axpy", |y, x| y + alpha * x)
    }

    /// `self = alpha x + beta self`. With `beta` zero the old entries do not count, NaN included.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn axpby(&mut self, alpha: T, x: &Vector<T>, beta: T) -> Result<()> {
        if beta == T::ZERO {
            return self.combine(x, "axpby", |_, x| alpha * x);
        }
        self.combine(x, "axpby", |y, x| alpha * x + beta * y)
    }

    /// `self = alpha x + y`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn waxpy(&mut self, alpha: T, x: &Vector<T>, y: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "waxpy")?;
        self.layout.require_same(&y.layout, "waxpy")?;
        simd::dispatch(|| {
            for ((w, &x), &y) in self.owned.iter_mut().zip(&x.owned).zip(&y.owned) {
                *w = alpha * x + y;
            }
        });
        Ok(())
    }

    /// `self = self + alphas[0] xs[0] + alphas[1] xs[1] + ...`, in this order (PETSc `VecMAXPY`).
    ///
    /// Traffic: each of `xs` is read once, `self` read and written once.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::Shape`] if there are not as many factors as vectors.
    pub fn multi_axpy(&mut self, alphas: &[T], xs: &[impl Borrow<Vector<T>>]) -> Result<()> {
        let operation = "multi-axpy";
        if alphas.len() != xs.len() {
            let (expected, found) = ((xs.len() as u64, 1), (alphas.len() as u64, 1));
            return Err(Error::Shape { operation, expected, found });
        }
        for x in xs {
            self.layout.require_same(&x.borrow().layout, operation)?;
        }
        let chunk = CHUNK_BYTES / size_of::<T>();
        for (number, ys) in self.owned.chunks_mut(chunk).enumerate() {
            let len = ys.len();
            let piece = |j: usize| &xs[j].borrow().owned[number * chunk..][..len];
            // What comes next: the same piece of the vectors after these, or the next of the first.
            let next = |j: usize| match xs.get(j) {
                Some(x) => x.borrow().owned.as_ptr().wrapping_add(number * chunk),
                None => xs[j % AT_ONCE % xs.len()].borrow().owned.as_ptr().wrapping_add((number + 1) * chunk),
            };
            let mut j = 0;
            while j + AT_ONCE <= xs.len() {
                let group: [usize; AT_ONCE] = std::array::from_fn(|k| j + k);
                add_group(ys, group.map(|j| alphas[j]), group.map(piece), group.map(|j| next(j + AT_ONCE)));
                j += AT_ONCE;
            }
            for j in j..xs.len() {
                add_group(ys, [alphas[j]], [piece(j)], [next(j + AT_ONCE)]);
            }
        }
        Ok(())
    }

    /// `self[i] = self[i] x[i]`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn multiply(&mut self, x: &Vector<T>) -> Result<()> {
        self.combine(x, "pointwise product", |y, x| y * x)
    }

    /// `self[i] = self[i] / x[i]`; infinite or NaN where an entry of `x` is zero.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn divide(&mut self, x: &Vector<T>) -> Result<()> {
        self.combine(x, "pointwise quotient", |y, x| y / x)
    }

    fn combine(&mut self, x: &Vector<T>, operation: &'static str, f: impl Fn(T, T) -> T) -> Result<()> {
        self.layout.require_same(&x.layout, operation)?;
        simd::dispatch(|| {
            for (y, &x) in self.owned.iter_mut().zip(&x.owned) {
                *y = f(*y, x);
            }
        });
        Ok(())
    }
}

/// `y[i] = y[i] + alphas[0] xs[0][i] + ...`, asking for memory at `next` meanwhile.
fn add_group<T: Scalar, const K: usize>(y: &mut [T], alphas: [T; K], xs: [&[T]; K], next: [*const T; K]) {
    simd::dispatch(|| {
        let (groups, rest) = y.as_chunks_mut::<LANES>();
        let done = groups.len() * LANES;
        for (number, y) in groups.iter_mut().enumerate() {
            let mut sums = *y;
            for k in 0..K {
                simd::prefetch(next[k].wrapping_add(number * LANES), LANES, 0);
                let (alpha, x) = (alphas[k], &xs[k].as_chunks::<LANES>().0[number]);
                for i in 0..LANES {
                    sums[i] += alpha * x[i];
                }
            }
            *y = sums;
        }
        for (i, y) in rest.iter_mut().enumerate() {
            for k in 0..K {
                *y += alphas[k] * xs[k][done + i];
            }
        }
    });
}
