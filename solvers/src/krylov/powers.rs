//! Powers of two that keep a solve within the range of its numbers.
//!
//! Sums of squares leave the range of a scalar long before its entries do. A solve therefore works with
//! `2^-b b`, `2^-a A` and `2^-m M`, whose sizes are near one, and with `x` times `2^(a - b)`. Multiplying by a
//! power of two is exact: every number of the solve keeps its digits, and only its exponent differs. `b` is
//! that of the norm of the right-hand side; `a` and `m` come from the first product that is not zero. All of them are
//! zero for a system of ordinary size, and then nothing is multiplied and nothing is copied.
//!
//! Powers are multiples of the width of a bin of the reproducible sums
//! ([`BinnedSum`](dolmen_core::BinnedSum)), or of half of it for vectors, so that these sums keep their digits too.

use std::cell::{Cell, RefCell};

use dolmen_core::scaling::exponent;
use dolmen_core::{MultiVector, Real, Reduction, Scalar, Snapshot, Vector};

use crate::error::{Error, Result};

/// Powers of operators are multiples of this.
const OPERATOR_STEP: i32 = 40;
/// Powers of vectors are multiples of this.
const VECTOR_STEP: i32 = 20;
/// The name of the powers in a snapshot.
const NAME: &str = "powers of two";

/// The range of a scalar, in exponents of two.
struct Range {
    /// Of the smallest normal number and the largest one.
    normal: [i32; 2],
    /// Bits of a number after the first one.
    digits: i32,
    /// A vector of this size, above or below one, is far from both ends.
    reach: i32,
}

fn range<T: Scalar>() -> Range {
    match is_double::<T>() {
        true => Range { normal: [-1022, 1023], digits: 52, reach: 500 },
        false => Range { normal: [-126, 127], digits: 23, reach: 60 },
    }
}

fn is_double<T: Scalar>() -> bool {
    T::Real::EPSILON.to_f64() == f64::EPSILON
}

/// Returns the power of an operator or a vector of this exponent: zero for ordinary sizes.
fn power<T: Scalar>(exponent: i32, step: i32) -> i32 {
    let ordinary = if is_double::<T>() { 60 } else { step / 2 };
    if exponent.abs() <= ordinary { 0 } else { (exponent + step / 2).div_euclid(step) * step }
}

/// Returns the power of a vector of this norm.
pub(crate) fn vector_power<T: Scalar>(norm: f64) -> i32 {
    if norm > 0.0 && norm.is_finite() { power::<T>(exponent(norm), VECTOR_STEP) } else { 0 }
}

/// A vector or several.
pub(crate) trait Numbers<T: Scalar>: Clone {
    /// Returns the largest norm of a column.
    ///
    /// # Collective
    fn size(&self) -> Result<f64>;
    fn copy(&mut self, other: &Self) -> Result<()>;
    fn entries(&mut self) -> &mut [T];

    /// Computes `self = 2^power self`.
    fn scale_by(&mut self, power: i32) {
        scale_entries(self.entries(), power);
    }
}

/// Multiplies entries by `2^power`.
pub(crate) fn scale_entries<T: Scalar>(entries: &mut [T], power: i32) {
    let mut left = power;
    while left != 0 {
        let step = left.clamp(-1000, 1000);
        let factor = f64::from(step).exp2();
        for entry in entries.iter_mut() {
            *entry = T::from_parts(entry.re().to_f64() * factor, entry.im().to_f64() * factor);
        }
        left -= step;
    }
}

impl<T: Scalar> Numbers<T> for Vector<T> {
    fn size(&self) -> Result<f64> {
        Ok(self.norm2())
    }

    fn copy(&mut self, other: &Self) -> Result<()> {
        Ok(self.copy_from(other)?)
    }

    fn entries(&mut self) -> &mut [T] {
        self.owned_mut()
    }
}

impl<T: Scalar> Numbers<T> for MultiVector<T> {
    fn size(&self) -> Result<f64> {
        // NaN is larger than any number.
        let larger = |largest: f64, norm: f64| if norm > largest || norm.is_nan() { norm } else { largest };
        Ok(column_norms(self)?.into_iter().fold(0.0, larger))
    }

