//! Inner products, norms, sums and extremes: each one reduction over the ranks.
//!
//! Sums are taken and given in double precision, whatever the precision of the entries: squares of
//! single-precision residuals leave its range long before the residuals do.
//! They are reproducible unless [`Reduction::Fast`] is asked for by name; [`crate::reduce`] says how.
//! Nothing is allocated once a reduction of the same size was made before.

use std::borrow::Borrow;
use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::comm::Merge;
use crate::error::{Error, Result};
use crate::index::{Gid, local};
use crate::powers_of_two::inverse_power_of_two;
use crate::profile::{self, Event, entrywise};
use crate::reduce::{Form, Reduction, Summation, dot_sums, entry_sum, real_sums};
use crate::scalar::{Real, Scalar};
use crate::scaling::SAFE_SQUARES;
use crate::threads;
use crate::vector::Vector;

impl<T: Scalar> Vector<T> {
    /// Computes the inner product `sum conj(self[i]) x[i]`, the same bits on any number of ranks.
    ///
    /// # Collective
    /// One reduction.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn dot(&self, x: &Vector<T>) -> Result<T::Double> {
        Reduction::Reproducible.dot(self, x)
    }

    /// Computes the bilinear product `sum self[i] x[i]`, without conjugation (BLAS `dotu`, PETSc `VecTDot`).
    ///
    /// # Collective
    /// One reduction.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn dotu(&self, x: &Vector<T>, reduction: Reduction) -> Result<T::Double> {
        self.layout.require_same(&x.layout, "dotu")?;
        self.product(x, reduction, Form::Bilinear)
    }

    fn product(&self, x: &Vector<T>, reduction: Reduction, form: Form) -> Result<T::Double> {
        let _event = entrywise::<T>("VecDot", self.owned.len(), 1, 1, 2);
        let mut value = [T::Double::ZERO];
        dot_sums(&self.layout, reduction.into(), form, &mut value, |_| [&self.owned, &x.owned])
            .map_err(|differ| differ.error(self.comm(), &"Vector::dot"))?;
        Ok(value[0])
    }

    /// Computes the inner products of many vectors with this one, `out[j] = sum conj(xs[j][i]) self[i]`, in
    /// one reduction and one pass over `self` (PETSc `VecMDot`).
    ///
    /// # Collective
    /// One reduction. All ranks give the same number of vectors.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], [`Error::Shape`] if `out` is not as long as `xs`, or
    /// [`Error::RanksDisagree`] if the ranks give different numbers.
    pub fn multi_dot<'r>(
        &self,
        xs: &[impl Borrow<Vector<T>>],
        summation: impl Into<Summation<'r>>,
        out: &mut [T::Double],
    ) -> Result<()> {
        let operation = "multi-dot";
        require_len(operation, xs.len(), out.len())?;
        for x in xs {
            self.layout.require_same(&x.borrow().layout, operation)?;
        }
        let _event = entrywise::<T>("VecMDot", self.owned.len(), xs.len(), xs.len(), xs.len() + 1);
        let operands = |j: usize| [&*xs[j].borrow().owned, &*self.owned];
        let summation = summation.into();
        let count = summation.riders();
        dot_sums(&self.layout, summation, Form::Conjugated, out, operands).map_err(|differ| {
            let vectors = xs.len();
            differ.error(self.comm(), &format_args!("Vector::multi_dot of {vectors} vectors, {count} riders"))
        })
    }

    /// Computes the sum of all entries.
    ///
    /// # Collective
    /// One reduction.
    pub fn sum(&self, reduction: Reduction) -> T::Double {
        let _event = entrywise::<T>("VecSum", self.owned.len(), 1, 0, 1);
        let sum = entry_sum(&self.layout, reduction, &self.owned);
        sum.unwrap_or_else(|differ| differ.end(self.comm(), &"Vector::sum"))
    }

    /// Computes the sum of absolute values, the same bits on any number of ranks.
    ///
    /// # Collective
    /// One reduction.
    pub fn norm1(&self) -> f64 {
        Reduction::Reproducible.norm1(self)
    }

    /// Computes the Euclidean norm, the same bits on any number of ranks.
    ///
    /// Entries so large or small that their squares leave the range of double precision are scaled
    /// by a power of two first, so that only a norm that is itself too large overflows.
    ///
    /// # Collective
    /// One reduction; two more for entries that need scaling.
    pub fn norm2(&self) -> f64 {
        Reduction::Reproducible.norm2(self)
    }

    /// Computes the Euclidean norm as [`Vector::norm2`] computes it, for a caller that has settings compared in the
    /// same reduction; see [`Comm::compare`](crate::Comm::compare).
    ///
    /// # Collective
    /// As [`Vector::norm2`].
    ///
    /// # Errors
    /// [`Error::RanksDisagree`].
    pub fn try_norm2(&self) -> Result<f64> {
        self.norm2_or_error(Reduction::Reproducible)
    }

    fn norm2_or_error(&self, reduction: Reduction) -> Result<f64> {
        let sqr = self.sum_of(|x| abs_sqr(x, 1.0), reduction)?;
        if SAFE_SQUARES.contains(&sqr) {
            return Ok(sqr.sqrt());
        }
        let largest = self.norm_inf().to_f64();
        if largest == 0.0 || !largest.is_finite() {
            return Ok(largest);
        }
        let scale = inverse_power_of_two(largest);
        let sqr = self.sum_of(|x| abs_sqr(x, scale), reduction)?;
        Ok(sqr.sqrt() / scale)
    }

    /// Computes the largest absolute value; NaN if any entry is NaN; zero for an empty vector.
    ///
    /// # Collective
    /// One reduction.
    pub fn norm_inf(&self) -> T::Real {
        let _event = norm_event(self);
        let owned = &*self.owned;
        let of_piece = |range: Range<usize>| {
            owned[range].iter().fold([0.0; 2], |largest, value| larger(largest, value.abs().to_f64()))
        };
        let mut largest = threads::reduce(owned.len(), &of_piece, &|a, b| [a[0].max(b[0]), a[1].max(b[1])]);
        self.comm().all_reduce_max(&mut largest);
        T::Real::from_f64(largest_of(largest))
    }

    /// Computes the sum of a real function of the entries over all ranks.
    fn sum_of(&self, f: impl Fn(T) -> f64 + Sync, reduction: Reduction) -> Result<f64> {
        let _event = norm_event(self);
        let mut total = [0.0f64];
        real_sums(&self.layout, reduction, &mut total, |_| &self.owned, f)
            .map_err(|differ| differ.error(self.comm(), &"norm of a vector"))?;
        Ok(total[0])
    }
}

