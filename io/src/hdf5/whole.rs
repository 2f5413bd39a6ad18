//! Integers of 64 bits that are read as floats, which do not hold all of them.
//!
//! HDF5 would round them without a word. They are read as they are, and refused where a float may stand for
//! several: identifiers and times in nanoseconds are such numbers. So do the other formats of this crate.

use super::element::{Element, ElementType, Number};
use crate::EXACT;
use dolmen_core::Real;
use hdf5::types::{IntSize, TypeDescriptor};

impl ElementType {
    /// If these are integers of 64 bits that are to be read as floats: whether they have signs.
    pub(super) fn whole_as(&self, number: &Number) -> Option<bool> {
        match (self, number) {
            (Self::Integer { bytes: 8, signed, .. }, Number::Float) => Some(*signed),
            (Self::Array { element, .. }, Number::Array { element: inner, .. }) => element.whole_as(inner),
            _ => None,
        }
    }
}

/// Returns the type in memory that has 64-bit integers where another has floats.
pub(super) fn descriptor(floats: TypeDescriptor, signed: bool) -> TypeDescriptor {
    match floats {
        TypeDescriptor::FixedArray(element, length) => {
            TypeDescriptor::FixedArray(Box::new(descriptor(*element, signed)), length)
        }
        _ if signed => TypeDescriptor::Integer(IntSize::U8),
        _ => TypeDescriptor::Unsigned(IntSize::U8),
    }
}

/// Turns integers, given by their bits, into as many floats.
pub(super) fn to_floats<T: Element>(whole: &[u64], signed: bool, values: &mut [T]) -> Result<(), String> {
    let size = |bits: u64| if signed { bits.cast_signed().unsigned_abs() } else { bits };
    if let Some(bits) = whole.iter().find(|bits| size(**bits) > EXACT) {
        let value = if signed { bits.cast_signed().to_string() } else { bits.to_string() };
        return Err(format!("holds {value}, beyond 2^53, where f64 cannot hold every integer"));
    }
    let floats = whole.iter().map(|bits| if signed { bits.cast_signed() as f64 } else { *bits as f64 });
    if size_of_val(values) == size_of_val(whole) {
        bytemuck::cast_slice_mut(values).iter_mut().zip(floats).for_each(|(to, value): (&mut f64, _)| *to = value);
    } else {
        let narrow = bytemuck::cast_slice_mut(values).iter_mut();
        narrow.zip(floats).for_each(|(to, value): (&mut f32, _)| *to = f32::from_f64(value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_numbers_become_floats() {
        let mut values = [0.0; 2];
        let edge = 1_i64 << 53;
        to_floats(&[edge.cast_unsigned(), (-edge).cast_unsigned()], true, &mut values).unwrap();
        assert_eq!(values, [9_007_199_254_740_992.0, -9_007_199_254_740_992.0]);
        let beyond = to_floats(&[0, (-edge - 1).cast_unsigned()], true, &mut values).unwrap_err();
        assert!(beyond.starts_with("holds -9007199254740993, beyond 2^53"), "{beyond}");
        let beyond = to_floats(&[u64::MAX, 0], false, &mut values).unwrap_err();
        assert!(beyond.starts_with("holds 18446744073709551615, beyond"), "{beyond}");
        let mut narrow = [[0.0_f32; 2]; 1];
        to_floats(&[7, u64::MAX], true, &mut narrow).unwrap();
        assert_eq!(narrow, [[7.0, -1.0]]);
    }
}
