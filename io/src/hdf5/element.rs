//! The types of dataset elements: what a file may hold, and what is read from it.

use dolmen_core::{Complex32, Complex64};
use hdf5::H5Type;
use hdf5::types::{CompoundField, CompoundType, TypeDescriptor};
use std::fmt;

mod sealed {
    pub trait Sealed {}
}

/// The order of a number's bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
    /// Neither.
    Other,
}

/// The type of a dataset's elements, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementType {
    /// A floating-point number.
    Float {
        /// Its size.
        bytes: usize,
        /// Its byte order.
        order: ByteOrder,
    },
    /// An integer.
    Integer {
        /// Its size.
        bytes: usize,
        /// True if it may be negative.
        signed: bool,
        /// Its byte order.
        order: ByteOrder,
    },
    /// True or false, as h5py stores it (an enumeration of one byte).
    Boolean,
    /// A name of a list, stored as an integer of this type.
    Enumeration(Box<ElementType>),
    /// A string, of fixed length or, with `None`, of variable length.
    Text {
        /// Its length, if fixed.
        bytes: Option<usize>,
        /// True for UTF-8, false for ASCII.
        utf8: bool,
    },
    /// A small array in every element.
    Array {
        /// Its shape.
        shape: Vec<usize>,
        /// The type of its elements.
        element: Box<ElementType>,
    },
    /// A row of a table.
    Compound {
        /// Its size.
        bytes: usize,
        /// Its columns.
        members: Vec<Member>,
    },
    /// A type that is not read, in words.
    Other(&'static str),
}

/// A member of a compound type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type.
    pub element: ElementType,
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float { bytes, .. } => write!(f, "a {}-bit float", 8 * bytes),
            Self::Integer { bytes, signed, .. } => {
                let sign = if *signed { "signed" } else { "unsigned" };
                write!(f, "a {}-bit {sign} integer", 8 * bytes)
            }
            Self::Boolean => write!(f, "a boolean"),
            Self::Enumeration(_) => write!(f, "an enumeration"),
            Self::Text { bytes: Some(bytes), .. } => write!(f, "a string of {bytes} bytes"),
            Self::Text { bytes: None, .. } => write!(f, "a string of variable length"),
            Self::Array { shape, element } => write!(f, "an array {shape:?} of {element}"),
            Self::Compound { .. } => write!(f, "a compound, dtype {}", self.dtype()),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl ElementType {
    /// Returns the type in the words of NumPy and h5py: `<f8`, `[('r', '<i8'), ('i', '<i8')]`; of an enumeration that of
    /// its numbers, `enum <i4`.
    #[must_use]
    pub fn dtype(&self) -> String {
        let code = |kind: char, bytes: &usize, order: &ByteOrder| {
            let order = match order {
                _ if *bytes == 1 => '|',
                ByteOrder::Little => '<',
                ByteOrder::Big => '>',
                ByteOrder::Other => '?',
            };
            format!("{order}{kind}{bytes}")
        };
        match self {
            Self::Float { bytes, order } => code('f', bytes, order),
            Self::Integer { bytes, signed, order } => code(if *signed { 'i' } else { 'u' }, bytes, order),
            Self::Boolean => "bool".to_owned(),
            Self::Enumeration(base) => format!("enum {}", base.dtype()),
            Self::Text { bytes: Some(bytes), .. } => format!("S{bytes}"),
            Self::Text { bytes: None, .. } => "str".to_owned(),
            Self::Array { shape, element } => {
                let lengths: String = shape.iter().map(|length| format!("{length},")).collect();
                format!("({lengths}){}", element.dtype())
            }
            Self::Compound { members, .. } => {
                let member = |member: &Member| match &member.element {
                    compound @ Self::Compound { .. } => format!("('{}', {})", member.name, compound.dtype()),
                    element => format!("('{}', '{}')", member.name, element.dtype()),
                };
                format!("[{}]", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
            Self::Other(what) => (*what).to_owned(),
        }
    }
}

/// Type of a number in memory: enough to tell whether a conversion loses anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Number {
    Float,
    Complex,
    Integer { bytes: usize, signed: bool },
    Array { length: usize, element: Box<Number> },
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float => write!(f, "a float"),
            Self::Complex => write!(f, "a complex number"),
            Self::Integer { bytes, signed } => {
                let sign = if *signed { "signed" } else { "unsigned" };
                write!(f, "a {}-bit {sign} integer", 8 * bytes)
            }
            Self::Array { length, element } => write!(f, "an array of {length}, each {element}"),
        }
    }
}