    fn copy(&mut self, other: &Self) -> Result<()> {
        Ok(self.copy_from(other)?)
    }

    fn entries(&mut self) -> &mut [T] {
        self.owned_mut()
    }
}

/// Norms of columns.
///
/// # Collective
pub(crate) fn column_norms<T: Scalar>(columns: &MultiVector<T>) -> Result<Vec<f64>> {
    let mut norms = vec![0.0; columns.columns()];
    columns.column_norms(Reduction::Reproducible, &mut norms)?;
    Ok(norms)
}

/// The power of an operator, once it is known.
#[derive(Default)]
pub(crate) struct Power(Cell<Option<i32>>);

impl Power {
    /// Returns the power; zero as long as it is not known.
    pub(crate) fn get(&self) -> i32 {
        self.0.get().unwrap_or(0)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    pub(crate) fn set(&self, power: i32) {
        self.0.set(Some(power));
    }

    /// Takes an operator to be of this size, if nothing is known of it.
    pub(crate) fn assume<T: Scalar>(&self, size: f64) {
        if !self.is_known() && size > 0.0 && size.is_finite() {
            self.set(power::<T>(exponent(size), OPERATOR_STEP));
        }
    }

    /// Computes `y = 2^-power A x`, where `product` computes `y = A x`. Half of the power goes to `x`, in `room`, so
    /// that no number on the way leaves the range.
    pub(crate) fn apply<T: Scalar, V: Numbers<T>>(
        &self,
        room: &RefCell<Option<V>>,
        x: &V,
        y: &mut V,
        product: impl Fn(&V, &mut V) -> Result<()>,
    ) -> Result<()> {
        match self.0.get() {
            Some(0) => product(x, y),
            Some(power) => {
                product_of_scaled(room, x, y, -power / 2, &product)?;
                y.scale_by(-(power - power / 2));
                Ok(())
            }
            None => self.learn(room, x, y, product),
        }
    }

    /// [`Power::apply`], and the power is that of this product, unless it is zero.
    fn learn<T: Scalar, V: Numbers<T>>(
        &self,
        room: &RefCell<Option<V>>,
        x: &V,
        y: &mut V,
        product: impl Fn(&V, &mut V) -> Result<()>,
    ) -> Result<()> {
        let size = x.size()?;
        product(x, y)?;
        if size == 0.0 || !size.is_finite() {
            return Ok(());
        }
        let Range { normal, digits, reach } = range::<T>();
        let mut found = y.size()?;
        let mut shift = 0;
        // What has left the range, or lost digits on the way, may be a number for another x.
        let is_tiny = found > 0.0 && found < f64::from(normal[0] + 2 * digits).exp2();
        if is_tiny || !found.is_finite() {
            shift = if is_tiny { reach } else { -reach };
            product_of_scaled(room, x, y, shift, &product)?;
            found = y.size()?;
        }
        if found > 0.0 && found.is_finite() {
            self.set(power::<T>(exponent(found) - exponent(size) - shift, OPERATOR_STEP));
            y.scale_by(-shift - self.get());
        }
        Ok(())
    }
}

/// Computes `y = A (2^power x)`.
fn product_of_scaled<T: Scalar, V: Numbers<T>>(
    room: &RefCell<Option<V>>,
    x: &V,
    y: &mut V,
    power: i32,
    product: impl Fn(&V, &mut V) -> Result<()>,
) -> Result<()> {
    let room = &mut *room.borrow_mut();
    let scaled = match room {
        Some(scaled) => {
            scaled.copy(x)?;
            scaled
        }
        None => room.insert(x.clone()),
    };
    scaled.scale_by(power);
    product(scaled, y)
}

/// The powers of the operators of a solve.
#[derive(Default)]
pub(crate) struct Powers {
    pub(crate) operator: Power,
    pub(crate) preconditioner: Power,
    /// Of the part of a split preconditioner that stands on the right.
    pub(crate) right: Power,
}

impl Powers {
    fn all(&self) -> [&Power; 3] {
        [&self.operator, &self.preconditioner, &self.right]
    }