/// Inner products and norms with a chosen reduction; those of [`Vector`] are reproducible.
impl Reduction {
    /// Computes the inner product `sum conj(x[i]) y[i]`.
    ///
    /// # Collective
    /// One reduction.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn dot<T: Scalar>(self, x: &Vector<T>, y: &Vector<T>) -> Result<T::Double> {
        x.layout.require_same(&y.layout, "dot")?;
        x.product(y, self, Form::Conjugated)
    }

    /// Computes the sum of absolute values.
    ///
    /// # Collective
    /// One reduction.
    pub fn norm1<T: Scalar>(self, x: &Vector<T>) -> f64 {
        let size = |x: T| if T::COMPLEX { x.re().to_f64().hypot(x.im().to_f64()) } else { x.re().to_f64().abs() };
        x.sum_of(size, self).unwrap_or_else(|error| x.comm().end_together(&error))
    }

    /// Computes the Euclidean norm, scaled where that is needed as by [`Vector::norm2`].
    ///
    /// # Collective
    /// As [`Vector::norm2`].
    pub fn norm2<T: Scalar>(self, x: &Vector<T>) -> f64 {
        x.norm2_or_error(self).unwrap_or_else(|error| x.comm().end_together(&error))
    }
}

/// Counts two operations for each real number.
fn norm_event<T: Scalar>(x: &Vector<T>) -> Event {
    let numbers = x.owned.len() * (1 + usize::from(T::COMPLEX));
    profile::operation("VecNorm").flops(2 * numbers as u64).bytes(size_of_val(&*x.owned) as u64)
}

/// Returns `|scale x|^2` in double precision.
pub(crate) fn abs_sqr<T: Scalar>(x: T, scale: f64) -> f64 {
    let (re, im) = (x.re().to_f64() * scale, x.im().to_f64() * scale);
    re * re + im * im
}

/// Merges a size into the largest of others, and into a flag, which is one if any is NaN.
pub(crate) fn larger([largest, no_number]: [f64; 2], size: f64) -> [f64; 2] {
    if size.is_nan() { [largest, 1.0] } else { [largest.max(size), no_number] }
}

/// Returns what [`larger`] has found.
pub(crate) fn largest_of([largest, no_number]: [f64; 2]) -> f64 {
    if no_number > 0.0 { f64::NAN } else { largest }
}