/// A type that elements are read as and written from: integers and floats of one to
/// eight bytes, complex numbers, and arrays `[T; N]` for array-valued members of tables.
///
/// Complex numbers are stored as h5py stores them, as compounds of `r` and `i`.
pub trait Element: bytemuck::Pod + sealed::Sealed {
    #[doc(hidden)]
    fn number() -> Number;
    #[doc(hidden)]
    fn descriptor() -> TypeDescriptor;
}

macro_rules! integer_elements {
    ($signed:literal: $($type:ty),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            fn number() -> Number {
                Number::Integer { bytes: size_of::<$type>(), signed: $signed }
            }
            fn descriptor() -> TypeDescriptor {
                <$type>::type_descriptor()
            }
        }
    )*};
}

integer_elements!(true: i8, i16, i32, i64);
integer_elements!(false: u8, u16, u32, u64);

macro_rules! float_elements {
    ($($type:ty),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            fn number() -> Number {
                Number::Float
            }
            fn descriptor() -> TypeDescriptor {
                <$type>::type_descriptor()
            }
        }
    )*};
}

float_elements!(f32, f64);

macro_rules! complex_elements {
    ($($type:ty: $real:ty),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            fn number() -> Number {
                Number::Complex
            }
            fn descriptor() -> TypeDescriptor {
                let size = size_of::<$real>();
                let field = |name: &str, index: usize| {
                    CompoundField { name: name.to_owned(), ty: <$real>::type_descriptor(), offset: index * size, index }
                };
                TypeDescriptor::Compound(CompoundType { fields: vec![field("r", 0), field("i", 1)], size: 2 * size })
            }
        }
    )*};
}

complex_elements!(Complex32: f32, Complex64: f64);

impl<T: Element, const N: usize> sealed::Sealed for [T; N] {}

impl<T: Element, const N: usize> Element for [T; N] {
    fn number() -> Number {
        Number::Array { length: N, element: Box::new(T::number()) }
    }
    fn descriptor() -> TypeDescriptor {
        TypeDescriptor::FixedArray(Box::new(T::descriptor()), N)
    }
}

/// The names of the parts of complex numbers that h5py writes, and those that are written here.
pub(crate) const H5PY_PARTS: [&str; 2] = ["r", "i"];

impl ElementType {
    /// Returns the names of the parts, if it is a complex number: a compound of two floats, as h5py or MATLAB name
    /// them.
    pub(crate) fn complex_parts(&self) -> Option<[&'static str; 2]> {
        let Self::Compound { members, .. } = self else { return None };
        let [re, im] = members.as_slice() else { return None };
        let are_floats = [re, im].iter().all(|part| matches!(part.element, Self::Float { .. }));
        let names = [H5PY_PARTS, ["real", "imag"]].into_iter().find(|[r, i]| re.name == *r && im.name == *i);
        names.filter(|_| are_floats)
    }

    /// Returns whether strings of variable length are part of it.
    pub(super) fn has_variable_length(&self) -> bool {
        match self {
            Self::Text { bytes, .. } => bytes.is_none(),
            Self::Array { element, .. } => element.has_variable_length(),
            Self::Compound { members, .. } => members.iter().any(|member| member.element.has_variable_length()),
            _ => false,
        }
    }

