//! Operations on each entry by itself. No communication; the same bits on any number of ranks,
//! since products and sums are never contracted.

use std::array;
use std::borrow::Borrow;

use crate::error::{Error, Result};
use crate::profile::entrywise;
use crate::scalar::Scalar;
use crate::simd;
use crate::threads;
use crate::vector::Vector;

/// Bytes of a vector that stay in the second-level cache while others are added to it. A shorter piece of each of
/// the others is too short for the hardware to read ahead: with 8 KiB all takes half as long again on Zen 5.
const CHUNK_BYTES: usize = 64 << 10;
/// Entries that are handled at once.
const LANES: usize = 16;
/// Vectors that are added in one pass over a chunk.
const AT_ONCE: usize = 4;
/// Vectors that are added in one pass over all entries.
const IN_A_PASS: usize = 32;

impl<T: Scalar> Vector<T> {
    /// Sets every entry.
    pub fn fill(&mut self, value: T) {
        let _event = entrywise::<T>("VecSet", self.owned.len(), 0, 0, 1);
        threads::for_entries(&mut self.owned, &|_, ys| ys.fill(value));
    }

    /// Copies `x`: `self = x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn copy_from(&mut self, x: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "copy")?;
        let _event = entrywise::<T>("VecCopy", self.owned.len(), 0, 0, 2);
        let xs = &*x.owned;
        threads::for_entries(&mut self.owned, &|start, ys| ys.copy_from_slice(&xs[start..][..ys.len()]));
        Ok(())
    }

    /// Applies `f` to each entry: `self[i] = f(self[i])`.
    pub fn map(&mut self, f: impl Fn(T) -> T) {
        let _event = entrywise::<T>("VecMap", self.owned.len(), 0, 0, 2);
        simd::dispatch(|| self.owned.iter_mut().for_each(|y| *y = f(*y)));
    }

    /// Applies `f` to each pair of entries: `self[i] = f(self[i], x[i])`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn map_with(&mut self, x: &Vector<T>, f: impl Fn(T, T) -> T) -> Result<()> {
        self.layout.require_same(&x.layout, "pointwise map")?;
        let _event = entrywise::<T>("VecMap", self.owned.len(), 0, 0, 3);
        simd::dispatch(|| self.owned.iter_mut().zip(&x.owned).for_each(|(y, &x)| *y = f(*y, x)));
        Ok(())
    }

    /// Multiplies all entries: `self = alpha self`.
    pub fn scale(&mut self, alpha: T) {
        let _event = entrywise::<T>("VecScale", self.owned.len(), 0, 1, 2);
        self.replace(|y| alpha * y);
    }

    /// Adds `alpha` to each entry: `self[i] = self[i] + alpha`.
    pub fn shift(&mut self, alpha: T) {
        let _event = entrywise::<T>("VecShift", self.owned.len(), 1, 0, 2);
        self.replace(|y| y + alpha);
    }

    /// Conjugates each entry: `self[i] = conj(self[i])`.
    pub fn conj(&mut self) {
        self.map(T::conj);
    }

    /// Replaces each entry by its absolute value: `self[i] = |self[i]|`.
    pub fn abs(&mut self) {
        self.map(|y| T::from_real(y.abs()));
    }

    /// Inverts each entry: `self[i] = 1 / self[i]`; infinite or NaN where an entry is zero.
    pub fn reciprocal(&mut self) {
        self.map(|y| T::ONE.quotient(y));
    }

    /// Computes `self = self + alpha x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn axpy(&mut self, alpha: T, x: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "axpy")?;
        let _event = entrywise::<T>("VecAXPY", self.owned.len(), 1, 1, 3);
        self.combine(x, |y, x| y + alpha * x);
        Ok(())
    }

    /// Computes `self = alpha x + beta self`. With `beta` zero the old entries do not count, NaN included.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn axpby(&mut self, alpha: T, x: &Vector<T>, beta: T) -> Result<()> {
        self.layout.require_same(&x.layout, "axpby")?;
        let _event = entrywise::<T>("VecAXPBY", self.owned.len(), 1, 2, 3);
        if beta == T::ZERO {
            self.combine(x, |_, x| alpha * x);
        } else {
            self.combine(x, |y, x| alpha * x + beta * y);
        }
        Ok(())
    }

    /// Computes `self = alpha x + y`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn waxpy(&mut self, alpha: T, x: &Vector<T>, y: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "waxpy")?;
        self.layout.require_same(&y.layout, "waxpy")?;
        let _event = entrywise::<T>("VecWAXPY", self.owned.len(), 1, 1, 3);
        let (xs, ys) = (&*x.owned, &*y.owned);
        threads::for_entries(&mut self.owned, &|start, ws| {
            simd::dispatch(|| {
                let operands = xs[start..].iter().zip(&ys[start..]);
                ws.iter_mut().zip(operands).for_each(|(w, (&x, &y))| *w = alpha * x + y);
            });
        });
        Ok(())
    }

    /// Computes `self = self + alphas[0] xs[0] + alphas[1] xs[1] + ...`, in this order (PETSc `VecMAXPY`).
    ///
    /// Traffic: each of `xs` is read once, `self` read and written once.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::Shape`] if there are not as many factors as vectors.
    pub fn multi_axpy(&mut self, alphas: &[T], xs: &[impl Borrow<Vector<T>>]) -> Result<()> {
        self.add_all("multi-axpy", alphas, xs, None)
    }

    /// Computes `self = beta self + alphas[0] xs[0] + alphas[1] xs[1] + ...`, in this order (PETSc `VecMAXPBY`). Entries
    /// that are not finite do not vanish with `beta` zero.
    ///
    /// Traffic: each of `xs` is read once, `self` read and written once.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::Shape`] if there are not as many factors as vectors.
    pub fn multi_axpby(&mut self, alphas: &[T], xs: &[impl Borrow<Vector<T>>], beta: T) -> Result<()> {
        self.add_all("multi-axpby", alphas, xs, Some(beta))
    }

    fn add_all(
        &mut self,
        operation: &'static str,
        alphas: &[T],
        xs: &[impl Borrow<Vector<T>>],
        mut beta: Option<T>,
    ) -> Result<()> {
        if alphas.len() != xs.len() {
            let (expected, found) = ((xs.len() as u64, 1), (alphas.len() as u64, 1));
            return Err(Error::Shape { operation, expected, found });
        }
        for x in xs {
            self.layout.require_same(&x.borrow().layout, operation)?;
        }
        let products = xs.len() + usize::from(beta.is_some());
        let _event = entrywise::<T>("VecMAXPY", self.owned.len(), xs.len(), products, xs.len() + 2);
        if let (true, Some(beta)) = (xs.is_empty(), beta) {
            self.replace(|y| beta * y);
        }
        for (alphas, xs) in alphas.chunks(IN_A_PASS).zip(xs.chunks(IN_A_PASS)) {
            // Threads can have slices, but not vectors.
            let slices: [&[T]; IN_A_PASS] = array::from_fn(|j| xs.get(j).map_or(&[][..], |x| &x.borrow().owned));
            let slices = &slices[..xs.len()];
            let beta = beta.take();
            threads::for_entries(&mut self.owned, &|start, ys| add_multiples(start, ys, beta, alphas, slices));
        }
        Ok(())
    }

    /// Multiplies entry by entry: `self[i] = self[i] x[i]`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn multiply(&mut self, x: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "pointwise product")?;
        let _event = entrywise::<T>("VecPointwiseMult", self.owned.len(), 0, 1, 3);
        self.combine(x, |y, x| y * x);
        Ok(())
    }

    /// Divides entry by entry: `self[i] = self[i] / x[i]`; infinite or NaN where an entry of `x` is zero.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn divide(&mut self, x: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "pointwise quotient")?;
        let _event = entrywise::<T>("VecPointwiseDivide", self.owned.len(), 0, 1, 3);
        self.combine(x, |y, x| y / x);
        Ok(())
    }

    /// Computes `self[i] = f(self[i])`, on all threads.
    fn replace(&mut self, f: impl Fn(T) -> T + Sync) {
        threads::for_entries(&mut self.owned, &|_, ys| simd::dispatch(|| ys.iter_mut().for_each(|y| *y = f(*y))));
    }

    /// Computes `self[i] = f(self[i], x[i])`, on all threads.
    fn combine(&mut self, x: &Vector<T>, f: impl Fn(T, T) -> T + Sync) {
        let xs = &*x.owned;
        threads::for_entries(&mut self.owned, &|start, ys| {
            simd::dispatch(|| ys.iter_mut().zip(&xs[start..]).for_each(|(y, &x)| *y = f(*y, x)));
        });
    }
}

