//! Combination of copies into their owner's value.

use std::ops::Add;

use bytemuck::Pod;

/// Operation that combines copies into their owner's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Adds every copy to the owner's value.
    Add,
    /// The copy of the highest rank replaces the owner's value.
    Insert,
    /// The larger of the owner's value and all copies; a copy that is NaN counts for nothing.
    Max,
    /// The smaller of the owner's value and all copies; a copy that is NaN counts for nothing.
    Min,
}

/// A value that [`ExchangePlan::start_export`](crate::ExchangePlan::start_export) can combine: any plain number with
/// an order. A complex array is exported as its real and imaginary parts, which are twice as many values an
/// id ([`Scalar::parts`](crate::Scalar::parts)). Sums of integers must not overflow.
pub trait Combinable: Pod + Add<Output = Self> + PartialOrd {}
impl<T: Pod + Add<Output = T> + PartialOrd> Combinable for T {}