    /// Returns a type in memory that elements of this one are read as; none if they are not read.
    pub(super) fn memory_type(&self) -> Option<TypeDescriptor> {
        Some(match self {
            Self::Float { .. } => f64::type_descriptor(),
            Self::Integer { signed: true, .. } => i64::type_descriptor(),
            Self::Integer { .. } => u64::type_descriptor(),
            Self::Boolean => TypeDescriptor::Boolean,
            Self::Text { bytes: Some(bytes), utf8: true } => TypeDescriptor::FixedUnicode(*bytes),
            Self::Text { bytes: Some(bytes), .. } => TypeDescriptor::FixedAscii(*bytes),
            Self::Array { shape, element } => {
                let length = shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length))?;
                let element = element.memory_type()?;
                element.size().checked_mul(length)?;
                TypeDescriptor::FixedArray(Box::new(element), *shape.first().filter(|_| shape.len() == 1)?)
            }
            Self::Compound { members, .. } => {
                let types =
                    members.iter().filter_map(|member| Some((member.name.clone(), member.element.memory_type()?)));
                let (mut fields, mut size) = (Vec::new(), 0_usize);
                for (index, (name, ty)) in types.enumerate() {
                    let offset = size;
                    size = size.checked_add(ty.size())?;
                    fields.push(CompoundField { name, ty, offset, index });
                }
                TypeDescriptor::Compound(CompoundType { fields, size })
            }
            Self::Text { bytes: None, .. } | Self::Enumeration(_) | Self::Other(_) => return None,
        })
        .filter(|descriptor| descriptor.size() > 0)
    }

    /// Returns true if the library can convert between this type in the file and a number
    /// in memory, in the direction `reading`, without changing an integer.
    ///
    /// Rounding is accepted between floats and from integers to floats. The
    /// library would also convert floats to integers and wide integers to narrow
    /// ones, by clipping without a word; that is refused.
    pub(super) fn converts(&self, number: &Number, reading: bool) -> bool {
        match (self, number) {
            (Self::Float { .. }, Number::Float) => true,
            (_, Number::Complex) => self.complex_parts().is_some_and(|parts| reading || parts == H5PY_PARTS),
            (Self::Integer { .. }, Number::Float) => reading,
            (Self::Float { .. }, Number::Integer { .. }) => !reading,
            (Self::Boolean, Number::Integer { bytes, .. }) => reading && *bytes == 1,
            (Self::Integer { bytes, signed, .. }, Number::Integer { bytes: memory_bytes, signed: memory_signed }) => {
                let (file, memory) = ((*bytes, *signed), (*memory_bytes, *memory_signed));
                let (from, to) = if reading { (file, memory) } else { (memory, file) };
                to == from || (to.0 > from.0 && (to.1 || !from.1))
            }
            (Self::Array { shape, element }, Number::Array { length, element: inner }) => {
                shape.as_slice() == [*length] && element.converts(inner, reading)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn integer(bytes: usize, signed: bool) -> ElementType {
        ElementType::Integer { bytes, signed, order: ByteOrder::Big }
    }

    const FLOAT: ElementType = ElementType::Float { bytes: 8, order: ByteOrder::Little };

    #[test]
    fn integers_only_widen() {
        assert!(integer(2, true).converts(&i32::number(), true));
        assert!(integer(2, false).converts(&i32::number(), true));
        assert!(!integer(2, true).converts(&u32::number(), true));
        assert!(!integer(4, true).converts(&i16::number(), true));
        assert!(!integer(4, false).converts(&i32::number(), true));
        assert!(integer(4, true).converts(&i16::number(), false));
        assert!(!integer(2, true).converts(&i32::number(), false));
    }

    #[test]
    fn floats_are_never_read_as_integers() {
        assert!(!FLOAT.converts(&i64::number(), true));
        assert!(FLOAT.converts(&f32::number(), true));
        assert!(integer(8, true).converts(&f64::number(), true));
        assert!(!integer(8, true).converts(&f64::number(), false));
    }

    #[test]
    fn types_have_the_names_of_numpy() {
        let member = |name: &str, element: &ElementType| Member { name: name.to_owned(), element: element.clone() };
        let array = ElementType::Array { shape: vec![4], element: Box::new(FLOAT) };
        let pair = |part: &ElementType| ElementType::Compound {
            bytes: 16,
            members: vec![member("r", part), member("i", part)],
        };
        assert_eq!(pair(&integer(8, true)).dtype(), "[('r', '>i8'), ('i', '>i8')]");
        let row = [member("q", &array), member("z", &pair(&FLOAT)), member("flag", &integer(1, false))];
        let row = ElementType::Compound { bytes: 49, members: row.to_vec() };
        assert_eq!(row.dtype(), "[('q', '(4,)<f8'), ('z', [('r', '<f8'), ('i', '<f8')]), ('flag', '|u1')]");
        let text = ElementType::Text { bytes: Some(8), utf8: true };
        assert_eq!((text.dtype(), ElementType::Boolean.dtype()), ("S8".to_owned(), "bool".to_owned()));
        let color = ElementType::Enumeration(Box::new(integer(4, true)));
        assert_eq!((color.dtype(), color.to_string()), ("enum >i4".to_owned(), "an enumeration".to_owned()));
    }

    #[test]
    fn arrays_need_their_length() {
        let array = ElementType::Array { shape: vec![4], element: Box::new(FLOAT) };
        assert!(array.converts(&<[f64; 4]>::number(), true));
        assert!(!array.converts(&<[f64; 3]>::number(), true));
        assert!(!array.converts(&f64::number(), true));
    }
}