impl<T: Real> Vector<T> {
    /// Finds the largest entry and its global index, the lowest among equals. The first NaN wins over all
    /// numbers; `None` for a vector without entries.
    ///
    /// # Collective
    /// One reduction.
    pub fn max_at(&self) -> Option<(Gid, T)> {
        self.extreme(1.0)
    }

    /// Finds the smallest entry and its global index, the lowest among equals. The first NaN wins over all
    /// numbers; `None` for a vector without entries.
    ///
    /// # Collective
    /// One reduction.
    pub fn min_at(&self) -> Option<(Gid, T)> {
        self.extreme(-1.0)
    }

    /// Returns the extreme of the entries times `sign`.
    fn extreme(&self, sign: f64) -> Option<(Gid, T)> {
        let _event = entrywise::<T>("VecMax", self.owned.len(), 1, 0, 1);
        let owned = &*self.owned;
        let merged = |mut best: Extreme, other: Extreme| {
            best.merge(&other);
            best
        };
        let of_piece = |range: Range<usize>| {
            let sized = |(index, value): (Gid, &T)| Extreme { value: sign * value.to_f64(), index };
            let none = Extreme { value: f64::NEG_INFINITY, index: Gid::MAX };
            (range.start as Gid..).zip(&owned[range]).map(sized).fold(none, merged)
        };
        let mut best = threads::reduce(owned.len(), &of_piece, &merged);
        // Positions ascend with global rows, so the lowest position is the lowest row.
        if best.index != Gid::MAX {
            best.index = self.layout.owned_to_global(local(best.index));
        }
        let mut total = [best];
        self.comm().all_reduce_merge(&[best], &mut total);
        let [Extreme { value, index }] = total;
        (index != Gid::MAX).then(|| (index, T::from_f64(sign * value)))
    }
}

/// The largest number so far and where it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Extreme {
    value: f64,
    index: Gid,
}

impl Merge for Extreme {
    fn merge(&mut self, other: &Extreme) {
        let wins = match (self.value.is_nan(), other.value.is_nan()) {
            (true, true) => other.index < self.index,
            (mine, theirs) if mine != theirs => theirs,
            _ => other.value > self.value || (other.value == self.value && other.index < self.index),
        };
        if wins {
            *self = *other;
        }
    }
}

/// Computes several inner products `sum conj(a[i]) b[i]` in one reduction.
///
/// # Collective
/// All ranks give the same number of riders.
///
/// # Errors
/// [`Error::LayoutMismatch`] if the vectors do not all share one layout, or [`Error::RanksDisagree`] if the ranks give
/// different numbers of pairs or riders.
pub fn dots<'r, T: Scalar, const N: usize>(
    pairs: [(&Vector<T>, &Vector<T>); N],
    summation: impl Into<Summation<'r>>,
) -> Result<[T::Double; N]> {
    const { assert!(N > 0, "a sum needs a pair of vectors") };
    let mut out = [T::Double::ZERO; N];
    let (first, _) = pairs[0];
    for (a, b) in &pairs {
        first.layout.require_same(&a.layout, "dot")?;
        first.layout.require_same(&b.layout, "dot")?;
    }
    let name = if pairs.len() == 1 { "VecDot" } else { "VecMDot" };
    let _event = entrywise::<T>(name, first.owned.len(), pairs.len(), pairs.len(), 2 * pairs.len());
    let operands = |j: usize| [&*pairs[j].0.owned, &*pairs[j].1.owned];
    let summation = summation.into();
    let count = summation.riders();
    dot_sums(&first.layout, summation, Form::Conjugated, &mut out, operands)
        .map_err(|differ| differ.error(first.comm(), &format_args!("dots of {N} pairs, {count} riders")))?;
    Ok(out)
}

fn require_len(operation: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape { operation, expected: (expected as u64, 1), found: (found as u64, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_prefer_nan_and_then_the_lowest_index() {
        let best = |values: &[(f64, u64)]| {
            let mut best = Extreme { value: f64::NEG_INFINITY, index: Gid::MAX };
            values.iter().for_each(|&(value, index)| best.merge(&Extreme { value, index }));
            best.index
        };
        assert_eq!(best(&[(1.0, 4), (2.0, 9), (2.0, 7), (-3.0, 1)]), 7);
        assert_eq!(best(&[(0.0, 2), (-0.0, 1)]), 1);
        assert_eq!(best(&[(f64::NAN, 5), (9.0, 1), (f64::NAN, 3)]), 3);
        assert_eq!(best(&[(f64::NEG_INFINITY, 6)]), 6);
        assert_eq!(best(&[]), Gid::MAX);
    }
}
