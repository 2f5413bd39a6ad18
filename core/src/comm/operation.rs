//! Operations that merge the values of a reduction.

use std::marker::PhantomData;

use bytemuck::Pod;

/// Element type of a typed reduction.
pub trait Reducible: Pod + PartialOrd {
    /// Returns the sum of two values; integers wrap around.
    #[must_use]
    fn plus(self, other: Self) -> Self;
}

macro_rules! reducible {
    ($($t:ty: $plus:path;)*) => {
        $(impl Reducible for $t {
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }
        })*
    };
}
reducible! {
    f32: std::ops::Add::add;
    f64: std::ops::Add::add;
    i32: i32::wrapping_add;
    i64: i64::wrapping_add;
    u32: u32::wrapping_add;
    u64: u64::wrapping_add;
}

/// A value whose merge is associative and commutative to the bit, so that an MPI reduction over
/// any tree gives the same result.
pub trait Merge: Pod {
    /// Merges `other` into `self`.
    fn merge(&mut self, other: &Self);
}

/// An associative and commutative operation on values.
pub(crate) trait Operation: 'static {
    /// Type of the reduced values.
    type Value: Pod;
    /// The function of [`Comm`] that does it.
    const NAME: &'static str;

    /// Merges `other` into `value`.
    fn merge(value: &mut Self::Value, other: &Self::Value);
}

/// Sums.
pub(crate) struct Sum<T>(PhantomData<T>);
/// Maxima.
pub(crate) struct Max<T>(PhantomData<T>);
/// Minima.
pub(crate) struct Min<T>(PhantomData<T>);
/// Merges of values that know how.
pub(crate) struct Merged<T>(PhantomData<T>);

impl<T: Reducible> Operation for Sum<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_sum";

    fn merge(value: &mut T, other: &T) {
        *value = value.plus(*other);
    }
}

impl<T: Reducible> Operation for Max<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_max";

    fn merge(value: &mut T, other: &T) {
        if other > value {
            *value = *other;
        }
    }
}

impl<T: Reducible> Operation for Min<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_min";

    fn merge(value: &mut T, other: &T) {
        if other < value {
            *value = *other;
        }
    }
}

impl<T: Merge> Operation for Merged<T> {
    type Value = T;
    const NAME: &'static str = "all_reduce_merge";

    fn merge(value: &mut T, other: &T) {
        value.merge(other);
    }
}

/// A number that all ranks have to pass alike, with no values.
pub(super) struct Alike;

impl Operation for Alike {
    type Value = u64;
    const NAME: &'static str = "require_alike";

    fn merge(_: &mut u64, _: &u64) {}
}