/// Adds multiples of vectors to the entries `ys` from `start` on, which are multiplied with `beta` before.
fn add_multiples<T: Scalar>(start: usize, ys: &mut [T], beta: Option<T>, alphas: &[T], xs: &[&[T]]) {
    let chunk = CHUNK_BYTES / size_of::<T>();
    for (number, ys) in ys.chunks_mut(chunk).enumerate() {
        let (at, len) = (start + number * chunk, ys.len());
        if let Some(beta) = beta {
            simd::dispatch(|| ys.iter_mut().for_each(|y| *y = beta * *y));
        }
        let piece = |j: usize| &xs[j][at..][..len];
        for first in (0..xs.len()).step_by(AT_ONCE) {
            let (alpha, piece) = (|k: usize| alphas[first + k], |k: usize| piece(first + k));
            match xs.len() - first {
                1 => add_group::<T, 1>(ys, array::from_fn(alpha), array::from_fn(piece)),
                2 => add_group::<T, 2>(ys, array::from_fn(alpha), array::from_fn(piece)),
                3 => add_group::<T, 3>(ys, array::from_fn(alpha), array::from_fn(piece)),
                _ => add_group::<T, AT_ONCE>(ys, array::from_fn(alpha), array::from_fn(piece)),
            }
        }
    }
}

/// Computes `y[i] = y[i] + alphas[0] xs[0][i] + ...`.
fn add_group<T: Scalar, const K: usize>(y: &mut [T], alphas: [T; K], xs: [&[T]; K]) {
    simd::dispatch(|| {
        let (groups, rest) = y.as_chunks_mut::<LANES>();
        let done = groups.len() * LANES;
        for (number, y) in groups.iter_mut().enumerate() {
            let mut sums = *y;
            for k in 0..K {
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