    /// Returns the powers that a snapshot holds: of the operators, and of each right-hand side. A snapshot without
    /// powers is of a solve in which all were zero.
    pub(crate) fn resumed<T: Scalar>(snapshot: &Snapshot<T>, columns: usize) -> (Powers, Vec<i32>) {
        let powers = Powers::default();
        let none = vec![0.0; 3 + columns];
        let saved = snapshot.reals(NAME).unwrap_or(&none);
        if saved.len() != none.len() {
            return (powers, vec![0; columns]);
        }
        let (operators, rhs) = saved.split_at(3);
        powers.all().into_iter().zip(operators).for_each(|(own, &saved)| own.set(whole(saved)));
        (powers, rhs.iter().copied().map(whole).collect())
    }

    /// Adds them to a snapshot, unless all of them are zero.
    pub(crate) fn save<T: Scalar>(&self, snapshot: &mut Snapshot<T>, columns: &[i32]) {
        let all: Vec<i32> = self.all().into_iter().map(Power::get).chain(columns.iter().copied()).collect();
        if all.iter().any(|&power| power != 0) {
            snapshot.set_reals(NAME, all.into_iter().map(f64::from).collect());
        }
    }
}

/// Returns a power that a snapshot has as a real number.
#[expect(clippy::cast_possible_truncation, reason = "powers are small whole numbers")]
pub(crate) fn whole(power: f64) -> i32 {
    power as i32
}

/// Computes `x = 2^power x` for the solution of a solve, and the same for each of several columns.
///
/// # Collective
///
/// # Errors
/// [`Error::OutOfRange`] if that is not a number of this type, or not all of its digits are.
pub(crate) fn scale_solution<T: Scalar>(method: &'static str, x: &mut Vector<T>, power: i32) -> Result<()> {
    if power == 0 {
        return Ok(());
    }
    let (largest, Range { normal, digits, .. }) = (x.norm_inf().to_f64(), range::<T>());
    if largest == 0.0 || !largest.is_finite() {
        x.scale_by(power);
        return Ok(());
    }
    let top = exponent(largest) + power;
    if (normal[0] + digits..normal[1]).contains(&top) {
        x.scale_by(power);
        return Ok(());
    }
    let mut lost = x.clone();
    x.scale_by(power);
    let mut back = x.clone();
    back.scale_by(-power);
    lost.axpy(-T::ONE, &back)?;
    if lost.norm_inf().to_f64() <= T::Real::EPSILON.to_f64() * largest {
        return Ok(());
    }
    Err(Error::OutOfRange { method, what: "the largest entry of the solution", exponent: top, scalar: T::NAME })
}

/// Refuses a right-hand side whose norm is beyond the largest number, though its entries are not.
///
/// # Collective
///
/// # Errors
/// [`Error::OutOfRange`].
pub(crate) fn require_norm<T: Scalar>(method: &'static str, b: &Vector<T>, norm: f64) -> Result<()> {
    if norm != f64::INFINITY {
        return Ok(());
    }
    let mut finite = [u64::from(b.owned().iter().all(|entry| entry.is_finite()))];
    b.comm().all_reduce_min(&mut finite);
    if finite == [0] {
        return Ok(());
    }
    let what = "the norm of the right-hand side";
    Err(Error::OutOfRange { method, what, exponent: range::<T>().normal[1] + 1, scalar: T::NAME })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_ordinary_sizes_are_zero() {
        assert_eq!([-60, 0, 60].map(|e| power::<f64>(e, OPERATOR_STEP)), [0; 3]);
        assert_eq!([-20, 20].map(|e| power::<f32>(e, OPERATOR_STEP)), [0; 2]);
        assert_eq!([-61, 61, -560, 1000].map(|e| power::<f64>(e, OPERATOR_STEP)), [-80, 80, -560, 1000]);
        assert_eq!([-565, 1000, 61].map(|e| power::<f64>(e, VECTOR_STEP)), [-560, 1000, 60]);
    }
}
